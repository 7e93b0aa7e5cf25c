//! Runs a task of the kind `rust`: a worker of the `flyte` crate, with a local [`Actions`] service in place of the backend.
//!
//! The worker's binary describes its inputs, so they are read after the compile.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;
use union_build::diag::Code;

use super::compile::compile_binary;
use super::directories::RunDirs;
use super::image::ContainerStart;
use super::{LocalRun, LocalRunOutcome, engine, host, secrets};
use crate::copilot::{InputFile, InputFileKind, pack, put};
use crate::deploy::program;
use crate::flyte::actions::Actions;
use crate::flyte::convert::{LOG_FILTER, LiteralForm, literal};
use crate::flyte::interface::{Description, Interface};
use crate::flyte::worker::{self, ELSEWHERE, INPUTS, WorkerOutcome};
use crate::pipeline::interfaces::describe;
use crate::pipeline::problems::Result;
use crate::run::ProgramLocation;
use crate::run::options::RunTarget;
use crate::sys::error::Error;
use crate::sys::fs;
use crate::sys::process::Environment;
use crate::sys::secret::Secret;
use crate::workspace::Host;

/// The base directory of a run in a container.
const BASE: &str = "/union/run";

/// Builds and runs a worker.
///
/// # Errors
/// Those of the build; `DescriptionInvalid`, `InputsInvalid`, `ProgramFailed`, `OutputsInvalid`.
pub(super) async fn run_worker(run: LocalRun<'_>) -> Result<LocalRunOutcome> {
    match run.options.target {
        RunTarget::Engine => run_in_engine(&run).await,
        RunTarget::Host => run_on_host(&run).await,
    }
}

async fn run_on_host(run: &LocalRun<'_>) -> Result<LocalRunOutcome> {
    let binary = task_binary(run);
    let executable = compile_binary(run, binary).await?;
    let description = describe(
        binary,
        &executable,
        &Host,
        &run.options.build.scope.cargo.environment,
    )
    .await?;
    let interface = Description::read(binary, &description)?.interface;
    let inputs = encode_inputs(run, &interface)?;
    let directories = RunDirs::create(run)?;
    let base = directories.temporary("run");
    put(&input_files(&base.to_string_lossy(), inputs))?;
    let actions = Actions::serve(run.reporter.clone()).await?;
    let start = ContainerStart::of(&run.declared.spec, &run.task.image);
    let environment = process_environment(run, &start, &base.to_string_lossy(), &actions);
    let command_line = worker::command_line(&executable.to_string_lossy(), &base.to_string_lossy());
    let words: Vec<String> = start
        .entrypoint
        .into_iter()
        .flatten()
        .chain(command_line)
        .collect();
    let (program, arguments) = words.split_first().expect("a worker has a command line");
    run.reporter
        .program_started(&run.task.key, ProgramLocation::Executable(&executable));
    host::run_process(run, program, arguments, &environment).await?;
    let outputs = read_outputs(run, &base, &interface)?;
    Ok(run.outcome(None, outputs, actions.steps()))
}

async fn run_in_engine(run: &LocalRun<'_>) -> Result<LocalRunOutcome> {
    let engines = engine::locate_engine(run).await?;
    let image = engine::build_image(run).await?;
    let binary = task_binary(run);
    let description = image
        .interfaces
        .get(binary)
        .ok_or_else(|| missing_interface(run, &image.location))?;
    let interface = Description::read(binary, description)?.interface;
    let mut files = input_files(BASE, encode_inputs(run, &interface)?).to_vec();
    files.extend(secrets::files(&run.secrets));
    let actions = Actions::serve(run.reporter.clone()).await?;
    // On Linux the container uses the network of this machine, and so its loopback interface. Elsewhere the engine runs in
    // a virtual machine, which resolves this name to the host.
    let (host, network) = if cfg!(target_os = "linux") {
        ("127.0.0.1", Some("host"))
    } else {
        ("host.docker.internal", None)
    };
    let mut options =
        engine::container_options(run, &image, worker::command_line(&program(run.task), BASE));
    options.network = network.map(str::to_owned);
    options
        .env
        .entry(LOG_FILTER.0.to_owned())
        .or_insert_with(|| Secret::new(LOG_FILTER.1.to_owned()));
    let variables = worker::environment(BASE, &format!("{host}:{}", actions.port()));
    options.env.extend(
        variables
            .into_iter()
            .map(|(name, value)| (name.to_owned(), Secret::new(value))),
    );
    let container = engines.engine().await?.container(&options).await?;
    container
        .upload("/", move |archive| pack(&files, archive))
        .await?;
    engine::run_container(run, &image, &container)
        .await
        .map_err(|error| add_connection_advice(error, &actions))?;
    let directories = RunDirs::create(run)?;
    let base = directories.temporary("run");
    fs::create_directory(&base)?;
    engine::download_directory(&container, BASE, base.clone()).await?;
    container.remove().await?;
    let outputs = read_outputs(run, &base, &interface)?;
    Ok(run.outcome(Some(image.location), outputs, actions.steps()))
}

