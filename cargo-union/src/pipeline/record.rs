//! What is remembered of an image that was built or found.

use super::route::{ExistingImage, PublishedImage};
use super::state::TaskInterfaces;
use crate::pipeline::plan::ImagePlan;
use crate::pipeline::state::BuildRecord;

/// The record of an image that was just made.
pub(super) fn from_published(image: &ImagePlan, published: &PublishedImage, revision: Option<&str>) -> BuildRecord {
    BuildRecord {
        size: published.size,
        code_size: published.code_size,
        revision: revision.map(str::to_owned),
        ..new_record(image, &published.existing)
    }
}

/// The record of an image that was found: what is known of it stays.
pub(super) fn from_existing(image: &ImagePlan, existing: &ExistingImage, known: Option<&BuildRecord>) -> BuildRecord {
    let record = new_record(image, existing);
    let is_same = |known: &&BuildRecord| known.digest == record.digest && known.key == record.key;
    match known.filter(is_same) {
        Some(known) if known.location == record.location => known.clone(),
        Some(known) => BuildRecord {
            size: known.size,
            code_size: known.code_size,
            revision: known.revision.clone(),
            interfaces: known.interfaces.clone(),
            ..record
        },
        None => record,
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
        environment: resolved.environment.to_string(),
        inputs: resolved.shown_inputs(),
        interfaces: TaskInterfaces::new(),
    }
}
