//! Documents generated from the schema: the reference page and the JSON Schema.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::schema::{DefaultValue, KeyKind, SchemaKey, SchemaLevel, keys, levels};
use super::types;
use super::validate::remote::UNCARRIED;

/// The reference page of the manifest (`docs/manifest.md`), in Markdown.
pub fn reference_markdown() -> String {
    let mut page = String::from(
        "# Manifest reference\n\n\
         Every key of `[package.metadata.union]`. `[workspace.metadata.union]` has the same keys and gives defaults to the packages\n\
         that have a table of their own: tables merge key by key, lists replace one another, and paths are relative to the manifest\n\
         that declares them. Environment variables win over manifests, flags over both. A package's `build` gives the defaults of\n\
         each image's `build`.\n",
    );
    for level in levels() {
        let _ = write!(page, "\n## {}\n\n{}\n\n", heading(level), level.doc);
        page.push_str("| key | value | default | meaning |\n|---|---|---|---|\n");
        for key in level.keys {
            let default = match key.default {
                DefaultValue::None => "–".to_owned(),
                DefaultValue::Toml(text) => format!("`{text}`"),
                DefaultValue::Words(words) => words.to_owned(),
            };
            let _ = writeln!(
                page,
                "| `{}` | {} | {default} | {} |",
                key.name,
                value_words(key.kind),
                meaning(level, key)
            );
        }
        for (name, reason) in level.refused {
            let _ = writeln!(page, "\n`{name}` of the Python SDK is refused: {reason}.");
        }
    }
    let _ = write!(
        page,
        "\n## Types\n\nThe types of `inputs` and `outputs` are {}; a list of strings, such as `[\"fast\", \"slow\"]`, is an enum.\n\
         A duration is written as `90s`, `1h30m` or `7d`, a datetime as `2030-01-31T12:00:00Z`.\n",
        types::words()
    );
    page
}

/// The JSON Schema (draft 7) of the `union` table, for editors.
pub fn json_schema() -> Value {
    let mut definitions = Map::new();
    for level in levels().into_iter().skip(1) {
        definitions.insert(definition_name(level), table_schema(level));
    }
    let mut schema = table_schema(levels()[0]);
    schema["$schema"] = json!("http://json-schema.org/draft-07/schema#");
    schema["title"] = json!("cargo union");
    schema["definitions"] = Value::Object(definitions);
    schema
}

fn heading(level: &SchemaLevel) -> String {
    match level.path {
        "" => "`[package.metadata.union]`".to_owned(),
        path => format!("`{path}`"),
    }
}

fn value_words(kind: KeyKind) -> String {
    match kind {
        KeyKind::Word(words) => words
            .iter()
            .map(|word| format!("`\"{word}\"`"))
            .collect::<Vec<_>>()
            .join(", "),
        KeyKind::Types => format!("{}: [types](#types)", kind.words()),
        kind => match kind.level() {
            Some(level) => format!("{}: [`{}`](#{})", kind.words(), level.path, anchor(level)),
            None => kind.words().to_owned(),
        },
    }
}

fn meaning(level: &SchemaLevel, key: &SchemaKey) -> String {
    let mut text = key.doc.to_owned();
    let overrides: Vec<String> = key
        .env
        .iter()
        .chain(&key.flag)
        .map(|name| format!("`{name}`"))
        .collect();
    if !overrides.is_empty() {
        let _ = write!(text, " Overridden by {}.", overrides.join(" and "));
    }
    let name = match level.path {
        path if path == keys::IMAGE.path => Some(key.name.to_owned()),
        path if path == keys::COPY.path => Some(format!("copy.{}", key.name)),
        _ => None,
    };
    let carried =
        !name.is_some_and(|name| UNCARRIED.iter().any(|(uncarried, _)| *uncarried == name));
    match (key.runs, carried) {
        (true, true) => text.push_str(" Needs the docker or the remote builder."),
        (true, false) => text.push_str(" Needs the docker builder."),
        (false, false) => text.push_str(" Not with the remote builder."),
        (false, true) => {}
    }
    if let Some(kind) = key.only {
        let _ = write!(text, " Only for the kind `{kind}`.");
    }
    text
}

fn anchor(level: &SchemaLevel) -> String {
    level
        .path
        .chars()
        .filter(|letter| *letter != '.')
        .flat_map(char::to_lowercase)
        .collect()
}

fn definition_name(level: &SchemaLevel) -> String {
    level.path.replace(".NAME", "").replace('.', "-")
}

