//! Free space where a build writes.

use std::path::Path;

use super::check::Check;
use crate::pipeline::options::WorkspaceOptions;
use crate::sys::{disk, words};
use crate::workspace::Workspace;

const AREA: &str = "disk";
/// Below this number of bytes hardly any crate can be compiled.
const LEAST: u64 = 100_000_000;
/// Below this number of bytes a first build may fail.
const COMFORTABLE: u64 = 2_000_000_000;

/// Checks the disks of the target directory and of the cache.
pub(super) fn check(options: &WorkspaceOptions, workspace: Option<&Workspace>) -> Vec<Check> {
    let target = match (&options.cargo.target_dir, workspace) {
        (Some(directory), _) => check_directory("target directory", directory),
        (None, Some(workspace)) => check_directory("target directory", &workspace.target_directory),
        (None, None) => Check::skipped(AREA, "target directory", "there is no workspace"),
    };
    vec![target, check_directory("cache", options.cache.directory())]
}

fn check_directory(name: &str, directory: &Path) -> Check {
    let existing = directory.ancestors().find(|path| path.is_dir());
    match existing.map(disk::free_bytes) {
        Some(Ok(free)) => of_free_bytes(name, directory, free),
        Some(Err(cause)) => Check::skipped(
            AREA,
            name,
            format!(
                "could not ask for the free space of `{}`: {cause}",
                directory.display()
            ),
        ),
        None => Check::skipped(
            AREA,
            name,
            format!("no part of `{}` exists", directory.display()),
        ),
    }
}

fn of_free_bytes(name: &str, directory: &Path, free: u64) -> Check {
    let detail = format!("{} free at `{}`", words::bytes(free), directory.display());
    let help = match name {
        "cache" => "Free some space, or set UNION_CACHE_DIR to a directory on another disk.",
        _ => {
            "Free some space (`cargo clean` empties the target directory), or use another `build.target-dir`."
        }
    };
    if free < LEAST {
        Check::error(AREA, name, detail, help)
    } else if free < COMFORTABLE {
        Check::warning(AREA, name, detail, help)
    } else {
        Check::ok(AREA, name, detail)
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::CheckStatus;
    use super::*;

    #[test]
    fn little_free_space_is_a_warning_and_next_to_none_an_error() {
        for (free, status) in [
            (0, CheckStatus::Error),
            (LEAST, CheckStatus::Warning),
            (COMFORTABLE - 1, CheckStatus::Warning),
            (COMFORTABLE, CheckStatus::Ok),
        ] {
            let check = of_free_bytes("cache", Path::new("/cache"), free);
            assert_eq!(
                (check.status, check.help.is_none()),
                (status, status == CheckStatus::Ok)
            );
        }
    }
}
