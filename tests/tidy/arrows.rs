//! `main → cli → settings → command → {workspace, build, publish} → image → base`, and `command → ui`.

use crate::source::{File, Place, places};

/// What each room of the crate may name, besides itself.
const ROOMS: &[(&str, &[&str])] = &[
    ("main", &["cli", "exit"]),
    ("lib", &[]),
    ("exit", &["base"]),
    ("cli", &["settings", "command", "ui", "image", "base", "exit"]),
    ("settings", &["command", "ui", "image", "base"]),
    ("command", &["workspace", "build", "publish", "ui", "image", "base"]),
    ("ui", &["workspace", "build", "publish", "image", "base"]),
    ("workspace", &["image", "base"]),
    ("build", &["image", "base"]),
    ("publish", &["image", "base"]),
    ("image", &["base"]),
    ("base", &["image"]),
];

/// Where a file of `cargo-union/src` names a room that it must not know.
pub(crate) fn problems(file: &File) -> Vec<String> {
    let module = module(&file.path);
    let room = module.first().map_or_else(|| root(&file.path), String::as_str);
    let Some((_, known)) = ROOMS.iter().find(|(name, _)| *name == room) else {
        return vec![file.problem(1, format!("the room `{room}` has no arrows; say in tests/tidy/arrows.rs whom it may know"))];
    };
    let mut problems = Vec::new();
    for place in places(file.tokens()) {
        let Some(path) = from_the_crate(&module, &place) else { continue };
        let Some(other) = path.first().filter(|other| ROOMS.iter().any(|(name, _)| name == other)) else { continue };
        if other == room {
            continue;
        }
        if !known.contains(&other.as_str()) {
            problems.push(file.problem(place.line, format!("`{room}` must not know `{other}`")));
        } else if room == "base" && path.get(1).is_none_or(|module| module != "digest") {
            problems.push(file.problem(place.line, "`base` knows nobody, save `image::digest`"));
        } else if room == "ui" && is_noun(other) && path.get(1).is_none_or(|name| !name.starts_with(char::is_uppercase)) {
            problems
                .push(file.problem(place.line, format!("`ui` sees `{other}` through its `Reporter` and the types that stand beside it")));
        }
    }
    problems
}

fn is_noun(room: &str) -> bool {
    matches!(room, "workspace" | "build" | "publish")
}

/// `main` or `lib`, for the two files that are no room.
fn root(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default().trim_end_matches(".rs")
}

/// The module that a file is: `cargo-union/src/build/native/mod.rs` is `build::native`.
fn module(path: &str) -> Vec<String> {
    let below = path.trim_start_matches("cargo-union/src/").trim_end_matches(".rs");
    let words = below.split('/').filter(|word| !matches!(*word, "mod" | "main" | "lib"));
    words.map(str::to_owned).collect()
}

/// A path that starts at this crate, seen from its root; `None` when it leads elsewhere.
fn from_the_crate(module: &[String], place: &Place) -> Option<Vec<String>> {
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
            ("build/mod.rs", "use crate::{base, ui::Status};"),
            ("publish/auth/mod.rs", "fn a() { crate::settings::get() }"),
            ("workspace/a.rs", "use super::super::cli;"),
            ("workspace/mod.rs", "use super::cli;"),
            ("image/mod.rs", "mod tests { use super::super::build::Recipe; }"),
            ("command/build.rs", "use crate::settings::Settings;"),
            ("base/fs.rs", "use crate::image::Image;"),
            ("ui/progress.rs", "use crate::publish::registry::Client;"),
            ("main.rs", "use cargo_union::publish::Target;"),
            ("imp/mod.rs", ""),
        ] {
            assert_eq!(of(path, text).len(), 1, "{path}: {text}");
        }
    }

    #[test]
    fn those_below_may_be_known() {
        for (path, text) in [
            ("build/native.rs", "use crate::image::Image; use super::Recipe; use super::super::base::fs; use toml::build;"),
            ("base/cache.rs", "use crate::image::digest::Digest; use super::error;"),
            ("command/build.rs", "use crate::{build::Builder, publish::Publisher, ui};"),
            ("ui/progress.rs", "use crate::publish::{Reporter, Transfer};"),
            ("image/mod.rs", "mod tests { use super::Image; }"),
            ("lib.rs", "pub mod base; pub mod build;"),
        ] {
            assert_eq!(of(path, text), [""; 0], "{path}");
        }
    }
}
