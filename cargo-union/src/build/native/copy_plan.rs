//! Plans the entries of copied files. A destination below a link of the base is written to the link's target and does
//! not replace the link.

use std::collections::BTreeMap;
use std::path::Path;

use union_build::diag::Code;
use union_build::spec;

use super::pack::{EntryKind, LayerEntry};
use crate::build::base::index_file;
use crate::build::measured_files::MeasuredFiles;
use crate::build::roots::SourceRoots;
use crate::build::sources::{self, Item, ItemKind};
use crate::build::walk::{join, unsupported_kind};
use crate::image::index::{Conflict, FileIndex, FsEntry};
use crate::image::user;
use crate::sys::error::{Error, Result};

/// Converts the copies of one spec to the entries of a layer, and adds them to the index for later copies. Relative
/// destinations start at `workdir`, the working directory of the base.
///
/// # Errors
/// `CopyConflict`, `UnknownUser`, and those of reading a source.
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
        let start = if copy.to.value.starts_with('/') {
            ""
        } else {
            workdir
        };
        for item in files.copied(copy, roots)?.iter() {
            let to = join(start, &item.to);
            let item = Item {
                to: to.clone(),
                kind: item.kind.clone(),
            };
            place(item, owner, index, &mut placed).map_err(|error| match error {
                CopyConflict::Conflict(conflict) => Error::new(
                    Code::CopyConflict,
                    format!("could not copy `{}` to `/{to}`", copy.typed),
                )
                .because(conflict),
                CopyConflict::Source(error) => error,
            })?;
        }
    }
    Ok(placed.into_values().collect())
}

/// User ID and group ID.
type Owner = (u64, u64);

const ROOT: Owner = (0, 0);

/// The owner of a copy, resolved with the users and groups that the image has at that point.
fn owner(image: &str, copy: &spec::Copy, index: &FileIndex) -> Result<Owner> {
    let Some(owner) = &copy.owner else {
        return Ok(ROOT);
    };
    let problem = || {
        format!(
            "could not find owner `{}` of the copy `{}` of image `{}`",
            owner.value, copy.typed, image
        )
    };
    let numeric = user::numeric(
        &sources::owner_words(&owner.value),
        index.text("etc/passwd"),
        index.text("etc/group"),
    )
    .map_err(|unknown| Error::new(Code::UnknownUser, problem()).because(unknown))?;
    // `passwd` and `group` of the base may contain any number.
    let numbers = numeric
        .split_once(':')
        .and_then(|(user, group)| Some((user.parse::<u32>().ok()?, group.parse::<u32>().ok()?)));
    let (user, group) = numbers.ok_or_else(|| {
        Error::new(Code::UnknownUser, problem())
            .because(format!("`{numeric}` is not a valid user ID and group ID"))
    })?;
    Ok((user.into(), group.into()))
}

/// A file at a path, placed like a copy.
pub(super) fn file(
    from: &Path,
    to: &str,
    files: &MeasuredFiles,
    index: &mut FileIndex,
) -> Result<Vec<LayerEntry>> {
    let measured = files.measure(from)?;
    let kind = ItemKind::File {
        from: from.to_owned(),
        mode: 0o644,
        measured,
    };
    let mut placed = BTreeMap::new();
    place(
        Item {
            to: to.to_owned(),
            kind,
        },
        ROOT,
        index,
        &mut placed,
    )
    .map_err(|error| match error {
        CopyConflict::Conflict(conflict) => {
            Error::new(Code::CopyConflict, format!("could not write `/{to}`")).because(conflict)
        }
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

fn place(
    item: Item,
    (owner, group): Owner,
    index: &mut FileIndex,
    placed: &mut BTreeMap<String, LayerEntry>,
) -> Result<(), CopyConflict> {
    let (path, entry, node) = match item.kind {
        ItemKind::Directory => {
            add_directories(
                &index.place_directory(&item.to)?,
                (owner, group),
                index,
                placed,
            );
            return Ok(());
        }
        ItemKind::File {
            from,
            mode,
            measured,
        } => {
            let path = index.place_file(&item.to)?;
            let node = FsEntry::File(index_file(&path, &from).map_err(CopyConflict::Source)?);
            (
                path.clone(),
                LayerEntry {
                    path,
                    mode,
                    owner,
                    group,
                    kind: EntryKind::File(from, measured),
                },
                node,
            )
        }
        ItemKind::Link(target) => {
            let path = index.place_file(&item.to)?;
            (
                path.clone(),
                LayerEntry {
                    path,
                    mode: 0o777,
                    owner,
                    group,
                    kind: EntryKind::Link(target.clone()),
                },
                FsEntry::Link(target),
            )
        }
        // Only build contexts have pipes and devices.
        ItemKind::Pipe | ItemKind::Device(_) => {
            return Err(CopyConflict::Source(unsupported_kind(Path::new(&item.to))));
        }
    };
    if let Some((directory, _)) = path.rsplit_once('/') {
        add_directories(directory, (owner, group), index, placed);
    }
    index.put(&path, node);
    placed.insert(path, entry);
    Ok(())
}

/// Adds only missing directories: an entry for an existing one would change its mode and owner. As in BuildKit,
/// directories that are created for a copy have its owner.
fn add_directories(
    path: &str,
    (owner, group): Owner,
    index: &mut FileIndex,
    placed: &mut BTreeMap<String, LayerEntry>,
) {
    let ends = path
        .match_indices('/')
        .map(|(end, _)| end)
        .chain([path.len()]);
    for directory in ends
        .map(|end| &path[..end])
        .filter(|directory| !directory.is_empty())
    {
        if index.get(directory) != Some(&FsEntry::Directory) {
            index.put(directory, FsEntry::Directory);
            placed.insert(
                directory.to_owned(),
                LayerEntry {
                    owner,
                    group,
                    ..LayerEntry::directory(directory)
                },
            );
        }
    }
}

#[cfg(test)]
mod tests;
