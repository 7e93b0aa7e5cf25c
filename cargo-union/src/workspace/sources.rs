//! The files that feed a key: which they are, and their hashes.
//!
//! Each file is read once per snapshot, however many images share it. Hidden files are nobody's
//! sources; ignored ones are, for the compiler does not read `.gitignore`.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use ignore::gitignore::{Gitignore, GitignoreBuilder};
use union_build::diag::Code;
use union_build::key::Value;
use union_build::spec::Pattern;

use super::{Package, manifest};
use crate::base::error::{Error, Result};
use crate::base::fs;

/// What was read so far.
#[derive(Debug, Default)]
pub(super) struct Sources {
    hashes: Mutex<HashMap<PathBuf, Value>>,
    manifests: Mutex<HashMap<PathBuf, Value>>,
    listings: Mutex<HashMap<PathBuf, Arc<Vec<PathBuf>>>>,
    /// Folders that never hold sources: where cargo puts what it makes.
    skipped: Vec<PathBuf>,
}

impl Sources {
    pub(super) fn new(skipped: Vec<PathBuf>) -> Self {
        Self { skipped, ..Self::default() }
    }

    /// The hash of a file.
    ///
    /// # Errors
    /// `FileUnreadable`.
    pub(super) fn hash(&self, path: &Path) -> Result<Value> {
        if let Some(hash) = self.hashes.lock().unwrap_or_else(PoisonError::into_inner).get(path) {
            return Ok(hash.clone());
        }
        let hash = Value::Hash(fs::measure(path)?.hash);
        self.hashes.lock().unwrap_or_else(PoisonError::into_inner).insert(path.to_owned(), hash.clone());
        Ok(hash)
    }

    /// What a package's manifest is to a key: parsed once, however many images share it.
    ///
    /// # Errors
    /// `ManifestSyntax`.
    pub(super) fn manifest(&self, package: &Package) -> Result<Value> {
        let mut manifests = self.manifests.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(value) = manifests.get(&package.manifest.path) {
            return Ok(value.clone());
        }
        let value = manifest::of_package(manifest::parse(&package.manifest)?);
        manifests.insert(package.manifest.path.clone(), value.clone());
        Ok(value)
    }

    /// A package's own files: the roots of its targets, its build script and all of `src`.
    ///
    /// # Errors
    /// `FileUnreadable`.
    pub(super) fn of_package(&self, package: &Package) -> Result<BTreeSet<PathBuf>> {
        let mut files: BTreeSet<PathBuf> = package.sources.iter().filter(|path| path.is_file()).cloned().collect();
        files.extend(self.below(&package.folder.join("src"))?.iter().cloned());
        Ok(files)
    }

    /// The files that an `inputs` pattern means: a path as it stands, all of a folder, or a glob.
    ///
    /// # Errors
    /// `InvalidValue` when it cannot be read, or names a path that is not there.
    pub(super) fn matching(&self, pattern: &Pattern) -> Result<Vec<PathBuf>> {
        let typed = pattern.glob.value.as_str();
        let literal = fs::absolute(&pattern.folder, Path::new(typed));
        if literal.is_file() {
            return Ok(vec![literal]);
        }
        if literal.is_dir() {
            return Ok(self.below(&literal)?.to_vec());
        }
        if !typed.contains(['*', '?', '[', '{']) {
            let error =
                Error::new(Code::InvalidValue, format!("`inputs` at {} names `{typed}`, which does not exist", pattern.glob.origin));
            return Err(error.help("Correct the path; it is relative to the manifest."));
        }
        let (folder, glob) = globbed(pattern);
        let matcher = matcher(pattern, &folder, &glob)?;
        let files = self.below(&folder)?;
        Ok(files.iter().filter(|file| matches(&matcher, &folder, file)).cloned().collect())
    }

    /// All files below a folder, sorted; links are followed, a folder is never entered twice on the
    /// way down. A folder that is not there has none.
    pub(super) fn below(&self, folder: &Path) -> Result<Arc<Vec<PathBuf>>> {
        if let Some(files) = self.listings.lock().unwrap_or_else(PoisonError::into_inner).get(folder) {
            return Ok(files.clone());
        }
        let mut files = Vec::new();
        self.walk(folder, &mut Vec::new(), &mut files)?;
        files.sort();
        let files = Arc::new(files);
        self.listings.lock().unwrap_or_else(PoisonError::into_inner).insert(folder.to_owned(), files.clone());
        Ok(files)
    }

