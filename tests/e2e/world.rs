//! What the end-to-end tests share: a base in a registry, projects that push there, one engine.

use std::path::{Path, PathBuf};
use std::process::Command;

use union_tests::Project;
use union_tests::base::{debian_layout, push};
use union_tests::engine::Engine;
use union_tests::registry::Registry;

/// The name of the default base below its mirror.
pub(crate) const BASE: &str = "distroless/cc-debian13:latest";

/// An open registry that has the default base.
pub(crate) fn registry_with_base() -> Registry {
    let registry = Registry::open();
    push(&debian_layout(), &format!("{}/{BASE}", registry.host()));
    registry
}

/// The `union` table of a package whose bases and images are in one registry.
pub(crate) fn table(registry: &Registry) -> String {
    let host = registry.host();
    format!(
        "[package.metadata.union]\nregistry = \"{host}/acme\"\nmirrors = {{ \"gcr.io\" = \"{host}\" }}\n\n[package.metadata.union.images.default]\n"
    )
}

/// A package that says hello and starts from the default base.
pub(crate) fn hello(registry: &Registry) -> Project {
    Project::package("hello").union(&table(registry)).locked()
}

/// The one pinned reference that a build prints.
pub(crate) fn pinned(stdout: &str) -> String {
    let mut lines = stdout.lines();
    let reference = lines.next().unwrap_or_default().to_owned();
    assert!(lines.next().is_none() && reference.contains("@sha256:"), "not one pinned reference: {stdout}");
    reference
}

/// Pulls by digest into an engine that has never seen the image, runs it, and returns what it prints.
pub(crate) fn run(reference: &str, words: &[&str]) -> String {
    let engine = Engine::shared();
    engine.docker(&["pull", "--quiet", reference]);
    engine.docker(&[&["run", "--rm", "--network", "none", reference], words].concat())
}

/// Manifests and tags of a repository, as the registry keeps them.
pub(crate) fn tags(registry: &Registry, repository: &str) -> Vec<String> {
    let folder = registry.data().join("docker/registry/v2/repositories").join(repository).join("_manifests/tags");
    let mut tags: Vec<String> =
        std::fs::read_dir(folder).into_iter().flatten().flatten().map(|tag| tag.file_name().to_string_lossy().into_owned()).collect();
    tags.sort();
    tags
}

/// Every file below some folders that holds a text.
pub(crate) fn files_with(text: &str, folders: &[PathBuf]) -> String {
    let output = Command::new("grep").args(["-rlF", text]).args(folders).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A small file system of its own, which is full soon.
pub(crate) struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    pub(crate) fn new(size: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]).arg(folder.path()).status().unwrap();
        assert!(mounted.success(), "a tmpfs can be mounted; the tests run as root");
        Self(folder)
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn grow(&self, size: &str) {
        let options = format!("remount,size={size}");
        assert!(Command::new("mount").args(["-o", &options]).arg(self.path()).status().unwrap().success());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.path()).status();
    }
}
