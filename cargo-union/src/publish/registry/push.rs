//! Pushes an image: blobs, then manifests, and the tag last.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::future::try_join_all;
use union_build::diag::Code;

use super::Registry;
use super::endpoint::RepositoryEndpoint;
use super::manifests::mismatch;
use super::transport::ErrorResponse;
use crate::image::layer::{Blob, BlobSource};
use crate::image::{Image, PlatformImage, RawManifest};
use crate::publish::failure::RegistryFailure;
use crate::publish::{ImageTarget, Published};
use crate::sys::digest::Digest;

/// The maximum length of a tag (OCI distribution spec).
const LONGEST_TAG: usize = 128;

pub(super) enum TagState {
    Holds(Digest),
    Nothing,
    /// The user may write it, but not read it.
    Hidden,
}

impl Registry {
    pub(super) async fn push(
        &self,
        place: &RepositoryEndpoint,
        target: &ImageTarget,
        image: &Image,
        replace: bool,
    ) -> Result<Published, RegistryFailure> {
        let sent = AtomicU64::new(0);
        self.send_parts(place, image, false, &sent).await?;
        let ours = image.top().descriptor.digest;
        let before = self.tagged(place, &target.tag).await?;
        let (digest, adopted) = match before {
            TagState::Holds(there) if there == ours => (ours, false),
            // Another machine published the same key first. Its image is equivalent and may be in use already.
            TagState::Holds(there) if !replace => (self.checked(place, target, there).await?, true),
            _ => {
                if let TagState::Holds(there) = before {
                    self.keep_alive(place, &target.tag, there).await?;
                }
                self.tag(place, target, image, replace, &sent).await?
            }
        };
        Ok(Published {
            digest,
            location: format!("{place}:{}", target.tag),
            sent: sent.into_inner(),
            adopted,
        })
    }

    /// Sends everything except the top manifest.
    async fn send_parts(
        &self,
        place: &RepositoryEndpoint,
        image: &Image,
        force: bool,
        sent: &AtomicU64,
    ) -> Result<(), RegistryFailure> {
        self.send_blobs(place, image.platforms.iter(), force, sent)
            .await?;
        if image.index.is_some() {
            try_join_all(
                image
                    .platforms
                    .iter()
                    .map(|platform| self.send_platform(place, platform, sent)),
            )
            .await?;
        }
        Ok(())
    }

    async fn send_blobs(
        &self,
        place: &RepositoryEndpoint,
        platforms: impl Iterator<Item = &PlatformImage>,
        force: bool,
        sent: &AtomicU64,
    ) -> Result<(), RegistryFailure> {
        let blobs = platforms.flat_map(|platform| {
            platform
                .layers
                .iter()
                .map(|layer| &layer.blob)
                .chain([&platform.config])
        });
        let blobs: BTreeMap<Digest, &Blob> =
            blobs.map(|blob| (blob.descriptor.digest, blob)).collect();
        try_join_all(
            blobs
                .values()
                .map(|blob| self.ensure_blob(place, blob, force, sent)),
        )
        .await
        .map(drop)
    }

    /// Writes the manifest of one platform with its digest.
    async fn send_platform(
        &self,
        place: &RepositoryEndpoint,
        platform: &PlatformImage,
        sent: &AtomicU64,
    ) -> Result<(), RegistryFailure> {
        let digest = platform.manifest.descriptor.digest.to_string();
        let put = match self
            .put_counted(place, &digest, &platform.manifest, sent)
            .await
        {
            Err(refusal) if lacks_blobs(&refusal) => {
                self.send_blobs(place, [platform].into_iter(), true, sent)
                    .await?;
                self.put_counted(place, &digest, &platform.manifest, sent)
                    .await
            }
            done => done,
        };
        put.map_err(|refusal| refusal.failure)
    }

