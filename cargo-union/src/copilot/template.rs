//! Values in a command line, in place of `{{.inputs.NAME}}`.
//!
//! Here it is not copilot but the backend itself that writes them, and it writes some of them in
//! another way than copilot does.

use std::collections::BTreeMap;

use union_build::spec::template::{Piece, pieces};
use union_build::spec::time;
use union_build::spec::types::Type;

use super::{Value, number};

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
pub fn filled(words: &[String], inputs: &BTreeMap<String, Value>) -> Vec<String> {
    let fill = |piece| match piece {
        Piece::Text(text) => text,
        Piece::Input(name) => inputs.get(&name).and_then(word).unwrap_or_else(|| format!("{{{{.inputs.{name}}}}}")),
        Piece::Backend(name) => format!("{{{{.{name}}}}}"),
        Piece::Unknown(name) => format!("{{{{.{name}}}}}"),
    };
    words.iter().map(|word| pieces(word).into_iter().map(fill).collect()).collect()
}

fn word(value: &Value) -> Option<String> {
    match value {
        Value::Text(text) => Some(text.clone()),
        Value::Bool(value) => Some(value.to_string()),
        Value::Integer(number) => Some(number.to_string()),
        Value::Float(number) => Some(number::general(*number)),
        Value::Datetime(seconds, nanoseconds) => Some(time::datetime(*seconds, *nanoseconds)),
        Value::List(values) => Some(format!("[{}]", values.iter().map(word).collect::<Option<Vec<_>>>()?.join(","))),
        Value::Nothing | Value::Span(_) | Value::Struct(_) | Value::File(_) | Value::Folder(_) | Value::Map(_) => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_holds_values_as_the_backend_writes_them() {
        let inputs = BTreeMap::from([
            ("x".to_owned(), Value::Integer(21)),
            ("rate".to_owned(), Value::Float(1e-7)),
            ("names".to_owned(), Value::List(vec![Value::Text("a b".to_owned()), Value::Text("c".to_owned())])),
            ("when".to_owned(), Value::Datetime(0, 500_000_000)),
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
