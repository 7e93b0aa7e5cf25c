//! Request bodies: repeatable, streamed from files, with progress and a timeout for stalled uploads.

use std::fmt;
use std::io::SeekFrom;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use reqwest::header::CONTENT_LENGTH;
use reqwest::{RequestBuilder, Response};
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio_util::io::ReaderStream;

/// How many bytes are read from a file at a time, and so the memory that an upload takes.
const CHUNK: usize = 256 * 1024;
/// How long an upload may stall. A registry may copy a large blob to its storage for minutes before it responds.
const STANDSTILL: Duration = Duration::from_secs(300);

#[derive(Clone)]
pub(crate) enum RequestBody {
    Empty,
    Bytes(Bytes),
    Stream(Arc<BodyStream>),
}

/// A part of a blob to send, with its progress.
pub(crate) struct BodyStream {
    /// The source of the bytes.
    pub(crate) from: BodySource,
    /// The offset of the first byte to send.
    pub(crate) start: u64,
    /// The size of the blob.
    pub(crate) end: u64,
    /// How many bytes of the blob have been passed to the connection.
    pub(crate) done: AtomicU64,
    /// Called with `done` for each chunk.
    pub(crate) tell: Box<dyn Fn(u64) + Send + Sync>,
}

/// The source of a blob's bytes.
#[derive(Clone, Debug)]
pub(crate) enum BodySource {
    Bytes(Bytes),
    File(PathBuf),
}

/// Why there is no response.
pub(super) enum SendError {
    Http(reqwest::Error),
    TimedOut(Duration),
}

impl RequestBody {
    /// Whether there are no bytes to send.
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Bytes(bytes) => bytes.is_empty(),
            Self::Stream(stream) => stream.start >= stream.end,
        }
    }

    /// The number of bytes that were handed to the connection when it was sent last.
    pub(super) fn sent(&self) -> u64 {
        match self {
            Self::Empty => 0,
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Stream(stream) => stream
                .done
                .load(Ordering::Relaxed)
                .saturating_sub(stream.start),
        }
    }

    /// Sends a request with this body, and waits up to `timeout` for the head of the response.
    pub(super) async fn send(
        &self,
        request: RequestBuilder,
        timeout: Option<Duration>,
    ) -> Result<Response, SendError> {
        match self {
            Self::Empty => answer(request, timeout).await,
            Self::Bytes(bytes) => answer(request.body(bytes.clone()), timeout).await,
            Self::Stream(stream) => {
                stream.done.store(stream.start, Ordering::Relaxed);
                let length = stream.end.saturating_sub(stream.start);
                // For an empty body the caller has set Content-Length.
                let request = if length == 0 {
                    request
                } else {
                    request.header(CONTENT_LENGTH, length).body(stream.body())
                };
                stream.watched(request).await
            }
        }
    }
}

impl fmt::Debug for RequestBody {
    /// Shows the size only: the content may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("Empty"),
            Self::Bytes(bytes) => write!(f, "Bytes({})", bytes.len()),
            Self::Stream(stream) => stream.fmt(f),
        }
    }
}

impl BodyStream {
    fn body(self: &Arc<Self>) -> reqwest::Body {
        let stream = self.clone();
        let count = move |chunk: &Bytes| {
            let length = chunk.len() as u64;
            (stream.tell)(stream.done.fetch_add(length, Ordering::Relaxed) + length);
        };
        match &self.from {
            BodySource::Bytes(bytes) => {
                let rest = bytes.slice(
                    usize::try_from(self.start)
                        .unwrap_or(usize::MAX)
                        .min(bytes.len())..,
                );
                let chunks =
                    futures_util::stream::once(async move { Ok::<_, std::io::Error>(rest) });
                reqwest::Body::wrap_stream(
                    chunks.inspect(move |chunk| chunk.iter().for_each(&count)),
                )
            }
            BodySource::File(path) => {
                let (path, start, length) = (path.clone(), self.start, self.end - self.start);
                let opened = async move {
                    let mut file = tokio::fs::File::open(path).await?;
                    file.seek(SeekFrom::Start(start)).await?;
                    Ok::<_, std::io::Error>(ReaderStream::with_capacity(file.take(length), CHUNK))
                };
                let chunks = futures_util::stream::once(opened).flat_map(|opened| match opened {
                    Ok(chunks) => chunks.boxed(),
                    Err(error) => futures_util::stream::iter([Err(error)]).boxed(),
                });
                reqwest::Body::wrap_stream(
                    chunks.inspect(move |chunk| chunk.iter().for_each(&count)),
                )
            }
        }
    }

    /// Sends a request, and fails when the upload stalls. A timeout for the whole request would fail for large blobs.
    async fn watched(&self, request: RequestBuilder) -> Result<Response, SendError> {
        let mut sending = std::pin::pin!(request.send());
        let mut before = self.done.load(Ordering::Relaxed);
        loop {
            if let Ok(response) = tokio::time::timeout(STANDSTILL, &mut sending).await {
                return response.map_err(SendError::Http);
            }
            let now = self.done.load(Ordering::Relaxed);
            if now == before {
                return Err(SendError::TimedOut(STANDSTILL));
            }
            before = now;
        }
    }
}

impl fmt::Debug for BodyStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream")
            .field("from", &self.from)
            .field("start", &self.start)
            .field("end", &self.end)
            .finish_non_exhaustive()
    }
}

async fn answer(request: RequestBuilder, timeout: Option<Duration>) -> Result<Response, SendError> {
    let Some(timeout) = timeout else {
        return request.send().await.map_err(SendError::Http);
    };
    match tokio::time::timeout(timeout, request.send()).await {
        Ok(response) => response.map_err(SendError::Http),
        Err(_) => Err(SendError::TimedOut(timeout)),
    }
}
