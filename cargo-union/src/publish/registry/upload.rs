//! Transfers blobs to a repository: a blob may exist there, be mounted from another repository, or be uploaded.
//!
//! A blob is sent in one request, or in parts if that was refused because of its size. When the connection breaks, the
//! upload is resumed if the registry reports its progress, and restarted otherwise. Each blob is sent only once per
//! registry: concurrent pushes of the same blob wait for the first one.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::http::header::{CONTENT_RANGE, CONTENT_TYPE, LOCATION, RANGE};
use crate::http::{Method, Url};
use tokio::sync::Mutex as AsyncMutex;
use tracing::Instrument as _;
use union_build::diag::Code;

use super::Registry;
use super::endpoint::RepositoryEndpoint;
use super::parts::{self, is_too_large};
use super::pull::PROGRESS;
use super::transport::{ErrorResponse, RegistryRequest, RegistryResponse};
use crate::http::body::{BodySource, BodyStream, RequestBody};
use crate::http::failure::Retryable;
use crate::http::retry::Attempts;
use crate::image::BaseSource as _;
use crate::image::layer::{Blob, BlobSource, Descriptor};
use crate::publish::auth::Scopes;
use crate::publish::failure::RegistryFailure;
use crate::publish::{Transfer, TransferKind};
use crate::sys::digest::Digest;

const OCTETS: &str = "application/octet-stream";

/// The repositories of a host that have a blob; locked while the blob is uploaded.
#[derive(Default)]
pub(super) struct BlobPresence(Mutex<HashMap<(String, Digest), Paths>>);

type Paths = Arc<AsyncMutex<BTreeSet<String>>>;

/// The result of starting an upload.
enum UploadStart {
    /// The registry mounted the blob from another repository.
    Mounted,
    /// The blob has to be sent.
    At(UploadSession),
}

/// An upload session of the registry.
struct UploadSession {
    /// The location for the next request.
    url: Url,
    /// The number of bytes that the registry has received.
    start: u64,
    /// The minimum size of a part, except the last.
    least: u64,
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

/// A blob that is being sent.
struct UploadProgress<'a> {
    place: &'a RepositoryEndpoint,
    descriptor: &'a Descriptor,
    source: &'a BodySource,
    part: Option<u64>,
    sent: &'a AtomicU64,
}

/// A refused request, and its size in bytes.
struct RefusedPart {
    refusal: ErrorResponse,
    size: u64,
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

impl BlobPresence {
    fn of(&self, place: &RepositoryEndpoint, digest: Digest) -> Paths {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).entry((place.host.clone(), digest)).or_default().clone()
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
        let holders = self.holders.of(place, descriptor.digest);
        let mut paths = holders.lock().await;
        if !force && (paths.contains(&place.path) || self.has_blob(place, descriptor.digest).await?) {
            paths.insert(place.path.clone());
            self.report_transfer(place, descriptor, TransferKind::Present, descriptor.size);
            return Ok(());
        }
        let from = paths.iter().find(|path| **path != place.path).cloned().or_else(|| self.source_on(place, &blob.content));
        let mounted = match from.filter(|_| !force) {
            Some(from) => self.mount(place, descriptor.digest, &from).await,
            None => None,
        };
        let start = match mounted {
            Some(start) => start,
            None => UploadStart::At(self.start_upload(place).await?),
        };
        match start {
            UploadStart::Mounted => self.report_transfer(place, descriptor, TransferKind::Mount, descriptor.size),
            UploadStart::At(session) => self.upload(place, blob, session, sent).await.map_err(|failure| of_blob(failure, descriptor))?,
        }
        paths.insert(place.path.clone());
        Ok(())
    }

    async fn start_upload(&self, place: &RepositoryEndpoint) -> Result<UploadSession, RegistryFailure> {
        let call = self.wire.call(place, Scopes::push(&place.path), Method::POST, "blobs/uploads/").await?;
        let answer = self.wire.send(&call).await?;
        if answer.status().as_u16() == 202 {
            return Ok(UploadSession { url: answer.location(&self.wire.transport)?, start: 0, least: least_part(&answer) });
        }
        let refusal = self.wire.refusal(place, answer).await;
        Err(if refusal.has(&["NAME_UNKNOWN", "NAME_INVALID"]) { must_create(place, refusal) } else { refusal.failure })
    }

    /// Starts an upload and cancels it, to check for write access.
    pub(super) async fn try_upload(&self, place: &RepositoryEndpoint) -> Result<(), RegistryFailure> {
        let session = self.start_upload(place).await?;
        self.cancel(place, &session).await;
        Ok(())
    }

    /// Cancels an upload. Failures are ignored, because registries remove stale uploads eventually.
    async fn cancel(&self, place: &RepositoryEndpoint, session: &UploadSession) {
        let call = self.wire.call_to(place, Scopes::push(&place.path), Method::DELETE, session.url.clone());
        let _ = self.wire.send_once(&call).await;
    }

