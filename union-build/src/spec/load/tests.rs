//! Loading manifests: valid specs and reported problems.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use super::*;
use crate::diag::Code;
use crate::spec::{Base, BuilderChoice, Sourced, TaskKind};

mod build_script;
mod copying;
mod image_defaults;
mod image_keys;
mod inheriting;
mod layers;
mod problems;
mod remote;
mod starter;
mod tasks;

/// A package in a workspace of its own, on disk.
struct Project {
    /// Deleted when the project is dropped.
    _root: TempDir,
    workspace: Option<String>,
    union: String,
    fallbacks: Vec<(&'static str, Sourced<String>)>,
    overrides: Vec<(&'static str, &'static str)>,
    env: Vec<(&'static str, &'static str)>,
    facts: PackageInfo,
}

impl Project {
    /// A package `app` in the directory `app` of a workspace; its manifest is `union`.
    fn new(union: &str) -> Self {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().canonicalize().unwrap();
        fs::create_dir(path.join("app")).unwrap();
        let facts = PackageInfo {
            package: "app".to_owned(),
            directory: path.join("app"),
            workspace_root: path,
            binaries: vec!["app".to_owned()],
            ..PackageInfo::default()
        };
        Self {
            _root: root,
            workspace: None,
            union: union.to_owned(),
            fallbacks: Vec::new(),
            overrides: Vec::new(),
            env: Vec::new(),
            facts,
        }
    }

    fn workspace(mut self, union: &str) -> Self {
        self.workspace = Some(union.to_owned());
        self
    }

    fn bins(mut self, bins: &[&str]) -> Self {
        self.facts.binaries = bins.iter().map(|bin| (*bin).to_owned()).collect();
        self
    }

    fn default_run(mut self, bin: &str) -> Self {
        self.facts.default_run = Some(bin.to_owned());
        self
    }

    fn flyte(mut self) -> Self {
        self.facts.depends_on_flyte = true;
        self
    }

    fn flag(mut self, flag: &'static str, value: &'static str) -> Self {
        self.overrides.push((flag, value));
        self
    }

    fn fallback(mut self, key: &'static str, value: &str, origin: Origin) -> Self {
        self.fallbacks.push((
            key,
            Sourced {
                value: value.to_owned(),
                origin,
            },
        ));
        self
    }

    fn env(mut self, name: &'static str, value: &'static str) -> Self {
        self.env.push((name, value));
        self
    }

    /// Moves the workspace's root to `ws`, beside the package.
    fn beside(mut self) -> Self {
        self.facts.workspace_root.push("ws");
        fs::create_dir(&self.facts.workspace_root).unwrap();
        self
    }

    /// Creates a file below the workspace's root.
    fn file(self, path: &str) -> Self {
        let path = self.facts.workspace_root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "content").unwrap();
        self
    }

    #[cfg(unix)]
    fn link(self, path: &str, target: impl AsRef<Path>) -> Self {
        let path = self.facts.workspace_root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(target, path).unwrap();
        self
    }

    fn root(&self) -> &Path {
        &self.facts.workspace_root
    }

    fn load(&self) -> (Option<Spec>, Vec<Diagnostic>, Vec<Setting>) {
        let workspace = self
            .workspace
            .as_ref()
            .map(|text| SourceFile::new(self.root().join("Cargo.toml"), text.clone()));
        let package = SourceFile::new(self.facts.directory.join("Cargo.toml"), self.union.clone());
        let lookup = |name: &str| {
            self.env
                .iter()
                .find(|(known, _)| *known == name)
                .map(|(_, value)| (*value).to_owned())
        };
        let overrides = Overrides::new(self.root().join("elsewhere")).env(lookup);
        let overrides = self
            .fallbacks
            .iter()
            .fold(overrides, |overrides, (key, value)| {
                overrides.fallback(key, value.clone())
            });
        let overrides = self
            .overrides
            .iter()
            .fold(overrides, |overrides, (flag, value)| {
                overrides.flag(flag, *value)
            });
        load(workspace.as_ref(), &package, &overrides, &self.facts)
    }

    /// The spec of a manifest without problems.
    fn spec(&self) -> Spec {
        let (spec, problems, _) = self.load();
        assert_eq!(problems, [], "{}", self.union);
        spec.unwrap()
    }

    /// The problems of a manifest with at least one.
    fn problems(&self) -> Vec<Diagnostic> {
        let (spec, problems, _) = self.load();
        assert!(!problems.is_empty(), "no problem in {}", self.union);
        assert_eq!(
            spec.is_none(),
            problems
                .iter()
                .any(|problem| problem.severity == Severity::Error)
        );
        problems
    }

    /// The value and the origin of one line of `cargo union config`; the origin relative to the workspace.
    fn setting(&self, key: &str) -> (String, String) {
        let (_, _, settings) = self.load();
        let setting = settings
            .iter()
            .find(|setting| setting.key == key)
            .unwrap_or_else(|| panic!("no {key} in {settings:#?}"));
        let root = format!("{}/", self.root().display());
        (
            setting.value.clone(),
            setting.origin.to_string().replace(&root, ""),
        )
    }
}

/// Asserts that a project has exactly one problem, with this code and place, containing this message and help.
fn assert_problem(project: &Project, code: Code, place: &str, message: &str, help: &str) {
    let problems = project.problems();
    let [problem] = &problems[..] else {
        panic!(
            "{} problems for {}: {problems:#?}",
            problems.len(),
            project.union
        )
    };
    let root = format!("{}/", project.root().display());
    let origin = problem.labels[0].origin.to_string().replace(&root, "");
    assert_eq!(
        (problem.code, origin.as_str()),
        (code, place),
        "{}: {}",
        project.union,
        problem.message
    );
    assert!(
        problem.message.contains(message),
        "`{}` lacks `{message}`",
        problem.message
    );
    let advice = problem.help.as_deref().unwrap_or_default();
    assert!(advice.contains(help), "`{advice}` lacks `{help}`");
}

/// A table below `[package.metadata.union]`, which is the first line.
fn table(lines: &str) -> Project {
    Project::new(&format!("[package.metadata.union]\n{lines}\n"))
}
