//! Inputs, outputs, and the references to inputs in the command line.

use std::collections::{BTreeMap, BTreeSet};

use crate::diag::{Code, Diagnostic, Origin, nearest};
use crate::spec::launcher::EMPTY_OUTPUT;
use crate::spec::task::Data;
use crate::spec::template::{OF_THE_BACKEND, TemplatePart, pieces};
use crate::spec::tree::{TomlNode, TomlValue};
use crate::spec::types::{self, Type};
use crate::spec::validate::reader::TableReader;
use crate::spec::validate::{grammar, unknown};
use crate::spec::{Sourced, TaskKind, toml_text};

/// The inputs of a task that the manifest declares.
pub(super) struct DeclaredTaskInputs<'a> {
    /// The types of the inputs that are not broken.
    pub(super) types: BTreeMap<String, Sourced<Type>>,
    /// The names of all inputs; `None` when only the binary declares them, or when their table is broken.
    names: Option<BTreeSet<&'a str>>,
}

impl<'a> DeclaredTaskInputs<'a> {
    /// Reads `inputs`.
    pub(super) fn read(kind: TaskKind, reader: &mut TableReader<'a>) -> Self {
        let names = match reader.table.get("inputs").map(|node| &node.value) {
            Some(TomlValue::Table(table)) if kind == TaskKind::Container => {
                Some(table.keys().map(String::as_str).collect())
            }
            _ => None,
        };
        Self {
            types: variables("inputs", reader),
            names,
        }
    }

    /// Whether the manifest declares them all.
    pub(super) fn are_known(&self) -> bool {
        self.names.is_some()
    }

    /// The problem of an input whose value the backend cannot insert into a command line.
    fn unfit(&self, name: &str, data: &Data, origin: &Origin) -> Option<Diagnostic> {
        let ty = self.types.get(name).filter(|ty| !ty.fits_command_line())?;
        let message = format!(
            "`{{{{.inputs.{name}}}}}` is a `{}`, which the backend cannot put into a command line",
            ty.value
        );
        let problem = Diagnostic::error(Code::InvalidValue, message, origin, "in this word");
        let directory = data.input_path.value.trim_end_matches('/');
        Some(
            problem
                .also(&ty.origin, "declared here")
                .help(format!("the program finds it at `{directory}/{name}`")),
        )
    }

    /// The problem of a name that is not an input. It has no edit, because the text at its place may contain
    /// more than the name.
    pub(super) fn unknown(&self, name: &str, origin: &Origin) -> Option<Diagnostic> {
        let names = self.names.as_ref().filter(|names| !names.contains(name))?;
        Some(Diagnostic {
            suggestion: None,
            ..unknown(Code::UnknownInput, "input", name, origin, names)
        })
    }
}

/// Reads a table of inputs or outputs with their types.
pub(super) fn variables(
    key: &str,
    reader: &mut TableReader<'_>,
) -> BTreeMap<String, Sourced<Type>> {
    let mut variables = BTreeMap::new();
    for (name, node) in reader.table(key).into_iter().flatten() {
        reader
            .problems
            .extend(grammar::VARIABLE.problem(name, &node.key));
        let parsed = match &node.value {
            TomlValue::Text(text) => parse_type(text, &node.origin),
            TomlValue::List(words) => parse_enum(words, &node.origin),
            _ => continue,
        };
        match parsed {
            Ok(value) => drop(variables.insert(
                name.clone(),
                Sourced {
                    value,
                    origin: node.origin.clone(),
                },
            )),
            Err(problem) => reader.problems.push(*problem),
        }
    }
    variables
}

fn parse_type(text: &str, origin: &Origin) -> Result<Type, Box<Diagnostic>> {
    Type::parse(text).map_err(|wrong| {
        let problem = Diagnostic::error(
            Code::InvalidValue,
            format!("`{text}` is not a type: {}", wrong.why),
            origin,
            "not a type",
        );
        let list = format!(
            "the types are {}, and a list of strings for an enum",
            types::words()
        );
        Box::new(match wrong.instead {
            Some((part, meant)) => {
                let better = text.replacen(&part, &meant, 1);
                problem
                    .help(format!("did you mean `{better}`? {list}"))
                    .suggest(origin, toml_text::string(&better))
            }
            None => problem.help(list),
        })
    })
}

