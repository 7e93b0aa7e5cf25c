//! `cargo union run --remote`: a run at the backend, from its inputs to its outputs.
//!
//! [`prepare`] says what shall run, in exactly which version: the one that was built and registered just
//! now, or the one that was named. From there on Ctrl-C is ours: [`interrupt`] offers to abort.

mod inputs;
mod interrupt;
mod prepare;
mod report;

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Result;
use serde::Serialize;
use serde_json::Value;
use union_build::diag::Code;

use super::lines;
use crate::command::reporter;
use crate::deploy::project::open_project;
use crate::exit::Exit;
use crate::flyte::client::Client;
use crate::flyte::console;
use crate::flyte::runs::{self, ReconnectPolicy, RunError, RunIdent, RunOutcome, RunRequest};
use crate::settings::{RemoteRunMode, RemoteRunOptions};
use crate::sys::error::Error;
use crate::sys::signal::interrupted;
use crate::ui::Ui;
use interrupt::InterruptHandler;
use prepare::{PreparedRun, TaskInfo};
use report::RunReporter;

#[derive(Serialize)]
struct Document<'a> {
    package: Option<&'a str>,
    task: Option<&'a str>,
    image: Option<&'a str>,
    /// `None` when nobody has waited for them.
    outputs: Option<&'a BTreeMap<String, Value>>,
    run: FollowedRun<'a>,
}

#[derive(Serialize)]
struct FollowedRun<'a> {
    name: &'a str,
    project: &'a str,
    domain: &'a str,
    version: Option<&'a str>,
    console: &'a str,
}

/// A run that is being followed.
struct RunFollower<'a> {
    client: &'a Client,
    run: &'a RunIdent,
    known: &'a TaskInfo,
    /// Its page.
    page: &'a str,
    ui: &'a Arc<Ui>,
}

pub(in crate::command) async fn run(remote: &RemoteRunOptions, ui: &Arc<Ui>) -> Result<Exit> {
    let attended = remote.register.work.scope.backend.attended;
    match &remote.what {
        RemoteRunMode::New(wanted) => {
            let Some(ordered) = unless_interrupted(prepare::order(remote, wanted, ui)).await else { return Err(stopped().into()) };
            let PreparedRun { client, order, known } = ordered?;
            let page = console::run(&client.endpoint(), &order.run.scope, &order.run.name);
            let followed = RunFollower { client: &client, run: &order.run, known: &known, page: &page, ui };
            let leaving = InterruptHandler { client: &client, run: &order.run, page: &page, attended, ours: true, ui };
            leaving.or(followed.begin(&order, wanted.detach)).await
        }
        RemoteRunMode::Follow(name) => {
            let Some(opened) = unless_interrupted(open_project(&remote.register.work.scope, &reporter(ui))).await else {
                return Err(stopped().into());
            };
            let (client, scope) = opened?;
            let run = RunIdent { scope, name: name.clone() };
            let page = console::run(&client.endpoint(), &run.scope, &run.name);
            let leaving = InterruptHandler { client: &client, run: &run, page: &page, attended, ours: false, ui };
            leaving.or(follow_existing(&client, &run, &page, ui)).await
        }
    }
}

async fn unless_interrupted<T>(work: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        () = interrupted() => None,
        done = work => Some(done),
    }
}

fn stopped() -> Error {
    Error::new(Code::Interrupted, "interrupted")
}

/// Follows a run that somebody has created.
async fn follow_existing(client: &Client, run: &RunIdent, page: &str, ui: &Arc<Ui>) -> Result<Exit> {
    let listed = runs::get_run(client, run).await?;
    let known = TaskInfo { package: None, task: listed.task, version: listed.version, image: None };
    ui.status("Following", format!("{} {page}", run.name));
    RunFollower { client, run, known: &known, page, ui }.to_its_end().await
}

impl RunFollower<'_> {
    /// Creates the run, and follows it unless nobody waits for it.
    async fn begin(&self, order: &RunRequest, detach: bool) -> Result<Exit> {
        runs::create(self.client, order).await.map_err(|error| self.not_created(error))?;
        self.ui.status("Created", format!("{} {}", self.run.name, self.page));
        if detach { self.detached() } else { self.to_its_end().await }
    }

    async fn to_its_end(&self) -> Result<Exit> {
        let telling = RunReporter { run: self.run, page: self.page, ui: self.ui };
        let end = runs::follow(self.client, self.run, ReconnectPolicy::default(), &telling).await;
        match end.map_err(|error| self.with_the_way_back(error, "The run goes on"))? {
            RunOutcome::Succeeded => self.report().await,
            RunOutcome::Failed(trouble) => Err(self.failed("failed", trouble).into()),
            RunOutcome::TimedOut(trouble) => Err(self.failed("took longer than it may", trouble).into()),
            RunOutcome::Aborted(reason) => Err(self.aborted(&reason).into()),
        }
    }

    async fn report(&self) -> Result<Exit> {
        let fetched = runs::outputs(self.client, self.run).await;
        let outputs = fetched.map_err(|error| self.with_the_way_back(error, "The run has ended well"))?;
        let outputs: BTreeMap<String, Value> = outputs.into_iter().collect();
        if self.ui.output_options().json {
            self.document(Some(&outputs))?;
        } else {
            self.ui.data(&lines(outputs.iter()))?;
        }
        Ok(Exit::Success)
    }

    fn detached(&self) -> Result<Exit> {
        if self.ui.output_options().json {
            self.document(None)?;
        } else {
            self.ui.data(&format!("{}\n", self.run.name))?;
        }
        Ok(Exit::Success)
    }

    fn document(&self, outputs: Option<&BTreeMap<String, Value>>) -> Result<()> {
        let TaskInfo { package, task, version, image } = self.known;
        let (name, scope, console) = (self.run.name.as_str(), &self.run.scope, self.page);
        let run = FollowedRun { name, project: &scope.project, domain: &scope.domain, version: version.as_deref(), console };
        let document = Document { package: package.as_deref(), task: task.as_deref(), image: image.as_deref(), outputs, run };
        Ok(self.ui.document("run", &document)?)
    }

    /// What helps against an error, and how to see the end of the run.
    fn with_the_way_back(&self, error: Error, what: &str) -> Error {
        let help = format!("{} {what}: see {}, or run `cargo union run --follow {}`.", error.advice(), self.page, self.run.name);
        error.help(help)
    }

    /// An answer that was lost may have been a good one.
    fn not_created(&self, error: Error) -> Error {
        match error.code() {
            Code::BackendUnreachable | Code::BackendFailed => self.with_the_way_back(error, "The run may be there all the same"),
            _ => error,
        }
    }

    fn failed(&self, how: &str, trouble: Option<RunError>) -> Error {
        let error = Error::new(Code::RunFailed, format!("the run `{}`{} {how}", self.run.name, self.of_task()));
        let error = error.help(format!("Correct what it names; {} shows more.", self.page));
        let Some(RunError { message, kind, code }) = trouble else { return error.because("the backend does not say why") };
        let code = if code.is_empty() { String::new() } else { format!(" `{code}`") };
        let kind = if kind.is_empty() { "error".to_owned() } else { format!("{kind} error") };
        error.because(format!("{kind}{code}: {message}"))
    }

    fn aborted(&self, reason: &str) -> Error {
        let error = Error::new(Code::RunAborted, format!("the run `{}`{} was aborted", self.run.name, self.of_task()));
        if reason.is_empty() { error } else { error.because(reason.to_owned()) }
    }

    fn of_task(&self) -> String {
        self.known.task.as_ref().map(|task| format!(" of task `{task}`")).unwrap_or_default()
    }
}
