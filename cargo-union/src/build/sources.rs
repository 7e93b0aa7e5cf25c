//! What `copy` brings: every file, directory and link of a source, with its content measured.
//!
//! Used by the check of a manifest, by the key and by every builder, so that all of them see the same thing.
//! Nothing outside of the workspace and the package is ever read, not even through a symbolic link.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use union_build::diag::{Code, Diagnostic};
use union_build::spec;

use super::patterns::Patterns;
use super::roots::{CACHE_TAG, RealRoots, SourceRoots, is_tagged_by_cargo};
use super::walk::{Device, Purpose, WalkEntry, WalkEntryKind, WalkFilter, join, neither, refuse_whiteout, walk};
use crate::sys::error::{Error, Result};
use crate::sys::fs::{self, FileDigest};

/// One thing to be placed into the image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Item {
    /// Where, without a leading slash; empty is the root.
    pub(super) to: String,
    pub(super) what: ItemKind,
}

/// What a thing is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ItemKind {
    Folder,
    File {
        from: PathBuf,
        mode: u32,
        measured: FileDigest,
    },
    /// A symbolic link with its target as it stands.
    Link(String),
    /// A named pipe, of a build context only.
    Pipe,
    /// A device file, of a build context only.
    Device(Device),
}

/// Tells size and hash of a file.
pub(super) type Measure<'a> = dyn Fn(&Path) -> Result<FileDigest> + 'a;

impl Item {
    /// Measures what was found.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub(super) fn of(found: WalkEntry, mode: Option<u32>, measure: &Measure<'_>) -> Result<Self> {
        let what = match found.kind {
            WalkEntryKind::Folder => ItemKind::Folder,
            WalkEntryKind::File(from) => file(&from, mode, measure)?,
            WalkEntryKind::Link(target) => ItemKind::Link(target),
            WalkEntryKind::Pipe => ItemKind::Pipe,
            WalkEntryKind::Device(device) => ItemKind::Device(device),
        };
        Ok(Self { to: found.path, what })
    }
}

/// Lists what one `copy` brings, directories before what is in them.
///
/// # Errors
/// What [`check`] finds, and when a file cannot be read.
pub(super) fn items(copy: &spec::Copy, roots: &SourceRoots, measure: &Measure<'_>) -> Result<Vec<Item>> {
    let mode = copy.mode.as_ref().map(|mode| mode.value);
    let mut items = Vec::new();
    each(copy, roots, &mut |found| {
        items.push(Item::of(found, mode, measure)?);
        Ok(())
    })?;
    Ok(items)
}

/// An owner as every builder reads it alike: a user's number without a group is that of the group too.
pub(super) fn owner_words(owner: &str) -> String {
    let is_number = owner.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { format!("{owner}:{owner}") } else { owner.to_owned() }
}

/// The copies of specs that cannot be made, each at its place in the manifest. No content is read.
pub fn problems<'a>(specs: impl IntoIterator<Item = &'a spec::Image>, roots: &SourceRoots) -> Vec<Diagnostic> {
    let copies = specs.into_iter().flat_map(|spec| &spec.copy);
    // Images share what one extends, and a workspace's defaults: each directory is looked at once.
    let by_place: BTreeMap<String, &spec::Copy> =
        copies.map(|copy| (format!("{} {} {}", copy.from.origin, copy.typed, copy.to.value), copy)).collect();
    let problem = |copy: &spec::Copy| {
        let error = check(copy, roots).err()?;
        let (mut chain, advice) = (error.chain(), error.advice().to_owned());
        let why = chain.split_off(1).join(": ");
        Some(Diagnostic::error(error.code(), format!("{}: {why}", chain.concat()), &copy.from.origin, "copied here").help(advice))
    };
    by_place.into_values().filter_map(problem).collect()
}

/// Looks whether a `copy` can be made, as far as that can be known without reading a file.
fn check(copy: &spec::Copy, roots: &SourceRoots) -> Result<()> {
    each(copy, roots, &mut |_| Ok(()))
}

