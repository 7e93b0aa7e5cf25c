//! Containers: made, filled, run to their end, emptied and removed.
//!
//! Files go in and come out as archives, so an engine on another machine serves as well as one on
//! this. A container never outlives its value: dropping a [`Container`] removes it, with whatever runs
//! in it, also when the future that holds it is dropped because the user has had enough.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use bollard::Docker;
use bollard::container::{AttachContainerResults, LogOutput};
use bollard::errors::Error as EngineError;
use bollard::models::{ContainerCreateBody, HostConfig, Mount, MountType};
use bollard::query_parameters::{
    AttachContainerOptionsBuilder, CreateContainerOptionsBuilder, DownloadFromContainerOptionsBuilder, RemoveContainerOptionsBuilder,
    UploadToContainerOptionsBuilder, WaitContainerOptionsBuilder,
};
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, TryStreamExt as _};

use super::buildkit::random;
use super::images::piped;
use super::{Engine, innermost};
use crate::sys::error::{Error, Result};
use crate::sys::process;
use crate::sys::secret::Secret;

/// How long whoever drops a container waits for its removal: an engine may be far away, and one that
/// is gone must hold nobody up for long.
const PATIENCE: Duration = Duration::from_secs(10);

/// What runs in a container.
#[derive(Clone, Debug, Default)]
pub struct ContainerOptions {
    /// How its name begins, for whoever looks at what the engine does.
    pub name: String,
    /// The image, which the engine has: a name, or what the engine knows it by.
    pub image: String,
    /// What is started instead of the image's entrypoint.
    pub entrypoint: Option<Vec<String>>,
    /// What follows the entrypoint; `None` is what the image says.
    pub command: Option<Vec<String>>,
    /// Variables on top of the image's own. Any of them may be a secret.
    pub env: BTreeMap<String, Secret<String>>,
    /// `user[:group]` instead of the image's.
    pub user: Option<String>,
    /// The working folder instead of the image's.
    pub workdir: Option<String>,
    /// `host`, `none`, or a network's name; `None` is the engine's usual one.
    pub network: Option<String>,
    /// Folders of the engine's machine that it sees.
    pub binds: Vec<BindMount>,
}

/// A folder of the engine's machine that a container sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BindMount {
    /// Where it is on that machine, absolute.
    pub from: PathBuf,
    /// Where the container sees it.
    pub to: String,
    /// Whether the container may write into it.
    pub writable: bool,
}

/// A container. It is removed when it is dropped.
#[derive(Debug)]
pub struct Container {
    engine: Engine,
    name: String,
    /// Whether there is something to remove.
    is_there: bool,
}

impl Engine {
    /// Makes a container, in which nothing runs yet.
    ///
    /// # Errors
    /// `EngineFailed`.
    pub async fn container(&self, run: &ContainerOptions) -> Result<Container> {
        // Its name is chosen here, so that it can be removed whenever the answer is not waited for.
        let name = format!("{}-{}", run.name, &random()[..12]);
        let options = CreateContainerOptionsBuilder::new().name(&name).build();
        let mut container = Container { engine: self.clone(), name, is_there: true };
        let made = self.docker.create_container(Some(options), body(run)).await;
        container.is_there = made.is_ok();
        made.map_err(|cause| self.failed(&format!("make a container of `{}`", run.image)).because(words(&cause)))?;
        Ok(container)
    }
}

impl Container {
    /// Its name in the engine.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Unpacks an archive below a folder that exists. `pack` writes it, on a thread of its own.
    ///
    /// # Errors
    /// `EngineFailed`, also when the archive could not be written.
    pub async fn upload(&self, folder: &str, pack: impl FnOnce(&mut dyn Write) -> io::Result<()> + Send + 'static) -> Result<()> {
        let failed = || self.failed(&format!("put files into `{folder}` of"));
        let (archive, packing) = piped(move |pipe| pack(pipe));
        let options = UploadToContainerOptionsBuilder::new().path(folder).build();
        let taken = self.engine.docker.upload_to_container(&self.name, Some(options), bollard::body_try_stream(archive)).await;
        let packed = packing.await.expect("packing does not panic");
        match packed {
            // A broken pipe is the engine's doing; what it said counts then.
            Err(cause) if cause.kind() != io::ErrorKind::BrokenPipe => Err(failed().because(cause)),
            _ => taken.map_err(|cause| failed().because(words(&cause))),
        }
    }

