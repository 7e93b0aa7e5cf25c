//! cargo itself: which program it is, and the flags that a user gave for it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::sys::fs;
use crate::sys::process::{Environment, ProcessCommand};

/// cargo as the user calls it. What is set here reaches every call.
#[derive(Clone, Debug)]
pub struct Cargo {
    /// `$CARGO`, else `cargo`.
    pub program: OsString,
    /// The user's working folder.
    pub folder: PathBuf,
    /// What cargo and its children see.
    pub environment: Environment,
    /// `--locked`.
    pub locked: bool,
    /// `--offline`.
    pub offline: bool,
    /// `--frozen`: both of the above.
    pub frozen: bool,
    /// `-v` counts up, `-q` is below zero.
    pub verbosity: i8,
    /// `--color WHEN`.
    pub color: Option<String>,
    /// `-j N`.
    pub jobs: Option<String>,
    /// `--target-dir DIR`, absolute.
    pub target_dir: Option<PathBuf>,
    /// Files and directories that this run writes besides, absolute: they are no sources, wherever they are.
    pub written: Vec<PathBuf>,
}

impl Cargo {
    /// cargo without any flags.
    pub fn new(folder: impl Into<PathBuf>, environment: Environment) -> Self {
        Self {
            program: environment.get("CARGO").filter(|program| !program.is_empty()).unwrap_or("cargo").into(),
            folder: folder.into(),
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

    /// Whether Cargo.lock may not change.
    pub fn is_locked(&self) -> bool {
        self.locked || self.frozen
    }

    /// Whether the network may not be used.
    pub fn is_offline(&self) -> bool {
        self.offline || self.frozen
    }

    /// cargo's home: its configuration, and the sources of registries.
    pub fn home(&self) -> Option<PathBuf> {
        let set = |name| self.environment.get(name).filter(|value| !value.is_empty());
        let home = set("CARGO_HOME").map(PathBuf::from).or_else(|| set("HOME").map(|home| Path::new(home).join(".cargo")))?;
        Some(fs::absolute(&self.folder, &home))
    }

    /// A call of cargo in a folder.
    pub(super) fn command(&self, folder: &Path, environment: &Environment) -> ProcessCommand {
        ProcessCommand::new(&self.program, folder, environment)
    }

    /// The flags by which a command leaves Cargo.lock alone, which is part of keys, and the network as the user wants it.
    pub(super) fn lock_flags(&self) -> Vec<OsString> {
        if self.frozen {
            return vec!["--frozen".into()];
        }
        let mut flags: Vec<OsString> = vec!["--locked".into()];
        flags.extend(self.offline.then(|| "--offline".into()));
        flags
    }

    /// The flags for a command that compiles, into the user's target folder or into another.
    pub(super) fn compile_flags(&self, folder: Option<&Path>) -> Vec<OsString> {
        let mut flags = self.lock_flags();
        match self.verbosity {
            0 => {}
            count if count > 0 => flags.push(format!("-{}", "v".repeat(count.unsigned_abs().into())).into()),
            _ => flags.push("--quiet".into()),
        }
        for (flag, value) in [("--color", &self.color), ("--jobs", &self.jobs)] {
            flags.extend(value.iter().flat_map(|value| [OsString::from(flag), value.into()]));
        }
        let folder = folder.or(self.target_dir.as_deref());
        flags.extend(folder.iter().flat_map(|folder| [OsString::from("--target-dir"), folder.into()]));
        flags
    }
}
