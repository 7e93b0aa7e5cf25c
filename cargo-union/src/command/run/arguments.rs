//! Inputs as words of the command line: `--x 21`, `--ok`, `--names a --names b`.

use std::collections::{BTreeMap, BTreeSet};
use std::num::IntErrorKind;

use union_build::diag::nearest;
use union_build::spec::types::Type;
use union_build::spec::value::InputValue;

use super::file::of_json;
use crate::ui;

/// What the words say.
#[derive(Debug, Default)]
pub(super) struct ParsedArgs {
    /// Values by the names of inputs.
    pub(super) given: BTreeMap<String, InputValue>,
    /// What cannot be understood.
    pub(super) problems: Vec<String>,
    /// Inputs that were named, and whose values cannot be understood.
    pub(super) broken: BTreeSet<String>,
}

/// Reads words, as the types of a task's inputs understand them.
pub(super) fn read(words: &[String], types: &BTreeMap<String, Type>) -> ParsedArgs {
    let mut read = ParsedArgs::default();
    let mut texts: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let mut words = words.iter().peekable();
    while let Some(word) = words.next() {
        let Some(typed) = word.strip_prefix("--") else {
            read.problems.push(format!("`{word}` belongs to no input: write `--NAME VALUE`"));
            continue;
        };
        let (name, attached) = typed.split_once('=').map_or((typed, None), |(name, value)| (name, Some(value.to_owned())));
        let value = attached.or_else(|| words.next_if(|word| !word.starts_with("--")).cloned());
        let Some((name, ty)) = known(name, types) else {
            read.problems.push(unknown_inputs(name, types));
            continue;
        };
        match value {
            Some(value) => texts.entry(name).or_default().push(value),
            None if is_boolean(ty) => texts.entry(name).or_default().push("true".to_owned()),
            None => read.refuse(name, &format!("`{}` has no value; an example is `{}`", flag(name), example(name, ty))),
        }
    }
    for (name, texts) in texts {
        let ty = &types[name];
        match value(ty, &texts) {
            Ok(given) => drop(read.given.insert(name.to_owned(), given)),
            Err(why) => read.refuse(name, &format!("`{}`: {why}; an example is `{}`", flag(name), example(name, ty))),
        }
    }
    read
}

impl ParsedArgs {
    fn refuse(&mut self, name: &str, why: &str) {
        self.problems.push(why.to_owned());
        self.broken.insert(name.to_owned());
    }
}

/// An input by its name, in which `-` may stand for `_`, as it does in other commands.
fn known<'a>(name: &str, types: &'a BTreeMap<String, Type>) -> Option<(&'a str, &'a Type)> {
    let (name, ty) = types.get_key_value(name).or_else(|| types.get_key_value(&name.replace('-', "_")))?;
    Some((name, ty))
}

fn unknown_inputs(name: &str, types: &BTreeMap<String, Type>) -> String {
    let meant = nearest(&name.replace('-', "_"), types.keys().map(String::as_str));
    let meant = meant.map(|meant| format!("; did you mean `{}`?", flag(meant))).unwrap_or_default();
    format!("`--{name}` is no input{meant}")
}

fn value(ty: &Type, texts: &[String]) -> Result<InputValue, String> {
    match (ty, texts) {
        (Type::Optional(inner), _) => value(inner, texts),
        // A list may be written as JSON, or value by value.
        (Type::List(_), [json]) if json.trim_start().starts_with('[') => of_text(ty, json),
        (Type::List(inner), _) => Ok(InputValue::List(texts.iter().map(|text| of_text(inner, text)).collect::<Result<_, _>>()?)),
        (_, [text]) => of_text(ty, text),
        (_, several) => Err(format!("given {} times, but the input is not a list", several.len())),
    }
}

fn of_text(ty: &Type, text: &str) -> Result<InputValue, String> {
    Ok(match ty {
        Type::Optional(inner) => of_text(inner, text)?,
        Type::Integer => InputValue::Integer(text.parse().map_err(|cause: std::num::ParseIntError| match cause.kind() {
            IntErrorKind::PosOverflow | IntErrorKind::NegOverflow => format!("`{text}` does not fit into 64 bits"),
            _ => format!("`{text}` is not a whole number"),
        })?),
        Type::Float => match text.parse::<f64>() {
            Ok(number) if number.is_finite() => InputValue::Float(number),
            _ => return Err(format!("`{text}` is not a number")),
        },
        Type::Boolean => match text {
            "true" => InputValue::Bool(true),
            "false" => InputValue::Bool(false),
            _ => return Err(format!("`{text}` is neither `true` nor `false`")),
        },
        Type::String | Type::Datetime | Type::Duration | Type::File | Type::Directory | Type::Enum(_) => InputValue::Text(text.to_owned()),
        Type::Struct | Type::List(_) | Type::Map(_) => {
            of_json(serde_json::from_str(text).map_err(|cause| format!("`{text}` is not JSON: {cause}"))?)?
        }
    })
}

fn is_boolean(ty: &Type) -> bool {
    match ty {
        Type::Optional(inner) => is_boolean(inner),
        ty => *ty == Type::Boolean,
    }
}

/// The word that names an input.
pub(super) fn flag(name: &str) -> String {
    format!("--{name}")
}

