//! A run in the task's image: built and brought to the engine as `build --output docker:` does.

use tokio_util::io::{StreamReader, SyncIoBridge};

use anyhow::Result;
use union_build::diag::Code;
use union_build::spec::Task;

use super::ended::{Listening, exit_code};
use super::image::Started;
use super::{Kept, Ran, Ready, secrets};
use crate::base::secret::Secret;
use crate::build::native::BINARIES;
use crate::command::build;
use crate::copilot::{Entry, Written, filled, lay_out, pack};
use crate::engine::{self, Container, Engines};

/// Runs the program in a container, which is gone afterwards.
///
/// # Errors
/// What building ends with, `EngineUnreachable`, `EngineFailed`; `ProgramFailed`.
pub(super) async fn run(ready: &Ready<'_>, kept: &Kept) -> Result<Ran> {
    let work = &ready.run.work;
    let engines = Engines::of(&work.scope.cargo.environment);
    let engine = engines.engine().await.map_err(|error| match error.code() {
        Code::EngineUnreachable => error.help("Start Docker or podman, or run the binary without its image: `--host`."),
        _ => error,
    })?;
    let built = build::make(work, ready.session, ready.ui).await?;
    let image = &built.iter().flat_map(|package| &package.images).next().expect("a task has an image").record;
    let digest = image.digest.expect("an image in an engine was made here");
    let entries = entries(ready)?;
    let container = engine.container(&job(ready, digest.to_string())).await?;
    container.upload("/", move |archive| pack(&entries, archive)).await?;
    ready.ui.status("Running", format!("{} in {}", ready.task.key, image.location));
    let listening = Listening::new(ready.ui);
    let code = container.run(|stream, bytes| listening.hear(stream, bytes)).await?;
    if code != 0 {
        return Err(listening.failed(&ready.task.key, &exit_code(code)).into());
    }
    let written = written(ready.task, kept, &container).await?;
    container.remove().await?;
    Ok(Ran { image: Some(image.location.clone()), written })
}

fn job(ready: &Ready<'_>, image: String) -> engine::Run {
    let Ready { task, declared, .. } = ready;
    let program = task.bin.as_ref().map(|bin| format!("{BINARIES}/{}", bin.value)).unwrap_or_default();
    let words = filled(&task.command_line(&program), &ready.inputs);
    let entrypoint = Started::of(&declared.spec, &task.image).entrypoint;
    let mut env: std::collections::BTreeMap<_, _> =
        task.env.iter().map(|(name, value)| (name.clone(), Secret::new(value.value.clone()))).collect();
    env.extend(secrets::variables(&ready.secrets).map(|(name, value)| (name.to_owned(), value.clone())));
    engine::Run {
        name: format!("union-{}", task.key),
        image,
        // Said here as well, as it is when the task is registered: the image's own arguments are then left out.
        entrypoint,
        command: (!words.is_empty()).then_some(words),
        env,
        ..engine::Run::default()
    }
}

/// What is put into the container before it starts.
fn entries(ready: &Ready<'_>) -> Result<Vec<Entry>> {
    let data = &ready.task.data;
    let mut entries = Vec::new();
    if !ready.inputs.is_empty() {
        entries.extend(lay_out(&ready.inputs, data, &data.input_path)?);
    }
    if !ready.task.outputs.is_empty() {
        entries.push(Entry::shared_folder(&data.output_path));
    }
    entries.extend(secrets::files(&ready.secrets));
    Ok(entries)
}

/// Takes the output folder out of the container.
async fn written(task: &Task, kept: &Kept, container: &Container) -> Result<Written> {
    let folder = kept.draft("outputs");
    crate::base::fs::create_folder(&folder)?;
    if task.outputs.is_empty() {
        return Ok(Written::found(&folder)?);
    }
    let archive = SyncIoBridge::new(StreamReader::new(Box::pin(container.download(&task.data.output_path))));
    let unpacked = tokio::task::spawn_blocking(move || Written::unpack(archive, &folder)).await;
    Ok(unpacked.expect("unpacking does not panic")?)
}
