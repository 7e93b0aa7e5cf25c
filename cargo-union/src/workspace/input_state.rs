//! States of inputs: their names with short hashes, as they are stored in the freshness records.

use std::collections::{BTreeMap, BTreeSet};

use union_build::key::{Inputs, Value, hex};

/// Short hashes of the inputs of a package and of the run, by name. Environment variables that code or scripts declare
/// are not included: cargo compares their values.
pub(super) type PackageState = BTreeMap<String, String>;

/// The state of some inputs.
pub(super) fn state_of(inputs: BTreeMap<String, Value>) -> PackageState {
    inputs
        .into_iter()
        .map(|(name, value)| (name, short_hash(&value)))
        .collect()
}

/// The names of the inputs that differ between two states.
pub(super) fn differing_inputs<'a>(
    before: &'a PackageState,
    now: &'a PackageState,
) -> impl Iterator<Item = &'a str> {
    let names: BTreeSet<&String> = before.keys().chain(now.keys()).collect();
    names
        .into_iter()
        .filter(|name| before.get(*name) != now.get(*name))
        .map(String::as_str)
}

pub(super) fn state_key(state: &PackageState) -> String {
    let mut inputs = Inputs::new();
    state
        .iter()
        .for_each(|(name, value)| inputs.insert(name.as_str(), value.as_str()));
    hash_text(inputs.key("state").to_string())
}

pub(super) fn hash_text(text: String) -> String {
    short_hash(&Value::hash_of(text))
}

/// The first 128 bits of a hash, in hexadecimal digits.
pub(super) fn short_hash(value: &Value) -> String {
    let mut inputs = Inputs::new();
    match value {
        Value::Hash(hash) => return hex(&hash[..16]),
        other => inputs.insert("value", other.clone()),
    }
    short_hash(&Value::from(inputs.key("value")))
}
