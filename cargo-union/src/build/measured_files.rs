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
        if let Some(measured) = self.files.lock().unwrap_or_else(PoisonError::into_inner).get(path) {
            return Ok(*measured);
        }
        let measured = self.cache.measure(path)?;
        Ok(*self.files.lock().unwrap_or_else(PoisonError::into_inner).entry(path.to_owned()).or_insert(measured))
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
        let items = Arc::new(sources::items(copy, roots, &|path| self.measure(path))?);
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
        let items = Arc::new(list(&|path| self.measure(path))?);
        Ok(self.contexts.lock().unwrap_or_else(PoisonError::into_inner).entry(name).or_insert(items).clone())
    }
}
