#![allow(clippy::unwrap_used)]

use union_build::diag::SourceFile;
use union_build::spec::{Overrides, PackageInfo, Task, load};

use super::*;
use crate::flyte::backend::fake::FakeBackend;
use crate::flyte::interface::Interface;

mod conflicts;
mod removed_triggers;
mod versions;

fn declared(lines: &str) -> Task {
    let manifest = SourceFile::new(
        "/ws/Cargo.toml",
        format!("[package.metadata.union.tasks.app]\n{lines}\n"),
    );
    let facts = PackageInfo {
        package: "app".to_owned(),
        binaries: vec!["app".to_owned()],
        ..PackageInfo::default()
    };
    let (spec, problems, _) = load(None, &manifest, &Overrides::new("/ws"), &facts);
    assert_eq!(problems, []);
    spec.unwrap().tasks["app"].clone()
}

/// A registration against a backend.
#[derive(Default)]
struct Fixture {
    backend: FakeBackend,
    image: &'static str,
    version: Option<&'static str>,
    replace: bool,
}

impl Fixture {
    fn new() -> Self {
        Self {
            image: "r/app@sha256:1",
            ..Self::default()
        }
    }

    async fn decide(&self, lines: &str) -> Result<RegistrationPlan> {
        let task = declared(lines);
        let interface = Interface::of_manifest(&task);
        let subject = TaskSource {
            image: self.image.to_owned(),
            ..TaskSource::plain(&task, &interface)
        };
        let scope = ProjectDomain {
            org: "acme".to_owned(),
            project: "p".to_owned(),
            domain: "d".to_owned(),
        };
        let version = match self.version {
            Some(text) => TaskVersionHash::chosen(text)?,
            None => TaskVersionHash::of([&TaskSource {
                image: "r/app:tag".to_owned(),
                ..subject.clone()
            }]),
        };
        plan_registration(&self.backend, &subject, &scope, &version, self.replace).await
    }

    /// Registers the task; returns the action and the version.
    async fn register(&self, lines: &str) -> (RegistrationAction, String) {
        let decision = self.decide(lines).await.unwrap();
        apply_registration(&self.backend, &decision).await.unwrap();
        (decision.state, decision.version)
    }
}