    /// Starts it and waits for its end; what it writes is handed on as it comes. Says its exit code.
    ///
    /// # Errors
    /// `EngineFailed`, also when its program cannot be started.
    pub async fn run(&self, hears: impl Fn(process::OutputStream, &[u8])) -> Result<i64> {
        let docker = &self.engine.docker;
        // Attached before it starts, so that nothing of its output is missed.
        let options = AttachContainerOptionsBuilder::new().stream(true).stdout(true).stderr(true).build();
        let attached = docker.attach_container(&self.name, Some(options)).await;
        let AttachContainerResults { mut output, input: _input } =
            attached.map_err(|cause| self.failed("listen to").because(words(&cause)))?;
        docker.start_container(&self.name, None).await.map_err(|cause| self.failed("start").because(words(&cause)))?;
        while let Some(piece) = output.next().await {
            match piece.map_err(|cause| self.failed("listen to").because(words(&cause)))? {
                LogOutput::StdErr { message } => hears(process::OutputStream::Stderr, &message),
                LogOutput::StdOut { message } | LogOutput::StdIn { message } | LogOutput::Console { message } => {
                    hears(process::OutputStream::Stdout, &message);
                }
            }
        }
        self.ended().await
    }

    /// The archive of a folder: its entries begin with the folder's own name.
    pub fn download(&self, folder: &str) -> impl Stream<Item = io::Result<Bytes>> + Send + use<> {
        let options = DownloadFromContainerOptionsBuilder::new().path(folder).build();
        let archive = self.engine.docker.download_from_container(&self.name, Some(options));
        archive.map_err(|cause| io::Error::other(words(&cause)))
    }

    /// Removes it, and says when that fails.
    ///
    /// # Errors
    /// `EngineFailed`.
    pub async fn remove(mut self) -> Result<()> {
        remove(&self.engine.docker, &self.name).await.map_err(|cause| self.failed("remove").because(words(&cause)))?;
        self.is_there = false;
        Ok(())
    }

    /// Waits for the end of what was started.
    async fn ended(&self) -> Result<i64> {
        let options = WaitContainerOptionsBuilder::new().condition("not-running").build();
        let mut waiting = Box::pin(self.engine.docker.wait_container(&self.name, Some(options)));
        match waiting.next().await {
            Some(Ok(ended)) => Ok(ended.status_code),
            // To bollard, every code but 0 is an error.
            Some(Err(EngineError::DockerContainerWaitError { code, .. })) => Ok(code),
            Some(Err(cause)) => Err(self.failed("wait for").because(words(&cause))),
            None => Err(self.failed("wait for").because("the engine hung up")),
        }
    }

    fn failed(&self, what: &str) -> Error {
        self.engine.failed(&format!("{what} container `{}`", self.name))
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        if !self.is_there {
            return;
        }
        let (docker, name) = (self.engine.docker.clone(), std::mem::take(&mut self.name));
        // The runtime that we are in may be about to end: the removal brings its own, and is waited for.
        let removal = std::thread::Builder::new().spawn(move || {
            let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
            // Nobody is left to tell when it fails.
            let _ = runtime.block_on(async { tokio::time::timeout(PATIENCE, remove(&docker, &name)).await });
        });
        let _ = removal.map(std::thread::JoinHandle::join);
    }
}

/// Ends whatever runs in a container, and removes it with the volumes that were made for it.
async fn remove(docker: &Docker, name: &str) -> Result<(), EngineError> {
    let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
    match docker.remove_container(name, Some(options)).await {
        Err(EngineError::DockerResponseServerError { status_code: 404, .. }) => Ok(()),
        removed => removed,
    }
}

fn body(run: &ContainerOptions) -> ContainerCreateBody {
    let mount = |bind: &BindMount| Mount {
        typ: Some(MountType::BIND),
        source: Some(bind.from.display().to_string()),
        target: Some(bind.to.clone()),
        read_only: Some(!bind.writable),
        ..Mount::default()
    };
    ContainerCreateBody {
        image: Some(run.image.clone()),
        entrypoint: run.entrypoint.clone(),
        cmd: run.command.clone(),
        env: Some(run.env.iter().map(|(name, value)| format!("{name}={}", value.reveal())).collect()),
        user: run.user.clone(),
        working_dir: run.workdir.clone(),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        host_config: Some(HostConfig {
            network_mode: run.network.clone(),
            mounts: Some(run.binds.iter().map(mount).collect()),
            ..HostConfig::default()
        }),
        ..ContainerCreateBody::default()
    }
}

/// What the engine says itself, without the client's words around it.
fn words(error: &EngineError) -> String {
    match error {
        EngineError::DockerResponseServerError { message, .. } => message.trim_end().to_owned(),
        other => innermost(other),
    }
}
