//! The inputs of a run at the backend.

use std::collections::BTreeMap;
use std::path::Path;

use union_build::spec::given::Given;
use union_build::spec::types::Type;

use super::super::asked::Asked;
use crate::base::error::Result;
use crate::flyte::convert::{Form, literal};
use crate::flyte::interface::Interface;
use crate::settings::Wanted;

/// Values on the wire, in the order of their names.
pub(super) fn read(wanted: &Wanted, interface: &Interface, form: Form, folder: &Path) -> Result<super::ordered::Inputs> {
    let types: BTreeMap<String, Type> = interface.inputs.iter().cloned().collect();
    let asked = Asked { task: &wanted.task, types: &types, words: &wanted.arguments, file: wanted.inputs.as_deref() };
    let take = |ty: &Type, given: &Given| match local(ty, given) {
        Some(path) => Err(format!("`{path}` is on this machine, where the backend cannot read it; upload it and give its address")),
        None => literal(ty, given, form),
    };
    Ok(asked.read(folder, take)?.into_iter().collect())
}

/// A path of this machine among the files and folders of a value.
fn local<'a>(ty: &Type, given: &'a Given) -> Option<&'a str> {
    match (ty, given) {
        (Type::File | Type::Directory, Given::Text(path)) if !path.contains("://") => Some(path),
        (Type::Optional(inner), _) => local(inner, given),
        (Type::List(inner), Given::List(values)) => values.iter().find_map(|value| local(inner, value)),
        (Type::Map(inner), Given::Map(values)) => values.values().find_map(|value| local(inner, value)),
        _ => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_path_of_this_machine_is_found_wherever_it_stands() {
        let text = |text: &str| Given::Text(text.to_owned());
        let list = |last: &str| Given::List(vec![text("s3://a/b"), text(last)]);
        for (ty, given, expected) in [
            ("file", text("/data.csv"), Some("/data.csv")),
            ("directory", text("gs://a/b/"), None),
            ("list[file]", list("/data.csv"), Some("/data.csv")),
            ("optional[list[file]]", list("s3://c"), None),
            ("map[file]", Given::Map([("a".to_owned(), text("x"))].into()), Some("x")),
            ("string", text("/data.csv"), None),
        ] {
            assert_eq!(local(&Type::parse(ty).unwrap(), &given), expected, "{ty}");
        }
    }
}
