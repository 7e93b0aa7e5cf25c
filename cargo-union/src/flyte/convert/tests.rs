//! Golden tests against the official SDK's messages for the same tasks.
#![allow(clippy::unwrap_used)]

use union_build::diag::SourceFile;
use union_build::spec::types::Type;
use union_build::spec::value::InputValue;
use union_build::spec::{Overrides, PackageInfo, Task, load};

use super::*;
use crate::flyte::idl::{Message, to_json};

mod fields;
mod messages;
mod triggers;
mod values;

const IMAGE_KEY: &str = "00c0ffee";

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(
        union_tests::project::repository()
            .join("tests/fixtures/flyte")
            .join(name),
    )
    .unwrap()
}

/// A message of the official SDK. Its bytes must round-trip, which shows that `proto/` has all of its fields.
fn golden<M: Message + Default>(name: &str) -> M {
    let bytes = fixture(name);
    let message = M::decode(&bytes[..]).unwrap();
    assert_eq!(
        message.encode_to_vec(),
        bytes,
        "{name} has fields that are not in `proto/`"
    );
    message
}

/// The task `app` of a manifest.
fn declared(flyte: bool, lines: &str) -> Task {
    let manifest = SourceFile::new(
        "/ws/Cargo.toml",
        format!("[package.metadata.union.tasks.app]\n{lines}\n"),
    );
    let facts = PackageInfo {
        package: "app".to_owned(),
        directory: "/ws".into(),
        workspace_root: "/ws".into(),
        binaries: vec!["hello-trace".to_owned(), "job".to_owned()],
        depends_on_flyte: flyte,
        ..PackageInfo::default()
    };
    let (spec, problems, _) = load(None, &manifest, &Overrides::new("/ws"), &facts);
    assert_eq!(problems, []);
    spec.unwrap().tasks["app"].clone()
}

/// The message of this crate for a task, as version `v1` of the organization `acme`.
fn task_spec_of(task: &Task, name: &str, interface: &Interface, image: &str) -> task::TaskSpec {
    let program = "/union/bin/hello-trace";
    let subject = TaskSource {
        name: name.to_owned(),
        image: image.to_owned(),
        image_key: IMAGE_KEY.to_owned(),
        program: program.to_owned(),
        ..TaskSource::plain(task, interface)
    };
    let scope = ProjectDomain {
        org: "acme".to_owned(),
        project: "flytesnacks".to_owned(),
        domain: "development".to_owned(),
    };
    deploy_task(&subject, &scope, "v1").spec.unwrap()
}

fn container(spec: &mut task::TaskSpec) -> &mut core::Container {
    match &mut spec.task_template.as_mut().unwrap().target {
        Some(core::task_template::Target::Container(container)) => container,
        None => panic!(),
    }
}

/// JSON as an input value.
pub(super) fn given(value: serde_json::Value) -> InputValue {
    match value {
        serde_json::Value::Null => InputValue::Nothing,
        serde_json::Value::Bool(value) => InputValue::Bool(value),
        serde_json::Value::String(text) => InputValue::Text(text),
        serde_json::Value::Number(number) => match number.as_i64() {
            Some(whole) => InputValue::Integer(whole),
            None => InputValue::Float(number.as_f64().unwrap()),
        },
        serde_json::Value::Array(values) => {
            InputValue::List(values.into_iter().map(given).collect())
        }
        serde_json::Value::Object(values) => InputValue::Map(
            values
                .into_iter()
                .map(|(name, value)| (name, given(value)))
                .collect(),
        ),
    }
}
