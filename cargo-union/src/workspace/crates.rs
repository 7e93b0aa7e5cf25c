//! The crates that are compiled for a member of the workspace, by `cargo tree`: for its target and features, without
//! dev-dependencies. `cargo metadata` would name the crates of all members and of all their features.

use std::collections::{BTreeMap, BTreeSet};

use union_build::diag::Code;

use super::lockfile::{LockedPackage, Lockfile};
use super::{CodeInputs, CompileSettings, Snapshot, WorkspacePackage};
use crate::image::crate_graph::{Crate, CrateGraph, CrateKind, CrateSource};
use crate::sys::cache::Cache;
use crate::sys::error::{Error, Result};

/// The source of crates.io packages in Cargo.lock, also if a mirror replaces it.
const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

impl Snapshot<'_> {
    /// The crates of the binaries of a package. Cached until manifests, Cargo.lock, settings or toolchain change.
    ///
    /// # Errors
    /// `CratesUnlisted` when cargo or Cargo.lock do not name them; `ToolMissing`.
    pub async fn crates(
        &self,
        package: &WorkspacePackage,
        settings: &CompileSettings,
        target: &str,
        inputs: &CodeInputs,
        cache: &Cache,
    ) -> Result<CrateGraph> {
        const KIND: &str = "crates-1";
        let name = self.features_key(package, target, inputs).to_string();
        if let Some(known) = cache.note(KIND, &name) {
            return Ok(known);
        }
        let failed = || {
            let name = &package.name;
            Error::new(
                Code::CratesUnlisted,
                format!("could not list the crates of `{name}` for {target}"),
            )
        };
        let features: Vec<&str> = settings.features.iter().map(String::as_str).collect();
        let features = features.join(",");
        let options = [
            "--charset",
            "ascii",
            "--format",
            "{p}\t{l}",
            "--features",
            &features,
        ];
        let command = self.tree(package, settings, target, &options);
        let printed = command
            .output()
            .await?
            .success()
            .map_err(|cause| failed().because(cause))?;
        let tree = Tree::parse(&String::from_utf8_lossy(&printed));
        let graph = tree
            .into_graph(&self.lockfile)
            .map_err(|cause| failed().because(cause))?;
        // If the result cannot be cached, the next run determines it again.
        drop(cache.put_note(KIND, &name, &graph));
        Ok(graph)
    }
}

/// A package of the tree, as cargo prints it: name, version, and the source unless it is crates.io.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct TreePackage {
    name: String,
    version: String,
    source: Option<String>,
}

#[derive(Debug, Default)]
struct TreeNode {
    license: Option<String>,
    is_linked: bool,
    dependencies: BTreeSet<TreePackage>,
}

/// The output of `cargo tree`.
#[derive(Debug, Default)]
struct Tree {
    root: Option<TreePackage>,
    nodes: BTreeMap<TreePackage, TreeNode>,
}

impl Tree {
    /// Parses a tree with indented lines, `|-- name v1.0.0 (proc-macro) (source)TABlicense`, and headings
    /// `[build-dependencies]`.
    ///
    /// cargo prints the dependencies of a package once, and `(*)` in later places. It distinguishes packages for the
    /// target from packages for the host, so each linked package has at least one line whose parents are all linked.
    fn parse(text: &str) -> Self {
        const INDENT: usize = 4;
        let mut tree = Self::default();
        // The parents of a line, whether each is linked, and whether its build-dependencies follow.
        let mut above: Vec<(TreePackage, bool, bool)> = Vec::new();
        for line in text.lines() {
            let content = line.trim_start_matches(['|', '`', '-', ' ']);
            let depth = (line.len() - content.len()) / INDENT;
            if content == "[build-dependencies]" {
                above.truncate(depth + 1);
                if let Some((_, _, builds)) = above.last_mut() {
                    *builds = true;
                }
                continue;
            }
            let Some((package, is_macro, license)) = parse_line(content) else {
                continue;
            };
            above.truncate(depth);
            let is_linked = !is_macro
                && above
                    .last()
                    .is_none_or(|(_, is_linked, builds)| *is_linked && !builds);
            if let Some((parent, _, _)) = above.last() {
                let parent = tree.nodes.entry(parent.clone()).or_default();
                parent.dependencies.insert(package.clone());
            } else if tree.root.is_none() {
                tree.root = Some(package.clone());
            }
            let node = tree.nodes.entry(package.clone()).or_default();
            node.is_linked |= is_linked;
            node.license = license;
            above.push((package, is_linked, false));
        }
        tree
    }