    fn walk(&self, folder: &Path, above: &mut Vec<PathBuf>, files: &mut Vec<PathBuf>) -> Result<()> {
        let real = match folder.canonicalize() {
            Ok(real) if !above.contains(&real) && !self.skipped.contains(&real) => real,
            Ok(_) => return Ok(()),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(cause) => return Err(fs::unreadable(folder, cause)),
        };
        above.push(real);
        for entry in folder.read_dir().map_err(|cause| fs::unreadable(folder, cause))? {
            let entry = entry.map_err(|cause| fs::unreadable(folder, cause))?;
            if entry.file_name().as_encoded_bytes().starts_with(b".") {
                continue;
            }
            let path = entry.path();
            let kind = entry.file_type().map_err(|cause| fs::unreadable(&path, cause))?;
            // A link that leads nowhere is something that the compiler cannot read either.
            let (is_folder, is_file) = if kind.is_symlink() { (path.is_dir(), path.is_file()) } else { (kind.is_dir(), kind.is_file()) };
            if is_folder {
                self.walk(&path, above, files)?;
            } else if is_file {
                files.push(path);
            }
        }
        above.pop();
        Ok(())
    }
}

/// The `exclude` patterns of an image.
#[derive(Clone, Debug, Default)]
pub(super) struct Excluded(Vec<(PathBuf, Gitignore)>);

impl Excluded {
    /// # Errors
    /// `InvalidValue`.
    pub(super) fn new(patterns: &[Pattern]) -> Result<Self> {
        let matcher = |pattern: &Pattern| {
            let (folder, glob) = globbed(pattern);
            Ok((folder.clone(), matcher(pattern, &folder, &glob)?))
        };
        Ok(Self(patterns.iter().map(matcher).collect::<Result<_>>()?))
    }

    pub(super) fn has(&self, file: &Path) -> bool {
        self.0.iter().any(|(folder, matcher)| matches(matcher, folder, file))
    }
}

/// A pattern's plain leading folders, which may be `..`, and its glob below them. As in `.gitignore`
/// a glob without a slash holds at any depth.
fn globbed(pattern: &Pattern) -> (PathBuf, String) {
    let typed = pattern.glob.value.strip_prefix("./").unwrap_or(&pattern.glob.value);
    let parts: Vec<&str> = typed.split('/').collect();
    let is_plain = |part: &&str| !part.contains(['*', '?', '[', '{']);
    let plain = parts[..parts.len() - 1].iter().take_while(|part| is_plain(part)).count();
    let folder = fs::absolute(&pattern.folder, Path::new(&parts[..plain].join("/")));
    let glob = parts[plain..].join("/");
    (folder, if plain == 0 { glob } else { format!("/{glob}") })
}

fn matcher(pattern: &Pattern, folder: &Path, glob: &str) -> Result<Gitignore> {
    let invalid = |cause: ignore::Error| {
        let tried = format!("the pattern `{}` at {} is not valid", pattern.glob.value, pattern.glob.origin);
        Error::new(Code::InvalidValue, tried).because(cause)
    };
    let mut builder = GitignoreBuilder::new(folder);
    builder.add_line(None, glob).map_err(invalid)?;
    builder.build().map_err(invalid)
}

fn matches(matcher: &Gitignore, folder: &Path, file: &Path) -> bool {
    file.starts_with(folder) && matcher.matched_path_or_any_parents(file, false).is_ignore()
}

