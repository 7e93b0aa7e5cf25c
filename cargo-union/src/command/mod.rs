//! One module per subcommand: options in, document out. The only module that imports `ui`.

mod abort;
mod build;
mod check;
mod complete;
mod config;
mod create;
mod doctor;
mod get;
mod images;
mod init;
mod login;
mod logs;
mod new;
mod plan;
mod push;
mod register;
mod resolve;
mod run;
mod secret;
mod trigger;
mod update;
mod verify;

use std::error::Error as _;

use anyhow::Result;
use union_build::diag::Code;

use crate::exit::Exit;
use crate::pipeline::Reporter;
use crate::pipeline::problems::{ManifestProblems, PipelineError};
use crate::settings::Command;
use crate::sys::error::Error;
use crate::sys::process::ProcessFailure;
use crate::ui::{Problem, Ui};

/// Runs the subcommand.
///
/// # Errors
/// The failure, which the caller shows.
pub async fn run(task: &Command, ui: &std::sync::Arc<Ui>) -> Result<Exit, CommandError> {
    dispatch(task, ui).await.map_err(CommandError::from)
}

async fn dispatch(task: &Command, ui: &std::sync::Arc<Ui>) -> Result<Exit> {
    match task {
        Command::New(new) => new::run(new, ui).await,
        Command::Init(init) => init::run(init, ui).await,
        Command::Check(scope) => check::run(scope, ui).await,
        Command::Config(scope) => config::run(scope, ui).await,
        Command::Doctor(scope) => doctor::run(scope, ui).await,
        Command::Plan(work) => plan::run(work, ui).await,
        Command::Build(work) => build::run(work, ui).await,
        Command::Push(push) => push::run(push, ui).await,
        Command::Resolve(resolve) => resolve::run(resolve, ui).await,
        Command::Register(register) => register::run(register, ui).await,
        Command::Run(options) => run::run_local(options, ui).await,
        Command::Remote(options) => run::run_remote(options, ui).await,
        Command::Get(get) => get::run(get, ui).await,
        Command::Abort(abort) => abort::run(abort, ui).await,
        Command::Secret(secret) => secret::run(secret, ui).await,
        Command::Trigger(trigger) => trigger::run(trigger, ui).await,
        Command::CreateConfig(new) => create::run(new, ui),
        Command::Complete(complete) => complete::run(complete, ui).await,
        Command::Logs(options) => logs::run(options, ui).await,
        Command::Images(scope) => images::run(scope, ui).await,
        Command::Dockerfile { scope, image } => images::print_dockerfile(scope, image, ui).await,
        Command::Update(update) => update::run(update, ui).await,
        Command::Verify(options) => verify::run(options, ui).await,
        Command::Login(backend) => login::log_in(backend, ui).await,
        Command::Logout(backend) => login::log_out(backend, ui).await,
        Command::Whoami(backend) => login::who_am_i(backend, ui).await,
        // `schema`, `completions` and `man` print a text that depends on no manifest.
        Command::Page(text) => {
            ui.data(text)?;
            Ok(Exit::Success)
        }
    }
}

/// The user interface as the reporter of the pipeline.
fn reporter(ui: &std::sync::Arc<Ui>) -> std::sync::Arc<dyn Reporter> {
    ui.clone()
}

/// Why a command failed.
#[derive(Debug)]
pub enum CommandError {
    /// Something failed.
    Failed(Error),
    /// The manifests are not valid.
    Invalid(ManifestProblems),
    /// The result could not be written to stdout.
    Output(Error),
}

impl From<anyhow::Error> for CommandError {
    fn from(error: anyhow::Error) -> Self {
        let error = match error.downcast::<PipelineError>() {
            Ok(PipelineError::Failed(error)) => return Self::Failed(error),
            Ok(PipelineError::Invalid(problems)) => return Self::Invalid(problems),
            Err(error) => error,
        };
        let error = match error.downcast::<ManifestProblems>() {
            Ok(problems) => return Self::Invalid(problems),
            Err(error) => error,
        };
        match error.downcast::<Error>() {
            Ok(error) => Self::Failed(error),
            // Only writing to stdout fails with an error of another type.
            Err(cause) => Self::Output(
                Error::new(Code::FileUnwritable, "could not write to stdout")
                    .because(cause.to_string()),
            ),
        }
    }
}

impl CommandError {
    /// Whether the command itself handled Ctrl-C.
    pub fn is_interruption(&self) -> bool {
        matches!(self, Self::Failed(error) if error.code() == Code::Interrupted)
    }

    /// Shows the error, with `--format json` also as a document on stdout.
    pub fn show(&self, ui: &Ui) {
        match self {
            Self::Failed(error) => {
                ui.error(error);
                ui.failure(vec![Problem::of_error(error)]);
            }
            Self::Invalid(ManifestProblems(problems)) => {
                ui.diagnostics(problems);
                ui.failure(problems.iter().map(Problem::of).collect());
            }
            Self::Output(error) => ui.error(error),
        }
    }

    /// The exit code of the program.
    pub fn exit(&self) -> Exit {
        let error = match self {
            Self::Failed(error) => error,
            Self::Invalid(_) => return Exit::Usage,
            Self::Output(_) => return Exit::Failure,
        };
        match error.code() {
            Code::UsageInvalid
            | Code::SettingInvalid
            | Code::NoManifest
            | Code::NothingDeclared
            | Code::UnknownPackage
            | Code::UnknownTask
            | Code::InputsInvalid => Exit::Usage,
            Code::Interrupted => Exit::Interrupted,
            Code::CompileFailed => Exit::Cargo(cargo_code(error)),
            _ => Exit::Failure,
        }
    }
}

/// cargo's own exit code.
fn cargo_code(error: &Error) -> u8 {
    let failed = error
        .source()
        .and_then(|cause| cause.downcast_ref::<ProcessFailure>());
    failed
        .and_then(|failed| u8::try_from(failed.code?).ok())
        .filter(|code| *code != 0)
        .unwrap_or(101)
}
