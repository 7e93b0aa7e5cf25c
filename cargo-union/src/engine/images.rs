//! Images of the engine: inspect, load, save, tag.

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
use super::lines::{EngineMessage, for_each_line};
use super::{Engine, archive, innermost};
use crate::image::layer::{Descriptor, LocalBlob};
use crate::image::manifest::KEY;
use crate::image::{BaseSource, PlatformImage};
use crate::sys::digest::{DiffId, Digest};
use crate::sys::error::Result;

/// An image in the engine.
#[derive(Clone, Debug)]
pub struct EngineImage {
    /// The image id: the digest of its config or of its manifest, depending on the engine's image store.
    pub digest: Digest,
    /// The full content key, when this tool has built the image.
    pub key: Option<String>,
    /// Diff ids of its layers, lowest first.
    pub layers: Vec<DiffId>,
    /// The user in its config.
    pub user: Option<String>,
    /// The environment variables in its config, `NAME=value`.
    pub env: Vec<String>,
}

/// The blobs of an image that was loaded.
#[derive(Clone, Debug)]
pub struct LoadReport {
    /// The blobs that were sent.
    pub sent: Vec<Descriptor>,
    /// The layers that the engine already had.
    pub had: Vec<Descriptor>,
}

impl Engine {
    /// Inspects the image with a name or id; `None` when there is none.
    ///
    /// # Errors
    /// `EngineFailed`.
    pub async fn inspect(&self, name: &str) -> Result<Option<EngineImage>> {
        let failed = || self.failed(&format!("inspect `{name}`"));
        let image = match self.docker.inspect_image(name).await {
            Ok(image) => image,
            Err(EngineError::DockerResponseServerError {
                status_code: 404, ..
            }) => return Ok(None),
            Err(cause) => return Err(failed().because(cause)),
        };
        let id = image.id.unwrap_or_default();
        // podman returns the id without `sha256:`.
        let id = if id.contains(':') {
            id
        } else {
            format!("sha256:{id}")
        };
        let layers = image
            .root_fs
            .and_then(|files| files.layers)
            .unwrap_or_default();
        let config = image.config.unwrap_or_default();
        Ok(Some(EngineImage {
            digest: id.parse().map_err(|cause| failed().because(cause))?,
            key: config.labels.and_then(|mut labels| labels.remove(KEY)),
            user: config.user.filter(|user| !user.is_empty()),
            env: config.env.unwrap_or_default(),
            layers: layers
                .iter()
                .map(|layer| layer.parse())
                .collect::<Result<_, _>>()
                .map_err(|cause| failed().because(cause))?,
        }))
    }

    /// Loads an image for one platform under a name, without the layers that the engine already has.
    ///
    /// # Errors
    /// `EngineFailed`, and the errors of the source.
    pub async fn load(
        &self,
        image: &PlatformImage,
        name: &str,
        source: &dyn BaseSource,
    ) -> Result<LoadReport> {
        let had = self.count_known_layers(image).await;
        match self.load_without(image, name, source, had).await {
            // The image stores of some newer engines require every layer.
            Err(error) if had > 0 && error.code() == Code::EngineFailed => {
                self.load_without(image, name, source, 0).await
            }
            loaded => loaded,
        }
    }

    /// The archive of an image in the format of `docker save`.
    pub fn save(&self, name: &str) -> impl Stream<Item = io::Result<Bytes>> + Send + use<> {
        self.docker.export_image(name).map_err(io::Error::other)
    }

    /// Adds a name to an image.
    ///
    /// # Errors
    /// `EngineFailed`.
    pub async fn tag(&self, image: &str, repository: &str, tag: &str) -> Result<()> {
        let options = TagImageOptionsBuilder::new()
            .repo(repository)
            .tag(tag)
            .build();
        let tagged = self.docker.tag_image(image, Some(options)).await;
        tagged.map_err(|cause| {
            self.failed(&format!("tag `{image}` as `{repository}:{tag}`"))
                .because(cause)
        })
    }

    /// How many of an image's lowest layers the engine has, in that order, since an engine identifies a layer together
    /// with those below it. Errors count as 0, which only costs time.
    async fn count_known_layers(&self, image: &PlatformImage) -> usize {
        let diff_ids: Vec<String> = image
            .layers
            .iter()
            .map(|layer| layer.diff_id.to_string())
            .collect();
        let images = self
            .docker
            .list_images(Some(ListImagesOptionsBuilder::new().build()))
            .await
            .unwrap_or_default();
        let mut most = 0;
        for image in images {
            let Ok(image) = self.docker.inspect_image(&image.id).await else {
                continue;
            };
            let layers = image
                .root_fs
                .and_then(|files| files.layers)
                .unwrap_or_default();
            most = most.max(
                diff_ids
                    .iter()
                    .zip(&layers)
                    .take_while(|(diff_id, layer)| diff_id == layer)
                    .count(),
            );
        }
        most
    }

