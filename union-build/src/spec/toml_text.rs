//! Values and keys as one would type them into a manifest.

use super::raw::{Node, Value};

/// A text as a TOML string.
pub(super) fn string(text: &str) -> String {
    toml::Value::from(text).to_string()
}

/// A key, in quotes when it needs them.
pub(super) fn key(name: &str) -> String {
    let bare = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    if bare { name.to_owned() } else { string(name) }
}

/// A value on one line.
pub(super) fn value(value: &Value) -> String {
    let list = |nodes: &[Node]| nodes.iter().map(|node| self::value(&node.value)).collect::<Vec<_>>().join(", ");
    match value {
        Value::Text(text) => string(text),
        Value::Bool(value) => value.to_string(),
        Value::Integer(number) => number.to_string(),
        Value::Number(digits) => digits.clone(),
        Value::List(nodes) => format!("[{}]", list(nodes)),
        Value::Table(table) if table.is_empty() => "{}".to_owned(),
        Value::Table(table) => {
            let pairs: Vec<String> = table.iter().map(|(name, node)| format!("{} = {}", key(name), self::value(&node.value))).collect();
            format!("{{ {} }}", pairs.join(", "))
        }
        Value::Broken => "?".to_owned(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_strings_are_quoted_when_they_must_be() {
        assert_eq!(key("apt-packages"), "apt-packages");
        assert_eq!(key("a.b"), "\"a.b\"");
        assert_eq!(key(""), "\"\"");
        for text in ["plain", "say \"hi\"", "two\nlines", "back\\slash", "\u{7f}"] {
            let document = format!("key = {}", string(text));
            assert_eq!(document.parse::<toml::Table>().unwrap()["key"].as_str(), Some(text));
        }
    }
}
