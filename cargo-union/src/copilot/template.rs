//! Replaces `{{.inputs.NAME}}` in command lines.
//!
//! On the backend this is not done by copilot but by the backend itself, whose formats of values differ in
//! part from copilot's.

use std::collections::BTreeMap;

use union_build::spec::template::{TemplatePart, pieces};
use union_build::spec::time;

use super::{InputLiteral, number};

/// A command line with inserted values. Templates other than inputs, and values of types that cannot be inserted,
/// remain unchanged: callers check for them beforehand.
pub fn filled(words: &[String], inputs: &BTreeMap<String, InputLiteral>) -> Vec<String> {
    let fill = |piece| match piece {
        TemplatePart::Text(text) => text,
        TemplatePart::Input(name) => inputs
            .get(&name)
            .and_then(word)
            .unwrap_or_else(|| format!("{{{{.inputs.{name}}}}}")),
        TemplatePart::Backend(name) => format!("{{{{.{name}}}}}"),
        TemplatePart::Unknown(name) => format!("{{{{.{name}}}}}"),
    };
    words
        .iter()
        .map(|word| pieces(word).into_iter().map(fill).collect())
        .collect()
}

fn word(value: &InputLiteral) -> Option<String> {
    match value {
        InputLiteral::Text(text) => Some(text.clone()),
        InputLiteral::Bool(value) => Some(value.to_string()),
        InputLiteral::Integer(number) => Some(number.to_string()),
        InputLiteral::Float(number) => Some(number::general(*number)),
        InputLiteral::Datetime(seconds, nanoseconds) => {
            Some(time::datetime(*seconds, *nanoseconds))
        }
        InputLiteral::List(values) => Some(format!(
            "[{}]",
            values
                .iter()
                .map(word)
                .collect::<Option<Vec<_>>>()?
                .join(",")
        )),
        InputLiteral::Nothing
        | InputLiteral::Span(_)
        | InputLiteral::Struct(_)
        | InputLiteral::File(_)
        | InputLiteral::Directory(_)
        | InputLiteral::Map(_) => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn command_line_has_values_in_the_formats_of_the_backend() {
        let inputs = BTreeMap::from([
            ("x".to_owned(), InputLiteral::Integer(21)),
            ("rate".to_owned(), InputLiteral::Float(1e-7)),
            (
                "names".to_owned(),
                InputLiteral::List(vec![
                    InputLiteral::Text("a b".to_owned()),
                    InputLiteral::Text("c".to_owned()),
                ]),
            ),
            ("when".to_owned(), InputLiteral::Datetime(0, 500_000_000)),
        ]);
        let words = [
            "app",
            "--x={{.inputs.x}}",
            "{{ .Inputs.rate }}",
            "{{.inputs.names}}",
            "{{.inputs.when}}",
            "{{ jinja }}",
        ];
        let words = words.map(str::to_owned);
        assert_eq!(
            filled(&words, &inputs),
            [
                "app",
                "--x=21",
                "1e-07",
                "[a b,c]",
                "1970-01-01T00:00:00.5Z",
                "{{ jinja }}"
            ]
        );
    }
}
