//! Inputs as arguments: `--x 21`, `--ok`, `--names a --names b`.

use std::collections::{BTreeMap, BTreeSet};
use std::num::{IntErrorKind, ParseIntError};

use union_build::diag::nearest;
use union_build::spec::types::Type;
use union_build::spec::value::InputValue;

use super::file::value_of_json;
use crate::sys::words;

/// Parsed arguments.
#[derive(Debug, Default)]
pub(super) struct ParsedArgs {
    /// Values by the name of their input.
    pub(super) values: BTreeMap<String, InputValue>,
    /// Why an argument is not valid, one sentence each.
    pub(super) problems: Vec<String>,
    /// Inputs with an argument that is not valid.
    pub(super) invalid: BTreeSet<String>,
}

/// Parses arguments by the types of a task's inputs.
pub(super) fn parse(arguments: &[String], types: &BTreeMap<String, Type>) -> ParsedArgs {
    let mut parsed = ParsedArgs::default();
    let mut texts: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let mut arguments = arguments.iter().peekable();
    while let Some(argument) = arguments.next() {
        let Some(option) = argument.strip_prefix("--") else {
            parsed.problems.push(format!(
                "`{argument}` belongs to no input: write `--NAME VALUE`"
            ));
            continue;
        };
        let (name, attached) = option
            .split_once('=')
            .map_or((option, None), |(name, value)| {
                (name, Some(value.to_owned()))
            });
        let value = attached.or_else(|| arguments.next_if(|next| !next.starts_with("--")).cloned());
        let Some((name, ty)) = find_input(name, types) else {
            parsed.problems.push(unknown_input(name, types));
            continue;
        };
        match value {
            Some(value) => texts.entry(name).or_default().push(value),
            None if is_boolean(ty) => texts.entry(name).or_default().push("true".to_owned()),
            None => parsed.reject(
                name,
                &format!(
                    "`{}` has no value; an example is `{}`",
                    flag(name),
                    example(name, ty)
                ),
            ),
        }
    }
    for (name, texts) in texts {
        let ty = &types[name];
        match parse_values(ty, &texts) {
            Ok(value) => drop(parsed.values.insert(name.to_owned(), value)),
            Err(problem) => parsed.reject(
                name,
                &format!(
                    "`{}`: {problem}; an example is `{}`",
                    flag(name),
                    example(name, ty)
                ),
            ),
        }
    }
    parsed
}

impl ParsedArgs {
    fn reject(&mut self, name: &str, problem: &str) {
        self.problems.push(problem.to_owned());
        self.invalid.insert(name.to_owned());
    }
}

/// An input by its name, in which `-` may replace `_`.
fn find_input<'a>(name: &str, types: &'a BTreeMap<String, Type>) -> Option<(&'a str, &'a Type)> {
    let (name, ty) = types
        .get_key_value(name)
        .or_else(|| types.get_key_value(&name.replace('-', "_")))?;
    Some((name, ty))
}

fn unknown_input(name: &str, types: &BTreeMap<String, Type>) -> String {
    let similar = nearest(&name.replace('-', "_"), types.keys().map(String::as_str));
    let suggestion = similar
        .map(|similar| format!("; did you mean `{}`?", flag(similar)))
        .unwrap_or_default();
    format!("`--{name}` is not an input{suggestion}")
}

fn parse_values(ty: &Type, texts: &[String]) -> Result<InputValue, String> {
    match (ty, texts) {
        (Type::Optional(inner), _) => parse_values(inner, texts),
        // A list may be one JSON array, or one argument per value.
        (Type::List(_), [json]) if json.trim_start().starts_with('[') => parse_text(ty, json),
        (Type::List(inner), _) => Ok(InputValue::List(
            texts
                .iter()
                .map(|text| parse_text(inner, text))
                .collect::<Result<_, _>>()?,
        )),
        (_, [text]) => parse_text(ty, text),
        (_, several) => Err(format!(
            "given {} times, but the input is not a list",
            several.len()
        )),
    }
}

