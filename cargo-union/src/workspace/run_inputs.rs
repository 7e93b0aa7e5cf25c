//! The inputs of a compile that belong to no package and that cargo's freshness check does not cover: files that
//! manifests declare or that flags name, cargo's configuration, tools, and the timestamp of files.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use union_build::key::Value;
use union_build::spec::Pattern;

use super::input_state::{PackageState, state_of};
use super::sources::relative;
use super::units::CompiledUnits;
use super::{CodeInputs, CompileSettings, Snapshot, depinfo};
use crate::sys::error::Result;

/// The untracked inputs of one run of cargo. They are inputs of each local package, whichever members the run has, so
/// that runs for different members do not compile a shared dependency again and again.
#[derive(Debug)]
pub(super) struct RunInputs {
    values: BTreeMap<String, Value>,
    files: BTreeMap<String, PathBuf>,
    /// The declared files, by path relative to the workspace.
    declared: BTreeMap<String, PathBuf>,
}

/// The prefix of the names of declared files as inputs.
const DECLARED: &str = "declared ";

impl RunInputs {
    /// The inputs of a run with these settings for these images. `declared` are the patterns of `inputs` of all packages in
    /// the workspace.
    ///
    /// # Errors
    /// `FileUnreadable`.
    pub(super) fn new<'a>(
        snapshot: &Snapshot<'_>,
        settings: &CompileSettings,
        source_date_epoch: u64,
        images: impl Iterator<Item = &'a CodeInputs>,
        declared: &[Pattern],
    ) -> Result<Self> {
        let mut values = BTreeMap::new();
        let mut files = BTreeMap::new();
        for image in images {
            values.extend(image.untracked.values.clone());
            files.extend(image.untracked.files.clone());
        }
        if !settings.env.contains_key("SOURCE_DATE_EPOCH") {
            values.insert(
                "SOURCE_DATE_EPOCH".to_owned(),
                Value::from(source_date_epoch.to_string()),
            );
        }
        let root = &snapshot.workspace.root;
        let mut declared_files = BTreeMap::new();
        for pattern in declared {
            // An invalid pattern of another package is reported when that package is built.
            let matching = snapshot.sources.matching(pattern).unwrap_or_default();
            let mut names = BTreeSet::new();
            for file in matching {
                let name = relative(root, &file)?;
                names.insert(name.clone());
                declared_files.insert(name, file);
            }
            let directory = relative(root, &pattern.directory)?;
            values.insert(
                format!("inputs of {directory}: {}", pattern.glob.value),
                Value::texts(&names),
            );
        }
        Ok(Self {
            values,
            files,
            declared: declared_files,
        })
    }

    /// All inputs by name; `read` hashes a file.
    ///
    /// # Errors
    /// The errors of `read`.
    pub(super) fn hashed(
        &self,
        read: impl Fn(&Path) -> Result<Value>,
    ) -> Result<BTreeMap<String, Value>> {
        let mut inputs = self.values.clone();
        for (name, file) in &self.files {
            inputs.insert(name.clone(), read(file)?);
        }
        for (name, file) in &self.declared {
            inputs.insert(format!("{DECLARED}{name}"), read(file)?);
        }
        Ok(inputs)
    }

    pub(super) fn has_declared_files(&self) -> bool {
        !self.declared.is_empty()
    }
}

/// The path of a declared file, if an input has the name of one.
pub(super) fn declared_file(input: &str) -> Option<&str> {
    input.strip_prefix(DECLARED)
}

/// The inputs of a run of cargo that belong to no package.
pub(super) struct ObservedRun<'a> {
    inputs: &'a RunInputs,
    pub(super) state: PackageState,
    /// The declared files in the dep-info of any unit.
    attributed: BTreeSet<String>,
    /// Whether the inputs are the same after the run, once it was checked.
    is_unchanged: OnceCell<bool>,
}

impl<'a> ObservedRun<'a> {
    /// Observes the inputs after a run.
    ///
    /// # Errors
    /// `FileUnreadable`.
    pub(super) fn new(
        snapshot: &Snapshot<'_>,
        inputs: &'a RunInputs,
        compiled: &CompiledUnits,
    ) -> Result<Self> {
        let mut attributed = BTreeSet::new();
        if inputs.has_declared_files() {
            for unit in &compiled.units {
                attributed.extend(depinfo::sources_of(unit, &snapshot.workspace.root)?);
            }
        }
        Ok(Self {
            inputs,
            state: state_of(inputs.hashed(|file| snapshot.sources.hash(file))?),
            attributed,
            is_unchanged: OnceCell::new(),
        })
    }

    /// Whether an input is a declared file that the dep-info of a unit lists, so that it does not affect other units.
    pub(super) fn is_attributed(&self, input: &str) -> bool {
        declared_file(input).is_some_and(|file| self.attributed.contains(file))
    }

    /// Whether the files have the same content when they are read again.
    pub(super) fn is_unchanged(&self, snapshot: &Snapshot<'_>) -> bool {
        *self.is_unchanged.get_or_init(|| {
            self.inputs
                .hashed(|file| snapshot.sources.hash_uncached(file))
                .is_ok_and(|inputs| state_of(inputs) == self.state)
        })
    }
}
