//! Lists the files, directories and links of a `copy`, with sizes and hashes.
//!
//! The check of a manifest, the key and every builder use this list, so that they agree. Nothing outside the
//! workspace and the package is ever read, not even through a symbolic link.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use union_build::diag::{Code, Diagnostic};
use union_build::spec;

use super::patterns::Patterns;
use super::roots::{CACHE_TAG, RealRoots, SourceRoots, is_tagged_by_cargo};
use super::walk::{
    Device, Purpose, WalkEntry, WalkEntryKind, WalkFilter, join, refuse_whiteout, unsupported_kind,
    walk,
};
use crate::sys::error::{Error, Result};
use crate::sys::fs::{self, FileDigest};

/// A file, directory, link or pipe to be placed into an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Item {
    /// The destination, without a leading slash; empty is the root.
    pub(super) to: String,
    pub(super) kind: ItemKind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ItemKind {
    Directory,
    File {
        from: PathBuf,
        mode: u32,
        measured: FileDigest,
    },
    /// A symbolic link with its unresolved target.
    Link(String),
    /// A named pipe; only in build contexts.
    Pipe,
    /// A device file; only in build contexts.
    Device(Device),
}

/// Returns size and hash of a file.
pub(super) type Measure<'a> = dyn Fn(&Path) -> Result<FileDigest> + 'a;

impl Item {
    /// Measures an entry of a walk.
    ///
    /// # Errors
    /// `FileUnreadable` when a file cannot be read.
    pub(super) fn of(entry: WalkEntry, mode: Option<u32>, measure: &Measure<'_>) -> Result<Self> {
        let kind = match entry.kind {
            WalkEntryKind::Directory => ItemKind::Directory,
            WalkEntryKind::File(from) => measure_file(&from, mode, measure)?,
            WalkEntryKind::Link(target) => ItemKind::Link(target),
            WalkEntryKind::Pipe => ItemKind::Pipe,
            WalkEntryKind::Device(device) => ItemKind::Device(device),
        };
        Ok(Self {
            to: entry.path,
            kind,
        })
    }
}

/// Lists the items of one `copy`, directories before their contents.
///
/// # Errors
/// Those of [`check`], and `FileUnreadable` when a file cannot be read.
pub(super) fn items(
    copy: &spec::Copy,
    roots: &SourceRoots,
    measure: &Measure<'_>,
) -> Result<Vec<Item>> {
    let mode = copy.mode.as_ref().map(|mode| mode.value);
    let mut items = Vec::new();
    visit_entries(copy, roots, &mut |entry| {
        items.push(Item::of(entry, mode, measure)?);
        Ok(())
    })?;
    Ok(items)
}

/// An owner in a form that all builders interpret alike: a user ID without a group is the group ID too.
pub(super) fn owner_words(owner: &str) -> String {
    let is_number = owner.bytes().all(|byte| byte.is_ascii_digit());
    if is_number {
        format!("{owner}:{owner}")
    } else {
        owner.to_owned()
    }
}

/// Diagnostics of the copies that are not possible, at their places in the manifest. Reads no file contents.
pub fn problems<'a>(
    specs: impl IntoIterator<Item = &'a spec::ImageSpec>,
    roots: &SourceRoots,
) -> Vec<Diagnostic> {
    let copies = specs.into_iter().flat_map(|spec| &spec.copy);
    // Images share extended copies and those of a workspace's defaults: each one is walked once.
    let by_place: BTreeMap<String, &spec::Copy> = copies
        .map(|copy| {
            (
                format!("{} {} {}", copy.from.origin, copy.typed, copy.to.value),
                copy,
            )
        })
        .collect();
    let problem = |copy: &spec::Copy| {
        let error = check(copy, roots).err()?;
        let mut chain = error.chain();
        let advice = error.advice().to_owned();
        let why = chain.split_off(1).join(": ");
        Some(
            Diagnostic::error(
                error.code(),
                format!("{}: {why}", chain.concat()),
                &copy.from.origin,
                "copied here",
            )
            .help(advice),
        )
    };
    by_place.into_values().filter_map(problem).collect()
}

/// Checks that a `copy` is possible, without reading any file.
fn check(copy: &spec::Copy, roots: &SourceRoots) -> Result<()> {
    visit_entries(copy, roots, &mut |_| Ok(()))
}

