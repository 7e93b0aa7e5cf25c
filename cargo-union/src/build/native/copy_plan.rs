//! Placing copied things into an image: where the links of the base lead, and not upon them.

use std::collections::BTreeMap;
use std::path::Path;

use union_build::diag::Code;
use union_build::spec;

use super::pack::{EntryKind, LayerEntry};
use crate::build::base::of_file;
use crate::build::measured_files::MeasuredFiles;
use crate::build::roots::SourceRoots;
use crate::build::sources::{self, Item, ItemKind};
use crate::build::walk::{join, neither};
use crate::image::index::{Conflict, FileIndex, FsEntry};
use crate::image::user;
use crate::sys::error::{Error, Result};

/// Turns the copies of one spec into the entries of a layer, and puts them into the index, so that a
/// later copy sees the earlier ones. Relative destinations start at the working directory of the base.
///
/// # Errors
/// When a source cannot be read, a place is taken, or an owner is not known.
pub(super) fn copies(
    image: &str,
    copies: &[spec::Copy],
    (roots, files): (&SourceRoots, &MeasuredFiles),
    workdir: &str,
    index: &mut FileIndex,
) -> Result<Vec<LayerEntry>> {
    let mut placed = BTreeMap::new();
    for copy in copies {
        let owner = owner(image, copy, index)?;
        let start = if copy.to.value.starts_with('/') { "" } else { workdir };
        for item in files.copied(copy, roots)?.iter() {
            let to = join(start, &item.to);
            let item = Item { to: to.clone(), what: item.what.clone() };
            place(item, owner, index, &mut placed).map_err(|fault| match fault {
                CopyConflict::Conflict(conflict) => {
                    Error::new(Code::CopyConflict, format!("could not copy `{}` to `/{to}`", copy.typed)).because(conflict)
                }
                CopyConflict::Source(error) => error,
            })?;
        }
    }
    Ok(placed.into_values().collect())
}

/// User and group.
type Owner = (u64, u64);

const ROOT: Owner = (0, 0);

/// Who owns what a copy brings, by the users and groups that the image has by then.
fn owner(image: &str, copy: &spec::Copy, index: &FileIndex) -> Result<Owner> {
    let Some(owner) = &copy.owner else { return Ok(ROOT) };
    let tried = || format!("could not find owner `{}` of the copy `{}` of image `{}`", owner.value, copy.typed, image);
    let numeric = user::numeric(&sources::owner_words(&owner.value), index.text("etc/passwd"), index.text("etc/group"))
        .map_err(|unknown| Error::new(Code::UnknownUser, tried()).because(unknown))?;
    // What a base says may be any number.
    let numbers = numeric.split_once(':').and_then(|(user, group)| Some((user.parse::<u32>().ok()?, group.parse::<u32>().ok()?)));
    let (user, group) = numbers.ok_or_else(|| {
        Error::new(Code::UnknownUser, tried()).because(format!("`{numeric}` are not a number of a user and one of a group"))
    })?;
    Ok((user.into(), group.into()))
}

/// A file at a path, placed like a copy.
pub(super) fn file(from: &Path, to: &str, files: &MeasuredFiles, index: &mut FileIndex) -> Result<Vec<LayerEntry>> {
    let measured = files.measure(from)?;
    let what = ItemKind::File { from: from.to_owned(), mode: 0o644, measured };
    let mut placed = BTreeMap::new();
    place(Item { to: to.to_owned(), what }, ROOT, index, &mut placed).map_err(|fault| match fault {
        CopyConflict::Conflict(conflict) => Error::new(Code::CopyConflict, format!("could not write `/{to}`")).because(conflict),
        CopyConflict::Source(error) => error,
    })?;
    Ok(placed.into_values().collect())
}

enum CopyConflict {
    Conflict(Conflict),
    Source(Error),
}

impl From<Conflict> for CopyConflict {
    fn from(conflict: Conflict) -> Self {
        Self::Conflict(conflict)
    }
}

fn place(item: Item, (owner, group): Owner, index: &mut FileIndex, placed: &mut BTreeMap<String, LayerEntry>) -> Result<(), CopyConflict> {
    let (path, entry, node) = match item.what {
        ItemKind::Folder => {
            folders(&index.place_folder(&item.to)?, (owner, group), index, placed);
            return Ok(());
        }
        ItemKind::File { from, mode, measured } => {
            let path = index.place_file(&item.to)?;
            let node = FsEntry::File(of_file(&path, &from).map_err(CopyConflict::Source)?);
            (path.clone(), LayerEntry { path, mode, owner, group, what: EntryKind::File(from, measured) }, node)
        }
        ItemKind::Link(target) => {
            let path = index.place_file(&item.to)?;
            (path.clone(), LayerEntry { path, mode: 0o777, owner, group, what: EntryKind::Link(target.clone()) }, FsEntry::Link(target))
        }
        // Copies have none.
        ItemKind::Pipe | ItemKind::Device(_) => return Err(CopyConflict::Source(neither(Path::new(&item.to)))),
    };
    if let Some((folder, _)) = path.rsplit_once('/') {
        folders(folder, (owner, group), index, placed);
    }
    index.put(&path, node);
    placed.insert(path, entry);
    Ok(())
}

