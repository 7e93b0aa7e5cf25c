//! Builds an image: sends the spec, runs the builder task, and reads the reference of the image from its outputs.

use std::path::PathBuf;

use serde_json::Value;
use union_build::diag::Code;

use super::guard::AbortGuard;
use super::listener::RemoteBuildListener;
use super::spec;
use super::task::{BuildTask, BuildTaskInput};
use super::{Client, ProjectDomain};
use crate::flyte::convert::{LiteralForm, literal};
use crate::flyte::files::upload;
use crate::flyte::idl::Message as _;
use crate::flyte::idl::core::{Literal, SecurityContext, TaskTemplate};
use crate::flyte::idl::task::{
    CacheConfig, CacheLookupScope, Inputs, NamedLiteral, RunSpec, TaskSpec,
};
use crate::flyte::idl::unread::{CreateRunRequest, UploadInputsRequest};
use crate::flyte::idl::workflow::RunSource;
use crate::flyte::runs::{self, ReconnectPolicy, RunIdent, RunOutcome};
use crate::http::body::BodySource;
use crate::image::remote_spec::RemoteImageSpec;
use crate::sys::error::{Error, Result};
use crate::sys::fs;
use union_build::spec::types::Type;
use union_build::spec::value::InputValue;

/// A build to request.
pub struct RemoteBuild<'a> {
    /// Client of the backend that builds it.
    pub client: &'a Client,
    /// The project in which the builder runs.
    pub scope: &'a ProjectDomain,
    /// The builder task.
    pub task: &'a BuildTask,
    /// The image to build.
    pub spec: &'a RemoteImageSpec,
    /// The archive with the build context.
    pub context: Option<PathBuf>,
    /// `name:tag`, or `registry/name:tag` for another registry than the backend's own.
    pub target: &'a str,
    /// Whether cached results of the builder task are ignored.
    pub overwrite_cache: bool,
}

/// The result of a build.
#[derive(Clone, Debug)]
pub struct RemoteBuildResult {
    /// The run of the builder task.
    pub run: RunIdent,
    /// Number of bytes uploaded.
    pub sent: u64,
    /// The reference of the image, or how the run ended.
    pub image: std::result::Result<String, RunOutcome>,
}

/// Builds an image. Dropping the future before it completes aborts the run.
///
/// # Errors
/// Failures of uploading, of starting and of following the run; U0757 (`BackendInvalid`) when the builder returns
/// no reference.
pub async fn build(
    build: &RemoteBuild<'_>,
    listener: &dyn RemoteBuildListener,
) -> Result<RemoteBuildResult> {
    let (literals, sent) = build.literals().await?;
    let run = RunIdent::new(build.scope.clone())?;
    let mut guard = AbortGuard {
        client: build.client,
        run: &run,
        listener,
        finished: false,
    };
    build.start(&run, literals).await?;
    listener.build_started(&run);
    let outcome = runs::follow(build.client, &run, ReconnectPolicy::default(), listener).await;
    guard.finished = true;
    drop(guard);
    let may_continue = || {
        format!(
            "The run `{}` may go on: run the command again when it has ended, and its image is found.",
            run.name
        )
    };
    let image = match outcome.map_err(|error| error.help(may_continue()))? {
        RunOutcome::Succeeded => Ok(image_reference(build.client, &run).await?),
        outcome => Err(outcome),
    };
    Ok(RemoteBuildResult { run, sent, image })
}

