//! One module per subcommand: options in, document out. The only module that imports `ui`.

mod build;
mod check;
mod config;
mod dockerfile;
mod get;
mod images;
mod init;
mod login;
mod pages;
mod plan;
mod register;
mod run;
mod update;

use anyhow::Result;
use union_build::diag::Code;

use crate::exit::Exit;
use crate::pipeline::Reporter;
use crate::pipeline::problems::ManifestProblems;
use crate::settings::Command;
use crate::sys::error::Error;
use crate::sys::process::ProcessFailure;
use crate::ui::{Problem, Ui};

/// Does what was asked for.
///
/// # Errors
/// A [`base::error::Error`](crate::sys::error::Error), or `ManifestProblems` of the
/// manifests or the Flyte config, which are shown already.
pub async fn run(task: &Command, ui: &std::sync::Arc<Ui>) -> Result<Exit> {
    match task {
        Command::Init { cargo, manifest_path } => init::run(cargo, manifest_path.as_deref(), ui).await,
        Command::Check(scope) => check::run(scope, ui).await,
        Command::Config(scope) => config::run(scope, ui).await,
        Command::Plan(work) => plan::run(work, ui).await,
        Command::Build(work) => build::run(work, ui).await,
        Command::Register(register) => register::run(register, ui).await,
        Command::Run(options) => run::run_local(options, ui).await,
        Command::Remote(options) => run::run_remote(options, ui).await,
        Command::Get(get) => get::run(get, ui).await,
        Command::Images(scope) => images::run(scope, ui).await,
        Command::Dockerfile { scope, image } => dockerfile::run(scope, image, ui).await,
        Command::Update(update) => update::run(update, ui).await,
        Command::Login(backend) => login::log_in(backend, ui).await,
        Command::Logout(backend) => login::log_out(backend, ui).await,
        Command::Whoami(backend) => login::who_am_i(backend, ui).await,
        Command::Page(text) => pages::run(text, ui),
    }
}

/// Shows why a command failed, on stdout as well when that carries JSON, and says how the program ends.
pub fn failed(error: &anyhow::Error, ui: &Ui) -> Exit {
    if let Some(ManifestProblems(problems)) = error.downcast_ref() {
        ui.diagnostics(problems);
        ui.failure(problems.iter().map(Problem::of).collect());
        return Exit::Usage;
    }
    let Some(error) = error.downcast_ref::<Error>() else {
        // Only stdout itself fails without one of our errors.
        ui.error(&Error::new(Code::FileUnwritable, "could not write to stdout").because(error.to_string()));
        return Exit::Failure;
    };
    ui.error(error);
    ui.failure(vec![Problem::of_error(error)]);
    exit_of(error)
}

fn exit_of(error: &Error) -> Exit {
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

/// cargo's own exit code.
fn cargo_code(error: &Error) -> u8 {
    let failed = std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<ProcessFailure>());
    failed.and_then(|failed| u8::try_from(failed.code?).ok()).filter(|code| *code != 0).unwrap_or(101)
}

/// The user interface as the pipeline knows it.
fn reporter(ui: &std::sync::Arc<Ui>) -> std::sync::Arc<dyn Reporter> {
    ui.clone()
}
