//! One image: its order is sent, the builder runs, and says where the image is.

use std::path::PathBuf;

use serde_json::Value;
use union_build::diag::Code;

use super::guard::AbortGuard;
use super::spec;
use super::task::{BuildTask, BuildTaskInput};
use super::{Client, ProjectDomain};
use crate::flyte::convert::{LiteralForm, literal};
use crate::flyte::files::upload;
use crate::flyte::idl::Message as _;
use crate::flyte::idl::core::{Literal, SecurityContext, TaskTemplate};
use crate::flyte::idl::task::{CacheConfig, CacheLookupScope, Inputs, NamedLiteral, RunSpec, TaskSpec};
use crate::flyte::idl::unread::{CreateRunRequest, UploadInputsRequest};
use crate::flyte::idl::workflow::RunSource;
use crate::flyte::runs::{self, ReconnectPolicy, RunIdent, RunOutcome};
use crate::http::body::BodySource;
use crate::image::remote_spec::RemoteImageSpec;
use crate::sys::error::{Error, Result};
use crate::sys::fs;
use union_build::spec::types::Type;
use union_build::spec::value::InputValue;

/// An image that shall be.
pub struct RemoteBuild<'a> {
    /// The backend.
    pub client: &'a Client,
    /// Whose image it is: the run is there.
    pub scope: &'a ProjectDomain,
    /// The task that makes it.
    pub task: &'a BuildTask,
    /// What to make.
    pub order: &'a RemoteImageSpec,
    /// The archive that goes along.
    pub context: Option<PathBuf>,
    /// `name:tag`, or `registry/name:tag` to have it elsewhere than in the backend's own registry.
    pub target: &'a str,
    /// Whether it is made although it was made before.
    pub anew: bool,
}

/// What has become of it.
#[derive(Clone, Debug)]
pub struct RemoteBuildResult {
    /// The run that made it.
    pub run: RunIdent,
    /// Bytes that were sent.
    pub sent: u64,
    /// Where the image is; else how the run ended.
    pub image: std::result::Result<String, RunOutcome>,
}

/// Hears how a build goes on.
pub trait RemoteBuildListener: runs::RunListener {
    /// The builder has been started.
    fn started(&self, run: &RunIdent);

    /// It is stopped, for nobody waits for it any longer.
    fn stops(&self, run: &RunIdent);
}

/// Makes an image. Whoever drops this before it is ready stops the run.
///
/// # Errors
/// What sending, starting and watching end with.
pub async fn build(build: &RemoteBuild<'_>, listener: &dyn RemoteBuildListener) -> Result<RemoteBuildResult> {
    let (literals, sent) = build.literals().await?;
    let run = RunIdent::new(build.scope.clone())?;
    let mut guard = AbortGuard { client: build.client, run: &run, listener, over: false };
    build.start(&run, literals).await?;
    listener.started(&run);
    let end = runs::follow(build.client, &run, ReconnectPolicy::default(), listener).await;
    guard.over = true;
    drop(guard);
    let goes_on = || format!("The run `{}` may go on: run the command again when it has ended, and its image is found.", run.name);
    let image = match end.map_err(|error| error.help(goes_on()))? {
        RunOutcome::Succeeded => Ok(image(build.client, &run).await?),
        end => Err(end),
    };
    Ok(RemoteBuildResult { run, sent, image })
}

impl RemoteBuild<'_> {
    /// What the task is given, of which the files are sent. Nothing is sent to a task that takes something else.
    async fn literals(&self) -> Result<(Vec<NamedLiteral>, u64)> {
        let takes = [self.task.takes("spec")?, self.task.takes("context")?, self.task.takes("target_image")?];
        let spec = spec::spec(self.order).encode_to_vec();
        let mut sent = spec.len() as u64;
        let spec = upload(self.client, self.scope, "spec.pb", BodySource::Bytes(spec.into())).await?;
        let context = match &self.context {
            Some(path) => {
                sent += std::fs::metadata(path).map_err(|cause| fs::unreadable(path, cause))?.len();
                upload(self.client, self.scope, "context.tar.gz", BodySource::File(path.clone())).await?
            }
            None => String::new(),
        };
        let values = [("spec", spec), ("context", context), ("target_image", self.target.to_owned())];
        let named = |((name, value), takes): ((&str, String), BuildTaskInput)| NamedLiteral {
            name: name.to_owned(),
            value: Some(address(takes, value)),
        };
        Ok((values.into_iter().zip(takes).map(named).collect(), sent))
    }

    async fn start(&self, run: &RunIdent, literals: Vec<NamedLiteral>) -> Result<()> {
        let tried = || "could not start the image builder of the backend".to_owned();
        let task_spec = self.task_spec();
        let inputs = Inputs { literals, context: Vec::new() };
        let request = UploadInputsRequest { project_id: Some(self.scope.id()), task_spec: task_spec.clone(), inputs: Some(inputs.clone()) };
        let offloaded = runs::offload(self.client, self.scope, &request).await.map_err(|failure| failure.into_error(tried()))?;
        let cache = CacheConfig { overwrite_cache: self.anew, cache_lookup_scope: CacheLookupScope::ProjectDomain.into() };
        let request = CreateRunRequest {
            run_id: Some(run.id()),
            task_spec,
            inputs: offloaded.is_none().then_some(inputs),
            run_spec: Some(RunSpec { overwrite_cache: self.anew, cache_config: Some(cache), ..RunSpec::default() }),
            source: RunSource::Cli.into(),
            offloaded_input_data: offloaded,
        };
        let created = runs::create_under_own_name(self.client, &request).await;
        created.map_err(|failure| failure.into_error(tried()))
    }

    /// The task's spec with the secrets of the order. A message that follows another one is merged with it,
    /// and so nothing that is not known here is lost.
    fn task_spec(&self) -> Vec<u8> {
        let mut spec = self.task.spec.clone();
        let secrets = spec::secrets(self.order);
        if !secrets.is_empty() {
            let security_context = Some(SecurityContext { secrets, ..SecurityContext::default() });
            let more =
                TaskSpec { task_template: Some(TaskTemplate { security_context, ..TaskTemplate::default() }), ..TaskSpec::default() };
            spec.extend(more.encode_to_vec());
        }
        spec
    }
}

/// An address in the form that an input takes.
fn address(takes: BuildTaskInput, value: String) -> Literal {
    let ty = match takes {
        BuildTaskInput::Text => Type::String,
        BuildTaskInput::Blob => Type::File,
    };
    literal(&ty, &InputValue::Text(value), LiteralForm::MessagePack).expect("a text is both a string and the address of a file")
}

/// Where the image is that a run has made: the first text that it gave.
async fn image(client: &Client, run: &RunIdent) -> Result<String> {
    let outputs = runs::outputs(client, run).await?;
    let first = outputs.into_iter().find_map(|(_, value)| match value {
        Value::String(image) if !image.is_empty() => Some(image),
        _ => None,
    });
    first.ok_or_else(|| {
        let error = Error::new(Code::BackendInvalid, format!("could not read what the run `{}` gave", run.name));
        error.because("the builder does not say where its image is").help("Use a release of cargo union that knows this backend.")
    })
}
