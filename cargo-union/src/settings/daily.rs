//! Options of `abort`, `rerun`, `secret`, `trigger` and `create`.

use super::{
    OptionsReader, RemoteRunMode, RemoteRunOptions, Rerun, WorkspaceOptions, current_directory,
};
use crate::cli;
use crate::deploy::flyte_config::NewFlyteConfig;
use crate::deploy::secrets::{NewSecret, ValueSource};
use crate::sys::error::Result;
use crate::sys::fs;

/// Options of `abort`.
#[derive(Debug)]
pub struct AbortOptions {
    /// The run.
    pub run: String,
    /// `--reason`
    pub reason: String,
    /// The project and the backend.
    pub scope: WorkspaceOptions,
}

/// Options of `secret`.
#[derive(Debug)]
pub struct SecretOptions {
    /// The action.
    pub action: SecretAction,
    /// The project and the backend.
    pub scope: WorkspaceOptions,
}

/// The action of `secret`.
#[derive(Debug)]
pub enum SecretAction {
    /// `secret create`
    Create(NewSecret),
    /// `secret list`
    List {
        /// `--all-projects`
        all_projects: bool,
    },
    /// `secret delete`
    Delete {
        /// Name of the secret.
        name: String,
        /// `--all-projects`
        all_projects: bool,
    },
}

/// Options of `trigger`.
#[derive(Debug)]
pub struct TriggerOptions {
    /// `NAME` or `TASK/NAME`
    pub name: String,
    /// `--task`
    pub task: Option<String>,
    /// Whether it is activated.
    pub active: bool,
    /// The project and the backend.
    pub scope: WorkspaceOptions,
}

/// Options of `complete`.
#[derive(Debug)]
pub struct CompleteOptions {
    /// Whether runs are listed, rather than tasks.
    pub runs: bool,
    /// The packages, and the backend.
    pub scope: WorkspaceOptions,
}

impl OptionsReader<'_> {
    /// The project and backend of a command that builds nothing.
    pub(super) fn project_options(&self, project: cli::ProjectArgs) -> Result<WorkspaceOptions> {
        let overrides = cli::OverrideArgs {
            project: project.project,
            domain: project.domain,
            ..cli::OverrideArgs::default()
        };
        let args = cli::WorkspaceArgs {
            packages: project.packages,
            overrides,
        };
        let scope = self.workspace_options(args, &cli::CargoArgs::default())?;
        self.with_backend(scope, project.backend)
    }

    pub(super) fn abort(&self, abort: cli::AbortArgs) -> Result<AbortOptions> {
        Ok(AbortOptions {
            run: abort.run,
            reason: abort.reason,
            scope: self.project_options(abort.project)?,
        })
    }

    pub(super) fn rerun(&self, rerun: cli::RerunArgs) -> Result<RemoteRunOptions> {
        let register = self.register(cli::RegisterArgs {
            jobs: rerun.jobs,
            allow_unpinned: rerun.allow_unpinned,
            scope: rerun.scope,
            backend: rerun.backend,
            cargo: rerun.cargo,
            ..cli::RegisterArgs::default()
        })?;
        let mode = RemoteRunMode::Rerun(Rerun {
            run: rerun.run,
            same_version: rerun.same_version,
            overwrite_cache: rerun.overwrite_cache,
            detach: rerun.detach,
        });
        Ok(RemoteRunOptions {
            register,
            mode,
            save_outputs: rerun.save_outputs,
        })
    }

    pub(super) fn secret(&self, secret: cli::SecretCommand) -> Result<SecretOptions> {
        let (action, project) = match secret {
            cli::SecretCommand::Create(create) => {
                let source = match (create.registry, create.from_file) {
                    (Some(registry), _) => ValueSource::RegistryLogin(registry),
                    (None, Some(file)) => ValueSource::File(file),
                    (None, None) => ValueSource::Stdin,
                };
                let new = NewSecret {
                    name: create.name,
                    source,
                    all_projects: create.all_projects,
                    replace: create.replace,
                };
                (SecretAction::Create(new), create.project)
            }
            cli::SecretCommand::List(list) => {
                let all_projects = list.all_projects;
                (SecretAction::List { all_projects }, list.project)
            }
            cli::SecretCommand::Delete(delete) => {
                let action = SecretAction::Delete {
                    name: delete.name,
                    all_projects: delete.scope.all_projects,
                };
                (action, delete.scope.project)
            }
        };
        let scope = self.project_options(project)?;
        Ok(SecretOptions { action, scope })
    }

    pub(super) fn trigger(&self, trigger: cli::TriggerCommand) -> Result<TriggerOptions> {
        let (active, trigger) = match trigger {
            cli::TriggerCommand::Activate(trigger) => (true, trigger),
            cli::TriggerCommand::Deactivate(trigger) => (false, trigger),
        };
        Ok(TriggerOptions {
            name: trigger.name,
            task: trigger.task,
            active,
            scope: self.project_options(trigger.project)?,
        })
    }

    pub(super) fn create_config(&self, create: cli::CreateConfigArgs) -> Result<NewFlyteConfig> {
        Ok(NewFlyteConfig {
            endpoint: create.endpoint,
            insecure: create.insecure,
            org: create.org,
            project: create.project,
            domain: create.domain,
            auth_type: create.auth_type,
            builder: create.image_builder,
            registry: create.registry,
            output: fs::absolute(&current_directory()?, &create.output),
            force: create.force,
        })
    }
}
