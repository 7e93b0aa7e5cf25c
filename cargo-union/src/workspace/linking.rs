//! Why a compile failed, where a linker did: from the messages of the compiler that cargo keeps beside each unit.
//!
//! cargo renders the compiler's messages itself, so they are not among those that it writes to its stdout.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::Deserialize;

use super::{CargoJob, Snapshot};

/// What a linker ended with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum LinkFailure {
    /// There is no such program.
    Missing(String),
    /// It failed; these libraries are those that it did not find.
    Failed(Vec<String>),
}

impl LinkFailure {
    /// What kept the binaries of a job from being linked in a compile that began at a time; `None` when something
    /// else did.
    pub(super) fn of(snapshot: &Snapshot<'_>, job: &CargoJob<'_>, began: SystemTime) -> Option<Self> {
        let target = snapshot.cargo.target_dir.as_ref().unwrap_or(&snapshot.workspace.target_directory);
        let build = &snapshot.workspace.build_directory;
        let folder = |folder: &PathBuf| {
            let folder = job.method.folder(folder).unwrap_or_else(|| folder.clone());
            folder.join(job.target).join(profile_folder(&job.settings.profile)).join(".fingerprint")
        };
        let folders = [folder(target), folder(build)];
        let names: Vec<&str> = job.members.iter().map(|member| member.package.name.as_str()).collect();
        folders.iter().flat_map(|folder| messages(folder, &names, began)).find_map(|text| read(&text))
    }
}

/// The folder that cargo has for a profile.
fn profile_folder(profile: &str) -> &str {
    match profile {
        "dev" | "test" => "debug",
        "bench" => "release",
        other => other,
    }
}

/// What the compiler said of the units of packages since a time.
fn messages(folder: &Path, packages: &[&str], since: SystemTime) -> Vec<String> {
    let entries = |folder: &Path| std::fs::read_dir(folder).into_iter().flatten().flatten();
    let name = |entry: &std::fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
    let is_of = |entry: &std::fs::DirEntry| name(entry).rsplit_once('-').is_some_and(|(name, _)| packages.contains(&name));
    let is_new = |entry: &std::fs::DirEntry| entry.metadata().and_then(|data| data.modified()).is_ok_and(|time| time >= since);
    let units = entries(folder).filter(is_of).flat_map(|unit| entries(&unit.path()));
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

fn read(messages: &str) -> Option<LinkFailure> {
    let errors =
        messages.lines().filter_map(|line| serde_json::from_str::<CompilerMessage>(line).ok()).filter(|message| message.level == "error");
    errors.into_iter().find_map(|error| {
        let quoted = error.message.split('`').nth(1).unwrap_or_default().to_owned();
        if error.message.starts_with("linker `") && error.message.ends_with("not found") {
            return Some(LinkFailure::Missing(quoted));
        }
        let missing = || error.children.iter().flat_map(|child| not_found(&child.message)).collect();
        error.message.starts_with("linking with `").then(|| LinkFailure::Failed(missing()))
    })
}

/// The libraries that a linker says it did not find: `cannot find -lpq: …`, `unable to find library -lpq`.
fn not_found(text: &str) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for line in text.lines() {
        let Some((_, after)) =
            ["cannot find -l", "unable to find library -l", "library not found for -l"].iter().find_map(|words| line.split_once(words))
        else {
            continue;
        };
        let name = after.split([' ', ':', '\'', '`']).next().unwrap_or_default().to_owned();
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
    fn a_linker_that_fails_is_told_from_a_linker_that_is_missing_and_from_errors_of_types() {
        let warning = message("warning", "linking with `cc` is slow", "");
        let gnu =
            "/usr/bin/ld: cannot find -lpq: No such file or directory\n/usr/bin/ld: cannot find -lz: x\n/usr/bin/ld: cannot find -lpq\n";
        let failed = |names: &[&str]| Some(LinkFailure::Failed(names.iter().map(|name| (*name).to_owned()).collect()));
        for (text, read_) in [
            (message("error", "linking with `cc` failed: exit status: 1", gnu), failed(&["pq", "z"])),
            (message("error", "linking with `cc` failed: exit status: 1", "rust-lld: error: unable to find library -lpq"), failed(&["pq"])),
            (message("error", "linking with `cc` failed: exit status: 1", "undefined symbol: f"), failed(&[])),
            (
                message("error", "linker `aarch64-linux-gnu-gcc` not found", ""),
                Some(LinkFailure::Missing("aarch64-linux-gnu-gcc".to_owned())),
            ),
            (message("error", "mismatched types", "expected `i32`"), None),
            ("not json".to_owned(), None),
        ] {
            assert_eq!(read(&format!("{warning}\n{text}\n")), read_, "{text}");
        }
    }

    #[test]
    fn only_what_the_compiler_said_in_this_compile_counts() {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let unit = folder.path().join("my-app-0123");
        std::fs::create_dir(&unit).and_then(|()| std::fs::write(unit.join("output-bin-my-app"), "said")).expect("it can be written");
        let hour = std::time::Duration::from_secs(3600);
        let now = SystemTime::now();
        assert_eq!(messages(folder.path(), &["my-app"], now - hour), ["said"]);
        assert_eq!(messages(folder.path(), &["my-app"], now + hour), [""; 0]);
        assert_eq!(messages(folder.path(), &["my"], now - hour), [""; 0]);
    }
}
