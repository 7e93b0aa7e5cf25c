//! Transfers blobs to a repository: a blob may exist there, be mounted from another repository, or be uploaded.
//!
//! A blob is sent in one request, or in parts if that was refused because of its size. When the connection breaks, the
//! upload is resumed if the registry reports its progress, and restarted otherwise. Each blob is sent only once per
//! registry: concurrent pushes of the same blob wait for the first one.

use std::sync::atomic::AtomicU64;

use crate::http::Method;
use tracing::Instrument as _;
use union_build::diag::Code;

use super::Registry;
use super::endpoint::RepositoryEndpoint;
use super::parts::{self, is_too_large};
use super::pull::PROGRESS;
use super::transport::ErrorResponse;
use super::upload_session::{RefusedPart, UploadProgress, UploadSession};
use crate::http::body::BodySource;
use crate::http::failure::Retryable;
use crate::http::retry::Attempts;
use crate::image::BaseSource as _;
use crate::image::layer::{Blob, BlobSource, Descriptor};
use crate::publish::TransferKind;
use crate::publish::auth::Scopes;
use crate::publish::failure::RegistryFailure;
use crate::sys::digest::Digest;

/// The result of starting an upload.
enum UploadStart {
    /// The registry mounted the blob from another repository.
    Mounted,
    /// The blob has to be sent.
    At(UploadSession),
}

/// Whether a blob is sent in parts.
#[derive(Clone, Copy)]
enum UploadPart {
    /// The host refuses larger requests.
    Known(u64),
    /// The host closed the connection, possibly because of the size.
    Tried,
    /// The host does not support parts.
    Never,
}

impl UploadPart {
    fn size(self) -> Option<u64> {
        match self {
            Self::Known(size) => Some(size),
            Self::Tried => Some(parts::LARGEST),
            Self::Never => None,
        }
    }
}

impl Registry {
    /// Makes sure that a repository has a blob. With `force` it is sent even if the registry reports that it exists.
    pub(super) async fn ensure_blob(
        &self,
        place: &RepositoryEndpoint,
        blob: &Blob,
        force: bool,
        sent: &AtomicU64,
    ) -> Result<(), RegistryFailure> {
        let descriptor = &blob.descriptor;
        let repositories = self.presence.of(place, descriptor.digest);
        let mut paths = repositories.lock().await;
        if !force
            && (paths.contains(&place.path) || self.has_blob(place, descriptor.digest).await?)
        {
            paths.insert(place.path.clone());
            self.report_transfer(place, descriptor, TransferKind::Present, descriptor.size);
            return Ok(());
        }
        let from = paths
            .iter()
            .find(|path| **path != place.path)
            .cloned()
            .or_else(|| self.source_on(place, &blob.content));
        let mounted = match from.filter(|_| !force) {
            Some(from) => self.mount(place, descriptor.digest, &from).await,
            None => None,
        };
        let start = match mounted {
            Some(start) => start,
            None => UploadStart::At(self.start_upload(place).await?),
        };
        match start {
            UploadStart::Mounted => {
                self.report_transfer(place, descriptor, TransferKind::Mount, descriptor.size)
            }
            UploadStart::At(session) => self
                .upload(place, blob, session, sent)
                .await
                .map_err(|failure| of_blob(failure, descriptor))?,
        }
        paths.insert(place.path.clone());
        Ok(())
    }

    async fn start_upload(
        &self,
        place: &RepositoryEndpoint,
    ) -> Result<UploadSession, RegistryFailure> {
        let call = self
            .transport
            .call(
                place,
                Scopes::push(&place.path),
                Method::POST,
                "blobs/uploads/",
            )
            .await?;
        let answer = self.transport.send(&call).await?;
        if answer.status().as_u16() == 202 {
            return UploadSession::started(&answer, &self.transport.transport);
        }
        let refusal = self.transport.refusal(place, answer).await;
        Err(if refusal.has(&["NAME_UNKNOWN", "NAME_INVALID"]) {
            must_create(place, refusal)
        } else {
            refusal.failure
        })
    }

