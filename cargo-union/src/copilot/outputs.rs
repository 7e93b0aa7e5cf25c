//! Reads the outputs of a task from the files of its program, as strictly as copilot.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::json;
use union_build::diag::nearest;
use union_build::spec::time;
use union_build::spec::types::Type;

use super::output_type::{self, MAX_BYTES, OutputType};
use super::{OutputDir, value};

/// The file in which a program reports an error although it exits with 0.
pub const ERROR: &str = "_ERROR";

/// An output of a task.
#[derive(Clone, Debug, PartialEq)]
pub struct OutputDecl {
    /// Name of the output.
    pub name: String,
    /// Value of the output.
    pub taken: OutputValue,
}

/// The value of an output.
#[derive(Clone, Debug, PartialEq)]
pub enum OutputValue {
    /// A value as JSON.
    Value(serde_json::Value),
    /// A file or directory: its path below the output directory.
    Path(PathBuf),
}

/// Reads all outputs; `shown` is the path of the output directory in the program's view.
///
/// # Errors
/// All problems of the outputs.
pub fn outputs(
    written: &OutputDir,
    declared: &BTreeMap<String, Type>,
    shown: &str,
) -> Result<Vec<OutputDecl>, Vec<String>> {
    let mut outputs = Vec::new();
    let mut problems = Vec::new();
    for (name, ty) in declared {
        match written.read_output(name, ty, shown) {
            Ok(taken) => outputs.push(OutputDecl {
                name: name.clone(),
                taken,
            }),
            Err(why) => problems.push(why),
        }
    }
    if problems.is_empty() {
        Ok(outputs)
    } else {
        Err(problems)
    }
}

impl OutputDir {
    /// The error that the program reported in [`ERROR`].
    pub fn error(&self) -> Option<String> {
        let path = self.directory.join(ERROR);
        std::fs::read(path)
            .ok()
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The local path of a file or directory below the output directory.
    pub fn path(&self, below: &Path) -> PathBuf {
        self.directory.join(below)
    }

    fn read_output(&self, name: &str, ty: &Type, shown: &str) -> Result<OutputValue, String> {
        let below = self.find_entry(name, ty, shown)?;
        let is_unsupported = |(path, _): &(&PathBuf, &&str)| path.starts_with(&below);
        if let Some((path, what)) = self.others.iter().find(is_unsupported) {
            return Err(format!(
                "`{shown}/{}` is {what}, which copilot does not support: write a file",
                path.display()
            ));
        }
        let path = self.directory.join(&below);
        let metadata = std::fs::metadata(&path)
            .map_err(|cause| format!("`{shown}/{}` cannot be read: {cause}", below.display()))?;
        match ty {
            Type::Directory if metadata.is_dir() => Ok(OutputValue::Path(below)),
            Type::Directory => Err(format!(
                "`{shown}/{}` is a file, and `{name}` is declared as a directory",
                below.display()
            )),
            _ if metadata.is_dir() => Err(format!(
                "`{shown}/{}` is a directory, and `{name}` is declared as `{ty}`",
                below.display()
            )),
            Type::File => Ok(OutputValue::Path(below)),
            _ if metadata.len() > MAX_BYTES => Err(format!(
                "`{name}` has {} bytes; copilot accepts at most {MAX_BYTES} of a value that is not a file: declare it as `file`, or write less",
                metadata.len()
            )),
            _ => {
                let bytes = std::fs::read(&path).map_err(|cause| {
                    format!("`{shown}/{}` cannot be read: {cause}", below.display())
                })?;
                let text =
                    String::from_utf8(bytes).map_err(|_| format!("`{name}` is not UTF-8"))?;
                let text = output_type::trim(&text);
                parse(ty, text).map(OutputValue::Value).ok_or_else(|| {
                    format!(
                        "`{name}` holds {}, which is not {}",
                        quoted(text),
                        written_as(ty)
                    )
                })
            }
        }
    }

    /// The path of an output: the entry of its name, or the only entry of its name with an extension.
    fn find_entry(&self, name: &str, ty: &Type, shown: &str) -> Result<PathBuf, String> {
        let entries = std::fs::read_dir(&self.directory)
            .into_iter()
            .flatten()
            .flatten();
        let names_on_disk = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        let other_names = self
            .others
            .keys()
            .filter(|path| path.components().count() == 1)
            .map(|path| path.display().to_string());
        let mut names: Vec<String> = names_on_disk.chain(other_names).collect();
        names.sort();
        names.dedup();
        if names.iter().any(|file| file == name) {
            return Ok(name.into());
        }
        let with_extension: Vec<&String> = names
            .iter()
            .filter(|file| {
                file.strip_prefix(name)
                    .is_some_and(|rest| rest.starts_with('.'))
            })
            .collect();
        match with_extension[..] {
            [file] => Ok(file.into()),
            [] => {
                let instead = nearest(name, names.iter().map(String::as_str))
                    .map(|meant| format!("; it wrote `{meant}`"));
                let should = format!(
                    "the program must write {} to `{shown}/{name}`",
                    written_as(ty)
                );
                Err(format!(
                    "`{name}` is missing: {should}{}",
                    instead.unwrap_or_default()
                ))
            }
            _ => {
                let list: Vec<String> = with_extension
                    .iter()
                    .map(|file| format!("`{file}`"))
                    .collect();
                Err(format!(
                    "`{name}` matches each of {}: write only one of them",
                    list.join(", ")
                ))
            }
        }
    }
}

/// Parses the text of a file; `None` when it is not of the type.
fn parse(ty: &Type, text: &str) -> Option<serde_json::Value> {
    OutputType::of(&ty.to_string())
        .filter(|ty| ty.accepts(text))
        .and_then(|_| convert(ty, text))
}

fn convert(ty: &Type, text: &str) -> Option<serde_json::Value> {
    Some(match ty {
        Type::Integer => json!(text.parse::<i64>().ok()?),
        Type::Float => match text.parse::<f64>().ok()? {
            number if number.is_finite() => value::float(number),
            number if number.is_nan() => json!("NaN"),
            number => json!(if number > 0.0 {
                "Infinity"
            } else {
                "-Infinity"
            }),
        },
        Type::Boolean => json!(output_type::parse_boolean(text)?),
        Type::Datetime => {
            let (seconds, nanoseconds) = time::parse_datetime(text)?;
            json!(time::datetime(seconds, nanoseconds))
        }
        Type::Duration => {
            let nanoseconds = output_type::parse_duration(text)?;
            let span = time::duration(std::time::Duration::from_nanos(nanoseconds.unsigned_abs()));
            json!(if nanoseconds < 0 {
                format!("-{span}")
            } else {
                span
            })
        }
        Type::Struct => serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(text)
            .ok()?
            .into(),
        _ => json!(text),
    })
}

/// The expected content of an output, as messages name it.
fn written_as(ty: &Type) -> String {
    OutputType::of(&ty.to_string()).map_or_else(|| ty.words(), |ty| ty.expected().to_owned())
}

fn quoted(text: &str) -> String {
    const LONGEST: usize = 60;
    match text.chars().count() {
        0 => "nothing".to_owned(),
        1..=LONGEST => format!("`{text}`"),
        count => format!("{count} characters"),
    }
}

#[cfg(test)]
mod tests;
