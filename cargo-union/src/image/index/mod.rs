//! The files of an image, by path: what stands where once all its layers lie upon one another.
//!
//! A layer knows nothing of those below it. Whoever adds a layer must know whether `/bin` is a folder
//! or, as on every merged-usr system, a link to `usr/bin`: an entry `bin/x` would put a new folder in
//! the link's place, and the shell behind it would be gone.

mod indexed_file;
mod reduced;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use indexed_file::{ElfFacts, IndexedFile};

/// What stands at a path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FsEntry {
    /// A folder.
    Folder,
    /// A file or device, and what is known of its content.
    File(Option<IndexedFile>),
    /// A symbolic link, with its target.
    Link(String),
}

/// One thing that a layer says about a path (without a leading or trailing slash).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LayerChange {
    /// Something stands there now.
    Put(String, FsEntry),
    /// What a lower layer has there is gone.
    Remove(String),
    /// What a lower layer has in this folder is gone.
    Clear(String),
}

/// Why a path cannot be placed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Conflict {
    /// A parent is a file.
    #[error("`/{0}` is a file, and a folder is needed there")]
    NotAFolder(String),
    /// A file would replace a folder.
    #[error("`/{0}` is a folder, and a file cannot take its place; end the destination with `/` to copy into it")]
    IsAFolder(String),
    /// Links lead in a circle.
    #[error("the symbolic links of `/{0}` lead in a circle")]
    Circle(String),
}

impl LayerChange {
    /// What a tar entry means. A whiteout is a file whose name says what is gone.
    pub fn of(path: &str, node: FsEntry) -> Self {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        match name.strip_prefix(".wh.") {
            Some(".wh..opq") => Self::Clear(folder.to_owned()),
            Some(gone) => Self::Remove(join(folder, gone)),
            None => Self::Put(path.to_owned(), node),
        }
    }
}

/// The files of an image.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FileIndex(BTreeMap<String, FsEntry>);

impl FileIndex {
    /// Lays a layer over what is there. Whiteouts concern only what is below, wherever they stand in it.
    pub fn apply(&mut self, layer: &[LayerChange]) {
        for change in layer {
            match change {
                LayerChange::Remove(path) => self.remove(path),
                LayerChange::Clear(folder) => self.clear(folder),
                LayerChange::Put(..) => {}
            }
        }
        for change in layer {
            if let LayerChange::Put(path, node) = change {
                self.put(path, node.clone());
            }
        }
    }

    /// Puts one thing in its place, exactly there, with the folders above it.
    pub fn put(&mut self, path: &str, node: FsEntry) {
        for (end, _) in path.match_indices('/') {
            let parent = &path[..end];
            if self.0.get(parent) != Some(&FsEntry::Folder) {
                self.0.insert(parent.to_owned(), FsEntry::Folder);
            }
        }
        if node != FsEntry::Folder {
            self.clear(path);
        }
        self.0.insert(path.to_owned(), node);
    }

    /// What stands at a path, without following a link there.
    pub fn get(&self, path: &str) -> Option<&FsEntry> {
        if path.is_empty() { Some(&FsEntry::Folder) } else { self.0.get(path) }
    }

    /// Every path at which something stands, in order.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// What stands where a path leads when all its links are followed, and the path of that.
    pub fn find(&self, path: &str) -> Option<(String, &FsEntry)> {
        let place = self.follow(path).ok()?;
        let node = self.get(&place)?;
        Some((place, node))
    }

    /// The text of a file of which it is kept, through links.
    pub fn text(&self, path: &str) -> Option<&str> {
        match self.find(path)?.1 {
            FsEntry::File(Some(IndexedFile::Text(text))) => Some(text),
            _ => None,
        }
    }

    /// Where a file or link with this path really goes: the links among its parents followed, what
    /// stands at the path itself not.
    ///
    /// # Errors
    /// When a parent is a file, or a folder stands there, or links lead in a circle.
    pub fn place_file(&self, path: &str) -> Result<String, Conflict> {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let place = join(&self.place_folder(folder)?, name);
        // A link to a folder serves as that folder; a link to a file is replaced, not followed.
        let target = match self.get(&place) {
            Some(FsEntry::Link(_)) => self.follow(&place).ok().and_then(|target| self.get(&target)),
            other => other,
        };
        if target == Some(&FsEntry::Folder) { Err(Conflict::IsAFolder(place)) } else { Ok(place) }
    }

    /// Where a folder with this path really is or would be made.
    ///
    /// # Errors
    /// When it or a parent is a file, or links lead in a circle.
    pub fn place_folder(&self, path: &str) -> Result<String, Conflict> {
        let place = self.follow(path)?;
        match self.get(&place) {
            Some(FsEntry::File(_)) => Err(Conflict::NotAFolder(place)),
            _ => Ok(place),
        }
    }

    /// Follows every link of a path as the kernel does. What is absent is taken as it is written.
    fn follow(&self, path: &str) -> Result<String, Conflict> {
        // What the kernel allows, for loops of any length.
        const LINKS: usize = 40;
        let mut todo: Vec<String> = path.split('/').rev().map(str::to_owned).collect();
        let (mut place, mut links) = (String::new(), 0);
        while let Some(part) = todo.pop() {
            match part.as_str() {
                "" | "." => continue,
                ".." => {
                    place.truncate(place.rfind('/').unwrap_or(0));
                    continue;
                }
                _ => {}
            }
            let next = join(&place, &part);
            match self.get(&next) {
                Some(FsEntry::Link(target)) => {
                    links += 1;
                    if links > LINKS {
                        return Err(Conflict::Circle(path.to_owned()));
                    }
                    if target.starts_with('/') {
                        place.clear();
                    }
                    todo.extend(target.split('/').rev().map(str::to_owned));
                }
                Some(FsEntry::File(_)) if !todo.is_empty() => return Err(Conflict::NotAFolder(next)),
                _ => place = next,
            }
        }
        Ok(place)
    }

    fn remove(&mut self, path: &str) {
        self.0.remove(path);
        self.clear(path);
    }

    fn clear(&mut self, folder: &str) {
        if folder.is_empty() {
            return self.0.clear();
        }
        // `/` is followed by `0`: the range holds exactly what is below the folder.
        let below: Vec<String> = self.0.range(format!("{folder}/")..format!("{folder}0")).map(|(path, _)| path.clone()).collect();
        below.iter().for_each(|path| drop(self.0.remove(path)));
    }
}

fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
