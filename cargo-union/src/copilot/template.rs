//! Values in a command line, in place of `{{.inputs.NAME}}`.
//!
//! Here it is not copilot but the backend itself that writes them, and it writes some of them in
//! another way than copilot does.

use std::collections::BTreeMap;

use union_build::spec::template::{TemplatePart, pieces};
use union_build::spec::time;
use union_build::spec::types::Type;

use super::{InputLiteral, number};

/// Whether the backend can put a value of this type into a command line.
pub fn is_fillable(ty: &Type) -> bool {
    match ty {
        Type::Integer | Type::Float | Type::String | Type::Boolean | Type::Datetime | Type::Enum(_) => true,
        Type::List(inner) => is_fillable(inner),
        // Of a span it writes its own notation for protocol buffers, of a struct that of Go's maps, and a
        // file is somewhere in its storage; the others it refuses.
        Type::Duration | Type::Struct | Type::File | Type::Directory | Type::Map(_) | Type::Optional(_) => false,
    }
}

/// A command line with values in it. What is not an input's value, and what cannot stand in a command
/// line, stays as it is: whoever asks has looked before.
pub fn filled(words: &[String], inputs: &BTreeMap<String, InputLiteral>) -> Vec<String> {
    let fill = |piece| match piece {
        TemplatePart::Text(text) => text,
        TemplatePart::Input(name) => inputs.get(&name).and_then(word).unwrap_or_else(|| format!("{{{{.inputs.{name}}}}}")),
        TemplatePart::Backend(name) => format!("{{{{.{name}}}}}"),
        TemplatePart::Unknown(name) => format!("{{{{.{name}}}}}"),
    };
    words.iter().map(|word| pieces(word).into_iter().map(fill).collect()).collect()
}

fn word(value: &InputLiteral) -> Option<String> {
    match value {
        InputLiteral::Text(text) => Some(text.clone()),
        InputLiteral::Bool(value) => Some(value.to_string()),
        InputLiteral::Integer(number) => Some(number.to_string()),
        InputLiteral::Float(number) => Some(number::general(*number)),
        InputLiteral::Datetime(seconds, nanoseconds) => Some(time::datetime(*seconds, *nanoseconds)),
        InputLiteral::List(values) => Some(format!("[{}]", values.iter().map(word).collect::<Option<Vec<_>>>()?.join(","))),
        InputLiteral::Nothing
        | InputLiteral::Span(_)
        | InputLiteral::Struct(_)
        | InputLiteral::File(_)
        | InputLiteral::Folder(_)
        | InputLiteral::Map(_) => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_holds_values_as_the_backend_writes_them() {
        let inputs = BTreeMap::from([
            ("x".to_owned(), InputLiteral::Integer(21)),
            ("rate".to_owned(), InputLiteral::Float(1e-7)),
            ("names".to_owned(), InputLiteral::List(vec![InputLiteral::Text("a b".to_owned()), InputLiteral::Text("c".to_owned())])),
            ("when".to_owned(), InputLiteral::Datetime(0, 500_000_000)),
        ]);
        let words = ["app", "--x={{.inputs.x}}", "{{ .Inputs.rate }}", "{{.inputs.names}}", "{{.inputs.when}}", "{{ jinja }}"];
        let words = words.map(str::to_owned);
        assert_eq!(filled(&words, &inputs), ["app", "--x=21", "1e-07", "[a b,c]", "1970-01-01T00:00:00.5Z", "{{ jinja }}"]);
    }

    #[test]
    fn only_some_types_can_stand_in_a_command_line() {
        for (ty, fits) in [("list[list[string]]", true), ("duration", false), ("list[file]", false), ("optional[integer]", false)] {
            assert_eq!(is_fillable(&Type::parse(ty).unwrap()), fits, "{ty}");
        }
    }
}
