//! `cargo union`: container images for Rust tasks on Flyte and Union, declared in `Cargo.toml`.
//!
//! The library exists for the binary and its tests. ARCHITECTURE.md in the repository describes its modules.

pub mod attest;
pub mod build;
pub mod cli;
pub mod command;
pub mod copilot;
pub mod deploy;
pub mod doctor;
pub mod engine;
pub mod exit;
pub mod flyte;
pub mod http;
pub mod image;
pub mod pipeline;
pub mod publish;
pub mod run;
pub mod scaffold;
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

/// Runs the tool with the arguments of the process, of which the first one is the program's name.
pub fn main(arguments: impl Iterator<Item = OsString>) -> Exit {
    let cli = match cli::Cli::try_parse_from(without_subcommand_name(arguments)) {
        Ok(cli) => cli,
        Err(error) => {
            let is_failure = error.use_stderr();
            // A closed pipe is not a failure.
            let _ = error.print();
            return if is_failure {
                Exit::Usage
            } else {
                Exit::Success
            };
        }
    };
    let environment = Environment::of_process();
    let ui = Arc::new(Ui::new(settings::output_options(&cli.output, &environment)));
    #[cfg(windows)]
    ui.note("on Windows nothing was tested: `check`, `plan` and `get` should work, and builds need `compile = \"zig\"` or \"container\"; use WSL 2 for the rest");
    if ui.output_options().verbosity > 1 {
        ui::show_traces(&ui);
    }
    match settings::resolve(cli, &environment) {
        Ok(command) => run(&command, &ui),
        Err(error) => {
            ui.error(&error);
            Exit::Usage
        }
    }
}

/// cargo runs `cargo-union union build`: removes `union`.
fn without_subcommand_name(
    arguments: impl Iterator<Item = OsString>,
) -> impl Iterator<Item = OsString> {
    let mut arguments = arguments.peekable();
    let program = arguments.next();
    arguments.next_if(|argument| argument == "union");
    program.into_iter().chain(arguments)
}

fn run(command: &settings::Command, ui: &Arc<Ui>) -> Exit {
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(cause) => {
            ui.error(
                &Error::new(Code::ToolMissing, "could not start the runtime's threads")
                    .because(cause),
            );
            return Exit::Failure;
        }
    };
    let exit = runtime.block_on(async {
        let mut interrupted = pin!(interrupted());
        let failure = tokio::select! {
            // Ctrl-C reaches child processes as well: it is polled first, so that their exit is not reported as a
            // failure.
            biased;
            () = &mut interrupted, if !command.handles_interrupt() => None,
            result = command::run(command, ui) => match result {
                Ok(exit) => return exit,
                Err(failure) => Some(failure),
            },
        };
        match failure {
            Some(failure) if failure.is_interruption() || !explains_failure(interrupted).await => {
                failure.show(ui);
                failure.exit()
            }
            _ => {
                ui.error(&Error::new(Code::Interrupted, "interrupted"));
                Exit::Interrupted
            }
        }
    });
    // Interrupted tasks get some time to remove their temporary files.
    runtime.shutdown_timeout(Duration::from_secs(2));
    exit
}