/// An input as a user could type it.
pub(super) fn example(name: &str, ty: &Type) -> String {
    let flag = flag(name);
    match ty {
        Type::Optional(inner) => example(name, inner),
        Type::List(inner) if !matches!(**inner, Type::List(_)) => format!("{flag} {0} {flag} {0}", example_value(inner)),
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

/// What an input is, as a sentence goes on with it.
pub(super) fn noun(ty: &Type) -> String {
    match ty {
        Type::Integer => "a whole number".to_owned(),
        Type::Float => "a number".to_owned(),
        Type::String => "text".to_owned(),
        Type::Boolean => "true or false".to_owned(),
        Type::Datetime => "a time".to_owned(),
        Type::Duration => "a duration".to_owned(),
        Type::Struct => "a JSON object".to_owned(),
        Type::File => "a file".to_owned(),
        Type::Directory => "a folder".to_owned(),
        Type::List(inner) => format!("a list of `{inner}`"),
        Type::Map(inner) => format!("a JSON object of `{inner}`"),
        Type::Optional(inner) => noun(inner),
        Type::Enum(words) => format!("one of {}", ui::list(words)),
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
        types.iter().map(|(name, ty)| ((*name).to_owned(), Type::parse(ty).unwrap())).collect()
    }

    fn words(words: &[&str]) -> ParsedArgs {
        read(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>(), &types())
    }

    fn one(name: &str, typed: &[&str]) -> InputValue {
        let mut read = words(typed);
        assert_eq!(read.problems, [""; 0], "{typed:?}");
        read.given.remove(name).unwrap()
    }

    fn text(text: &str) -> InputValue {
        InputValue::Text(text.to_owned())
    }

    #[test]
    fn words_are_understood_by_the_type_of_their_input() {
        assert_eq!(one("x", &["--x", "-5"]), InputValue::Integer(-5));
        assert_eq!(one("rate", &["--rate=1e3"]), InputValue::Float(1000.0));
        assert_eq!(one("label", &["--label", "a=b c"]), text("a=b c"));
        assert_eq!(one("label", &["--label=--x"]), text("--x"));
        assert_eq!(one("label", &["--label="]), text(""));
        assert_eq!(one("ok", &["--ok", "--x", "1"]), InputValue::Bool(true));
        assert_eq!(one("ok", &["--ok", "false"]), InputValue::Bool(false));
        assert_eq!(one("verbose", &["--verbose"]), InputValue::Bool(true));
        assert_eq!(one("learning_rate", &["--learning-rate", "0.1"]), InputValue::Float(0.1));
        assert_eq!(one("names", &["--names", "a", "--x", "1", "--names", "b"]), InputValue::List(vec![text("a"), text("b")]));
        assert_eq!(one("names", &["--names", r#"["a"]"#]), InputValue::List(vec![text("a")]));
        assert_eq!(one("names", &["--names", "[]"]), InputValue::List(vec![]));
        let row = || InputValue::List(vec![InputValue::Integer(1), InputValue::Integer(2)]);
        assert_eq!(one("grid", &["--grid", "[[1,2],[1,2]]"]), InputValue::List(vec![row(), row()]));
        assert_eq!(one("fields", &["--fields", r#"{"a": null}"#]), InputValue::Map([("a".to_owned(), InputValue::Nothing)].into()));
    }

    #[test]
    fn what_cannot_be_understood_says_what_would_be() {
        for (typed, problem) in [
            (vec!["21"], "`21` belongs to no input: write `--NAME VALUE`"),
            (vec!["--lable", "a"], "`--lable` is no input; did you mean `--label`?"),
            (vec!["--zzzzzz"], "`--zzzzzz` is no input"),
            (vec!["--x"], "`--x` has no value; an example is `--x 21`"),
            (vec!["--x", "1", "--x", "2"], "`--x`: given 2 times, but the input is not a list; an example is `--x 21`"),
            (vec!["--x", "1.5"], "`--x`: `1.5` is not a whole number; an example is `--x 21`"),
            (vec!["--x", "9999999999999999999"], "`--x`: `9999999999999999999` does not fit into 64 bits; an example is `--x 21`"),
            (vec!["--rate", "inf"], "`--rate`: `inf` is not a number; an example is `--rate 0.5`"),
            (vec!["--ok", "yes"], "`--ok`: `yes` is neither `true` nor `false`; an example is `--ok=false`"),
            (
                vec!["--fields", "{a:1}"],
                "`--fields`: `{a:1}` is not JSON: key must be a string at line 1 column 2; an example is `--fields '{\"a\": 1}'`",
            ),
        ] {
            assert_eq!(words(&typed).problems, [problem]);
        }
        assert!(words(&["--x", "1.5"]).broken.contains("x"), "it is not missing as well");
    }

    #[test]
    fn an_example_can_be_typed_as_it_stands() {
        let wanted = [
            ("a", "list[integer]"),
            ("b", "list[list[float]]"),
            ("c", "map[list[boolean]]"),
            ("d", "optional[duration]"),
            ("e", "list[struct]"),
        ];
        let examples: Vec<String> = wanted.iter().map(|(name, ty)| example(name, &Type::parse(ty).unwrap())).collect();
        assert_eq!(examples, ["--a 21 --a 21", "--b '[[0.5]]'", "--c '{\"a\": [true]}'", "--d 1h30m", "--e '{\"a\": 1}' --e '{\"a\": 1}'"]);
        for ((name, ty), example) in wanted.iter().zip(examples) {
            let ty = Type::parse(ty).unwrap();
            let typed: Vec<String> = example
                .split(" --")
                .enumerate()
                .flat_map(|(n, part)| {
                    let part = if n == 0 { part.to_owned() } else { format!("--{part}") };
                    let (flag, value) = part.split_once(' ').unwrap();
                    [flag.to_owned(), value.trim_matches('\'').to_owned()]
                })
                .collect();
            let read = read(&typed, &[((*name).to_owned(), ty.clone())].into());
            assert_eq!(ty.misfit(&read.given[*name]), None, "{typed:?}");
        }
    }
}
