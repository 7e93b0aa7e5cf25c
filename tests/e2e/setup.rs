//! A registry with base images, and projects that push to it.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;
use union_tests::base::{debian_layout, layout_of, push};
use union_tests::registry::Registry;
use union_tests::{Outcome, Project};

/// The default base, in a mirror.
pub(crate) const DEFAULT_BASE: &str = "distroless/cc-debian13";

/// An open registry.
pub(crate) struct Setup {
    pub(crate) registry: Registry,
}

impl Setup {
    pub(crate) fn new() -> Self {
        Self {
            registry: Registry::open(),
        }
    }

    /// Pushes Debian to a path.
    pub(crate) fn with_debian(self, path: &str) -> Self {
        push(&debian_layout(), &self.reference(path));
        self
    }

    /// Pushes a small base, in which no program could run, to a path.
    pub(crate) fn with_base(self, path: &str, content: &str) -> Self {
        self.push_base(path, content);
        self
    }

    pub(crate) fn push_base(&self, path: &str, content: &str) {
        push_base(&self.reference(path), content, &[]);
    }

    /// `127.0.0.1:port/path`.
    pub(crate) fn reference(&self, path: &str) -> String {
        format!("{}/{path}", self.registry.host())
    }

    /// A program that prints hello, on the default base, for `team` in this registry.
    pub(crate) fn hello(&self, name: &str) -> Project {
        Project::package(name)
            .union(&self.settings("package"))
            .locked()
    }

    /// A static program on a base of this registry.
    pub(crate) fn on(&self, base: &str, more: &str) -> Project {
        let table = "[package.metadata.union.images.default]\nbuild = { link = \"static\" }";
        let image = format!("{table}\nbase-image = {:?}\n{more}", self.reference(base));
        Project::package("hello")
            .union(&self.settings("package"))
            .union(&image)
    }

    /// Registry and mirror, for a package or a workspace.
    pub(crate) fn settings(&self, level: &str) -> String {
        let host = self.registry.host();
        format!(
            "[{level}.metadata.union]\nregistry = \"{host}/team\"\nmirrors = {{ \"gcr.io\" = \"{host}\" }}\n"
        )
    }

    /// The tags of a repository, sorted; none when it does not exist.
    pub(crate) fn tags(&self, path: &str) -> Vec<String> {
        let output = skopeo(&[
            "list-tags",
            "--tls-verify=false",
            &format!("docker://{}", self.reference(path)),
        ]);
        let tags = output
            .and_then(|text| serde_json::from_str::<Value>(&text).ok())
            .map(|list| list["Tags"].clone());
        let mut tags: Vec<String> = tags
            .and_then(|tags| serde_json::from_value(tags).ok())
            .unwrap_or_default();
        tags.sort_unstable();
        tags
    }
}

/// Pushes a small base, with the arguments that skopeo needs for a login.
pub(crate) fn push_base(reference: &str, content: &str, login: &[&str]) {
    push_with(
        reference,
        content,
        &json!({ "Entrypoint": ["/base/entrypoint"], "Cmd": ["base"] }),
        login,
    );
}

/// Pushes a small base with a config of its own.
pub(crate) fn push_base_of(reference: &str, config: &Value) {
    push_with(reference, "x", config, &[]);
}

fn push_with(reference: &str, content: &str, config: &Value, login: &[&str]) {
    let directory = TempDir::new().unwrap();
    let write = |path: &str, text: &str| {
        let path = directory.path().join("root").join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write(
        "etc/passwd",
        "root:x:0:0::/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n",
    );
    write("etc/content", content);
    let (rootfs, layout) = (
        directory.path().join("rootfs.tar"),
        directory.path().join("layout"),
    );
    let packed = Command::new("tar")
        .arg("-C")
        .arg(directory.path().join("root"))
        .arg("-cf")
        .arg(&rootfs)
        .arg(".")
        .status()
        .unwrap();
    assert!(packed.success());
    layout_of(&[&rootfs], config, &layout);
    let (from, to) = (
        format!("oci:{}:base", layout.display()),
        format!("docker://{reference}"),
    );
    let copy = [
        &["copy", "--quiet", "--dest-tls-verify=false"],
        login,
        &[&from, &to],
    ]
    .concat();
    assert!(skopeo(&copy).is_some(), "skopeo {copy:?}");
}

/// The config of an image in a registry.
pub(crate) fn config(reference: &str) -> Value {
    inspected(reference, &["--config"])
}

/// The manifest of an image in a registry.
pub(crate) fn manifest(reference: &str) -> Value {
    inspected(reference, &["--raw"])
}

fn inspected(reference: &str, what: &[&str]) -> Value {
    let text = skopeo(
        &[
            &["inspect", "--tls-verify=false"],
            what,
            &[&format!("docker://{reference}")],
        ]
        .concat(),
    );
    serde_json::from_str(&text.unwrap_or_else(|| panic!("{reference} is not there"))).unwrap()
}

/// The only image of a build's JSON document.
#[track_caller]
pub(crate) fn image(outcome: &Outcome) -> Value {
    let images = &outcome.json()["images"];
    assert_eq!(images.as_array().map(Vec::len), Some(1), "{images}");
    images[0].clone()
}

/// The only line of a build.
pub(crate) fn line(outcome: &Outcome) -> String {
    assert_eq!(outcome.stdout().lines().count(), 1, "{}", outcome.stdout());
    outcome.stdout().trim().to_owned()
}

/// Whether a text is in any file below a directory.
pub(crate) fn is_below(directory: &Path, text: &str) -> bool {
    let found = Command::new("grep")
        .args(["-rqaF", "--", text])
        .arg(directory)
        .status()
        .unwrap();
    assert!(
        matches!(found.code(), Some(0 | 1)),
        "grep {}: {found}",
        directory.display()
    );
    found.success()
}

/// What skopeo prints, when it succeeds.
fn skopeo(arguments: &[&str]) -> Option<String> {
    let output = Command::new("skopeo")
        .args(arguments)
        .output()
        .expect("`skopeo` is installed");
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}
