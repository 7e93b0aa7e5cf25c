//! What is remembered of an image that was built or found.

use super::state::TaskInterfaces;
use crate::image::Image;
use crate::pipeline::plan::ImagePlan;
use crate::pipeline::remote::RemoteImage;
use crate::pipeline::state::BuildRecord;
use crate::publish::Published;
use crate::sys::digest::Digest;

/// An image that was just made.
pub(super) fn from_published(image: &ImagePlan, published: &Published, content: &Image, revision: Option<&str>) -> BuildRecord {
    let layers = &content.platforms[0].layers;
    let code = layers.last().filter(|_| !image.resolved.binaries().is_empty());
    BuildRecord {
        size: layers.iter().map(|layer| layer.blob.descriptor.size).sum(),
        code_size: code.map_or(0, |layer| layer.blob.descriptor.size),
        revision: revision.map(str::to_owned),
        ..record(image, published.digest)
    }
}

/// An image that the backend has just made, of so many bytes of ours.
pub(super) fn from_remote(image: &ImagePlan, standing: &RemoteImage, sent: u64, revision: Option<&str>) -> BuildRecord {
    BuildRecord { code_size: sent, revision: revision.map(str::to_owned), ..of_backend(image, standing) }
}

/// An image that was there: what is known of it stays, and what is not is learned.
pub(super) fn from_existing(image: &ImagePlan, known: Option<&BuildRecord>) -> BuildRecord {
    let now = match (&image.standing, image.planned.digest) {
        (Some(standing), _) => of_backend(image, standing),
        (None, digest) => record(image, digest.expect("an image is reused only when it was found")),
    };
    let is_it = |known: &&BuildRecord| known.digest == now.digest && known.key == now.key;
    match known.filter(is_it) {
        Some(known) if known.location == now.location => known.clone(),
        Some(known) => BuildRecord {
            size: known.size,
            code_size: known.code_size,
            revision: known.revision.clone(),
            interfaces: known.interfaces.clone(),
            ..now
        },
        None => now,
    }
}

fn record(image: &ImagePlan, digest: Digest) -> BuildRecord {
    let in_registry = image.destination.in_registry;
    let pinned = image.resolved.reference().filter(|_| in_registry).map(|reference| reference.repository.pinned(digest).to_string());
    new_record(image, image.destination.location.clone(), pinned, Some(digest))
}

fn of_backend(image: &ImagePlan, standing: &RemoteImage) -> BuildRecord {
    let pinned = standing.pinned.as_ref().ok();
    new_record(image, standing.image.clone(), pinned.map(ToString::to_string), pinned.map(|pinned| pinned.digest))
}

fn new_record(image: &ImagePlan, location: String, pinned: Option<String>, digest: Option<Digest>) -> BuildRecord {
    let resolved = &image.resolved;
    BuildRecord {
        key: resolved.key.to_string(),
        tag: resolved.tag.clone(),
        location,
        pinned,
        digest,
        size: 0,
        code_size: 0,
        platforms: image.target.platforms.clone(),
        binaries: resolved.binaries(),
        revision: None,
        environment: resolved.environment.to_string(),
        inputs: resolved.shown_inputs(),
        interfaces: TaskInterfaces::new(),
    }
}
