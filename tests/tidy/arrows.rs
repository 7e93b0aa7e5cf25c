//! Who may name whom.
//!
//! Words flow `main → cli → settings → command`, and each of these names only what it takes them from:
//! `settings` reads `cli`, `command` reads `settings`, and nobody else knows either. Below them the arrows
//! are plain: `command → run → deploy → pipeline → {workspace, build, publish, copilot, flyte} → engine → image → sys`,
//! `{publish, flyte} → http → sys`, and `command → ui`.

use crate::source::{File, Place, places};

/// What each room of the crate may name, besides itself.
const ROOMS: &[(&str, &[&str])] = &[
    ("main", &[]),
    ("lib", &["cli", "settings", "command", "ui", "sys", "exit"]),
    ("exit", &[]),
    ("cli", &[]),
    ("settings", &["cli", "pipeline", "deploy", "run", "workspace", "ui", "image", "sys"]),
    ("command", &["settings", "pipeline", "deploy", "run", "workspace", "build", "publish", "flyte", "ui", "image", "sys", "exit"]),
    ("run", &["pipeline", "deploy", "workspace", "build", "copilot", "flyte", "engine", "sys"]),
    ("deploy", &["pipeline", "workspace", "build", "publish", "flyte", "image", "sys"]),
    ("pipeline", &["workspace", "build", "publish", "flyte", "engine", "image", "sys"]),
    ("ui", &["pipeline", "run", "workspace", "build", "publish", "flyte", "image", "sys"]),
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

/// Rooms that see the nouns only from the door: the types of their `mod.rs`, such as `Reporter`.
const AT_THE_DOOR: &[&str] = &["settings", "ui"];
const NOUNS: &[&str] = &["workspace", "build", "publish", "copilot", "flyte"];

/// Where a file of `cargo-union/src` names a room that it must not know.
pub(crate) fn problems(file: &File) -> Vec<String> {
    let module = module(&file.path);
    let room = module.first().map_or_else(|| root(&file.path), String::as_str);
    let Some((_, known)) = ROOMS.iter().find(|(name, _)| *name == room) else {
        return vec![file.problem(1, format!("the room `{room}` has no arrows; say in tests/tidy/arrows.rs whom it may know"))];
    };
    let mut problems = Vec::new();
    for place in places(file.tokens()) {
        if AT_THE_DOOR.contains(&room) && goes_in(&place.words) {
            problems.push(file.problem(
                place.line,
                format!("`{room}` sees `{}` from the door only: its `Reporter` and the types beside it", place.words[0]),
            ));
        }
        let Some(path) = from_the_crate(&module, &place) else { continue };
        let Some(other) = path.first().filter(|other| ROOMS.iter().any(|(name, _)| name == other)) else { continue };
        if other == room {
            continue;
        }
        if !known.contains(&other.as_str()) {
            problems.push(file.problem(place.line, format!("`{room}` must not know `{other}`")));
        } else if AT_THE_DOOR.contains(&room) && goes_in(&path) {
            problems.push(
                file.problem(place.line, format!("`{room}` sees `{other}` from the door only: its `Reporter` and the types beside it")),
            );
        }
    }
    problems
}

/// `publish::registry` goes in, `publish::Reporter` and `publish` alone do not.
fn goes_in(path: &[String]) -> bool {
    NOUNS.contains(&path[0].as_str()) && path.get(1).is_some_and(|name| name.starts_with(char::is_lowercase))
}

/// `main` or `lib`, for the two files that are no room.
fn root(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default().trim_end_matches(".rs")
}

/// The module that a file is: `cargo-union/src/build/native/mod.rs` is `build::native`.
pub(crate) fn module(path: &str) -> Vec<String> {
    let below = path.trim_start_matches("cargo-union/src/").trim_end_matches(".rs");
    let words = below.split('/').filter(|word| !matches!(*word, "mod" | "main" | "lib"));
    words.map(str::to_owned).collect()
}

/// A path that starts at this crate, seen from its root; `None` when it leads elsewhere.
pub(crate) fn from_the_crate(module: &[String], place: &Place) -> Option<Vec<String>> {
    if matches!(place.words[0].as_str(), "crate" | "cargo_union") {
        return Some(place.words[1..].to_vec());
    }
    let up = place.words.iter().take_while(|word| *word == "super").count();
    // Modules inside of the file are a level of their own, whatever their names.
    let kept = (module.len() + place.depth).checked_sub(up)?;
    (up > 0 && kept <= module.len()).then(|| module[..kept].iter().chain(&place.words[up..]).cloned().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(path: &str, text: &str) -> Vec<String> {
        problems(&File::new(&format!("cargo-union/src/{path}"), text))
    }

    #[test]
    fn a_room_that_knows_another_is_reported() {
        assert_eq!(
            of("build/native.rs", "\nuse crate::publish::Target;"),
            ["cargo-union/src/build/native.rs:2: `build` must not know `publish`"]
        );
        for (path, text) in [
            ("build/mod.rs", "use crate::{sys, ui::Status};"),
            ("publish/auth/mod.rs", "fn a() { crate::settings::get() }"),
            ("workspace/a.rs", "use super::super::cli;"),
            ("workspace/mod.rs", "use super::cli;"),
            ("image/mod.rs", "mod tests { use super::super::build::Recipe; }"),
            ("command/build.rs", "use crate::cli::Build;"),
            ("settings/mod.rs", "use crate::command::build;"),
            ("run/local/mod.rs", "use crate::ui::Ui;"),
            ("run/remote/mod.rs", "use crate::settings::RemoteRunOptions;"),
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
            assert_eq!(of(path, text).len(), 1, "{path}: {text}");
        }
    }

    #[test]
    fn those_below_may_be_known() {
        for (path, text) in [
            ("build/native.rs", "use crate::image::Image; use super::Recipe; use super::super::sys::fs; use toml::build;"),
            ("sys/cache.rs", "use crate::sys::digest::Digest; use super::error;"),
            ("command/build.rs", "use crate::{build::Builder, publish::Publisher, ui};"),
            ("ui/progress.rs", "use crate::publish::{Reporter, Transfer}; use crate::build; impl build::Reporter for A {}"),
            ("settings/mod.rs", "use crate::cli; use crate::workspace::Selection;"),
            ("image/mod.rs", "mod tests { use super::Image; }"),
            ("lib.rs", "pub mod sys; pub mod build;"),
        ] {
            assert_eq!(of(path, text), [""; 0], "{path}");
        }
    }
}
