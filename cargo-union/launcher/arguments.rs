//! The launcher's own arguments:
//!
//! ```text
//! launcher [--output-directory DIR] [--output NAME=TYPE]... [--empty-output NAME] [--timeout SECONDS] [--grace SECONDS]
//!          -- PROGRAM [ARGUMENT...]
//! ```

use core::ffi::CStr;

use crate::message::Line;
use crate::output_type::OutputType;
use crate::words::Words;

/// Kubernetes kills a pod 30 s after SIGTERM; the launcher kills the program before that.
const USUAL_GRACE: u64 = 28;

/// The parsed arguments.
pub struct Options {
    /// The directory into which the program writes its outputs.
    pub output_directory: Option<&'static CStr>,
    /// The output to create when the program does not.
    pub empty_output: Option<&'static [u8]>,
    /// The number of seconds after which the program is terminated.
    pub timeout: Option<u64>,
    /// The number of seconds between SIGTERM and SIGKILL.
    pub grace: u64,
    /// The position of the program among the arguments.
    pub program: usize,
}

/// An output that the program must write.
#[derive(Clone, Copy)]
pub struct Output {
    pub name: &'static [u8],
    pub ty: OutputType,
    /// The word for the type.
    pub word: &'static str,
}

/// The arguments are invalid; the reason was written to stderr.
pub struct Refused;

impl Options {
    /// Checks all arguments before the program.
    pub fn parse(words: &Words) -> Result<Self, Refused> {
        let mut options = Self {
            output_directory: None,
            empty_output: None,
            timeout: None,
            grace: USUAL_GRACE,
            program: 0,
        };
        let mut first_output = None;
        let mut position = 1;
        loop {
            let Some(option) = words.get(position) else {
                Line::error().text("`--` and a program are missing").send();
                return Err(Refused);
            };
            if option.to_bytes() == b"--" {
                options.program = position + 1;
                break;
            }
            let value = words.get(position + 1);
            match option.to_bytes() {
                b"--output-directory" => options.output_directory = Some(required(option, value)?),
                b"--output" => {
                    let output = Output::parse(required(option, value)?)?;
                    first_output = first_output.or(Some(output.name));
                }
                b"--empty-output" => {
                    options.empty_output = Some(name_of_file(required(option, value)?.to_bytes())?)
                }
                // As with `timeout` of coreutils, 0 is no limit.
                b"--timeout" => {
                    options.timeout = Some(seconds(option, required(option, value)?)?)
                        .filter(|seconds| *seconds > 0)
                }
                b"--grace" => options.grace = seconds(option, required(option, value)?)?,
                unknown => {
                    Line::error()
                        .quoted(unknown)
                        .text(" is not an option; `--` stands before the program")
                        .send();
                    return Err(Refused);
                }
            }
            position += 2;
        }
        if words.get(options.program).is_none() {
            Line::error()
                .text("the program after `--` is missing")
                .send();
            return Err(Refused);
        }
        match (
            options.output_directory,
            first_output.or(options.empty_output),
        ) {
            (None, Some(name)) => {
                Line::error()
                    .text("`--output-directory` is missing, and there is an output ")
                    .quoted(name)
                    .send();
                Err(Refused)
            }
            _ => Ok(options),
        }
    }

    /// The outputs that the program must write, in the order of the arguments.
    pub fn outputs<'a>(&self, words: &'a Words) -> impl Iterator<Item = Output> + 'a {
        let options = (1..self.program).step_by(2);
        let values = options.filter(|option| {
            words
                .get(*option)
                .is_some_and(|option| option.to_bytes() == b"--output")
        });
        values.filter_map(|option| Output::split(words.get(option + 1)?.to_bytes()))
    }
}

impl Output {
    fn parse(word: &'static CStr) -> Result<Self, Refused> {
        let Some(output) = Self::split(word.to_bytes()) else {
            let mut line = Line::error();
            line.quoted(word.to_bytes()).text(" is not NAME=TYPE with a type that copilot supports: integer, float, string, boolean, ");
            line.text("datetime, duration, struct, file, directory")
                .send();
            return Err(Refused);
        };
        name_of_file(output.name)?;
        Ok(output)
    }

    fn split(word: &'static [u8]) -> Option<Self> {
        let equals = word.iter().position(|byte| *byte == b'=')?;
        let name = &word[..equals];
        let word = core::str::from_utf8(&word[equals + 1..]).ok()?;
        Some(Self {
            name,
            ty: OutputType::of(word)?,
            word,
        })
    }
}

fn required(option: &CStr, value: Option<&'static CStr>) -> Result<&'static CStr, Refused> {
    value.ok_or_else(|| {
        Line::error()
            .quoted(option.to_bytes())
            .text(" needs a value")
            .send();
        Refused
    })
}

/// An output is a file of its name in the directory, and nowhere else.
fn name_of_file(name: &'static [u8]) -> Result<&'static [u8], Refused> {
    const LONGEST: usize = 255;
    if name.is_empty()
        || name.len() > LONGEST
        || name.contains(&b'/')
        || name == b"."
        || name == b".."
    {
        Line::error()
            .quoted(name)
            .text(" is not the name of an output")
            .send();
        return Err(Refused);
    }
    Ok(name)
}

fn seconds(option: &CStr, value: &CStr) -> Result<u64, Refused> {
    let text = core::str::from_utf8(value.to_bytes()).unwrap_or("");
    let number = text
        .bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| text.parse().ok());
    number.flatten().ok_or_else(|| {
        Line::error()
            .quoted(option.to_bytes())
            .text(" needs a whole number of seconds, and got ")
            .quoted(value.to_bytes())
            .send();
        Refused
    })
}
