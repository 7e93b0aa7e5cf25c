//! Fetches the files and directories of a run's outputs: `--save-outputs DIR`.
//!
//! An output is saved to `DIR/NAME`, an element of a list or a map to `DIR/NAME/POSITION` or `DIR/NAME/KEY`. All files
//! are downloaded to a temporary directory first, and moved when all are complete.

use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;
use union_build::diag::Code;
use union_build::spec::Task;
use union_build::spec::types::Type;

use crate::flyte::client::Client;
use crate::flyte::convert::{BlobPlace, Literal, json_with_blobs};
use crate::flyte::files::{FileTotals, StoreReader, StoreSettings};
use crate::run::Reporter;
use crate::run::options::RemoteRunOptions;
use crate::sys::error::{Error, Result};
use crate::sys::fs::{self, AtomicDir};
use crate::sys::words;

/// Fetches outputs into one directory.
pub(super) struct OutputSaver {
    directory: PathBuf,
    settings: StoreSettings,
}

impl OutputSaver {
    /// The saver of `--save-outputs`; `None` without it.
    ///
    /// # Errors
    /// U0008 (`SettingInvalid`) for settings of the store that are not valid.
    pub(super) fn of(options: &RemoteRunOptions) -> Result<Option<Self>> {
        let Some(directory) = &options.save_outputs else {
            return Ok(None);
        };
        let cargo = &options.register.options.scope.cargo;
        Ok(Some(Self {
            directory: fs::absolute(&cargo.directory, directory),
            settings: StoreSettings::of(&cargo.environment)?,
        }))
    }

    /// Checks that the files of the outputs that the manifest declares do not exist, before the task runs.
    ///
    /// # Errors
    /// U0785 (`OutputExists`).
    pub(super) fn check_declared(&self, task: &Task) -> Result<()> {
        let has_files = |ty: &Type| matches!(ty, Type::File | Type::Directory);
        let names = task.outputs.iter().filter(|(_, ty)| has_files(&ty.value));
        self.check_free(names.map(|(name, _)| name.as_str()))
    }

    /// Fetches the files, and returns all outputs as JSON, with local paths in place of addresses.
    ///
    /// # Errors
    /// U0785 (`OutputExists`); those of [`StoreReader`]; U0005 (`FileUnwritable`), also for a name that cannot be one of a
    /// file; U0006 (`DiskFull`).
    pub(super) async fn save(
        &self,
        client: &Client,
        outputs: &[(String, Literal)],
        reporter: &dyn Reporter,
    ) -> Result<Vec<(String, Value)>> {
        let outputs: Vec<OutputFiles<'_>> = outputs
            .iter()
            .map(|(name, literal)| self.find_files(name, literal))
            .collect::<Result<_>>()?;
        let with_files = || outputs.iter().filter(|output| !output.blobs.is_empty());
        self.check_free(with_files().map(|output| output.name))?;
        if with_files().next().is_some() {
            let fetched = AtomicDir::create_beside(&self.directory.join("outputs"))?;
            let reader = StoreReader::new(client, self.settings.clone());
            let mut totals = Vec::new();
            for output in with_files() {
                totals.push(output.fetch(&reader, fetched.path(), reporter).await?);
            }
            for (output, totals) in with_files().zip(totals) {
                let to = self.directory.join(output.name);
                self.check_free([output.name])?;
                std::fs::rename(fetched.path().join(output.name), &to)
                    .map_err(|cause| fs::unwritable(&to, cause))?;
                reporter.output_saved(output.name, &to, totals);
            }
        }
        Ok(outputs
            .into_iter()
            .map(|output| (output.name.to_owned(), output.value))
            .collect())
    }

    fn find_files<'a>(&self, name: &'a str, literal: &Literal) -> Result<OutputFiles<'a>> {
        let mut blobs = Vec::new();
        let value = json_with_blobs(literal, &mut |place| {
            let path = place_below(&self.directory, name, &place);
            blobs.push(place);
            path.to_string_lossy().into_owned()
        });
        let mut parts = blobs.iter().flat_map(|place| &place.path);
        let unfit = (!blobs.is_empty())
            .then_some(name)
            .filter(|name| !is_file_name(name))
            .or_else(|| parts.find(|part| !is_file_name(part)).map(String::as_str));
        match unfit {
            Some(part) => {
                let why = format!("`{}` cannot be the name of a file", part.escape_debug());
                Err(fs::unwritable(&self.directory, io::Error::other(why)))
            }
            None => Ok(OutputFiles { name, value, blobs }),
        }
    }

    fn check_free<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> Result<()> {
        let taken: Vec<String> = names
            .into_iter()
            .map(|name| self.directory.join(name))
            .filter(|path| path.symlink_metadata().is_ok())
            .map(|path| path.display().to_string())
            .collect();
        if taken.is_empty() {
            return Ok(());
        }
        let tried = format!("could not save outputs to `{}`", self.directory.display());
        let verb = if taken.len() == 1 { "exists" } else { "exist" };
        Err(Error::new(Code::OutputExists, tried)
            .because(format!("{} {verb} already", words::list(&taken))))
    }
}

struct OutputFiles<'a> {
    name: &'a str,
    /// The output as JSON, with the paths at which its files will be.
    value: Value,
    blobs: Vec<BlobPlace>,
}

impl OutputFiles<'_> {
    /// Fetches the files to `NAME` below a directory.
    async fn fetch(
        &self,
        reader: &StoreReader<'_>,
        below: &Path,
        reporter: &dyn Reporter,
    ) -> Result<FileTotals> {
        let _busy = reporter.busy("Fetching", &self.name);
        let mut totals = FileTotals::default();
        for place in &self.blobs {
            let to = place_below(below, self.name, place);
            let fetched = if place.is_directory {
                let progress =
                    |progress| reporter.directory_progress("Fetching", self.name, progress);
                reader
                    .fetch_directory(&place.address, &to, &progress)
                    .await?
            } else {
                reader.fetch_file(&place.address, &to).await?
            };
            totals.files += fetched.files;
            totals.bytes += fetched.bytes;
        }
        Ok(totals)
    }
}

fn place_below(directory: &Path, name: &str, place: &BlobPlace) -> PathBuf {
    let mut path = directory.join(name);
    path.extend(&place.path);
    path
}

/// Whether a text is a file name on every system, so that a path with it stays in its directory.
fn is_file_name(name: &str) -> bool {
    !matches!(name, "" | "." | "..")
        && !name.contains(|letter: char| letter.is_control() || matches!(letter, '/' | '\\' | ':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_lead_elsewhere_are_no_file_names() {
        for name in [
            "", ".", "..", "../x", "/etc", "a/b", "a\\b", "C:", "a\0", "a\nb",
        ] {
            assert!(!is_file_name(name), "{name:?}");
        }
        for name in ["model", "o0", "..x", "a b.csv"] {
            assert!(is_file_name(name), "{name:?}");
        }
    }
}
