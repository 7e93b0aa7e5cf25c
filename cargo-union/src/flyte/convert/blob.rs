//! The files and directories in a literal.

use serde_json::Value;

use super::value;
use crate::flyte::idl::core::blob_type::BlobDimensionality;
use crate::flyte::idl::core::{Blob, Literal, literal, scalar};

/// A file or directory in a literal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlobPlace {
    /// The positions in lists and the keys of maps that lead to it; empty for the literal itself.
    pub path: Vec<String>,
    /// Its address in a store.
    pub address: String,
    /// Whether it is a directory.
    pub is_directory: bool,
}

/// A literal as JSON, as [`value::json`] returns it, with the results of `replace` in place of the addresses of files
/// and directories.
pub fn json_with_blobs(literal: &Literal, replace: &mut dyn FnMut(BlobPlace) -> String) -> Value {
    convert(literal, &mut Vec::new(), replace)
}

fn convert(
    literal: &Literal,
    path: &mut Vec<String>,
    replace: &mut dyn FnMut(BlobPlace) -> String,
) -> Value {
    let mut inner = |part: String, literal: &Literal, path: &mut Vec<String>| {
        path.push(part);
        let value = convert(literal, path, replace);
        path.pop();
        value
    };
    match &literal.value {
        Some(literal::Value::Collection(list)) => list
            .literals
            .iter()
            .enumerate()
            .map(|(position, literal)| inner(position.to_string(), literal, path))
            .collect(),
        Some(literal::Value::Map(map)) => map
            .literals
            .iter()
            .map(|(key, literal)| (key.clone(), inner(key.clone(), literal, path)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        Some(literal::Value::Scalar(scalar)) => match &scalar.value {
            Some(scalar::Value::Blob(blob)) => replace(place(blob, path)).into(),
            Some(scalar::Value::Union(union)) => union
                .value
                .as_deref()
                .map_or(Value::Null, |literal| convert(literal, path, replace)),
            _ => value::json(literal),
        },
        _ => value::json(literal),
    }
}

fn place(blob: &Blob, path: &[String]) -> BlobPlace {
    let is_directory = blob
        .metadata
        .as_ref()
        .and_then(|metadata| metadata.r#type.as_ref())
        .is_some_and(|ty| ty.dimensionality() == BlobDimensionality::Multipart);
    BlobPlace {
        path: path.to_vec(),
        address: blob.uri.clone(),
        is_directory,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use union_build::spec::types::Type;
    use union_build::spec::value::InputValue;

    use super::*;
    use crate::flyte::convert::{LiteralForm, json, literal};

    #[test]
    fn files_and_directories_are_found_at_any_depth() {
        let text = |text: &str| InputValue::Text(text.to_owned());
        let list = InputValue::List(vec![text("s3://b/1"), text("s3://b/2")]);
        let map = InputValue::Map([("k".to_owned(), list)].into());
        let literal = |ty: &str, value: &InputValue| {
            literal(&Type::parse(ty).unwrap(), value, LiteralForm::Json).unwrap()
        };
        let nested = literal("map[list[file]]", &map);
        let mut found = Vec::new();
        let shown = json_with_blobs(&nested, &mut |place| {
            let text = format!("{}:{}", place.path.join("/"), place.address);
            found.push(place.is_directory);
            text
        });
        assert_eq!(
            shown.to_string(),
            r#"{"k":["k/0:s3://b/1","k/1:s3://b/2"]}"#
        );
        assert_eq!(found, [false, false]);

        let directory = literal("optional[directory]", &text("s3://b/d"));
        let shown = json_with_blobs(&directory, &mut |place| {
            assert!(place.is_directory && place.path.is_empty());
            "here".to_owned()
        });
        assert_eq!(shown, "here");
        let plain = literal(
            "list[integer]",
            &InputValue::List(vec![InputValue::Integer(1)]),
        );
        assert_eq!(
            json_with_blobs(&plain, &mut |_| unreachable!("there is no file")),
            json(&plain)
        );
    }
}