/// Adds the folders that are absent, and only those: an entry for a folder that is there would give
/// it another mode and owner. As with BuildKit, all that are made for a copy have its owner.
fn folders(path: &str, (owner, group): Owner, index: &mut FileIndex, placed: &mut BTreeMap<String, LayerEntry>) {
    let ends = path.match_indices('/').map(|(end, _)| end).chain([path.len()]);
    for folder in ends.map(|end| &path[..end]).filter(|folder| !folder.is_empty()) {
        if index.get(folder) != Some(&FsEntry::Folder) {
            index.put(folder, FsEntry::Folder);
            placed.insert(folder.to_owned(), LayerEntry { owner, group, ..LayerEntry::folder(folder) });
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::path::PathBuf;

    use union_build::diag::Origin;

    use super::*;
    use crate::image::index::LayerChange;

    /// A workspace with the files `a` and `b` and the folder `tree`, and a merged-usr base.
    struct CopyContext {
        folder: tempfile::TempDir,
        index: FileIndex,
    }

    impl CopyContext {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            std::fs::create_dir_all(folder.path().join("tree/bin/deep")).unwrap();
            for file in ["a", "b", "tree/bin/tool"] {
                std::fs::write(folder.path().join(file), file).unwrap();
            }
            let mut index = FileIndex::default();
            let file = || FsEntry::File(None);
            let base = [("usr/bin/sh", file()), ("bin", FsEntry::Link("usr/bin".to_owned())), ("etc/motd", file())];
            index.apply(&base.map(|(path, node)| LayerChange::Put(path.to_owned(), node)));
            Self { folder, index }
        }

        fn copy(&mut self, pairs: &[(&str, &str)]) -> Result<Vec<String>> {
            fn placed<T>(value: T) -> spec::Sourced<T> {
                spec::Sourced { value, origin: Origin::Default }
            }
            let from = |name: &str| -> PathBuf { self.folder.path().join(name) };
            let copies = pairs.iter().map(|(name, to)| spec::Copy {
                from: placed(from(name)),
                typed: (*name).to_owned(),
                to: placed((*to).to_owned()),
                mode: None,
                owner: None,
                exclude: Vec::new(),
            });
            let files = MeasuredFiles::new(&crate::sys::cache::Cache::new(self.folder.path().join("cache")));
            let roots = SourceRoots { workspace: self.folder.path().to_owned(), ..SourceRoots::default() };
            let entries = super::copies("default", &copies.collect::<Vec<_>>(), (&roots, &files), "srv/app", &mut self.index)?;
            Ok(entries
                .into_iter()
                .map(|entry| match entry.what {
                    EntryKind::File(from, _) => format!("{} = {}", entry.path, from.file_name().unwrap().to_str().unwrap()),
                    _ => format!("{}/", entry.path),
                })
                .collect())
        }
    }

    #[test]
    fn a_copy_to_bin_goes_to_usr_bin_and_leaves_the_link_alone() {
        assert_eq!(CopyContext::new().copy(&[("a", "/bin/x")]).unwrap(), ["usr/bin/x = a"]);
        assert_eq!(CopyContext::new().copy(&[("tree", "/")]).unwrap(), ["usr/bin/deep/", "usr/bin/tool = tool"]);
    }

    #[test]
    fn a_relative_copy_goes_below_the_working_directory_of_the_base() {
        assert_eq!(CopyContext::new().copy(&[("a", "conf/x")]).unwrap(), ["srv/", "srv/app/", "srv/app/conf/", "srv/app/conf/x = a"]);
        assert_eq!(
            CopyContext::new().copy(&[("tree", "./")]).unwrap()[2..],
            ["srv/app/bin/", "srv/app/bin/deep/", "srv/app/bin/tool = tool"]
        );
    }

    #[test]
    fn only_absent_folders_become_entries() {
        assert_eq!(CopyContext::new().copy(&[("a", "/etc/app/conf/x")]).unwrap(), ["etc/app/", "etc/app/conf/", "etc/app/conf/x = a"]);
        assert_eq!(CopyContext::new().copy(&[("a", "/etc/x")]).unwrap(), ["etc/x = a"]);
    }

    #[test]
    fn a_later_copy_sees_the_earlier_one_and_wins() {
        let mut scene = CopyContext::new();
        assert_eq!(scene.copy(&[("a", "/srv/x"), ("b", "/srv/x")]).unwrap(), ["srv/", "srv/x = b"]);
        assert_eq!(scene.copy(&[("a", "/srv/y")]).unwrap(), ["srv/y = a"]);
        let error = scene.copy(&[("a", "/srv/x/below")]).unwrap_err();
        assert_eq!(error.code(), Code::CopyConflict);
    }

    #[test]
    fn a_file_over_a_folder_and_a_folder_over_a_file_are_conflicts() {
        for pair in [("a", "/etc"), ("a", "/bin"), ("tree", "/etc/motd"), ("a", "/etc/motd/x")] {
            assert_eq!(CopyContext::new().copy(&[pair]).unwrap_err().code(), Code::CopyConflict, "{pair:?}");
        }
    }
}
