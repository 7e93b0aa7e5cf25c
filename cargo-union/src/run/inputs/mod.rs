//! The inputs of a task, from a file and from arguments.

mod arguments;
mod file;
mod paths;

use std::collections::BTreeMap;
use std::path::Path;

use union_build::diag::{Code, nearest};
use union_build::spec::types::Type;
use union_build::spec::value::InputValue;

use super::options::InputOptions;
use crate::sys::error::{Error, Result};
use crate::sys::fs;

pub(super) use paths::{local_paths, replace_paths};

/// Reads the inputs of a task.
pub(super) struct InputReader<'a> {
    /// The key of the task's table, for messages.
    pub(super) task: &'a str,
    pub(super) types: &'a BTreeMap<String, Type>,
    pub(super) options: &'a InputOptions,
}

/// A value, with the text that a message has before and after its problem.
struct LocatedValue {
    value: InputValue,
    prefix: String,
    suffix: String,
}

impl InputReader<'_> {
    /// Returns the inputs by name, each converted by `convert`, whose error is a part of a sentence. Arguments take
    /// precedence over the file; an optional input without a value is converted from [`InputValue::Nothing`]. Relative
    /// paths in arguments are resolved against `directory`, those in the file against the directory of the file.
    ///
    /// # Errors
    /// `InputsInvalid`, with all problems.
    pub(super) fn read<T>(
        &self,
        directory: &Path,
        convert: impl Fn(&Type, &InputValue) -> Result<T, String>,
    ) -> Result<BTreeMap<String, T>> {
        let mut problems = Vec::new();
        let file_values = self.read_file(directory, &mut problems);
        let is_file_valid = file_values.is_ok();
        let mut values = file_values.unwrap_or_else(|problem| {
            problems.push(problem);
            BTreeMap::new()
        });
        let arguments = arguments::parse(&self.options.arguments, self.types);
        problems.extend(arguments.problems);
        for (name, value) in arguments.values {
            let ty = &self.types[&name];
            let located = LocatedValue {
                value: with_absolute_paths(ty, &value, directory),
                prefix: format!("`{}`", arguments::flag(&name)),
                suffix: format!("; an example is `{}`", arguments::example(&name, ty)),
            };
            values.insert(name, located);
        }
        let mut inputs = BTreeMap::new();
        for (name, ty) in self.types {
            let located = match (values.remove(name), ty) {
                (Some(located), _) => located,
                (None, Type::Optional(_)) => LocatedValue {
                    value: InputValue::Nothing,
                    prefix: format!("`{name}`"),
                    suffix: String::new(),
                },
                // A problem was added already, or the file that may have the value is not readable.
                (None, _) if !is_file_valid || arguments.invalid.contains(name) => continue,
                (None, _) => {
                    let example = arguments::example(name, ty);
                    problems.push(format!(
                        "`{name}` is missing: it is {}, such as `{example}`",
                        arguments::describe_type(ty)
                    ));
                    continue;
                }
            };
            match convert(ty, &located.value) {
                Ok(input) => drop(inputs.insert(name.clone(), input)),
                Err(problem) => {
                    problems.push(format!("{}: {problem}{}", located.prefix, located.suffix))
                }
            }
        }
        if problems.is_empty() {
            Ok(inputs)
        } else {
            Err(self.error(&problems))
        }
    }

    /// The values of the file; names that are not inputs are added to the problems.
    fn read_file(
        &self,
        directory: &Path,
        problems: &mut Vec<String>,
    ) -> Result<BTreeMap<String, LocatedValue>, String> {
        let Some(file) = &self.options.file else {
            return Ok(BTreeMap::new());
        };
        let path = fs::absolute(directory, file);
        let mut values = BTreeMap::new();
        for (name, value) in file::read(&path)? {
            let Some(ty) = self.types.get(&name) else {
                let similar = nearest(&name, self.types.keys().map(String::as_str));
                let suggestion = similar
                    .map(|similar| format!("; did you mean `{similar}`?"))
                    .unwrap_or_default();
                problems.push(format!(
                    "`{name}` of `{}` is not an input{suggestion}",
                    file.display()
                ));
                continue;
            };
            let value = with_absolute_paths(ty, &value, path.parent().unwrap_or(directory));
            let prefix = format!("`{name}` of `{}`", file.display());
            values.insert(
                name,
                LocatedValue {
                    value,
                    prefix,
                    suffix: String::new(),
                },
            );
        }
        Ok(values)
    }

    fn error(&self, problems: &[String]) -> Error {
        let inputs: Vec<String> = self
            .types
            .iter()
            .map(|(name, ty)| format!("`{name}: {ty}`"))
            .collect();
        let help = if inputs.is_empty() {
            "It takes no inputs.".to_owned()
        } else {
            format!("It takes {}.", inputs.join(", "))
        };
        let error = Error::new(
            Code::InputsInvalid,
            format!("could not run task `{}` with these inputs", self.task),
        );
        error.because(problems.join("\n")).help(help)
    }
}

/// A value with its relative paths joined to a directory; URLs are not changed.
fn with_absolute_paths(ty: &Type, value: &InputValue, directory: &Path) -> InputValue {
    replace_paths(ty, value, &mut |path| {
        fs::absolute(directory, Path::new(path))
            .to_string_lossy()
            .into_owned()
    })
}

#[cfg(test)]
mod tests;
