//! What the files of the workspace held when the keys were made. Builders take their files from here, so that what they
//! build has the key that it is remembered and published under.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use union_build::diag::Code;
use union_build::spec;

use super::roots::SourceRoots;
use super::sources::{self, Item, Measure};
use crate::sys::cache::Cache;
use crate::sys::error::{Error, Result};
use crate::sys::fs::FileDigest;

/// Lists and hashes of everything that is copied. The first answer stays.
#[derive(Debug)]
pub struct MeasuredFiles {
    cache: Cache,
    files: Mutex<HashMap<PathBuf, FileDigest>>,
    copies: Mutex<Vec<(spec::Copy, Arc<Vec<Item>>)>>,
    contexts: Mutex<HashMap<[PathBuf; 2], Arc<Vec<Item>>>>,
}

impl MeasuredFiles {
    /// Nothing is measured yet; the cache knows large files of earlier runs.
    pub fn new(cache: &Cache) -> Self {
        Self { cache: cache.clone(), files: Mutex::default(), copies: Mutex::default(), contexts: Mutex::default() }
    }

    /// Size and hash of a file.
    ///
    /// # Errors
    /// `FileUnreadable`.
    pub(super) fn measure(&self, path: &Path) -> Result<FileDigest> {
        let measured = self.measure_listed(path)?;
        Ok(*self.files.lock().unwrap_or_else(PoisonError::into_inner).entry(path.to_owned()).or_insert(measured))
    }

    /// The same, of a file whose list keeps the answer: there may be a million of them.
    fn measure_listed(&self, path: &Path) -> Result<FileDigest> {
        let known = self.files.lock().unwrap_or_else(PoisonError::into_inner).get(path).copied();
        known.map_or_else(|| self.cache.measure(path), Ok)
    }

    /// Compares what was read of a file with what it held.
    ///
    /// # Errors
    /// `InputsMoved`, `FileUnreadable`.
    pub(super) fn check(&self, path: &Path, read: FileDigest) -> Result<()> {
        if read == self.measure(path)? {
            return Ok(());
        }
        Err(Error::new(Code::InputsMoved, format!("could not use `{}`", path.display())).because("it changed after it was looked at"))
    }

    /// What one `copy` brings, folders before what is in them.
    ///
    /// # Errors
    /// What [`sources::items`] fails with.
    pub(super) fn copied(&self, copy: &spec::Copy, roots: &SourceRoots) -> Result<Arc<Vec<Item>>> {
        let known =
            |copies: &[(spec::Copy, Arc<Vec<Item>>)]| copies.iter().find(|(known, _)| known == copy).map(|(_, items)| items.clone());
        if let Some(items) = known(&self.copies.lock().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(items);
        }
        let mut items = sources::items(copy, roots, &|path| self.measure_listed(path))?;
        items.shrink_to_fit();
        let items = Arc::new(items);
        let mut copies = self.copies.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(known(&copies).unwrap_or_else(|| {
            copies.push((copy.clone(), items.clone()));
            items
        }))
    }

    /// What the build context of a Dockerfile holds; `list` goes through it.
    ///
    /// # Errors
    /// What `list` fails with.
    pub(super) fn context(
        &self,
        dockerfile: &Path,
        folder: &Path,
        list: impl FnOnce(&Measure<'_>) -> Result<Vec<Item>>,
    ) -> Result<Arc<Vec<Item>>> {
        let name = [dockerfile.to_owned(), folder.to_owned()];
        if let Some(items) = self.contexts.lock().unwrap_or_else(PoisonError::into_inner).get(&name) {
            return Ok(items.clone());
        }
        let mut items = list(&|path| self.measure_listed(path))?;
        items.shrink_to_fit();
        let items = Arc::new(items);
        Ok(self.contexts.lock().unwrap_or_else(PoisonError::into_inner).entry(name).or_insert(items).clone())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::build::sources::ItemKind;

    #[test]
    fn what_is_kept_of_a_file_of_a_context_is_small() {
        let directory = tempfile::tempdir().unwrap();
        let files = MeasuredFiles::new(&Cache::new(directory.path().join("cache")));
        let paths: Vec<PathBuf> = (0..100).map(|number| directory.path().join(format!("file-{number}"))).collect();
        paths.iter().for_each(|path| std::fs::write(path, "x").unwrap());
        let list = |measure: &Measure<'_>| {
            let item = |path: &PathBuf| {
                let what = ItemKind::File { from: path.clone(), mode: 0o644, measured: measure(path)? };
                Ok(Item { to: String::new(), what })
            };
            paths.iter().map(item).collect()
        };
        let items = files.context(Path::new("Dockerfile"), directory.path(), list).unwrap();
        // Beside the two paths; a context may have a million files.
        assert!(size_of::<Item>() <= 96, "{}", size_of::<Item>());
        assert_eq!(items.capacity(), 100);
        assert_eq!(files.files.lock().unwrap().len(), 0, "each is in the list");
        // What was measured before stays what it was.
        files.measure(&paths[0]).unwrap();
        std::fs::write(&paths[0], "other").unwrap();
        let items = files.context(Path::new("Other"), directory.path(), list).unwrap();
        assert!(matches!(&items[0].what, ItemKind::File { measured, .. } if *measured == files.measure(&paths[0]).unwrap()));
    }
}
