//! Options of `new` and `init`.

use std::path::PathBuf;

use union_build::spec::TaskKind;

use super::OptionsReader;
use crate::cli;
use crate::scaffold::{NewProject, NewTask, ScaffoldOptions};
use crate::sys::error::Result;
use crate::workspace::Cargo;

/// Options of `new`.
#[derive(Debug)]
pub struct NewOptions {
    /// How cargo is called.
    pub cargo: Cargo,
    /// The package.
    pub project: NewProject,
}

/// Options of `init`.
#[derive(Debug)]
pub struct InitOptions {
    /// How cargo is called.
    pub cargo: Cargo,
    /// `--manifest-path`
    pub manifest_path: Option<PathBuf>,
    /// What is added.
    pub added: ScaffoldOptions,
    /// `--dry-run`
    pub dry_run: bool,
}

impl OptionsReader<'_> {
    pub(super) fn new_project(&self, new: cli::NewArgs) -> Result<NewOptions> {
        Ok(NewOptions {
            cargo: self.cargo(&cli::CargoArgs::default())?,
            project: NewProject {
                path: new.path,
                name: new.name,
                vcs: new.vcs,
                added: scaffold_options(new.added),
            },
        })
    }

    pub(super) fn init(&self, init: cli::InitArgs) -> Result<InitOptions> {
        Ok(InitOptions {
            cargo: self.cargo(&cli::CargoArgs::default())?,
            manifest_path: init.manifest_path,
            added: scaffold_options(init.added),
            dry_run: init.dry_run,
        })
    }
}

fn scaffold_options(added: cli::ScaffoldArgs) -> ScaffoldOptions {
    let of_kind = |kind| move |name| NewTask { name, kind };
    let task = added.task.map(of_kind(TaskKind::Container));
    ScaffoldOptions {
        registry: added.registry,
        task: task.or_else(|| added.rust_task.map(of_kind(TaskKind::Rust))),
        references: added.references,
    }
}
