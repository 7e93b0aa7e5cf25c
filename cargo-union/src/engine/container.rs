//! Containers: create, upload files, run, download files, remove.
//!
//! Files are transferred as archives, so the engine may be on another machine. A container does not outlive its value:
//! dropping a [`Container`] stops and removes it, also when the future that holds it is dropped on Ctrl-C.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use bollard::Docker;
use bollard::container::{AttachContainerResults, LogOutput};
use bollard::errors::Error as EngineError;
use bollard::models::{ContainerCreateBody, HostConfig, Mount, MountType};
use bollard::query_parameters::{
    AttachContainerOptionsBuilder, CreateContainerOptionsBuilder,
    DownloadFromContainerOptionsBuilder, RemoveContainerOptionsBuilder,
    UploadToContainerOptionsBuilder, WaitContainerOptionsBuilder,
};
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, TryStreamExt as _};

use super::buildkit::random_id;
use super::images::pipe_to_stream;
use super::{Engine, innermost};
use crate::sys::cleanup;
use crate::sys::error::{Error, Result};
use crate::sys::process;
use crate::sys::secret::Secret;

/// How long dropping a container waits for its removal: the engine may be remote, and an unreachable one must not block
/// for long.
const REMOVAL_TIMEOUT: Duration = Duration::from_secs(10);

/// The options of a container.
#[derive(Clone, Debug, Default)]
pub struct ContainerOptions {
    /// The prefix of its name, to recognize it in the engine's lists.
    pub name: String,
    /// Name or id of an image in the engine.
    pub image: String,
    /// Overrides the image's entrypoint.
    pub entrypoint: Option<Vec<String>>,
    /// Overrides the image's command, the arguments of the entrypoint.
    pub command: Option<Vec<String>>,
    /// Environment variables in addition to the image's. Any of them may be a secret.
    pub env: BTreeMap<String, Secret<String>>,
    /// Overrides the image's user: `user[:group]`.
    pub user: Option<String>,
    /// Overrides the image's working directory.
    pub workdir: Option<String>,
    /// `host`, `none`, or the name of a network; `None` for the engine's default.
    pub network: Option<String>,
    /// Bind mounts of directories of the engine's host.
    pub binds: Vec<BindMount>,
}

/// A bind mount of a directory of the engine's host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BindMount {
    /// The directory on the host, absolute.
    pub from: PathBuf,
    /// The path in the container.
    pub to: String,
    /// Whether the container may write into it.
    pub writable: bool,
}

/// A container, which is removed when this is dropped.
#[derive(Debug)]
pub struct Container {
    engine: Engine,
    name: String,
    /// Whether the container exists and has to be removed.
    exists: bool,
}

impl Engine {
    /// Creates a container without starting it.
    ///
    /// # Errors
    /// `EngineFailed`.
    pub async fn container(&self, run: &ContainerOptions) -> Result<Container> {
        // The name is chosen here, so that the container can be removed even if this future is dropped.
        let name = format!("{}-{}", run.name, &random_id()[..12]);
        let options = CreateContainerOptionsBuilder::new().name(&name).build();
        let mut container = Container {
            engine: self.clone(),
            name,
            exists: true,
        };
        let created = self
            .docker
            .create_container(Some(options), create_body(run))
            .await;
        container.exists = created.is_ok();
        created.map_err(|cause| {
            self.failed(&format!("create a container of `{}`", run.image))
                .because(engine_message(&cause))
        })?;
        Ok(container)
    }
}

impl Container {
    /// The container's name in the engine.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Unpacks an archive into an existing directory. `pack` writes the archive on a separate thread.
    ///
    /// # Errors
    /// `EngineFailed`, also when the archive could not be written.
    pub async fn upload(
        &self,
        directory: &str,
        pack: impl FnOnce(&mut dyn Write) -> io::Result<()> + Send + 'static,
    ) -> Result<()> {
        let failed = || self.failed(&format!("upload files into `{directory}` of"));
        let (archive, packing) = pipe_to_stream(move |pipe| pack(pipe));
        let options = UploadToContainerOptionsBuilder::new()
            .path(directory)
            .build();
        let uploaded = self
            .engine
            .docker
            .upload_to_container(&self.name, Some(options), bollard::body_try_stream(archive))
            .await;
        let packed = packing.await.expect("packing does not panic");
        match packed {
            // A broken pipe means that the engine has closed the connection; the engine's error is returned instead.
            Err(cause) if cause.kind() != io::ErrorKind::BrokenPipe => Err(failed().because(cause)),
            _ => uploaded.map_err(|cause| failed().because(engine_message(&cause))),
        }
    }

