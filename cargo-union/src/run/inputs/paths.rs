//! The local files and directories in the values of inputs.

use union_build::spec::types::Type;
use union_build::spec::value::InputValue;

/// The local files and directories in a value, with their types.
pub(in crate::run) fn local_paths<'a>(
    ty: &'a Type,
    value: &'a InputValue,
) -> Vec<(&'a Type, &'a str)> {
    match (ty, value) {
        (Type::File | Type::Directory, InputValue::Text(path)) if !path.contains("://") => {
            vec![(ty, path)]
        }
        (Type::Optional(inner), _) => local_paths(inner, value),
        (Type::List(inner), InputValue::List(values)) => values
            .iter()
            .flat_map(|value| local_paths(inner, value))
            .collect(),
        (Type::Map(inner), InputValue::Map(values)) => values
            .values()
            .flat_map(|value| local_paths(inner, value))
            .collect(),
        _ => Vec::new(),
    }
}

/// Replaces the paths of local files and directories in a value, in the order of [`local_paths`].
pub(in crate::run) fn replace_paths(
    ty: &Type,
    value: &InputValue,
    replace: &mut dyn FnMut(&str) -> String,
) -> InputValue {
    match (ty, value) {
        (Type::File | Type::Directory, InputValue::Text(path)) if !path.contains("://") => {
            InputValue::Text(replace(path))
        }
        (Type::Optional(inner), _) => replace_paths(inner, value, replace),
        (Type::List(inner), InputValue::List(values)) => InputValue::List(
            values
                .iter()
                .map(|value| replace_paths(inner, value, replace))
                .collect(),
        ),
        (Type::Map(inner), InputValue::Map(values)) => InputValue::Map(
            values
                .iter()
                .map(|(name, value)| (name.clone(), replace_paths(inner, value, replace)))
                .collect(),
        ),
        _ => value.clone(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn local_files_are_found_and_replaced_at_any_depth() {
        let text = |text: &str| InputValue::Text(text.to_owned());
        let list = |last: &str| InputValue::List(vec![text("s3://a/b"), text(last)]);
        let map = |value: &str| InputValue::Map([("a".to_owned(), text(value))].into());
        let replace = |ty: &Type, value: &InputValue| {
            replace_paths(ty, value, &mut |path| format!("s3://up{path}"))
        };
        for (ty, value, expected) in [
            ("file", text("/data.csv"), text("s3://up/data.csv")),
            ("list[file]", list("/data.csv"), list("s3://up/data.csv")),
            (
                "optional[list[file]]",
                list("/data.csv"),
                list("s3://up/data.csv"),
            ),
            ("map[file]", map("/data.csv"), map("s3://up/data.csv")),
            ("directory", text("/data.csv"), text("s3://up/data.csv")),
        ] {
            let ty = Type::parse(ty).unwrap();
            assert_eq!(
                local_paths(&ty, &value)
                    .into_iter()
                    .map(|(_, path)| path)
                    .collect::<Vec<_>>(),
                ["/data.csv"],
                "{ty}"
            );
            assert_eq!(replace(&ty, &value), expected, "{ty}");
        }
        for (ty, value) in [
            ("directory", text("gs://a/b/")),
            ("optional[file]", text("s3://c")),
            ("string", text("/data.csv")),
        ] {
            let ty = Type::parse(ty).unwrap();
            assert_eq!(local_paths(&ty, &value), [], "{ty}");
            assert_eq!(replace(&ty, &value), value, "{ty}");
        }
    }
}
