use super::*;

#[test]
fn keys_are_kebab_case_unique_and_documented_in_a_sentence() {
    for level in levels() {
        for (index, key) in level.keys.iter().enumerate() {
            let name = key.name;
            assert!(
                name.bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte == b'-'),
                "{name}"
            );
            assert!(
                !level.keys[..index].iter().any(|other| other.name == name),
                "{name} is declared twice in `{}`",
                level.path
            );
            assert!(
                key.doc.ends_with('.') && key.doc.starts_with(char::is_uppercase),
                "{name}: {}",
                key.doc
            );
            assert!(
                !level.refused.iter().any(|(refused, _)| *refused == name),
                "{name} is refused and declared"
            );
        }
        for (alias, meant) in level.aliases {
            assert!(
                level.key(alias).is_none()
                    && levels().iter().any(|level| level.key(meant).is_some()),
                "{alias} → {meant}"
            );
        }
    }
}

#[test]
fn defaults_are_valid_toml() {
    for (level, key) in levels()
        .into_iter()
        .flat_map(|level| level.keys.iter().map(move |key| (level, key)))
    {
        if let DefaultValue::Toml(text) = key.default {
            assert!(
                toml::de::DeValue::parse(text).is_ok(),
                "{}.{}: {text}",
                level.path,
                key.name
            );
        }
    }
}

#[test]
fn every_table_is_reachable() {
    let paths: Vec<&str> = levels().iter().map(|level| level.path).collect();
    assert_eq!(
        paths,
        [
            "",
            "build",
            "images.NAME",
            "tasks.NAME",
            "images.NAME.copy",
            "images.NAME.secrets",
            "images.NAME.builder-options",
            "images.NAME.builder-config",
            "tasks.NAME.resources",
            "tasks.NAME.secrets",
            "tasks.NAME.retries",
            "tasks.NAME.timeout",
            "tasks.NAME.cache",
            "tasks.NAME.triggers.NAME"
        ]
    );
}

#[test]
fn usual_settings_can_be_overridden() {
    let names = |pick: fn(&SchemaKey) -> Option<&'static str>| {
        overridable()
            .filter_map(move |(_, key)| pick(key))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        names(|key| key.env),
        [
            "UNION_PROJECT",
            "UNION_DOMAIN",
            "UNION_REGISTRY",
            "UNION_BUILDER",
            "UNION_BACKEND",
            "UNION_REGISTRY_CONFIG"
        ]
    );
    let flags = [
        "--project",
        "--domain",
        "--registry",
        "--builder",
        "--backend",
        "--registry-config",
        "--profile",
        "--features",
    ];
    assert_eq!(names(|key| key.flag)[..8], flags);
}
