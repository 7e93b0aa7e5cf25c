//! The user's cache of blobs and of packed layers, shared by all workspaces and processes.
//!
//! `$UNION_CACHE_DIR`, else `$XDG_CACHE_HOME/cargo-union`, else `~/.cache/cargo-union`:
//! `blobs/sha256/<hex>` holds blobs by digest, `notes/<kind>/<name>.json` what was learned about
//! them. Every entry is put in place whole by one rename, so several processes may share it; a
//! missing or removed entry only costs time.

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::Result;
use super::fs::{self, Draft};
use crate::image::digest::Digest;

/// The cache's folder.
#[derive(Clone, Debug)]
pub struct Cache {
    folder: PathBuf,
}

impl Cache {
    /// A cache in a folder, which is made when something is put into it.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// Where a blob is or would be.
    pub fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.folder.join("blobs/sha256").join(digest.hex())
    }

    /// A blob's path, when it is there.
    pub fn blob(&self, digest: &Digest) -> Option<PathBuf> {
        let path = self.blob_path(digest);
        path.is_file().then_some(path)
    }

    /// A file to write a new blob into; [`keep`](Self::keep) gives it its name.
    ///
    /// # Errors
    /// `FileUnwritable`, `DiskFull`.
    pub fn draft(&self) -> Result<Draft> {
        Draft::beside(&self.folder.join("blobs/sha256/draft"))
    }

    /// Puts a blob whose digest was computed while it was written into its place.
    ///
    /// # Errors
    /// `FileUnwritable`, `DiskFull`.
    pub fn keep(&self, draft: Draft, digest: &Digest) -> Result<PathBuf> {
        let path = self.blob_path(digest);
        draft.keep(&path)?;
        Ok(path)
    }

    /// What was learned about something; `None` when nothing was, or it cannot be read.
    pub fn note<T: DeserializeOwned>(&self, kind: &str, name: &str) -> Option<T> {
        serde_json::from_slice(&std::fs::read(self.note_path(kind, name)).ok()?).ok()
    }

    /// Keeps what was learned about something.
    ///
    /// # Errors
    /// `FileUnwritable`, `DiskFull`.
    pub fn put_note<T: Serialize>(&self, kind: &str, name: &str, note: &T) -> Result<()> {
        let bytes = serde_json::to_vec(note).expect("notes are plain values, which always serialize");
        fs::replace(&self.note_path(kind, name), &bytes)
    }

    /// The cache's folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn note_path(&self, kind: &str, name: &str) -> PathBuf {
        self.folder.join("notes").join(kind).join(format!("{name}.json"))
    }
}
