//! The notes of cargo and rustc about what was read, in the language of make.

/// The files that the first rule names after its colon; a backslash stands before a space.
pub(super) fn files(text: &str) -> Vec<String> {
    let line = text.lines().next().unwrap_or_default();
    let Some((_, files)) = line.split_once(": ") else { return Vec::new() };
    let mut found = vec![String::new()];
    let mut characters = files.chars().peekable();
    while let Some(character) = characters.next() {
        let last = found.last_mut().expect("there is always one");
        match character {
            '\\' if characters.peek() == Some(&' ') => last.extend(characters.next()),
            ' ' => found.push(String::new()),
            other => last.push(other),
        }
    }
    found.retain(|file| !file.is_empty());
    found
}

/// The variables that `env!` and `option_env!` asked for.
pub(super) fn variables(text: &str) -> impl Iterator<Item = &str> {
    let named = text.lines().filter_map(|line| line.strip_prefix("# env-dep:"));
    named.map(|variable| variable.split_once('=').map_or(variable, |(name, _)| name))
}

/// The variables that a build script asked cargo to watch, from what it printed.
pub(super) fn watched(output: &str) -> impl Iterator<Item = &str> {
    output.lines().filter_map(|line| {
        let line = line.strip_prefix("cargo::").or_else(|| line.strip_prefix("cargo:"))?;
        line.strip_prefix("rerun-if-env-changed=").map(str::trim)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_with_spaces_and_backslashes_are_whole() {
        let text = "/t/release/app: /ws/src/main.rs /ws/my\\ config.txt /ws/odd\\name.txt\n\n/ws/src/main.rs:\n";
        assert_eq!(files(text), ["/ws/src/main.rs", "/ws/my config.txt", "/ws/odd\\name.txt"]);
        assert!(files("").is_empty());
        assert!(files("/t/release/app:\n").is_empty());
    }

    #[test]
    fn variables_are_read_with_and_without_a_value() {
        let text = "a: b\n\n# env-dep:SET=1=2\n# env-dep:UNSET\n# checksum:x\n";
        assert_eq!(variables(text).collect::<Vec<_>>(), ["SET", "UNSET"]);
    }

    #[test]
    fn both_ways_to_talk_to_cargo_are_understood() {
        let text = "cargo:rerun-if-env-changed=OLD\ncargo::rerun-if-env-changed=NEW\ncargo::rerun-if-changed=build.rs\nhello\n";
        assert_eq!(watched(text).collect::<Vec<_>>(), ["OLD", "NEW"]);
    }
}
