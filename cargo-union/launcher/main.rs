//! The launcher: process 1 of the containers of tasks. It starts the program of a task, forwards signals to it, reaps
//! orphans, enforces its timeout, checks its outputs, and exits with its exit code. `arguments` documents its command
//! line.
//!
//! It has to run in every image, also in an empty one, so it is a static program without a C library, and needs only
//! `rustc` and its own linker to be compiled. It does not allocate, has no threads, and reads into buffers of fixed
//! size. `cargo-union/src/workspace/launcher.rs` compiles it; it is not a crate of the workspace, whose lints forbid
//! `unsafe`.

#![no_std]
#![no_main]
#![no_builtins]

mod arguments;
mod directory;
mod memory;
mod message;
mod nearest;
mod output_type;
mod outputs;
mod path;
#[cfg_attr(target_arch = "x86_64", path = "x86_64.rs")]
#[cfg_attr(target_arch = "aarch64", path = "aarch64.rs")]
mod processor;
mod program;
mod signal;
mod supervisor;
mod system;
mod words;

use arguments::Options;
use message::Line;
use words::Words;

/// The exit code for wrong outputs, which is `EX_DATAERR` of `sysexits.h`.
const WRONG_OUTPUTS: u8 = 65;

/// The exit code when the launcher itself fails, as with `timeout` and `env`.
const FAILED: u8 = 125;

/// The function that the entry point calls, with the stack as the kernel has set it up.
unsafe extern "C" fn start(stack: *mut usize) -> ! {
    // SAFETY: the entry point passes the first stack pointer of the process, once.
    let (arguments, environment) = unsafe { Words::of_process(stack) };
    system::exit(run(arguments, environment))
}

/// Runs the program, and returns the exit code.
fn run(arguments: Words, environment: Words) -> u8 {
    let Ok(options) = Options::parse(&arguments) else {
        return FAILED;
    };
    let outcome = match supervisor::run(&options, arguments, environment) {
        Ok(outcome) => outcome,
        Err(errno) => {
            Line::error()
                .text("could not start a process: ")
                .errno(errno)
                .send();
            return FAILED;
        }
    };
    if outcome.is_success && outputs::check(&options, &arguments).is_err() {
        return WRONG_OUTPUTS;
    }
    outcome.code
}

/// No code here panics deliberately; a panic is a failed bounds check.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    Line::error().text("internal error").send();
    system::exit(FAILED)
}

/// The compiled `core` refers to the function that unwinds its frames. Panics abort here, and never call it.
#[no_mangle]
extern "C" fn rust_eh_personality() {}
