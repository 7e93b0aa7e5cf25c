//! A task of the kind `rust`: a worker of the `flyte` crate, with a stand-in for the backend beside it.
//!
//! Only its binary knows what its inputs are, so they are read when it is compiled.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;
use union_build::diag::Code;

use super::image::ContainerStart;
use super::{LocalRun, RunReport, in_engine, on_host, secrets};
use crate::command::reporter;
use crate::copilot::{InputFile, InputFileKind, pack, put};
use crate::deploy::program;
use crate::flyte::actions::Actions;
use crate::flyte::convert::{LiteralForm, literal};
use crate::flyte::interface::{Description, Interface};
use crate::flyte::worker::{self, ELSEWHERE, INPUTS, WorkerOutcome};
use crate::pipeline::build::build_images;
use crate::pipeline::interfaces::describe;
use crate::settings::RunTarget;
use crate::sys::error::Error;
use crate::sys::fs;
use crate::sys::process::Environment;
use crate::sys::secret::Secret;
use crate::workspace::Host;

/// Where the files of a run are in a container.
const BASE: &str = "/union/run";

/// What the crate says of its own line to the backend is for its authors; the user's words are heard.
const LOG: (&str, &str) = ("RUST_LOG", "info,flyte_controller_base=error");

/// Runs the worker.
///
/// # Errors
/// What compiling and building end with; `InputsInvalid`, `ProgramFailed`, `OutputsInvalid`.
pub(super) async fn run(ready: LocalRun<'_>) -> Result<RunReport> {
    match ready.run.place {
        RunTarget::Engine => in_engine(&ready).await,
        RunTarget::Host => on_host(&ready).await,
    }
}

async fn on_host(ready: &LocalRun<'_>) -> Result<RunReport> {
    let (bin, cargo) = (bin(ready), &ready.run.work.scope.cargo);
    let program = on_host::compiled(ready, bin).await?;
    let line = describe(bin, &program, &Host, &cargo.environment).await?;
    let interface = Description::read(bin, &line)?.interface;
    let inputs = inputs(ready, &interface)?;
    let kept = ready.run_dirs()?;
    let folder = kept.draft("run");
    let base = folder.to_string_lossy();
    put(&entries(&base, inputs))?;
    let actions = Actions::serve(ready.ui.clone()).await?;
    let started = ContainerStart::of(&ready.declared.spec, &ready.task.image);
    let environment = environment(ready, &started, &base, &actions);
    let words: Vec<String> =
        started.entrypoint.into_iter().flatten().chain(worker::command_line(&program.to_string_lossy(), &base)).collect();
    let (first, rest) = words.split_first().expect("a worker has a command line");
    ready.ui.status("Running", format!("{} as {}", ready.task.key, program.display()));
    on_host::start(ready, first, rest, &environment).await?;
    let outputs = outputs(ready, &folder, &interface)?;
    Ok(RunReport { image: None, outputs, traces: actions.steps() })
}

async fn in_engine(ready: &LocalRun<'_>) -> Result<RunReport> {
    let engines = in_engine::engines(ready).await?;
    let built = build_images(&ready.run.work, ready.session, &reporter(ready.ui)).await?;
    let image = in_engine::record(&built);
    let line = image.interfaces.get(bin(ready)).ok_or_else(|| missing_interface(ready, &image.location))?;
    let interface = Description::read(bin(ready), line)?.interface;
    let mut entries = entries(BASE, inputs(ready, &interface)?).to_vec();
    entries.extend(secrets::files(&ready.secrets));
    let actions = Actions::serve(ready.ui.clone()).await?;
    // On Linux the container shares this machine's loopback. Elsewhere engines are in a virtual machine, from
    // which this name leads out.
    let (host, network) = if cfg!(target_os = "linux") { ("127.0.0.1", Some("host")) } else { ("host.docker.internal", None) };
    let mut job = in_engine::job(ready, image, worker::command_line(&program(ready.task), BASE));
    job.network = network.map(str::to_owned);
    job.env.entry(LOG.0.to_owned()).or_insert_with(|| Secret::new(LOG.1.to_owned()));
    let variables = worker::environment(BASE, &format!("{host}:{}", actions.port()));
    job.env.extend(variables.into_iter().map(|(name, value)| (name.to_owned(), Secret::new(value))));
    let container = engines.engine().await?.container(&job).await?;
    container.upload("/", move |archive| pack(&entries, archive)).await?;
    in_engine::to_its_end(ready, image, &container).await.map_err(|error| unreached(error, &actions))?;
    let kept = ready.run_dirs()?;
    let folder = kept.draft("run");
    fs::create_folder(&folder)?;
    in_engine::written(&container, BASE, folder.clone()).await?;
    container.remove().await?;
    let outputs = outputs(ready, &folder, &interface)?;
    Ok(RunReport { image: Some(image.location.clone()), outputs, traces: actions.steps() })
}

fn bin<'a>(ready: &LocalRun<'a>) -> &'a str {
    &ready.task.bin.as_ref().expect("a task of the kind `rust` has a binary").value
}

/// The message of the inputs, for the types that the binary tells.
fn inputs(ready: &LocalRun<'_>, interface: &Interface) -> Result<Vec<u8>> {
    Ok(worker::inputs(ready.inputs(&interface.inputs.iter().cloned().collect(), |ty, given| literal(ty, given, LiteralForm::MessagePack))?))
}

/// The base of a run, into which the worker may write, and its inputs.
fn entries(base: &str, inputs: Vec<u8>) -> [InputFile; 3] {
    let file = format!("{base}/{INPUTS}");
    let folder = Path::new(&file).parent().expect("it is below the base").to_string_lossy().into_owned();
    [
        InputFile::shared_folder(base),
        InputFile { path: folder, mode: 0o755, what: InputFileKind::Folder },
        InputFile { path: file, mode: 0o644, what: InputFileKind::Bytes(inputs) },
    ]
}

/// Of a process: its own, and what a worker is told.
fn environment(ready: &LocalRun<'_>, started: &ContainerStart, base: &str, actions: &Actions) -> Environment {
    let mut environment = ready.environment(started, str::to_owned);
    ELSEWHERE.iter().for_each(|name| environment.remove(name));
    worker::environment(base, &format!("127.0.0.1:{}", actions.port())).into_iter().for_each(|(name, value)| environment.set(name, value));
    if !environment.has(LOG.0) {
        environment.set(LOG.0, LOG.1);
    }
    environment
}

/// What the worker has given, or what it says went wrong.
fn outputs(ready: &LocalRun<'_>, base: &Path, interface: &Interface) -> Result<BTreeMap<String, serde_json::Value>> {
    match worker::ended(base, &ready.task.key, interface)? {
        WorkerOutcome::Well(outputs) => Ok(outputs),
        WorkerOutcome::Badly(why) => Err(Error::new(Code::ProgramFailed, format!("task `{}` failed", ready.task.key)).because(why).into()),
    }
}

fn missing_interface(ready: &LocalRun<'_>, image: &str) -> Error {
    Error::new(Code::DescriptionInvalid, format!("the inputs of task `{}` are not known", ready.task.key))
        .because(format!("its binary cannot run on this host, and `{image}` has no interface label"))
}

/// A worker that never came to us had no way to.
fn unreached(error: Error, actions: &Actions) -> Error {
    if actions.was_reached() || error.code() != Code::ProgramFailed {
        return error;
    }
    let port = actions.port();
    error.help(format!(
        "It has asked nothing of 127.0.0.1:{port}, where this machine stands in for the backend: use an engine on this machine, or `--host`."
    ))
}
