//! Whether an image is there, and whether one could be written.
//!
//! Only what is certain counts: a registry that cannot say is an error, for "missing" starts a build
//! and "found" skips one.

use std::collections::BTreeMap;

use reqwest::Method;
use serde::Deserialize;
use union_build::diag::Code;

use super::Registry;
use super::place::Place;
use super::wire::Refusal;
use crate::image::digest::Digest;
use crate::image::layer::Descriptor;
use crate::image::platform::Platform;
use crate::image::reference::Repository;
use crate::image::{BaseSource as _, RawManifest};
use crate::publish::auth::Scopes;
use crate::publish::failure::Failure;
use crate::publish::{Existence, Target};

/// The annotation with an image's full key.
const KEY: &str = "union.key";

impl Registry {
    pub(super) async fn find(&self, place: &Place, target: &Target) -> Result<Existence, Failure> {
        let digest = match self.head_manifest(place, &target.tag).await {
            Ok(Some(digest)) => digest,
            Ok(None) => return Ok(Existence::Missing),
            // Many registries deny what does not exist: whoever may write there is told the truth.
            Err(refusal) if self.is_ambiguous(place, &refusal) => return self.try_upload(place).await.map(|()| Existence::Missing),
            Err(refusal) => return Err(refusal.failure),
        };
        if target.known != Some(digest) {
            self.check(place, target, digest).await?;
        }
        Ok(Existence::Found(digest))
    }

    /// Starts an upload and cancels it: that is refused exactly when a real one would be.
    pub(super) async fn try_upload(&self, place: &Place) -> Result<(), Failure> {
        let url = self.start_upload(place).await?;
        // A registry that keeps the empty upload removes it some day.
        let _ = self.wire.send_once(&self.wire.call_to(place, Scopes::push(&place.path), Method::DELETE, url)).await;
        Ok(())
    }

    /// Whether "denied" may mean "missing": to a user with a login.
    pub(super) fn is_ambiguous(&self, place: &Place, refusal: &Refusal) -> bool {
        let denied = refusal.status.is_some_and(|status| matches!(status.as_u16(), 401 | 403));
        denied && self.wire.auth.source(&place.registry, &place.path).is_some()
    }

    /// Requires that what a tag holds has the target's key and all its platforms.
    pub(super) async fn check(&self, place: &Place, target: &Target, digest: Digest) -> Result<(), Failure> {
        let manifest = self.get_manifest(place, &digest.to_string()).await.map_err(|refusal| refusal.failure)?;
        let gone = || Failure::passing(Code::RegistryFailed, format!("{place} names {digest} under `{}` and has it not", target.tag));
        let manifest = manifest.ok_or_else(gone)?;
        let document: Document = serde_json::from_slice(&manifest.bytes).map_err(|_| taken(target, "something that is no image"))?;
        match document.annotations.get(KEY) {
            Some(key) if *key == target.key.to_string() => {}
            Some(_) => return Err(taken(target, "an image of another key")),
            None => return Err(taken(target, "an image that this tool did not make")),
        }
        let platforms = self.platforms(place, document).await?;
        match target.platforms.iter().find(|platform| !platforms.contains(platform)) {
            Some(absent) => Err(taken(target, &format!("an image that is not for {absent}"))),
            None => Ok(()),
        }
    }

    async fn platforms(&self, place: &Place, document: Document) -> Result<Vec<Platform>, Failure> {
        let Some(config) = document.config else {
            return Ok(document.manifests.into_iter().filter_map(|entry| entry.platform.map(PlatformText::platform)).collect());
        };
        // The config is read through the cache, as a base's would be; it is small and rarely asked for.
        let repository = Repository { registry: place.registry.clone(), path: place.path.clone() };
        let path = self.blob(&repository, &config).await?;
        let bytes = crate::base::fs::read(&path)?;
        Ok(serde_json::from_slice(&bytes).map(|text: PlatformText| vec![text.platform()]).unwrap_or_default())
    }
}

fn taken(target: &Target, what: &str) -> Failure {
    Failure::new(Code::TagTaken, format!("the tag `{}` holds {what}", target.tag))
}

/// What is read of a manifest or an index.
#[derive(Debug, Deserialize)]
pub(super) struct Document {
    #[serde(default)]
    pub(super) annotations: BTreeMap<String, String>,
    /// Of a manifest.
    pub(super) config: Option<Descriptor>,
    /// Of an index.
    #[serde(default)]
    pub(super) manifests: Vec<IndexEntry>,
}

#[derive(Debug, Deserialize)]
pub(super) struct IndexEntry {
    pub(super) digest: Digest,
    pub(super) platform: Option<PlatformText>,
}

/// A platform as an index entry or a config writes it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct PlatformText {
    os: String,
    architecture: String,
    variant: Option<String>,
}

impl PlatformText {
    pub(super) fn platform(self) -> Platform {
        Platform::new(&self.os, &self.architecture, self.variant.as_deref())
    }
}

impl Document {
    pub(super) fn of(manifest: &RawManifest) -> Result<Self, Failure> {
        serde_json::from_slice(&manifest.bytes)
            .map_err(|_| Failure::new(Code::BaseUnsupported, format!("{} is neither a manifest nor an index", manifest.descriptor.digest)))
    }
}