/// A path as an input is called: from the workspace root, with `/`, upward with `..`.
///
/// # Errors
/// `FileUnreadable` when it is not UTF-8: two such names could look the same.
pub(super) fn relative(root: &Path, path: &Path) -> Result<String> {
    let (from, to): (Vec<Component<'_>>, Vec<Component<'_>>) = (root.components().collect(), path.components().collect());
    let shared = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    let name = |part: &Component<'_>| part.as_os_str().to_str().map(str::to_owned);
    let up = from[shared..].iter().map(|_| Some("..".to_owned()));
    let parts: Option<Vec<String>> = up.chain(to[shared..].iter().map(name)).collect();
    let invalid = || Error::new(Code::FileUnreadable, format!("the name of `{}` is not UTF-8", path.display())).help("Rename the file.");
    parts.map(|parts| parts.join("/")).ok_or_else(invalid)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use tempfile::TempDir;
    use union_build::diag::Origin;
    use union_build::spec::Placed;

    use super::*;

    fn tree(files: &[&str]) -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            fs::replace(&folder.path().join(file), file.as_bytes()).unwrap();
        }
        folder
    }

    fn pattern(folder: &Path, glob: &str) -> Pattern {
        Pattern { glob: Placed { value: glob.to_owned(), origin: Origin::Default }, folder: folder.to_owned() }
    }

    fn names(root: &TempDir, files: &[PathBuf]) -> Vec<String> {
        files.iter().map(|file| relative(root.path(), file).unwrap()).collect()
    }

    #[test]
    fn ignored_files_are_sources_and_hidden_ones_are_not() {
        let root = tree(&["src/main.rs", "src/gen/table.rs", "src/.main.rs.swp", "src/.hidden/x", ".gitignore"]);
        fs::replace(&root.path().join(".gitignore"), b"gen\n").unwrap();
        let files = Sources::default().below(&root.path().join("src")).unwrap();
        assert_eq!(names(&root, &files), ["src/gen/table.rs", "src/main.rs"]);
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_but_never_round_and_round() {
        use std::os::unix::fs::symlink;
        let root = tree(&["src/main.rs", "shared/a.rs", "b/c.rs"]);
        symlink("../shared", root.path().join("src/shared")).unwrap();
        symlink("../b", root.path().join("shared/b")).unwrap();
        symlink("../shared", root.path().join("b/shared")).unwrap();
        symlink("nowhere", root.path().join("src/dangling")).unwrap();
        let files = Sources::default().below(&root.path().join("src")).unwrap();
        assert_eq!(names(&root, &files), ["src/main.rs", "src/shared/a.rs", "src/shared/b/c.rs"]);
    }

    #[test]
    fn a_pattern_means_a_file_a_folder_or_a_glob() {
        let root = tree(&["app/a.sql", "app/sql/b.sql", "app/sql/deep/c.sql", "app/target/d.sql", "config.txt", "app/od[d.txt"]);
        let app = root.path().join("app");
        let sources = Sources::new(vec![app.join("target").canonicalize().unwrap()]);
        let matching = |glob: &str| sources.matching(&pattern(&app, glob)).map(|files| names(&root, &files));
        assert_eq!(matching("../config.txt").unwrap(), ["config.txt"]);
        assert_eq!(matching("sql").unwrap(), ["app/sql/b.sql", "app/sql/deep/c.sql"]);
        assert_eq!(matching("*.sql").unwrap(), ["app/a.sql", "app/sql/b.sql", "app/sql/deep/c.sql"]);
        assert_eq!(matching("sql/*.sql").unwrap(), ["app/sql/b.sql"]);
        assert_eq!(matching("../*.txt").unwrap(), ["app/od[d.txt", "config.txt"][1..]);
        assert_eq!(matching("od[d.txt").unwrap(), ["app/od[d.txt"]);
        assert_eq!(matching("none/*.sql").unwrap(), [""; 0]);
        assert_eq!(matching("missing.txt").unwrap_err().code(), Code::InvalidValue);
        assert_eq!(matching("a{b").unwrap_err().code(), Code::InvalidValue);
    }

    #[test]
    fn what_is_excluded_is_found_by_folder_too() {
        let root = Path::new("/ws/app");
        let excluded = Excluded::new(&[pattern(root, "src/fixtures"), pattern(root, "*.md"), pattern(root, "../docs/*.txt")]).unwrap();
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
    fn names_are_relative_to_the_root_wherever_it_is() {
        assert_eq!(relative(Path::new("/a/ws"), Path::new("/a/ws/src/main.rs")).unwrap(), "src/main.rs");
        assert_eq!(relative(Path::new("/a/ws"), Path::new("/a/shared/lib.rs")).unwrap(), "../shared/lib.rs");
    }
}
