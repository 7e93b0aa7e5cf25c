//! One module per subcommand: options in, document out. The only module that imports `ui`.

mod build;
mod check;
mod config;
mod dockerfile;
mod error;
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

use crate::exit::Exit;
use crate::pipeline::Reporter;
use crate::settings::Command;
use crate::ui::Ui;
pub use error::CommandError;

/// Does what was asked for.
///
/// # Errors
/// Why it could not be done, to be shown by the caller.
pub async fn run(task: &Command, ui: &std::sync::Arc<Ui>) -> Result<Exit, CommandError> {
    dispatch(task, ui).await.map_err(CommandError::from)
}

async fn dispatch(task: &Command, ui: &std::sync::Arc<Ui>) -> Result<Exit> {
    match task {
        Command::Init {
            cargo,
            manifest_path,
        } => init::run(cargo, manifest_path.as_deref(), ui).await,
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

/// The user interface as the pipeline knows it.
fn reporter(ui: &std::sync::Arc<Ui>) -> std::sync::Arc<dyn Reporter> {
    ui.clone()
}
