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

    /// Increments the generation of an image's environment, so that its packages are installed reloaded.
    pub fn bump(&mut self, package: &str, image: &str) {
        let generation = self
            .current
            .generations
            .entry(environment_key(package, image))
            .or_default();
        // Whatever number the file has, the next one is another.
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
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const DEBIAN: &str = "docker.io/library/debian:bookworm-slim";

    fn locked(text: &str) -> LockedReference {
        let platforms = [("linux/amd64".to_owned(), Digest::of(text))].into();
        LockedReference {
            digest: Digest::of(format!("{text} index")),
            platforms,
        }
    }

    fn save(lock: &mut UnionLock, root: &Path) -> bool {
        lock.save(false, &root.join("target")).unwrap()
    }

    fn learned(inputs: &[&str]) -> LearnedInputs {
        LearnedInputs {
            inputs: inputs.iter().map(|name| (*name).to_owned()).collect(),
            ..LearnedInputs::default()
        }
    }

    #[test]
    fn saved_content_is_loaded_again() {
        let root = tempfile::tempdir().unwrap();
        let mut lock = UnionLock::load(root.path()).unwrap();
        lock.set_base(DEBIAN, locked("one"));
        lock.bump("app", "gpu");
        lock.set_packages(
            [
                ("app".to_owned(), learned(&["a", "../b"])),
                ("helper".to_owned(), LearnedInputs::default()),
            ]
            .into(),
        );
        assert!(save(&mut lock, root.path()));
        let mut reloaded = UnionLock::load(root.path()).unwrap();
        assert_eq!(
            reloaded.base(DEBIAN, &Platform::new("linux", "amd64", None)),
            Some(Digest::of("one"))
        );
        assert_eq!(
            reloaded.base(DEBIAN, &Platform::new("linux", "arm64", None)),
            None
        );
        assert_eq!(
            (
                reloaded.generation("app", "gpu"),
                reloaded.generation("app", "default")
            ),
            (1, 0)
        );
        assert_eq!(
            *reloaded.packages(),
            [("app".to_owned(), learned(&["../b", "a"]))].into()
        );
        assert!(!save(&mut reloaded, root.path()) && !reloaded.save(true, root.path()).unwrap());
    }

    #[test]
    fn concurrent_changes_are_merged() {
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
        assert_eq!(
            now.bases().map(|(name, _)| name).collect::<Vec<_>>(),
            ["one", "two"]
        );
        assert_eq!(
            (now.generation("app", "gpu"), now.packages()["app"].clone()),
            (1, learned(&["a", "one", "two"]))
        );
    }

    #[test]
    fn file_format_is_readable() {
        let mut lock = UnionLock::load(Path::new("/nowhere")).unwrap();
        let helper = LearnedInputs {
            variables: ["CC".to_owned()].into(),
            revision: true,
            whole: true,
            ..learned(&["../b"])
        };
        lock.set_packages([("helper".to_owned(), helper)].into());
        lock.set_base(DEBIAN, locked("one"));
        lock.bump("app", "gpu");
        let expected = format!(
            "{HEADER}version = {FORMAT}\n\n[generations]\n\"app/gpu\" = 1\n\n[packages.helper]\ninputs = [\"../b\"]\nvariables = [\"CC\"]\nrevision = true\nwhole = true\n\n[bases.\"{DEBIAN}\"]\ndigest = \"{}\"\n\n[bases.\"{DEBIAN}\".platforms]\n\"linux/amd64\" = \"{}\"\n",
            Digest::of("one index"),
            Digest::of("one"),
        );
        assert_eq!(lock.current.to_text(), expected);
    }

    #[test]
    fn locked_file_is_not_changed() {
        let root = tempfile::tempdir().unwrap();
        let mut lock = UnionLock::load(root.path()).unwrap();
        lock.set_base(DEBIAN, locked("one"));
        let error = lock.save(true, root.path()).unwrap_err();
        assert_eq!(error.code(), Code::UnionLockStale);
        assert!(error.to_string().contains(DEBIAN), "{error}");
        assert!(!root.path().join("Union.lock").exists());
    }

    #[test]
    fn errors_name_line_and_cause() {
        let root = tempfile::tempdir().unwrap();
        for (text, line, why) in [
            (
                "version = 1\n[bases.a]\ndigest = 'sha256:12'\nplatforms = {}\n",
                3,
                "`sha256:12` is not a sha256 digest",
            ),
            ("version = 1\nother = 2\n", 2, "unknown field"),
            ("# hi\nversion = 99\n[new]\n", 2, "it has the format 99"),
            (
                "version = 1\n<<<<<<< HEAD\n[packages.a]\n=======\n>>>>>>> b\n",
                2,
                "conflict markers",
            ),
            ("", 1, "missing field"),
        ] {
            std::fs::write(root.path().join("Union.lock"), text).unwrap();
            let error = UnionLock::load(root.path()).unwrap_err();
            let chain = error.chain().join(": ");
            assert_eq!(error.code(), Code::UnionLockInvalid);
            assert!(
                chain.contains(&format!("Union.lock:{line}`")) && chain.contains(why),
                "{text:?}: {chain}"
            );
        }
    }

    #[test]
    fn generation_after_the_largest_is_another() {
        let root = tempfile::tempdir().unwrap();
        let text = format!(
            "version = {FORMAT}\n[generations]\n\"app/gpu\" = {}\n",
            u32::MAX
        );
        std::fs::write(root.path().join("Union.lock"), text).unwrap();
        let mut lock = UnionLock::load(root.path()).unwrap();
        lock.bump("app", "gpu");
        assert_eq!(lock.generation("app", "gpu"), 0);
    }

    const VALID: &str = "# comment\nversion = 1\n\n[generations]\n\"app/gpu\" = 1\n\n[packages.helper]\n\
        inputs = [\"../b\"]\noutputs = [\"src/made.rs\"]\nvariables = [\"CC\"]\nrevision = true\nwhole = true\n\n\
        [bases.\"docker.io/library/debian:bookworm\"]\n\
        digest = \"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\"\n\n\
        [bases.\"docker.io/library/debian:bookworm\".platforms]\n\
        \"linux/amd64\" = \"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\"\n";

    /// A text is refused with a line of the file, or read, and then what is written reads as the same.
    fn check_any(text: &str) {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("Union.lock");
        std::fs::write(&path, text).unwrap();
        let mut lock = match UnionLock::load(root.path()) {
            Ok(lock) => lock,
            Err(error) => {
                assert_eq!(error.code(), Code::UnionLockInvalid);
                let message = error.to_string();
                let line = message.rsplit_once(':').unwrap().1.trim_end_matches('`');
                let line: usize = line.parse().unwrap();
                assert!(
                    (1..=text.split('\n').count()).contains(&line),
                    "{text:?}: {message}"
                );
                return;
            }
        };
        lock.bump("app", "gpu");
        lock.set_base(DEBIAN, locked("one"));
        assert!(save(&mut lock, root.path()));
        let reloaded = UnionLock::load(root.path()).unwrap();
        assert_eq!(reloaded.loaded, lock.current);
        assert!(std::fs::read_to_string(&path).unwrap().starts_with(HEADER));
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_text_is_refused_with_its_line_or_read(text in union_tests::arbitrary::text()) {
            check_any(&text);
        }

        #[test]
        fn spoiled_files_are_refused_with_their_line_or_read(text in union_tests::arbitrary::spoiled(VALID)) {
            check_any(&text);
        }
    }

    #[test]
    fn valid_sample_of_the_property_tests_is_read() {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join("Union.lock"), VALID).unwrap();
        assert_eq!(UnionLock::load(root.path()).unwrap().bases().count(), 1);
        check_any(VALID);
    }
}
