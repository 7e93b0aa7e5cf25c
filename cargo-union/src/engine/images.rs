//! Images into the engine and out of it.

use std::io::{self, Write};

use bollard::errors::Error as EngineError;
use bollard::query_parameters::{ListImagesOptionsBuilder, TagImageOptionsBuilder};
use bytes::Bytes;
use futures_util::{Stream, TryStreamExt as _};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use hyper::header;
use tokio::sync::mpsc;
use union_build::diag::Code;

use super::http_client::HOST;
use super::lines::{EngineMessage, each_line};
use super::{Engine, archive, innermost};
use crate::image::layer::{Descriptor, LocalBlob};
use crate::image::manifest::KEY;
use crate::image::{BaseSource, PlatformImage};
use crate::sys::digest::{DiffId, Digest};
use crate::sys::error::Result;

/// What an engine has under a name.
#[derive(Clone, Debug)]
pub struct EngineImage {
    /// What it knows the image by: the digest of its config, or of its manifest, by its kind of store.
    pub digest: Digest,
    /// The full key, when the image is ours.
    pub key: Option<String>,
    /// Its layers, lowest first.
    pub layers: Vec<DiffId>,
    /// The user that its config names.
    pub user: Option<String>,
    /// The variables that its config sets, `NAME=value`.
    pub env: Vec<String>,
}

/// An image that was sent.
#[derive(Clone, Debug)]
pub struct LoadReport {
    /// What went there.
    pub sent: Vec<Descriptor>,
    /// The layers that were there already.
    pub had: Vec<Descriptor>,
}

impl Engine {
    /// What it has under a name or id; `None` when nothing is there.
    ///
    /// # Errors
    /// `EngineFailed`.
    pub async fn inspect(&self, name: &str) -> Result<Option<EngineImage>> {
        let failed = || self.failed(&format!("inspect `{name}`"));
        let image = match self.docker.inspect_image(name).await {
            Ok(image) => image,
            Err(EngineError::DockerResponseServerError { status_code: 404, .. }) => return Ok(None),
            Err(cause) => return Err(failed().because(cause)),
        };
        let id = image.id.unwrap_or_default();
        // Podman says the digits alone.
        let id = if id.contains(':') { id } else { format!("sha256:{id}") };
        let layers = image.root_fs.and_then(|files| files.layers).unwrap_or_default();
        let config = image.config.unwrap_or_default();
        Ok(Some(EngineImage {
            digest: id.parse().map_err(|cause| failed().because(cause))?,
            key: config.labels.and_then(|mut labels| labels.remove(KEY)),
            user: config.user.filter(|user| !user.is_empty()),
            env: config.env.unwrap_or_default(),
            layers: layers.iter().map(|layer| layer.parse()).collect::<Result<_, _>>().map_err(|cause| failed().because(cause))?,
        }))
    }

    /// Sends an image for one platform under a name, without the layers that the engine has.
    ///
    /// # Errors
    /// What the source fails with; `EngineFailed`.
    pub async fn load(&self, image: &PlatformImage, name: &str, source: &dyn BaseSource) -> Result<LoadReport> {
        let had = self.layers_it_has(image).await;
        match self.load_without(image, name, source, had).await {
            // Some stores of newer engines want every layer.
            Err(error) if had > 0 && error.code() == Code::EngineFailed => self.load_without(image, name, source, 0).await,
            loaded => loaded,
        }
    }

    /// The archive of an image, as `docker save` writes it.
    pub fn save(&self, name: &str) -> impl Stream<Item = io::Result<Bytes>> + Send + use<> {
        self.docker.export_image(name).map_err(io::Error::other)
    }

    /// Gives an image another name.
    ///
    /// # Errors
    /// `EngineFailed`.
    pub async fn tag(&self, image: &str, repository: &str, tag: &str) -> Result<()> {
        let options = TagImageOptionsBuilder::new().repo(repository).tag(tag).build();
        let tagged = self.docker.tag_image(image, Some(options)).await;
        tagged.map_err(|cause| self.failed(&format!("give `{image}` the name `{repository}:{tag}`")).because(cause))
    }

    /// How many of an image's lowest layers the engine has, in that order: an engine knows a layer
    /// together with those below it. Not knowing costs only time.
    async fn layers_it_has(&self, image: &PlatformImage) -> usize {
        let wanted: Vec<String> = image.layers.iter().map(|layer| layer.diff_id.to_string()).collect();
        let images = self.docker.list_images(Some(ListImagesOptionsBuilder::new().build())).await.unwrap_or_default();
        let mut most = 0;
        for image in images {
            let Ok(image) = self.docker.inspect_image(&image.id).await else { continue };
            let layers = image.root_fs.and_then(|files| files.layers).unwrap_or_default();
            most = most.max(wanted.iter().zip(&layers).take_while(|(wanted, there)| wanted == there).count());
        }
        most
    }

    async fn load_without(&self, image: &PlatformImage, name: &str, source: &dyn BaseSource, had: usize) -> Result<LoadReport> {
        let mut blobs = vec![source.local(&image.config).await?];
        for layer in &image.layers[had..] {
            blobs.push(source.local(&layer.blob).await?);
        }
        let descriptors = |blobs: &[LocalBlob]| blobs.iter().map(|blob| blob.descriptor.clone()).collect();
        let loaded =
            LoadReport { sent: descriptors(&blobs), had: image.layers[..had].iter().map(|layer| layer.blob.descriptor.clone()).collect() };
        let (image, name_) = (image.clone(), name.to_owned());
        let (archive, writer) = piped(move |pipe| archive::write(pipe, &image, &name_, &blobs));
        let taken = self.import(archive, name).await;
        let written = writer.await.expect("writing an archive does not panic");
        // A broken pipe is the engine's doing; what it said counts then.
        match written {
            Err(cause) if cause.kind() != io::ErrorKind::BrokenPipe => Err(self.failed(&format!("load `{name}`")).because(cause)),
            _ => taken.map(|()| loaded),
        }
    }