fn table_schema(level: &SchemaLevel) -> Value {
    let properties: Map<String, Value> = level
        .keys
        .iter()
        .map(|key| (key.name.to_owned(), key_schema(key)))
        .collect();
    json!({ "type": "object", "description": level.doc, "properties": properties, "additionalProperties": false })
}

fn key_schema(key: &SchemaKey) -> Value {
    let mut schema = kind_schema(key.kind);
    schema["description"] = json!(key.doc);
    if let Some(default) = default_value(key) {
        schema["default"] = default;
    }
    schema
}

fn kind_schema(kind: KeyKind) -> Value {
    let text = json!({ "type": "string" });
    let quantity = json!({ "type": ["string", "integer"] });
    let table = |level: &SchemaLevel| json!({ "$ref": format!("#/definitions/{}", definition_name(level)) });
    match kind {
        KeyKind::Text | KeyKind::Path | KeyKind::Duration => text,
        KeyKind::Word(words) => json!({ "enum": words }),
        KeyKind::Bool => json!({ "type": "boolean" }),
        KeyKind::Integer => json!({ "type": "integer" }),
        KeyKind::Number => json!({ "type": "number" }),
        KeyKind::Quantity => quantity,
        KeyKind::Amount => {
            json!({ "anyOf": [quantity, { "type": "array", "items": quantity, "minItems": 2, "maxItems": 2 }] })
        }
        KeyKind::Texts | KeyKind::Paths => json!({ "type": "array", "items": text }),
        KeyKind::TextMap => json!({ "type": "object", "additionalProperties": text }),
        // Draft 7 ignores all keywords beside a `$ref`.
        KeyKind::Table(level) => json!({ "allOf": [table(level)] }),
        KeyKind::Tables(level) => json!({ "type": "object", "additionalProperties": table(level) }),
        KeyKind::Entries(level) => json!({ "type": "array", "items": table(level) }),
        KeyKind::PathsOrEntries(level) | KeyKind::NamesOrEntries(level) => {
            json!({ "type": "array", "items": { "anyOf": [text, table(level)] } })
        }
        KeyKind::Types => {
            json!({ "type": "object", "additionalProperties": { "anyOf": [text, { "type": "array", "items": text }] } })
        }
        KeyKind::Any => json!({}),
        KeyKind::Values => json!({ "type": "object" }),
        KeyKind::Either(kinds, _) => {
            json!({ "anyOf": kinds.iter().map(|kind| kind_schema(*kind)).collect::<Vec<_>>() })
        }
    }
}

fn default_value(key: &SchemaKey) -> Option<Value> {
    match key.default {
        DefaultValue::Toml("{}") => Some(json!({})),
        // TOML strings, numbers, booleans and lists of strings have the same syntax in JSON.
        DefaultValue::Toml(text) => serde_json::from_str(text).ok(),
        DefaultValue::None | DefaultValue::Words(_) => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn reference_page_shows_every_key_of_every_table() {
        let page = reference_markdown();
        for level in levels() {
            let section = page
                .split("\n## ")
                .find(|section| section.starts_with(&heading(level)))
                .unwrap();
            for key in level.keys {
                assert!(
                    section.contains(&format!("\n| `{}` | ", key.name)),
                    "{} of {}",
                    key.name,
                    level.path
                );
            }
        }
        assert!(page.contains("Overridden by `UNION_REGISTRY` and `--registry`."));
        assert!(page.contains("`runtime-packages` of the Python SDK is refused: "));
    }

    #[test]
    fn json_schema_has_no_dangling_reference_and_keeps_defaults() {
        let schema = json_schema();
        let text = schema.to_string();
        for reference in text.split("#/definitions/").skip(1) {
            let name = reference.split('"').next().unwrap();
            assert!(schema["definitions"][name].is_object(), "{name}");
        }
        let image = &schema["definitions"]["images"]["properties"];
        assert_eq!(image["platforms"]["default"], json!(["linux/amd64"]));
        assert_eq!(image["compression"]["enum"], json!(["gzip", "zstd"]));
        assert_eq!(image["env"]["default"], json!({}));
        assert_eq!(schema["additionalProperties"], json!(false));
    }

    #[test]
    fn json_schema_has_every_default() {
        for key in levels().into_iter().flat_map(|level| level.keys) {
            assert_eq!(
                matches!(key.default, DefaultValue::Toml(_)),
                default_value(key).is_some(),
                "{}",
                key.name
            );
        }
    }
}
