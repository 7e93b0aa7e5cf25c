//! Runs on the backend: creates or follows a run, and fetches its outputs.
//!
//! [`request`] prepares a new run of exactly one version: the one that was registered just now, or that of `--version`.
//! Ctrl-C is handled by [`interrupt`], since the run continues without this process.

mod inputs;
mod interrupt;
mod listener;
mod request;
mod rerun;
mod save;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;
use union_build::diag::Code;

use super::Reporter;
use super::options::{RemoteRunMode, RemoteRunOptions};
use crate::deploy::project::open_project;
use crate::flyte::client::Client;
use crate::flyte::console;
use crate::flyte::runs::{
    self, ActionSummary, ClusterEvent, ReconnectPolicy, RunCause, RunError, RunIdent, RunOutcome,
};
use crate::pipeline;
use crate::pipeline::problems::Result;
use crate::sys::error::Error;
use interrupt::{InterruptHandler, cancel_on_interrupt};
use listener::{EventForwarder, ReportedEvents};
use request::{PreparedRun, RunCreation, prepare_run};
use rerun::prepare_rerun;
use save::OutputSaver;

/// A run that was created or followed.
pub(crate) struct RemoteRunOutcome {
    pub(crate) run: RunIdent,
    /// The URL of its page in the console.
    pub(crate) page: String,
    pub(crate) task: TaskInfo,
    /// `None` with `--detach`.
    pub(crate) outputs: Option<BTreeMap<String, Value>>,
    /// The reported cluster events, such as reasons for waiting.
    pub(crate) events: Vec<ClusterEvent>,
    /// Its steps, in the order in which they ended.
    pub(crate) steps: Vec<ActionSummary>,
}

/// A run that has succeeded.
struct FollowedRun {
    outputs: BTreeMap<String, Value>,
    reported: ReportedEvents,
}

/// The known properties of a run's task; the task of a followed run may belong to no package of the workspace.
#[derive(Clone, Debug, Default)]
pub(crate) struct TaskInfo {
    pub(crate) package: Option<String>,
    /// The key of its table; for a followed run, its name at the backend.
    pub(crate) task: Option<String>,
    pub(crate) version: Option<String>,
    /// The reference that the cluster pulls.
    pub(crate) image: Option<String>,
}

/// Creates a run of a task, or finds an existing one, and waits for its outputs.
///
/// # Errors
/// Those of the registration; `InputsInvalid`, `VersionUnknown`, `RunFailed`, `RunAborted`, `Interrupted`.
pub(crate) async fn run_task(
    options: &RemoteRunOptions,
    reporter: &Arc<dyn Reporter>,
) -> Result<RemoteRunOutcome> {
    match &options.mode {
        RemoteRunMode::New(new) => {
            let prepared = prepare_run(options, new, reporter);
            create_run(options, prepared, new.detach, reporter).await
        }
        RemoteRunMode::Rerun(rerun) => {
            let prepared = prepare_rerun(options, rerun, reporter);
            create_run(options, prepared, rerun.detach, reporter).await
        }
        RemoteRunMode::Follow(name) => follow_run(options, name, reporter).await,
    }
}

async fn create_run(
    options: &RemoteRunOptions,
    prepared: impl Future<Output = Result<PreparedRun>>,
    detach: bool,
    reporter: &Arc<dyn Reporter>,
) -> Result<RemoteRunOutcome> {
    let saver = OutputSaver::of(options)?;
    let PreparedRun {
        client,
        request,
        task,
    } = cancel_on_interrupt(prepared).await?;
    let run = request.run();
    let page = console::run(&client, &run.scope, &run.name);
    let handler = InterruptHandler {
        client: &client,
        run,
        page: &page,
        is_interactive: options.register.options.scope.backend.interactive,
        is_created_here: true,
        reporter: &**reporter,
    };
    let follower = RunFollower {
        client: &client,
        run,
        page: &page,
        task: &task,
        saver: saver.as_ref(),
        reporter: &**reporter,
    };
    let followed = handler.wait(async {
        follower.create(&request).await?;
        if detach {
            Ok(None)
        } else {
            follower.follow().await.map(Some)
        }
    });
    let followed = followed.await?;
    Ok(outcome(run.clone(), page, task, followed))
}

async fn follow_run(
    options: &RemoteRunOptions,
    name: &str,
    reporter: &Arc<dyn Reporter>,
) -> Result<RemoteRunOutcome> {
    let saver = OutputSaver::of(options)?;
    let workspace_options = &options.register.options.scope;
    let pipeline_reporter: Arc<dyn pipeline::Reporter> = reporter.clone();
    let (client, scope) =
        cancel_on_interrupt(open_project(workspace_options, &pipeline_reporter)).await?;
    let run = RunIdent {
        scope,
        name: name.to_owned(),
    };
    let asked = cancel_on_interrupt(async {
        let kind = client.kind().await;
        kind.map_err(|failure| {
            failure
                .into_error(format!("could not look up the run `{name}`"))
                .into()
        })
    });
    asked.await?;
    let page = console::run(&client, &run.scope, &run.name);
    let handler = InterruptHandler {
        client: &client,
        run: &run,
        page: &page,
        is_interactive: workspace_options.backend.interactive,
        is_created_here: false,
        reporter: &**reporter,
    };
    let followed = handler.wait(async {
        let summary = runs::get_run(&client, &run).await?;
        let task = TaskInfo {
            package: None,
            task: summary.task,
            version: summary.version,
            image: None,
        };
        reporter.run_found(&run.name, &page);
        let follower = RunFollower {
            client: &client,
            run: &run,
            page: &page,
            task: &task,
            saver: saver.as_ref(),
            reporter: &**reporter,
        };
        let followed = follower.follow().await?;
        Ok((task, followed))
    });
    let (task, followed) = followed.await?;
    Ok(outcome(run, page, task, Some(followed)))
}

