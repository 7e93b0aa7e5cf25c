//! What a user is told when programs cannot start: what is wrong, and what to write to put it right.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use union_build::diag::Code;

use super::suggestions::{StartCheckContext, by_number, cures};
use super::{StartFailure, StartFailureKind};
use crate::image::platform::Platform;
use crate::image::release::Release;
use crate::sys::error::Error;
use crate::sys::words::list;

/// One error for all that stands in the way in one image.
///
/// # Panics
/// When nothing does.
pub fn refusal(obstacles: &[StartFailure], scene: StartCheckContext<'_>) -> Error {
    // Codes are in the order of how much each decides.
    let code = obstacles.iter().map(|obstacle| code(&obstacle.what)).min().expect("something stands in the way");
    let release = Release::of(scene.files);
    let mut tried = format!("{} could not start in image `{}` on `{}`", programs(obstacles), scene.image, scene.base);
    if let Some(release) = &release {
        tried.push_str(&format!(", {release}"));
    }
    let error = Error::new(code, tried).because(causes(obstacles, scene.platform).join("\n"));
    let cures = cures(obstacles, scene, release.as_ref());
    if cures.is_empty() { error } else { error.help(cures.join("\n")) }
}

fn code(what: &StartFailureKind) -> Code {
    match what {
        StartFailureKind::NotExecutable(_) => Code::NotExecutable,
        StartFailureKind::OtherMachine(_) => Code::MachineMismatch,
        StartFailureKind::NoLoader(_) => Code::LoaderMissing,
        StartFailureKind::NoLibrary { .. } => Code::LibraryMissing,
        StartFailureKind::NoVersion { .. } => Code::LibraryTooOld,
    }
}

fn programs(obstacles: &[StartFailure]) -> String {
    let mut names: Vec<&str> = obstacles.iter().map(|obstacle| obstacle.program.as_str()).collect();
    names.dedup();
    list(&names)
}

/// A line for each thing that is wrong; one that several programs meet is said once.
fn causes(obstacles: &[StartFailure], platform: &Platform) -> Vec<String> {
    let mut causes = Vec::new();
    let mut missing = BTreeMap::<&str, Vec<&str>>::new();
    for StartFailure { program, what } in obstacles {
        let by = |needed_by: &Option<String>| format!("`{}`", needed_by.as_ref().unwrap_or(program));
        causes.extend(match what {
            StartFailureKind::NotExecutable(why) => Some(format!("`{program}` is no program for Linux: {why}")),
            StartFailureKind::OtherMachine(machine) => Some(format!("`{program}` is made for {machine}, and the image for {platform}")),
            StartFailureKind::NoLoader(path) => Some(format!("there is no `{path}`, the loader that `{program}` asks for")),
            StartFailureKind::NoLibrary { name, needed_by, .. } => {
                missing.entry(name).or_default().push(needed_by.as_ref().unwrap_or(program));
                None
            }
            StartFailureKind::NoVersion { name, needed_by, missing, has } => {
                Some(format!("{} {}", by(needed_by), too_old(name, missing, has)))
            }
        });
    }
    let places = |name: &str| {
        obstacles.iter().find_map(|obstacle| match &obstacle.what {
            StartFailureKind::NoLibrary { name: other, elsewhere: Some(elsewhere), .. } if other == name => Some(elsewhere.path.clone()),
            _ => None,
        })
    };
    let missing = missing.into_iter().map(|(name, mut needing)| {
        needing.dedup();
        let verb = if needing.len() > 1 { "need" } else { "needs" };
        let place = places(name).map_or(String::new(), |path| format!("; the loader does not look where `{path}` is"));
        format!("`{name}` is missing, and {} {verb} it{place}", list(&needing))
    });
    missing.chain(causes).collect()
}

/// `needs GLIBC_2.34 of `libc.so.6`, which has at most GLIBC_2.31`.
fn too_old(library: &str, missing: &[String], has: &[String]) -> String {
    let needs = families(missing).into_values().collect::<Vec<_>>();
    let has = families(has);
    let there: Vec<&str> = needs.iter().filter_map(|version| has.get(family(version)).copied()).collect();
    let has = if there.is_empty() { "which does not have it".to_owned() } else { format!("which has at most {}", there.join(" and ")) };
    format!("needs {} of `{library}`, {has}", needs.join(" and "))
}

/// The newest version of each family: `GLIBC_2.34` of all that begin with `GLIBC_`.
fn families(versions: &[String]) -> BTreeMap<&str, &str> {
    let mut families = BTreeMap::new();
    for version in versions {
        let newest = families.entry(family(version)).or_insert(version.as_str());
        if by_number(version, newest) == Ordering::Greater {
            *newest = version;
        }
    }
    families
}

fn family(version: &str) -> &str {
    version.rsplit_once('_').map_or(version, |(family, _)| family)
}