    async fn has_blob(&self, place: &RepositoryEndpoint, digest: Digest) -> Result<bool, RegistryFailure> {
        let call = self.wire.call(place, Scopes::push(&place.path), Method::HEAD, &format!("blobs/{digest}")).await?;
        let answer = self.wire.send(&call).await?;
        // Other problems are reported by the upload, with a better message.
        Ok(answer.status().as_u16() == 200 && !answer.is_web_page())
    }

    /// The repository on the same host that has a base's blob.
    fn source_on(&self, place: &RepositoryEndpoint, content: &BlobSource) -> Option<String> {
        let BlobSource::Remote(repository) = content else { return None };
        let here = |from: &RepositoryEndpoint| from.host == place.host;
        let origin = Some(RepositoryEndpoint::of(repository)).filter(here);
        origin.or_else(|| RepositoryEndpoint::mirror_of(repository, &self.mirrors).filter(here)).map(|from| from.path)
    }

    /// Tries to mount a blob from another repository; `None` if that is refused, so that the blob is uploaded.
    async fn mount(&self, place: &RepositoryEndpoint, digest: Digest, from: &str) -> Option<UploadStart> {
        let mut call = self.wire.call(place, Scopes::mount(&place.path, from), Method::POST, "blobs/uploads/").await.ok()?;
        call.url.query_pairs_mut().append_pair("mount", &digest.to_string()).append_pair("from", from);
        let answer = self.wire.send_once(&call).await.ok()?;
        match answer.status().as_u16() {
            201 => Some(UploadStart::Mounted),
            202 => {
                let url = answer.location(&self.wire.transport).ok()?;
                Some(UploadStart::At(UploadSession { url, start: 0, least: least_part(&answer) }))
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
            BlobSource::Remote(repository) => BodySource::File(self.blob(repository, descriptor).await?),
        };
        check_length(&source, descriptor)?;
        self.report_transfer(place, descriptor, TransferKind::Upload, 0);
        let mut attempts = Attempts::of(self.wire.retry);
        let mut part = self.parts.of(place).map(UploadPart::Known);
        loop {
            let before = session.start;
            let sending = UploadProgress { place, descriptor, source: &source, part: part.and_then(UploadPart::size), sent };
            let sent_rest = self.send_rest(&sending, &mut session).instrument(attempts.span());
            let Err(RefusedPart { refusal, size }) = sent_rest.await else { break };
            if is_too_large(&refusal) {
                let Some(next) = parts::smaller(size, session.least) else {
                    self.cancel(place, &session).await;
                    return Err(parts::too_large(refusal, size));
                };
                self.parts.learn(place, next);
                part = Some(UploadPart::Known(next));
            } else if matches!(part, Some(UploadPart::Tried))
                && refusal.status.is_some_and(|status| status.is_client_error() || status.as_u16() == 501)
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
                self.wire.pause(place, &mut attempts, classify_refusal(refusal, descriptor)).await?;
                // The connection may have been closed after the last byte.
                if self.has_blob(place, descriptor.digest).await? {
                    break;
                }
            }
            let at = session.start;
            session = match self.received(place, &session).await {
                Some(next) if next.start <= descriptor.size && !matches!(part, Some(UploadPart::Never)) => next,
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

    /// Sends the rest of a blob, and completes the upload.
    async fn send_rest(&self, sending: &UploadProgress<'_>, session: &mut UploadSession) -> Result<(), RefusedPart> {
        let size = sending.descriptor.size;
        let part = sending.part.map_or(u64::MAX, |part| part.max(session.least));
        let mut last = 0..0;
        if session.start == 0 && size <= part {
            last = 0..size;
        } else {
            while session.start < size {
                let range = session.start..session.start.saturating_add(part).min(size);
                let call = self.wire.call_to(sending.place, Scopes::push(&sending.place.path), Method::PATCH, session.url.clone());
                let call = call.header(CONTENT_RANGE, &format!("{}-{}", range.start, range.end - 1));
                let answer = self.send_range(sending, call, range.clone()).await?;
                if answer.header(LOCATION).is_some() {
                    session.url =
                        answer.location(&self.wire.transport).map_err(|failure| RefusedPart { refusal: failure.into(), size: 0 })?;
                }
                session.start = range.end;
            }
        }
        let mut url = session.url.clone();
        url.query_pairs_mut().append_pair("digest", &sending.descriptor.digest.to_string());
        let call = self.wire.call_to(sending.place, Scopes::push(&sending.place.path), Method::PUT, url);
        self.send_range(sending, call, last).await.map(drop)
    }

    /// Sends a range of a blob in one request.
    async fn send_range(
        &self,
        sending: &UploadProgress<'_>,
        call: RegistryRequest<'_>,
        range: Range<u64>,
    ) -> Result<RegistryResponse, RefusedPart> {
        let size = range.end - range.start;
        let stream = self.stream(sending, range.clone());
        let body = if size == 0 { RequestBody::Empty } else { RequestBody::Stream(stream.clone()) };
        let call = call.header(CONTENT_TYPE, OCTETS).body(body);
        let answered = match self.wire.send_once(&call).await {
            Ok(answer) => self.accepted(sending.place, answer).await,
            Err(failure) => Err(failure.into()),
        };
        let went = if answered.is_ok() { size } else { stream.done.load(Ordering::Relaxed).saturating_sub(range.start) };
        sending.sent.fetch_add(went, Ordering::Relaxed);
        answered.map_err(|refusal| RefusedPart { refusal, size })
    }

    async fn accepted(&self, place: &RepositoryEndpoint, answer: RegistryResponse) -> Result<RegistryResponse, ErrorResponse> {
        if answer.status().is_success() { Ok(answer) } else { Err(self.wire.refusal(place, answer).await) }
    }

    /// The progress of an upload; `None` if it has to be restarted.
    async fn received(&self, place: &RepositoryEndpoint, session: &UploadSession) -> Option<UploadSession> {
        let call = self.wire.call_to(place, Scopes::push(&place.path), Method::GET, session.url.clone());
        let answer = self.wire.send_once(&call).await.ok().filter(|answer| answer.status().is_success())?;
        let last: u64 = answer.header(RANGE)?.trim_start_matches("bytes=").split_once('-')?.1.trim().parse().ok()?;
        // `0-0` is ambiguous: registries return it for one byte and for none.
        let start = last.checked_add(1).filter(|start| *start > 1)?;
        let url = answer.location(&self.wire.transport).unwrap_or_else(|_| session.url.clone());
        Some(UploadSession { url, start, least: session.least })
    }

    fn stream(&self, sending: &UploadProgress<'_>, range: Range<u64>) -> Arc<BodyStream> {
        let (place, digest, total) = (sending.place.to_string(), sending.descriptor.digest, sending.descriptor.size);
        let reporter = self.reporter.clone();
        let tell = move |done| {
            // Completion is reported after the registry has confirmed it.
            if done < total {
                reporter.transfer(&Transfer { digest, place: &place, way: TransferKind::Upload, done, total });
            }
        };
        let Range { start, end } = range;
        Arc::new(BodyStream { from: sending.source.clone(), start, end, done: AtomicU64::new(start), tell: Box::new(tell) })
    }
}

/// The minimum size of a part except the last (`OCI-Chunk-Min-Length`); 0 if it is missing or invalid.
fn least_part(answer: &RegistryResponse) -> u64 {
    answer.header("oci-chunk-min-length").and_then(|least| least.trim().parse().ok()).unwrap_or(0)
}

fn check_length(source: &BodySource, descriptor: &Descriptor) -> Result<(), RegistryFailure> {
    let length = match source {
        BodySource::Bytes(bytes) => bytes.len() as u64,
        BodySource::File(path) => path.metadata().map_err(|cause| crate::sys::fs::unreadable(path, cause))?.len(),
    };
    if length == descriptor.size {
        return Ok(());
    }
    Err(RegistryFailure::new(
        Code::DigestMismatch,
        format!("there are {length} bytes of {}, which has {}", descriptor.digest, descriptor.size),
    ))
}

/// The failure of a refused upload. A retry may succeed if the registry has lost the upload.
fn classify_refusal(refusal: ErrorResponse, descriptor: &Descriptor) -> RegistryFailure {
    let lost = refusal.status.is_some_and(|status| matches!(status.as_u16(), 404 | 416));
    if refusal.has(&["DIGEST_INVALID"]) {
        let cause = format!("{} (expected {})", refusal.failure.cause, descriptor.digest);
        return RegistryFailure { code: Code::DigestMismatch, cause, ..refusal.failure };
    }
    let starts_over = lost || refusal.has(&["BLOB_UPLOAD_UNKNOWN", "BLOB_UPLOAD_INVALID", "RANGE_INVALID"]);
    let retryable = if starts_over { Retryable::MaybeExecuted } else { refusal.failure.retryable };
    RegistryFailure { retryable, ..refusal.failure }
}

fn of_blob(failure: RegistryFailure, descriptor: &Descriptor) -> RegistryFailure {
    RegistryFailure { cause: format!("blob {}: {}", descriptor.digest, failure.cause), ..failure }
}

/// The failure of a registry that does not create repositories automatically.
fn must_create(place: &RepositoryEndpoint, refusal: ErrorResponse) -> RegistryFailure {
    let help = match place.host.strip_suffix(".amazonaws.com").and_then(|host| host.split_once(".dkr.ecr.")) {
        Some((_, region)) => format!("Run `aws ecr create-repository --repository-name {} --region {region}`.", place.path),
        None => format!("Create the repository `{}` at {} first.", place.path, place.registry),
    };
    RegistryFailure { code: Code::RegistryMustCreate, ..refusal.failure }.help(help)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_of_ecr_is_created_with_a_command() {
        let host = "123456789012.dkr.ecr.eu-west-1.amazonaws.com".to_owned();
        let place = RepositoryEndpoint { host: host.clone(), registry: host, path: "team/app".to_owned() };
        let failure = must_create(&place, RegistryFailure::new(Code::RegistryFailed, "x").into());
        assert_eq!(failure.code, Code::RegistryMustCreate);
        assert_eq!(failure.help.as_deref(), Some("Run `aws ecr create-repository --repository-name team/app --region eu-west-1`."));
    }
}
