//! `cargo union`: container images for Rust tasks on Flyte and Union, declared in `Cargo.toml`.
//!
//! The library exists for the binary and its tests; ARCHITECTURE.md in the repository is its map.

#[cfg(not(unix))]
compile_error!(
    "cargo union runs on Linux and macOS; on Windows use it inside of WSL, for it makes Linux binaries with the host's own toolchain"
);

pub mod build;
pub mod cli;
pub mod command;
pub mod copilot;
pub mod deploy;
pub mod engine;
pub mod exit;
pub mod flyte;
pub mod http;
pub mod image;
pub mod pipeline;
pub mod publish;
pub mod run;
pub mod settings;
pub mod sys;
pub mod ui;
pub mod workspace;

use std::ffi::OsString;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser as _;
use union_build::diag::Code;

use exit::Exit;
use sys::error::Error;
use sys::process::Environment;
use sys::signal::{explains_failure, interrupted};
use ui::Ui;

/// Runs the tool with a command line, of which the first word is the program's name.
pub fn main(words: impl Iterator<Item = OsString>) -> Exit {
    let cli = match cli::Cli::try_parse_from(without_subcommand_name(words)) {
        Ok(cli) => cli,
        Err(told) => {
            let failed = told.use_stderr();
            // A reader that has gone away is no failure.
            let _ = told.print();
            return if failed { Exit::Usage } else { Exit::Success };
        }
    };
    let environment = Environment::of_process();
    let ui = Arc::new(Ui::new(settings::output_options(&cli.talk, &environment)));
    match settings::task(cli, &environment) {
        Ok(task) => run(&task, &ui),
        Err(error) => {
            ui.error(&error);
            Exit::Usage
        }
    }
}

/// cargo calls `cargo-union union build`; the word is dropped.
fn without_subcommand_name(words: impl Iterator<Item = OsString>) -> impl Iterator<Item = OsString> {
    let mut words = words.peekable();
    let program = words.next();
    words.next_if(|word| word == "union");
    program.into_iter().chain(words)
}

fn run(task: &settings::Command, ui: &Arc<Ui>) -> Exit {
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(cause) => {
            ui.error(&Error::new(Code::ToolMissing, "could not start the runtime's threads").because(cause));
            return Exit::Failure;
        }
    };
    let exit = runtime.block_on(async {
        let mut interrupted = pin!(interrupted());
        let failure = tokio::select! {
            // Ctrl-C reaches the programs that were started as well: that they end is no failure of theirs.
            biased;
            () = &mut interrupted, if !task.handles_interrupt() => None,
            result = command::run(task, ui) => match result {
                Ok(exit) => return exit,
                Err(failure) => Some(failure),
            },
        };
        let told = |failure: &anyhow::Error| failure.downcast_ref::<Error>().is_some_and(|error| error.code() == Code::Interrupted);
        match failure {
            Some(failure) if told(&failure) || !explains_failure(interrupted).await => command::failed(&failure, ui),
            _ => {
                ui.error(&Error::new(Code::Interrupted, "interrupted"));
                Exit::Interrupted
            }
        }
    });
    // What was interrupted gets a moment to remove its drafts.
    runtime.shutdown_timeout(Duration::from_secs(2));
    exit
}
