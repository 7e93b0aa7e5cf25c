//! What was added, as a document and as a diff.

use serde::Serialize;

use super::ScaffoldOutcome;

/// The document of `new` and `init`.
#[derive(Serialize)]
pub(crate) struct ScaffoldDocument<'a> {
    directory: String,
    dry_run: bool,
    files: Vec<ScaffoldFile>,
    next: &'a [String],
}

#[derive(Serialize)]
struct ScaffoldFile {
    file: String,
    new: bool,
    diff: String,
}

impl ScaffoldOutcome {
    /// The document; with `dry_run`, nothing was written.
    pub(crate) fn document(&self, dry_run: bool) -> ScaffoldDocument<'_> {
        let files = self.files.iter().map(|file| ScaffoldFile {
            file: file.path.display().to_string(),
            new: file.before.is_none(),
            diff: file.diff(&self.directory),
        });
        ScaffoldDocument {
            directory: self.directory.display().to_string(),
            dry_run,
            files: files.collect(),
            next: &self.next,
        }
    }

    /// The unified diffs of all files.
    pub(crate) fn diff(&self) -> String {
        let diffs = self.files.iter().map(|file| file.diff(&self.directory));
        diffs.collect()
    }
}
