//! Fetches bases, from a mirror first and from the registry itself if the mirror does not have them, and verifies
//! digests.

use std::io::{Seek as _, Write as _};
use std::path::PathBuf;
use std::sync::PoisonError;

use crate::http::Method;
use crate::http::header::{CONTENT_RANGE, RANGE};
use async_trait::async_trait;
use sha2::{Digest as _, Sha256};
use tracing::Instrument as _;
use union_build::diag::Code;

use super::Registry;
use super::endpoint::RepositoryEndpoint;
use super::manifests::kind_of;
use crate::http::retry::Attempts;
use crate::image::layer::{Descriptor, media_type};
use crate::image::reference::Repository;
use crate::image::{BaseSource, RawManifest};
use crate::publish::auth::Scopes;
use crate::publish::failure::RegistryFailure;
use crate::publish::{Transfer, TransferKind};
use crate::sys::digest::Digest;
use crate::sys::error::Result;
use crate::sys::fs::{self, AtomicFile};

/// The progress, in bytes, after which a broken download or upload does not count as another failure.
pub(super) const PROGRESS: u64 = 1 << 20;

#[async_trait]
impl BaseSource for Registry {
    async fn manifest(&self, repository: &Repository, tag_or_digest: &str) -> Result<RawManifest> {
        let separator = if tag_or_digest.starts_with("sha256:") {
            '@'
        } else {
            ':'
        };
        let tried =
            || format!("could not read the base image {repository}{separator}{tag_or_digest}");
        let digest = tag_or_digest.parse().ok();
        if let Some(kept) = digest.and_then(|digest| self.cached_manifest(digest)) {
            return Ok(kept);
        }
        let manifest = self
            .read_manifest(repository, tag_or_digest)
            .await
            .map_err(|failure| failure.into_base_error(tried()))?;
        if digest.is_some() {
            let mut draft = self.cache.draft()?;
            draft
                .write_all(&manifest.bytes)
                .map_err(|cause| fs::unwritable(draft.path(), cause))?;
            self.cache.keep(draft, &manifest.descriptor.digest)?;
        }
        Ok(manifest)
    }

    fn warn(&self, warning: &str) {
        if self
            .warned
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(warning.to_owned())
        {
            self.reporter.warning(warning);
        }
    }

    async fn blob(&self, repository: &Repository, descriptor: &Descriptor) -> Result<PathBuf> {
        let turn = self
            .downloads
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(descriptor.digest)
            .or_default()
            .clone();
        let _turn = turn.lock().await;
        if let Some(path) = self.cached_blob(descriptor) {
            return Ok(path);
        }
        let tried = || format!("could not fetch {} of {repository}", descriptor.digest);
        let (mirror, origin) = (
            RepositoryEndpoint::mirror_of(repository, &self.mirrors),
            RepositoryEndpoint::of(repository),
        );
        let failure = match mirror {
            Some(mirror) => match self.download(&mirror, descriptor).await {
                Err(failure) if should_fall_back(&failure) => Some((mirror, failure)),
                done => return done.map_err(|failure| failure.into_base_error(tried())),
            },
            None => None,
        };
        self.download(&origin, descriptor)
            .await
            .map_err(|other| with_mirror_failure(failure, other).into_base_error(tried()))
    }
}

impl Registry {
    fn cached_manifest(&self, digest: Digest) -> Option<RawManifest> {
        let bytes = bytes::Bytes::from(std::fs::read(self.cache.verified_blob(&digest)?).ok()?);
        let media_type = kind_of(&bytes).filter(|_| Digest::of(&bytes) == digest)?;
        Some(RawManifest {
            descriptor: Descriptor {
                media_type,
                digest,
                size: bytes.len() as u64,
            },
            bytes,
        })
    }

    /// The path of a blob in the cache; `None` if it is missing or damaged.
    pub(super) fn cached_blob(&self, descriptor: &Descriptor) -> Option<PathBuf> {
        self.cache.verified_blob(&descriptor.digest)
    }

    async fn read_manifest(
        &self,
        repository: &Repository,
        reference: &str,
    ) -> Result<RawManifest, RegistryFailure> {
        let mut tried = None;
        if let Some(mirror) = RepositoryEndpoint::mirror_of(repository, &self.mirrors) {
            match self.base_manifest(&mirror, reference).await {
                Err(failure) if should_fall_back(&failure) => tried = Some((mirror, failure)),
                done => return done,
            }
        }
        self.base_manifest(&RepositoryEndpoint::of(repository), reference)
            .await
            .map_err(|failure| with_mirror_failure(tried, failure))
    }

    async fn base_manifest(
        &self,
        place: &RepositoryEndpoint,
        reference: &str,
    ) -> Result<RawManifest, RegistryFailure> {
        let manifest = self
            .get_manifest(place, reference)
            .await
            .map_err(|refusal| refusal.failure)?
            .ok_or_else(|| missing(place, reference))?;
        let kind = manifest.descriptor.media_type.as_str();
        if media_type::MANIFESTS.contains(&kind) {
            return Ok(manifest);
        }
        Err(RegistryFailure::new(
            Code::BaseUnsupported,
            format!(
                "{place} has a `{kind}` under `{reference}`, which is neither an OCI nor a Docker image"
            ),
        ))
    }

