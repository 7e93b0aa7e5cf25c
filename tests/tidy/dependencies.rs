//! The allowed dependencies between the modules of `cargo-union`.
//!
//! `settings` reads `cli`, `command` reads `settings`, and no other module depends on either: `main → cli → settings →
//! command`. The other dependencies are listed in [`MODULES`]: `command → {pipeline, deploy, run, doctor} → {attest,
//! workspace, build, publish, copilot, flyte} → engine → image → sys`, `{run, doctor} → deploy → pipeline`, `command →
//! scaffold → pipeline`, `{publish, flyte} → http → sys`, and `command → ui`.

use crate::source::{File, Place, places};

/// Each top-level module of the crate, and the modules that it may use.
const MODULES: &[(&str, &[&str])] = &[
    ("main", &[]),
    ("lib", &["cli", "settings", "command", "ui", "sys", "exit"]),
    ("exit", &[]),
    ("cli", &[]),
    (
        "settings",
        &[
            "cli",
            "pipeline",
            "deploy",
            "run",
            "scaffold",
            "workspace",
            "ui",
            "image",
            "sys",
        ],
    ),
    (
        "command",
        &[
            "settings",
            "pipeline",
            "deploy",
            "doctor",
            "run",
            "scaffold",
            "workspace",
            "build",
            "publish",
            "flyte",
            "ui",
            "image",
            "sys",
            "exit",
        ],
    ),
    (
        "doctor",
        &[
            "pipeline",
            "deploy",
            "workspace",
            "build",
            "publish",
            "flyte",
            "engine",
            "image",
            "sys",
        ],
    ),
    (
        "run",
        &[
            "pipeline",
            "deploy",
            "workspace",
            "build",
            "copilot",
            "flyte",
            "engine",
            "sys",
        ],
    ),
    (
        "deploy",
        &[
            "pipeline",
            "workspace",
            "build",
            "publish",
            "flyte",
            "image",
            "sys",
        ],
    ),
    ("scaffold", &["pipeline", "workspace", "sys"]),
    (
        "pipeline",
        &[
            "attest",
            "workspace",
            "build",
            "publish",
            "flyte",
            "engine",
            "image",
            "sys",
        ],
    ),
    (
        "ui",
        &[
            "pipeline",
            "doctor",
            "run",
            "workspace",
            "build",
            "publish",
            "flyte",
            "image",
            "sys",
        ],
    ),
    ("attest", &["image", "sys"]),
    ("workspace", &["image", "sys"]),
    ("build", &["engine", "image", "sys"]),
    ("publish", &["engine", "http", "image", "sys"]),
    ("copilot", &["sys"]),
    ("flyte", &["http", "image", "sys"]),
    ("engine", &["image", "sys"]),
    ("http", &["sys"]),
    ("image", &["sys"]),
    ("sys", &[]),
];

/// Modules that may use only the items of a capability's `mod.rs`, such as `Reporter`, and not its submodules.
const WITHOUT_SUBMODULES: &[&str] = &["settings", "ui"];
const CAPABILITIES: &[&str] = &[
    "attest",
    "workspace",
    "build",
    "publish",
    "copilot",
    "flyte",
];

/// The forbidden dependencies of a file of `cargo-union/src`.
pub(crate) fn problems(file: &File) -> Vec<String> {
    let module = module(&file.path);
    let name = module
        .first()
        .map_or_else(|| root(&file.path), String::as_str);
    let Some((_, allowed)) = MODULES.iter().find(|(module, _)| *module == name) else {
        return vec![file.problem(
            1,
            format!("module `{name}` is not listed in tests/tidy/dependencies.rs"),
        )];
    };
    let mut problems = Vec::new();
    for place in places(file.tokens()) {
        if WITHOUT_SUBMODULES.contains(&name) && is_in_submodule(&place.words) {
            problems.push(file.problem(
                place.line,
                format!(
                    "`{name}` may use only the items of `{}` itself, not its submodules",
                    place.words[0]
                ),
            ));
        }
        let Some(path) = path_in_crate(&module, &place) else {
            continue;
        };
        let Some(other) = path
            .first()
            .filter(|other| MODULES.iter().any(|(module, _)| module == other))
        else {
            continue;
        };
        if other == name {
            continue;
        }
        if !allowed.contains(&other.as_str()) {
            problems
                .push(file.problem(place.line, format!("`{name}` must not depend on `{other}`")));
        } else if WITHOUT_SUBMODULES.contains(&name) && is_in_submodule(&path) {
            problems.push(file.problem(
                place.line,
                format!("`{name}` may use only the items of `{other}` itself, not its submodules"),
            ));
        }
    }
    problems
}

