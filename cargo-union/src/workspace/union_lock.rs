//! Union.lock, beside Cargo.lock and committed like it: which content a base's name means, and what compiles have
//! shown of the inputs of local packages.
//!
//! Pure but for reading and writing the file: what a tag points at is asked by whoever has a
//! network. A moving tag never changes an image by surprise, for only `cargo union update` and the
//! first use write here. Two processes may write at once: what the other one wrote is kept.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use union_build::diag::{Code, SourceFile};
use union_build::key::FORMAT;

use super::learned_inputs::{AllLearned, LearnedInputs};
use crate::image::platform::Platform;
use crate::sys::digest::Digest;
use crate::sys::error::{Error, Result};
use crate::sys::fs;

const HEADER: &str = "# This file is written by `cargo union`; commit it. `cargo union update` renews it.\n";

/// Union.lock.
#[derive(Clone, Debug)]
pub struct UnionLock {
    path: PathBuf,
    /// What the file held when it was read.
    loaded: LockContent,
    now: LockContent,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct LockContent {
    bases: BTreeMap<String, LockedReference>,
    generations: BTreeMap<String, u32>,
    packages: AllLearned,
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
struct LockFileText {
    version: u32,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    generations: BTreeMap<String, u32>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    packages: AllLearned,
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
        let loaded = read(&path)?;
        Ok(Self { path, now: loaded.clone(), loaded })
    }

    /// What a base means on a platform, when that is locked.
    pub fn base(&self, reference: &str, platform: &Platform) -> Option<Digest> {
        self.now.bases.get(reference)?.platforms.get(&platform.to_string()).copied()
    }

    /// Everything that is locked of a base.
    pub fn entry(&self, reference: &str) -> Option<&LockedReference> {
        self.now.bases.get(reference)
    }

    /// All bases, by reference.
    pub fn bases(&self) -> impl Iterator<Item = (&str, &LockedReference)> {
        self.now.bases.iter().map(|(reference, locked)| (reference.as_str(), locked))
    }

    /// Locks a base.
    pub fn set_base(&mut self, reference: impl Into<String>, locked: LockedReference) {
        self.now.bases.insert(reference.into(), locked);
    }

    /// Drops the bases that nothing uses.
    pub fn retain_bases(&mut self, is_used: impl Fn(&str) -> bool) {
        self.now.bases.retain(|reference, _| is_used(reference));
    }

    /// How often an environment was renewed on purpose.
    pub fn generation(&self, package: &str, image: &str) -> u32 {
        self.now.generations.get(&environment(package, image)).copied().unwrap_or_default()
    }

    /// Renews an environment: its key changes, so that its packages are installed anew.
    pub fn bump(&mut self, package: &str, image: &str) {
        *self.now.generations.entry(environment(package, image)).or_default() += 1;
    }

    /// What compiles have shown of local packages.
    pub fn packages(&self) -> &AllLearned {
        &self.now.packages
    }

    /// Keeps what compiles have shown of local packages. An entry that holds nothing is left out.
    pub fn set_packages(&mut self, packages: AllLearned) {
        self.now.packages = packages.into_iter().filter(|(_, learned)| *learned != LearnedInputs::default()).collect();
    }

    /// Whether it differs from what was read.
    pub fn is_changed(&self) -> bool {
        self.now != self.loaded
    }

    /// Writes the file, only when it changes, and whole or not at all. What other processes wrote since it was read
    /// is kept; they are kept away by a lock in the target directory. Says whether it wrote.
    ///
    /// # Errors
    /// `UnionLockStale` when `locked` and it would change; `UnionLockInvalid`, `FileUnwritable`, `DiskFull`.
    pub fn save(&mut self, locked: bool, target_directory: &Path) -> Result<bool> {
        if !self.is_changed() {
            return Ok(false);
        }
        if locked {
            let differs = |reference: &&String| self.loaded.bases.get(*reference) != self.now.bases.get(*reference);
            let mut references = self.now.bases.keys().chain(self.loaded.bases.keys());
            let what = references.find(differs).map_or(String::new(), |reference| format!(" for `{reference}`"));
            return Err(Error::new(
                Code::UnionLockStale,
                format!("`{}` has no fitting entry{what} and may not change", self.path.display()),
            ));
        }
        let _guard = fs::FileLock::exclusive(&target_directory.join("union/Union.lock.guard"), || {})?;
        self.now = self.now.merged(&self.loaded, read(&self.path)?);
        self.loaded = self.now.clone();
        fs::replace_if_different(&self.path, self.now.to_text().as_bytes())
    }
}

impl LockContent {
    /// The changes that were made to what was loaded, made to what the file holds by now.
    fn merged(&self, loaded: &Self, theirs: Self) -> Self {
        let both = |ours: &LearnedInputs, theirs: &LearnedInputs| {
            let mut all = ours.clone();
            all.merge(theirs);
            all
        };
        Self {
            bases: merged(&self.bases, &loaded.bases, theirs.bases, |ours, _| ours.clone()),
            generations: merged(&self.generations, &loaded.generations, theirs.generations, |ours, theirs| *ours.max(theirs)),
            packages: merged(&self.packages, &loaded.packages, theirs.packages, both),
        }
    }

