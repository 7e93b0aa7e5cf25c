//! What a base's tag means today: the digests that Union.lock pins.

use std::collections::BTreeMap;

use super::existence::{Document, PlatformText};
use crate::base::error::Result;
use crate::base::fs;
use crate::image::BaseSource;
use crate::image::digest::Digest;
use crate::image::platform::Platform;
use crate::image::reference::BaseRef;

/// A base's digests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// Of the index, or of the only manifest.
    pub digest: Digest,
    /// Of the manifest for each platform.
    pub platforms: BTreeMap<Platform, Digest>,
}

/// Asks where bases come from for a base's digests.
///
/// # Errors
/// `BaseMissing`, `BaseDenied`, `BaseUnreachable`, `BaseCorrupt`, `BaseUnsupported`.
pub async fn resolve(source: &dyn BaseSource, base: &BaseRef) -> Result<Resolved> {
    let reference = base.digest.map(|digest| digest.to_string()).or_else(|| base.tag.clone()).unwrap_or_else(|| "latest".to_owned());
    let manifest = source.manifest(&base.repository, &reference).await?;
    let document = Document::of(&manifest).map_err(|failure| failure.into_error(format!("could not read the base image {base}")))?;
    let digest = manifest.descriptor.digest;
    let mut platforms = BTreeMap::new();
    if let Some(config) = &document.config {
        let bytes = fs::read(&source.blob(&base.repository, config).await?)?;
        let platform: PlatformText = serde_json::from_slice(&bytes).unwrap_or_default();
        platforms.insert(platform.platform(), digest);
        return Ok(Resolved { digest, platforms });
    }
    for entry in document.manifests {
        // Entries for no platform are attestations.
        let platform = entry.platform.map(PlatformText::platform).filter(|platform| platform.os != "unknown");
        if let Some(platform) = platform {
            platforms.entry(platform).or_insert(entry.digest);
        }
    }
    Ok(Resolved { digest, platforms })
}