    /// Writes the tag and reads it again. Returns its digest, and whether that is the image of another process.
    async fn tag(
        &self,
        place: &RepositoryEndpoint,
        target: &ImageTarget,
        image: &Image,
        replace: bool,
        sent: &AtomicU64,
    ) -> Result<(Digest, bool), RegistryFailure> {
        let top = image.top();
        let put = match self.put_counted(place, &target.tag, top, sent).await {
            // The registry does not have blobs that it reported: sends all of them again.
            Err(refusal) if lacks_blobs(&refusal) => {
                self.send_parts(place, image, true, sent).await?;
                self.put_counted(place, &target.tag, top, sent).await
            }
            done => done,
        };
        let ours = top.descriptor.digest;
        let refusal = put.err();
        if let Some(refusal) = refusal
            .as_ref()
            .filter(|refusal| !may_be_immutable(refusal))
        {
            return Err(refusal.failure.clone());
        }
        match (self.tagged(place, &target.tag).await?, refusal) {
            (TagState::Holds(there), _) if there == ours => Ok((ours, false)),
            (TagState::Holds(there), None) => match self.check(place, target, there).await {
                Ok(()) => Ok((there, true)),
                Err(_) => Err(mismatch(place, &target.tag, ours, there)),
            },
            (TagState::Holds(there), Some(refusal)) => match self.check(place, target, there).await
            {
                Ok(()) if !replace => Ok((there, true)),
                _ => Err(RegistryFailure {
                    code: Code::TagImmutable,
                    ..refusal.failure
                }),
            },
            (_, Some(refusal)) => Err(refusal.failure),
            // The digest was confirmed when the tag was written, and the user cannot read more.
            (TagState::Hidden, None) => Ok((ours, false)),
            (TagState::Nothing, None) => Err(RegistryFailure::new(
                Code::RegistryFailed,
                format!(
                    "{place} accepted the manifest `{}`, but returns 404 for it",
                    target.tag
                ),
            )),
        }
    }

    /// Reads the state of a tag.
    pub(super) async fn tagged(
        &self,
        place: &RepositoryEndpoint,
        tag: &str,
    ) -> Result<TagState, RegistryFailure> {
        match self.head_manifest(place, tag).await {
            Ok(Some(digest)) => Ok(TagState::Holds(digest)),
            Ok(None) => Ok(TagState::Nothing),
            Err(refusal) if self.is_ambiguous(place, &refusal) => Ok(TagState::Hidden),
            Err(refusal) => Err(refusal.failure),
        }
    }

    async fn checked(
        &self,
        place: &RepositoryEndpoint,
        target: &ImageTarget,
        there: Digest,
    ) -> Result<Digest, RegistryFailure> {
        self.check(place, target, there).await.map(|()| there)
    }

    /// Creates another tag for the image that loses its tag: registered tasks refer to it by digest, and registries
    /// remove untagged images.
    pub(super) async fn keep_alive(
        &self,
        place: &RepositoryEndpoint,
        tag: &str,
        there: Digest,
    ) -> Result<(), RegistryFailure> {
        let old = self
            .get_manifest(place, &there.to_string())
            .await
            .map_err(|refusal| refusal.failure)?;
        let Some(RawManifest { descriptor, bytes }) = old else {
            return Ok(());
        };
        let suffix = format!("-{}", &there.hex()[..12]);
        let stem = &tag[..tag.len().min(LONGEST_TAG - suffix.len())];
        let old = Blob {
            descriptor,
            content: BlobSource::Bytes(bytes),
        };
        self.put_manifest(place, &format!("{stem}{suffix}"), &old)
            .await
            .map_err(|refusal| refusal.failure)
    }

    /// Writes a manifest, and counts its bytes as sent.
    pub(super) async fn put_counted(
        &self,
        place: &RepositoryEndpoint,
        reference: &str,
        manifest: &Blob,
        sent: &AtomicU64,
    ) -> Result<(), ErrorResponse> {
        sent.fetch_add(manifest.descriptor.size, Ordering::Relaxed);
        self.put_manifest(place, reference, manifest).await
    }
}

/// Whether a registry refused a manifest because it does not have its blobs or manifests.
pub(super) fn lacks_blobs(refusal: &ErrorResponse) -> bool {
    refusal.has(&["MANIFEST_BLOB_UNKNOWN", "BLOB_UNKNOWN", "MANIFEST_UNKNOWN"])
}

/// Whether a registry may have refused a tag because it exists and is immutable, which registries report differently.
pub(super) fn may_be_immutable(refusal: &ErrorResponse) -> bool {
    let Some(status) = refusal.status else {
        return false;
    };
    let words = refusal.failure.cause.to_ascii_lowercase();
    let names_tag = refusal.has(&["TAG_INVALID"])
        || ["immutable", "overwrit", "already exists"]
            .iter()
            .any(|word| words.contains(word));
    matches!(status.as_u16(), 409 | 412)
        || (names_tag && matches!(status.as_u16(), 400 | 403 | 405))
}