    pub(super) async fn download(
        &self,
        place: &RepositoryEndpoint,
        descriptor: &Descriptor,
    ) -> Result<PathBuf, RegistryFailure> {
        let mut partial = PartialDownload {
            draft: self.cache.draft()?,
            hasher: Sha256::new(),
            done: 0,
        };
        let mut attempts = Attempts::of(self.transport.retry);
        loop {
            let before = partial.done;
            let receiving = self
                .receive(place, descriptor, &mut partial)
                .instrument(attempts.span());
            let Err(failure) = receiving.await else { break };
            if partial.done >= before + PROGRESS {
                attempts.restart();
            }
            self.transport.pause(place, &mut attempts, failure).await?;
        }
        let digest = Digest::from_hasher(partial.hasher);
        if digest != descriptor.digest {
            return Err(RegistryFailure::new(
                Code::DigestMismatch,
                format!("{place} sends {digest} instead of {}", descriptor.digest),
            ));
        }
        let path = self.cache.keep(partial.draft, &digest)?;
        self.report_transfer(place, descriptor, TransferKind::Download, descriptor.size);
        Ok(path)
    }

    /// Downloads the rest of a blob.
    async fn receive(
        &self,
        place: &RepositoryEndpoint,
        descriptor: &Descriptor,
        partial: &mut PartialDownload,
    ) -> Result<(), RegistryFailure> {
        let mut call = self
            .transport
            .call(
                place,
                Scopes::pull(&place.path),
                Method::GET,
                &format!("blobs/{}", descriptor.digest),
            )
            .await?;
        if partial.done > 0 {
            call = call.header(RANGE, &format!("bytes={}-", partial.done));
        }
        let mut answer = self.transport.send(&call).await?;
        let continues = answer
            .header(CONTENT_RANGE)
            .is_some_and(|range| range.starts_with(&format!("bytes {}-", partial.done)));
        match answer.status().as_u16() {
            206 if continues => {}
            200 => partial.restart()?,
            404 => return Err(missing(place, &descriptor.digest.to_string())),
            _ if answer.status().is_success() => {
                let failure = RegistryFailure::transient(
                    Code::RegistryInvalid,
                    format!(
                        "{place} sends another part of {} than asked for",
                        descriptor.digest
                    ),
                    None,
                );
                return partial.restart().map(|()| Err(failure))?;
            }
            _ => return Err(self.transport.refusal(place, answer).await.failure),
        }
        self.report_transfer(place, descriptor, TransferKind::Download, partial.done);
        while let Some(chunk) = answer.chunk().await? {
            partial.done += chunk.len() as u64;
            if partial.done > descriptor.size {
                let cause = format!(
                    "{place} sends more than the {} bytes that {} has",
                    descriptor.size, descriptor.digest
                );
                return Err(RegistryFailure::new(Code::DigestMismatch, cause));
            }
            partial.hasher.update(&chunk);
            partial
                .draft
                .write_all(&chunk)
                .map_err(|cause| fs::unwritable(partial.draft.path(), cause))?;
            if partial.done < descriptor.size {
                self.report_transfer(place, descriptor, TransferKind::Download, partial.done);
            }
        }
        match partial.done == descriptor.size {
            true => Ok(()),
            false => Err(RegistryFailure::transient(
                Code::DigestMismatch,
                format!(
                    "{place} ends {} after {} of {} bytes",
                    descriptor.digest, partial.done, descriptor.size
                ),
                None,
            )),
        }
    }

    pub(super) fn report_transfer(
        &self,
        place: &RepositoryEndpoint,
        descriptor: &Descriptor,
        kind: TransferKind,
        done: u64,
    ) {
        let place = place.to_string();
        self.reporter.transfer(&Transfer {
            digest: descriptor.digest,
            place: &place,
            kind,
            done,
            total: descriptor.size,
        });
    }
}

/// A blob that is being downloaded.
struct PartialDownload {
    draft: AtomicFile,
    hasher: Sha256,
    done: u64,
}

impl PartialDownload {
    fn restart(&mut self) -> Result<(), RegistryFailure> {
        let path = self.draft.path().to_owned();
        let mut file = self.draft.as_file();
        file.set_len(0)
            .and_then(|()| file.rewind())
            .map_err(|cause| fs::unwritable(&path, cause))?;
        (self.hasher, self.done) = (Sha256::new(), 0);
        Ok(())
    }
}

/// The failure of a missing manifest or blob. If it is requested by digest, it existed before.
fn missing(place: &RepositoryEndpoint, reference: &str) -> RegistryFailure {
    let missing = RegistryFailure::new(Code::BaseMissing, format!("{place} has no `{reference}`"));
    if !reference.starts_with("sha256:") {
        return missing;
    }
    let cause = format!(
        "{}, and it may have been removed after it was pinned",
        missing.cause
    );
    let help = "Run `cargo union update` when Union.lock pins it, and name another digest when `base-image` does.";
    RegistryFailure { cause, ..missing }.help(help)
}

/// Whether the registry itself may be tried after its mirror failed. A mirror that denies access or changes content is
/// a misconfiguration that must be reported.
fn should_fall_back(failure: &RegistryFailure) -> bool {
    matches!(
        failure.code,
        Code::BaseMissing | Code::RegistryUnreachable | Code::RegistryFailed
    )
}

/// Adds the earlier failure of the mirror to the failure of a registry.
fn with_mirror_failure(
    mirror: Option<(RepositoryEndpoint, RegistryFailure)>,
    mut failure: RegistryFailure,
) -> RegistryFailure {
    if let Some((_, other)) = mirror {
        failure.cause = format!("{}; before that its mirror: {}", failure.cause, other.cause);
    }
    failure
}
