//! Reads the manifests, configs and attached documents of an image. All content is read from the registry, not from the
//! cache, and verified by its digest.

use bytes::Bytes;
use futures_util::future::try_join_all;
use serde::Deserialize;
use union_build::diag::Code;

use super::Registry;
use super::endpoint::RepositoryEndpoint;
use crate::image::RawManifest;
use crate::image::artifact::EMPTY_CONFIG;
use crate::image::layer::Descriptor;
use crate::image::manifest;
use crate::image::reference::{PinnedRef, Repository};
use crate::publish::failure::RegistryFailure;
use crate::sys::digest::Digest;
use crate::sys::error::{Error, Result};
use crate::sys::fs;

/// The largest config or document in bytes that is read.
const LARGEST: u64 = 64 << 20;

/// The verified metadata of an image.
#[derive(Clone, Debug)]
pub struct ImageContents {
    /// The index or the only manifest, then the manifests of an index.
    pub manifests: Vec<RawManifest>,
    /// The configs of all platforms.
    pub configs: Vec<Bytes>,
    /// The attached documents of the requested artifact types.
    pub documents: Vec<Bytes>,
}

impl Registry {
    /// The manifest or index of a tag or digest: a tag is resolved first, then the manifest is read by its digest.
    ///
    /// # Errors
    /// `ImageUnverified` when it does not exist, `DigestMismatch`, and the errors of the registry.
    pub async fn pinned(&self, repository: &Repository, tag_or_digest: &str) -> Result<PinnedRef> {
        if let Ok(digest) = tag_or_digest.parse() {
            return Ok(repository.pinned(digest));
        }
        let tag = repository.tagged(tag_or_digest);
        let digest = self.digest(&tag).await?;
        let missing = || Error::new(Code::ImageUnverified, format!("there is no image {tag}"));
        Ok(repository.pinned(digest.ok_or_else(missing)?))
    }

    /// Reads the manifests and configs of an image, and its attached documents of some artifact types.
    ///
    /// # Errors
    /// `ImageUnverified` when it does not exist or is no image, `DigestMismatch` when content does not match its
    /// digest, and the errors of the registry.
    pub async fn contents(&self, image: &PinnedRef, types: &[&str]) -> Result<ImageContents> {
        let place = RepositoryEndpoint::of(&image.repository);
        let tried =
            |failure: RegistryFailure| failure.into_error(format!("could not read {image}"));
        let top = self
            .existing_manifest(&place, image.digest)
            .await
            .map_err(tried)?;
        let mut manifests = vec![top];
        let no_image = || {
            Error::new(
                Code::ImageUnverified,
                format!("{image} is not a container image"),
            )
        };
        let summary = manifest::summary(&manifests[0].bytes).ok_or_else(no_image)?;
        let variants = summary
            .manifests
            .iter()
            .map(|(descriptor, _)| self.existing_manifest(&place, descriptor.digest));
        manifests.extend(try_join_all(variants).await.map_err(tried)?);
        let mut configs = Vec::new();
        for manifest in &manifests {
            let summary = manifest::summary(&manifest.bytes).ok_or_else(no_image)?;
            // The first blob of a manifest is its config; an index has no blobs.
            if let Some(config) = summary.blobs.first() {
                configs.push(self.small_blob(&place, config).await.map_err(tried)?);
            }
        }
        let mut documents = Vec::new();
        for manifest in &manifests {
            let subject = image.repository.pinned(manifest.descriptor.digest);
            documents.extend(self.documents(&subject, types).await?);
        }
        Ok(ImageContents {
            manifests,
            configs,
            documents,
        })
    }

    /// Reads the documents of some artifact types that are attached to a manifest or index.
    ///
    /// # Errors
    /// `DigestMismatch`, and the errors of the registry.
    pub async fn documents(&self, subject: &PinnedRef, types: &[&str]) -> Result<Vec<Bytes>> {
        let place = RepositoryEndpoint::of(&subject.repository);
        let mut documents = Vec::new();
        let referrers = self.referrers(&subject.repository, subject.digest, None);
        for referrer in referrers.await? {
            // Some registries list the type of the config.
            let kind = referrer.artifact_type.as_deref();
            if kind.is_some_and(|kind| kind == EMPTY_CONFIG || types.contains(&kind)) {
                let read = self.document(&place, referrer.descriptor.digest, types);
                documents.extend(
                    read.await.map_err(|failure| {
                        failure.into_error(format!("could not read {subject}"))
                    })?,
                );
            }
        }
        Ok(documents)
    }

    /// The descriptor of an image, to which documents are attached.
    ///
    /// # Errors
    /// `ImageUnverified` when it does not exist, `DigestMismatch`, and the errors of the registry.
    pub async fn descriptor(&self, image: &PinnedRef) -> Result<Descriptor> {
        let place = RepositoryEndpoint::of(&image.repository);
        let found = self.existing_manifest(&place, image.digest).await;
        let found = found.map_err(|failure: RegistryFailure| {
            failure.into_error(format!("could not read {image}"))
        })?;
        Ok(found.descriptor)
    }

    async fn existing_manifest(
        &self,
        place: &RepositoryEndpoint,
        digest: Digest,
    ) -> Result<RawManifest, RegistryFailure> {
        let found = self.get_manifest(place, &digest.to_string()).await;
        found.map_err(|refusal| refusal.failure)?.ok_or_else(|| {
            let cause = format!("{place} has no manifest {digest}");
            RegistryFailure::new(Code::ImageUnverified, cause)
        })
    }

    /// The layers of an attached manifest; none if it has another type, or was removed and is still listed.
    async fn document(
        &self,
        place: &RepositoryEndpoint,
        digest: Digest,
        types: &[&str],
    ) -> Result<Vec<Bytes>, RegistryFailure> {
        let found = self.get_manifest(place, &digest.to_string()).await;
        let Some(raw) = found.map_err(|refusal| refusal.failure)? else {
            return Ok(Vec::new());
        };
        let parsed: ArtifactShape = serde_json::from_slice(&raw.bytes).map_err(|_| {
            let cause = format!("the document {digest} of {place} has no valid manifest");
            RegistryFailure::new(Code::RegistryInvalid, cause)
        })?;
        let kind = parsed.artifact_type.as_str();
        if !kind.is_empty() && !types.contains(&kind) {
            return Ok(Vec::new());
        }
        try_join_all(
            parsed
                .layers
                .iter()
                .map(|layer| self.small_blob(place, layer)),
        )
        .await
    }

    pub(super) async fn small_blob(
        &self,
        place: &RepositoryEndpoint,
        descriptor: &Descriptor,
    ) -> Result<Bytes, RegistryFailure> {
        if descriptor.size > LARGEST {
            let cause = format!(
                "{} of {place} has {} bytes; at most {LARGEST} are read",
                descriptor.digest, descriptor.size
            );
            return Err(RegistryFailure::new(Code::ImageUnverified, cause));
        }
        let path = self.download(place, descriptor).await.map_err(|failure| {
            let code = match failure.code {
                Code::BaseMissing => Code::ImageUnverified,
                code => code,
            };
            RegistryFailure::new(code, failure.cause)
        })?;
        Ok(fs::read(&path)?.into())
    }
}

/// The fields of an attached manifest that are read.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ArtifactShape {
    #[serde(default)]
    artifact_type: String,
    layers: Vec<Descriptor>,
}