/// Visits all entries of a `copy`, each with the path of its destination.
fn visit_entries(
    copy: &spec::Copy,
    roots: &SourceRoots,
    visit: &mut dyn FnMut(WalkEntry) -> Result<()>,
) -> Result<()> {
    let refused = |code| Error::new(code, format!("could not copy `{}`", copy.typed));
    let real = real_source(copy, roots)?;
    let roots = roots.real();
    let to = copy.to.value.trim_start_matches("./").trim_matches('/');
    let metadata = std::fs::metadata(&real).map_err(|cause| fs::unreadable(&real, cause))?;
    let in_git = real
        .components()
        .rev()
        .any(|part| part.as_os_str() == ".git");
    let tagged = || {
        (metadata.is_dir() && real.join(CACHE_TAG).exists() && is_tagged_by_cargo(&real))
            .then_some("it is an output directory of cargo")
    };
    if let Some(why) = roots
        .exclusion_reason(&real)
        .or(in_git.then_some("it is a file of version control"))
        .or_else(tagged)
    {
        return Err(refused(Code::CopyMissing)
            .because(format!("{why}; it is never copied"))
            .help("Copy what it contains by its own path."));
    }
    let exclude = copy.exclude.iter().map(|pattern| pattern.value.as_str());
    let exclude = Patterns::of_list(exclude).map_err(|(pattern, why)| {
        refused(Code::InvalidValue).because(format!(
            "the pattern `{pattern}` of `exclude` is not valid: {why}"
        ))
    })?;
    if !metadata.is_dir() {
        let to = if copy.to.value.ends_with('/') {
            join(to, name_of(&copy.from.value)?)
        } else {
            to.to_owned()
        };
        refuse_whiteout(to.rsplit('/').next().unwrap_or_default(), &copy.from.value)?;
        if !copy.exclude.is_empty() {
            let error = refused(Code::InvalidValue)
                .because("`exclude` is for directories, and this is a file");
            return Err(error.help("Remove `exclude`."));
        }
        if !metadata.is_file() {
            return Err(unsupported_kind(&real));
        }
        return visit(WalkEntry {
            path: to,
            kind: WalkEntryKind::File(real),
        });
    }
    let mut filter = WalkFilter {
        patterns: vec![(exclude, String::new())],
        git: roots.is_root(&real),
    };
    filter.patterns.extend(docker_ignore(&real, &roots)?);
    let mut found_any = false;
    let left_out = walk(&real, &roots, Purpose::Copy, &filter, &mut |entry| {
        found_any |= !entry.path.is_empty();
        visit(WalkEntry {
            path: join(to, &entry.path),
            kind: entry.kind,
        })
    })?;
    if left_out && !found_any {
        let error = refused(Code::CopyMissing).because("all its files are excluded");
        return Err(error.help("Check .dockerignore, .gitignore and the `exclude` of this copy."));
    }
    Ok(())
}

/// The nearest `.dockerignore`: in the copied directory, or in a directory above it up to the workspace or the
/// package. Patterns that exclude the directory itself are dropped, because the manifest names it explicitly.
fn docker_ignore(directory: &Path, roots: &RealRoots) -> Result<Option<(Patterns, String)>> {
    for above in directory
        .ancestors()
        .take_while(|above| roots.contain(above))
    {
        let file = above.join(".dockerignore");
        if let Some(text) = fs::read_if_exists(&file)? {
            let below = directory.strip_prefix(above).unwrap_or(Path::new(""));
            let below = below
                .to_str()
                .ok_or_else(|| not_utf8(directory))?
                .to_owned();
            let patterns = Patterns::of_file(&text, &file)?;
            return Ok(Some((
                if below.is_empty() {
                    patterns
                } else {
                    patterns.without_matches_of(&below)
                },
                below,
            )));
        }
    }
    Ok(None)
}

/// The real path of the source, which must be below a root.
fn real_source(copy: &spec::Copy, roots: &SourceRoots) -> Result<PathBuf> {
    let refused = |code| Error::new(code, format!("could not copy `{}`", copy.typed));
    let from = &copy.from.value;
    let real = from.canonicalize().map_err(|cause| match cause.kind() {
        io::ErrorKind::NotFound => refused(Code::CopyMissing).because(cause),
        _ => fs::unreadable(from, cause),
    })?;
    let real_roots = roots.real();
    if real_roots.contain(&real) {
        return Ok(real);
    }
    let lexically = fs::absolute(&real_roots.workspace, from);
    let is_below = |root: &PathBuf| !root.as_os_str().is_empty() && lexically.starts_with(root);
    let stays = [
        &roots.workspace,
        &roots.package,
        &real_roots.workspace,
        &real_roots.package,
    ]
    .into_iter()
    .any(is_below);
    let code = if stays {
        Code::CopyThroughSymlink
    } else {
        Code::CopyOutside
    };
    Err(refused(code).because(format!("it is `{}`, and {}", real.display(), roots.shown())))
}

fn measure_file(path: &Path, mode: Option<u32>, measure: &Measure<'_>) -> Result<ItemKind> {
    let metadata = std::fs::metadata(path).map_err(|cause| fs::unreadable(path, cause))?;
    if !metadata.is_file() {
        // It was a file when it was listed. Opening a pipe would block forever.
        return Err(unsupported_kind(path));
    }
    let mode = mode.unwrap_or(if is_executable(&metadata) {
        0o755
    } else {
        0o644
    });
    Ok(ItemKind::File {
        from: path.to_owned(),
        mode,
        measured: measure(path)?,
    })
}

#[cfg(unix)]
fn is_executable(metadata: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    metadata.permissions().mode() & 0o111 != 0
}

#[cfg(not(unix))]
fn is_executable(_: &std::fs::Metadata) -> bool {
    false
}

fn name_of(path: &Path) -> Result<&str> {
    path.file_name()
        .and_then(|name| name.to_str())
        .ok_or_else(|| not_utf8(path))
}

fn not_utf8(path: &Path) -> Error {
    Error::new(
        Code::PathInvalid,
        format!("could not copy `{}`", path.display()),
    )
    .because("its name is not UTF-8")
    .help("Rename it.")
}

#[cfg(test)]
mod tests;
