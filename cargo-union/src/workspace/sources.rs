//! Lists and hashes the files that are inputs of a key.
//!
//! Each file is read at most once per snapshot.
//!
//! There are three listings. [`package_files`](SourceFiles::package_files): what git would track in a package's directory,
//! except what never reaches code. [`watched`](SourceFiles::watched): what git would track below a directory that a
//! build script watches. [`below`](SourceFiles::below): everything below a directory that the user has named.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use union_build::diag::Code;
use union_build::key::Value;
use union_build::spec::Pattern;

use super::repository::GitRepository;
use super::{WorkspacePackage, manifest};
use crate::sys::cache::Cache;
use crate::sys::error::{Error, Result};
use crate::sys::fs;

mod patterns;
mod walk;

pub(super) use patterns::ExcludePatterns;
use patterns::{is_glob, matcher, matches, split_glob};
use walk::{Rules, SourceWalk};

/// Listings and hashes of source files, cached as they are computed.
#[derive(Debug)]
pub(super) struct SourceFiles {
    hashes: Mutex<HashMap<PathBuf, Value>>,
    manifests: Mutex<HashMap<PathBuf, Value>>,
    listings: Mutex<HashMap<(PathBuf, Rules), Files>>,
    repositories: Mutex<BTreeMap<PathBuf, Arc<GitRepository>>>,
    /// Hashes of large files from earlier runs.
    cache: Option<Cache>,
    /// Output directories, which never contain sources.
    skipped: Vec<PathBuf>,
}

/// Paths, sorted.
type Files = Arc<Vec<PathBuf>>;

impl SourceFiles {
    /// `skipped` are paths that never contain sources, such as cargo's output directories.
    pub(super) fn new(skipped: Vec<PathBuf>) -> Self {
        Self {
            hashes: Mutex::default(),
            manifests: Mutex::default(),
            listings: Mutex::default(),
            repositories: Mutex::default(),
            cache: None,
            skipped,
        }
    }

    /// Takes the hashes of large files from a cache.
    pub(super) fn with_cache(self, cache: &Cache) -> Self {
        Self {
            cache: Some(cache.clone()),
            ..self
        }
    }

    /// The hash of a file, read once.
    ///
    /// # Errors
    /// `FileUnreadable`.
    pub(super) fn hash(&self, path: &Path) -> Result<Value> {
        if let Some(hash) = self
            .hashes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(path)
        {
            return Ok(hash.clone());
        }
        let hash = self.hash_uncached(path)?;
        self.hashes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(path.to_owned(), hash.clone());
        Ok(hash)
    }

    /// The hash of a file's current content.
    ///
    /// # Errors
    /// `FileUnreadable`.
    pub(super) fn hash_uncached(&self, path: &Path) -> Result<Value> {
        let measured = self
            .cache
            .as_ref()
            .map_or_else(|| fs::measure(path), |cache| cache.measure(path))?;
        Ok(Value::Hash(measured.hash))
    }

    /// The value of a package's manifest as an input, computed once. `with_dev` includes dev-dependencies.
    ///
    /// # Errors
    /// `ManifestSyntax`.
    pub(super) fn manifest(&self, package: &WorkspacePackage, with_dev: bool) -> Result<Value> {
        let mut manifests = self
            .manifests
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(value) = manifests.get(&package.manifest.path) {
            return Ok(value.clone());
        }
        let value = manifest::package_value(manifest::parse(&package.manifest)?, with_dev);
        manifests.insert(package.manifest.path.clone(), value.clone());
        Ok(value)
    }

    /// The repository of a directory; without git, the directory `otherwise`.
    pub(super) fn repository(&self, directory: &Path, otherwise: &Path) -> Arc<GitRepository> {
        let mut known = self
            .repositories
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let repository = known
            .entry(otherwise.to_owned())
            .or_insert_with(|| Arc::new(GitRepository::discover(otherwise)));
        if directory.starts_with(&repository.root) {
            return repository.clone();
        }
        known
            .entry(directory.to_owned())
            .or_insert_with(|| Arc::new(GitRepository::discover(directory)))
            .clone()
    }

    /// The repository of a package.
    pub(super) fn repository_of(&self, package: &WorkspacePackage) -> Arc<GitRepository> {
        self.repository(&package.directory, &package.root)
    }

    /// A package's own files: the roots of its targets, and what git would track in its directory. `whole` includes
    /// tests, benchmarks, examples, Markdown and license files.
    ///
    /// # Errors
    /// `FileUnreadable`.
    pub(super) fn package_files(
        &self,
        package: &WorkspacePackage,
        whole: bool,
    ) -> Result<BTreeSet<PathBuf>> {
        let mut files: BTreeSet<PathBuf> = package
            .sources
            .iter()
            .filter(|path| path.is_file())
            .cloned()
            .collect();
        let repository = self.repository_of(package);
        files.extend(
            self.list(&package.directory, Rules::Package { whole }, &repository)?
                .iter()
                .cloned(),
        );
        Ok(files)
    }

