//! Learned inputs: what compiles have shown of a package beyond its own files. They are stored in Union.lock.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// Learned inputs by the name of a local package.
pub type LearnedPackages = BTreeMap<String, LearnedInputs>;

/// The learned inputs of one local package. Paths are relative to its directory, separated by `/`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LearnedInputs {
    /// Files and directories that the compiler or a build script reads beyond the package's own files.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub inputs: BTreeSet<String>,
    /// Files in the package's directory that its build script writes, which are not inputs.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub outputs: BTreeSet<String>,
    /// Environment variables that its code or build script depends on.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub variables: BTreeSet<String>,
    /// Whether its build script watches the revision that is checked out.
    #[serde(skip_serializing_if = "is_false")]
    pub revision: bool,
    /// Whether its build script has no `rerun-if-changed`: then every file of the package is an input, as for cargo.
    #[serde(skip_serializing_if = "is_false")]
    pub whole: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_false(value: &bool) -> bool {
    !value
}

impl LearnedInputs {
    /// Adds the entries of another set.
    pub fn merge(&mut self, other: &Self) {
        self.inputs.extend(other.inputs.iter().cloned());
        self.outputs.extend(other.outputs.iter().cloned());
        self.variables.extend(other.variables.iter().cloned());
        self.revision |= other.revision;
        self.whole |= other.whole;
    }

    /// Descriptions of the entries that `known` lacks.
    pub(super) fn list_new(&self, known: &Self) -> Vec<String> {
        let describe =
            |kind: &str, learned: &BTreeSet<String>, known: &BTreeSet<String>| -> Vec<String> {
                learned
                    .difference(known)
                    .map(|name| format!("{kind}`{name}`"))
                    .collect()
            };
        let mut all = describe("", &self.inputs, &known.inputs);
        all.extend(describe("the output ", &self.outputs, &known.outputs));
        all.extend(describe("the variable ", &self.variables, &known.variables));
        all.extend((self.revision && !known.revision).then(|| "the revision".to_owned()));
        all.extend((self.whole && !known.whole).then(|| "every file of the package".to_owned()));
        all
    }
}
