//! Inputs in a file: a JSON object or TOML.

use std::collections::BTreeMap;
use std::path::Path;

use union_build::spec::value::InputValue;

/// The largest file that is read; backends reject messages above this size.
const MAX_SIZE: u64 = 64 << 20;

/// The values of a file by name, or why it cannot be read, as a sentence.
pub(super) fn read(path: &Path) -> Result<BTreeMap<String, InputValue>, String> {
    let name = path.display();
    let extension = path.extension().and_then(std::ffi::OsStr::to_str);
    if !matches!(extension, Some("json" | "toml")) {
        return Err(format!(
            "`{name}` should be a JSON object and end in `.json`, or TOML and end in `.toml`"
        ));
    }
    let size = std::fs::metadata(path)
        .map_err(|cause| format!("`{name}` cannot be read: {cause}"))?
        .len();
    if size > MAX_SIZE {
        return Err(format!(
            "`{name}` has {size} bytes, where {MAX_SIZE} are the most: put large values into files of their own"
        ));
    }
    let text = std::fs::read_to_string(path)
        .map_err(|cause| format!("`{name}` cannot be read: {cause}"))?;
    let table = match extension {
        Some("json") => value_of_json(
            serde_json::from_str(&text)
                .map_err(|cause| format!("`{name}` is not JSON: {cause}"))?,
        ),
        _ => value_of_toml(
            text.parse::<toml::Table>()
                .map_err(|cause| format!("`{name}` is not TOML: {}", cause.to_string().trim_end()))?
                .into(),
        ),
    };
    match table
        .map_err(|problem| format!("`{name}` has a value that cannot be taken: {problem}"))?
    {
        InputValue::Map(values) => Ok(values),
        other => Err(format!(
            "`{name}` holds {other}, not a JSON object with the inputs by name"
        )),
    }
}

/// Converts a JSON value. The only errors are numbers of more than 64 bits.
pub(super) fn value_of_json(value: serde_json::Value) -> Result<InputValue, String> {
    Ok(match value {
        serde_json::Value::Null => InputValue::Nothing,
        serde_json::Value::Bool(value) => InputValue::Bool(value),
        serde_json::Value::String(text) => InputValue::Text(text),
        serde_json::Value::Array(values) => InputValue::List(
            values
                .into_iter()
                .map(value_of_json)
                .collect::<Result<_, _>>()?,
        ),
        serde_json::Value::Object(values) => InputValue::Map(
            values
                .into_iter()
                .map(|(name, value)| Ok((name, value_of_json(value)?)))
                .collect::<Result<_, String>>()?,
        ),
        serde_json::Value::Number(number) => {
            match (number.as_i64(), number.is_u64(), number.as_f64()) {
                (Some(number), _, _) => InputValue::Integer(number),
                (None, false, Some(number)) => InputValue::Float(number),
                _ => return Err(format!("`{number}` does not fit into 64 bits")),
            }
        }
    })
}

fn value_of_toml(value: toml::Value) -> Result<InputValue, String> {
    Ok(match value {
        toml::Value::Boolean(value) => InputValue::Bool(value),
        toml::Value::Integer(number) => InputValue::Integer(number),
        toml::Value::String(text) => InputValue::Text(text),
        toml::Value::Datetime(time) => InputValue::Text(time.to_string()),
        toml::Value::Float(number) if number.is_finite() => InputValue::Float(number),
        toml::Value::Float(number) => return Err(format!("`{number}` is not a finite number")),
        toml::Value::Array(values) => InputValue::List(
            values
                .into_iter()
                .map(value_of_toml)
                .collect::<Result<_, _>>()?,
        ),
        toml::Value::Table(values) => InputValue::Map(
            values
                .into_iter()
                .map(|(name, value)| Ok((name, value_of_toml(value)?)))
                .collect::<Result<_, String>>()?,
        ),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn read_as(name: &str, text: &str) -> Result<BTreeMap<String, InputValue>, String> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        read(&path).map_err(|problem| problem.replace(&directory.path().display().to_string(), "."))
    }

    #[test]
    fn json_and_toml_have_the_same_values() {
        let json =
            r#"{"x": 1, "y": 0.5, "s": "a", "ok": true, "l": [1], "when": "2030-01-31T12:00:00Z"}"#;
        let toml = "x = 1\ny = 0.5\ns = 'a'\nok = true\nl = [1]\nwhen = 2030-01-31T12:00:00Z\n";
        assert_eq!(
            read_as("a.json", json).unwrap(),
            read_as("a.toml", toml).unwrap()
        );
        assert_eq!(
            read_as("a.json", r#"{"x": null}"#).unwrap()["x"],
            InputValue::Nothing
        );
    }

    #[test]
    fn problem_names_the_file_and_the_cause() {
        for (name, text, problem) in [
            (
                "a.yaml",
                "x: 1",
                "`./a.yaml` should be a JSON object and end in `.json`, or TOML and end in `.toml`",
            ),
            (
                "a.json",
                "[1]",
                "`./a.json` holds a list, not a JSON object with the inputs by name",
            ),
            (
                "a.json",
                "{",
                "`./a.json` is not JSON: EOF while parsing an object at line 1 column 1",
            ),
            (
                "a.json",
                r#"{"x": 18446744073709551615}"#,
                "`./a.json` has a value that cannot be taken: `18446744073709551615` does not fit into 64 bits",
            ),
            (
                "a.toml",
                "x = inf",
                "`./a.toml` has a value that cannot be taken: `inf` is not a finite number",
            ),
        ] {
            assert_eq!(read_as(name, text).unwrap_err(), problem);
        }
        assert!(
            read(Path::new("/no/such.json"))
                .unwrap_err()
                .starts_with("`/no/such.json` cannot be read: ")
        );
    }
}
