//! Creates the [`BuildRecord`] of an image that was published or that existed already.

use super::route::{ExistingImage, PublishedImage};
use super::state::TaskInterfaces;
use crate::pipeline::plan::ImagePlan;
use crate::pipeline::state::BuildRecord;

/// The record of an image that was just published.
pub(super) fn from_published(
    image: &ImagePlan,
    published: &PublishedImage,
    revision: Option<&str>,
) -> BuildRecord {
    BuildRecord {
        size: published.size,
        code_size: published.code_size,
        revision: revision.map(str::to_owned),
        ..new_record(image, &published.existing)
    }
}

/// The record of an image that existed already. Sizes, revision and interfaces are taken from the previous record if it
/// has the same digest and key.
pub(super) fn from_existing(
    image: &ImagePlan,
    existing: &ExistingImage,
    previous: Option<&BuildRecord>,
) -> BuildRecord {
    let key = image.resolved.key.to_string();
    match previous.filter(|previous| previous.digest == existing.digest && previous.key == key) {
        Some(previous) if previous.location == existing.location => previous.clone(),
        Some(previous) => BuildRecord {
            size: previous.size,
            code_size: previous.code_size,
            revision: previous.revision.clone(),
            interfaces: previous.interfaces.clone(),
            ..new_record(image, existing)
        },
        None => new_record(image, existing),
    }
}

fn new_record(image: &ImagePlan, existing: &ExistingImage) -> BuildRecord {
    let resolved = &image.resolved;
    BuildRecord {
        key: resolved.key.to_string(),
        tag: resolved.tag.clone(),
        location: existing.location.clone(),
        pinned: existing.pinned.as_ref().map(ToString::to_string),
        digest: existing.digest,
        size: 0,
        code_size: 0,
        platforms: image.target.platforms.clone(),
        binaries: resolved.binaries(),
        revision: None,
        environment: resolved.environment_key.to_string(),
        inputs: resolved.shown_inputs(),
        interfaces: TaskInterfaces::new(),
    }
}
