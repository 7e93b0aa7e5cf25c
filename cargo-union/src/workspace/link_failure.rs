//! Finds out whether a compile failed in the linker, from the compiler messages that cargo stores with each unit.
//!
//! cargo is run with `json-render-diagnostics`, so its stdout does not contain the compiler's messages.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::Deserialize;

use super::Snapshot;
use super::job::CargoJob;

/// How linking failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum LinkFailure {
    /// The linker, by name, was not found.
    Missing(String),
    /// The linker failed; the libraries that it did not find.
    Failed(Vec<String>),
}

impl LinkFailure {
    /// The link failure of a job in a compile that began at `began`; `None` when the compile failed for another reason.
    pub(super) fn find(
        snapshot: &Snapshot<'_>,
        job: &CargoJob<'_>,
        began: SystemTime,
    ) -> Option<Self> {
        let target = snapshot
            .cargo
            .target_dir
            .as_ref()
            .unwrap_or(&snapshot.workspace.target_directory);
        let build = &snapshot.workspace.build_directory;
        let fingerprints = |root: &PathBuf| {
            let root = job.method.directory(root).unwrap_or_else(|| root.clone());
            root.join(job.target)
                .join(profile_directory(&job.settings.profile))
                .join(".fingerprint")
        };
        let directories = [fingerprints(target), fingerprints(build)];
        let names: Vec<&str> = job
            .members
            .iter()
            .map(|member| member.package.name.as_str())
            .collect();
        directories
            .iter()
            .flat_map(|directory| read_messages(directory, &names, began))
            .find_map(|text| find_link_failure(&text))
    }
}

/// The directory name of a profile. Source: the cargo book, "Build Cache".
fn profile_directory(profile: &str) -> &str {
    match profile {
        "dev" | "test" => "debug",
        "bench" => "release",
        other => other,
    }
}

/// The stored compiler messages of the packages' units that are newer than `since`.
fn read_messages(directory: &Path, packages: &[&str], since: SystemTime) -> Vec<String> {
    let entries = |directory: &Path| std::fs::read_dir(directory).into_iter().flatten().flatten();
    let name = |entry: &std::fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
    let belongs_to_package = |entry: &std::fs::DirEntry| {
        name(entry)
            .rsplit_once('-')
            .is_some_and(|(name, _)| packages.contains(&name))
    };
    let is_new = |entry: &std::fs::DirEntry| {
        entry
            .metadata()
            .and_then(|data| data.modified())
            .is_ok_and(|time| time >= since)
    };
    let units = entries(directory)
        .filter(belongs_to_package)
        .flat_map(|unit| entries(&unit.path()));
    units
        .filter(|file| name(file).starts_with("output-") && is_new(file))
        .filter_map(|file| std::fs::read_to_string(file.path()).ok())
        .collect()
}

#[derive(Deserialize)]
struct CompilerMessage {
    message: String,
    level: String,
    #[serde(default)]
    children: Vec<Child>,
}

#[derive(Deserialize)]
struct Child {
    message: String,
}

fn find_link_failure(messages: &str) -> Option<LinkFailure> {
    let errors = messages
        .lines()
        .filter_map(|line| serde_json::from_str::<CompilerMessage>(line).ok())
        .filter(|message| message.level == "error");
    errors.into_iter().find_map(|error| {
        let quoted = error
            .message
            .split('`')
            .nth(1)
            .unwrap_or_default()
            .to_owned();
        if error.message.starts_with("linker `") && error.message.ends_with("not found") {
            return Some(LinkFailure::Missing(quoted));
        }
        let missing = || {
            error
                .children
                .iter()
                .flat_map(|child| missing_libraries(&child.message))
                .collect()
        };
        error
            .message
            .starts_with("linking with `")
            .then(|| LinkFailure::Failed(missing()))
    })
}

/// The libraries that a linker reports as missing: `cannot find -lpq: …`, `unable to find library -lpq`.
fn missing_libraries(text: &str) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for line in text.lines() {
        let Some((_, after)) = [
            "cannot find -l",
            "unable to find library -l",
            "library not found for -l",
        ]
        .iter()
        .find_map(|words| line.split_once(words)) else {
            continue;
        };
        let name = after
            .split([' ', ':', '\'', '`'])
            .next()
            .unwrap_or_default()
            .to_owned();
        if !name.is_empty() && !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(level: &str, message: &str, child: &str) -> String {
        serde_json::json!({ "$message_type": "diagnostic", "message": message, "level": level, "children": [{ "message": child }] })
            .to_string()
    }

    #[test]
    fn failed_and_missing_linkers_are_distinguished_from_type_errors() {
        let warning = message("warning", "linking with `cc` is slow", "");
        let gnu = "/usr/bin/ld: cannot find -lpq: No such file or directory\n/usr/bin/ld: cannot find -lz: x\n/usr/bin/ld: cannot find -lpq\n";
        let failed = |names: &[&str]| {
            Some(LinkFailure::Failed(
                names.iter().map(|name| (*name).to_owned()).collect(),
            ))
        };
        for (text, expected) in [
            (
                message("error", "linking with `cc` failed: exit status: 1", gnu),
                failed(&["pq", "z"]),
            ),
            (
                message(
                    "error",
                    "linking with `cc` failed: exit status: 1",
                    "rust-lld: error: unable to find library -lpq",
                ),
                failed(&["pq"]),
            ),
            (
                message(
                    "error",
                    "linking with `cc` failed: exit status: 1",
                    "undefined symbol: f",
                ),
                failed(&[]),
            ),
            (
                message("error", "linker `aarch64-linux-gnu-gcc` not found", ""),
                Some(LinkFailure::Missing("aarch64-linux-gnu-gcc".to_owned())),
            ),
            (message("error", "mismatched types", "expected `i32`"), None),
            ("not json".to_owned(), None),
        ] {
            assert_eq!(
                find_link_failure(&format!("{warning}\n{text}\n")),
                expected,
                "{text}"
            );
        }
    }

    #[test]
    fn messages_of_earlier_compiles_are_ignored() {
        let directory = tempfile::tempdir().expect("a temporary directory can be created");
        let unit = directory.path().join("my-app-0123");
        std::fs::create_dir(&unit)
            .and_then(|()| std::fs::write(unit.join("output-bin-my-app"), "said"))
            .expect("it can be written");
        let hour = std::time::Duration::from_secs(3600);
        let now = SystemTime::now();
        assert_eq!(
            read_messages(directory.path(), &["my-app"], now - hour),
            ["said"]
        );
        assert_eq!(
            read_messages(directory.path(), &["my-app"], now + hour),
            [""; 0]
        );
        assert_eq!(
            read_messages(directory.path(), &["my"], now - hour),
            [""; 0]
        );
    }
}