fn parse_enum(nodes: &[TomlNode], origin: &Origin) -> Result<Type, Box<Diagnostic>> {
    let mut words = Vec::new();
    for node in nodes {
        let TomlValue::Text(word) = &node.value else {
            continue;
        };
        if word.is_empty() || words.contains(word) {
            let why = if word.is_empty() {
                "is empty"
            } else {
                "is listed twice"
            };
            let problem = Diagnostic::error(
                Code::InvalidValue,
                format!("a value of an enum {why}"),
                &node.origin,
                why,
            );
            return Err(Box::new(problem.help("remove it")));
        }
        words.push(word.clone());
    }
    if words.is_empty() {
        let problem = Diagnostic::error(
            Code::InvalidValue,
            "an enum needs at least one word",
            origin,
            "no words",
        );
        return Err(Box::new(
            problem.help("write its values, such as `[\"fast\", \"slow\"]`"),
        ));
    }
    Ok(Type::Enum(words))
}

/// Names that outputs cannot have: the file by which a program reports an error, and the output of a task without outputs.
const RESERVED_OUTPUTS: [(&str, &str); 2] = [
    ("_ERROR", "the file in which a program reports an error"),
    (EMPTY_OUTPUT, "the name of an output that is never shown"),
];

/// The outputs of a task, by name.
pub(super) fn outputs(reader: &mut TableReader<'_>) -> BTreeMap<String, Sourced<Type>> {
    let outputs = variables("outputs", reader);
    for (name, node) in reader.table("outputs").into_iter().flatten() {
        let reserved = RESERVED_OUTPUTS
            .iter()
            .find(|(reserved, _)| reserved == name);
        reader.problems.extend(reserved.map(|(_, what)| {
            let message = format!("an output cannot be called `{name}`: it is {what}");
            Diagnostic::error(Code::InvalidValue, message, &node.key, "not for outputs")
                .help("choose another name")
        }));
    }
    for (name, ty) in outputs.iter().filter(|(_, ty)| !ty.is_output()) {
        let message = format!(
            "output `{name}` is a `{}`, which a container task cannot return",
            ty.value
        );
        let problem = Diagnostic::error(
            Code::InvalidValue,
            message,
            &ty.origin,
            "not uploaded by Flyte's copilot",
        );
        reader.problems.push(problem.help(
            "copilot uploads plain values, structs, files and directories: use `struct` or `file`",
        ));
    }
    outputs
}

/// Checks that the command line refers only to declared inputs of types that the backend can insert, and to known
/// templates.
pub(super) fn check_command(
    inputs: &DeclaredTaskInputs<'_>,
    data: &Data,
    reader: &mut TableReader<'_>,
) {
    for node in reader.entries("command") {
        let TomlValue::Text(word) = &node.value else {
            continue;
        };
        let problem = |piece| match piece {
            TemplatePart::Input(name) => inputs
                .unknown(&name, &node.origin)
                .or_else(|| inputs.unfit(&name, data, &node.origin)),
            TemplatePart::Unknown(name) => Some(unknown_template(&name, &node.origin)),
            TemplatePart::Text(_) | TemplatePart::Backend(_) => None,
        };
        reader
            .problems
            .extend(pieces(word).into_iter().filter_map(problem));
    }
}

fn unknown_template(name: &str, origin: &Origin) -> Diagnostic {
    let message = format!("`{{{{.{name}}}}}` is not a template");
    let problem = Diagnostic::error(Code::InvalidValue, message, origin, "not known");
    let list: Vec<String> = OF_THE_BACKEND
        .iter()
        .map(|known| format!("`{{{{.{known}}}}}`"))
        .collect();
    let list = format!("known are `{{{{.inputs.NAME}}}}`, {}", list.join(", "));
    problem.help(match nearest(name, OF_THE_BACKEND) {
        Some(meant) => format!("did you mean `{{{{.{meant}}}}}`? {list}"),
        None => list,
    })
}
