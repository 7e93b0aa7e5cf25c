//! Runs a program as a process of this machine: the crate is compiled for it, and directories replace those of the
//! container.

use std::path::Path;

use union_build::spec::variables::expand;

use super::compile::compile_binary;
use super::image::ContainerStart;
use super::output::{OutputTee, describe_exit_code};
use super::path_mapping::PathMapping;
use super::task_inputs::TaskInputs;
use super::{LocalRun, ProgramOutput, RunDirs, secrets};
use crate::build::BINARIES;
use crate::copilot::{OutputDir, filled, put};
use crate::pipeline::problems::Result;
use crate::run::ProgramLocation;
use crate::run::options::RunTarget;
use crate::sys::error::Error;
use crate::sys::fs;
use crate::sys::process::{Environment, ProcessCommand, ProcessFailure};
use crate::sys::words;

/// Compiles and runs the binary of a task.
///
/// # Errors
/// Those of the compile; `ProgramFailed`.
pub(super) async fn run_program(
    run: &LocalRun<'_>,
    inputs: &TaskInputs,
    directories: &RunDirs,
) -> Result<ProgramOutput> {
    let task = run.task;
    let input_directory = directories.temporary("inputs");
    let output_directory = directories.temporary("outputs");
    let binary = task
        .bin
        .as_ref()
        .expect("a task without a binary is rejected");
    let executable = compile_binary(run, &binary.value).await?;
    put(&inputs.files(&task.data, &input_directory.to_string_lossy())?)?;
    fs::create_directory(&output_directory)?;

    let text = |path: &Path| path.to_string_lossy().into_owned();
    let mapping = PathMapping(vec![
        (
            task.data.input_path.value.trim_end_matches('/').to_owned(),
            text(&input_directory),
        ),
        (
            task.data.output_path.value.trim_end_matches('/').to_owned(),
            text(&output_directory),
        ),
        (format!("{BINARIES}/{}", binary.value), text(&executable)),
    ]);
    let start = ContainerStart::of(&run.declared.spec, &task.image);
    let environment = run.process_environment(&start, |value| mapping.apply(value));
    let words = start
        .entrypoint
        .into_iter()
        .flatten()
        .chain(task.command_line(&text(&executable)));
    // Paths are replaced before the values of inputs are filled in, so that a value that equals such a path stays
    // unchanged.
    let words = filled(
        &words.map(|word| mapping.apply(&word)).collect::<Vec<_>>(),
        &inputs.literals,
    );
    let (program, arguments) = words
        .split_first()
        .expect("a task with a binary has a command line");
    run.reporter
        .program_started(&task.key, ProgramLocation::Executable(&executable));
    run_process(run, program, arguments, &environment).await?;
    Ok(ProgramOutput {
        image: None,
        directory: OutputDir::existing(&output_directory)?,
    })
}

/// Runs a process in the current directory, and forwards its output.
///
/// # Errors
/// `ToolMissing`, `ProgramFailed`.
pub(super) async fn run_process(
    run: &LocalRun<'_>,
    program: &str,
    arguments: &[String],
    environment: &Environment,
) -> Result<(), Error> {
    let mut command = ProcessCommand::new(
        program,
        &run.options.build.scope.cargo.directory,
        environment,
    );
    command.args(arguments);
    let tee = OutputTee::new(&**run.reporter);
    let status = command
        .forward_output(|stream, bytes| tee.write(stream, bytes))
        .await?;
    let describe = |failure: &ProcessFailure| match (failure.code, failure.signal) {
        (Some(code), _) => describe_exit_code(code.into()),
        (None, signal) => format!("signal {}", signal.unwrap_or_default()),
    };
    status.map_err(|failure| {
        let error = tee.failure(&run.task.key, &describe(&failure));
        match run.path_advice() {
            Some(advice) => error.help(advice),
            None => error,
        }
    })
}

impl LocalRun<'_> {
    /// The environment of a process: the user's variables, the variables of the image and the task with `map` applied
    /// to their values, and the secrets. References in the image's variables are resolved from the user's variables
    /// instead of the base's; unset variables are empty.
    pub(super) fn process_environment(
        &self,
        start: &ContainerStart,
        map: impl Fn(&str) -> String,
    ) -> Environment {
        let user_environment = &self.options.build.scope.cargo.environment;
        let lookup = |name: &str| Some(user_environment.get(name).unwrap_or_default().to_owned());
        let mut environment = user_environment.clone();
        for (name, value) in &start.env {
            // A local path that replaces one of the container may contain `$`.
            environment.set(name, map(&expand(value, lookup).unwrap_or_default()));
        }
        self.task
            .env
            .iter()
            .for_each(|(name, value)| environment.set(name, map(&value.value)));
        secrets::variables(&self.secrets)
            .for_each(|(name, value)| environment.set(name, value.reveal()));
        environment
    }

    /// The help text for a process that failed or has no outputs: it lists the input and output paths that neither the
    /// command nor the variables contain, so that nothing was replaced.
    pub(super) fn path_advice(&self) -> Option<String> {
        let (task, data) = (self.task, &self.task.data);
        let start = ContainerStart::of(&self.declared.spec, &task.image);
        let words = task
            .command
            .iter()
            .flat_map(|command| &command.value)
            .chain(start.entrypoint.iter().flatten());
        let texts: Vec<&String> = words
            .chain(task.env.values().map(|value| &value.value))
            .chain(start.env.values())
            .collect();
        let is_used = |path: &str| {
            let mapping = PathMapping(vec![(path.trim_end_matches('/').to_owned(), String::new())]);
            texts.iter().any(|text| mapping.apply(text) != **text)
        };
        let needed = [
            (!task.inputs.is_empty()).then_some(&data.input_path),
            (!task.outputs.is_empty()).then_some(&data.output_path),
        ];
        let unused: Vec<&str> = needed
            .into_iter()
            .flatten()
            .map(|path| path.value.as_str())
            .filter(|path| !is_used(path))
            .collect();
        if self.options.target != RunTarget::Host || unused.is_empty() {
            return None;
        }
        let paths = words::list(&unused);
        Some(format!(
            "With `--host`, name {paths} in the task's `command` or `env`: the program has to use these paths."
        ))
    }
}
