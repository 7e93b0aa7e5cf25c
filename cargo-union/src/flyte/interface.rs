//! The interface of a task: declared in the manifest, described by its binary, or registered at the backend.

use serde::Deserialize;
use union_build::diag::Code;
use union_build::spec;
use union_build::spec::types::Type;
use union_build::spec::validate::is_task_name;

use crate::sys::error::{Error, Result};

/// The supported version of a binary's description.
const VERSION: u64 = 1;

/// The inputs and outputs of a task with their types (Flyte's `TypedInterface`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interface {
    /// Names and types of the inputs.
    pub inputs: Vec<(String, Type)>,
    /// Names and types of the outputs.
    pub outputs: Vec<(String, Type)>,
}

impl Interface {
    /// The interface of a container task, which its manifest declares.
    pub fn of_manifest(task: &spec::Task) -> Self {
        let typed = |(name, ty): (&String, &spec::Sourced<Type>)| (name.clone(), ty.value.clone());
        Self {
            inputs: task.inputs.iter().map(typed).collect(),
            outputs: task.outputs.iter().map(typed).collect(),
        }
    }

    /// The type of an input.
    pub fn input(&self, name: &str) -> Option<&Type> {
        self.inputs
            .iter()
            .find(|(input, _)| input == name)
            .map(|(_, ty)| ty)
    }
}

/// How a binary built with the `flyte` crate describes its task: one line of JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// The line as printed, which image labels contain.
    pub line: String,
    /// Name of the task.
    pub task: String,
    /// Inputs and outputs of the task.
    pub interface: Interface,
}

impl Description {
    /// Parses what `binary` printed.
    ///
    /// # Errors
    /// U0704 (`DescriptionInvalid`) when it is not a description, U0705 (`DescriptionVersion`) for another version,
    /// U0706 (`InterfaceUnsupported`) for types and defaults that cannot be registered.
    pub fn read(binary: &str, printed: &str) -> Result<Self> {
        let line = printed.trim();
        let invalid = || {
            Error::new(
                Code::DescriptionInvalid,
                format!("could not read how `{binary}` describes itself"),
            )
        };
        let version: DescriptionHeader =
            serde_json::from_str(line).map_err(|cause| invalid().because(cause))?;
        let found = version.flyte_interface_version;
        if found != VERSION {
            return Err(Error::new(
                Code::DescriptionVersion,
                format!("could not read how `{binary}` describes itself"),
            )
            .because(format!(
                "interface description version {found} is not supported (expected {VERSION})"
            )));
        }
        let raw: RawDescription =
            serde_json::from_str(line).map_err(|cause| invalid().because(cause))?;
        if !is_task_name(&raw.task) {
            let why = format!(
                "`{}` is not a task name: it needs letters, digits, `-`, `_` or `.`",
                raw.task.escape_debug()
            );
            return Err(invalid()
                .because(why)
                .help("Correct the name that the binary gives its task."));
        }
        let interface = Interface {
            inputs: variables(binary, &raw.inputs)?,
            outputs: variables(binary, &raw.outputs)?,
        };
        Ok(Self {
            line: line.to_owned(),
            task: raw.task,
            interface,
        })
    }
}

fn variables(binary: &str, described: &[Variable]) -> Result<Vec<(String, Type)>> {
    let variable_type = |variable: &Variable| {
        let why = match type_of_word(&variable.r#type) {
            Some(ty) if variable.required => return Ok((variable.name.clone(), ty)),
            Some(_) => "has a default, which its description does not contain".to_owned(),
            None => match &variable.detail {
                Some(detail) => {
                    format!("has a type that is not supported outside of Rust: {detail}")
                }
                None => format!("has the type `{}`, which is not supported", variable.r#type),
            },
        };
        Err(Error::new(
            Code::InterfaceUnsupported,
            format!("could not read the interface of `{binary}`"),
        )
        .because(format!("`{}` {why}", variable.name)))
    };
    described.iter().map(variable_type).collect()
}

/// The types of description version 1.
fn type_of_word(word: &str) -> Option<Type> {
    Some(match word {
        "integer" => Type::Integer,
        "float" => Type::Float,
        "string" => Type::String,
        "boolean" => Type::Boolean,
        "struct" => Type::Struct,
        _ => return None,
    })
}

#[derive(Deserialize)]
struct DescriptionHeader {
    flyte_interface_version: u64,
}

#[derive(Deserialize)]
struct RawDescription {
    task: String,
    inputs: Vec<Variable>,
    outputs: Vec<Variable>,
}

#[derive(Deserialize)]
struct Variable {
    name: String,
    r#type: String,
    detail: Option<String>,
    #[serde(default = "default_required")]
    required: bool,
}

fn default_required() -> bool {
    true
}

#[cfg(test)]
mod tests;
