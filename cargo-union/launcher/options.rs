//! The launcher's own command line.

use core::ffi::CStr;

use crate::message::Message;
use crate::output_type::OutputType;

/// The arguments of this process.
pub type Arguments = *mut *const u8;

/// How long a program may take to end after SIGTERM, in seconds. Kubernetes waits 30 s.
const GRACE: u64 = 28;

/// What the command line says.
pub struct Options {
    /// Where outputs are.
    pub directory: Option<&'static CStr>,
    /// The name of an output that is left empty.
    pub empty_output: Option<&'static CStr>,
    /// How long the program may run, in milliseconds.
    pub timeout: Option<u64>,
    /// How long it may take to end after SIGTERM, in milliseconds.
    pub grace: u64,
    /// The position of the program among the arguments.
    pub program: usize,
    arguments: Arguments,
}

impl Options {
    /// Reads the arguments. On an error, the message has been written.
    ///
    /// # Safety
    /// The array has `count` texts that end with a zero, and live as long as the process.
    pub unsafe fn read(arguments: Arguments, count: usize) -> Option<Self> {
        let mut options = Self {
            directory: None,
            empty_output: None,
            timeout: None,
            grace: GRACE * 1000,
            program: 0,
            arguments,
        };
        let mut position = 1;
        while position < count {
            let word = argument(arguments, position);
            if word.to_bytes() == b"--" {
                options.program = position + 1;
                break;
            }
            let value = if position + 1 < count {
                Some(argument(arguments, position + 1))
            } else {
                None
            };
            if !options.set(word, value) {
                return None;
            }
            position += 2;
        }
        if options.program == 0 || options.program >= count {
            Message::error()
                .text("expected `-- PROGRAM [ARGUMENT...]`")
                .send();
            return None;
        }
        if options.directory.is_none()
            && (options.empty_output.is_some() || options.outputs().next().is_some())
        {
            Message::error()
                .text("`--output-directory` is missing")
                .send();
            return None;
        }
        Some(options)
    }

    /// The declared outputs: name and type.
    pub fn outputs(&self) -> impl Iterator<Item = (&'static str, OutputType)> + '_ {
        let mut position = 1;
        core::iter::from_fn(move || {
            while position + 1 < self.program {
                // Safety: the positions before the program are arguments, each option with its value.
                let (word, value) = unsafe {
                    (
                        argument(self.arguments, position),
                        argument(self.arguments, position + 1),
                    )
                };
                position += 2;
                if let (b"--output", Some(output)) = (word.to_bytes(), output(value)) {
                    return Some(output);
                }
            }
            None
        })
    }

    fn set(&mut self, word: &'static CStr, value: Option<&'static CStr>) -> bool {
        let Some(value) = value else {
            Message::error()
                .quoted(word.to_bytes())
                .text(" has no value")
                .send();
            return false;
        };
        let is_valid = match word.to_bytes() {
            b"--output-directory" => {
                self.directory = Some(value);
                !value.to_bytes().is_empty()
            }
            b"--empty-output" => {
                self.empty_output = Some(value);
                is_name(value.to_bytes())
            }
            b"--output" => output(value).is_some(),
            b"--timeout" => match milliseconds(value) {
                Some(timeout) => {
                    self.timeout = Some(timeout);
                    true
                }
                None => false,
            },
            b"--grace" => match milliseconds(value) {
                Some(grace) => {
                    self.grace = grace;
                    true
                }
                None => false,
            },
            other => {
                Message::error()
                    .text("unexpected argument ")
                    .quoted(other)
                    .send();
                return false;
            }
        };
        if !is_valid {
            Message::error()
                .quoted(value.to_bytes())
                .text(" is not a value of ")
                .quoted(word.to_bytes())
                .send();
        }
        is_valid
    }
}

/// `NAME=TYPE`
fn output(value: &'static CStr) -> Option<(&'static str, OutputType)> {
    let (name, ty) = value.to_str().ok()?.split_once('=')?;
    let ty = OutputType::of(ty)?;
    is_name(name.as_bytes()).then_some((name, ty))
}

/// Whether a text is the name of a file in a directory.
fn is_name(name: &[u8]) -> bool {
    !name.is_empty() && name != b"." && name != b".." && name.len() < 256 && !name.contains(&b'/')
}

fn milliseconds(seconds: &CStr) -> Option<u64> {
    seconds
        .to_str()
        .ok()?
        .parse::<u64>()
        .ok()?
        .checked_mul(1000)
}

/// # Safety
/// There is an argument at this position.
pub unsafe fn argument(arguments: Arguments, position: usize) -> &'static CStr {
    CStr::from_ptr((*arguments.add(position)).cast())
}
