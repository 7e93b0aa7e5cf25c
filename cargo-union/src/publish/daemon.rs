//! Container engines: an image goes straight into Docker or podman, through the engine's own API.
//!
//! Only the engine's platform is sent, and of its layers only those that the engine does not have,
//! where the engine allows leaving them out. An engine knows an image by the digest of its config
//! (or manifest, by its kind of store): that is the digest reported here.

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

use bollard::errors::Error as EngineError;
use bollard::query_parameters::{ImportImageOptionsBuilder, ListImagesOptionsBuilder};
use bollard::{API_DEFAULT_VERSION, Docker};
use bytes::Bytes;
use futures_util::StreamExt as _;
use tokio::sync::mpsc;
use union_build::diag::Code;

use super::archive::{Names, write_docker};
use super::local::{Local, Place, local, report};
use super::tar::names;
use super::{Existence, Published, Publisher, Reporter, Target, Way};
use crate::base::cache::Cache;
use crate::base::error::{Error, Result};
use crate::base::fs::{self, Draft};
use crate::image::digest::Digest;
use crate::image::layer::media_type;
use crate::image::manifest::KEY;
use crate::image::platform::Platform;
use crate::image::{BaseSource, Image, PlatformImage};

/// Publishes into a container engine.
pub struct Engine {
    addresses: Vec<String>,
    cache: Cache,
    source: Arc<dyn BaseSource>,
    reporter: Arc<dyn Reporter>,
}

impl Engine {
    /// The engine at the first of these addresses that answers: `unix:///path` or `tcp://host:port`.
    /// [`addresses`] has the usual ones.
    pub fn new(addresses: Vec<String>, cache: Cache, source: Arc<dyn BaseSource>, reporter: Arc<dyn Reporter>) -> Self {
        Self { addresses, cache, source, reporter }
    }

    /// Connects, and asks which platform the engine runs.
    async fn connect(&self) -> Result<Connection> {
        let mut tried = Vec::new();
        for address in &self.addresses {
            match connect(address).await {
                Ok(connection) => return Ok(connection),
                Err(cause) => tried.push(format!("{address}: {}", innermost(&cause))),
            }
        }
        Err(Error::new(Code::EngineUnreachable, "could not reach a container engine").because(format!("tried {}", tried.join("; "))))
    }
}

/// Where an engine may be: `DOCKER_HOST` alone when it is set, else Docker's and podman's sockets.
pub fn addresses(docker_host: Option<String>, runtime_folder: Option<PathBuf>, home: Option<PathBuf>) -> Vec<String> {
    if let Some(host) = docker_host.filter(|host| !host.is_empty()) {
        return vec![host];
    }
    let socket = |path: PathBuf| format!("unix://{}", path.display());
    let mut addresses = vec!["unix:///var/run/docker.sock".to_owned()];
    addresses.extend(runtime_folder.iter().map(|folder| socket(folder.join("docker.sock"))));
    addresses.extend(home.map(|home| socket(home.join(".docker/run/docker.sock"))));
    addresses.extend(runtime_folder.iter().map(|folder| socket(folder.join("podman/podman.sock"))));
    addresses.push("unix:///run/podman/podman.sock".to_owned());
    addresses
}

#[async_trait::async_trait]
impl Publisher for Engine {
    async fn existence(&self, target: &Target) -> Result<Existence> {
        let connection = self.connect().await?;
        connection.fits(&target.platforms)?;
        match connection.inspect(&names(target).full).await? {
            Some(held) if held.key == Some(target.key.to_string()) => Ok(Existence::Found(held.digest)),
            Some(_) => {
                Err(Error::new(Code::TagTaken, format!("`{}` is taken in the engine at {}", names(target).full, connection.address))
                    .because(format!("it holds another image than the one with the key {}", target.key)))
            }
            None => Ok(Existence::Missing),
        }
    }

    async fn prepare(&self, target: &Target) -> Result<()> {
        self.connect().await?.fits(&target.platforms)
    }

