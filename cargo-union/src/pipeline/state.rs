//! The state file of a package, with the results of its last builds: `target/union/results/<package>-<hash>.json`.
//!
//! It explains what the next plan does, and holds the digests that are registered. It is not an input of any image:
//! without the file a build finds the same images where they were published.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::image::platform::Platform;
use crate::pipeline::problems::Result;
use crate::sys::digest::Digest;
use crate::sys::fs;

/// Interface descriptions by name of the binary, each the line of JSON that the binary prints.
pub(crate) type TaskInterfaces = BTreeMap<String, String>;

/// The last known results of all images of a package.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BuildState {
    /// By the key of the image in the manifest.
    pub(crate) images: BTreeMap<String, BuildRecord>,
    #[serde(skip)]
    path: PathBuf,
}

/// An image as it was last published or found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BuildRecord {
    /// The content key.
    pub(crate) key: String,
    pub(crate) tag: String,
    /// As a user would type it: `ghcr.io/acme/app:tag`, `oci:target/union/oci/app:tag`.
    pub(crate) location: String,
    /// The reference by digest; `None` outside of registries.
    pub(crate) pinned: Option<String>,
    /// Digest of the index, or of the manifest of a single platform; `None` if the remote builder's registry did not
    /// return it.
    pub(crate) digest: Option<Digest>,
    /// Compressed size in bytes of all layers of the first platform; 0 if the image was found, and no earlier record
    /// has its size.
    pub(crate) size: u64,
    /// Compressed size in bytes of the code layer; 0 if the image was found, and no earlier record has its size.
    pub(crate) code_size: u64,
    pub(crate) platforms: Vec<Platform>,
    pub(crate) binaries: Vec<String>,
    /// The git revision of the workspace at the time of the build.
    pub(crate) revision: Option<String>,
    /// The content key of the environment.
    pub(crate) environment: String,
    /// Every input by name, abbreviated as a plan shows it.
    pub(crate) inputs: BTreeMap<String, String>,
    /// The interfaces of the binaries of `rust` tasks, as far as they are known.
    #[serde(default)]
    pub(crate) interfaces: TaskInterfaces,
}

impl BuildState {
    /// Loads the state of a package. A file that cannot be read counts as empty, since it can always be recreated.
    pub(crate) fn load(target_directory: &Path, package: &str, directory: &Path) -> Self {
        let references = union_build::handover::path(target_directory, package, directory);
        let name = references
            .file_name()
            .expect("the references have a file name");
        let path = target_directory.join("union/results").join(name);
        let state: Option<Self> = std::fs::read(&path)
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok());
        Self {
            path,
            ..state.unwrap_or_default()
        }
    }

    /// Writes the file if its content has changed.
    ///
    /// # Errors
    /// `FileUnwritable`
    pub(crate) fn save(&self) -> Result<()> {
        let mut bytes = serde_json::to_vec_pretty(self)
            .expect("results are plain values, which always serialize");
        bytes.push(b'\n');
        fs::replace_if_different(&self.path, &bytes)?;
        Ok(())
    }
}