    async fn import<S>(&self, archive: S, name: &str) -> Result<()>
    where
        S: Stream<Item = io::Result<Bytes>> + Send + 'static,
    {
        let failed = || self.failed(&format!("load `{name}`"));
        // Not through bollard, which takes the end of a line that arrives by itself for the begin of another answer.
        let call = hyper::Request::post(format!("{HOST}/images/load"))
            .header(header::HOST, "engine")
            .header(header::CONTENT_TYPE, "application/x-tar")
            .body(StreamBody::new(archive.map_ok(Frame::data).map_err(Into::into)).boxed_unsync())
            .map_err(|cause| failed().because(cause))?;
        let answer = self.wire.send(call).await.map_err(|cause| failed().because(innermost(&cause)))?;
        let status = answer.status();
        // What goes wrong is said within the answer, whose status was sent long before: read it to its end.
        let mut wrong = None;
        let read = each_line(answer.into_body(), |line| wrong = wrong.take().or_else(|| EngineMessage::read(line)?.wrong())).await;
        match wrong {
            Some(wrong) => Err(failed().because(wrong)),
            None if !status.is_success() => Err(failed().because(format!("it answered {status}"))),
            None => read.map_err(|why| failed().because(why)),
        }
    }
}

/// Pieces of this size go to the engine.
const PIECE: usize = 1 << 18;

/// Runs something that writes, on a thread of its own, and hands out what it writes as it comes.
pub(super) fn piped<T: Send + 'static>(
    write: impl FnOnce(&mut BodyWriter) -> io::Result<T> + Send + 'static,
) -> (impl Stream<Item = io::Result<Bytes>> + Send + 'static, tokio::task::JoinHandle<io::Result<T>>) {
    let (sender, receiver) = mpsc::channel::<io::Result<Bytes>>(4);
    let writer = tokio::task::spawn_blocking(move || {
        let mut pipe = BodyWriter { sender, buffer: Vec::with_capacity(PIECE) };
        let written = write(&mut pipe).and_then(|value| pipe.flush().map(|()| value));
        if let Err(cause) = &written {
            // The request ends with an error instead of bytes that only look complete.
            let _ = pipe.sender.blocking_send(Err(io::Error::new(cause.kind(), cause.to_string())));
        }
        written
    });
    let stream = futures_util::stream::unfold(receiver, |mut receiver| async { receiver.recv().await.map(|piece| (piece, receiver)) });
    (stream, writer)
}

/// The blocking end of a request's body.
pub(super) struct BodyWriter {
    sender: mpsc::Sender<io::Result<Bytes>>,
    buffer: Vec<u8>,
}

impl Write for BodyWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(PIECE - self.buffer.len());
        self.buffer.extend_from_slice(&bytes[..taken]);
        if self.buffer.len() == PIECE {
            self.flush()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        let piece = std::mem::replace(&mut self.buffer, Vec::with_capacity(PIECE));
        self.sender.blocking_send(Ok(piece.into())).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::super::EngineLocator;
    use super::*;

    /// An engine that answers a load with these pieces, one at a time.
    async fn engine_that_says(pieces: &'static [&'static str]) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("tcp://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut read, mut piece) = (String::new(), [0; 4096]);
                    while !read.ends_with("\r\n\r\n") {
                        let count = stream.read(&mut piece).await.unwrap();
                        read.push_str(&String::from_utf8_lossy(&piece[..count]));
                    }
                    let version = [r#"{"Version":"29","ApiVersion":"1.52","Os":"linux","Arch":"amd64"}"#];
                    let is_load = read.contains("/images/load");
                    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
                    stream.write_all(head.as_bytes()).await.unwrap();
                    for said in if is_load { pieces } else { &version } {
                        stream.write_all(format!("{:x}\r\n{said}\r\n", said.len()).as_bytes()).await.unwrap();
                        stream.flush().await.unwrap();
                        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                    }
                    stream.write_all(b"0\r\n\r\n").await.unwrap();
                });
            }
        });
        address
    }

    async fn load(pieces: &'static [&'static str]) -> Result<()> {
        let engines = EngineLocator::at([engine_that_says(pieces).await]);
        let archive = futures_util::stream::iter([Ok(Bytes::from_static(b"archive"))]);
        engines.engine().await?.import(archive, "hello").await
    }

    #[tokio::test]
    async fn the_end_of_a_line_may_arrive_by_itself() {
        load(&[r#"{"stream":"Loaded image: hello"}"#, "\r\n"]).await.unwrap();
        load(&[r#"{"stream":"Loaded "#, r#"image: hello"}"#, "\r", "\n"]).await.unwrap();
    }

    #[tokio::test]
    async fn what_an_engine_says_within_its_answer_is_an_error() {
        let error = load(&[
            r#"{"status":"Loading"}"#,
            "\r\n",
            r#"{"errorDetail":{"message":"no space left"},"#,
            "\"error\":\"no space left\"}\r\n",
        ])
        .await;
        let error = error.unwrap_err();
        assert_eq!(error.code(), Code::EngineFailed);
        assert!(error.chain().join(": ").contains("no space left"), "{error:?}");
    }
}
