//! Values and keys as TOML text.

use super::tree::{TomlNode, TomlValue};

/// A text as a TOML string.
pub(super) fn string(text: &str) -> String {
    toml::Value::from(text).to_string()
}

/// A key, quoted when necessary.
pub(super) fn key(name: &str) -> String {
    let bare = !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    if bare { name.to_owned() } else { string(name) }
}

/// A value on one line.
pub(super) fn value(value: &TomlValue) -> String {
    let list = |nodes: &[TomlNode]| {
        nodes
            .iter()
            .map(|node| self::value(&node.value))
            .collect::<Vec<_>>()
            .join(", ")
    };
    match value {
        TomlValue::Text(text) => string(text),
        TomlValue::Bool(value) => value.to_string(),
        TomlValue::Integer(number) => number.to_string(),
        TomlValue::Number(digits) => digits.clone(),
        TomlValue::List(nodes) => format!("[{}]", list(nodes)),
        TomlValue::Table(table) if table.is_empty() => "{}".to_owned(),
        TomlValue::Table(table) => {
            let pairs: Vec<String> = table
                .iter()
                .map(|(name, node)| format!("{} = {}", key(name), self::value(&node.value)))
                .collect();
            format!("{{ {} }}", pairs.join(", "))
        }
        TomlValue::Broken => "?".to_owned(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_strings_are_quoted_when_necessary() {
        assert_eq!(key("apt-packages"), "apt-packages");
        assert_eq!(key("a.b"), "\"a.b\"");
        assert_eq!(key(""), "\"\"");
        for text in ["plain", "say \"hi\"", "two\nlines", "back\\slash", "\u{7f}"] {
            let document = format!("key = {}", string(text));
            assert_eq!(
                document.parse::<toml::Table>().unwrap()["key"].as_str(),
                Some(text)
            );
        }
    }
}
