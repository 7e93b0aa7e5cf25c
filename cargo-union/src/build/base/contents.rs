//! What is in layers: each is streamed once in its life, and what was learned is kept.
//!
//! Of a layer the cache keeps a note of everything in it, by its diff id. Of a stack of layers it keeps
//! a second, far smaller one, of what a loader may look at, so that a check of every edit reads one file.

use std::io;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use union_build::diag::Code;

use super::{file, layer};
use crate::image::BaseSource;
use crate::image::index::{FileIndex, LayerChange};
use crate::image::layer::Layer;
use crate::sys::cache::Cache;
use crate::sys::digest::Digest;
use crate::sys::error::{Error, Result};
use crate::sys::fs;

/// Knows what is in layers, wherever they are.
pub(in crate::build) struct LayerIndexCache {
    cache: Cache,
    source: Arc<dyn BaseSource>,
    /// One layer at a time: images that are built at once have the same base more often than not.
    turn: tokio::sync::Mutex<()>,
}

/// What is in each layer, and what a loader may look at in each stack of layers. Raise the numbers when
/// what is kept of a file changes.
const LAYERS: &str = "contents-1";
const STACKS: &str = "loader-1";

impl LayerIndexCache {
    pub(in crate::build) fn new(cache: Cache, source: Arc<dyn BaseSource>) -> Self {
        Self { cache, source, turn: tokio::sync::Mutex::default() }
    }

    /// What stands where when layers lie upon one another, lowest first; errors call them `name`.
    pub(in crate::build) async fn files(&self, name: &str, layers: &[Layer]) -> Result<FileIndex> {
        let mut index = FileIndex::default();
        for layer in layers {
            index.apply(&self.changes(name, layer).await?);
        }
        Ok(index)
    }

    /// The part of it that a loader may look at.
    pub(in crate::build) async fn libraries(&self, name: &str, layers: &[Layer]) -> Result<FileIndex> {
        let stack = layers.iter().fold(Sha256::new(), |stack, layer| stack.chain_update(layer.diff_id.to_string()));
        let stack = Digest::from_hasher(stack).hex();
        if let Some(known) = self.cache.note(STACKS, &stack) {
            return Ok(known);
        }
        let reduced = self.files(name, layers).await?.reduced();
        self.cache.put_note(STACKS, &stack, &reduced)?;
        Ok(reduced)
    }

    async fn changes(&self, name: &str, layer: &Layer) -> Result<Vec<LayerChange>> {
        let known = || self.cache.note(LAYERS, &layer.diff_id.hex());
        if let Some(known) = known() {
            return Ok(known);
        }
        let _turn = self.turn.lock().await;
        if let Some(known) = known() {
            return Ok(known);
        }
        let path = file(&self.cache, &*self.source, &layer.blob).await?;
        let bytes = std::fs::File::open(&path).map_err(|cause| fs::unreadable(&path, cause))?;
        let (diff_id, folder) = (layer.diff_id, self.cache.folder().to_owned());
        fs::create_folder(&folder)?;
        let read = tokio::task::spawn_blocking(move || layer::read(bytes, diff_id, &folder));
        let changes = read.await.expect("reading a layer does not panic").map_err(|cause| match cause.kind() {
            // A large library is set down in the cache's folder while it is looked at.
            io::ErrorKind::StorageFull => fs::unwritable(self.cache.folder(), cause),
            _ => {
                let digest = layer.blob.descriptor.digest;
                Error::new(Code::BaseCorrupt, format!("could not read layer {digest} of base image `{name}`")).because(cause)
            }
        })?;
        self.cache.put_note(LAYERS, &layer.diff_id.hex(), &changes)?;
        Ok(changes)
    }
}
