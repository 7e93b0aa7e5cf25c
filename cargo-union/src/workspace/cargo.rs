//! The cargo program and the user's flags for it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use union_build::diag::Code;

use crate::sys::error::{Error, Result};
use crate::sys::fs;
use crate::sys::process::{Environment, ProcessCommand};

/// How cargo is called: the program, its environment and the user's flags, which apply to every call.
#[derive(Clone, Debug)]
pub struct Cargo {
    /// `$CARGO`, else `cargo`.
    pub program: OsString,
    /// The user's working directory.
    pub directory: PathBuf,
    /// The environment of cargo and its child processes.
    pub environment: Environment,
    /// `--locked`.
    pub locked: bool,
    /// `--offline`.
    pub offline: bool,
    /// `--frozen`: `--locked` and `--offline`.
    pub frozen: bool,
    /// The count of `-v`; negative for `-q`.
    pub verbosity: i8,
    /// `--color WHEN`.
    pub color: Option<String>,
    /// `-j N`.
    pub jobs: Option<String>,
    /// `--target-dir DIR`, absolute.
    pub target_dir: Option<PathBuf>,
    /// Files and directories that this run writes, absolute; they are not sources.
    pub written: Vec<PathBuf>,
}

impl Cargo {
    /// `$CARGO` or `cargo`, without flags, in a working directory.
    pub fn new(directory: impl Into<PathBuf>, environment: Environment) -> Self {
        Self {
            program: environment
                .get("CARGO")
                .filter(|program| !program.is_empty())
                .unwrap_or("cargo")
                .into(),
            directory: directory.into(),
            environment,
            locked: false,
            offline: false,
            frozen: false,
            verbosity: 0,
            color: None,
            jobs: None,
            target_dir: None,
            written: Vec::new(),
        }
    }

    /// Whether Cargo.lock must not change.
    pub fn is_locked(&self) -> bool {
        self.locked || self.frozen
    }

    /// Whether the network must not be used.
    pub fn is_offline(&self) -> bool {
        self.offline || self.frozen
    }

    /// `CARGO_HOME`, by default `$HOME/.cargo`; `None` when neither variable is set.
    pub fn home(&self) -> Option<PathBuf> {
        let variable = |name| self.environment.get(name).filter(|value| !value.is_empty());
        let home = variable("CARGO_HOME")
            .map(PathBuf::from)
            .or_else(|| variable("HOME").map(|home| Path::new(home).join(".cargo")))?;
        Some(fs::absolute(&self.directory, &home))
    }

    /// Runs `cargo new --bin` in the user's working directory.
    ///
    /// # Errors
    /// `PackageRefused` with cargo's message; `ToolMissing`.
    pub async fn create_package(
        &self,
        path: &Path,
        name: Option<&str>,
        vcs: Option<&str>,
    ) -> Result<()> {
        let mut command = self.command(&self.directory, &self.environment);
        command.args(["new", "--bin", "--quiet", "--color", "never"]);
        for (flag, value) in [("--name", name), ("--vcs", vcs)] {
            if let Some(value) = value {
                command.arg(format!("{flag}={value}"));
            }
        }
        command.arg("--").arg(path);
        let output = command.output().await?.success();
        output.map(drop).map_err(|failed| {
            Error::new(
                Code::PackageRefused,
                format!("could not create the package `{}`", path.display()),
            )
            .because(failed)
        })
    }

    /// A cargo command in a working directory.
    pub(super) fn command(&self, directory: &Path, environment: &Environment) -> ProcessCommand {
        ProcessCommand::new(&self.program, directory, environment)
    }

    /// The flags of commands after keys are computed: always `--locked`, since Cargo.lock is part of the keys.
    pub(super) fn lock_flags(&self) -> Vec<OsString> {
        if self.frozen {
            return vec!["--frozen".into()];
        }
        let mut flags: Vec<OsString> = vec!["--locked".into()];
        flags.extend(self.offline.then(|| "--offline".into()));
        flags
    }

    /// The flags of a command that compiles, into `directory` or into the user's target directory.
    pub(super) fn compile_flags(&self, directory: Option<&Path>) -> Vec<OsString> {
        let mut flags = self.lock_flags();
        match self.verbosity {
            0 => {}
            count if count > 0 => {
                flags.push(format!("-{}", "v".repeat(count.unsigned_abs().into())).into())
            }
            _ => flags.push("--quiet".into()),
        }
        for (flag, value) in [("--color", &self.color), ("--jobs", &self.jobs)] {
            flags.extend(
                value
                    .iter()
                    .flat_map(|value| [OsString::from(flag), value.into()]),
            );
        }
        let directory = directory.or(self.target_dir.as_deref());
        flags.extend(
            directory
                .iter()
                .flat_map(|directory| [OsString::from("--target-dir"), directory.into()]),
        );
        flags
    }
}
