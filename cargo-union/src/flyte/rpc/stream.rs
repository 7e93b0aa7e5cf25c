//! Server streams: messages until the end-of-stream frame.

use std::marker::PhantomData;

use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream};
use prost::Message;
use union_build::diag::Code;

use super::RpcFailure;
use super::envelope::{EnvelopeFrame, Frames};
use super::status::{self, RpcStatus};
use crate::http::authority;
use crate::http::response::HttpResponse;

/// A response that is read frame by frame.
struct MessageStream<Res> {
    answer: HttpResponse,
    frames: Frames,
    types: PhantomData<fn() -> Res>,
}

/// Waits for the first frame, because an error response of a streaming method is a frame too.
///
/// # Errors
/// The backend's error, or U0757 (`BackendInvalid`) for a malformed frame.
pub(super) async fn open<Res: Message + Default + 'static>(
    answer: HttpResponse,
) -> Result<BoxStream<'static, Result<Res, RpcFailure>>, RpcFailure> {
    let mut reader = MessageStream {
        answer,
        frames: Frames::default(),
        types: PhantomData,
    };
    let first = reader.message().await?;
    let next_message = move |reader: Option<MessageStream<Res>>| async move {
        let mut reader = reader?;
        match reader.message().await {
            Ok(None) => None,
            Ok(Some(message)) => Some((Ok(message), Some(reader))),
            // An error ends the stream.
            Err(failure) => Some((Err(failure), None)),
        }
    };
    let open_reader = first.is_some().then_some(reader);
    Ok(stream::iter(first.map(Ok))
        .chain(stream::unfold(open_reader, next_message))
        .boxed())
}

impl<Res: Message + Default> MessageStream<Res> {
    /// The next message; `None` at the end-of-stream frame.
    async fn message(&mut self) -> Result<Option<Res>, RpcFailure> {
        let host = authority(self.answer.url());
        let invalid = |why: String| RpcFailure::new(Code::BackendInvalid, format!("{host} {why}"));
        loop {
            match self.frames.next().map_err(invalid)? {
                Some(EnvelopeFrame::Message(bytes)) => {
                    let message = Res::decode(bytes);
                    return message.map(Some).map_err(|cause| {
                        invalid(format!("streams another message than expected: {cause}"))
                    });
                }
                Some(EnvelopeFrame::End(bytes)) => {
                    let end = status::end(&bytes).map_err(|_| {
                        invalid("ends a stream with an invalid end-of-stream frame".to_owned())
                    })?;
                    return match end {
                        Some(error) => Err(RpcFailure::from_status(
                            &host,
                            error.status.unwrap_or(RpcStatus::Unknown),
                            &error,
                        )),
                        None => Ok(None),
                    };
                }
                None => match self.answer.chunk_some_day().await? {
                    Some(bytes) => self.frames.feed(&bytes),
                    None if self.frames.is_torn() => {
                        return Err(RpcFailure::cut(format!(
                            "{host} cut a stream in the middle of a message"
                        )));
                    }
                    None => {
                        return Err(RpcFailure::cut(format!(
                            "{host} cut a stream before its end"
                        )));
                    }
                },
            }
        }
    }
}
