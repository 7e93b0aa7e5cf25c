//! The plan of a command: the action for each image, and the changed inputs that cause it.
//!
//! Every command that builds computes the plan first; `cargo union plan` only shows it.

use std::collections::BTreeMap;

use serde::Serialize;

use super::platform::Platform;
use crate::sys::digest::Digest;

/// The plan for one image.
#[derive(Clone, Debug, Serialize)]
pub struct PlannedImage {
    /// The package that declares it.
    pub package: String,
    /// The name of its table in the manifest.
    pub image: String,
    /// Repository, layout, archive or engine, as written on the command line.
    pub destination: String,
    /// The tag, which contains a part of the key.
    pub tag: String,
    /// The full content key.
    pub key: String,
    /// The platforms that it is built for.
    pub platforms: Vec<Platform>,
    /// Names of the binaries that it contains.
    pub binaries: Vec<String>,
    /// What will be done.
    pub action: ImageAction,
    /// The digest of the image, if it exists at the destination.
    pub digest: Option<Digest>,
    /// The inputs that changed since the last build; empty if there is no record of one.
    pub changes: Vec<InputChange>,
    /// The estimated number of bytes to transfer.
    pub moves: TransferEstimate,
}

/// What will be done with an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ImageAction {
    /// It exists at the destination: nothing is compiled, built or sent.
    Reuse,
    /// No input changed, but it does not exist at the destination: it is sent.
    Push,
    /// A code layer is added to an unchanged environment.
    Append,
    /// The environment changed and is built.
    BuildEnvironment,
}

/// A changed input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InputChange {
    /// The name of the input: `src/main.rs`, `apt-packages`.
    pub input: String,
    /// The previous value; `None` if the input is new.
    pub old: Option<String>,
    /// The current value; `None` if the input was removed.
    pub new: Option<String>,
}

/// The number of bytes that publishing transfers, estimated before the compile.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TransferEstimate {
    /// The size of the base layers; those that the registry already has are not transferred.
    pub base_at_most: Option<u64>,
    /// The size of the code layer of the last image.
    pub code_about: Option<u64>,
}

/// The differences between two sets of inputs, by name.
pub fn changes(old: &BTreeMap<String, String>, new: &BTreeMap<String, String>) -> Vec<InputChange> {
    let names: std::collections::BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let changed = names
        .into_iter()
        .filter(|name| old.get(*name) != new.get(*name));
    changed
        .map(|name| InputChange {
            input: name.clone(),
            old: old.get(name).cloned(),
            new: new.get(name).cloned(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_added_removed_and_changed_inputs() {
        let inputs = |pairs: &[(&str, &str)]| {
            pairs
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect()
        };
        let old = inputs(&[("same", "1"), ("differs", "1"), ("gone", "1")]);
        let new = inputs(&[("same", "1"), ("differs", "2"), ("came", "3")]);
        let change = |input: &str, old: Option<&str>, new: Option<&str>| InputChange {
            input: input.to_owned(),
            old: old.map(str::to_owned),
            new: new.map(str::to_owned),
        };
        let expected = [
            change("came", None, Some("3")),
            change("differs", Some("1"), Some("2")),
            change("gone", Some("1"), None),
        ];
        assert_eq!(changes(&old, &new), expected);
    }
}
