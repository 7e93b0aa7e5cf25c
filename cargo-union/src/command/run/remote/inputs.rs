//! The inputs of a run at the backend. Files of this machine go to the backend's store on their way.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use union_build::spec::types::Type;
use union_build::spec::value::InputValue;

use super::super::input_args::InputArgs;
use crate::flyte::client::Client;
use crate::flyte::convert::{LiteralForm, ProjectDomain, literal};
use crate::flyte::files;
use crate::flyte::interface::Interface;
use crate::settings::NewRun;
use crate::sys::error::Result;
use crate::ui::Ui;

/// Values by the names of inputs, as a run takes them.
pub(super) type EncodedInputs = Vec<(String, crate::flyte::convert::Literal)>;

/// Values that fit their types, by the names of inputs. Files of this machine still stand as their paths.
pub(super) struct ResolvedInputs {
    values: BTreeMap<String, (Type, InputValue)>,
    form: LiteralForm,
}

/// What was asked for.
///
/// # Errors
/// `InputsInvalid`, with everything that is wrong.
pub(super) fn read(wanted: &NewRun, interface: &Interface, form: LiteralForm, folder: &Path) -> Result<ResolvedInputs> {
    let types: BTreeMap<String, Type> = interface.inputs.iter().cloned().collect();
    let asked = InputArgs { task: &wanted.task, types: &types, words: &wanted.arguments, file: wanted.inputs.as_deref() };
    let take = |ty: &Type, given: &InputValue| {
        literal(ty, given, form)?;
        locals(ty, given).into_iter().try_for_each(|(ty, path)| check(ty, path))?;
        Ok((ty.clone(), given.clone()))
    };
    Ok(ResolvedInputs { values: asked.read(folder, take)?, form })
}

fn check(ty: &Type, path: &str) -> Result<(), String> {
    match (ty, std::fs::metadata(path)) {
        (_, Err(cause)) => Err(format!("`{path}` cannot be read: {cause}")),
        (Type::Directory, _) => Err(format!(
            "`{path}` is on this machine, and only files are sent from here: put the folder where the backend can read it, and give its address"
        )),
        (_, Ok(found)) if found.is_dir() => Err(format!("`{path}` is a folder, not a file")),
        _ => Ok(()),
    }
}

impl ResolvedInputs {
    /// Values on the wire, once the files are where the backend can read them.
    ///
    /// # Errors
    /// Those of uploads.
    pub(super) async fn sent(self, client: &Client, scope: &ProjectDomain, ui: &Ui) -> Result<EncodedInputs> {
        let paths: BTreeSet<&str> = self.values.values().flat_map(|(ty, given)| locals(ty, given)).map(|(_, path)| path).collect();
        let mut addresses = BTreeMap::new();
        for path in paths {
            let address = files::upload_file(client, scope, Path::new(path)).await?;
            ui.status("Uploaded", format!("{path} to {address}"));
            addresses.insert(path.to_owned(), address);
        }
        let literal =
            |(ty, given): &(Type, InputValue)| literal(ty, &moved(ty, given, &addresses), self.form).expect("it did fit its type");
        Ok(self.values.iter().map(|(name, value)| (name.clone(), literal(value))).collect())
    }
}

/// The files and folders of this machine among a value.
fn locals<'a>(ty: &'a Type, given: &'a InputValue) -> Vec<(&'a Type, &'a str)> {
    match (ty, given) {
        (Type::File | Type::Directory, InputValue::Text(path)) if !path.contains("://") => vec![(ty, path)],
        (Type::Optional(inner), _) => locals(inner, given),
        (Type::List(inner), InputValue::List(values)) => values.iter().flat_map(|value| locals(inner, value)).collect(),
        (Type::Map(inner), InputValue::Map(values)) => values.values().flat_map(|value| locals(inner, value)).collect(),
        _ => Vec::new(),
    }
}

/// A value with addresses in place of paths.
fn moved(ty: &Type, given: &InputValue, addresses: &BTreeMap<String, String>) -> InputValue {
    match (ty, given) {
        (Type::File, InputValue::Text(path)) => InputValue::Text(addresses.get(path).unwrap_or(path).clone()),
        (Type::Optional(inner), _) => moved(inner, given, addresses),
        (Type::List(inner), InputValue::List(values)) => {
            InputValue::List(values.iter().map(|value| moved(inner, value, addresses)).collect())
        }
        (Type::Map(inner), InputValue::Map(values)) => {
            InputValue::Map(values.iter().map(|(name, value)| (name.clone(), moved(inner, value, addresses))).collect())
        }
        _ => given.clone(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn files_of_this_machine_are_found_and_replaced_wherever_they_stand() {
        let text = |text: &str| InputValue::Text(text.to_owned());
        let list = |last: &str| InputValue::List(vec![text("s3://a/b"), text(last)]);
        let map = |value: &str| InputValue::Map([("a".to_owned(), text(value))].into());
        let addresses = BTreeMap::from([("/data.csv".to_owned(), "s3://up/data.csv".to_owned())]);
        for (ty, given, expected) in [
            ("file", text("/data.csv"), text("s3://up/data.csv")),
            ("list[file]", list("/data.csv"), list("s3://up/data.csv")),
            ("optional[list[file]]", list("/data.csv"), list("s3://up/data.csv")),
            ("map[file]", map("/data.csv"), map("s3://up/data.csv")),
        ] {
            let ty = Type::parse(ty).unwrap();
            assert_eq!(locals(&ty, &given).into_iter().map(|(_, path)| path).collect::<Vec<_>>(), ["/data.csv"], "{ty}");
            assert_eq!(moved(&ty, &given, &addresses), expected, "{ty}");
        }
        for (ty, given) in [("directory", text("gs://a/b/")), ("optional[file]", text("s3://c")), ("string", text("/data.csv"))] {
            let ty = Type::parse(ty).unwrap();
            assert_eq!(locals(&ty, &given), [], "{ty}");
            assert_eq!(moved(&ty, &given, &addresses), given, "{ty}");
        }
    }
}
