//! The packages and settings of one run of cargo.

use std::collections::BTreeSet;

use union_build::spec::Pattern;

use super::{CodeInputs, CompileBackend, CompileSettings, WorkspacePackage};

/// One run of cargo.
#[derive(Clone, Debug)]
pub struct CargoJob<'a> {
    /// The packages, at least one. Several packages have no selected features and no binaries of the same name.
    pub members: Vec<JobMember<'a>>,
    /// The target triple. It is always passed to cargo, so that flags do not apply to build scripts and macros.
    pub target: &'a str,
    /// The compile settings of the packages.
    pub settings: &'a CompileSettings,
    /// What runs cargo, and into which directory.
    pub method: &'a CompileBackend,
    /// The `SOURCE_DATE_EPOCH` of build scripts, in seconds since 1970.
    pub source_date_epoch: u64,
    /// The patterns of `inputs` of all packages in the workspace.
    pub declared: &'a [Pattern],
}

/// A package of a [`CargoJob`].
#[derive(Clone, Debug)]
pub struct JobMember<'a> {
    /// The package, a member of the workspace.
    pub package: &'a WorkspacePackage,
    /// Names of the binaries of all its images with the job's settings.
    pub binaries: BTreeSet<String>,
    /// The code inputs of those images.
    pub inputs: Vec<&'a CodeInputs>,
}

impl CargoJob<'_> {
    /// The names of the packages, quoted, for a message.
    pub(super) fn names(&self) -> String {
        const SHOWN: usize = 3;
        let shown: Vec<String> = self
            .members
            .iter()
            .take(SHOWN)
            .map(|member| format!("`{}`", member.package.name))
            .collect();
        let more = self.members.len().saturating_sub(SHOWN);
        if more == 0 {
            shown.join(", ")
        } else {
            format!("{} and {more} more", shown.join(", "))
        }
    }
}
