//! Caches the file lists of layers; each layer is streamed only once.
//!
//! The cache has an entry with all files of a layer, by its diff ID. For a stack of layers it has two much smaller
//! entries: the files that a dynamic loader may read, so that the start check reads a single cache file, and the packages.

use std::io;
use std::sync::Arc;

use serde::de::IgnoredAny;
use sha2::{Digest as _, Sha256};
use union_build::diag::Code;

use super::{layer, local_file};
use crate::image::BaseSource;
use crate::image::index::{FileIndex, LayerChange};
use crate::image::inventory::Inventory;
use crate::image::layer::{BlobSource, Layer};
use crate::sys::cache::Cache;
use crate::sys::digest::Digest;
use crate::sys::error::{Error, Result};
use crate::sys::fs;

/// Lists the files of layers, and downloads layers if necessary.
pub(in crate::build) struct LayerIndexCache {
    cache: Cache,
    source: Arc<dyn BaseSource>,
    /// One layer at a time, because images that are built concurrently usually share their base.
    lock: tokio::sync::Mutex<()>,
}

/// The cache directories of layers and of stacks. Raise the number when the format of an entry changes.
const LAYERS: &str = "contents-2";
const STACKS: &str = "loader-1";
const PACKAGES: &str = "packages-1";

impl LayerIndexCache {
    pub(in crate::build) fn new(cache: Cache, source: Arc<dyn BaseSource>) -> Self {
        Self {
            cache,
            source,
            lock: tokio::sync::Mutex::default(),
        }
    }

    /// The merged file tree of layers, lowest first; `name` is for error messages.
    pub(in crate::build) async fn files(&self, name: &str, layers: &[Layer]) -> Result<FileIndex> {
        let mut index = FileIndex::default();
        for layer in layers {
            index.apply(&self.changes(name, layer).await?);
        }
        Ok(index)
    }

    /// The part of the file tree that a dynamic loader may read.
    pub(in crate::build) async fn libraries(
        &self,
        name: &str,
        layers: &[Layer],
    ) -> Result<FileIndex> {
        let stack = stack_name(layers);
        if let Some(cached) = self.cache.note(STACKS, &stack) {
            return Ok(cached);
        }
        let reduced = self.files(name, layers).await?.reduced();
        self.cache.put_note(STACKS, &stack, &reduced)?;
        Ok(reduced)
    }

    /// The installed packages; `None` if a layer would have to be downloaded for them and `downloads` is not set.
    pub(in crate::build) async fn inventory(
        &self,
        name: &str,
        layers: &[Layer],
        downloads: bool,
    ) -> Result<Option<Inventory>> {
        let stack = stack_name(layers);
        if let Some(cached) = self.cache.note(PACKAGES, &stack) {
            return Ok(Some(cached));
        }
        if !downloads && !layers.iter().all(|layer| self.is_local(layer)) {
            return Ok(None);
        }
        let inventory = Inventory::of(&self.files(name, layers).await?);
        self.cache.put_note(PACKAGES, &stack, &inventory)?;
        Ok(Some(inventory))
    }

    /// Whether the files of a layer can be listed without a download.
    fn is_local(&self, layer: &Layer) -> bool {
        let listed = self.cache.note::<IgnoredAny>(LAYERS, &layer.diff_id.hex());
        let digest = &layer.blob.descriptor.digest;
        listed.is_some()
            || matches!(layer.blob.content, BlobSource::File(_))
            || self.cache.verified_blob(digest).is_some()
    }

    async fn changes(&self, name: &str, layer: &Layer) -> Result<Vec<LayerChange>> {
        let find_cached = || self.cache.note(LAYERS, &layer.diff_id.hex());
        if let Some(changes) = find_cached() {
            return Ok(changes);
        }
        let _guard = self.lock.lock().await;
        if let Some(changes) = find_cached() {
            return Ok(changes);
        }
        let path = local_file(&self.cache, &*self.source, &layer.blob).await?;
        let bytes = std::fs::File::open(&path).map_err(|cause| fs::unreadable(&path, cause))?;
        let diff_id = layer.diff_id;
        let directory = self.cache.directory().to_owned();
        fs::create_directory(&directory)?;
        let read = tokio::task::spawn_blocking(move || layer::read(bytes, diff_id, &directory));
        let changes = read
            .await
            .expect("reading a layer does not panic")
            .map_err(|cause| match cause.kind() {
                // A large library is written to a temporary file in the cache's directory while it is parsed.
                io::ErrorKind::StorageFull => fs::unwritable(self.cache.directory(), cause),
                _ => {
                    let digest = layer.blob.descriptor.digest;
                    Error::new(
                        Code::BaseCorrupt,
                        format!("could not read layer {digest} of base image `{name}`"),
                    )
                    .because(cause)
                }
            })?;
        self.cache
            .put_note(LAYERS, &layer.diff_id.hex(), &changes)?;
        Ok(changes)
    }
}

/// The name of the entries of a stack of layers, from the digests of their contents.
fn stack_name(layers: &[Layer]) -> String {
    let stack = layers.iter().fold(Sha256::new(), |stack, layer| {
        stack.chain_update(layer.diff_id.to_string())
    });
    Digest::from_hasher(stack).hex()
}
