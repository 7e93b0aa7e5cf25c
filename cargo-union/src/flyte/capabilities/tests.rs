use super::*;
use union_build::spec::schema;

#[test]
fn capability_table_covers_every_task_key() {
    let levels = schema::levels();
    let of_tasks = levels.iter().filter_map(|level| {
        let path = level.path.strip_prefix("tasks.NAME")?;
        Some((path.trim_start_matches('.').replace(".NAME", ""), level))
    });
    let mut keys: Vec<String> = of_tasks
        .flat_map(|(path, level)| {
            let prefix = if path.is_empty() {
                String::new()
            } else {
                format!("{path}.")
            };
            level
                .keys
                .iter()
                .map(move |key| format!("{prefix}{}", key.name))
        })
        .collect();
    let mut rows: Vec<&str> = KEYS.iter().map(|(key, _)| *key).collect();
    keys.sort_unstable();
    rows.sort_unstable();
    assert_eq!(keys, rows);
}
