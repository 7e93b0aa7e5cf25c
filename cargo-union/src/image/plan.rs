//! What a command is going to do, image by image, and because of which changed input.
//!
//! Every acting command computes this value first; `cargo union plan` only shows it.

use std::collections::BTreeMap;

use serde::Serialize;

use super::platform::Platform;
use crate::sys::digest::Digest;

/// What is going to happen to one image.
#[derive(Clone, Debug, Serialize)]
pub struct PlannedImage {
    /// The package that declares it.
    pub package: String,
    /// The name of its table.
    pub image: String,
    /// Where it goes, as a user would type it.
    pub destination: String,
    /// Its tag.
    pub tag: String,
    /// The full key.
    pub key: String,
    /// Its platforms.
    pub platforms: Vec<Platform>,
    /// The binaries that it carries.
    pub binaries: Vec<String>,
    /// What happens.
    pub action: ImageAction,
    /// The digest of what is there already.
    pub digest: Option<Digest>,
    /// What is new since the last results; empty when nothing is known of an earlier image.
    pub changes: Vec<InputChange>,
    /// Bytes that will move.
    pub moves: TransferEstimate,
}

/// What happens to an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ImageAction {
    /// It is there: nothing is compiled, built or sent.
    Reuse,
    /// Nothing has changed, but it is not there: it is sent.
    Push,
    /// A code layer goes on top of an environment that stays as it is.
    Append,
    /// The environment is new.
    BuildEnvironment,
}

/// One input that is not what it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InputChange {
    /// What a user calls it: `src/main.rs`, `apt-packages`.
    pub input: String,
    /// What it was; `None` when it was not there.
    pub old: Option<String>,
    /// What it is; `None` when it is gone.
    pub new: Option<String>,
}

/// Bytes that a publication moves, as far as they are known before the compile.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TransferEstimate {
    /// At most this much of base layers; a registry that has them already takes none.
    pub base_at_most: Option<u64>,
    /// About this much of code, going by the last image.
    pub code_about: Option<u64>,
}

/// The differences between two sets of inputs, by name.
pub fn changes(old: &BTreeMap<String, String>, new: &BTreeMap<String, String>) -> Vec<InputChange> {
    let names: std::collections::BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let changed = names.into_iter().filter(|name| old.get(*name) != new.get(*name));
    changed.map(|name| InputChange { input: name.clone(), old: old.get(name).cloned(), new: new.get(name).cloned() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_what_came_went_and_differs() {
        let inputs = |pairs: &[(&str, &str)]| pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let old = inputs(&[("same", "1"), ("differs", "1"), ("gone", "1")]);
        let new = inputs(&[("same", "1"), ("differs", "2"), ("came", "3")]);
        let change = |input: &str, old: Option<&str>, new: Option<&str>| InputChange {
            input: input.to_owned(),
            old: old.map(str::to_owned),
            new: new.map(str::to_owned),
        };
        let expected = [change("came", None, Some("3")), change("differs", Some("1"), Some("2")), change("gone", Some("1"), None)];
        assert_eq!(changes(&old, &new), expected);
    }
}
