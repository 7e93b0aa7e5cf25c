//! What is remembered of an image that was built or found.

use super::describing::Descriptions;
use crate::command::planning::ImagePlan;
use crate::command::planning::results::Record;
use crate::image::Image;
use crate::image::digest::Digest;
use crate::publish::Published;

/// An image that was just made.
pub(super) fn built(image: &ImagePlan, published: &Published, content: &Image, revision: Option<&str>) -> Record {
    let layers = &content.platforms[0].layers;
    let code = layers.last().filter(|_| !image.keyed.binaries().is_empty());
    Record {
        size: layers.iter().map(|layer| layer.blob.descriptor.size).sum(),
        code_size: code.map_or(0, |layer| layer.blob.descriptor.size),
        revision: revision.map(str::to_owned),
        ..record(image, published.digest)
    }
}

/// An image that was there: what is known of it stays, and what is not is learned.
pub(super) fn found(image: &ImagePlan, known: Option<&Record>) -> Record {
    let digest = image.planned.digest.expect("an image is reused only when it was found");
    let is_it = |known: &&Record| known.digest == digest && known.key == image.keyed.key.to_string();
    match known.filter(is_it) {
        Some(known) if known.location == image.destination.location => known.clone(),
        Some(known) => Record {
            size: known.size,
            code_size: known.code_size,
            revision: known.revision.clone(),
            interfaces: known.interfaces.clone(),
            ..record(image, digest)
        },
        None => record(image, digest),
    }
}

fn record(image: &ImagePlan, digest: Digest) -> Record {
    let keyed = &image.keyed;
    let in_registry = image.destination.in_registry;
    Record {
        key: keyed.key.to_string(),
        tag: keyed.tag.clone(),
        location: image.destination.location.clone(),
        pinned: keyed.reference().filter(|_| in_registry).map(|reference| reference.repository.pinned(digest).to_string()),
        digest,
        size: 0,
        code_size: 0,
        platforms: image.target.platforms.clone(),
        binaries: keyed.binaries(),
        revision: None,
        environment: keyed.environment.to_string(),
        inputs: keyed.shown_inputs(),
        interfaces: Descriptions::new(),
    }
}
