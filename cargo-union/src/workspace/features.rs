//! The features that cargo activates for each package when one member of the workspace is compiled alone.
//!
//! cargo unifies the features of a package over all selected members. Members that need the same features alone can be
//! compiled together without changing the resulting bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;

use cargo_metadata::{Artifact, TargetKind};
use serde::{Deserialize, Serialize};
use union_build::key::{Inputs, Key};

use super::{CodeInputs, CompileSettings, Snapshot, WorkspacePackage};
use crate::sys::cache::Cache;
use crate::sys::process::ProcessCommand;

/// The features of each package in a dependency closure, by name and version: one set, or several where a build script
/// or a macro needs other features than the program.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Features {
    sets: BTreeMap<String, BTreeSet<String>>,
    /// Whether cargo has linked a dynamic or static library, which changes the optimization of its dependencies.
    #[serde(skip)]
    has_linked_library: bool,
}

impl Features {
    /// Whether two closures have the same features for each package that both contain.
    pub fn agree(&self, other: &Self) -> bool {
        self.sets
            .iter()
            .all(|(package, sets)| other.sets.get(package).is_none_or(|others| others == sets))
    }

    /// Adds the features of another closure.
    pub fn extend(&mut self, other: &Self) {
        other.sets.iter().for_each(|(package, sets)| {
            self.sets
                .entry(package.clone())
                .or_default()
                .extend(sets.iter().cloned())
        });
    }

    /// Whether every package that cargo has compiled has these features.
    pub(super) fn match_compiled(&self, compiled: &Self) -> bool {
        !compiled.has_linked_library
            && compiled
                .sets
                .iter()
                .all(|(package, sets)| self.sets.get(package) == Some(sets))
    }

    /// Adds a compiled artifact.
    pub(super) fn add(&mut self, artifact: &Artifact) {
        let has_kind = |kind: TargetKind| artifact.target.kind.contains(&kind);
        // A build script has the features of its package.
        if has_kind(TargetKind::CustomBuild) {
            return;
        }
        self.has_linked_library |= [TargetKind::CDyLib, TargetKind::DyLib, TargetKind::StaticLib]
            .into_iter()
            .any(has_kind);
        let package = name_and_version(&artifact.package_id.repr)
            .unwrap_or_else(|| artifact.package_id.repr.clone());
        self.sets
            .entry(package)
            .or_default()
            .insert(join_sorted(artifact.features.iter().map(String::as_str)));
    }

    /// Parses the output of `cargo tree`, one package a line: `name v1.0.0 (more)|feature,feature`.
    fn parse(text: &str) -> Self {
        let mut all = Self::default();
        for line in text.lines() {
            let Some((package, features)) = line.trim_end_matches(" (*)").rsplit_once('|') else {
                continue;
            };
            let mut words = package.split(' ');
            let (Some(name), Some(version)) = (
                words.next(),
                words.next().and_then(|version| version.strip_prefix('v')),
            ) else {
                continue;
            };
            all.sets
                .entry(format!("{name} {version}"))
                .or_default()
                .insert(join_sorted(features.split(',')));
        }
        all
    }
}

/// Features in one text, sorted.
fn join_sorted<'a>(features: impl Iterator<Item = &'a str>) -> String {
    let sorted: BTreeSet<&str> = features.filter(|feature| !feature.is_empty()).collect();
    sorted.into_iter().collect::<Vec<_>>().join(",")
}

/// `helper 0.1.0` of `path+file:///ws/helper#0.1.0` and of `registry+https://…#helper@0.1.0`.
fn name_and_version(id: &str) -> Option<String> {
    let (place, fragment) = id.split_once('#')?;
    Some(match fragment.split_once('@') {
        Some((name, version)) => format!("{name} {version}"),
        None => format!(
            "{} {fragment}",
            place
                .split('?')
                .next()?
                .trim_end_matches('/')
                .rsplit('/')
                .next()?
        ),
    })
}

impl Snapshot<'_> {
    /// The features for a package alone, by `cargo tree` without selected features; `None` when it fails. Cached until
    /// manifests, Cargo.lock, settings or toolchain change.
    pub async fn features(
        &self,
        package: &WorkspacePackage,
        settings: &CompileSettings,
        target: &str,
        inputs: &CodeInputs,
        cache: &Cache,
    ) -> Option<Features> {
        const KIND: &str = "features-1";
        let name = self.features_key(package, target, inputs).to_string();
        if let Some(known) = cache.note(KIND, &name) {
            return Some(known);
        }
        let options = ["--prefix", "none", "--format", "{p}|{f}"];
        let command = self.tree(package, settings, target, &options);
        let printed = command.output().await.ok()?.success().ok()?;
        let features = Features::parse(&String::from_utf8_lossy(&printed));
        if features.sets.is_empty() {
            return None;
        }
        // If the result cannot be cached, the next run determines it again.
        drop(cache.put_note(KIND, &name, &features));
        Some(features)
    }

    /// `cargo tree` for a package that is compiled alone.
    pub(super) fn tree(
        &self,
        package: &WorkspacePackage,
        settings: &CompileSettings,
        target: &str,
        options: &[&str],
    ) -> ProcessCommand {
        let mut command = self
            .cargo
            .command(&self.workspace.root, &self.environment(settings));
        let mut arguments: Vec<OsString> = vec!["tree".into()];
        arguments.extend(self.cargo.lock_flags());
        let fixed = ["--quiet", "--color", "never", "--edges", "normal,build"];
        let subject = ["--package", &package.id, "--target", target];
        arguments.extend(
            fixed
                .iter()
                .chain(&subject)
                .chain(options)
                .map(OsString::from),
        );
        arguments.extend((!settings.default_features).then(|| "--no-default-features".into()));
        command.args(arguments);
        command
    }

    /// The cache key: everything that the features depend on.
    pub(super) fn features_key(
        &self,
        package: &WorkspacePackage,
        target: &str,
        inputs: &CodeInputs,
    ) -> Key {
        let matters = |name: &str| {
            [
                "features",
                "default-features",
                "rustc",
                "rustflags",
                "Cargo.lock",
            ]
            .contains(&name)
                || name.ends_with("Cargo.toml")
                || name.starts_with("Cargo.toml: ")
                || name.starts_with("cargo config")
                || name.starts_with("build.env.")
        };
        let mut relevant = Inputs::new();
        inputs
            .inputs
            .iter()
            .filter(|(name, _)| matters(name))
            .for_each(|(name, value)| relevant.insert(name, value.clone()));
        relevant.insert("package", package.name.as_str());
        relevant.insert("target", target);
        relevant.key("features")
    }
}

#[cfg(test)]
mod tests;