    /// Starts an upload and cancels it, to check for write access.
    pub(super) async fn try_upload(
        &self,
        place: &RepositoryEndpoint,
    ) -> Result<(), RegistryFailure> {
        let session = self.start_upload(place).await?;
        self.cancel(place, &session).await;
        Ok(())
    }

    /// Cancels an upload. Failures are ignored, because registries remove stale uploads eventually.
    async fn cancel(&self, place: &RepositoryEndpoint, session: &UploadSession) {
        let call = self.transport.call_to(
            place,
            Scopes::push(&place.path),
            Method::DELETE,
            session.url.clone(),
        );
        let _ = self.transport.send_once(&call).await;
    }

    async fn has_blob(
        &self,
        place: &RepositoryEndpoint,
        digest: Digest,
    ) -> Result<bool, RegistryFailure> {
        let call = self
            .transport
            .call(
                place,
                Scopes::push(&place.path),
                Method::HEAD,
                &format!("blobs/{digest}"),
            )
            .await?;
        let answer = self.transport.send(&call).await?;
        // Other problems are reported by the upload, with a better message.
        Ok(answer.status().as_u16() == 200 && !answer.is_web_page())
    }

    /// The repository on the same host that has a base's blob.
    fn source_on(&self, place: &RepositoryEndpoint, content: &BlobSource) -> Option<String> {
        let BlobSource::Remote(repository) = content else {
            return None;
        };
        let here = |from: &RepositoryEndpoint| from.host == place.host;
        let origin = Some(RepositoryEndpoint::of(repository)).filter(here);
        origin
            .or_else(|| RepositoryEndpoint::mirror_of(repository, &self.mirrors).filter(here))
            .map(|from| from.path)
    }

    /// Tries to mount a blob from another repository; `None` if that is refused, so that the blob is uploaded.
    async fn mount(
        &self,
        place: &RepositoryEndpoint,
        digest: Digest,
        from: &str,
    ) -> Option<UploadStart> {
        let mut call = self
            .transport
            .call(
                place,
                Scopes::mount(&place.path, from),
                Method::POST,
                "blobs/uploads/",
            )
            .await
            .ok()?;
        call.url
            .query_pairs_mut()
            .append_pair("mount", &digest.to_string())
            .append_pair("from", from);
        let answer = self.transport.send_once(&call).await.ok()?;
        match answer.status().as_u16() {
            201 => Some(UploadStart::Mounted),
            202 => {
                let session = UploadSession::started(&answer, &self.transport.transport);
                session.ok().map(UploadStart::At)
            }
            _ => None,
        }
    }

