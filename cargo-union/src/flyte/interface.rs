//! What a task takes and gives: declared in the manifest, or told by its binary.

use serde::Deserialize;
use union_build::diag::Code;
use union_build::spec;
use union_build::spec::types::Type;
use union_build::spec::validate::is_task_name;

use crate::sys::error::{Error, Result};

/// The version of the description that is understood here.
const VERSION: u64 = 1;

/// Inputs and outputs with their types.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interface {
    /// Inputs, as they were declared.
    pub inputs: Vec<(String, Type)>,
    /// Outputs, likewise.
    pub outputs: Vec<(String, Type)>,
}

impl Interface {
    /// That of a container task, which its manifest declares.
    pub fn of_manifest(task: &spec::Task) -> Self {
        let typed = |(name, ty): (&String, &spec::Sourced<Type>)| (name.clone(), ty.value.clone());
        Self { inputs: task.inputs.iter().map(typed).collect(), outputs: task.outputs.iter().map(typed).collect() }
    }

    /// The type of an input.
    pub fn input(&self, name: &str) -> Option<&Type> {
        self.inputs.iter().find(|(input, _)| input == name).map(|(_, ty)| ty)
    }
}

/// What a binary that was built with the `flyte` crate says of itself, one line of JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// The line, as an image's label keeps it.
    pub line: String,
    /// The name of the task.
    pub task: String,
    /// Its interface.
    pub interface: Interface,
}

impl Description {
    /// Reads what the binary of that name has printed.
    ///
    /// # Errors
    /// `DescriptionInvalid` for something else, `DescriptionVersion` for a version that is not known
    /// here, `InterfaceUnsupported` for what the backend cannot hold.
    pub fn read(binary: &str, printed: &str) -> Result<Self> {
        let line = printed.trim();
        let invalid = || Error::new(Code::DescriptionInvalid, format!("could not read how `{binary}` describes itself"));
        let version: Versioned = serde_json::from_str(line).map_err(|cause| invalid().because(cause))?;
        if version.flyte_interface_version != VERSION {
            let theirs = version.flyte_interface_version;
            return Err(Error::new(Code::DescriptionVersion, format!("could not read how `{binary}` describes itself"))
                .because(format!("interface description version {theirs} is not supported (expected {VERSION})")));
        }
        let told: RawDescription = serde_json::from_str(line).map_err(|cause| invalid().because(cause))?;
        if !is_task_name(&told.task) {
            let why = format!("`{}` is no name of a task: it needs letters, digits, `-`, `_` or `.`", told.task.escape_debug());
            return Err(invalid().because(why).help("Correct the name that the binary gives its task."));
        }
        let interface = Interface { inputs: variables(binary, &told.inputs)?, outputs: variables(binary, &told.outputs)? };
        Ok(Self { line: line.to_owned(), task: told.task, interface })
    }
}

fn variables(binary: &str, told: &[Variable]) -> Result<Vec<(String, Type)>> {
    let read = |variable: &Variable| {
        let why = match known(&variable.r#type) {
            Some(ty) if variable.required => return Ok((variable.name.clone(), ty)),
            Some(_) => "has a default, which its description does not carry".to_owned(),
            None => match &variable.detail {
                Some(detail) => format!("has a type that no other language knows: {detail}"),
                None => format!("has the type `{}`, which is not known here", variable.r#type),
            },
        };
        Err(Error::new(Code::InterfaceUnsupported, format!("could not take over the interface of `{binary}`"))
            .because(format!("`{}` {why}", variable.name)))
    };
    told.iter().map(read).collect()
}

/// The closed set of words that version 1 has.
fn known(word: &str) -> Option<Type> {
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
struct Versioned {
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
    #[serde(default = "yes")]
    required: bool,
}

fn yes() -> bool {
    true
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const HELLO: &str = r#"{"flyte_interface_version":1,"task":"my_task","inputs":[{"name":"x","type":"integer","required":true},{"name":"label","type":"string","required":true}],"outputs":[{"name":"o0","type":"string"}]}"#;

    #[test]
    fn a_description_gives_name_and_types() {
        let read = Description::read("hello", &format!("{HELLO}\n")).unwrap();
        assert_eq!((read.task.as_str(), read.line.as_str()), ("my_task", HELLO));
        assert_eq!(read.interface.inputs, [("x".to_owned(), Type::Integer), ("label".to_owned(), Type::String)]);
        assert_eq!(read.interface.outputs, [("o0".to_owned(), Type::String)]);
        assert_eq!(read.interface.input("label"), Some(&Type::String));
    }

    #[test]
    fn an_unknown_version_names_both_sides_whatever_else_it_says() {
        let error = Description::read("hello", r#"{"flyte_interface_version":2,"tasks":[]}"#).unwrap_err();
        assert_eq!(error.code(), Code::DescriptionVersion);
        assert!(error.chain()[1].contains("interface description version 2 is not supported (expected 1)"), "{:?}", error.chain());
    }

    #[test]
    fn what_cannot_be_registered_is_refused_by_name() {
        let with = |variable: &str| format!(r#"{{"flyte_interface_version":1,"task":"t","inputs":[{variable}],"outputs":[]}}"#);
        for (variable, why) in [
            (
                r#"{"name":"b","type":"unsupported","detail":"LiteralType { blob }","required":true}"#,
                "`b` has a type that no other language knows",
            ),
            (r#"{"name":"b","type":"tensor","required":true}"#, "`b` has the type `tensor`, which is not known here"),
            (r#"{"name":"b","type":"integer","required":false}"#, "`b` has a default"),
        ] {
            let error = Description::read("hello", &with(variable)).unwrap_err();
            assert_eq!(error.code(), Code::InterfaceUnsupported);
            assert!(error.chain()[1].starts_with(why), "{:?}", error.chain());
        }
    }

    #[test]
    fn a_name_that_no_task_can_have_is_refused() {
        for name in ["", "..", "../../../tmp/x", "a/b", "a b", "a\\u0000", "é"] {
            let printed = format!(r#"{{"flyte_interface_version":1,"task":"{name}","inputs":[],"outputs":[]}}"#);
            let error = Description::read("hello", &printed).unwrap_err();
            assert_eq!(error.code(), Code::DescriptionInvalid, "{name}");
            assert!(error.chain()[1].contains("is no name of a task"), "{:?}", error.chain());
        }
    }

    #[test]
    fn other_output_is_not_a_description() {
        for printed in ["", "hello", "{}", "[1]", r#"{"flyte_interface_version":1}"#, &format!("log line\n{HELLO}")] {
            assert_eq!(Description::read("hello", printed).unwrap_err().code(), Code::DescriptionInvalid, "{printed}");
        }
    }
}
