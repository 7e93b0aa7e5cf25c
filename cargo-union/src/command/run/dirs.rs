//! The folders of a run: drafts that vanish with it, and the outputs that are left in
//! `target/union/run/<task>`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Result;
use union_build::diag::Code;

use super::{LocalRun, types};
use crate::copilot::{ERROR, OutputDir, OutputValue, outputs};
use crate::sys::error::{Error, Result as BaseResult};
use crate::sys::fs::{self, AtomicDir};

/// The folders of one run.
pub(super) struct RunDirs {
    drafts: AtomicDir,
    place: PathBuf,
}

impl RunDirs {
    /// Begins a run. What an earlier run has left stays until this one has outputs.
    pub(super) fn begin(target: &Path, task: &str) -> BaseResult<Self> {
        let place = target.join("union/run").join(task);
        Ok(Self { drafts: AtomicDir::beside(&place)?, place })
    }

    /// A folder of this run alone.
    pub(super) fn draft(&self, name: &str) -> PathBuf {
        self.drafts.path().join(name)
    }

    /// The outputs of a program that has ended well. Files are left in their place; nothing else is.
    ///
    /// # Errors
    /// `OutputsInvalid`; `ProgramFailed` when the program itself says so.
    pub(super) fn take(self, ready: &LocalRun<'_>, written: &OutputDir) -> Result<BTreeMap<String, serde_json::Value>> {
        let task = ready.task;
        if let Some(said) = written.error() {
            let error = Error::new(Code::ProgramFailed, format!("task `{}` failed", task.key));
            return Err(error.because(format!("its program has left `{ERROR}`:\n{}", said.trim_end())).into());
        }
        let shown = task.data.output_path.value.trim_end_matches('/');
        let taken = outputs(written, &types(&task.outputs), shown).map_err(|problems| ready.not_the_outputs(&problems))?;
        let files = AtomicDir::beside(&self.place)?;
        let mut values = BTreeMap::new();
        for output in taken {
            let value = match output.taken {
                OutputValue::Value(value) => value,
                OutputValue::Path(below) => {
                    let to = files.path().join(&below);
                    std::fs::rename(written.path(&below), &to).map_err(|cause| fs::unwritable(&to, cause))?;
                    self.place.join(&below).to_string_lossy().into_owned().into()
                }
            };
            values.insert(output.name, value);
        }
        files.keep(&self.place)?;
        Ok(values)
    }
}

impl LocalRun<'_> {
    fn not_the_outputs(&self, problems: &[String]) -> Error {
        let error = Error::new(Code::OutputsInvalid, format!("task `{}` did not give the outputs that it declares", self.task.key));
        let error = error.because(problems.join("\n"));
        match self.advice_on_folders() {
            Some(advice) => error.help(advice),
            None => error,
        }
    }
}