    async fn upload(
        &self,
        place: &RepositoryEndpoint,
        blob: &Blob,
        mut session: UploadSession,
        sent: &AtomicU64,
    ) -> Result<(), RegistryFailure> {
        let descriptor = &blob.descriptor;
        let source = match &blob.content {
            BlobSource::Bytes(bytes) => BodySource::Bytes(bytes.clone()),
            BlobSource::File(path) => BodySource::File(path.clone()),
            BlobSource::Remote(repository) => {
                BodySource::File(self.blob(repository, descriptor).await?)
            }
        };
        check_length(&source, descriptor)?;
        self.report_transfer(place, descriptor, TransferKind::Upload, 0);
        let mut attempts = Attempts::of(self.transport.retry);
        let mut part = self.parts.of(place).map(UploadPart::Known);
        loop {
            let before = session.start;
            let sending = UploadProgress {
                place,
                descriptor,
                source: &source,
                part: part.and_then(UploadPart::size),
                sent,
            };
            let sent_rest = self
                .send_rest(&sending, &mut session)
                .instrument(attempts.span());
            let Err(RefusedPart { refusal, size }) = sent_rest.await else {
                break;
            };
            if is_too_large(&refusal) {
                let Some(next) = parts::smaller(size, session.least) else {
                    self.cancel(place, &session).await;
                    return Err(parts::too_large(refusal, size));
                };
                self.parts.learn(place, next);
                part = Some(UploadPart::Known(next));
            } else if matches!(part, Some(UploadPart::Tried))
                && refusal
                    .status
                    .is_some_and(|status| status.is_client_error() || status.as_u16() == 501)
            {
                // The registry does not support parts, and size was only a guess.
                part = Some(UploadPart::Never);
            } else {
                // A host may close the connection because of the size.
                if part.is_none() && refusal.status.is_none() && size > parts::LARGEST {
                    part = Some(UploadPart::Tried);
                }
                if session.start >= before + PROGRESS {
                    attempts.restart();
                }
                self.transport
                    .pause(place, &mut attempts, classify_refusal(refusal, descriptor))
                    .await?;
                // The connection may have been closed after the last byte.
                if self.has_blob(place, descriptor.digest).await? {
                    break;
                }
            }
            let at = session.start;
            session = match self.received(place, &session).await {
                Some(next)
                    if next.start <= descriptor.size
                        && !matches!(part, Some(UploadPart::Never)) =>
                {
                    next
                }
                _ => {
                    self.cancel(place, &session).await;
                    self.start_upload(place).await?
                }
            };
            if session.start >= at + PROGRESS {
                attempts.restart();
            }
        }
        self.report_transfer(place, descriptor, TransferKind::Upload, descriptor.size);
        Ok(())
    }
}

fn check_length(source: &BodySource, descriptor: &Descriptor) -> Result<(), RegistryFailure> {
    let length = match source {
        BodySource::Bytes(bytes) => bytes.len() as u64,
        BodySource::File(path) => path
            .metadata()
            .map_err(|cause| crate::sys::fs::unreadable(path, cause))?
            .len(),
    };
    if length == descriptor.size {
        return Ok(());
    }
    Err(RegistryFailure::new(
        Code::DigestMismatch,
        format!(
            "there are {length} bytes of {}, which has {}",
            descriptor.digest, descriptor.size
        ),
    ))
}

/// The failure of a refused upload. A retry may succeed if the registry has lost the upload.
fn classify_refusal(refusal: ErrorResponse, descriptor: &Descriptor) -> RegistryFailure {
    let lost = refusal
        .status
        .is_some_and(|status| matches!(status.as_u16(), 404 | 416));
    if refusal.has(&["DIGEST_INVALID"]) {
        let cause = format!("{} (expected {})", refusal.failure.cause, descriptor.digest);
        return RegistryFailure {
            code: Code::DigestMismatch,
            cause,
            ..refusal.failure
        };
    }
    let starts_over = lost
        || refusal.has(&[
            "BLOB_UPLOAD_UNKNOWN",
            "BLOB_UPLOAD_INVALID",
            "RANGE_INVALID",
        ]);
    let retryable = if starts_over {
        Retryable::MaybeExecuted
    } else {
        refusal.failure.retryable
    };
    RegistryFailure {
        retryable,
        ..refusal.failure
    }
}

fn of_blob(failure: RegistryFailure, descriptor: &Descriptor) -> RegistryFailure {
    RegistryFailure {
        cause: format!("blob {}: {}", descriptor.digest, failure.cause),
        ..failure
    }
}

/// The failure of a registry that does not create repositories automatically.
fn must_create(place: &RepositoryEndpoint, refusal: ErrorResponse) -> RegistryFailure {
    let help = match place
        .host
        .strip_suffix(".amazonaws.com")
        .and_then(|host| host.split_once(".dkr.ecr."))
    {
        Some((_, region)) => format!(
            "Run `aws ecr create-repository --repository-name {} --region {region}`.",
            place.path
        ),
        None => format!(
            "Create the repository `{}` at {} first.",
            place.path, place.registry
        ),
    };
    RegistryFailure {
        code: Code::RegistryMustCreate,
        ..refusal.failure
    }
    .help(help)
}

#[cfg(test)]
mod tests;
