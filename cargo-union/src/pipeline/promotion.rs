//! `cargo union push`: copies an image with its referrers to another registry, without a workspace.

use std::sync::Arc;

use serde::Serialize;

use super::{clients, signature};
use crate::image::artifact::Referrer;
use crate::pipeline::Reporter;
use crate::pipeline::options::PushOptions;
use crate::sys::digest::Digest;
use crate::sys::error::Result;
use crate::sys::words;

/// The document of `push`.
#[derive(Debug, Serialize)]
pub(crate) struct PushedImage {
    source: String,
    /// With the tag, or pinned if there is none.
    location: String,
    /// The reference by digest.
    pub(crate) pinned: String,
    digest: Digest,
    tag: Option<String>,
    /// Uploaded bytes.
    sent: u64,
    referrers: Vec<PushedReferrer>,
}

/// A document that is attached to the image or one of its manifests.
#[derive(Debug, Serialize)]
struct PushedReferrer {
    digest: Digest,
    artifact_type: Option<String>,
}

/// Copies an image, and signs the copy with `--sign-key`.
///
/// # Errors
/// `SigningKeyInvalid`, before anything is sent; those of [`Registry::copy`](crate::publish::registry::Registry::copy);
/// `FileUnwritable` when the cache cannot be written.
pub(crate) async fn push(
    options: &PushOptions,
    reporter: &Arc<dyn Reporter>,
) -> Result<PushedImage> {
    let PushOptions { source, target, .. } = options;
    let registry_config = options.registry_config.clone();
    let registry = clients::registry_without_package(&options.cache, registry_config, reporter);
    let key = signature::open(options.signing.as_ref(), &**reporter).await?;
    let copied = registry.copy(source, target, options.replace).await?;
    options.cache.sweep(options.cache_limit)?;
    let pinned = target.pinned(copied.digest).to_string();
    let location = match &source.tag {
        Some(tag) => target.tagged(tag).to_string(),
        None => {
            reporter.note(&format!("{source} has no tag, and got none at {target}"));
            pinned.clone()
        }
    };
    let documents = match copied.referrers.len() {
        0 => String::new(),
        1 => ", 1 attached document".to_owned(),
        count => format!(", {count} attached documents"),
    };
    match copied.sent {
        0 => reporter.status("Unchanged", &format!("{location}{documents}")),
        sent => reporter.status(
            "Pushed",
            &format!("{location} ({} sent{documents})", words::bytes(sent)),
        ),
    }
    if let Some(key) = key {
        let image = target.pinned(copied.digest);
        signature::sign(&key, &registry, &image, &**reporter).await?;
    }
    Ok(PushedImage {
        source: source.to_string(),
        location,
        pinned,
        digest: copied.digest,
        tag: source.tag.clone(),
        sent: copied.sent,
        referrers: copied.referrers.into_iter().map(pushed_referrer).collect(),
    })
}

fn pushed_referrer(referrer: Referrer) -> PushedReferrer {
    PushedReferrer {
        digest: referrer.descriptor.digest,
        artifact_type: referrer.artifact_type,
    }
}
