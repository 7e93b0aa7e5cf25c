//! Replaces this process by the program, which is found as `execvp` finds it.

use core::ffi::CStr;

use crate::message::Message;
use crate::options::{Arguments, argument};
use crate::path::Path;
use crate::syscall::{self, Errno};

/// Where programs are looked up when PATH is not set.
const DEFAULT_PATH: &[u8] = b"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The program was found, and cannot be started.
const NOT_EXECUTABLE: i32 = 126;
const NOT_FOUND: i32 = 127;

/// Starts the program at a position of the arguments. Returns the exit code when that is not possible; the message
/// has been written.
///
/// # Safety
/// The arguments end with a null pointer, as does the environment.
pub unsafe fn start(arguments: Arguments, position: usize, environment: *const *const u8) -> i32 {
    let name = argument(arguments, position);
    let program = Program {
        arguments,
        position,
        environment,
    };
    if name.to_bytes().contains(&b'/') {
        return failed(name, program.execute(name));
    }
    let path = variable(environment, b"PATH=").unwrap_or(DEFAULT_PATH);
    let mut error = Errno::NOENT;
    if !name.to_bytes().is_empty() {
        for directory in path.split(|byte| *byte == b':') {
            // An empty entry is the working directory.
            let directory: &[u8] = if directory.is_empty() {
                b"."
            } else {
                directory
            };
            let Some(path) = Path::of(&[directory, b"/", name.to_bytes()]) else {
                continue;
            };
            match program.execute(path.text()) {
                Errno::NOENT if syscall::stat(path.text()).is_err() => {}
                Errno::NOTDIR => {}
                // A program further down may be allowed.
                Errno::ACCES => error = Errno::ACCES,
                other => return failed(path.text(), other),
            }
        }
    }
    if error == Errno::ACCES {
        return failed(name, error);
    }
    Message::error()
        .text("the program ")
        .quoted(name.to_bytes())
        .text(" was not found in PATH, which is ")
        .quoted(path)
        .send();
    NOT_FOUND
}

struct Program {
    arguments: Arguments,
    position: usize,
    environment: *const *const u8,
}

impl Program {
    unsafe fn execute(&self, path: &CStr) -> Errno {
        let own = self.arguments.add(self.position);
        let errno = syscall::execute(path, own, self.environment);
        if errno != Errno::NOEXEC {
            return errno;
        }
        // A script without `#!` is run by the shell, as `execvp` does. Two arguments at least stand before the
        // program: the launcher's own name and `--`.
        let (shell, name) = (*own.sub(1), *own);
        *own.sub(1) = c"sh".as_ptr().cast();
        *own = path.as_ptr().cast();
        let errno = syscall::execute(c"/bin/sh", own.sub(1), self.environment);
        *own.sub(1) = shell;
        *own = name;
        if errno == Errno::NOENT {
            Errno::NOEXEC
        } else {
            errno
        }
    }
}

/// Says why a program could not be started.
fn failed(path: &CStr, errno: Errno) -> i32 {
    let exists = syscall::stat(path).is_ok();
    let message = Message::error()
        .text("could not start ")
        .quoted(path.to_bytes())
        .text(": ");
    match errno {
        Errno::NOENT if exists => {
            message
                .text("the file exists, but the loader or interpreter that it names does not")
                .send();
            NOT_EXECUTABLE
        }
        Errno::NOENT | Errno::NOTDIR => {
            message.text(errno.text()).send();
            NOT_FOUND
        }
        Errno::NOEXEC => {
            message
                .text("exec format error: it is not a program for this processor")
                .send();
            NOT_EXECUTABLE
        }
        _ => {
            message.text(errno.text()).send();
            NOT_EXECUTABLE
        }
    }
}

/// The value of a variable, `name` with its `=`.
unsafe fn variable(environment: *const *const u8, name: &[u8]) -> Option<&'static [u8]> {
    let mut next = environment;
    while !(*next).is_null() {
        let entry = CStr::from_ptr((*next).cast()).to_bytes();
        if let Some(value) = entry.strip_prefix(name) {
            return Some(value);
        }
        next = next.add(1);
    }
    None
}
