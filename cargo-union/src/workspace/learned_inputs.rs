//! What compiles of a package have shown that its directory does not say: kept in Union.lock.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// By the name of a local package.
pub type AllLearned = BTreeMap<String, LearnedInputs>;

/// What is known of one local package. Paths are relative to its directory, with `/`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LearnedInputs {
    /// Files and directories that the compiler or a build script reads beyond the package's own files.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub inputs: BTreeSet<String>,
    /// Files below the package that its build script writes: no inputs.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub outputs: BTreeSet<String>,
    /// Environment variables that its code or build script depends on.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub variables: BTreeSet<String>,
    /// Whether its build script watches the revision that is checked out.
    #[serde(skip_serializing_if = "is_false")]
    pub revision: bool,
    /// Whether its build script watches no file, which is cargo's default: then every file of the package counts.
    #[serde(skip_serializing_if = "is_false")]
    pub whole: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_false(value: &bool) -> bool {
    !value
}

impl LearnedInputs {
    /// Adds what another one has.
    pub fn merge(&mut self, other: &Self) {
        self.inputs.extend(other.inputs.iter().cloned());
        self.outputs.extend(other.outputs.iter().cloned());
        self.variables.extend(other.variables.iter().cloned());
        self.revision |= other.revision;
        self.whole |= other.whole;
    }

    /// What it has that another one lacks, in words.
    pub(super) fn beyond(&self, known: &Self) -> Vec<String> {
        let named = |kind: &str, own: &BTreeSet<String>, known: &BTreeSet<String>| -> Vec<String> {
            own.difference(known).map(|name| format!("{kind}`{name}`")).collect()
        };
        let mut all = named("", &self.inputs, &known.inputs);
        all.extend(named("the output ", &self.outputs, &known.outputs));
        all.extend(named("the variable ", &self.variables, &known.variables));
        all.extend((self.revision && !known.revision).then(|| "the revision".to_owned()));
        all.extend((self.whole && !known.whole).then(|| "every file of the package".to_owned()));
        all
    }
}
