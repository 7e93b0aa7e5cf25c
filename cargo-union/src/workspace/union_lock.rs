//! Union.lock, beside Cargo.lock and committed like it: which content a base's name means.
//!
//! Pure but for reading and writing the file: what a tag points at is asked by whoever has a
//! network. A moving tag never changes an image by surprise, for only `cargo union update` and the
//! first use write here.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use union_build::diag::{Code, SourceFile};
use union_build::key::FORMAT;

use crate::base::error::{Error, Result};
use crate::base::fs;
use crate::image::digest::Digest;
use crate::image::platform::Platform;

const HEADER: &str = "# This file is written by `cargo union`; commit it. `cargo union update` renews it.\n";

/// Union.lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnionLock {
    path: PathBuf,
    bases: BTreeMap<String, LockedReference>,
    generations: BTreeMap<String, u32>,
}

/// What a base's name means.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedReference {
    /// Digest under the tag: of an index, or of the only manifest.
    pub digest: Digest,
    /// Digest of the manifest for each platform that was asked for.
    pub platforms: BTreeMap<String, Digest>,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u32,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    generations: BTreeMap<String, u32>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    bases: BTreeMap<String, LockedReference>,
}

impl UnionLock {
    /// Reads the Union.lock of a workspace; a missing one is empty.
    ///
    /// # Errors
    /// `UnionLockInvalid` with the line, `FileUnreadable`.
    pub fn load(root: &Path) -> Result<Self> {
        let path = root.join("Union.lock");
        let Some(text) = fs::read_if_exists(&path)? else {
            return Ok(Self { path, bases: BTreeMap::new(), generations: BTreeMap::new() });
        };
        let invalid = |line: usize, why: String| {
            Error::new(Code::UnionLockInvalid, format!("could not read `{}:{line}`", path.display())).because(why)
        };
        let file: File = toml::from_str(&text).map_err(|cause: toml::de::Error| {
            let offset = cause.span().map_or(0, |span| span.start);
            let line = SourceFile::new(&path, text.as_str()).line_column(offset).0;
            invalid(line, cause.message().to_owned())
        })?;
        if file.version != FORMAT {
            let line = 1 + text.lines().position(|line| line.starts_with("version")).unwrap_or_default();
            return Err(invalid(line, format!("it has the format {}, and this release of cargo union writes {FORMAT}", file.version)));
        }
        Ok(Self { path, bases: file.bases, generations: file.generations })
    }

    /// What a base means on a platform, when that is locked.
    pub fn base(&self, reference: &str, platform: &Platform) -> Option<Digest> {
        self.bases.get(reference)?.platforms.get(&platform.to_string()).copied()
    }

    /// Everything that is locked of a base.
    pub fn entry(&self, reference: &str) -> Option<&LockedReference> {
        self.bases.get(reference)
    }

    /// All bases, by reference.
    pub fn bases(&self) -> impl Iterator<Item = (&str, &LockedReference)> {
        self.bases.iter().map(|(reference, locked)| (reference.as_str(), locked))
    }

    /// Locks a base.
    pub fn set_base(&mut self, reference: impl Into<String>, locked: LockedReference) {
        self.bases.insert(reference.into(), locked);
    }

    /// Drops the bases that nothing uses.
    pub fn retain_bases(&mut self, is_used: impl Fn(&str) -> bool) {
        self.bases.retain(|reference, _| is_used(reference));
    }

    /// How often an environment was renewed on purpose.
    pub fn generation(&self, package: &str, image: &str) -> u32 {
        self.generations.get(&environment(package, image)).copied().unwrap_or_default()
    }

    /// Renews an environment: its key changes, so that its packages are installed anew.
    pub fn bump(&mut self, package: &str, image: &str) {
        *self.generations.entry(environment(package, image)).or_default() += 1;
    }

