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

/// A value, with the text that a message has before and after a problem with it.
struct LocatedValue {
    value: InputValue,
    prefix: String,
    suffix: String,
}

impl InputReader<'_> {
    /// The inputs by name, each converted by `convert`, whose error is a part of a sentence. Arguments take precedence
    /// over the file; an optional input without a value is converted from [`InputValue::Nothing`]. Relative paths in
    /// arguments start from `directory`, those in the file from the directory of the file.
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
                // The problem is in the list, or the file that may have the value is not readable.
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

/// A value with its relative paths joined to a directory; URLs are left as they are.
fn with_absolute_paths(ty: &Type, value: &InputValue, directory: &Path) -> InputValue {
    replace_paths(ty, value, &mut |path| {
        fs::absolute(directory, Path::new(path))
            .to_string_lossy()
            .into_owned()
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn types(types: &[(&str, &str)]) -> BTreeMap<String, Type> {
        types
            .iter()
            .map(|(name, ty)| ((*name).to_owned(), Type::parse(ty).unwrap()))
            .collect()
    }

    fn read(
        types: &BTreeMap<String, Type>,
        arguments: &[&str],
        file: Option<&Path>,
    ) -> Result<BTreeMap<String, InputValue>> {
        let arguments = arguments
            .iter()
            .map(|argument| (*argument).to_owned())
            .collect();
        let options = InputOptions {
            file: file.map(Path::to_owned),
            arguments,
        };
        let convert =
            |ty: &Type, value: &InputValue| ty.misfit(value).map_or_else(|| Ok(value.clone()), Err);
        InputReader {
            task: "train",
            types,
            options: &options,
        }
        .read(Path::new("/here"), convert)
    }

    #[test]
    fn arguments_override_the_file_and_optional_inputs_may_be_absent() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("inputs.toml");
        std::fs::write(&file, "x = 1\nlabel = 'file'\ndata = ['a.csv', 's3://b']\n").unwrap();
        let types = types(&[
            ("x", "integer"),
            ("label", "string"),
            ("data", "list[file]"),
            ("seed", "optional[integer]"),
            ("out", "file"),
        ]);
        let inputs = read(&types, &["--x", "2", "--out", "sub/../o.bin"], Some(&file)).unwrap();
        let text = |text: &str| InputValue::Text(text.to_owned());
        assert_eq!(
            (&inputs["x"], &inputs["label"], &inputs["seed"]),
            (&InputValue::Integer(2), &text("file"), &InputValue::Nothing)
        );
        let csv = directory.path().join("a.csv").display().to_string();
        assert_eq!(
            inputs["data"],
            InputValue::List(vec![text(&csv), text("s3://b")])
        );
        assert_eq!(inputs["out"], text("/here/o.bin"));
    }

    #[test]
    fn all_problems_are_reported_at_once() {
        let types = types(&[
            ("label", "string"),
            ("rate", "float"),
            ("x", "integer"),
            ("when", "datetime"),
        ]);
        let error = read(
            &types,
            &["--lable", "a", "--rate", "fast", "--when=soon"],
            None,
        )
        .unwrap_err();
        assert_eq!(error.code(), Code::InputsInvalid);
        assert_eq!(
            error.chain(),
            [
                "could not run task `train` with these inputs",
                "`--lable` is not an input; did you mean `--label`?\n\
                 `--rate`: `fast` is not a number; an example is `--rate 0.5`\n\
                 `label` is missing: it is text, such as `--label text`\n\
                 `--when`: `\"soon\"` is not a time such as `2030-01-31T12:00:00Z`; an example is `--when 2030-01-31T12:00:00Z`\n\
                 `x` is missing: it is a whole number, such as `--x 21`",
            ]
        );
        assert_eq!(
            error.advice(),
            "It takes `label: string`, `rate: float`, `when: datetime`, `x: integer`."
        );
    }

    #[test]
    fn problems_of_a_file_name_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("in.json");
        std::fs::write(&file, r#"{"rates": 1, "x": "one"}"#).unwrap();
        let types = types(&[("x", "integer"), ("rate", "float")]);
        let error = read(&types, &[], Some(&file)).unwrap_err();
        let shown = file.display();
        let expected = [
            format!("`rates` of `{shown}` is not an input; did you mean `rate`?"),
            "`rate` is missing: it is a number, such as `--rate 0.5`".to_owned(),
            format!("`x` of `{shown}`: `\"one\"` is not a whole number"),
        ];
        assert_eq!(error.chain()[1], expected.join("\n"));
        std::fs::remove_file(&file).unwrap();
        let error = read(&types, &["--rate", "1"], Some(&file)).unwrap_err();
        assert!(
            error.chain()[1].starts_with(&format!("`{shown}` cannot be read")),
            "{:?}",
            error.chain()
        );
        assert_eq!(
            error.chain()[1].lines().count(),
            1,
            "inputs that the file may have are not reported as missing"
        );
    }
}