fn outcome(
    run: RunIdent,
    page: String,
    task: TaskInfo,
    followed: Option<FollowedRun>,
) -> RemoteRunOutcome {
    let (outputs, reported) = match followed {
        Some(FollowedRun { outputs, reported }) => (Some(outputs), reported),
        None => (None, ReportedEvents::default()),
    };
    RemoteRunOutcome {
        run,
        page,
        task,
        outputs,
        events: reported.events,
        steps: reported.steps,
    }
}

/// Creates and follows one run.
struct RunFollower<'a> {
    client: &'a Client,
    run: &'a RunIdent,
    /// The URL of the run's page.
    page: &'a str,
    task: &'a TaskInfo,
    /// Fetches the files of the outputs.
    saver: Option<&'a OutputSaver>,
    reporter: &'a dyn Reporter,
}

impl RunFollower<'_> {
    async fn create(&self, request: &RunCreation) -> Result<()> {
        request
            .send(self.client)
            .await
            .map_err(|error| self.creation_error(error))?;
        self.reporter.run_created(&self.run.name, self.page);
        Ok(())
    }

    /// Waits for the end of the run, and returns its outputs.
    async fn follow(&self) -> Result<FollowedRun> {
        let forwarder = EventForwarder::new(self.run, self.page, self.reporter);
        let outcome = runs::follow(
            self.client,
            self.run,
            ReconnectPolicy::default(),
            &forwarder,
        )
        .await;
        let outcome = outcome.map_err(|error| self.add_follow_advice(error, "The run goes on"))?;
        let reported = forwarder.into_reported();
        match outcome {
            RunOutcome::Succeeded => Ok(FollowedRun {
                outputs: self.fetch_outputs().await?,
                reported,
            }),
            RunOutcome::Failed(error) => Err(self.failure("failed", error, &reported).into()),
            RunOutcome::TimedOut(error) => Err(self
                .failure("took longer than it may", error, &reported)
                .into()),
            RunOutcome::Aborted(reason) => Err(self.aborted_error(&reason).into()),
        }
    }

    async fn fetch_outputs(&self) -> Result<BTreeMap<String, Value>> {
        let fetched = async {
            let Some(saver) = self.saver else {
                return runs::outputs(self.client, self.run).await;
            };
            let outputs = runs::output_literals(self.client, self.run).await?;
            saver.save(self.client, &outputs, self.reporter).await
        };
        let outputs = fetched
            .await
            .map_err(|error| self.add_follow_advice(error, "The run has ended well"))?;
        Ok(outputs.into_iter().collect())
    }

    /// Appends to the help of an error how to see the end of the run.
    fn add_follow_advice(&self, error: Error, state: &str) -> Error {
        let help = format!(
            "{} {state}: see {}, or run `cargo union run --follow {}`.",
            error.advice(),
            self.page,
            self.run.name
        );
        error.help(help)
    }

    /// The error of a request to create the run. Where the response was lost, the run may exist.
    fn creation_error(&self, error: Error) -> Error {
        match error.code() {
            Code::BackendUnreachable | Code::BackendFailed => {
                self.add_follow_advice(error, "The run may be there all the same")
            }
            _ => error,
        }
    }

    fn failure(&self, verb: &str, cause: Option<RunError>, reported: &ReportedEvents) -> Error {
        let error = Error::new(Code::RunFailed, format!("{} {verb}", self.describe()));
        let store = reported.store_refuses.then_some(RunCause::ObjectStore);
        let known = cause
            .as_ref()
            .and_then(|cause| RunCause::of(&format!("{}: {}", cause.code, cause.message)))
            .or(store);
        let advice = known.map_or("Correct what it names.", RunCause::advice);
        let error = error.help(format!("{advice} {} shows more.", self.page));
        let Some(RunError {
            message,
            kind,
            code,
        }) = cause
        else {
            return error.because("the backend does not say why");
        };
        let code = if code.is_empty() {
            String::new()
        } else {
            format!(" `{code}`")
        };
        let kind = if kind.is_empty() {
            "error".to_owned()
        } else {
            format!("{kind} error")
        };
        error.because(format!("{kind}{code}: {message}"))
    }

    fn aborted_error(&self, reason: &str) -> Error {
        let error = Error::new(Code::RunAborted, format!("{} was aborted", self.describe()));
        if reason.is_empty() {
            error
        } else {
            error.because(reason.to_owned())
        }
    }

    fn describe(&self) -> String {
        let task = self
            .task
            .task
            .as_ref()
            .map(|task| format!(" of task `{task}`"))
            .unwrap_or_default();
        format!("the run `{}`{task}", self.run.name)
    }
}