/// Goes through what a `copy` brings, each thing at its destination.
fn each(copy: &spec::Copy, roots: &SourceRoots, visit: &mut dyn FnMut(WalkEntry) -> Result<()>) -> Result<()> {
    let refused = |code| Error::new(code, format!("could not copy `{}`", copy.typed));
    let real = inside(copy, roots)?;
    let roots = roots.real();
    let to = copy.to.value.trim_start_matches("./").trim_matches('/');
    let metadata = std::fs::metadata(&real).map_err(|cause| fs::unreadable(&real, cause))?;
    let in_git = real.components().rev().any(|part| part.as_os_str() == ".git");
    let tagged =
        || (metadata.is_dir() && real.join(CACHE_TAG).exists() && is_tagged_by_cargo(&real)).then_some("cargo puts there what it makes");
    if let Some(why) = roots.never(&real).or(in_git.then_some("it belongs to version control")).or_else(tagged) {
        return Err(refused(Code::CopyMissing)
            .because(format!("{why}, so that it is never copied"))
            .help("Copy what is in it by its own path."));
    }
    let exclude = copy.exclude.iter().map(|pattern| pattern.value.as_str());
    let exclude = Patterns::of_list(exclude).map_err(|(pattern, why)| {
        refused(Code::InvalidValue).because(format!("the pattern `{pattern}` of `exclude` is not valid: {why}"))
    })?;
    if !metadata.is_dir() {
        let to = if copy.to.value.ends_with('/') { join(to, name_of(&copy.from.value)?) } else { to.to_owned() };
        refuse_whiteout(to.rsplit('/').next().unwrap_or_default(), &copy.from.value)?;
        if !copy.exclude.is_empty() {
            let error = refused(Code::InvalidValue).because("`exclude` is for directories, and this is a file");
            return Err(error.help("Remove `exclude`."));
        }
        if !metadata.is_file() {
            return Err(neither(&real));
        }
        return visit(WalkEntry { path: to, kind: WalkEntryKind::File(real) });
    }
    let mut filter = WalkFilter { patterns: vec![(exclude, String::new())], git: roots.is_root(&real) };
    filter.patterns.extend(docker_ignore(&real, &roots)?);
    let mut found_any = false;
    let left_out = walk(&real, &roots, Purpose::Copy, &filter, &mut |found| {
        found_any |= !found.path.is_empty();
        visit(WalkEntry { path: join(to, &found.path), kind: found.kind })
    })?;
    if left_out && !found_any {
        let error = refused(Code::CopyMissing).because("everything in it is left out");
        return Err(error.help("Look into .dockerignore, .gitignore and the `exclude` of this copy."));
    }
    Ok(())
}

/// The nearest `.dockerignore`: of a copied directory, or of those above it up to the workspace or the
/// package. Patterns that leave out the directory itself do not count, for it is named.
fn docker_ignore(directory: &Path, roots: &RealRoots) -> Result<Option<(Patterns, String)>> {
    for above in directory.ancestors().take_while(|above| roots.contain(above)) {
        let file = above.join(".dockerignore");
        if let Some(text) = fs::read_if_exists(&file)? {
            let below = directory.strip_prefix(above).unwrap_or(Path::new(""));
            let below = below.to_str().ok_or_else(|| not_utf8(directory))?.to_owned();
            let patterns = Patterns::of_file(&text, &file)?;
            return Ok(Some((if below.is_empty() { patterns } else { patterns.without_those_of(&below) }, below)));
        }
    }
    Ok(None)
}

/// The source's real path, which must be below a root.
fn inside(copy: &spec::Copy, roots: &SourceRoots) -> Result<PathBuf> {
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
    let stays = [&roots.workspace, &roots.package, &real_roots.workspace, &real_roots.package].into_iter().any(is_below);
    let code = if stays { Code::CopyThroughSymlink } else { Code::CopyOutside };
    Err(refused(code).because(format!("it is `{}`, and {}", real.display(), roots.shown())))
}

fn file(path: &Path, mode: Option<u32>, measure: &Measure<'_>) -> Result<ItemKind> {
    let metadata = std::fs::metadata(path).map_err(|cause| fs::unreadable(path, cause))?;
    if !metadata.is_file() {
        // It was one when it was listed. Opening a pipe would wait for ever.
        return Err(neither(path));
    }
    let mode = mode.unwrap_or(if is_executable(&metadata) { 0o755 } else { 0o644 });
    Ok(ItemKind::File { from: path.to_owned(), mode, measured: measure(path)? })
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
    path.file_name().and_then(|name| name.to_str()).ok_or_else(|| not_utf8(path))
}

fn not_utf8(path: &Path) -> Error {
    Error::new(Code::PathInvalid, format!("could not copy `{}`", path.display())).because("its name is not UTF-8").help("Rename it.")
}

#[cfg(test)]
mod tests;