    async fn publish(&self, target: &Target, image: &Image, _: bool) -> Result<Published> {
        let connection = self.connect().await?;
        let platforms: Vec<_> = image.platforms.iter().map(|image| image.platform.clone()).collect();
        connection.fits(&platforms)?;
        let platform = image.platforms.iter().find(|image| image.platform == connection.platform).expect("the platform fits");
        let names = names(target);
        let had = connection.layers_it_has(platform).await;
        let sent = match self.load(&connection, platform, &names, had).await {
            // Some stores of newer engines want every layer.
            Err(_) if had > 0 => self.load(&connection, platform, &names, 0).await?,
            loaded => loaded?,
        };
        for layer in &platform.layers[..had] {
            report(&*self.reporter, &layer.blob.descriptor, &connection.address, Way::Present);
        }
        let held = connection.inspect(&names.full).await?;
        let held = held.ok_or_else(|| connection.failed("load", &names.full).because("it took the image and does not have it"))?;
        Ok(Published { digest: held.digest, location: format!("docker:{}", names.full), sent, adopted: false })
    }
}

impl Engine {
    /// Sends an image without its lowest layers, and says how many bytes that were.
    async fn load(&self, connection: &Connection, platform: &PlatformImage, names: &Names, had: usize) -> Result<u64> {
        let mut blobs = vec![local(&*self.source, &platform.config).await?];
        // Each vanishes when it is dropped: they stay until all is sent.
        let mut drafts = Vec::new();
        for layer in &platform.layers[had..] {
            let mut blob = local(&*self.source, &layer.blob).await?;
            if blob.descriptor.media_type == media_type::OCI_LAYER_ZSTD {
                drafts.extend(self.plain(&mut blob).await?);
            }
            blobs.push(blob);
        }
        let (sender, receiver) = mpsc::channel::<io::Result<Bytes>>(4);
        let (platform_, names_, sources) = (platform.clone(), names.clone(), blobs.clone());
        let writer = tokio::task::spawn_blocking(move || {
            let mut pipe = Pipe { sender: &sender, buffer: Vec::with_capacity(PIECE) };
            let written = write_docker(&mut pipe, &platform_, &names_, &sources).and_then(|()| pipe.flush());
            if let Err(cause) = &written {
                // The request ends with an error instead of an archive that only looks complete.
                let _ = sender.blocking_send(Err(io::Error::new(cause.kind(), cause.to_string())));
            }
            written
        });
        let body = futures_util::stream::unfold(receiver, |mut receiver| async { receiver.recv().await.map(|piece| (piece, receiver)) });
        let loaded = connection.load(body, &names.full).await;
        let written = writer.await.expect("writing an archive does not panic");
        // A broken pipe is the engine's doing; what it said counts then.
        match written {
            Err(cause) if cause.kind() != io::ErrorKind::BrokenPipe => Err(connection.failed("load", &names.full).because(cause)),
            _ => loaded,
        }?;
        blobs.iter().for_each(|blob| report(&*self.reporter, &blob.descriptor, &connection.address, Way::Upload));
        Ok(blobs.iter().map(|blob| blob.descriptor.size).sum())
    }

    /// A zstd layer as plain tar: engines up to 20.10 cannot load the former. It keeps its name in the
    /// archive, for the engine looks at the bytes.
    async fn plain(&self, blob: &mut Local) -> Result<Option<Draft>> {
        let Place::File(path) = blob.bytes.clone() else { return Ok(None) };
        let mut draft = self.cache.draft()?;
        let unpack = move || -> Result<_> {
            let file = std::fs::File::open(&path).map_err(|cause| fs::unreadable(&path, cause))?;
            zstd::stream::copy_decode(file, &mut draft).map_err(|cause| fs::unwritable(draft.path(), cause))?;
            let size = draft.as_file().metadata().map_err(|cause| fs::unwritable(draft.path(), cause))?.len();
            Ok((draft, size))
        };
        let (draft, size) = tokio::task::spawn_blocking(unpack).await.expect("decompressing does not panic")?;
        blob.descriptor.size = size;
        blob.bytes = Place::File(draft.path().to_owned());
        Ok(Some(draft))
    }
}

/// Pieces of this size go to the engine.
const PIECE: usize = 1 << 18;

struct Connection {
    docker: Docker,
    address: String,
    platform: Platform,
}

/// What an engine has under a name.
struct Held {
    key: Option<String>,
    digest: Digest,
}

