//! Cargo.lock: the dependency closure of a member, and whether the file matches the manifests.
//!
//! Pure: works on the file's text and runs nothing.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use cargo_metadata::semver::Version;
use serde::Deserialize;
use union_build::diag::Code;
use union_build::key::Value;

use super::{Dependency, DependencyKind, WorkspacePackage};
use crate::sys::error::{Error, Result};

/// Cargo.lock with an index by name.
#[derive(Debug)]
pub(super) struct Lockfile {
    packages: Vec<LockedPackage>,
    by_name: HashMap<String, Vec<usize>>,
}

/// One entry of Cargo.lock.
#[derive(Debug, Deserialize)]
pub(super) struct LockedPackage {
    pub(super) name: String,
    pub(super) version: Version,
    pub(super) source: Option<String>,
    pub(super) checksum: Option<String>,
    #[serde(default)]
    dependencies: Vec<String>,
    /// Whether `paths` in cargo's configuration overrides it by a local package.
    #[serde(skip)]
    overridden: bool,
}

#[derive(Deserialize)]
struct LockfileText {
    #[serde(default)]
    package: Vec<LockedPackage>,
}

impl LockedPackage {
    /// Whether it is on the local disk: a member, a path dependency, or an overridden package.
    pub(super) fn is_local(&self) -> bool {
        self.source.is_none() || self.overridden
    }

    /// Whether a local package of that name is used regardless of its version.
    pub(super) fn is_overridden(&self) -> bool {
        self.overridden
    }

    /// Whether it has a source. An entry's source ends with `#COMMIT`, which references to it leave out.
    fn is_from(&self, source: &str) -> bool {
        let locked = self.source.as_deref().unwrap_or_default();
        locked == source
            || locked
                .split_once('#')
                .is_some_and(|(repository, _)| repository == source)
    }
}

impl Lockfile {
    /// Reads Cargo.lock.
    ///
    /// # Errors
    /// `LockfileMissing` when the text is not a valid Cargo.lock.
    pub(super) fn parse(path: &Path, text: &str) -> Result<Self> {
        let file: LockfileText = toml::from_str(text).map_err(|cause| {
            Error::new(
                Code::LockfileMissing,
                format!("could not parse `{}`", path.display()),
            )
            .because(cause)
        })?;
        let mut by_name: HashMap<String, Vec<usize>> = HashMap::new();
        for (index, package) in file.package.iter().enumerate() {
            by_name.entry(package.name.clone()).or_default().push(index);
        }
        Ok(Self {
            packages: file.package,
            by_name,
        })
    }

    /// All local entries.
    pub(super) fn local(&self) -> impl Iterator<Item = &LockedPackage> {
        self.packages.iter().filter(|package| package.is_local())
    }

    /// Marks all entries of a name that have a source as overridden by a local package. Returns whether there are any.
    pub(super) fn override_package(&mut self, name: &str) -> bool {
        let mut is_locked = false;
        for index in self.by_name.get(name).into_iter().flatten() {
            if let Some(package) = self
                .packages
                .get_mut(*index)
                .filter(|package| package.source.is_some())
            {
                package.overridden = true;
                is_locked = true;
            }
        }
        is_locked
    }

    /// Describes the first mismatch between this file and a member's manifest.
    pub(super) fn mismatch(&self, member: &WorkspacePackage) -> Option<String> {
        let Some(entry) = self.find_local(&member.name, &member.version) else {
            return Some(format!("it has no `{} {}`", member.name, member.version));
        };
        let locked: Vec<&LockedPackage> = self.edges(entry).collect();
        let missing = member
            .dependencies
            .iter()
            .find(|dependency| !locked.iter().any(|edge| satisfies(edge, dependency)));
        if let Some(missing) = missing {
            return Some(format!(
                "`{}` needs `{} {}`",
                member.name, missing.name, missing.requirement
            ));
        }
        let extra = locked.iter().find(|edge| {
            !member
                .dependencies
                .iter()
                .any(|dependency| satisfies(edge, dependency))
        });
        extra.map(|extra| {
            format!(
                "`{}` no longer needs `{} {}`",
                member.name, extra.name, extra.version
            )
        })
    }

