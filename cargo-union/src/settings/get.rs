//! Options of `get`.

use std::time::SystemTime;

use union_build::diag::Code;
use union_build::spec::time;

use super::{OptionsReader, WorkspaceOptions};
use crate::cli;
use crate::run::{RunFilter, RunPhase};
use crate::sys::error::{Error, Result};

/// Options of `get`.
#[derive(Debug)]
pub struct GetOptions {
    /// What to show.
    pub of: Resource,
    /// The packages that set the project, with overrides, and the backend.
    pub scope: WorkspaceOptions,
}

/// The resource that `get` shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resource {
    /// Tasks with their latest versions, at most this many.
    Tasks(u32),
    /// A task.
    Task {
        /// Its name at the backend or in the manifest.
        task: String,
        /// `--version`
        version: Option<String>,
        /// The maximum number of versions in the list.
        limit: u32,
    },
    /// Runs with their phases.
    Runs(RunFilter),
    /// A run, by name.
    Run(String),
    /// Triggers, of one task or of all.
    Triggers(Option<String>),
    /// Projects with their domains.
    Projects,
}

impl OptionsReader<'_> {
    pub(super) fn get(&self, get: cli::GetCommand) -> Result<GetOptions> {
        let (of, project) = match get {
            cli::GetCommand::Tasks(list) => (Resource::Tasks(list.limit), list.project),
            cli::GetCommand::Task(task) => {
                let of = Resource::Task {
                    task: task.task,
                    version: task.version,
                    limit: task.limit,
                };
                (of, task.project)
            }
            cli::GetCommand::Runs(list) => {
                let phases = list.phase.iter();
                let filter = RunFilter {
                    phases: phases.filter_map(|word| RunPhase::of_word(word)).collect(),
                    task: list.task,
                    since: list.since.as_deref().map(parse_since).transpose()?,
                    limit: list.limit,
                };
                (Resource::Runs(filter), list.project)
            }
            cli::GetCommand::Triggers(list) => (Resource::Triggers(list.task), list.project),
            cli::GetCommand::Projects(backend) => {
                let project = cli::ProjectArgs {
                    backend,
                    ..cli::ProjectArgs::default()
                };
                (Resource::Projects, project)
            }
            cli::GetCommand::Run(run) => (Resource::Run(run.run), run.project),
        };
        let scope = self.project_options(project)?;
        Ok(GetOptions { of, scope })
    }
}

/// The seconds since 1970 of a time, or of a duration before now.
fn parse_since(text: &str) -> Result<i64> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let now = now.unwrap_or_default().as_secs();
    let before = |span: std::time::Duration| i64::try_from(now.saturating_sub(span.as_secs())).ok();
    time::parse_datetime(text)
        .map(|(seconds, _)| seconds)
        .or_else(|| before(time::parse_duration(text)?))
        .ok_or_else(|| {
            Error::new(
                Code::SettingInvalid,
                format!("invalid value for `--since`: `{text}`"),
            )
            .help("Write a duration such as `2h` or `1d12h`, or a time such as `2030-01-31T12:00:00Z`.")
        })
}