    fn to_text(&self) -> String {
        let Self { bases, generations, packages } = self.clone();
        let file = LockFileText { version: FORMAT, generations, packages, bases };
        format!("{HEADER}{}", toml::to_string(&file).expect("texts and numbers always serialize"))
    }
}

/// `both` joins two values of one name that both sides have changed.
fn merged<T: Clone + PartialEq>(
    ours: &BTreeMap<String, T>,
    loaded: &BTreeMap<String, T>,
    mut theirs: BTreeMap<String, T>,
    both: impl Fn(&T, &T) -> T,
) -> BTreeMap<String, T> {
    for name in ours.keys().chain(loaded.keys()) {
        match (ours.get(name), loaded.get(name)) {
            (own, before) if own == before => {}
            (Some(own), before) => {
                let other = theirs.get(name).filter(|other| Some(*other) != before);
                let value = other.map_or_else(|| own.clone(), |other| both(own, other));
                theirs.insert(name.clone(), value);
            }
            (None, before) => {
                if theirs.get(name) == before {
                    theirs.remove(name);
                }
            }
        }
    }
    theirs
}

/// What the file holds; one that does not exist holds nothing.
fn read(path: &Path) -> Result<LockContent> {
    let Some(text) = fs::read_if_exists(path)? else { return Ok(LockContent::default()) };
    let invalid =
        |line: usize, why: String| Error::new(Code::UnionLockInvalid, format!("could not read `{}:{line}`", path.display())).because(why);
    if let Some(line) = text.lines().position(|line| ["<<<<<<< ", ">>>>>>> "].iter().any(|marker| line.starts_with(marker))) {
        let error = invalid(line + 1, "it holds the conflict markers of a merge".to_owned());
        return Err(error.help("Keep the lines of both sides without the markers, or those of one side, and run the command again."));
    }
    let version = text.parse::<toml::Table>().ok().and_then(|table| table.get("version")?.as_integer());
    if let Some(version) = version.filter(|version| *version != i64::from(FORMAT)) {
        let line = 1 + text.lines().position(|line| line.starts_with("version")).unwrap_or_default();
        return Err(invalid(line, format!("it has the format {version}, and this release of cargo union writes {FORMAT}")));
    }
    let file: LockFileText = toml::from_str(&text).map_err(|cause: toml::de::Error| {
        let offset = cause.span().map_or(0, |span| span.start);
        let line = SourceFile::new(path, text.as_str()).line_column(offset).0;
        invalid(line, cause.message().to_owned())
    })?;
    Ok(LockContent { bases: file.bases, generations: file.generations, packages: file.packages })
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

    fn save(lock: &mut UnionLock, root: &Path) -> bool {
        lock.save(false, &root.join("target")).unwrap()
    }

    fn learned(inputs: &[&str]) -> LearnedInputs {
        LearnedInputs { inputs: inputs.iter().map(|name| (*name).to_owned()).collect(), ..LearnedInputs::default() }
    }

    #[test]
    fn what_is_saved_is_loaded_again() {
        let root = tempfile::tempdir().unwrap();
        let mut lock = UnionLock::load(root.path()).unwrap();
        lock.set_base(DEBIAN, locked("one"));
        lock.bump("app", "gpu");
        lock.set_packages([("app".to_owned(), learned(&["a", "../b"])), ("helper".to_owned(), LearnedInputs::default())].into());
        assert!(save(&mut lock, root.path()));
        let mut again = UnionLock::load(root.path()).unwrap();
        assert_eq!(again.base(DEBIAN, &Platform::new("linux", "amd64", None)), Some(Digest::of("one")));
        assert_eq!(again.base(DEBIAN, &Platform::new("linux", "arm64", None)), None);
        assert_eq!((again.generation("app", "gpu"), again.generation("app", "default")), (1, 0));
        assert_eq!(*again.packages(), [("app".to_owned(), learned(&["../b", "a"]))].into());
        assert!(!save(&mut again, root.path()) && !again.save(true, root.path()).unwrap());
    }

    #[test]
    fn two_processes_that_write_at_once_lose_nothing() {
        let root = tempfile::tempdir().unwrap();
        let mut first = UnionLock::load(root.path()).unwrap();
        first.set_base("gone", locked("gone"));
        first.set_packages([("app".to_owned(), learned(&["a"]))].into());
        assert!(save(&mut first, root.path()));
        let [mut one, mut two] = [(); 2].map(|()| UnionLock::load(root.path()).unwrap());
        one.set_base("one", locked("one"));
        one.retain_bases(|base| base != "gone");
        one.set_packages([("app".to_owned(), learned(&["a", "one"]))].into());
        two.set_base("two", locked("two"));
        two.bump("app", "gpu");
        two.set_packages([("app".to_owned(), learned(&["a", "two"]))].into());
        assert!(save(&mut one, root.path()) && save(&mut two, root.path()));
        let now = UnionLock::load(root.path()).unwrap();
        assert_eq!(now.bases().map(|(name, _)| name).collect::<Vec<_>>(), ["one", "two"]);
        assert_eq!((now.generation("app", "gpu"), now.packages()["app"].clone()), (1, learned(&["a", "one", "two"])));
    }

    #[test]
    fn the_file_is_for_people_too() {
        let mut lock = UnionLock::load(Path::new("/nowhere")).unwrap();
        let helper = LearnedInputs { variables: ["CC".to_owned()].into(), revision: true, whole: true, ..learned(&["../b"]) };
        lock.set_packages([("helper".to_owned(), helper)].into());
        lock.set_base(DEBIAN, locked("one"));
        lock.bump("app", "gpu");
        let expected = format!(
            "{HEADER}version = {FORMAT}\n\n[generations]\n\"app/gpu\" = 1\n\n[packages.helper]\ninputs = [\"../b\"]\nvariables = [\"CC\"]\nrevision = true\nwhole = true\n\n[bases.\"{DEBIAN}\"]\ndigest = \"{}\"\n\n[bases.\"{DEBIAN}\".platforms]\n\"linux/amd64\" = \"{}\"\n",
            Digest::of("one index"),
            Digest::of("one"),
        );
        assert_eq!(lock.now.to_text(), expected);
    }

    #[test]
    fn a_locked_file_may_not_change() {
        let root = tempfile::tempdir().unwrap();
        let mut lock = UnionLock::load(root.path()).unwrap();
        lock.set_base(DEBIAN, locked("one"));
        let error = lock.save(true, root.path()).unwrap_err();
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
            ("# hi\nversion = 99\n[new]\n", 2, "it has the format 99"),
            ("version = 1\n<<<<<<< HEAD\n[packages.a]\n=======\n>>>>>>> b\n", 2, "conflict markers"),
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
