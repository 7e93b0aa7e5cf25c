//! A run as a process of this machine: the crate compiled for it, and folders in place of the
//! container's.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use union_build::diag::Code;
use union_build::spec::variables::expand;

use super::image::{self, ContainerStart};
use super::output_tail::{OutputTee, exit_code};
use super::{LocalRun, ProgramOutput, RunDirs, secrets};
use crate::build::BINARIES;
use crate::copilot::{InputLiteral, OutputDir, filled, lay_out, put};
use crate::pipeline::resolve::secret_files;
use crate::settings::RunTarget;
use crate::sys::error::Error;
use crate::sys::process::{Environment, ProcessCommand, ProcessFailure};
use crate::ui;
use crate::workspace::{self, CargoJob, CodeInputOptions, CompileBackend, Host, JobMember, Snapshot, UnionLock, compile};

/// Runs the binary.
///
/// # Errors
/// What compiling ends with; `ProgramFailed`.
pub(super) async fn run(ready: &LocalRun<'_>, values: &BTreeMap<String, InputLiteral>, kept: &RunDirs) -> Result<ProgramOutput> {
    let (inputs, outputs) = (kept.draft("inputs"), kept.draft("outputs"));
    let bin = ready.task.bin.as_ref().expect("a task without a binary is refused");
    let program = compiled(ready, &bin.value).await?;
    put(&lay_out(values, &ready.task.data, &inputs.to_string_lossy())?)?;
    crate::sys::fs::create_folder(&outputs)?;

    let text = |path: &std::path::Path| path.to_string_lossy().into_owned();
    let places = PathMapping(vec![
        (ready.task.data.input_path.value.trim_end_matches('/').to_owned(), text(&inputs)),
        (ready.task.data.output_path.value.trim_end_matches('/').to_owned(), text(&outputs)),
        (format!("{BINARIES}/{}", bin.value), text(&program)),
    ]);
    let settings = ContainerStart::of(&ready.declared.spec, &ready.task.image);
    let environment = ready.environment(&settings, |value| places.moved(value));
    let words = settings.entrypoint.into_iter().flatten().chain(ready.task.command_line(&text(&program)));
    // Places first: a value is what it is, also when it looks like one of them.
    let words = filled(&words.map(|word| places.moved(&word)).collect::<Vec<_>>(), values);
    let (first, rest) = words.split_first().expect("a task with a binary has a command line");
    ready.ui.status("Running", format!("{} as {}", ready.task.key, program.display()));
    start(ready, first, rest, &environment).await?;
    Ok(ProgramOutput { image: None, written: OutputDir::found(&outputs)? })
}

/// Starts a process and hears what it says.
///
/// # Errors
/// `ToolMissing`; `ProgramFailed`.
pub(super) async fn start(ready: &LocalRun<'_>, program: &str, words: &[String], environment: &Environment) -> Result<(), Error> {
    let mut command = ProcessCommand::new(program, &ready.run.work.scope.cargo.folder, environment);
    command.args(words);
    let listening = OutputTee::new(ready.ui);
    let ended = command.forward_output(|stream, bytes| listening.hear(stream, bytes)).await?;
    let how = |failed: ProcessFailure| match (failed.code, failed.signal) {
        (Some(code), _) => exit_code(code.into()),
        (None, signal) => format!("signal {}", signal.unwrap_or_default()),
    };
    ended.map_err(|failed| {
        let error = listening.failed(&ready.task.key, &how(failed));
        match ready.advice_on_folders() {
            Some(advice) => error.help(advice),
            None => error,
        }
    })
}

/// The binary, compiled with the settings of the task's image. Where this machine can run what the
/// image carries it is the very same, so that neither makes cargo compile the other's again.
///
/// # Errors
/// What compiling ends with.
pub(super) async fn compiled(ready: &LocalRun<'_>, bin: &str) -> Result<std::path::PathBuf> {
    let work = &ready.run.work;
    let snapshot = Snapshot::take(&work.scope.cargo, &ready.session.workspace, &work.scope.cache, &**ready.ui).await?;
    let (settings, target) = image::for_this_machine(&ready.declared.spec, &ready.task.image, snapshot.toolchain())?;
    let (package, binaries) = (&ready.declared.package, BTreeSet::from([bin.to_owned()]));
    let lock = UnionLock::load(&ready.session.workspace.root)?;
    let image = &ready.declared.spec.images[&ready.task.image.value];
    let inputs = CodeInputOptions {
        compile: settings.clone(),
        targets: vec![target.clone()],
        binaries: binaries.clone(),
        inputs: image.inputs.clone(),
        exclude: image.exclude.iter().cloned().chain(secret_files(&ready.declared.spec)).collect(),
        toolchains: Vec::new(),
        places: vec![workspace::CompileMode::Host],
        tools: BTreeMap::new(),
    };
    let inputs = snapshot.inputs(package, &inputs, lock.packages())?;
    let job = CargoJob {
        members: vec![JobMember { package, binaries, inputs: vec![&inputs] }],
        target: &target,
        settings: &settings,
        method: &CompileBackend::Host,
        source_date_epoch: work.source_date_epoch,
    };
    let lent = ready.ui.suspend_progress();
    let (compiled, _) = compile(&snapshot, &job, &Host, &**ready.ui).await?;
    drop(lent);
    compiled
        .executables(package)
        .remove(bin)
        .ok_or_else(|| Error::new(Code::ArtifactMissing, format!("cargo did not produce the binary `{bin}` of `{}`", package.name)).into())
}

