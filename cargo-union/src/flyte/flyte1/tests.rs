//! Golden tests against flytekit's messages for the same tasks, and the conversion of what a backend says.
#![allow(clippy::unwrap_used)]

use union_build::diag::SourceFile;
use union_build::spec::{Overrides, PackageInfo, Task, load};

use super::task::stored;
use crate::flyte::convert::{ProjectDomain, TaskSource, render_task};
use crate::flyte::idl::task::DeployTaskRequest;
use crate::flyte::idl::to_json;
use crate::flyte::idl::v1::admin;
use crate::flyte::idl::v1::core as v1;
use crate::flyte::interface::Interface;

mod executions;
mod messages;
mod triggers;

const IMAGE: &str =
    "localhost:5000/hello@sha256:cacbac64e8519ab3b95a424a7bcbdb7a85f499c6df70ee367b7ba8063136a8fc";

/// The task `app` of a manifest.
fn declared(lines: &str) -> Task {
    let manifest = SourceFile::new(
        "/ws/Cargo.toml",
        format!(
            "[package.metadata.union.images.default]\nbase-image = \"debian:trixie-slim\"\n\
             [package.metadata.union.tasks.app]\n{lines}\n"
        ),
    );
    let facts = PackageInfo {
        package: "app".to_owned(),
        directory: "/ws".into(),
        workspace_root: "/ws".into(),
        binaries: vec!["app".to_owned()],
        ..PackageInfo::default()
    };
    let (spec, problems, _) = load(None, &manifest, &Overrides::new("/ws"), &facts);
    assert_eq!(problems, []);
    spec.unwrap().tasks["app"].clone()
}

/// The request for a task under a name, as Flyte 2 would get it without its hidden output.
fn request(name: &str, lines: &str) -> DeployTaskRequest {
    let task = declared(lines);
    let interface = Interface::of_manifest(&task);
    let subject = TaskSource {
        name: name.to_owned(),
        image: IMAGE.to_owned(),
        ..TaskSource::plain(&task, &interface)
    };
    let scope = ProjectDomain {
        org: "acme".to_owned(),
        project: "flytesnacks".to_owned(),
        domain: "development".to_owned(),
    };
    render_task(&subject, &scope, "v1", false)
}
