//! The requests of a registration, as `--output` writes them.

use prost::Name;

use super::schedules::{launch_plan, workflow};
use super::task::create_task;
use crate::flyte::idl::task::DeployTaskRequest;
use crate::flyte::idl::{Message, to_json};

/// A request in its wire encoding and as JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RequestFile {
    /// The suffix of the file's name after the name of the task, such as `.workflow`; empty for the task itself.
    pub(crate) suffix: String,
    /// The wire encoding.
    pub(crate) protobuf: Vec<u8>,
    /// The same as JSON, with a line break at its end.
    pub(crate) json: String,
}

impl RequestFile {
    /// A request.
    pub(in crate::flyte) fn of<M: Message + Name>(suffix: impl Into<String>, request: &M) -> Self {
        Self {
            suffix: suffix.into(),
            protobuf: request.encode_to_vec(),
            json: format!("{:#}\n", to_json(request)),
        }
    }
}

/// The requests that register a task on Flyte 1: the task, and for triggers a workflow and a launch plan for each.
pub(in crate::flyte) fn request_files(request: &DeployTaskRequest) -> Vec<RequestFile> {
    let mut files = vec![RequestFile::of("", &create_task(request))];
    if !request.triggers.is_empty() {
        files.push(RequestFile::of(".workflow", &workflow(request)));
    }
    let plans = request.triggers.iter().map(|trigger| {
        RequestFile::of(
            format!(".{}.launch-plan", trigger.name),
            &launch_plan(request, trigger),
        )
    });
    files.extend(plans);
    files
}
