//! Reads manifests and indexes, with verified digests, and writes them.

use crate::http::Method;
use crate::http::header::{ACCEPT, CONTENT_TYPE};
use serde::Deserialize;
use union_build::diag::Code;

use super::Registry;
use super::endpoint::RepositoryEndpoint;
use super::parts::{is_too_large, too_large};
use super::transport::{ErrorResponse, RegistryResponse};
use crate::http::body::RequestBody;
use crate::http::retry::is_transient;
use crate::image::RawManifest;
use crate::image::layer::{Blob, BlobSource, Descriptor, media_type};
use crate::publish::auth::Scopes;
use crate::publish::failure::RegistryFailure;
use crate::sys::digest::Digest;

/// The response header with the digest of a manifest.
const DIGEST: &str = "docker-content-digest";

/// The response header of a registry that lists a manifest among the referrers of its subject (OCI distribution spec 1.1).
const SUBJECT: &str = "oci-subject";

impl Registry {
    /// The digest of a tag or digest; `None` if it does not exist.
    pub(super) async fn head_manifest(
        &self,
        place: &RepositoryEndpoint,
        reference: &str,
    ) -> Result<Option<Digest>, ErrorResponse> {
        let call = self
            .transport
            .call(
                place,
                Scopes::pull(&place.path),
                Method::HEAD,
                &format!("manifests/{reference}"),
            )
            .await?;
        let answer = self.transport.send(&accepting(call)).await?;
        let status = answer.status();
        match (status.as_u16(), declared_digest(&answer)) {
            (200, Some(digest)) if !answer.is_web_page() => return Ok(Some(digest)),
            (404, _) if !answer.is_web_page() => return Ok(None),
            _ if is_transient(status) => return Err(self.transport.refusal(place, answer).await),
            _ => drop(answer),
        }
        // A response to HEAD has no body: GET returns the digest, or an error message.
        Ok(self
            .get_manifest(place, reference)
            .await?
            .map(|manifest| manifest.descriptor.digest))
    }

    /// The verified manifest of a tag or digest; `None` if it does not exist.
    pub(super) async fn get_manifest(
        &self,
        place: &RepositoryEndpoint,
        reference: &str,
    ) -> Result<Option<RawManifest>, ErrorResponse> {
        let call = self
            .transport
            .call(
                place,
                Scopes::pull(&place.path),
                Method::GET,
                &format!("manifests/{reference}"),
            )
            .await?;
        let answer = self.transport.send(&accepting(call)).await?;
        match answer.status().as_u16() {
            200 => {}
            404 if !answer.is_web_page() => return Ok(None),
            _ => return Err(self.transport.refusal(place, answer).await),
        }
        let promise = reference.parse().ok().or_else(|| declared_digest(&answer));
        let kind = answer.media_type().to_owned();
        let bytes = answer.bytes().await?;
        let manifest: ManifestShape = serde_json::from_slice(&bytes).map_err(|_| {
            RegistryFailure::new(
                Code::RegistryInvalid,
                format!(
                    "{} responded with {kind}, which is not a manifest",
                    place.registry
                ),
            )
        })?;
        let digest = Digest::of(&bytes);
        match promise {
            Some(promise) if promise != digest => {
                Err(mismatch(place, reference, promise, digest).into())
            }
            _ => {
                let descriptor = Descriptor {
                    media_type: manifest.media_type(&kind),
                    digest,
                    size: bytes.len() as u64,
                };
                Ok(Some(RawManifest { descriptor, bytes }))
            }
        }
    }

    /// Writes a manifest with a tag, or with its digest.
    pub(super) async fn put_manifest(
        &self,
        place: &RepositoryEndpoint,
        reference: &str,
        manifest: &Blob,
    ) -> Result<(), ErrorResponse> {
        self.put_with_subject(place, reference, manifest)
            .await
            .map(drop)
    }

    /// Like [`put_manifest`](Self::put_manifest). Returns whether the registry lists the manifest among the referrers of
    /// its subject.
    pub(super) async fn put_with_subject(
        &self,
        place: &RepositoryEndpoint,
        reference: &str,
        manifest: &Blob,
    ) -> Result<bool, ErrorResponse> {
        let BlobSource::Bytes(bytes) = &manifest.content else {
            return Err(
                RegistryFailure::new(Code::DigestMismatch, "a manifest is not in memory").into(),
            );
        };
        let call = self
            .transport
            .call(
                place,
                Scopes::push(&place.path),
                Method::PUT,
                &format!("manifests/{reference}"),
            )
            .await?;
        let call = call
            .header(CONTENT_TYPE, &manifest.descriptor.media_type)
            .body(RequestBody::Bytes(bytes.clone()));
        let answer = self.transport.send(&call).await?;
        if !answer.status().is_success() {
            let refusal = self.transport.refusal(place, answer).await;
            let size = manifest.descriptor.size;
            return Err(if is_too_large(&refusal) {
                ErrorResponse {
                    failure: too_large(refusal.clone(), size),
                    ..refusal
                }
            } else {
                refusal
            });
        }
        match declared_digest(&answer) {
            Some(kept) if kept != manifest.descriptor.digest => {
                Err(mismatch(place, reference, manifest.descriptor.digest, kept).into())
            }
            _ => Ok(answer.header(SUBJECT).is_some()),
        }
    }
}

/// The fields of a manifest that show its media type.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ManifestShape {
    media_type: Option<String>,
    manifests: Option<serde::de::IgnoredAny>,
    layers: Option<serde::de::IgnoredAny>,
}

impl ManifestShape {
    /// The media type: its own field, else the one of the registry if it is that of a manifest, else derived from its
    /// fields.
    fn media_type(self, content_type: &str) -> String {
        let shape = if self.manifests.is_some() {
            Some(media_type::OCI_INDEX)
        } else {
            self.layers.and(Some(media_type::OCI_MANIFEST))
        };
        match (self.media_type, shape) {
            (Some(own), _) => own,
            (None, Some(shape)) if !media_type::MANIFESTS.contains(&content_type) => {
                shape.to_owned()
            }
            _ => content_type.to_owned(),
        }
    }
}

/// The media type of a cached manifest, without the header of a response.
pub(super) fn kind_of(bytes: &[u8]) -> Option<String> {
    serde_json::from_slice::<ManifestShape>(bytes)
        .ok()
        .map(|shape| shape.media_type(""))
}

pub(super) fn mismatch(
    place: &RepositoryEndpoint,
    reference: &str,
    declared: Digest,
    is: Digest,
) -> RegistryFailure {
    RegistryFailure::new(
        Code::DigestMismatch,
        format!("{place} declares {declared} for `{reference}`, but the content has {is}"),
    )
}

/// Without these media types in `Accept`, registries return 404 for an index.
fn accepting(call: super::transport::RegistryRequest<'_>) -> super::transport::RegistryRequest<'_> {
    call.header(ACCEPT, &media_type::MANIFESTS.join(", "))
}

fn declared_digest(answer: &RegistryResponse) -> Option<Digest> {
    answer.header(DIGEST)?.parse().ok()
}

#[cfg(test)]
mod tests;