    /// The crates with their entries in Cargo.lock.
    ///
    /// # Errors
    /// The reason, when the tree is empty or Cargo.lock lacks a package.
    fn into_graph(self, lockfile: &Lockfile) -> Result<CrateGraph, String> {
        let root = self.root.ok_or("cargo printed no packages")?;
        let mut crates = Vec::new();
        for (package, node) in &self.nodes {
            let (source, checksum) = package.locked(lockfile).ok_or_else(|| {
                format!("Cargo.lock has no `{} {}`", package.name, package.version)
            })?;
            let one = Crate {
                name: package.name.clone(),
                version: package.version.clone(),
                source,
                checksum,
                license: node.license.clone(),
                kind: match node.is_linked {
                    true => CrateKind::Runtime,
                    false => CrateKind::Build,
                },
                dependencies: Vec::new(),
            };
            crates.push((one, package));
        }
        // Sorted by the entries of Cargo.lock, because the sources that cargo prints contain directories of this
        // machine.
        crates.sort_by(|(a, _), (b, _)| {
            (&a.name, &a.version, &a.source).cmp(&(&b.name, &b.version, &b.source))
        });
        let positions: BTreeMap<&TreePackage, usize> = crates
            .iter()
            .enumerate()
            .map(|(position, (_, package))| (*package, position))
            .collect();
        let dependencies = |package: &TreePackage| {
            let needed = self.nodes.get(package).map(|node| &node.dependencies);
            let mut needed: Vec<usize> = needed
                .into_iter()
                .flatten()
                .filter_map(|one| positions.get(one).copied())
                .collect();
            needed.sort_unstable();
            needed
        };
        let root = positions.get(&root).copied().unwrap_or_default();
        let crates = crates
            .iter()
            .map(|(one, package)| Crate {
                dependencies: dependencies(package),
                ..one.clone()
            })
            .collect();
        Ok(CrateGraph { crates, root })
    }
}

impl TreePackage {
    /// Source and checksum of a package as Cargo.lock has them.
    fn locked(&self, lockfile: &Lockfile) -> Option<(CrateSource, Option<String>)> {
        let mut candidates: Vec<&LockedPackage> =
            lockfile.versions_of(&self.name, &self.version).collect();
        if candidates.len() > 1 {
            candidates.retain(|locked| self.is_from(locked));
        }
        let Some(locked) = candidates.first() else {
            // A local package that overrides a locked one may have another version.
            return self.is_path().then_some((CrateSource::Local, None));
        };
        if locked.is_local() {
            return Some((CrateSource::Local, None));
        }
        let source = locked.source.as_deref().unwrap_or_default();
        let source = match source.split_once('+') {
            _ if source == CRATES_IO => CrateSource::CratesIo,
            Some(("git", url)) => CrateSource::Git(without_user(url)),
            Some(("registry", url)) => CrateSource::Registry(without_user(url)),
            _ => CrateSource::Registry(without_user(source)),
        };
        Some((source, locked.checksum.clone()))
    }

    fn is_path(&self) -> bool {
        self.source
            .as_deref()
            .is_some_and(|source| std::path::Path::new(source).is_absolute())
    }

    /// Whether an entry of Cargo.lock has the source that cargo prints: nothing for crates.io, a directory, the URL of a
    /// git repository with a short commit, or the name of a registry.
    fn is_from(&self, locked: &LockedPackage) -> bool {
        let source = locked.source.as_deref();
        match (&self.source, source) {
            (None, _) => source == Some(CRATES_IO),
            (Some(_), None) => self.is_path(),
            (Some(printed), Some(source)) => match source.strip_prefix("git+") {
                Some(git) => printed
                    .split('#')
                    .next()
                    .is_some_and(|url| git.split('#').next() == Some(url)),
                None => !self.is_path() && source != CRATES_IO,
            },
        }
    }
}

/// A URL without user name and password.
fn without_user(text: &str) -> String {
    let Ok(mut url) = url::Url::parse(text) else {
        return text.to_owned();
    };
    if url.username().is_empty() && url.password().is_none() {
        return text.to_owned();
    }
    // Both calls fail only for URLs that cannot have a user.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.into()
}

/// A package, whether it is a procedural macro, and its license.
fn parse_line(content: &str) -> Option<(TreePackage, bool, Option<String>)> {
    let (package, license) = content.split_once('\t')?;
    let license = license.strip_suffix("(*)").unwrap_or(license).trim();
    let (name, rest) = package.split_once(" v")?;
    let (version, rest) = rest.split_once(' ').unwrap_or((rest, ""));
    let (is_macro, rest) = match rest.strip_prefix("(proc-macro)") {
        Some(rest) => (true, rest.trim_start()),
        None => (false, rest),
    };
    let source = rest
        .strip_prefix('(')
        .and_then(|rest| rest.strip_suffix(')'));
    let package = TreePackage {
        name: name.to_owned(),
        version: version.to_owned(),
        source: source.map(str::to_owned),
    };
    let license = (!license.is_empty()).then(|| license.to_owned());
    Some((package, is_macro, license))
}

#[cfg(test)]
mod tests;
