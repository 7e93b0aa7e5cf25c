//! What the last builds made: `target/union/results/<package>-<hash>.json`.
//!
//! Results say why the next plan does something, and hold the digests that are registered. They are
//! never an input: without them a build finds the same images by asking where they were published.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::describing::Descriptions;
use crate::base::fs;
use crate::image::digest::Digest;
use crate::image::platform::Platform;

/// The images of one package.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Results {
    /// By the name of their table.
    pub(super) images: BTreeMap<String, Record>,
    #[serde(skip)]
    path: PathBuf,
}

/// One image as it was last built or found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    /// The full key.
    pub(super) key: String,
    /// The tag.
    pub(super) tag: String,
    /// Where it is, as a user would type it.
    pub(super) location: String,
    /// The pinned reference; `None` when it is in no registry.
    pub(super) pinned: Option<String>,
    /// Digest of the top manifest.
    pub(super) digest: Digest,
    /// Compressed bytes of all layers of the first platform; 0 when the image was found, not built.
    pub(super) size: u64,
    /// Compressed bytes of the code layer, likewise.
    pub(super) code_size: u64,
    /// The platforms.
    pub(super) platforms: Vec<Platform>,
    /// The binaries.
    pub(super) binaries: Vec<String>,
    /// The git revision of the workspace when it was built.
    pub(super) revision: Option<String>,
    /// The key of the environment.
    pub(super) environment: String,
    /// Every input by name, as short as a plan shows it.
    pub(super) inputs: BTreeMap<String, String>,
    /// What the binaries of `rust` tasks say of themselves, as far as it is known.
    #[serde(default)]
    pub(super) interfaces: Descriptions,
}

impl Results {
    /// The results of a package. What cannot be read counts as no results, for it is only memory.
    pub(super) fn load(target_directory: &Path, package: &str, folder: &Path) -> Self {
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
    pub(super) fn save(&self) -> Result<()> {
        let mut bytes = serde_json::to_vec_pretty(self).expect("results are plain values, which always serialize");
        bytes.push(b'\n');
        fs::replace_if_different(&self.path, &bytes)?;
        Ok(())
    }
}