impl LocalRun<'_> {
    /// The variables of a process: the user's own, those of image and task with their paths in `place`, and secrets.
    pub(super) fn environment(&self, started: &ContainerStart, place: impl Fn(&str) -> String) -> Environment {
        let mut environment = self.run.work.scope.cargo.environment.clone();
        // This machine stands in for the base, and what it does not set is empty.
        let own = &self.run.work.scope.cargo.environment;
        let known = |name: &str| Some(own.get(name).unwrap_or_default().to_owned());
        for (name, value) in &started.env {
            environment.set(name, expand(&place(value), known).unwrap_or_default());
        }
        self.task.env.iter().for_each(|(name, value)| environment.set(name, place(&value.value)));
        secrets::variables(&self.secrets).for_each(|(name, value)| environment.set(name, value.reveal()));
        environment
    }

    /// What to do when a process may have failed because nobody told it its folders.
    pub(super) fn advice_on_folders(&self) -> Option<String> {
        let (task, data) = (self.task, &self.task.data);
        let settings = ContainerStart::of(&self.declared.spec, &task.image);
        let words = task.command.iter().flat_map(|command| &command.value).chain(settings.entrypoint.iter().flatten());
        let told: Vec<&String> = words.chain(task.env.values().map(|value| &value.value)).chain(settings.env.values()).collect();
        let is_told = |path: &str| {
            let places = PathMapping(vec![(path.trim_end_matches('/').to_owned(), String::new())]);
            told.iter().any(|text| places.moved(text) != **text)
        };
        let wanted = [(!task.inputs.is_empty()).then_some(&data.input_path), (!task.outputs.is_empty()).then_some(&data.output_path)];
        let untold: Vec<&str> = wanted.into_iter().flatten().map(|path| path.value.as_str()).filter(|path| !is_told(path)).collect();
        let advice = || {
            format!("With `--host`, name {} in the task's `command` or `env`: the program must be told where they are.", ui::list(&untold))
        };
        (self.run.place == RunTarget::Host && !untold.is_empty()).then(advice)
    }
}

/// Paths of a container, and where they are on this machine.
struct PathMapping(Vec<(String, String)>);

impl PathMapping {
    /// A text with every whole path replaced, the longest first: `/data` is no part of `/database`,
    /// and of `/data/out` only when that is no place of its own.
    fn moved(&self, text: &str) -> String {
        let is_part = |letter: char| letter.is_alphanumeric() || matches!(letter, '_' | '-' | '.');
        let mut moved = String::new();
        let mut rest = text;
        while let Some(next) = rest.chars().next() {
            let begins = !moved.ends_with(|before: char| is_part(before) || before == '/');
            let fits = |from: &str| !from.is_empty() && rest.strip_prefix(from).is_some_and(|after| !after.starts_with(is_part));
            let place = self.0.iter().filter(|(from, _)| begins && fits(from)).max_by_key(|(from, _)| from.len());
            let taken = match place {
                Some((from, to)) => {
                    moved.push_str(to);
                    from.len()
                }
                None => {
                    moved.push(next);
                    next.len_utf8()
                }
            };
            rest = &rest[taken..];
        }
        moved
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_paths_are_moved_and_parts_of_others_stay() {
        let pair = |from: &str, to: &str| (from.to_owned(), to.to_owned());
        let places = PathMapping(vec![pair("/data", "/tmp/in"), pair("/data/out", "/tmp/data/out"), pair("/union/bin/a", "/target/a")]);
        for (text, expected) in [
            ("/data", "/tmp/in"),
            ("--in=/data/x,/data/out/y", "--in=/tmp/in/x,/tmp/data/out/y"),
            ("/database /my/data data", "/database /my/data data"),
            ("/data.csv /data-1", "/data.csv /data-1"),
            ("cp /data/a '/data/out'", "cp /tmp/in/a '/tmp/data/out'"),
            ("/union/bin/a /union/bin/ab", "/target/a /union/bin/ab"),
            ("ä/data:/data", "ä/data:/tmp/in"),
        ] {
            assert_eq!(places.moved(text), expected);
        }
    }
}
