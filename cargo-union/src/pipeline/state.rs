//! What the last builds made: `target/union/results/<package>-<hash>.json`.
//!
//! Results say why the next plan does something, and hold the digests that are registered. They are
//! never an input: without them a build finds the same images by asking where they were published.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::image::platform::Platform;
use crate::pipeline::problems::Result;
use crate::sys::digest::Digest;
use crate::sys::fs;

/// Descriptions by binary, each the line that the binary prints.
pub(crate) type TaskInterfaces = BTreeMap<String, String>;

/// The images of one package.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BuildState {
    /// By the name of their table.
    pub(crate) images: BTreeMap<String, BuildRecord>,
    #[serde(skip)]
    path: PathBuf,
}

/// One image as it was last built or found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BuildRecord {
    /// The full key.
    pub(crate) key: String,
    /// The tag.
    pub(crate) tag: String,
    /// Where it is, as a user would type it.
    pub(crate) location: String,
    /// The pinned reference; `None` when it is in no registry.
    pub(crate) pinned: Option<String>,
    /// Digest of the top manifest; `None` when the registry of the remote builder does not tell it.
    pub(crate) digest: Option<Digest>,
    /// Compressed bytes of all layers of the first platform; 0 when the image was found, not built.
    pub(crate) size: u64,
    /// Compressed bytes of the code layer, likewise.
    pub(crate) code_size: u64,
    /// The platforms.
    pub(crate) platforms: Vec<Platform>,
    /// The binaries.
    pub(crate) binaries: Vec<String>,
    /// The git revision of the workspace when it was built.
    pub(crate) revision: Option<String>,
    /// The key of the environment.
    pub(crate) environment: String,
    /// Every input by name, as short as a plan shows it.
    pub(crate) inputs: BTreeMap<String, String>,
    /// What the binaries of `rust` tasks say of themselves, as far as it is known.
    #[serde(default)]
    pub(crate) interfaces: TaskInterfaces,
}

impl BuildState {
    /// The results of a package. What cannot be read counts as no results, for it is only memory.
    pub(crate) fn load(target_directory: &Path, package: &str, folder: &Path) -> Self {
        let references = union_build::handover::path(target_directory, package, folder);
        let name = references.file_name().expect("the references have a file name");
        let path = target_directory.join("union/results").join(name);
        let read: Option<Self> = std::fs::read(&path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        Self { path, ..read.unwrap_or_default() }
    }

    /// Writes them back, if they differ.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(crate) fn save(&self) -> Result<()> {
        let mut bytes = serde_json::to_vec_pretty(self).expect("results are plain values, which always serialize");
        bytes.push(b'\n');
        fs::replace_if_different(&self.path, &bytes)?;
        Ok(())
    }
}
