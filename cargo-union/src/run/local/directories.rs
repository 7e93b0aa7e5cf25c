//! Directories of a run: temporary ones, and `target/union/run/<task>` for the outputs.

use std::collections::BTreeMap;
use std::path::PathBuf;

use union_build::diag::Code;

use super::LocalRun;
use crate::copilot::{ERROR, OutputDir, OutputValue, outputs};
use crate::pipeline::problems::Result;
use crate::sys::error::{Error, Result as SysResult};
use crate::sys::fs::{self, AtomicDir};

/// The directories of one run.
pub(super) struct RunDirs {
    temporary: AtomicDir,
    /// Where the files of outputs are stored.
    outputs: PathBuf,
}

impl RunDirs {
    /// Creates the temporary directory. The outputs of an earlier run stay until this one succeeds.
    pub(super) fn create(run: &LocalRun<'_>) -> SysResult<Self> {
        let target_directory = &run.session.workspace.target_directory;
        let outputs = target_directory.join("union/run").join(&run.options.task);
        Ok(Self {
            temporary: AtomicDir::create_beside(&outputs)?,
            outputs,
        })
    }

    /// The path of a temporary directory, which is not created here.
    pub(super) fn temporary(&self, name: &str) -> PathBuf {
        self.temporary.path().join(name)
    }

    /// Reads the outputs of a program that exited with 0. Output files replace those of an earlier run.
    ///
    /// # Errors
    /// `OutputsInvalid`; `ProgramFailed` when the program wrote an error file.
    pub(super) fn take_outputs(
        self,
        run: &LocalRun<'_>,
        written: &OutputDir,
    ) -> Result<BTreeMap<String, serde_json::Value>> {
        let task = run.task;
        if let Some(message) = written.error() {
            let error = Error::new(Code::ProgramFailed, format!("task `{}` failed", task.key));
            return Err(error
                .because(format!(
                    "its program has left `{ERROR}`:\n{}",
                    message.trim_end()
                ))
                .into());
        }
        let output_path = task.data.output_path.value.trim_end_matches('/');
        let types = task
            .outputs
            .iter()
            .map(|(name, ty)| (name.clone(), ty.value.clone()))
            .collect();
        let found = outputs(written, &types, output_path)
            .map_err(|problems| outputs_error(run, &problems))?;
        let files = AtomicDir::create_beside(&self.outputs)?;
        let mut values = BTreeMap::new();
        for output in found {
            let value = match output.taken {
                OutputValue::Value(value) => value,
                OutputValue::Path(path) => {
                    let destination = files.path().join(&path);
                    std::fs::rename(written.path(&path), &destination)
                        .map_err(|cause| fs::unwritable(&destination, cause))?;
                    self.outputs
                        .join(&path)
                        .to_string_lossy()
                        .into_owned()
                        .into()
                }
            };
            values.insert(output.name, value);
        }
        files.keep(&self.outputs)?;
        Ok(values)
    }
}

fn outputs_error(run: &LocalRun<'_>, problems: &[String]) -> Error {
    let error = Error::new(
        Code::OutputsInvalid,
        format!("task `{}` did not write its declared outputs", run.task.key),
    );
    let error = error.because(problems.join("\n"));
    match run.path_advice() {
        Some(advice) => error.help(advice),
        None => error,
    }
}