    /// The dependency closure of a package's code. Dev-dependencies of local packages are left out; `local` returns the
    /// package of a local entry.
    ///
    /// # Errors
    /// `LockfileMissing` when the package is not in the file.
    pub(super) fn closure<'a>(
        &'a self,
        package: &WorkspacePackage,
        local: impl Fn(&LockedPackage) -> Option<&'a WorkspacePackage>,
    ) -> Result<Closure<'a>> {
        let start = self
            .find_local(&package.name, &package.version)
            .ok_or_else(|| {
                Error::new(
                    Code::LockfileMissing,
                    format!(
                        "Cargo.lock does not have the package `{} {}`",
                        package.name, package.version
                    ),
                )
            })?;
        let mut reached = BTreeMap::new();
        let mut pending = vec![start];
        while let Some(entry) = pending.pop() {
            let declared = if entry.is_local() { local(entry) } else { None };
            let edges: Vec<&LockedPackage> = self
                .edges(entry)
                .filter(|edge| declared.is_none_or(|package| reaches_code(package, edge)))
                .collect();
            if reached
                .insert(identity(entry), (entry, edges.clone()))
                .is_none()
            {
                pending.extend(
                    edges
                        .into_iter()
                        .filter(|edge| !reached.contains_key(&identity(edge))),
                );
            }
        }
        Ok(Closure(reached))
    }

    /// The entries of a name and version; several if they differ in their source.
    pub(super) fn versions_of<'a>(
        &'a self,
        name: &str,
        version: &'a str,
    ) -> impl Iterator<Item = &'a LockedPackage> {
        let named = self.by_name.get(name).into_iter().flatten();
        named
            .map(|index| &self.packages[*index])
            .filter(move |package| package.version.to_string() == version)
    }

    fn find_local(&self, name: &str, version: &str) -> Option<&LockedPackage> {
        let named = self
            .by_name
            .get(name)?
            .iter()
            .map(|index| &self.packages[*index]);
        named
            .into_iter()
            .find(|package| package.is_local() && package.version.to_string() == version)
    }

    /// The entries that an entry's `dependencies` name: `name`, `name version` or `name version (source)`.
    fn edges<'a>(&'a self, entry: &'a LockedPackage) -> impl Iterator<Item = &'a LockedPackage> {
        entry.dependencies.iter().filter_map(|text| {
            let mut words = text.split(' ');
            let name = words.next()?;
            let version = words.next();
            let source = words.next().map(|source| source.trim_matches(['(', ')']));
            let named = self
                .by_name
                .get(name)?
                .iter()
                .map(|index| &self.packages[*index]);
            named.into_iter().find(|package| {
                version.is_none_or(|version| package.version.to_string() == version)
                    && source.is_none_or(|source| package.is_from(source))
            })
        })
    }
}

type PackageIdentity<'a> = (&'a str, &'a Version, Option<&'a str>);

fn identity(entry: &LockedPackage) -> PackageIdentity<'_> {
    (&entry.name, &entry.version, entry.source.as_deref())
}

fn reaches_code(package: &WorkspacePackage, edge: &LockedPackage) -> bool {
    package
        .dependencies
        .iter()
        .any(|dependency| dependency.kind != DependencyKind::Dev && satisfies(edge, dependency))
}

fn satisfies(edge: &LockedPackage, dependency: &Dependency) -> bool {
    // The version of a path dependency is not checked, and a git dependency may be a pre-release.
    edge.name == dependency.name
        && (dependency.path.is_some()
            || !edge.version.pre.is_empty()
            || dependency.requirement.matches(&edge.version))
}

/// The entries of Cargo.lock that one package depends on, with their edges.
#[derive(Debug)]
pub(super) struct Closure<'a>(
    BTreeMap<PackageIdentity<'a>, (&'a LockedPackage, Vec<&'a LockedPackage>)>,
);

impl<'a> Closure<'a> {
    /// The local packages of the closure.
    pub(super) fn local(&self) -> impl Iterator<Item = &'a LockedPackage> {
        self.0
            .values()
            .map(|(entry, _)| *entry)
            .filter(|entry| entry.is_local())
    }

    /// The versions by package name, for `cargo union plan`.
    pub(super) fn versions(&self) -> BTreeMap<&'a str, String> {
        let mut versions: BTreeMap<&str, BTreeSet<&Version>> = BTreeMap::new();
        for (entry, _) in self.0.values() {
            versions
                .entry(&entry.name)
                .or_default()
                .insert(&entry.version);
        }
        let join = |versions: BTreeSet<&Version>| {
            versions
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(", ")
        };
        versions
            .into_iter()
            .map(|(name, versions)| (name, join(versions)))
            .collect()
    }

    /// The closure as an input of a key: names, versions, sources, checksums and edges.
    pub(super) fn value(&self) -> Value {
        let name = |entry: &LockedPackage| {
            Value::texts([
                entry.name.clone(),
                entry.version.to_string(),
                entry.source.clone().unwrap_or_default(),
            ])
        };
        let entry_value = |(entry, edges): &(&LockedPackage, Vec<&LockedPackage>)| {
            let checksum = entry.checksum.clone().unwrap_or_default();
            Value::List(vec![
                name(entry),
                Value::from(checksum),
                Value::List(edges.iter().map(|edge| name(edge)).collect()),
            ])
        };
        Value::List(self.0.values().map(entry_value).collect())
    }
}

#[cfg(test)]
mod tests;