impl RemoteBuild<'_> {
    /// Uploads the files and returns the inputs of the task. The task's interface is checked before anything is uploaded.
    async fn literals(&self) -> Result<(Vec<NamedLiteral>, u64)> {
        let takes = [
            self.task.takes("spec")?,
            self.task.takes("context")?,
            self.task.takes("target_image")?,
        ];
        let spec = spec::spec(self.spec).encode_to_vec();
        let mut bytes_sent = spec.len() as u64;
        let spec = upload(
            self.client,
            self.scope,
            "spec.pb",
            BodySource::Bytes(spec.into()),
        )
        .await?;
        let context = match &self.context {
            Some(path) => {
                bytes_sent += std::fs::metadata(path)
                    .map_err(|cause| fs::unreadable(path, cause))?
                    .len();
                upload(
                    self.client,
                    self.scope,
                    "context.tar.gz",
                    BodySource::File(path.clone()),
                )
                .await?
            }
            None => String::new(),
        };
        let values = [
            ("spec", spec),
            ("context", context),
            ("target_image", self.target.to_owned()),
        ];
        let to_literal = |((name, value), takes): ((&str, String), BuildTaskInput)| NamedLiteral {
            name: name.to_owned(),
            value: Some(address_literal(takes, value)),
        };
        Ok((
            values.into_iter().zip(takes).map(to_literal).collect(),
            bytes_sent,
        ))
    }

    async fn start(&self, run: &RunIdent, literals: Vec<NamedLiteral>) -> Result<()> {
        let tried = || "could not start the image builder of the backend".to_owned();
        let task_spec = self.task_spec();
        let inputs = Inputs {
            literals,
            context: Vec::new(),
        };
        let request = UploadInputsRequest {
            project_id: Some(self.scope.id()),
            task_spec: task_spec.clone(),
            inputs: Some(inputs.clone()),
        };
        let offloaded = runs::offload(self.client, self.scope, &request)
            .await
            .map_err(|failure| failure.into_error(tried()))?;
        let cache = CacheConfig {
            overwrite_cache: self.overwrite_cache,
            cache_lookup_scope: CacheLookupScope::ProjectDomain.into(),
        };
        let request = CreateRunRequest {
            run_id: Some(run.id()),
            task_spec,
            inputs: offloaded.is_none().then_some(inputs),
            run_spec: Some(RunSpec {
                overwrite_cache: self.overwrite_cache,
                cache_config: Some(cache),
                ..RunSpec::default()
            }),
            source: RunSource::Cli.into(),
            offloaded_input_data: offloaded,
        };
        let created = runs::create_under_own_name(self.client, &request).await;
        created.map_err(|failure| failure.into_error(tried()))
    }

    /// The task's spec with the secrets of the build. The secrets are appended as a second message, which protobuf
    /// merges with the first, so that unknown fields are preserved.
    fn task_spec(&self) -> Vec<u8> {
        let mut spec = self.task.spec.clone();
        let secrets = spec::secrets(self.spec);
        if !secrets.is_empty() {
            let security_context = Some(SecurityContext {
                secrets,
                ..SecurityContext::default()
            });
            let addition = TaskSpec {
                task_template: Some(TaskTemplate {
                    security_context,
                    ..TaskTemplate::default()
                }),
                ..TaskSpec::default()
            };
            spec.extend(addition.encode_to_vec());
        }
        spec
    }
}

/// An address in the type that an input requires.
fn address_literal(takes: BuildTaskInput, value: String) -> Literal {
    let ty = match takes {
        BuildTaskInput::Text => Type::String,
        BuildTaskInput::Blob => Type::File,
    };
    literal(&ty, &InputValue::Text(value), LiteralForm::MessagePack)
        .expect("a text is both a string and the address of a file")
}

/// Reads the reference of the image that a run has built: its first string output.
async fn image_reference(client: &Client, run: &RunIdent) -> Result<String> {
    let outputs = runs::outputs(client, run).await?;
    let first = outputs.into_iter().find_map(|(_, value)| match value {
        Value::String(image) if !image.is_empty() => Some(image),
        _ => None,
    });
    first.ok_or_else(|| {
        let error = Error::new(
            Code::BackendInvalid,
            format!("could not read the outputs of the run `{}`", run.name),
        );
        error
            .because("the builder does not return the reference of its image")
            .help("Use a release of cargo union that supports this backend.")
    })
}