    /// Starts it, passes its output to `on_output` as it is written, and waits for its exit code.
    ///
    /// # Errors
    /// `EngineFailed`, also when its program cannot be started.
    pub async fn run(&self, on_output: impl Fn(process::OutputStream, &[u8])) -> Result<i64> {
        let docker = &self.engine.docker;
        // Attached before the start, so that no output is lost.
        let options = AttachContainerOptionsBuilder::new()
            .stream(true)
            .stdout(true)
            .stderr(true)
            .build();
        let attached = docker.attach_container(&self.name, Some(options)).await;
        let AttachContainerResults {
            mut output,
            input: _input,
        } = attached.map_err(|cause| {
            self.failed("read the output of")
                .because(engine_message(&cause))
        })?;
        docker
            .start_container(&self.name, None)
            .await
            .map_err(|cause| self.failed("start").because(engine_message(&cause)))?;
        while let Some(piece) = output.next().await {
            match piece.map_err(|cause| {
                self.failed("read the output of")
                    .because(engine_message(&cause))
            })? {
                LogOutput::StdErr { message } => on_output(process::OutputStream::Stderr, &message),
                LogOutput::StdOut { message }
                | LogOutput::StdIn { message }
                | LogOutput::Console { message } => {
                    on_output(process::OutputStream::Stdout, &message);
                }
            }
        }
        self.wait().await
    }

    /// The archive of a directory. Its entries start with the directory's name.
    pub fn download(
        &self,
        directory: &str,
    ) -> impl Stream<Item = io::Result<Bytes>> + Send + use<> {
        let options = DownloadFromContainerOptionsBuilder::new()
            .path(directory)
            .build();
        let archive = self
            .engine
            .docker
            .download_from_container(&self.name, Some(options));
        archive.map_err(|cause| io::Error::other(engine_message(&cause)))
    }

    /// Removes it, and reports a failure, unlike dropping it.
    ///
    /// # Errors
    /// `EngineFailed`.
    pub async fn remove(mut self) -> Result<()> {
        remove(&self.engine.docker, &self.name)
            .await
            .map_err(|cause| self.failed("remove").because(engine_message(&cause)))?;
        self.exists = false;
        Ok(())
    }

    /// Waits until the container has exited.
    async fn wait(&self) -> Result<i64> {
        let options = WaitContainerOptionsBuilder::new()
            .condition("not-running")
            .build();
        let mut waiting = Box::pin(self.engine.docker.wait_container(&self.name, Some(options)));
        match waiting.next().await {
            Some(Ok(response)) => Ok(response.status_code),
            // bollard returns every code but 0 as an error.
            Some(Err(EngineError::DockerContainerWaitError { code, .. })) => Ok(code),
            Some(Err(cause)) => Err(self.failed("wait for").because(engine_message(&cause))),
            None => Err(self
                .failed("wait for")
                .because("the engine closed the connection")),
        }
    }

    fn failed(&self, action: &str) -> Error {
        self.engine
            .failed(&format!("{action} container `{}`", self.name))
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        if !self.exists {
            return;
        }
        let docker = self.engine.docker.clone();
        let name = std::mem::take(&mut self.name);
        cleanup::block_on(REMOVAL_TIMEOUT, async move { remove(&docker, &name).await });
    }
}

/// Stops a container and removes it with its anonymous volumes.
async fn remove(docker: &Docker, name: &str) -> Result<(), EngineError> {
    let options = RemoveContainerOptionsBuilder::new()
        .force(true)
        .v(true)
        .build();
    match docker.remove_container(name, Some(options)).await {
        Err(EngineError::DockerResponseServerError {
            status_code: 404, ..
        }) => Ok(()),
        removed => removed,
    }
}

fn create_body(run: &ContainerOptions) -> ContainerCreateBody {
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
        env: Some(
            run.env
                .iter()
                .map(|(name, value)| format!("{name}={}", value.reveal()))
                .collect(),
        ),
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

/// The engine's message, without the text that bollard adds.
fn engine_message(error: &EngineError) -> String {
    match error {
        EngineError::DockerResponseServerError { message, .. } => message.trim_end().to_owned(),
        other => innermost(other),
    }
}
