//! Checks whether an image exists, and whether it can be pulled.
//!
//! An ambiguous response is an error, because "missing" starts a build and "found" skips one.

use union_build::diag::Code;

use super::Registry;
use super::endpoint::RepositoryEndpoint;
use super::transport::ErrorResponse;
use crate::image::manifest::{self, Summary};
use crate::image::platform::Platform;
use crate::image::reference::{ImageRef, PinnedRef};
use crate::publish::failure::RegistryFailure;
use crate::publish::{Existence, ImageTarget};
use crate::sys::digest::Digest;
use crate::sys::error::Result;

impl Registry {
    /// Whether this client can pull an image with its logins.
    ///
    /// # Errors
    /// When the registry is unreachable or its response is invalid.
    pub async fn can_pull(&self, image: &PinnedRef) -> Result<bool> {
        let asked = self
            .head_manifest(
                &RepositoryEndpoint::of(&image.repository),
                &image.digest.to_string(),
            )
            .await;
        match asked {
            Ok(found) => Ok(found.is_some()),
            Err(refusal)
                if refusal
                    .status
                    .is_some_and(|status| matches!(status.as_u16(), 401 | 403)) =>
            {
                Ok(false)
            }
            Err(refusal) => Err(refusal
                .failure
                .into_error(format!("could not find out whether {image} can be pulled"))),
        }
    }

    /// The digest of a tag; `None` if the tag does not exist.
    ///
    /// # Errors
    /// When access is denied, the registry is unreachable, or its response is invalid.
    pub async fn digest(&self, image: &ImageRef) -> Result<Option<Digest>> {
        let asked = self
            .head_manifest(&RepositoryEndpoint::of(&image.repository), &image.tag)
            .await;
        asked.map_err(|refusal| {
            refusal
                .failure
                .into_error(format!("could not request the digest of {image}"))
        })
    }

    pub(super) async fn find(
        &self,
        place: &RepositoryEndpoint,
        target: &ImageTarget,
    ) -> Result<Existence, RegistryFailure> {
        let digest = match self.head_manifest(place, &target.tag).await {
            Ok(Some(digest)) => digest,
            Ok(None) => return Ok(Existence::Missing),
            // Many registries also deny access to a repository that does not exist. With write access, the response
            // means that the image does not exist.
            Err(refusal) if self.is_ambiguous(place, &refusal) => {
                return self.try_upload(place).await.map(|()| Existence::Missing);
            }
            Err(refusal) => return Err(refusal.failure),
        };
        if target.known != Some(digest) {
            self.check(place, target, digest).await?;
        }
        Ok(Existence::Found(digest))
    }

    /// Whether "denied" may mean "missing", which requires a login.
    pub(super) fn is_ambiguous(&self, place: &RepositoryEndpoint, refusal: &ErrorResponse) -> bool {
        let denied = refusal
            .status
            .is_some_and(|status| matches!(status.as_u16(), 401 | 403));
        denied && self.transport.auth.has_login(&place.registry, &place.path)
    }

    /// Checks that the image of a tag has the key and all platforms of the target.
    pub(super) async fn check(
        &self,
        place: &RepositoryEndpoint,
        target: &ImageTarget,
        digest: Digest,
    ) -> Result<(), RegistryFailure> {
        let raw = self
            .get_manifest(place, &digest.to_string())
            .await
            .map_err(|refusal| refusal.failure)?;
        let gone = || {
            RegistryFailure::transient(
                Code::RegistryFailed,
                format!(
                    "{place} resolves `{}` to {digest}, but returns 404 for that manifest",
                    target.tag
                ),
                None,
            )
        };
        let raw = raw.ok_or_else(gone)?;
        let summary = manifest::summary(&raw.bytes)
            .ok_or_else(|| taken(target, "something that is not an image"))?;
        match &summary.key {
            Some(key) if *key == target.key.to_string() => {}
            Some(_) => return Err(taken(target, "an image of another key")),
            None => return Err(taken(target, "an image that this tool did not build")),
        }
        let platforms = self.platforms(place, summary).await?;
        match target
            .platforms
            .iter()
            .find(|platform| !platforms.contains(platform))
        {
            Some(absent) => Err(taken(target, &format!("an image that is not for {absent}"))),
            None => Ok(()),
        }
    }

    async fn platforms(
        &self,
        place: &RepositoryEndpoint,
        summary: Summary,
    ) -> Result<Vec<Platform>, RegistryFailure> {
        // The first blob of a manifest is its config; an index has no blobs.
        let Some(config) = summary.blobs.into_iter().next() else {
            return Ok(summary
                .manifests
                .into_iter()
                .map(|(_, platform)| platform)
                .collect());
        };
        let path = match self.cached_blob(&config) {
            Some(path) => path,
            None => self
                .download(place, &config)
                .await
                .map_err(|failure| match failure.code {
                    Code::BaseMissing => RegistryFailure {
                        code: Code::RegistryFailed,
                        ..failure
                    },
                    _ => failure,
                })?,
        };
        let bytes = crate::sys::fs::read(&path)?;
        let platform = serde_json::from_slice::<Platform>(&bytes).ok();
        Ok(platform
            .map(|platform| {
                Platform::new(
                    &platform.os,
                    &platform.architecture,
                    platform.variant.as_deref(),
                )
            })
            .into_iter()
            .collect())
    }
}

fn taken(target: &ImageTarget, what: &str) -> RegistryFailure {
    RegistryFailure::new(
        Code::TagTaken,
        format!("the tag `{}` holds {what}", target.tag),
    )
}
