//! Union.lock, committed beside Cargo.lock: the digests of base images, the learned inputs of local packages, and the
//! generations of environments.
//!
//! This module only reads and writes the file; callers resolve tags. Only `cargo union update` and the first use of a
//! base write its digest, so a moved tag does not change an image. Changes of concurrent processes are merged.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use union_build::diag::{Code, SourceFile};
use union_build::key::FORMAT;

use super::learned_inputs::{LearnedInputs, LearnedPackages};
use crate::image::platform::Platform;
use crate::sys::digest::Digest;
use crate::sys::error::{Error, Result};
use crate::sys::fs;

const HEADER: &str =
    "# This file is written by `cargo union`; commit it. `cargo union update` renews it.\n";

/// The content of Union.lock, and the changes since it was read.
#[derive(Clone, Debug)]
pub struct UnionLock {
    path: PathBuf,
    /// The content when the file was read.
    loaded: LockContent,
    current: LockContent,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct LockContent {
    bases: BTreeMap<String, LockedReference>,
    generations: BTreeMap<String, u32>,
    packages: LearnedPackages,
}

/// The locked digests of a base image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedReference {
    /// The digest that the tag resolves to: of an image index or of a manifest.
    pub digest: Digest,
    /// Digests of the image manifests by platform, for the platforms in use.
    pub platforms: BTreeMap<String, Digest>,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LockFileText {
    version: u32,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    generations: BTreeMap<String, u32>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    packages: LearnedPackages,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    bases: BTreeMap<String, LockedReference>,
}

impl UnionLock {
    /// Reads the Union.lock of a workspace; a missing one is empty.
    ///
    /// # Errors
    /// `UnionLockInvalid` with the line number, `FileUnreadable`.
    pub fn load(root: &Path) -> Result<Self> {
        let path = root.join("Union.lock");
        let loaded = read_content(&path)?;
        Ok(Self {
            path,
            current: loaded.clone(),
            loaded,
        })
    }

    /// The locked manifest digest of a base for a platform.
    pub fn base(&self, reference: &str, platform: &Platform) -> Option<Digest> {
        self.current
            .bases
            .get(reference)?
            .platforms
            .get(&platform.to_string())
            .copied()
    }

    /// The entry of a base.
    pub fn entry(&self, reference: &str) -> Option<&LockedReference> {
        self.current.bases.get(reference)
    }

    /// All bases, by reference.
    pub fn bases(&self) -> impl Iterator<Item = (&str, &LockedReference)> {
        self.current
            .bases
            .iter()
            .map(|(reference, locked)| (reference.as_str(), locked))
    }

    /// Sets the entry of a base.
    pub fn set_base(&mut self, reference: impl Into<String>, locked: LockedReference) {
        self.current.bases.insert(reference.into(), locked);
    }

    /// Removes the entries of bases that are not used.
    pub fn retain_bases(&mut self, is_used: impl Fn(&str) -> bool) {
        self.current.bases.retain(|reference, _| is_used(reference));
    }

    /// The generation of an image's environment, which is part of its key; 0 at first.
    pub fn generation(&self, package: &str, image: &str) -> u32 {
        self.current
            .generations
            .get(&environment_key(package, image))
            .copied()
            .unwrap_or_default()
    }

    /// Increments the generation of an image's environment, so that it is built and its packages are installed again.
    pub fn bump(&mut self, package: &str, image: &str) {
        let generation = self
            .current
            .generations
            .entry(environment_key(package, image))
            .or_default();
        // Wraps instead of failing: the new number only has to differ from the one in the file.
        *generation = generation.wrapping_add(1);
    }

    /// The learned inputs of local packages.
    pub fn packages(&self) -> &LearnedPackages {
        &self.current.packages
    }

    /// Sets the learned inputs of local packages. Empty entries are left out.
    pub fn set_packages(&mut self, packages: LearnedPackages) {
        self.current.packages = packages
            .into_iter()
            .filter(|(_, learned)| *learned != LearnedInputs::default())
            .collect();
    }

    /// Whether it differs from the file as it was read.
    pub fn is_changed(&self) -> bool {
        self.current != self.loaded
    }

