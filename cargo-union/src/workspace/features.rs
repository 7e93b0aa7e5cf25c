//! The features that cargo gives each package when one member of the workspace is compiled alone.
//!
//! cargo joins the features that all selected members want of a package. Members that would get the same features alone
//! are compiled together, and get the bytes that they would get alone.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;

use cargo_metadata::{Artifact, TargetKind};
use serde::{Deserialize, Serialize};
use union_build::key::{Inputs, Key};

use super::{CodeInputs, CompileSettings, Snapshot, WorkspacePackage};
use crate::sys::cache::Cache;

/// The features that each package of a closure is compiled with, by its name and version: one set, or several where a
/// build script or a macro needs another than the program.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Features {
    sets: BTreeMap<String, BTreeSet<String>>,
    /// Whether cargo has linked a library by itself: how optimized the libraries below it are depends on it.
    #[serde(skip)]
    has_linked_library: bool,
}

impl Features {
    /// Whether two packages give those that both are made from the same features.
    pub fn agree(&self, other: &Self) -> bool {
        self.sets.iter().all(|(package, sets)| other.sets.get(package).is_none_or(|others| others == sets))
    }

    /// Adds what another package is made from.
    pub fn extend(&mut self, other: &Self) {
        other.sets.iter().for_each(|(package, sets)| self.sets.entry(package.clone()).or_default().extend(sets.iter().cloned()));
    }

    /// Whether everything that cargo has compiled has the features that were expected of it.
    pub(super) fn are_kept_by(&self, compiled: &Self) -> bool {
        !compiled.has_linked_library && compiled.sets.iter().all(|(package, sets)| self.sets.get(package) == Some(sets))
    }

    /// Takes note of what cargo has compiled.
    pub(super) fn add(&mut self, artifact: &Artifact) {
        let of = |kind: TargetKind| artifact.target.kind.contains(&kind);
        // A build script has the features of its package, in whatever way that is compiled.
        if of(TargetKind::CustomBuild) {
            return;
        }
        self.has_linked_library |= [TargetKind::CDyLib, TargetKind::DyLib, TargetKind::StaticLib].into_iter().any(of);
        let package = name_and_version(&artifact.package_id.repr).unwrap_or_else(|| artifact.package_id.repr.clone());
        self.sets.entry(package).or_default().insert(joined(artifact.features.iter().map(String::as_str)));
    }

    /// Reads what `cargo tree` prints, a line a package: `name v1.0.0 (more)|feature,feature`.
    fn parse(text: &str) -> Self {
        let mut all = Self::default();
        for line in text.lines() {
            let Some((package, features)) = line.trim_end_matches(" (*)").rsplit_once('|') else { continue };
            let mut words = package.split(' ');
            let (Some(name), Some(version)) = (words.next(), words.next().and_then(|version| version.strip_prefix('v'))) else { continue };
            all.sets.entry(format!("{name} {version}")).or_default().insert(joined(features.split(',')));
        }
        all
    }
}

/// Features in one text, whatever their order was.
fn joined<'a>(features: impl Iterator<Item = &'a str>) -> String {
    let sorted: BTreeSet<&str> = features.filter(|feature| !feature.is_empty()).collect();
    sorted.into_iter().collect::<Vec<_>>().join(",")
}

/// `helper 0.1.0` of `path+file:///ws/helper#0.1.0` and of `registry+https://…#helper@0.1.0`.
fn name_and_version(id: &str) -> Option<String> {
    let (place, fragment) = id.split_once('#')?;
    Some(match fragment.split_once('@') {
        Some((name, version)) => format!("{name} {version}"),
        None => format!("{} {fragment}", place.split('?').next()?.trim_end_matches('/').rsplit('/').next()?),
    })
}

