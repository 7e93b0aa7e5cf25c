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
use crate::sys::fs::{self, FileDigest};

/// Listings and hashes of all copied files. The first measurement of a file is kept.
#[derive(Debug)]
pub struct MeasuredFiles {
    cache: Cache,
    files: Mutex<HashMap<PathBuf, FileDigest>>,
    copies: Mutex<Vec<(spec::Copy, Arc<Vec<Item>>)>>,
    contexts: Mutex<HashMap<[PathBuf; 2], Arc<Vec<Item>>>>,
}

impl MeasuredFiles {
    /// Starts without measurements; the cache has the hashes of large files from earlier runs.
    pub fn new(cache: &Cache) -> Self {
        Self { cache: cache.clone(), files: Mutex::default(), copies: Mutex::default(), contexts: Mutex::default() }
    }

    /// Size and hash of a file.
    ///
    /// # Errors
    /// `FileUnreadable`.
    pub(super) fn measure(&self, path: &Path) -> Result<FileDigest> {
        if let Some(measured) = self.files.lock().unwrap_or_else(PoisonError::into_inner).get(path) {
            return Ok(*measured);
        }
        let measured = self.cache.measure(path)?;
        Ok(*self.files.lock().unwrap_or_else(PoisonError::into_inner).entry(path.to_owned()).or_insert(measured))
    }

    /// Checks that a file is unchanged since it was measured.
    ///
    /// # Errors
    /// `InputsMoved` when it changed, `FileUnreadable`.
    pub(super) fn check(&self, path: &Path) -> Result<()> {
        if fs::measure(path)? == self.measure(path)? {
            return Ok(());
        }
        Err(Error::new(Code::InputsMoved, format!("could not use `{}`", path.display())).because("it changed after it was read"))
    }

    /// The items of one `copy`, directories before their contents.
    ///
    /// # Errors
    /// Those of [`sources::items`].
    pub(super) fn copied(&self, copy: &spec::Copy, roots: &SourceRoots) -> Result<Arc<Vec<Item>>> {
        let known =
            |copies: &[(spec::Copy, Arc<Vec<Item>>)]| copies.iter().find(|(known, _)| known == copy).map(|(_, items)| items.clone());
        if let Some(items) = known(&self.copies.lock().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(items);
        }
        let items = Arc::new(sources::items(copy, roots, &|path| self.measure(path))?);
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
        if let Some(items) = self.contexts.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Ok(items.clone());
        }
        let items = Arc::new(list(&|path| self.measure(path))?);
        Ok(self.contexts.lock().unwrap_or_else(PoisonError::into_inner).entry(key).or_insert(items).clone())
    }
}