    /// The files that a pattern of `inputs` matches: a file, everything below a directory, or the matches of a glob.
    ///
    /// # Errors
    /// `InvalidValue` for an invalid pattern or a path that does not exist.
    pub(super) fn matching(&self, pattern: &Pattern) -> Result<Vec<PathBuf>> {
        let text = pattern.glob.value.as_str();
        let literal = fs::absolute(&pattern.directory, Path::new(text));
        if literal.is_file() {
            return Ok(vec![literal]);
        }
        if literal.is_dir() {
            return Ok(self.below(&literal)?.to_vec());
        }
        if !is_glob(text) {
            let error = Error::new(
                Code::InvalidValue,
                format!(
                    "`inputs` at {} names `{text}`, which does not exist",
                    pattern.glob.origin
                ),
            );
            return Err(error.help("Correct the path; it is relative to the manifest."));
        }
        let (directory, glob) = split_glob(pattern);
        let matcher = matcher(pattern, &directory, &glob)?;
        let files = self.below(&directory)?;
        Ok(files
            .iter()
            .filter(|file| matches(&matcher, &directory, file))
            .cloned()
            .collect())
    }

    /// All files below a directory, sorted, including hidden and ignored ones; none when it does not exist.
    ///
    /// # Errors
    /// `FileUnreadable`.
    pub(super) fn below(&self, directory: &Path) -> Result<Files> {
        let repository = self.repository(directory, directory);
        self.list(directory, Rules::All, &repository)
    }

    /// What git would track below a directory, sorted.
    ///
    /// # Errors
    /// `FileUnreadable`.
    pub(super) fn watched(&self, directory: &Path, repository: &GitRepository) -> Result<Files> {
        self.list(directory, Rules::Tracked, repository)
    }

    /// The files beside a file that have its extension and that git would track.
    pub(super) fn siblings(&self, file: &Path, repository: &GitRepository) -> Vec<PathBuf> {
        let (Some(directory), Some(extension)) = (file.parent(), file.extension()) else {
            return Vec::new();
        };
        let entries = directory
            .read_dir()
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path());
        let has_extension = |path: &PathBuf| path.extension() == Some(extension) && path.is_file();
        entries
            .filter(has_extension)
            .filter(|path| !repository.ignores(path, false) || repository.tracks(path))
            .collect()
    }

    fn list(&self, directory: &Path, rules: Rules, repository: &GitRepository) -> Result<Files> {
        let key = (directory.to_owned(), rules);
        if let Some(files) = self
            .listings
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&key)
        {
            return Ok(files.clone());
        }
        let files = SourceWalk::new(repository, rules, &self.skipped).files(directory)?;
        let files = Arc::new(files);
        self.listings
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(key, files.clone());
        Ok(files)
    }
}

