//! Reads dep-info files of cargo and rustc, which are in Makefile format, and the output of build scripts.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::sources::relative;
use super::units::{BuildScriptRun, CompiledUnit, UnitKind};
use crate::sys::error::Result;
use crate::sys::fs;

/// The prerequisites of the first rule. Spaces are escaped by a backslash.
pub(super) fn files(text: &str) -> Vec<String> {
    let line = text.lines().next().unwrap_or_default();
    let Some((_, files)) = line.split_once(": ") else {
        return Vec::new();
    };
    let mut names = vec![String::new()];
    let mut characters = files.chars().peekable();
    while let Some(character) = characters.next() {
        let last = names.last_mut().expect("there is always one");
        match character {
            '\\' if characters.peek() == Some(&' ') => last.extend(characters.next()),
            ' ' => names.push(String::new()),
            other => last.push(other),
        }
    }
    names.retain(|file| !file.is_empty());
    names
}

/// The files in the dep-info of a unit, relative to the workspace's root.
///
/// # Errors
/// `FileUnreadable`.
pub(super) fn sources_of(unit: &CompiledUnit, root: &Path) -> Result<BTreeSet<String>> {
    files(&notes_of(unit)?)
        .iter()
        .map(|file| relative(root, &fs::absolute(root, Path::new(file))))
        .collect()
}

/// The text of a unit's dep-info; empty when there is no such file.
///
/// # Errors
/// `FileUnreadable`.
pub(super) fn notes_of(unit: &CompiledUnit) -> Result<String> {
    Ok(notes_path(unit)
        .map(|path| fs::read_if_exists(&path))
        .transpose()?
        .flatten()
        .unwrap_or_default())
}

/// What a build script printed when it last ran.
///
/// # Errors
/// `FileUnreadable`.
pub(super) fn output_of(script: &BuildScriptRun) -> Result<String> {
    let path = script
        .out_dir
        .parent()
        .map(|directory| directory.join("output"));
    Ok(path
        .map(|path| fs::read_if_exists(&path))
        .transpose()?
        .flatten()
        .unwrap_or_default())
}

/// The dep-info file of a unit: a library `libhelper-1a2b.rlib` has `helper-1a2b.d` beside it, a build script the only
/// such file of its directory, and an executable one beside the file that cargo linked it from.
fn notes_path(unit: &CompiledUnit) -> Option<PathBuf> {
    match unit.kind {
        UnitKind::Library => {
            let stem = unit.path.file_stem()?.to_str()?;
            Some(
                unit.linked_in
                    .join(format!("{}.d", stem.strip_prefix("lib").unwrap_or(stem))),
            )
        }
        UnitKind::Script => {
            let mut files = std::fs::read_dir(&unit.linked_in)
                .ok()?
                .filter_map(|entry| Some(entry.ok()?.path()));
            files.find(|path| path.extension().is_some_and(|extension| extension == "d"))
        }
        UnitKind::Binary => executable_notes_path(&unit.path, &unit.linked_in),
    }
}

fn executable_notes_path(executable: &Path, linked_in: &Path) -> Option<PathBuf> {
    let prefix = format!("{}-", executable.file_name()?.to_str()?.replace('-', "_"));
    let entries = std::fs::read_dir(linked_in).ok()?;
    let mut candidates: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    candidates.retain(|path| {
        path.extension().is_none()
            && path
                .file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with(&prefix))
    });
    let linked = candidates
        .iter()
        .find(|path| is_same_file(path, executable))
        .cloned();
    // cargo may copy instead of hard-linking: then take the newest candidate of the same size.
    let size = std::fs::metadata(executable).ok()?.len();
    let newest = || {
        let same_size = candidates
            .iter()
            .filter_map(|path| Some((path, std::fs::metadata(path).ok()?)));
        same_size
            .filter(|(_, file)| file.len() == size)
            .max_by_key(|(_, file)| file.modified().ok())
            .map(|(path, _)| path.clone())
    };
    Some(linked.or_else(newest)?.with_extension("d"))
}

#[cfg(unix)]
fn is_same_file(a: &Path, b: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let identity = |path: &Path| {
        std::fs::metadata(path)
            .map(|file| (file.dev(), file.ino()))
            .ok()
    };
    identity(a).is_some() && identity(a) == identity(b)
}

#[cfg(not(unix))]
fn is_same_file(_: &Path, _: &Path) -> bool {
    false
}

/// The variables that `env!` and `option_env!` read.
pub(super) fn variables(text: &str) -> impl Iterator<Item = &str> {
    let named = text
        .lines()
        .filter_map(|line| line.strip_prefix("# env-dep:"));
    named.map(|variable| variable.split_once('=').map_or(variable, |(name, _)| name))
}

/// The variables of `rerun-if-env-changed` in a build script's output.
pub(super) fn watched_variables(output: &str) -> impl Iterator<Item = &str> {
    directives(output, "rerun-if-env-changed=")
}

/// The files and directories of `rerun-if-changed` in a build script's output.
pub(super) fn watched_paths(output: &str) -> impl Iterator<Item = &str> {
    directives(output, "rerun-if-changed=")
}

fn directives<'a>(output: &'a str, key: &'static str) -> impl Iterator<Item = &'a str> {
    output.lines().filter_map(move |line| {
        let line = line
            .strip_prefix("cargo::")
            .or_else(|| line.strip_prefix("cargo:"))?;
        line.strip_prefix(key).map(str::trim)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_with_spaces_and_backslashes_are_parsed() {
        let text = "/t/release/app: /ws/src/main.rs /ws/my\\ config.txt /ws/odd\\name.txt\n\n/ws/src/main.rs:\n";
        assert_eq!(
            files(text),
            ["/ws/src/main.rs", "/ws/my config.txt", "/ws/odd\\name.txt"]
        );
        assert!(files("").is_empty());
        assert!(files("/t/release/app:\n").is_empty());
    }

    #[test]
    fn variables_are_read_with_and_without_a_value() {
        let text = "a: b\n\n# env-dep:SET=1=2\n# env-dep:UNSET\n# checksum:x\n";
        assert_eq!(variables(text).collect::<Vec<_>>(), ["SET", "UNSET"]);
    }

    #[test]
    fn directives_with_one_and_two_colons_are_parsed() {
        let text = "cargo:rerun-if-env-changed=OLD\ncargo::rerun-if-env-changed=NEW\ncargo::rerun-if-changed=build.rs\nhello\n";
        assert_eq!(watched_variables(text).collect::<Vec<_>>(), ["OLD", "NEW"]);
        assert_eq!(watched_paths(text).collect::<Vec<_>>(), ["build.rs"]);
    }
}
