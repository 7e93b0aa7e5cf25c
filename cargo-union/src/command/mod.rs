//! The verbs. Each plans, then acts; this is the only room that knows all the others.

mod build;
mod check;
mod config;
mod destination;
mod images;
mod init;
mod keys;
mod pages;
mod plan;
mod planning;
mod bases;
mod results;
mod session;
mod update;

use anyhow::Result;

use crate::exit::Exit;
use crate::settings::Task;
use crate::ui::Ui;

/// Does what was asked for.
///
/// # Errors
/// A [`base::error::Error`](crate::base::error::Error), or [`Problems`](session::Problems) of the
/// manifests, which are shown already.
pub async fn run(task: &Task, ui: &std::sync::Arc<Ui>) -> Result<Exit> {
    match task {
        Task::Init { manifest_path } => init::run(manifest_path.as_deref(), ui),
        Task::Check(scope) => check::run(scope, ui).await,
        Task::Config(scope) => config::run(scope, ui).await,
        Task::Plan(work) => plan::run(work, ui).await,
        Task::Build(work) => build::run(work, ui).await,
        Task::Images(scope) => images::run(scope, ui).await,
        Task::Update(update) => update::run(update, ui).await,
        Task::Page(text) => pages::run(text, ui),
    }
}