/// The path of an input relative to the workspace root, separated by `/`, with `..` for files outside of it.
///
/// # Errors
/// `FileUnreadable` when the path is not UTF-8: a lossy conversion could map two names to one.
pub(super) fn relative(root: &Path, path: &Path) -> Result<String> {
    let from: Vec<Component<'_>> = root.components().collect();
    let to: Vec<Component<'_>> = path.components().collect();
    let shared = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    let name = |part: &Component<'_>| part.as_os_str().to_str().map(str::to_owned);
    let up = from[shared..].iter().map(|_| Some("..".to_owned()));
    let parts: Option<Vec<String>> = up.chain(to[shared..].iter().map(name)).collect();
    let invalid = || {
        Error::new(
            Code::FileUnreadable,
            format!("the name of `{}` is not UTF-8", path.display()),
        )
        .help("Rename the file.")
    };
    parts.map(|parts| parts.join("/")).ok_or_else(invalid)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use tempfile::TempDir;
    use union_build::diag::Origin;
    use union_build::spec::Sourced;

    use super::*;

    fn tree(files: &[&str]) -> TempDir {
        let directory = tempfile::tempdir().unwrap();
        for file in files {
            fs::replace(&directory.path().join(file), file.as_bytes()).unwrap();
        }
        directory
    }

    fn pattern(directory: &Path, glob: &str) -> Pattern {
        Pattern {
            glob: Sourced {
                value: glob.to_owned(),
                origin: Origin::Default,
            },
            directory: directory.to_owned(),
        }
    }

    fn names(root: &TempDir, files: &[PathBuf]) -> Vec<String> {
        files
            .iter()
            .map(|file| relative(root.path(), file).unwrap())
            .collect()
    }

    fn package(directory: &Path) -> WorkspacePackage {
        WorkspacePackage {
            id: "app".to_owned(),
            name: "app".to_owned(),
            version: "0.1.0".to_owned(),
            manifest: union_build::diag::SourceFile::new(directory.join("Cargo.toml"), ""),
            directory: directory.to_owned(),
            root: directory.to_owned(),
            binaries: Vec::new(),
            default_run: None,
            dependencies: Vec::new(),
            declares_union: false,
            sources: vec![directory.join("src/main.rs"), directory.join("build.rs")],
        }
    }

    fn package_files(root: &TempDir, whole: bool) -> Vec<String> {
        let files = SourceFiles::new(Vec::new())
            .package_files(&package(root.path()), whole)
            .unwrap();
        names(root, &files.into_iter().collect::<Vec<_>>())
    }

    #[test]
    fn package_files_are_those_that_git_would_track() {
        let root = tree(&[
            "src/main.rs",
            "src/gen/table.rs",
            "assets/logo.svg",
            ".sqlx/query-1.json",
            "build.rs",
            ".gitignore",
            "x.log",
        ]);
        fs::replace(&root.path().join(".gitignore"), b"gen\n*.log\n").unwrap();
        assert_eq!(
            package_files(&root, false),
            [
                ".sqlx/query-1.json",
                "assets/logo.svg",
                "build.rs",
                "src/main.rs"
            ]
        );
    }

    #[test]
    fn files_of_version_control_ci_and_editors_are_not_inputs() {
        let none = [
            ".git/HEAD",
            ".github/workflows/ci.yml",
            ".gitlab-ci.yml",
            ".vscode/settings.json",
            ".idea/x",
            ".cargo/config.toml",
            "src/.main.rs.swp",
            "src/main.rs~",
            "src/.#main.rs",
            "src/#main.rs#",
            "src/4913",
            ".DS_Store",
            "src/main.rs.orig",
            "Cargo.toml",
            "Cargo.lock",
            "Union.lock",
        ];
        let root = tree(&[&["src/main.rs", ".env.default"], &none[..]].concat());
        assert_eq!(package_files(&root, true), [".env.default", "src/main.rs"]);
    }

    #[test]
    fn tests_and_documents_are_included_only_for_whole_packages() {
        let code = ["src/main.rs", "src/examples/one.rs", "data/t.txt"];
        let rest = [
            "README.md",
            "LICENSE-MIT",
            "tests/a.rs",
            "benches/b.rs",
            "examples/c.rs",
            "docs/x.md",
        ];
        let other = [
            "crates/helper/Cargo.toml",
            "crates/helper/src/lib.rs",
            "out/CACHEDIR.TAG",
            "out/release/app",
        ];
        let root = tree(&[&code[..], &rest[..], &other[..]].concat());
        assert_eq!(
            package_files(&root, false),
            ["data/t.txt", "src/examples/one.rs", "src/main.rs"]
        );
        let mut all: Vec<&str> = code.into_iter().chain(rest).collect();
        all.sort_unstable();
        assert_eq!(package_files(&root, true), all);
    }

    #[test]
    fn tracked_files_count_although_ignored() {
        let root = tree(&[
            "src/main.rs",
            "gen/a.rs",
            "gen/b.rs",
            "gen/deep/c.rs",
            ".gitignore",
        ]);
        fs::replace(&root.path().join(".gitignore"), b"gen\n").unwrap();
        for arguments in [
            &["init", "-q"][..],
            &["add", "-f", "gen/a.rs", "gen/deep/c.rs"],
        ] {
            assert!(
                std::process::Command::new("git")
                    .args(arguments)
                    .current_dir(root.path())
                    .status()
                    .unwrap()
                    .success()
            );
        }
        assert_eq!(
            package_files(&root, false),
            ["gen/a.rs", "gen/deep/c.rs", "src/main.rs"]
        );
    }

    #[test]
    fn package_in_an_ignored_directory_has_its_files() {
        let root = tree(&[".gitignore", "made/src/main.rs", "made/data.txt"]);
        fs::replace(&root.path().join(".gitignore"), b"made\n").unwrap();
        std::fs::create_dir(root.path().join(".git")).unwrap();
        fs::replace(&root.path().join(".git/HEAD"), b"ref: refs/heads/main\n").unwrap();
        let files = SourceFiles::new(Vec::new())
            .package_files(&package(&root.path().join("made")), false)
            .unwrap();
        assert_eq!(
            names(&root, &files.into_iter().collect::<Vec<_>>()),
            ["made/data.txt", "made/src/main.rs"]
        );
    }

    #[cfg(unix)]
    #[test]
    fn links_out_of_the_repository_and_special_files_are_skipped() {
        use std::os::unix::fs::symlink;
        let outside = tree(&["secret.txt"]);
        let root = tree(&["src/main.rs"]);
        symlink(outside.path(), root.path().join("elsewhere")).unwrap();
        symlink("nowhere", root.path().join("dangling")).unwrap();
        assert!(
            std::process::Command::new("mkfifo")
                .arg(root.path().join("pipe"))
                .status()
                .unwrap()
                .success()
        );
        assert_eq!(package_files(&root, false), ["src/main.rs"]);
    }

    #[test]
    fn named_directory_includes_hidden_and_ignored_files() {
        let root = tree(&[
            "data/a.txt",
            "data/.hidden",
            "data/ignored.log",
            "data/.git/x",
            ".gitignore",
        ]);
        fs::replace(&root.path().join(".gitignore"), b"*.log\n").unwrap();
        let sources = SourceFiles::new(Vec::new());
        let files = sources.below(&root.path().join("data")).unwrap();
        assert_eq!(
            names(&root, &files),
            ["data/.hidden", "data/a.txt", "data/ignored.log"]
        );
        let repository = sources.repository(root.path(), root.path());
        let files = sources
            .watched(&root.path().join("data"), &repository)
            .unwrap();
        assert_eq!(names(&root, &files), ["data/.hidden", "data/a.txt"]);
    }

    #[cfg(unix)]
    #[test]
    fn link_cycles_are_followed_once() {
        use std::os::unix::fs::symlink;
        let root = tree(&["src/main.rs", "shared/a.rs", "b/c.rs"]);
        symlink("../shared", root.path().join("src/shared")).unwrap();
        symlink("../b", root.path().join("shared/b")).unwrap();
        symlink("../shared", root.path().join("b/shared")).unwrap();
        symlink("nowhere", root.path().join("src/dangling")).unwrap();
        let files = SourceFiles::new(Vec::new())
            .below(&root.path().join("src"))
            .unwrap();
        assert_eq!(
            names(&root, &files),
            ["src/main.rs", "src/shared/a.rs", "src/shared/b/c.rs"]
        );
    }

    #[test]
    fn pattern_is_a_file_a_directory_or_a_glob() {
        let root = tree(&[
            "app/a.sql",
            "app/sql/b.sql",
            "app/sql/deep/c.sql",
            "app/target/d.sql",
            "config.txt",
            "app/od[d.txt",
        ]);
        let app = root.path().join("app");
        let sources = SourceFiles::new(vec![app.join("target").canonicalize().unwrap()]);
        let matching = |glob: &str| {
            sources
                .matching(&pattern(&app, glob))
                .map(|files| names(&root, &files))
        };
        assert_eq!(matching("../config.txt").unwrap(), ["config.txt"]);
        assert_eq!(
            matching("sql").unwrap(),
            ["app/sql/b.sql", "app/sql/deep/c.sql"]
        );
        assert_eq!(
            matching("*.sql").unwrap(),
            ["app/a.sql", "app/sql/b.sql", "app/sql/deep/c.sql"]
        );
        assert_eq!(matching("sql/*.sql").unwrap(), ["app/sql/b.sql"]);
        assert_eq!(
            matching("../*.txt").unwrap(),
            ["app/od[d.txt", "config.txt"][1..]
        );
        assert_eq!(matching("od[d.txt").unwrap(), ["app/od[d.txt"]);
        assert_eq!(matching("none/*.sql").unwrap(), [""; 0]);
        assert_eq!(
            matching("missing.txt").unwrap_err().code(),
            Code::InvalidValue
        );
        assert_eq!(matching("a{b").unwrap_err().code(), Code::InvalidValue);
    }

    #[test]
    fn exclude_patterns_match_files_and_directories() {
        let root = Path::new("/ws/app");
        let excluded = ExcludePatterns::new(&[
            pattern(root, "src/fixtures"),
            pattern(root, "*.md"),
            pattern(root, "../docs/*.txt"),
        ])
        .unwrap();
        for (file, is_excluded) in [
            ("/ws/app/src/fixtures/deep/a.rs", true),
            ("/ws/app/src/readme.md", true),
            ("/ws/docs/a.txt", true),
            ("/ws/app/src/main.rs", false),
            ("/ws/app/docs/a.txt", false),
        ] {
            assert_eq!(excluded.has(Path::new(file)), is_excluded, "{file}");
        }
    }

    #[test]
    fn names_are_relative_to_the_root() {
        assert_eq!(
            relative(Path::new("/a/ws"), Path::new("/a/ws/src/main.rs")).unwrap(),
            "src/main.rs"
        );
        assert_eq!(
            relative(Path::new("/a/ws"), Path::new("/a/shared/lib.rs")).unwrap(),
            "../shared/lib.rs"
        );
    }
}