    /// Writes the file, only when it changes, and whole or not at all. Says whether it wrote.
    ///
    /// # Errors
    /// `UnionLockStale` when `locked` and it would change; `FileUnwritable`, `DiskFull`.
    pub fn save(&self, locked: bool) -> Result<bool> {
        let before = Self::load(self.folder()).ok();
        if before.as_ref() == Some(self) {
            return Ok(false);
        }
        if locked {
            let before = before.unwrap_or_else(|| Self { bases: BTreeMap::new(), ..self.clone() });
            let differs = |reference: &&String| before.bases.get(*reference) != self.bases.get(*reference);
            let what =
                self.bases.keys().chain(before.bases.keys()).find(differs).map_or(String::new(), |reference| format!(" for `{reference}`"));
            return Err(Error::new(
                Code::UnionLockStale,
                format!("`{}` has no fitting entry{what} and may not change", self.path.display()),
            ));
        }
        fs::replace(&self.path, self.to_text().as_bytes()).map(|()| true)
    }

    fn folder(&self) -> &Path {
        self.path.parent().expect("the file stands in the workspace's root")
    }

    fn to_text(&self) -> String {
        let file = File { version: FORMAT, generations: self.generations.clone(), bases: self.bases.clone() };
        format!("{HEADER}{}", toml::to_string(&file).expect("texts and numbers always serialize"))
    }
}

fn environment(package: &str, image: &str) -> String {
    format!("{package}/{image}")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const DEBIAN: &str = "docker.io/library/debian:bookworm-slim";

    fn locked(text: &str) -> LockedReference {
        let platforms = [("linux/amd64".to_owned(), Digest::of(text))].into();
        LockedReference { digest: Digest::of(format!("{text} index")), platforms }
    }

    #[test]
    fn what_is_saved_is_loaded_again() {
        let root = tempfile::tempdir().unwrap();
        let mut lock = UnionLock::load(root.path()).unwrap();
        lock.set_base(DEBIAN, locked("one"));
        lock.bump("app", "gpu");
        assert!(lock.save(false).unwrap());
        let again = UnionLock::load(root.path()).unwrap();
        assert_eq!(again, lock);
        assert_eq!(again.base(DEBIAN, &Platform::new("linux", "amd64", None)), Some(Digest::of("one")));
        assert_eq!(again.base(DEBIAN, &Platform::new("linux", "arm64", None)), None);
        assert_eq!((again.generation("app", "gpu"), again.generation("app", "default")), (1, 0));
        assert!(!lock.save(false).unwrap() && !lock.save(true).unwrap());
    }

    #[test]
    fn the_file_is_for_people_too() {
        let mut lock = UnionLock::load(Path::new("/nowhere")).unwrap();
        lock.set_base(DEBIAN, locked("one"));
        lock.bump("app", "gpu");
        let expected = format!(
            "{HEADER}version = {FORMAT}\n\n[generations]\n\"app/gpu\" = 1\n\n[bases.\"{DEBIAN}\"]\ndigest = \"{}\"\n\n[bases.\"{DEBIAN}\".platforms]\n\"linux/amd64\" = \"{}\"\n",
            Digest::of("one index"),
            Digest::of("one"),
        );
        assert_eq!(lock.to_text(), expected);
    }

    #[test]
    fn a_locked_file_may_not_change() {
        let root = tempfile::tempdir().unwrap();
        let mut lock = UnionLock::load(root.path()).unwrap();
        lock.set_base(DEBIAN, locked("one"));
        let error = lock.save(true).unwrap_err();
        assert_eq!(error.code(), Code::UnionLockStale);
        assert!(error.to_string().contains(DEBIAN), "{error}");
        assert!(!root.path().join("Union.lock").exists());
    }

    #[test]
    fn a_broken_file_says_where() {
        let root = tempfile::tempdir().unwrap();
        for (text, line, why) in [
            ("version = 1\n[bases.a]\ndigest = 'sha256:12'\nplatforms = {}\n", 3, "`sha256:12` is not a sha256 digest"),
            ("version = 1\nother = 2\n", 2, "unknown field"),
            ("# hi\nversion = 99\n", 2, "it has the format 99"),
            ("", 1, "missing field"),
        ] {
            std::fs::write(root.path().join("Union.lock"), text).unwrap();
            let error = UnionLock::load(root.path()).unwrap_err();
            let chain = error.chain().join(": ");
            assert_eq!(error.code(), Code::UnionLockInvalid);
            assert!(chain.contains(&format!("Union.lock:{line}`")) && chain.contains(why), "{text:?}: {chain}");
        }
    }
}
