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
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn types() -> BTreeMap<String, Type> {
        let types = [
            ("x", "integer"),
            ("rate", "float"),
            ("label", "string"),
            ("ok", "boolean"),
            ("names", "list[string]"),
            ("grid", "list[list[integer]]"),
            ("fields", "struct"),
            ("learning_rate", "optional[float]"),
            ("verbose", "optional[boolean]"),
        ];
        types
            .iter()
            .map(|(name, ty)| ((*name).to_owned(), Type::parse(ty).unwrap()))
            .collect()
    }

    fn parse_words(words: &[&str]) -> ParsedArgs {
        parse(
            &words
                .iter()
                .map(|word| (*word).to_owned())
                .collect::<Vec<_>>(),
            &types(),
        )
    }

    fn parse_one(name: &str, words: &[&str]) -> InputValue {
        let mut parsed = parse_words(words);
        assert_eq!(parsed.problems, [""; 0], "{words:?}");
        parsed.values.remove(name).unwrap()
    }

    fn text(text: &str) -> InputValue {
        InputValue::Text(text.to_owned())
    }

    #[test]
    fn arguments_are_parsed_by_the_type_of_their_input() {
        assert_eq!(parse_one("x", &["--x", "-5"]), InputValue::Integer(-5));
        assert_eq!(
            parse_one("rate", &["--rate=1e3"]),
            InputValue::Float(1000.0)
        );
        assert_eq!(parse_one("label", &["--label", "a=b c"]), text("a=b c"));
        assert_eq!(parse_one("label", &["--label=--x"]), text("--x"));
        assert_eq!(parse_one("label", &["--label="]), text(""));
        assert_eq!(
            parse_one("ok", &["--ok", "--x", "1"]),
            InputValue::Bool(true)
        );
        assert_eq!(parse_one("ok", &["--ok", "false"]), InputValue::Bool(false));
        assert_eq!(parse_one("verbose", &["--verbose"]), InputValue::Bool(true));
        assert_eq!(
            parse_one("learning_rate", &["--learning-rate", "0.1"]),
            InputValue::Float(0.1)
        );
        assert_eq!(
            parse_one("names", &["--names", "a", "--x", "1", "--names", "b"]),
            InputValue::List(vec![text("a"), text("b")])
        );
        assert_eq!(
            parse_one("names", &["--names", r#"["a"]"#]),
            InputValue::List(vec![text("a")])
        );
        assert_eq!(
            parse_one("names", &["--names", "[]"]),
            InputValue::List(vec![])
        );
        let row = || InputValue::List(vec![InputValue::Integer(1), InputValue::Integer(2)]);
        assert_eq!(
            parse_one("grid", &["--grid", "[[1,2],[1,2]]"]),
            InputValue::List(vec![row(), row()])
        );
        assert_eq!(
            parse_one("fields", &["--fields", r#"{"a": null}"#]),
            InputValue::Map([("a".to_owned(), InputValue::Nothing)].into())
        );
    }

    #[test]
    fn problem_of_an_argument_has_an_example() {
        for (words, problem) in [
            (vec!["21"], "`21` belongs to no input: write `--NAME VALUE`"),
            (
                vec!["--lable", "a"],
                "`--lable` is not an input; did you mean `--label`?",
            ),
            (vec!["--zzzzzz"], "`--zzzzzz` is not an input"),
            (vec!["--x"], "`--x` has no value; an example is `--x 21`"),
            (
                vec!["--x", "1", "--x", "2"],
                "`--x`: given 2 times, but the input is not a list; an example is `--x 21`",
            ),
            (
                vec!["--x", "1.5"],
                "`--x`: `1.5` is not a whole number; an example is `--x 21`",
            ),
            (
                vec!["--x", "9999999999999999999"],
                "`--x`: `9999999999999999999` does not fit into 64 bits; an example is `--x 21`",
            ),
            (
                vec!["--rate", "inf"],
                "`--rate`: `inf` is not a number; an example is `--rate 0.5`",
            ),
            (
                vec!["--ok", "yes"],
                "`--ok`: `yes` is neither `true` nor `false`; an example is `--ok=false`",
            ),
            (
                vec!["--fields", "{a:1}"],
                "`--fields`: `{a:1}` is not JSON: key must be a string at line 1 column 2; an example is `--fields '{\"a\": 1}'`",
            ),
        ] {
            assert_eq!(parse_words(&words).problems, [problem]);
        }
        assert!(
            parse_words(&["--x", "1.5"]).invalid.contains("x"),
            "an invalid input is not reported as missing"
        );
    }

    #[test]
    fn examples_are_valid_arguments() {
        let inputs = [
            ("a", "list[integer]"),
            ("b", "list[list[float]]"),
            ("c", "map[list[boolean]]"),
            ("d", "optional[duration]"),
            ("e", "list[struct]"),
        ];
        let examples: Vec<String> = inputs
            .iter()
            .map(|(name, ty)| example(name, &Type::parse(ty).unwrap()))
            .collect();
        assert_eq!(
            examples,
            [
                "--a 21 --a 21",
                "--b '[[0.5]]'",
                "--c '{\"a\": [true]}'",
                "--d 1h30m",
                "--e '{\"a\": 1}' --e '{\"a\": 1}'"
            ]
        );
        for ((name, ty), example) in inputs.iter().zip(examples) {
            let ty = Type::parse(ty).unwrap();
            let words: Vec<String> = example
                .split(" --")
                .enumerate()
                .flat_map(|(n, part)| {
                    let part = if n == 0 {
                        part.to_owned()
                    } else {
                        format!("--{part}")
                    };
                    let (flag, value) = part.split_once(' ').unwrap();
                    [flag.to_owned(), value.trim_matches('\'').to_owned()]
                })
                .collect();
            let parsed = parse(&words, &[((*name).to_owned(), ty.clone())].into());
            assert_eq!(ty.misfit(&parsed.values[*name]), None, "{words:?}");
        }
    }
}