fn task_binary<'a>(run: &LocalRun<'a>) -> &'a str {
    &run.task
        .bin
        .as_ref()
        .expect("a task of the kind `rust` has a binary")
        .value
}

/// Reads the inputs by the types of the interface, and encodes them as the worker's input message.
fn encode_inputs(run: &LocalRun<'_>, interface: &Interface) -> Result<Vec<u8>> {
    let types = interface.inputs.iter().cloned().collect();
    let values = run.read_inputs(&types, |ty, value| {
        literal(ty, value, LiteralForm::MessagePack)
    })?;
    Ok(worker::inputs(values))
}

/// The base directory, in which the worker can create files, and the file of its inputs.
fn input_files(base: &str, inputs: Vec<u8>) -> [InputFile; 3] {
    let file = format!("{base}/{INPUTS}");
    let directory = Path::new(&file)
        .parent()
        .expect("the file is below the base")
        .to_string_lossy()
        .into_owned();
    [
        InputFile::shared_directory(base),
        InputFile {
            path: directory,
            mode: 0o755,
            what: InputFileKind::Directory,
        },
        InputFile {
            path: file,
            mode: 0o644,
            what: InputFileKind::Bytes(inputs),
        },
    ]
}

/// The environment of a worker that is a process of this machine.
fn process_environment(
    run: &LocalRun<'_>,
    start: &ContainerStart,
    base: &str,
    actions: &Actions,
) -> Environment {
    let mut environment = run.process_environment(start, str::to_owned);
    ELSEWHERE.iter().for_each(|name| environment.remove(name));
    let variables = worker::environment(base, &format!("127.0.0.1:{}", actions.port()));
    variables
        .into_iter()
        .for_each(|(name, value)| environment.set(name, value));
    if !environment.has(LOG_FILTER.0) {
        environment.set(LOG_FILTER.0, LOG_FILTER.1);
    }
    environment
}

/// Reads the outputs below the base of a worker that exited with 0.
///
/// # Errors
/// `OutputsInvalid`; `ProgramFailed` when the worker wrote an error.
fn read_outputs(
    run: &LocalRun<'_>,
    base: &Path,
    interface: &Interface,
) -> Result<BTreeMap<String, Value>> {
    match worker::ended(base, &run.task.key, interface)? {
        WorkerOutcome::Well(outputs) => Ok(outputs),
        WorkerOutcome::Badly(message) => Err(Error::new(
            Code::ProgramFailed,
            format!("task `{}` failed", run.task.key),
        )
        .because(message)
        .into()),
    }
}

fn missing_interface(run: &LocalRun<'_>, image: &str) -> Error {
    Error::new(
        Code::DescriptionInvalid,
        format!("the inputs of task `{}` are not known", run.task.key),
    )
    .because(format!(
        "its binary cannot run on this host, and `{image}` has no interface label"
    ))
}

/// Adds advice for a worker that failed without a single request to the service.
fn add_connection_advice(error: Error, actions: &Actions) -> Error {
    if actions.was_reached() || error.code() != Code::ProgramFailed {
        return error;
    }
    let port = actions.port();
    error.help(format!(
        "It sent no request to 127.0.0.1:{port}, the local backend: use an engine on this machine, or `--host`."
    ))
}
