//! Blobs on this machine: what the layout, the tar file and the engine are fed with.

use std::path::PathBuf;

use bytes::Bytes;

use super::{Reporter, Transfer, Way};
use crate::base::error::Result;
use crate::image::layer::{Blob, Content, Descriptor};
use crate::image::{BaseSource, Image};

/// A blob whose bytes are here.
#[derive(Clone, Debug)]
pub(super) struct Local {
    pub(super) descriptor: Descriptor,
    pub(super) bytes: Place,
}

/// Where a blob's bytes are.
#[derive(Clone, Debug)]
pub(super) enum Place {
    Memory(Bytes),
    File(PathBuf),
}

/// Brings a blob here if it is still in a base's registry.
pub(super) async fn local(source: &dyn BaseSource, blob: &Blob) -> Result<Local> {
    let bytes = match &blob.content {
        Content::Bytes(bytes) => Place::Memory(bytes.clone()),
        Content::File(path) => Place::File(path.clone()),
        Content::Remote(repository) => Place::File(source.blob(repository, &blob.descriptor).await?),
    };
    Ok(Local { descriptor: blob.descriptor.clone(), bytes })
}

/// Every blob of an image once, the small ones first: index, manifests and configs, then layers.
pub(super) fn blobs(image: &Image) -> Vec<&Blob> {
    let tops = image.index.iter().chain(image.platforms.iter().flat_map(|platform| [&platform.manifest, &platform.config]));
    let layers = image.platforms.iter().flat_map(|platform| platform.layers.iter().map(|layer| &layer.blob));
    let mut seen = std::collections::BTreeSet::new();
    tops.chain(layers).filter(|blob| seen.insert(blob.descriptor.digest)).collect()
}

/// Tells that a blob is at its place, and how it got there.
pub(super) fn report(reporter: &dyn Reporter, blob: &Descriptor, place: &str, way: Way) {
    reporter.transfer(&Transfer { digest: blob.digest, place, way, done: blob.size, total: blob.size });
}
