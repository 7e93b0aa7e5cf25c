//! The error for programs that cannot start, with causes and suggestions.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use union_build::diag::Code;

use super::suggestions::{StartCheckContext, compare_versions, suggestions};
use super::{StartFailure, StartFailureKind};
use crate::image::platform::Platform;
use crate::image::release::Release;
use crate::sys::error::Error;
use crate::sys::words::list;

/// One error for all failures of an image, with the code (U0601 to U0605) of the most fundamental one.
///
/// # Panics
/// When there are no failures.
pub fn refusal(failures: &[StartFailure], context: StartCheckContext<'_>) -> Error {
    // Codes are ordered, the most fundamental first.
    let code = failures
        .iter()
        .map(|failure| code(&failure.kind))
        .min()
        .expect("there is a failure");
    let release = Release::of(context.files);
    let mut problem = format!(
        "{} could not start in image `{}` on `{}`",
        programs(failures),
        context.image,
        context.base
    );
    if let Some(release) = &release {
        problem.push_str(&format!(", {release}"));
    }
    let error = Error::new(code, problem).because(causes(failures, context.platform).join("\n"));
    let suggestions = suggestions(failures, context, release.as_ref());
    if suggestions.is_empty() {
        error
    } else {
        error.help(suggestions.join("\n"))
    }
}

fn code(kind: &StartFailureKind) -> Code {
    match kind {
        StartFailureKind::NotExecutable(_) => Code::NotExecutable,
        StartFailureKind::OtherMachine(_) => Code::MachineMismatch,
        StartFailureKind::NoLoader(_) => Code::LoaderMissing,
        StartFailureKind::NoLibrary { .. } => Code::LibraryMissing,
        StartFailureKind::NoVersion { .. } => Code::LibraryTooOld,
    }
}

fn programs(failures: &[StartFailure]) -> String {
    let mut names: Vec<&str> = failures
        .iter()
        .map(|failure| failure.program.as_str())
        .collect();
    names.dedup();
    list(&names)
}

/// A line for each cause; a library that several programs miss has one line.
fn causes(failures: &[StartFailure], platform: &Platform) -> Vec<String> {
    let mut causes = Vec::new();
    let mut missing = BTreeMap::<&str, Vec<&str>>::new();
    for StartFailure { program, kind } in failures {
        causes.extend(match kind {
            StartFailureKind::NotExecutable(why) => {
                Some(format!("`{program}` is not a Linux program: {why}"))
            }
            StartFailureKind::OtherMachine(machine) => Some(format!(
                "`{program}` is built for {machine}, but the image is for {platform}"
            )),
            StartFailureKind::NoLoader(path) => {
                Some(format!("`{path}`, the loader of `{program}`, is missing"))
            }
            StartFailureKind::NoLibrary {
                name, needed_by, ..
            } => {
                missing
                    .entry(name)
                    .or_default()
                    .push(needed_by.as_ref().unwrap_or(program));
                None
            }
            StartFailureKind::NoVersion {
                name,
                needed_by,
                missing,
                has,
            } => Some(format!(
                "`{}` {}",
                needed_by.as_ref().unwrap_or(program),
                too_old(name, missing, has)
            )),
        });
    }
    let elsewhere = |name: &str| {
        failures.iter().find_map(|failure| match &failure.kind {
            StartFailureKind::NoLibrary {
                name: other,
                elsewhere: Some(elsewhere),
                ..
            } if other == name => Some(elsewhere.path.clone()),
            _ => None,
        })
    };
    let missing = missing.into_iter().map(|(name, mut needed_by)| {
        needed_by.dedup();
        let verb = if needed_by.len() > 1 { "need" } else { "needs" };
        let hint = elsewhere(name).map_or(String::new(), |path| {
            format!("; the loader does not search the directory of `{path}`")
        });
        format!(
            "`{name}` is missing, and {} {verb} it{hint}",
            list(&needed_by)
        )
    });
    missing.chain(causes).collect()
}

/// `needs GLIBC_2.34 of `libc.so.6`, which has at most GLIBC_2.31`.
fn too_old(library: &str, missing: &[String], has: &[String]) -> String {
    let needs = newest_by_family(missing).into_values().collect::<Vec<_>>();
    let newest = newest_by_family(has);
    let available: Vec<&str> = needs
        .iter()
        .filter_map(|version| newest.get(family(version)).copied())
        .collect();
    let has = if available.is_empty() {
        "which does not have it".to_owned()
    } else {
        format!("which has at most {}", available.join(" and "))
    };
    format!("needs {} of `{library}`, {has}", needs.join(" and "))
}

/// The newest version of each family: `GLIBC_2.34` of all that start with `GLIBC_`.
fn newest_by_family(versions: &[String]) -> BTreeMap<&str, &str> {
    let mut families = BTreeMap::new();
    for version in versions {
        let newest = families.entry(family(version)).or_insert(version.as_str());
        if compare_versions(version, newest) == Ordering::Greater {
            *newest = version;
        }
    }
    families
}

fn family(version: &str) -> &str {
    version
        .rsplit_once('_')
        .map_or(version, |(family, _)| family)
}