fn parse_text(ty: &Type, text: &str) -> Result<InputValue, String> {
    Ok(match ty {
        Type::Optional(inner) => parse_text(inner, text)?,
        Type::Integer => {
            InputValue::Integer(text.parse().map_err(
                |cause: ParseIntError| match cause.kind() {
                    IntErrorKind::PosOverflow | IntErrorKind::NegOverflow => {
                        format!("`{text}` does not fit into 64 bits")
                    }
                    _ => format!("`{text}` is not a whole number"),
                },
            )?)
        }
        Type::Float => match text.parse::<f64>() {
            Ok(number) if number.is_finite() => InputValue::Float(number),
            _ => return Err(format!("`{text}` is not a number")),
        },
        Type::Boolean => match text {
            "true" => InputValue::Bool(true),
            "false" => InputValue::Bool(false),
            _ => return Err(format!("`{text}` is neither `true` nor `false`")),
        },
        Type::String
        | Type::Datetime
        | Type::Duration
        | Type::File
        | Type::Directory
        | Type::Enum(_) => InputValue::Text(text.to_owned()),
        Type::Struct | Type::List(_) | Type::Map(_) => value_of_json(
            serde_json::from_str(text).map_err(|cause| format!("`{text}` is not JSON: {cause}"))?,
        )?,
    })
}

fn is_boolean(ty: &Type) -> bool {
    match ty {
        Type::Optional(inner) => is_boolean(inner),
        ty => *ty == Type::Boolean,
    }
}

/// The flag of an input.
pub(super) fn flag(name: &str) -> String {
    format!("--{name}")
}

/// An argument for an input, quoted for a shell.
pub(super) fn example(name: &str, ty: &Type) -> String {
    let flag = flag(name);
    match ty {
        Type::Optional(inner) => example(name, inner),
        Type::List(inner) if !matches!(**inner, Type::List(_)) => {
            format!("{flag} {0} {flag} {0}", example_value(inner))
        }
        Type::Boolean => format!("{flag}=false"),
        ty => format!("{flag} {}", example_value(ty)),
    }
}

fn example_value(ty: &Type) -> String {
    match ty {
        Type::Integer => "21".to_owned(),
        Type::Float => "0.5".to_owned(),
        Type::String => "text".to_owned(),
        Type::Boolean => "true".to_owned(),
        Type::Datetime => "2030-01-31T12:00:00Z".to_owned(),
        Type::Duration => "1h30m".to_owned(),
        Type::File => "data.csv".to_owned(),
        Type::Directory => "data/".to_owned(),
        Type::Enum(words) => words.first().cloned().unwrap_or_default(),
        Type::Optional(inner) => example_value(inner),
        Type::Struct | Type::List(_) | Type::Map(_) => format!("'{}'", example_json(ty)),
    }
}

fn example_json(ty: &Type) -> String {
    match ty {
        Type::Struct => "{\"a\": 1}".to_owned(),
        Type::List(inner) => format!("[{}]", example_json(inner)),
        Type::Map(inner) => format!("{{\"a\": {}}}", example_json(inner)),
        Type::Optional(inner) => example_json(inner),
        Type::Integer | Type::Float | Type::Boolean => example_value(ty),
        _ => format!("\"{}\"", example_value(ty)),
    }
}

/// A type as a noun with its article, for messages.
pub(super) fn describe_type(ty: &Type) -> String {
    match ty {
        Type::Integer => "a whole number".to_owned(),
        Type::Float => "a number".to_owned(),
        Type::String => "text".to_owned(),
        Type::Boolean => "true or false".to_owned(),
        Type::Datetime => "a time".to_owned(),
        Type::Duration => "a duration".to_owned(),
        Type::Struct => "a JSON object".to_owned(),
        Type::File => "a file".to_owned(),
        Type::Directory => "a directory".to_owned(),
        Type::List(inner) => format!("a list of `{inner}`"),
        Type::Map(inner) => format!("a JSON object of `{inner}`"),
        Type::Optional(inner) => describe_type(inner),
        Type::Enum(words) => format!("one of {}", words::list(words)),
    }
}

#[cfg(test)]
mod tests;
