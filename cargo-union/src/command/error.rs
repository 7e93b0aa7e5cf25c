//! Why a command failed: what is shown of it, and how the program ends.

use std::error::Error as _;

use union_build::diag::Code;

use crate::exit::Exit;
use crate::pipeline::problems::{ManifestProblems, PipelineError};
use crate::sys::error::Error;
use crate::sys::process::ProcessFailure;
use crate::ui::{Problem, Ui};

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
            // Only stdout itself fails without an error of ours.
            Err(cause) => Self::Output(
                Error::new(Code::FileUnwritable, "could not write to stdout")
                    .because(cause.to_string()),
            ),
        }
    }
}

impl CommandError {
    /// Whether the command itself noticed Ctrl-C.
    pub fn is_interruption(&self) -> bool {
        matches!(self, Self::Failed(error) if error.code() == Code::Interrupted)
    }

    /// Shows it, on stdout as well when that carries JSON and works.
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

    /// How the program ends.
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