    async fn load_without(
        &self,
        image: &PlatformImage,
        name: &str,
        source: &dyn BaseSource,
        had: usize,
    ) -> Result<LoadReport> {
        let mut blobs = vec![source.local(&image.config).await?];
        for layer in &image.layers[had..] {
            blobs.push(source.local(&layer.blob).await?);
        }
        let descriptors =
            |blobs: &[LocalBlob]| blobs.iter().map(|blob| blob.descriptor.clone()).collect();
        let report = LoadReport {
            sent: descriptors(&blobs),
            had: image.layers[..had]
                .iter()
                .map(|layer| layer.blob.descriptor.clone())
                .collect(),
        };
        let platform_image = image.clone();
        let image_name = name.to_owned();
        let (archive, writer) =
            pipe_to_stream(move |pipe| archive::write(pipe, &platform_image, &image_name, &blobs));
        let imported = self.import(archive, name).await;
        let written = writer.await.expect("writing an archive does not panic");
        // A broken pipe means that the engine has closed the connection; the engine's error is returned instead.
        match written {
            Err(cause) if cause.kind() != io::ErrorKind::BrokenPipe => {
                Err(self.failed(&format!("load `{name}`")).because(cause))
            }
            _ => imported.map(|()| report),
        }
    }

    async fn import<S>(&self, archive: S, name: &str) -> Result<()>
    where
        S: Stream<Item = io::Result<Bytes>> + Send + 'static,
    {
        let failed = || self.failed(&format!("load `{name}`"));
        // Not through bollard, which fails to parse a message whose line end arrives in a separate chunk.
        let call = hyper::Request::post(format!("{HOST}/images/load"))
            .header(header::HOST, "engine")
            .header(header::CONTENT_TYPE, "application/x-tar")
            .body(StreamBody::new(archive.map_ok(Frame::data).map_err(Into::into)).boxed_unsync())
            .map_err(|cause| failed().because(cause))?;
        let response = self
            .http
            .send(call)
            .await
            .map_err(|cause| failed().because(innermost(&cause)))?;
        let status = response.status();
        // Errors are messages in the body, after a status of 200: read it to its end.
        let mut error = None;
        let read = for_each_line(response.into_body(), |line| {
            error = error
                .take()
                .or_else(|| EngineMessage::parse(line)?.error_text())
        })
        .await;
        match error {
            Some(error) => Err(failed().because(error)),
            None if !status.is_success() => {
                Err(failed().because(format!("unexpected status {status}")))
            }
            None => read.map_err(|cause| failed().because(cause)),
        }
    }
}

/// The size of the chunks of a request body.
const CHUNK: usize = 1 << 18;

/// Runs a writer on a separate thread and returns what it writes as a stream of chunks.
pub(super) fn pipe_to_stream<T: Send + 'static>(
    write: impl FnOnce(&mut BodyWriter) -> io::Result<T> + Send + 'static,
) -> (
    impl Stream<Item = io::Result<Bytes>> + Send + 'static,
    tokio::task::JoinHandle<io::Result<T>>,
) {
    let (sender, receiver) = mpsc::channel::<io::Result<Bytes>>(4);
    let writer = tokio::task::spawn_blocking(move || {
        let mut pipe = BodyWriter {
            sender,
            buffer: Vec::with_capacity(CHUNK),
        };
        let written = write(&mut pipe).and_then(|value| pipe.flush().map(|()| value));
        if let Err(cause) = &written {
            // Makes the request fail instead of ending with an incomplete body.
            let _ = pipe
                .sender
                .blocking_send(Err(io::Error::new(cause.kind(), cause.to_string())));
        }
        written
    });
    let stream = futures_util::stream::unfold(receiver, |mut receiver| async {
        receiver.recv().await.map(|chunk| (chunk, receiver))
    });
    (stream, writer)
}

/// Writes a request body from blocking code.
pub(super) struct BodyWriter {
    sender: mpsc::Sender<io::Result<Bytes>>,
    buffer: Vec<u8>,
}

impl Write for BodyWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(CHUNK - self.buffer.len());
        self.buffer.extend_from_slice(&bytes[..count]);
        if self.buffer.len() == CHUNK {
            self.flush()?;
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        let chunk = std::mem::replace(&mut self.buffer, Vec::with_capacity(CHUNK));
        self.sender
            .blocking_send(Ok(chunk.into()))
            .map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

#[cfg(test)]
mod tests;
