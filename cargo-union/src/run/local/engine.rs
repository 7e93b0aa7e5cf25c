//! Runs a program in a container of the task's image, which is built and loaded as with `build --output docker:`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use tokio_util::io::{StreamReader, SyncIoBridge};
use union_build::diag::Code;
use union_build::spec::{Spec, Task, launcher};

use super::image::ContainerStart;
use super::output::{OutputTee, describe_exit_code};
use super::task_inputs::TaskInputs;
use super::{LocalRun, ProgramOutput, RunDirs, secrets};
use crate::copilot::{InputFile, OutputDir, filled, pack};
use crate::deploy::program;
use crate::engine::{Container, ContainerOptions, EngineLocator};
use crate::pipeline;
use crate::pipeline::build::build_images;
use crate::pipeline::problems::Result;
use crate::pipeline::state::BuildRecord;
use crate::run::ProgramLocation;
use crate::sys::error::Error;
use crate::sys::fs;
use crate::sys::secret::Secret;

/// The exit code of the launcher for outputs that are missing or wrong.
const WRONG_OUTPUTS: i64 = 65;

/// Builds the image of a task and runs its program. The container is removed afterwards.
///
/// # Errors
/// Those of the build; `EngineUnreachable`, `EngineFailed`, `ProgramFailed`.
pub(super) async fn run_program(
    run: &LocalRun<'_>,
    inputs: &TaskInputs,
    directories: &RunDirs,
) -> Result<ProgramOutput> {
    let engines = locate_engine(run).await?;
    let image = build_image(run).await?;
    let files = container_files(run, inputs)?;
    let words = filled(&run.task.command_line(&program(run.task)), &inputs.literals);
    let container = engines
        .engine()
        .await?
        .container(&container_options(run, &image, words))
        .await?;
    container
        .upload("/", move |archive| pack(&files, archive))
        .await?;
    run_container(run, &image, &container).await?;
    let output_directory = directories.temporary("outputs");
    fs::create_directory(&output_directory)?;
    let directory = match run.task.outputs.is_empty() {
        true => OutputDir::existing(&output_directory)?,
        false => {
            download_directory(&container, &run.task.data.output_path, output_directory).await?
        }
    };
    container.remove().await?;
    Ok(ProgramOutput {
        image: Some(image.location),
        directory,
    })
}

/// Finds an engine and checks that it responds, before anything is built.
///
/// # Errors
/// `EngineUnreachable`.
pub(super) async fn locate_engine<'a>(run: &LocalRun<'a>) -> Result<&'a EngineLocator> {
    let engines = &*run.session.engines;
    engines.engine().await.map_err(|error| match error.code() {
        Code::EngineUnreachable => {
            error.help("Start Docker or podman, or run the binary without its image: `--host`.")
        }
        _ => error,
    })?;
    Ok(engines)
}

/// Builds the image of the task and loads it into the engine.
pub(super) async fn build_image(run: &LocalRun<'_>) -> Result<BuildRecord> {
    let reporter: Arc<dyn pipeline::Reporter> = run.reporter.clone();
    let packages = build_images(&run.options.build, run.session, &reporter).await?;
    let image = packages
        .into_iter()
        .flat_map(|package| package.images)
        .next();
    Ok(image.expect("a task has an image").record)
}

/// Starts a container, forwards its output and waits for its end.
///
/// # Errors
/// `EngineFailed`, `ProgramFailed`.
pub(super) async fn run_container(
    run: &LocalRun<'_>,
    image: &BuildRecord,
    container: &Container,
) -> Result<(), Error> {
    run.reporter
        .program_started(&run.task.key, ProgramLocation::Image(&image.location));
    let tee = OutputTee::new(&**run.reporter);
    let code = container
        .run(|stream, bytes| tee.write(stream, bytes))
        .await?;
    // If the launcher rejects the outputs, the error is reported when they are read, by the same rules.
    let is_output_error = code == WRONG_OUTPUTS && tee.has_line_of(launcher::MARKER);
    if code == 0 || is_output_error {
        Ok(())
    } else {
        Err(tee.failure(&run.task.key, &describe_exit_code(code)))
    }
}

/// The container of a task: image, command line and variables.
pub(super) fn container_options(
    run: &LocalRun<'_>,
    image: &BuildRecord,
    words: Vec<String>,
) -> ContainerOptions {
    let task = run.task;
    let mut env: BTreeMap<_, _> = task
        .env
        .iter()
        .map(|(name, value)| (name.clone(), Secret::new(value.value.clone())))
        .collect();
    env.extend(
        secrets::variables(&run.secrets).map(|(name, value)| (name.to_owned(), value.clone())),
    );
    ContainerOptions {
        name: format!("union-{}", task.key),
        image: image.digest.map_or_else(
            || image.location.trim_start_matches("docker:").to_owned(),
            |digest| digest.to_string(),
        ),
        // Set explicitly, as in a registered task, so that the arguments (`CMD`) of the image are not used.
        entrypoint: entrypoint(&run.declared.spec, task),
        command: (!words.is_empty()).then_some(words),
        env,
        ..ContainerOptions::default()
    }
}

/// The launcher and the declared entrypoint, as a registered task has them.
fn entrypoint(spec: &Spec, task: &Task) -> Option<Vec<String>> {
    let declared = ContainerStart::of(spec, &task.image).entrypoint;
    if !spec.has_launcher(&task.image) {
        return declared;
    }
    let mut words = launcher::command(task, false);
    words.extend(declared.unwrap_or_default());
    Some(words)
}

/// The inputs, the output directory and the secrets, which are uploaded before the container starts.
fn container_files(run: &LocalRun<'_>, inputs: &TaskInputs) -> Result<Vec<InputFile>> {
    let data = &run.task.data;
    let mut files = Vec::new();
    if !inputs.literals.is_empty() {
        files.extend(inputs.files(data, &data.input_path)?);
    }
    if !run.task.outputs.is_empty() {
        files.push(InputFile::shared_directory(&data.output_path));
    }
    files.extend(secrets::files(&run.secrets));
    Ok(files)
}

/// Downloads a directory of a container into an empty one on this machine.
///
/// # Errors
/// `EngineFailed`, `FileUnwritable`, `DiskFull`.
pub(super) async fn download_directory(
    container: &Container,
    from: &str,
    to: PathBuf,
) -> Result<OutputDir> {
    let archive = SyncIoBridge::new(StreamReader::new(Box::pin(container.download(from))));
    let unpacked = tokio::task::spawn_blocking(move || OutputDir::unpack(archive, &to)).await;
    Ok(unpacked.expect("unpacking does not panic")?)
}
