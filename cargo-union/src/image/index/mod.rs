//! The merged file tree of a stack of layers.
//!
//! Adding a layer requires the file tree of those below it. On merged-usr systems `/bin` is a link to `usr/bin`: an
//! entry `bin/x` would replace the link by a new directory, and the shell would no longer be found.

mod indexed_file;
mod subset;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use indexed_file::{ElfFacts, IndexedFile};

/// A file system entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FsEntry {
    /// A directory.
    Directory,
    /// A file or device, with its indexed content, if any.
    File(Option<IndexedFile>),
    /// A symbolic link with its target.
    Link(String),
}

/// A change by a layer; paths have no leading and no trailing slash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LayerChange {
    /// Adds or replaces an entry.
    Put(String, FsEntry),
    /// Removes an entry of a lower layer (whiteout).
    Remove(String),
    /// Removes the contents of a directory in lower layers (opaque whiteout).
    Clear(String),
}

/// Why an entry cannot be placed at a path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Conflict {
    /// A parent, or the path of a directory, is a file.
    #[error("`/{0}` is a file, but a directory is required")]
    NotADirectory(String),
    /// A file would replace a directory.
    #[error(
        "`/{0}` is a directory, which a file cannot replace; end the destination with `/` to copy into it"
    )]
    IsADirectory(String),
    /// Too many links were followed.
    #[error("the symbolic links of `/{0}` form a loop")]
    Loop(String),
}

impl LayerChange {
    /// The change of a tar entry; recognizes whiteouts by name (OCI image spec, layer.md).
    pub fn of(path: &str, entry: FsEntry) -> Self {
        let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
        match name.strip_prefix(".wh.") {
            Some(".wh..opq") => Self::Clear(directory.to_owned()),
            Some(removed) => Self::Remove(join(directory, removed)),
            None => Self::Put(path.to_owned(), entry),
        }
    }
}

/// The file tree of an image, by path without a leading slash.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FileIndex(BTreeMap<String, FsEntry>);

impl FileIndex {
    /// Applies a layer. Whiteouts only affect lower layers, regardless of their position in the layer.
    pub fn apply(&mut self, layer: &[LayerChange]) {
        for change in layer {
            match change {
                LayerChange::Remove(path) => self.remove(path),
                LayerChange::Clear(directory) => self.clear(directory),
                LayerChange::Put(..) => {}
            }
        }
        for change in layer {
            if let LayerChange::Put(path, entry) = change {
                self.put(path, entry.clone());
            }
        }
    }

    /// Puts an entry at a path, without following links, and creates its parent directories.
    pub fn put(&mut self, path: &str, entry: FsEntry) {
        for (end, _) in path.match_indices('/') {
            let parent = &path[..end];
            if self.0.get(parent) != Some(&FsEntry::Directory) {
                self.0.insert(parent.to_owned(), FsEntry::Directory);
            }
        }
        if entry != FsEntry::Directory {
            self.clear(path);
        }
        self.0.insert(path.to_owned(), entry);
    }

    /// The entry at a path, without following links.
    pub fn get(&self, path: &str) -> Option<&FsEntry> {
        if path.is_empty() {
            Some(&FsEntry::Directory)
        } else {
            self.0.get(path)
        }
    }

    /// The paths of all entries, sorted.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Follows all links of a path, and returns the resolved path and its entry.
    pub fn find(&self, path: &str) -> Option<(String, &FsEntry)> {
        let resolved = self.follow(path).ok()?;
        let entry = self.get(&resolved)?;
        Some((resolved, entry))
    }

    /// The content of an indexed text file; follows links.
    pub fn text(&self, path: &str) -> Option<&str> {
        match self.find(path)?.1 {
            FsEntry::File(Some(IndexedFile::Text(text))) => Some(text),
            _ => None,
        }
    }

    /// The path at which to write a file or link: follows the links of the parents, but not of the path itself.
    ///
    /// # Errors
    /// When a parent is a file, the path is a directory, or links form a loop.
    pub fn place_file(&self, path: &str) -> Result<String, Conflict> {
        let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
        let resolved = join(&self.place_directory(directory)?, name);
        // A link to a directory is treated as the directory; a link to a file is replaced.
        let target = match self.get(&resolved) {
            Some(FsEntry::Link(_)) => self
                .follow(&resolved)
                .ok()
                .and_then(|target| self.get(&target)),
            entry => entry,
        };
        if target == Some(&FsEntry::Directory) {
            Err(Conflict::IsADirectory(resolved))
        } else {
            Ok(resolved)
        }
    }

    /// The path at which a directory is or has to be created; follows all links.
    ///
    /// # Errors
    /// When the path or a parent is a file, or links form a loop.
    pub fn place_directory(&self, path: &str) -> Result<String, Conflict> {
        let resolved = self.follow(path)?;
        match self.get(&resolved) {
            Some(FsEntry::File(_)) => Err(Conflict::NotADirectory(resolved)),
            _ => Ok(resolved),
        }
    }

    /// Follows all links of a path like the kernel. Missing components are not an error.
    fn follow(&self, path: &str) -> Result<String, Conflict> {
        // The limit of Linux (path_resolution(7)).
        const LINKS: usize = 40;
        let mut remaining: Vec<String> = path.split('/').rev().map(str::to_owned).collect();
        let mut resolved = String::new();
        let mut links = 0;
        while let Some(part) = remaining.pop() {
            match part.as_str() {
                "" | "." => continue,
                ".." => {
                    resolved.truncate(resolved.rfind('/').unwrap_or(0));
                    continue;
                }
                _ => {}
            }
            let next = join(&resolved, &part);
            match self.get(&next) {
                Some(FsEntry::Link(target)) => {
                    links += 1;
                    if links > LINKS {
                        return Err(Conflict::Loop(path.to_owned()));
                    }
                    if target.starts_with('/') {
                        resolved.clear();
                    }
                    remaining.extend(target.split('/').rev().map(str::to_owned));
                }
                Some(FsEntry::File(_)) if !remaining.is_empty() => {
                    return Err(Conflict::NotADirectory(next));
                }
                _ => resolved = next,
            }
        }
        Ok(resolved)
    }

    fn remove(&mut self, path: &str) {
        self.0.remove(path);
        self.clear(path);
    }

    fn clear(&mut self, directory: &str) {
        if directory.is_empty() {
            return self.0.clear();
        }
        // In ASCII, `0` follows `/`: the range has exactly the paths below the directory.
        let below: Vec<String> = self
            .0
            .range(format!("{directory}/")..format!("{directory}0"))
            .map(|(path, _)| path.clone())
            .collect();
        below.iter().for_each(|path| drop(self.0.remove(path)));
    }
}

fn join(directory: &str, name: &str) -> String {
    if directory.is_empty() {
        name.to_owned()
    } else {
        format!("{directory}/{name}")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
