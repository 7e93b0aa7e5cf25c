//! The parts of a crate that have to fit together so that it can use the references of its images.

use std::path::{Path, PathBuf};

use super::check::Check;
use crate::pipeline::context::UnionPackage;
use crate::sys::fs;
use crate::workspace::{DependencyKind, WorkspacePackage};

const AREA: &str = "build.rs";
/// The file that `union-build` generates, as a crate includes it.
const GENERATED: &str = "union_images.rs";
/// Larger files are not searched.
const LARGEST: u64 = 1 << 20;

/// Checks each package that includes the references.
pub(super) fn check(packages: &[UnionPackage]) -> Vec<Check> {
    let checks = packages.iter().map(|package| &package.package);
    let checks: Vec<Check> = checks.filter_map(check_package).collect();
    if !checks.is_empty() {
        return checks;
    }
    let detail = format!("no chosen package includes {GENERATED}, so nothing is needed");
    vec![if packages.is_empty() {
        Check::skipped(
            AREA,
            "references",
            "no package is known that could use them",
        )
    } else {
        Check::ok(AREA, "references", detail)
    }]
}

/// The check of a package; `None` if no file in its `src` includes the references.
fn check_package(package: &WorkspacePackage) -> Option<Check> {
    let name = package.name.as_str();
    let mut sources = Vec::new();
    list_sources(&package.directory.join("src"), &mut sources);
    let user = sources.iter().find(|file| contains(file, GENERATED))?;
    let shown = user
        .strip_prefix(&package.directory)
        .unwrap_or(user)
        .display();
    let version = env!("CARGO_PKG_VERSION");
    let dependency = package.dependencies.iter().find(|dependency| {
        dependency.name == "union-build" && dependency.kind == DependencyKind::Build
    });
    let Some(dependency) = dependency else {
        return Some(Check::error(
            AREA,
            name,
            format!(
                "`{shown}` includes {GENERATED}, but `[build-dependencies]` has no `union-build`"
            ),
            format!("Run `cargo add --build union-build@{version} -p {name}`."),
        ));
    };
    let script = build_script(package);
    let crate_name = dependency.rename.as_ref().unwrap_or(&dependency.name);
    let crate_name = crate_name.replace('-', "_");
    let call = format!("{crate_name}::emit");
    // The function may be imported under another name.
    if !contains(&script, &crate_name) {
        let detail = format!(
            "`{shown}` includes {GENERATED}, but `{}` does not call `{call}`",
            script
                .strip_prefix(&package.directory)
                .unwrap_or(&script)
                .display()
        );
        let help = format!("Call `{call}();` in the `main` of that file.");
        return Some(Check::error(AREA, name, detail, help));
    }
    if !dependency.accepts(version) {
        let detail = format!(
            "the crate uses union-build {}, and this is cargo union {version}",
            dependency.requirement
        );
        let help = format!("Run `cargo add --build union-build@{version} -p {name}`.");
        return Some(Check::warning(AREA, name, detail, help));
    }
    let detail = format!("`{shown}` includes what `{call}` writes");
    Some(Check::ok(AREA, name, detail))
}

/// The file of the build script: `package.build`, or `build.rs`.
fn build_script(package: &WorkspacePackage) -> PathBuf {
    let manifest: Option<toml::Table> = package.manifest.text.parse().ok();
    let named = manifest.as_ref().and_then(|manifest| {
        let build = manifest.get("package")?.get("build")?;
        build.as_str()
    });
    package.directory.join(named.unwrap_or("build.rs"))
}

fn list_sources(directory: &Path, files: &mut Vec<PathBuf>) {
    // A directory that cannot be read is reported by the compile.
    let mut entries: Vec<PathBuf> = std::fs::read_dir(directory)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    entries.sort();
    for path in entries {
        let Ok(data) = path.symlink_metadata() else {
            continue;
        };
        if data.is_dir() {
            list_sources(&path, files);
        } else if path.extension().is_some_and(|end| end == "rs") && data.len() <= LARGEST {
            files.push(path);
        }
    }
}

fn contains(file: &Path, text: &str) -> bool {
    fs::read_to_string(file).is_ok_and(|content| content.contains(text))
}