    /// Writes the file atomically if its content changes, merged with what other processes have written since it was read.
    /// Holds a lock in the target directory meanwhile. Returns whether it wrote.
    ///
    /// # Errors
    /// `UnionLockStale` when it would change with `locked`; `UnionLockInvalid`, `FileUnwritable`, `DiskFull`.
    pub fn save(&mut self, locked: bool, target_directory: &Path) -> Result<bool> {
        if !self.is_changed() {
            return Ok(false);
        }
        if locked {
            let differs = |reference: &&String| {
                self.loaded.bases.get(*reference) != self.current.bases.get(*reference)
            };
            let mut references = self.current.bases.keys().chain(self.loaded.bases.keys());
            let subject = references
                .find(differs)
                .map_or(String::new(), |reference| format!(" for `{reference}`"));
            return Err(Error::new(
                Code::UnionLockStale,
                format!(
                    "`{}` has no fitting entry{subject} and may not change",
                    self.path.display()
                ),
            ));
        }
        let _guard =
            fs::FileLock::exclusive(&target_directory.join("union/Union.lock.guard"), || {})?;
        self.current = self.current.merged(&self.loaded, read_content(&self.path)?);
        self.loaded = self.current.clone();
        fs::replace_if_different(&self.path, self.current.to_text().as_bytes())
    }
}

impl LockContent {
    /// Applies the changes since `loaded` to the file's current content, `on_disk`.
    fn merged(&self, loaded: &Self, on_disk: Self) -> Self {
        let union = |local: &LearnedInputs, on_disk: &LearnedInputs| {
            let mut all = local.clone();
            all.merge(on_disk);
            all
        };
        Self {
            bases: merge_tables(&self.bases, &loaded.bases, on_disk.bases, |local, _| {
                local.clone()
            }),
            generations: merge_tables(
                &self.generations,
                &loaded.generations,
                on_disk.generations,
                |local, on_disk| *local.max(on_disk),
            ),
            packages: merge_tables(&self.packages, &loaded.packages, on_disk.packages, union),
        }
    }

    fn to_text(&self) -> String {
        let Self {
            bases,
            generations,
            packages,
        } = self.clone();
        let file = LockFileText {
            version: FORMAT,
            generations,
            packages,
            bases,
        };
        format!(
            "{HEADER}{}",
            toml::to_string(&file).expect("texts and numbers always serialize")
        )
    }
}

/// Three-way merge of a table. `resolve` merges two values of a key that both sides have changed.
fn merge_tables<T: Clone + PartialEq>(
    local: &BTreeMap<String, T>,
    loaded: &BTreeMap<String, T>,
    mut on_disk: BTreeMap<String, T>,
    resolve: impl Fn(&T, &T) -> T,
) -> BTreeMap<String, T> {
    for name in local.keys().chain(loaded.keys()) {
        match (local.get(name), loaded.get(name)) {
            (value, before) if value == before => {}
            (Some(value), before) => {
                let other = on_disk.get(name).filter(|other| Some(*other) != before);
                let value = other.map_or_else(|| value.clone(), |other| resolve(value, other));
                on_disk.insert(name.clone(), value);
            }
            (None, before) => {
                if on_disk.get(name) == before {
                    on_disk.remove(name);
                }
            }
        }
    }
    on_disk
}

/// Reads the file; a missing one is empty.
fn read_content(path: &Path) -> Result<LockContent> {
    let Some(text) = fs::read_if_exists(path)? else {
        return Ok(LockContent::default());
    };
    let invalid = |line: usize, why: String| {
        Error::new(
            Code::UnionLockInvalid,
            format!("could not read `{}:{line}`", path.display()),
        )
        .because(why)
    };
    if let Some(line) = text.lines().position(|line| {
        ["<<<<<<< ", ">>>>>>> "]
            .iter()
            .any(|marker| line.starts_with(marker))
    }) {
        let error = invalid(
            line + 1,
            "it holds the conflict markers of a merge".to_owned(),
        );
        return Err(error.help("Keep the lines of both sides without the markers, or those of one side, and run the command again."));
    }
    let version = text
        .parse::<toml::Table>()
        .ok()
        .and_then(|table| table.get("version")?.as_integer());
    if let Some(version) = version.filter(|version| *version != i64::from(FORMAT)) {
        let line = 1 + text
            .lines()
            .position(|line| line.starts_with("version"))
            .unwrap_or_default();
        return Err(invalid(
            line,
            format!("it has the format {version}, and this release of cargo union writes {FORMAT}"),
        ));
    }
    let file: LockFileText = toml::from_str(&text).map_err(|cause: toml::de::Error| {
        let offset = cause.span().map_or(0, |span| span.start);
        let line = SourceFile::new(path, text.as_str()).line_column(offset).0;
        invalid(line, cause.message().to_owned())
    })?;
    Ok(LockContent {
        bases: file.bases,
        generations: file.generations,
        packages: file.packages,
    })
}

fn environment_key(package: &str, image: &str) -> String {
    format!("{package}/{image}")
}

#[cfg(test)]
mod tests;