/// Whether a path leads into a submodule of a capability: `publish::registry`, but not `publish::Reporter` and `publish`.
fn is_in_submodule(path: &[String]) -> bool {
    CAPABILITIES.contains(&path[0].as_str())
        && path
            .get(1)
            .is_some_and(|name| name.starts_with(char::is_lowercase))
}

/// `main` or `lib`, for the two files that are not in a module.
fn root(path: &str) -> &str {
    path.rsplit('/')
        .next()
        .unwrap_or_default()
        .trim_end_matches(".rs")
}

/// The module path of a file: `build::native` for `cargo-union/src/build/native/mod.rs`.
pub(crate) fn module(path: &str) -> Vec<String> {
    let below = path
        .trim_start_matches("cargo-union/src/")
        .trim_start_matches("union-build/src/")
        .trim_end_matches(".rs");
    let words = below
        .split('/')
        .filter(|word| !matches!(*word, "mod" | "main" | "lib"));
    words.map(str::to_owned).collect()
}

/// The path of a place relative to the crate root; `None` when it does not start in this crate.
pub(crate) fn path_in_crate(module: &[String], place: &Place) -> Option<Vec<String>> {
    if matches!(place.words[0].as_str(), "crate" | "cargo_union") {
        return Some(place.words[1..].to_vec());
    }
    let up = place
        .words
        .iter()
        .take_while(|word| *word == "super")
        .count();
    // Inline modules of the file count as levels; their names do not matter.
    let depth = (module.len() + place.depth).checked_sub(up)?;
    (up > 0 && depth <= module.len()).then(|| {
        module[..depth]
            .iter()
            .chain(&place.words[up..])
            .cloned()
            .collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems_of(path: &str, text: &str) -> Vec<String> {
        problems(&File::new(&format!("cargo-union/src/{path}"), text))
    }

    #[test]
    fn forbidden_dependencies_are_reported() {
        assert_eq!(
            problems_of("build/native.rs", "\nuse crate::publish::Target;"),
            ["cargo-union/src/build/native.rs:2: `build` must not depend on `publish`"]
        );
        for (path, text) in [
            ("build/mod.rs", "use crate::{sys, ui::Status};"),
            ("publish/auth/mod.rs", "fn a() { crate::settings::get() }"),
            ("workspace/a.rs", "use super::super::cli;"),
            ("workspace/mod.rs", "use super::cli;"),
            (
                "image/mod.rs",
                "mod tests { use super::super::build::Recipe; }",
            ),
            ("command/build.rs", "use crate::cli::Build;"),
            ("settings/mod.rs", "use crate::command::build;"),
            ("run/local/mod.rs", "use crate::ui::Ui;"),
            (
                "run/remote/mod.rs",
                "use crate::settings::RemoteRunOptions;",
            ),
            ("deploy/project.rs", "use crate::run::Reporter;"),
            ("cli/mod.rs", "use crate::settings;"),
            ("sys/fs.rs", "use crate::image::Image;"),
            ("http/mod.rs", "use crate::publish::Reporter;"),
            ("flyte/mod.rs", "use crate::publish::auth::Login;"),
            ("publish/mod.rs", "use crate::flyte::config;"),
            ("build/native.rs", "use crate::http::Transport;"),
            ("ui/progress.rs", "use crate::publish::registry::Client;"),
            ("ui/progress.rs", "fn a() { publish::registry::get() }"),
            ("main.rs", "use cargo_union::publish::Target;"),
            ("imp/mod.rs", ""),
        ] {
            assert_eq!(problems_of(path, text).len(), 1, "{path}: {text}");
        }
    }

    #[test]
    fn allowed_dependencies_are_accepted() {
        for (path, text) in [
            (
                "build/native.rs",
                "use crate::image::Image; use super::Recipe; use super::super::sys::fs; use toml::build;",
            ),
            (
                "sys/cache.rs",
                "use crate::sys::digest::Digest; use super::error;",
            ),
            (
                "command/build.rs",
                "use crate::{build::Builder, publish::Publisher, ui};",
            ),
            (
                "ui/progress.rs",
                "use crate::publish::{Reporter, Transfer}; use crate::build; impl build::Reporter for A {}",
            ),
            (
                "settings/mod.rs",
                "use crate::cli; use crate::workspace::Selection;",
            ),
            ("image/mod.rs", "mod tests { use super::Image; }"),
            ("lib.rs", "pub mod sys; pub mod build;"),
        ] {
            assert_eq!(problems_of(path, text), [""; 0], "{path}");
        }
    }
}
