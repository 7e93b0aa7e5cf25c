//! Bodies that can be sent again, stream from a file, say how far they are, and notice a silent line.

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

/// How many bytes are read from a file at a time; all that a blob takes of the memory.
const CHUNK: usize = 256 * 1024;
/// How long an upload may stand still. A registry that copies a large blob to its store before it answers takes minutes.
const STANDSTILL: Duration = Duration::from_secs(300);

/// What a request carries.
#[derive(Clone)]
pub(crate) enum RequestBody {
    Empty,
    Bytes(Bytes),
    Stream(Arc<BodyStream>),
}

/// A part of a blob that is sent, and how far it is.
pub(crate) struct BodyStream {
    /// Where the bytes are.
    pub(crate) from: BodySource,
    /// The first byte to send.
    pub(crate) start: u64,
    /// The end of the blob.
    pub(crate) end: u64,
    /// Bytes of the blob that have been handed to the line.
    pub(crate) done: AtomicU64,
    /// Told whenever bytes go.
    pub(crate) tell: Box<dyn Fn(u64) + Send + Sync>,
}

/// Where a blob's bytes are.
#[derive(Clone, Debug)]
pub(crate) enum BodySource {
    Bytes(Bytes),
    File(PathBuf),
}

/// Why no answer came.
pub(super) enum SendError {
    Http(reqwest::Error),
    Silent(Duration),
}

impl RequestBody {
    /// Whether there is not one byte to send.
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Bytes(bytes) => bytes.is_empty(),
            Self::Stream(stream) => stream.start >= stream.end,
        }
    }

    /// How many bytes were handed to the connection, when it was sent last.
    pub(super) fn sent(&self) -> u64 {
        match self {
            Self::Empty => 0,
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Stream(stream) => stream.done.load(Ordering::Relaxed).saturating_sub(stream.start),
        }
    }

    /// Sends a request with this body and waits for the head of the answer, so long at most.
    pub(super) async fn send(&self, request: RequestBuilder, silence: Option<Duration>) -> Result<Response, SendError> {
        match self {
            Self::Empty => answer(request, silence).await,
            Self::Bytes(bytes) => answer(request.body(bytes.clone()), silence).await,
            Self::Stream(stream) => {
                stream.done.store(stream.start, Ordering::Relaxed);
                let length = stream.end.saturating_sub(stream.start);
                // The length of nothing is in the request already.
                let request = if length == 0 { request } else { request.header(CONTENT_LENGTH, length).body(stream.body()) };
                stream.watched(request).await
            }
        }
    }
}

impl fmt::Debug for RequestBody {
    /// How much there is, but not what: it may be a secret.
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
        let told = self.clone();
        let count = move |chunk: &Bytes| {
            let length = chunk.len() as u64;
            (told.tell)(told.done.fetch_add(length, Ordering::Relaxed) + length);
        };
        match &self.from {
            BodySource::Bytes(bytes) => {
                let rest = bytes.slice(usize::try_from(self.start).unwrap_or(usize::MAX).min(bytes.len())..);
                let chunks = futures_util::stream::once(async move { Ok::<_, std::io::Error>(rest) });
                reqwest::Body::wrap_stream(chunks.inspect(move |chunk| chunk.iter().for_each(&count)))
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
                reqwest::Body::wrap_stream(chunks.inspect(move |chunk| chunk.iter().for_each(&count)))
            }
        }
    }

    /// Sends, and gives up when nothing has moved for long. A time limit on the whole would punish large blobs.
    async fn watched(&self, request: RequestBuilder) -> Result<Response, SendError> {
        let mut sending = std::pin::pin!(request.send());
        let mut before = self.done.load(Ordering::Relaxed);
        loop {
            if let Ok(response) = tokio::time::timeout(STANDSTILL, &mut sending).await {
                return response.map_err(SendError::Http);
            }
            let now = self.done.load(Ordering::Relaxed);
            if now == before {
                return Err(SendError::Silent(STANDSTILL));
            }
            before = now;
        }
    }
}

impl fmt::Debug for BodyStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").field("from", &self.from).field("start", &self.start).field("end", &self.end).finish_non_exhaustive()
    }
}

async fn answer(request: RequestBuilder, silence: Option<Duration>) -> Result<Response, SendError> {
    let Some(silence) = silence else { return request.send().await.map_err(SendError::Http) };
    match tokio::time::timeout(silence, request.send()).await {
        Ok(response) => response.map_err(SendError::Http),
        Err(_) => Err(SendError::Silent(silence)),
    }
}
