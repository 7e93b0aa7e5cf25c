//! The requests of one upload session: a blob in one request or in parts, its progress, its completion.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Registry;
use super::endpoint::RepositoryEndpoint;
use super::transport::{ErrorResponse, RegistryRequest, RegistryResponse};
use crate::http::body::{BodySource, BodyStream, RequestBody};
use crate::http::header::{CONTENT_RANGE, CONTENT_TYPE, LOCATION, RANGE};
use crate::http::{Method, Transport, Url};
use crate::image::layer::Descriptor;
use crate::publish::auth::Scopes;
use crate::publish::failure::RegistryFailure;
use crate::publish::{Transfer, TransferKind};

const OCTETS: &str = "application/octet-stream";

/// An upload session of the registry.
pub(super) struct UploadSession {
    /// The location for the next request.
    pub(super) url: Url,
    /// The number of bytes that the registry has received.
    pub(super) start: u64,
    /// The minimum size of a part, except the last.
    pub(super) least: u64,
}

impl UploadSession {
    /// The session that a response has started.
    ///
    /// # Errors
    /// `RegistryInvalid` when the response has no valid `Location` header.
    pub(super) fn started(
        answer: &RegistryResponse,
        transport: &Transport,
    ) -> Result<Self, RegistryFailure> {
        Ok(Self {
            url: answer.location(transport)?,
            start: 0,
            least: least_part(answer),
        })
    }
}

/// A blob that is being sent.
pub(super) struct UploadProgress<'a> {
    pub(super) place: &'a RepositoryEndpoint,
    pub(super) descriptor: &'a Descriptor,
    pub(super) source: &'a BodySource,
    pub(super) part: Option<u64>,
    pub(super) sent: &'a AtomicU64,
}

/// A refused request, and its size in bytes.
pub(super) struct RefusedPart {
    pub(super) refusal: ErrorResponse,
    pub(super) size: u64,
}

impl Registry {
    /// Sends the rest of a blob, and completes the upload.
    pub(super) async fn send_rest(
        &self,
        sending: &UploadProgress<'_>,
        session: &mut UploadSession,
    ) -> Result<(), RefusedPart> {
        let size = sending.descriptor.size;
        let part = sending
            .part
            .map_or(u64::MAX, |part| part.max(session.least));
        let mut last = 0..0;
        if session.start == 0 && size <= part {
            last = 0..size;
        } else {
            while session.start < size {
                let range = session.start..session.start.saturating_add(part).min(size);
                let call = self.transport.call_to(
                    sending.place,
                    Scopes::push(&sending.place.path),
                    Method::PATCH,
                    session.url.clone(),
                );
                let call =
                    call.header(CONTENT_RANGE, &format!("{}-{}", range.start, range.end - 1));
                let answer = self.send_range(sending, call, range.clone()).await?;
                if answer.header(LOCATION).is_some() {
                    session.url =
                        answer
                            .location(&self.transport.transport)
                            .map_err(|failure| RefusedPart {
                                refusal: failure.into(),
                                size: 0,
                            })?;
                }
                session.start = range.end;
            }
        }
        let mut url = session.url.clone();
        url.query_pairs_mut()
            .append_pair("digest", &sending.descriptor.digest.to_string());
        let call = self.transport.call_to(
            sending.place,
            Scopes::push(&sending.place.path),
            Method::PUT,
            url,
        );
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
        let body = if size == 0 {
            RequestBody::Empty
        } else {
            RequestBody::Stream(stream.clone())
        };
        let call = call.header(CONTENT_TYPE, OCTETS).body(body);
        let answered = match self.transport.send_once(&call).await {
            Ok(answer) => self.accepted(sending.place, answer).await,
            Err(failure) => Err(failure.into()),
        };
        let went = if answered.is_ok() {
            size
        } else {
            stream
                .done
                .load(Ordering::Relaxed)
                .saturating_sub(range.start)
        };
        sending.sent.fetch_add(went, Ordering::Relaxed);
        answered.map_err(|refusal| RefusedPart { refusal, size })
    }

    async fn accepted(
        &self,
        place: &RepositoryEndpoint,
        answer: RegistryResponse,
    ) -> Result<RegistryResponse, ErrorResponse> {
        if answer.status().is_success() {
            Ok(answer)
        } else {
            Err(self.transport.refusal(place, answer).await)
        }
    }

    /// The progress of an upload; `None` if it has to be restarted.
    pub(super) async fn received(
        &self,
        place: &RepositoryEndpoint,
        session: &UploadSession,
    ) -> Option<UploadSession> {
        let call = self.transport.call_to(
            place,
            Scopes::push(&place.path),
            Method::GET,
            session.url.clone(),
        );
        let answer = self
            .transport
            .send_once(&call)
            .await
            .ok()
            .filter(|answer| answer.status().is_success())?;
        let last: u64 = answer
            .header(RANGE)?
            .trim_start_matches("bytes=")
            .split_once('-')?
            .1
            .trim()
            .parse()
            .ok()?;
        // `0-0` is ambiguous: registries return it for one byte and for none.
        let start = last.checked_add(1).filter(|start| *start > 1)?;
        let url = answer
            .location(&self.transport.transport)
            .unwrap_or_else(|_| session.url.clone());
        Some(UploadSession {
            url,
            start,
            least: session.least,
        })
    }

    fn stream(&self, sending: &UploadProgress<'_>, range: Range<u64>) -> Arc<BodyStream> {
        let (place, digest, total) = (
            sending.place.to_string(),
            sending.descriptor.digest,
            sending.descriptor.size,
        );
        let reporter = self.reporter.clone();
        let tell = move |done| {
            // Completion is reported after the registry has confirmed it.
            if done < total {
                reporter.transfer(&Transfer {
                    digest,
                    place: &place,
                    kind: TransferKind::Upload,
                    done,
                    total,
                });
            }
        };
        let Range { start, end } = range;
        Arc::new(BodyStream {
            from: sending.source.clone(),
            start,
            end,
            done: AtomicU64::new(start),
            tell: Box::new(tell),
        })
    }
}

/// The minimum size of a part except the last (`OCI-Chunk-Min-Length`); 0 if it is missing or invalid.
fn least_part(answer: &RegistryResponse) -> u64 {
    answer
        .header("oci-chunk-min-length")
        .and_then(|least| least.trim().parse().ok())
        .unwrap_or(0)
}
