//! Runs all stages from manifests to validated types.

use std::sync::Arc;

use super::defaults::complete;
use super::merge::{Overrides, merge};
use super::raw::{self, Section};
use super::settings::{Setting, settings};
use super::tree::{Table, TomlNode, TomlValue};
use super::validate::{ValidationContext, validate};
use super::{PackageInfo, Spec};
use crate::diag::{Diagnostic, Origin, Severity, SourceFile};

/// Reads what a package declares: the workspace's defaults, its own table, then the overrides.
///
/// The spec is `None` when a diagnostic is an error. Diagnostics are sorted by place; a problem of the
/// workspace's table is returned for every package that is loaded. The settings are the resolved
/// values, defaults included.
pub fn load(
    workspace: Option<&Arc<SourceFile>>,
    package: &Arc<SourceFile>,
    overrides: &Overrides,
    facts: &PackageInfo,
) -> (Option<Spec>, Vec<Diagnostic>, Vec<Setting>) {
    let mut problems = Vec::new();
    let lower = workspace.map_or(Ok(None), |file| {
        raw::read(file, Section::Workspace, &mut problems)
    });
    let upper = raw::read(package, Section::Package, &mut problems);
    let (Ok(lower), Ok(upper)) = (lower, upper) else {
        // Further problems would only be consequences of the missing table.
        return (None, sorted(problems), Vec::new());
    };
    let empty = || TomlNode {
        key: Origin::Default,
        origin: Origin::Default,
        value: TomlValue::Table(Table::new()),
    };
    let mut tree = merge(lower, upper).unwrap_or_else(empty);
    let table = tree.make_table();
    overrides.apply(table, &mut problems);
    complete(table, facts);
    let settings = settings(table);
    let spec = validate(
        &tree,
        &ValidationContext {
            facts,
            directory: overrides.directory(),
        },
        &mut problems,
    );
    let failed = problems
        .iter()
        .any(|problem| problem.severity == Severity::Error);
    ((!failed).then_some(spec), sorted(problems), settings)
}

/// Sorts problems by place and removes duplicates: a value of the workspace or the package is validated
/// once for each image that inherits it.
fn sorted(mut problems: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let place = |problem: &Diagnostic| match problem.labels.first().map(|label| &label.origin) {
        Some(Origin::File(file, span)) => (Some(file.path.clone()), span.start, problem.code),
        _ => (None, 0, problem.code),
    };
    problems.sort_by_cached_key(place);
    let mut unique: Vec<Diagnostic> = Vec::new();
    for problem in problems {
        if !unique.contains(&problem) {
            unique.push(problem);
        }
    }
    unique
}

#[cfg(test)]
mod tests;
