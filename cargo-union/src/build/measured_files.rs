//! Sizes and hashes of the workspace's files at the time the keys were computed. Builders use the same measurements, so
//! that an image matches the key that it is cached and published under.

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

/// Listings and hashes of all copied files. The first measurement of a file is not replaced.
#[derive(Debug)]
pub struct MeasuredFiles {
    cache: Cache,
    files: Mutex<HashMap<PathBuf, FileDigest>>,
    copies: Mutex<Vec<(spec::Copy, Arc<Vec<Item>>)>>,
    contexts: Mutex<HashMap<[PathBuf; 2], Arc<Vec<Item>>>>,
}

impl MeasuredFiles {
    /// Starts without measurements. The hashes of large files are taken from the cache if an earlier run has stored
    /// them.
    pub fn new(cache: &Cache) -> Self {
        Self {
            cache: cache.clone(),
            files: Mutex::default(),
            copies: Mutex::default(),
            contexts: Mutex::default(),
        }
    }

    /// Size and hash of a file.
    ///
    /// # Errors
    /// `FileUnreadable`.
    pub(super) fn measure(&self, path: &Path) -> Result<FileDigest> {
        let measured = self.measure_listed(path)?;
        Ok(*self
            .files
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(path.to_owned())
            .or_insert(measured))
    }

    /// Like [`measure`](Self::measure), without storing the result, which a listing has: it may have a million files.
    fn measure_listed(&self, path: &Path) -> Result<FileDigest> {
        let known = self
            .files
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(path)
            .copied();
        known.map_or_else(|| self.cache.measure(path), Ok)
    }

    /// Checks that the bytes read from a file are those that were measured.
    ///
    /// # Errors
    /// `InputsMoved` when they differ, `FileUnreadable`.
    pub(super) fn check(&self, path: &Path, read: FileDigest) -> Result<()> {
        if read == self.measure(path)? {
            return Ok(());
        }
        Err(Error::new(
            Code::InputsMoved,
            format!("could not use `{}`", path.display()),
        )
        .because("it changed after it was read"))
    }

    /// The items of one `copy`, directories before their contents.
    ///
    /// # Errors
    /// Those of [`sources::items`].
    pub(super) fn copied(&self, copy: &spec::Copy, roots: &SourceRoots) -> Result<Arc<Vec<Item>>> {
        let known = |copies: &[(spec::Copy, Arc<Vec<Item>>)]| {
            copies
                .iter()
                .find(|(known, _)| known == copy)
                .map(|(_, items)| items.clone())
        };
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

    /// The items of the build context of a Dockerfile; `list` walks it when it was not listed before.
    ///
    /// # Errors
    /// Those of `list`.
    pub(super) fn context(
        &self,
        dockerfile: &Path,
        directory: &Path,
        list: impl FnOnce(&Measure<'_>) -> Result<Vec<Item>>,
    ) -> Result<Arc<Vec<Item>>> {
        let key = [dockerfile.to_owned(), directory.to_owned()];
        if let Some(items) = self
            .contexts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&key)
        {
            return Ok(items.clone());
        }
        let mut items = list(&|path| self.measure_listed(path))?;
        items.shrink_to_fit();
        let items = Arc::new(items);
        Ok(self
            .contexts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(key)
            .or_insert(items)
            .clone())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::build::sources::ItemKind;

    #[test]
    fn files_of_a_context_use_little_memory() {
        let directory = tempfile::tempdir().unwrap();
        let files = MeasuredFiles::new(&Cache::new(directory.path().join("cache")));
        let paths: Vec<PathBuf> = (0..100)
            .map(|number| directory.path().join(format!("file-{number}")))
            .collect();
        paths
            .iter()
            .for_each(|path| std::fs::write(path, "x").unwrap());
        let list = |measure: &Measure<'_>| {
            let item = |path: &PathBuf| {
                let kind = ItemKind::File {
                    from: path.clone(),
                    mode: 0o644,
                    measured: measure(path)?,
                };
                Ok(Item {
                    to: String::new(),
                    kind,
                })
            };
            paths.iter().map(item).collect()
        };
        let items = files
            .context(Path::new("Dockerfile"), directory.path(), list)
            .unwrap();
        // In addition to the two paths; a context may have a million files.
        assert!(size_of::<Item>() <= 96, "{}", size_of::<Item>());
        assert_eq!(items.capacity(), 100);
        assert_eq!(files.files.lock().unwrap().len(), 0, "each is in the list");
        // An earlier measurement is kept.
        files.measure(&paths[0]).unwrap();
        std::fs::write(&paths[0], "other").unwrap();
        let items = files
            .context(Path::new("Other"), directory.path(), list)
            .unwrap();
        assert!(
            matches!(&items[0].kind, ItemKind::File { measured, .. } if *measured == files.measure(&paths[0]).unwrap())
        );
    }
}
