//! The launcher: process 1 of the container of a task.
//!
//! ```text
//! launcher [--output-directory DIR] [--output NAME=TYPE]... [--empty-output NAME]
//!          [--timeout SECONDS] [--grace SECONDS] -- PROGRAM [ARGUMENT...]
//! ```
//!
//! It starts PROGRAM, forwards signals to it, reaps orphans, ends it in time, and looks at the outputs that it has
//! left. It needs no C library and no linker but that of the Rust toolchain, allocates nothing and has one thread.

#![no_std]
#![no_main]
// The functions of `syscall::memory` must not be compiled into calls of themselves.
#![no_builtins]

mod message;
mod options;
mod output_type;
mod outputs;
mod path;
mod program;
mod supervise;
mod syscall;

use message::Message;
use options::{Arguments, Options};

/// The launcher itself failed.
const FAILED: i32 = 125;

// The kernel leaves the number of arguments, the arguments and the environment on the stack.
#[cfg(target_arch = "x86_64")]
core::arch::global_asm!(".globl _start", "_start:", "xor ebp, ebp", "mov rdi, rsp", "and rsp, -16", "call {entry}", "ud2", entry = sym entry);
#[cfg(target_arch = "aarch64")]
core::arch::global_asm!(".globl _start", "_start:", "mov x29, #0", "mov x30, #0", "mov x0, sp", "bl {entry}", "brk #1", entry = sym entry);

/// # Safety
/// `stack` is the stack as the kernel starts a process with it.
unsafe extern "C" fn entry(stack: *mut usize) -> ! {
    let count = *stack;
    let arguments: Arguments = stack.add(1).cast();
    let environment = stack.add(count + 2).cast();
    syscall::exit(run(arguments, count, environment))
}

unsafe fn run(arguments: Arguments, count: usize, environment: *const *const u8) -> i32 {
    let Some(options) = Options::read(arguments, count) else {
        return FAILED;
    };
    syscall::adopt_orphans();
    let mask = syscall::block(supervise::blocked());
    let child = match syscall::fork() {
        Ok(Some(child)) => child,
        Ok(None) => {
            let own = syscall::process();
            syscall::lead_group(own);
            syscall::give_terminal(own);
            syscall::set_mask(mask);
            return program::start(arguments, options.program, environment);
        }
        Err(errno) => {
            Message::error()
                .text("could not start a process: ")
                .text(errno.text())
                .send();
            return FAILED;
        }
    };
    // Both do it, so that a signal that comes at once finds the group.
    syscall::lead_group(child);
    let code = supervise::wait(child, &options);
    if code == 0 {
        outputs::check(&options)
    } else {
        code
    }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    Message::error().text("internal error").send();
    syscall::exit(FAILED)
}