impl Snapshot<'_> {
    /// What cargo would compile for one package, without features of its own choice. `None` when it does not say.
    /// An answer is kept as long as manifests, Cargo.lock, settings and toolchain are as they were.
    pub async fn features(
        &self,
        package: &WorkspacePackage,
        settings: &CompileSettings,
        target: &str,
        inputs: &CodeInputs,
        cache: &Cache,
    ) -> Option<Features> {
        const KIND: &str = "features-1";
        let name = self.question(package, target, inputs).to_string();
        if let Some(known) = cache.note(KIND, &name) {
            return Some(known);
        }
        let mut command = self.cargo.command(&self.workspace.root, &self.environment(settings));
        let mut arguments: Vec<OsString> = vec!["tree".into(), "--quiet".into(), "--color".into(), "never".into()];
        arguments.extend(self.cargo.lock_flags());
        arguments.extend(["--package", &package.id, "--target", target, "--edges", "normal,build"].map(OsString::from));
        arguments.extend(["--prefix", "none", "--format", "{p}|{f}"].map(OsString::from));
        arguments.extend((!settings.default_features).then(|| "--no-default-features".into()));
        command.args(arguments);
        let printed = command.output().await.ok()?.success().ok()?;
        let features = Features::parse(&String::from_utf8_lossy(&printed));
        if features.sets.is_empty() {
            return None;
        }
        // What cannot be kept is asked again.
        drop(cache.put_note(KIND, &name, &features));
        Some(features)
    }

    /// Everything that the answer depends on.
    fn question(&self, package: &WorkspacePackage, target: &str, inputs: &CodeInputs) -> Key {
        let matters = |name: &str| {
            ["features", "default-features", "rustc", "rustflags", "Cargo.lock"].contains(&name)
                || name.ends_with("Cargo.toml")
                || name.starts_with("Cargo.toml: ")
                || name.starts_with("cargo config")
                || name.starts_with("build.env.")
        };
        let mut question = Inputs::new();
        inputs.inputs.iter().filter(|(name, _)| matters(name)).for_each(|(name, value)| question.insert(name, value.clone()));
        question.insert("package", package.name.as_str());
        question.insert("target", target);
        question.key("features")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn features(text: &str) -> Features {
        Features::parse(text)
    }

    #[test]
    fn what_cargo_prints_is_read() {
        let read =
            features("app v0.1.0 (/ws/app)|\nserde v1.0.0|std,derive\nserde v1.0.0|\nmacros v2.0.0 (proc-macro)|default (*)\n\nodd\n");
        let all: Vec<(&str, Vec<&str>)> =
            read.sets.iter().map(|(name, sets)| (name.as_str(), sets.iter().map(String::as_str).collect())).collect();
        assert_eq!(all, [("app 0.1.0", vec![""]), ("macros 2.0.0", vec!["default"]), ("serde 1.0.0", vec!["", "derive,std"])]);
    }

    #[test]
    fn what_was_compiled_with_other_features_is_seen() {
        let expected = features("app v1.0.0|\nserde v1.0.0|std\nserde v1.0.0|\nonly-here v1.0.0|\n");
        assert!(expected.are_kept_by(&features("app v1.0.0|\nserde v1.0.0|\nserde v1.0.0|std\n")));
        assert!(!expected.are_kept_by(&features("app v1.0.0|\nserde v1.0.0|std\n")));
        assert!(!expected.are_kept_by(&features("app v1.0.0|x\n")));
        assert!(!expected.are_kept_by(&features("other v1.0.0|\n")));
        assert!(!expected.are_kept_by(&Features { has_linked_library: true, ..Features::default() }));
    }

    #[test]
    fn members_agree_when_what_they_share_is_the_same() {
        let one = features("app v1.0.0|\nserde v1.0.0|std\n");
        assert!(one.agree(&features("b v1.0.0|\nserde v1.0.0|std\n")));
        assert!(!one.agree(&features("b v1.0.0|\nserde v1.0.0|std,derive\n")));
        assert!(one.agree(&features("b v1.0.0|\nserde v2.0.0|derive\n")));
    }

    #[test]
    fn a_package_id_says_name_and_version() {
        for (id, name) in [
            ("path+file:///ws/helper#0.1.0", Some("helper 0.1.0")),
            ("path+file:///ws/folder#helper@0.1.0", Some("helper 0.1.0")),
            ("registry+https://example.com/index#serde@1.0.0", Some("serde 1.0.0")),
            ("git+https://example.com/a/b?branch=x#1.0.0", Some("b 1.0.0")),
            ("odd", None),
        ] {
            assert_eq!(name_and_version(id).as_deref(), name);
        }
    }
}