async fn connect(address: &str) -> std::result::Result<Connection, EngineError> {
    // An engine may take long to unpack a large layer before it answers.
    const SECONDS: u64 = 3600;
    let docker = match address.split_once("://") {
        Some(("unix", path)) => Docker::connect_with_unix(path, SECONDS, API_DEFAULT_VERSION)?,
        Some(("tcp" | "http", _)) => Docker::connect_with_http(address, SECONDS, API_DEFAULT_VERSION)?,
        _ => return Err(EngineError::UnsupportedURISchemeError { uri: address.to_owned() }),
    };
    let docker = docker.negotiate_version().await?;
    let version = docker.version().await?;
    let platform = Platform::new(version.os.as_deref().unwrap_or("linux"), version.arch.as_deref().unwrap_or_default(), None);
    Ok(Connection { docker, address: address.to_owned(), platform })
}

impl Connection {
    fn fits(&self, platforms: &[Platform]) -> Result<()> {
        if platforms.contains(&self.platform) {
            return Ok(());
        }
        let declared: Vec<_> = platforms.iter().map(|platform| format!("`{platform}`")).collect();
        Err(Error::new(Code::EngineWithoutPlatform, format!("the engine at {} runs `{}`", self.address, self.platform))
            .because(format!("the image is for {}", declared.join(", "))))
    }

    async fn inspect(&self, name: &str) -> Result<Option<Held>> {
        let image = match self.docker.inspect_image(name).await {
            Ok(image) => image,
            Err(EngineError::DockerResponseServerError { status_code: 404, .. }) => return Ok(None),
            Err(cause) => return Err(self.failed("inspect", name).because(cause)),
        };
        let id = image.id.unwrap_or_default();
        // Podman says the digits alone.
        let id = if id.contains(':') { id } else { format!("sha256:{id}") };
        let digest = id.parse().map_err(|cause| self.failed("inspect", name).because(cause))?;
        let key = image.config.and_then(|config| config.labels).and_then(|mut labels| labels.remove(KEY));
        Ok(Some(Held { key, digest }))
    }

    /// How many of an image's lowest layers the engine has, in that order: an engine knows a layer
    /// together with those below it. Not knowing costs only time.
    async fn layers_it_has(&self, platform: &PlatformImage) -> usize {
        let wanted: Vec<String> = platform.layers.iter().map(|layer| layer.diff_id.to_string()).collect();
        let images = self.docker.list_images(Some(ListImagesOptionsBuilder::new().build())).await.unwrap_or_default();
        let mut most = 0;
        for image in images {
            let Ok(image) = self.docker.inspect_image(&image.id).await else { continue };
            let layers = image.root_fs.and_then(|files| files.layers).unwrap_or_default();
            most = most.max(wanted.iter().zip(&layers).take_while(|(wanted, there)| wanted == there).count());
        }
        most
    }

    async fn load<S>(&self, archive: S, name: &str) -> Result<()>
    where
        S: futures_util::Stream<Item = io::Result<Bytes>> + Send + 'static,
    {
        let options = ImportImageOptionsBuilder::new().build();
        let mut answers = Box::pin(self.docker.import_image_stream(options, archive, None));
        // What goes wrong is said within the answer, whose status was sent long before.
        while let Some(answer) = answers.next().await {
            let answer = answer.map_err(|cause| self.failed("load", name).because(cause))?;
            if let Some(message) = answer.error_detail.and_then(|detail| detail.message) {
                return Err(self.failed("load", name).because(message));
            }
        }
        Ok(())
    }

    fn failed(&self, what: &str, name: &str) -> Error {
        Error::new(Code::EngineFailed, format!("could not {what} `{name}` in the engine at {}", self.address))
    }
}

/// The cause at the end of the chain: what is above it only says that a request failed.
fn innermost(error: &EngineError) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

/// The blocking end of a request's body.
struct Pipe<'a> {
    sender: &'a mpsc::Sender<io::Result<Bytes>>,
    buffer: Vec<u8>,
}

impl Write for Pipe<'_> {
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
mod tests {
    use super::*;

    #[test]
    fn docker_host_is_asked_alone() {
        assert_eq!(addresses(Some("tcp://127.0.0.1:2375".to_owned()), None, Some("/home/me".into())), ["tcp://127.0.0.1:2375"]);
    }

    #[test]
    fn without_it_docker_comes_before_podman() {
        let found = addresses(None, Some("/run/user/7".into()), Some("/home/me".into()));
        assert_eq!(
            found,
            [
                "unix:///var/run/docker.sock",
                "unix:///run/user/7/docker.sock",
                "unix:///home/me/.docker/run/docker.sock",
                "unix:///run/user/7/podman/podman.sock",
                "unix:///run/podman/podman.sock",
            ]
        );
    }
}
