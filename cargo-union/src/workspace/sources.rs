//! Lists and hashes the files that are inputs of a key.
//!
//! Each file is read at most once per snapshot.
//!
//! There are three listings. [`package_files`](SourceFiles::package_files): what git would track in a package's
//! directory, without what is not code. [`watched`](SourceFiles::watched): what git would track below a directory that
//! a build script watches. [`below`](SourceFiles::below): everything below a directory that the user has named.

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
        let manifests = || {
            self.manifests
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
        };
        let path = &package.manifest.path;
        if let Some(value) = manifests().get(path) {
            return Ok(value.clone());
        }
        let value = manifest::package_value(manifest::parse(&package.manifest)?, with_dev);
        manifests().insert(path.clone(), value.clone());
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
mod tests;
