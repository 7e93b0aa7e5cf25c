//! A registry with Debian, an engine whose containers have a network, and projects that use both.

use std::process::Command;

use union_tests::base::{debian_layout, push};
use union_tests::engine::Engine;
use union_tests::registry::Registry;
use union_tests::{Outcome, Project};

pub(crate) struct Setup {
    pub(crate) registry: Registry,
}

impl Setup {
    pub(crate) fn new() -> Self {
        let registry = Registry::open();
        push(
            &debian_layout(),
            &format!("{}/library/debian:bookworm", registry.host()),
        );
        Self { registry }
    }

    /// The reference of the Debian image.
    pub(crate) fn debian(&self) -> String {
        format!("{}/library/debian:bookworm", self.registry.host())
    }

    /// A program that prints hello, on Debian, with an image spec of these lines.
    pub(crate) fn project(&self, lines: &str) -> Project {
        self.project_of(&format!(
            "[package.metadata.union.images.default]\nbase-image = {:?}\n{lines}\n",
            self.debian()
        ))
    }

    /// A program that prints hello, with these tables.
    pub(crate) fn project_of(&self, tables: &str) -> Project {
        let settings = format!(
            "[package.metadata.union]\nregistry = \"{}/team\"\n{tables}",
            self.registry.host()
        );
        Project::package("hello")
            .union(&settings)
            .locked()
            .env("DOCKER_HOST", Engine::with_network().address())
    }

    /// The tags of a repository, sorted.
    pub(crate) fn tags(&self, repository: &str) -> Vec<String> {
        let reference = format!("docker://{}/{repository}", self.registry.host());
        let output = Command::new("skopeo")
            .args(["list-tags", "--tls-verify=false", &reference])
            .output()
            .unwrap();
        let list: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        let mut tags: Vec<String> =
            serde_json::from_value(list["Tags"].clone()).unwrap_or_default();
        tags.sort_unstable();
        tags
    }
}

/// What a command prints in a container of the one image of a build.
#[track_caller]
pub(crate) fn in_container(outcome: &Outcome, command: &[&str]) -> String {
    let reference = outcome.stdout().trim();
    Engine::with_network()
        .docker(&[&["run", "--rm", "--network", "none", reference], command].concat())
}

/// The same for a line of shell.
#[track_caller]
pub(crate) fn shell(outcome: &Outcome, line: &str) -> String {
    in_container(outcome, &["/bin/sh", "-c", line])
}
