//! A run in the task's image: built and brought to the engine as `build --output docker:` does.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Result;
use tokio_util::io::{StreamReader, SyncIoBridge};
use union_build::diag::Code;

use super::image::ContainerStart;
use super::output_tail::{OutputTee, exit_code};
use super::{LocalRun, ProgramOutput, RunDirs, secrets};
use crate::command::reporter;
use crate::copilot::{InputFile, InputLiteral, OutputDir, filled, lay_out, pack};
use crate::deploy::program;
use crate::engine::{self, Container, EngineLocator};
use crate::pipeline::build::build_images;
use crate::pipeline::outcome::PackageOutcome;
use crate::pipeline::state::BuildRecord;
use crate::sys::error::Error;
use crate::sys::secret::Secret;

type LocalInputs = BTreeMap<String, InputLiteral>;

/// Runs the program in a container, which is gone afterwards.
///
/// # Errors
/// What building ends with, `EngineUnreachable`, `EngineFailed`; `ProgramFailed`.
pub(super) async fn run(ready: &LocalRun<'_>, inputs: &LocalInputs, kept: &RunDirs) -> Result<ProgramOutput> {
    let engines = engines(ready).await?;
    let built = build_images(&ready.run.work, ready.session, &reporter(ready.ui)).await?;
    let image = record(&built);
    let entries = entries(ready, inputs)?;
    let words = filled(&ready.task.command_line(&program(ready.task)), inputs);
    let container = engines.engine().await?.container(&job(ready, image, words)).await?;
    container.upload("/", move |archive| pack(&entries, archive)).await?;
    to_its_end(ready, image, &container).await?;
    let folder = kept.draft("outputs");
    crate::sys::fs::create_folder(&folder)?;
    let written = match ready.task.outputs.is_empty() {
        true => OutputDir::found(&folder)?,
        false => written(&container, &ready.task.data.output_path, folder).await?,
    };
    container.remove().await?;
    Ok(ProgramOutput { image: Some(image.location.clone()), written })
}

/// An engine that answers.
///
/// # Errors
/// `EngineUnreachable`.
pub(super) async fn engines(ready: &LocalRun<'_>) -> Result<EngineLocator> {
    let engines = EngineLocator::of(&ready.run.work.scope.cargo.environment);
    engines.engine().await.map_err(|error| match error.code() {
        Code::EngineUnreachable => error.help("Start Docker or podman, or run the binary without its image: `--host`."),
        _ => error,
    })?;
    Ok(engines)
}

/// The image of the only task that was chosen.
pub(super) fn record(built: &[PackageOutcome]) -> &BuildRecord {
    &built.iter().flat_map(|package| &package.images).next().expect("a task has an image").record
}

/// Starts the program and hears what it says.
///
/// # Errors
/// `EngineFailed`; `ProgramFailed`.
pub(super) async fn to_its_end(ready: &LocalRun<'_>, image: &BuildRecord, container: &Container) -> Result<(), Error> {
    ready.ui.status("Running", format!("{} in {}", ready.task.key, image.location));
    let listening = OutputTee::new(ready.ui);
    let code = container.run(|stream, bytes| listening.hear(stream, bytes)).await?;
    if code == 0 { Ok(()) } else { Err(listening.failed(&ready.task.key, &exit_code(code))) }
}

/// The container of a task: its image, its words, its environment.
pub(super) fn job(ready: &LocalRun<'_>, image: &BuildRecord, words: Vec<String>) -> engine::ContainerOptions {
    let LocalRun { task, declared, .. } = ready;
    let entrypoint = ContainerStart::of(&declared.spec, &task.image).entrypoint;
    let mut env: BTreeMap<_, _> = task.env.iter().map(|(name, value)| (name.clone(), Secret::new(value.value.clone()))).collect();
    env.extend(secrets::variables(&ready.secrets).map(|(name, value)| (name.to_owned(), value.clone())));
    engine::ContainerOptions {
        name: format!("union-{}", task.key),
        image: image.digest.map_or_else(|| image.location.trim_start_matches("docker:").to_owned(), |digest| digest.to_string()),
        // Said here as well, as it is when the task is registered: the image's own arguments are then left out.
        entrypoint,
        command: (!words.is_empty()).then_some(words),
        env,
        ..engine::ContainerOptions::default()
    }
}

/// What is put into the container before it starts.
fn entries(ready: &LocalRun<'_>, inputs: &LocalInputs) -> Result<Vec<InputFile>> {
    let data = &ready.task.data;
    let mut entries = Vec::new();
    if !inputs.is_empty() {
        entries.extend(lay_out(inputs, data, &data.input_path)?);
    }
    if !ready.task.outputs.is_empty() {
        entries.push(InputFile::shared_folder(&data.output_path));
    }
    entries.extend(secrets::files(&ready.secrets));
    Ok(entries)
}

/// Takes a folder out of the container, into an empty one of this machine.
///
/// # Errors
/// `EngineFailed`, `FileUnwritable`, `DiskFull`.
pub(super) async fn written(container: &Container, from: &str, to: PathBuf) -> Result<OutputDir> {
    let archive = SyncIoBridge::new(StreamReader::new(Box::pin(container.download(from))));
    let unpacked = tokio::task::spawn_blocking(move || OutputDir::unpack(archive, &to)).await;
    Ok(unpacked.expect("unpacking does not panic")?)
}
