//! Going through a directory that is copied or is a build context: what is in it, in a fixed order,
//! without what ignore rules leave out. Nothing is read but directories, links and ignore rules.

use std::collections::VecDeque;
use std::fs::FileType;
use std::io;
use std::path::{Component, Path, PathBuf};

use ignore::gitignore::Gitignore;
use union_build::diag::Code;

use super::patterns::Patterns;
use super::roots::{CACHE_TAG, RealRoots, is_tagged_by_cargo};
use crate::sys::error::{Error, Result};
use crate::sys::fs;

/// Something that was found, by its path below the directory; that of the directory itself is empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct WalkEntry {
    pub(super) path: String,
    pub(super) kind: WalkEntryKind,
}

/// What it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum WalkEntryKind {
    Folder,
    /// A file, and where its content is.
    File(PathBuf),
    /// A symbolic link, with its target as it stands.
    Link(String),
    /// A named pipe.
    Pipe,
    Device(Device),
}

/// A device file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Device {
    /// Whether it is read in blocks, and not in characters.
    pub(super) is_block: bool,
    pub(super) major: u32,
    pub(super) minor: u32,
    /// Who may do what with it, which cannot be told from the kind.
    pub(super) mode: u32,
}

/// What happens to links and special files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Links that leave the directory are followed, and special files refused.
    Copy,
    /// As `docker build` takes them: links as they stand, pipes and devices as what they are, sockets not at all.
    Context,
}

/// What is left out.
#[derive(Debug, Default)]
pub(super) struct WalkFilter {
    /// Patterns, and the path of the directory below the one that they are relative to.
    pub(super) patterns: Vec<(Patterns, String)>,
    /// Whether `.gitignore` files count.
    pub(super) git: bool,
}

impl WalkFilter {
    fn leaves_out(&self, path: &str) -> bool {
        self.patterns.iter().any(|(patterns, below)| patterns.leave_out(&join(below, path)))
    }

    /// Whether a directory that is left out has to be looked into.
    fn enters(&self, path: &str) -> bool {
        let left_out_whole = |(patterns, below): &(Patterns, String)| {
            let path = join(below, path);
            patterns.leave_out(&path) && !patterns.may_take_in_below(&path)
        };
        !self.patterns.iter().any(left_out_whole)
    }
}

/// Goes through a directory, by its real path, directories before what is in them. Says whether anything
/// was left out.
///
/// # Errors
/// What the visitor fails with; when a directory cannot be read, or a link cannot be copied.
pub(super) fn walk(
    directory: &Path,
    roots: &RealRoots,
    purpose: Purpose,
    filter: &WalkFilter,
    visit: &mut dyn FnMut(WalkEntry) -> Result<()>,
) -> Result<bool> {
    let mut walk = TreeWalk {
        top: directory.to_owned(),
        roots,
        purpose,
        filter,
        git: Vec::new(),
        inside: Vec::new(),
        followed: 0,
        left_out: false,
        visit,
    };
    if filter.git {
        walk.git = rules_above(directory, &roots.workspace);
    }
    walk.directory(directory, "", false)?;
    Ok(walk.left_out)
}

struct TreeWalk<'a> {
    /// The directory that links must not leave: the one that is copied, or one that a link led to.
    top: PathBuf,
    roots: &'a RealRoots,
    purpose: Purpose,
    filter: &'a WalkFilter,
    /// The `.gitignore` files of this directory and those above it, outermost first.
    git: Vec<Gitignore>,
    /// The real directories that this one is in.
    inside: Vec<PathBuf>,
    /// How many directories have been entered through links.
    followed: usize,
    left_out: bool,
    visit: &'a mut dyn FnMut(WalkEntry) -> Result<()>,
}

impl TreeWalk<'_> {
    fn directory(&mut self, directory: &Path, path: &str, ignored: bool) -> Result<()> {
        let entries = match entries(directory) {
            Ok(entries) => entries,
            // Nobody needs what is in it.
            Err(_) if ignored => return Ok(()),
            Err(cause) => return Err(fs::unreadable(directory, cause)),
        };
        let has = |name: &str| entries.iter().any(|(entry, _)| entry.file_name().is_some_and(|entry| entry == name));
        if !path.is_empty() && has(CACHE_TAG) && is_tagged_by_cargo(directory) {
            self.left_out = true;
            return Ok(());
        }
        if !ignored {
            (self.visit)(WalkEntry { path: path.to_owned(), kind: WalkEntryKind::Folder })?;
        }
        let rules = self.git.len();
        if self.filter.git && has(".gitignore") {
            // What git cannot read of it, git passes over as well.
            self.git.push(Gitignore::new(directory.join(".gitignore")).0);
        }
        self.inside.push(directory.to_owned());
        for (entry, kind) in entries {
            self.entry(&entry, kind, path)?;
        }
        self.inside.pop();
        self.git.truncate(rules);
        Ok(())
    }

    fn entry(&mut self, entry: &Path, kind: FileType, above: &str) -> Result<()> {
        let name = entry.file_name().unwrap_or_default();
        let path = join(above, &name.to_string_lossy());
        let ignored = self.filter.leaves_out(&path);
        let is_out = self.roots.never(entry).is_some() || self.is_git_ignored(entry, kind.is_dir());
        if is_out || ignored && !(kind.is_dir() && self.filter.enters(&path)) {
            self.left_out = true;
            return Ok(());
        }
        self.left_out |= ignored;
        let Some(name) = name.to_str() else {
            let error = Error::new(Code::PathInvalid, format!("could not copy `{}`", entry.display())).because("its name is not UTF-8");
            return Err(error.help("Rename it."));
        };
        if self.purpose == Purpose::Copy {
            refuse_whiteout(name, entry)?;
        }
        if kind.is_dir() {
            self.directory(entry, &path, ignored)
        } else if kind.is_symlink() {
            self.link(entry, path)
        } else {
            self.special_or_file(entry, kind, path)
        }
    }

    fn special_or_file(&mut self, entry: &Path, kind: FileType, path: String) -> Result<()> {
        let kind = match (self.purpose, special(kind)) {
            (_, None) => WalkEntryKind::File(entry.to_owned()),
            (Purpose::Context, Some(Special::Socket)) => return Ok(()),
            (Purpose::Context, Some(Special::Pipe)) => WalkEntryKind::Pipe,
            (Purpose::Context, Some(Special::Device)) => WalkEntryKind::Device(device(entry)?),
            // Opening a pipe would wait for ever.
            _ => return Err(neither(entry)),
        };
        (self.visit)(WalkEntry { path, kind })
    }

    fn link(&mut self, entry: &Path, path: String) -> Result<()> {
        let target = entry.read_link().map_err(|cause| fs::unreadable(entry, cause))?;
        if self.purpose == Purpose::Context || self.stays(entry, &target) {
            let Some(target) = target.to_str() else {
                let error = Error::new(Code::PathInvalid, format!("could not copy `{}`", entry.display()));
                return Err(error.because("the path that the link leads to is not UTF-8").help("Rename what it leads to."));
            };
            return (self.visit)(WalkEntry { path, kind: WalkEntryKind::Link(target.to_owned()) });
        }
        self.follow(entry, &target, path)
    }

    /// Whether a link stays in the copied directory, by its text.
    fn stays(&self, link: &Path, target: &Path) -> bool {
        let above = link.parent().and_then(|above| above.strip_prefix(&self.top).ok());
        let mut depth = above.map_or(0, |above| above.components().count());
        target.components().all(|part| match part {
            Component::Normal(_) => {
                depth += 1;
                true
            }
            Component::CurDir => true,
            Component::ParentDir => depth.checked_sub(1).map(|less| depth = less).is_some(),
            Component::RootDir | Component::Prefix(_) => false,
        })
    }

    /// Takes what a link leads to in its place.
    fn follow(&mut self, link: &Path, target: &Path, path: String) -> Result<()> {
        /// Directories that a tree of links may add; one of them could be met by as many ways as there are.
        const MOST: usize = 10_000;
        let leads = format!("the link leads to `{}`", target.display());
        let real = link.canonicalize().map_err(|cause| match cause.kind() {
            io::ErrorKind::NotFound => through(link, format!("{leads}, where nothing is, out of the copied directory")),
            io::ErrorKind::PermissionDenied => fs::unreadable(link, cause),
            _ => through(link, format!("{leads}, which cannot be followed: {cause}")),
        })?;
        if !self.roots.contain(&real) {
            return Err(through(link, format!("{leads}, out of the workspace")));
        }
        if self.roots.never(&real).is_some() {
            self.left_out = true;
            return Ok(());
        }
        let kind = real.symlink_metadata().map_err(|cause| fs::unreadable(&real, cause))?.file_type();
        if !kind.is_dir() {
            return self.special_or_file(&real, kind, path);
        }
        if self.inside.iter().any(|above| above.starts_with(&real)) {
            return Err(through(link, format!("{leads}, a directory that the link itself is in")));
        }
        self.followed += 1;
        if self.followed > MOST {
            return Err(through(link, format!("it is one of more than {MOST} links to directories that would all be copied")));
        }
        let top = std::mem::replace(&mut self.top, real.clone());
        let git = std::mem::take(&mut self.git);
        self.directory(&real, &path, false)?;
        (self.top, self.git) = (top, git);
        Ok(())
    }

    fn is_git_ignored(&self, path: &Path, is_directory: bool) -> bool {
        let decided = self.git.iter().rev().map(|rules| rules.matched(path, is_directory)).find(|matched| !matched.is_none());
        decided.is_some_and(|matched| matched.is_ignore())
    }
}

/// Refuses a name by which a layer says that a file is gone.
///
/// # Errors
/// `PathInvalid`.
pub(super) fn refuse_whiteout(name: &str, path: &Path) -> Result<()> {
    if !union_build::spec::is_whiteout(name) {
        return Ok(());
    }
    let error = Error::new(Code::PathInvalid, format!("could not copy `{}`", path.display()));
    Err(error.because("in a layer, a name that begins with `.wh.` removes the file of the rest of the name").help("Rename it."))
}

/// What is neither a file, nor a directory, nor a link.
enum Special {
    Pipe,
    Socket,
    Device,
    Other,
}

#[cfg(unix)]
fn special(kind: FileType) -> Option<Special> {
    use std::os::unix::fs::FileTypeExt as _;
    match kind {
        kind if kind.is_file() => None,
        kind if kind.is_fifo() => Some(Special::Pipe),
        kind if kind.is_socket() => Some(Special::Socket),
        kind if kind.is_char_device() || kind.is_block_device() => Some(Special::Device),
        _ => Some(Special::Other),
    }
}

#[cfg(not(unix))]
fn special(kind: FileType) -> Option<Special> {
    (!kind.is_file()).then_some(Special::Other)
}

#[cfg(unix)]
fn device(path: &Path) -> Result<Device> {
    use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
    let metadata = path.symlink_metadata().map_err(|cause| fs::unreadable(path, cause))?;
    let number = metadata.rdev();
    Ok(Device {
        is_block: metadata.file_type().is_block_device(),
        major: rustix::fs::major(number),
        minor: rustix::fs::minor(number),
        mode: metadata.mode() & 0o777,
    })
}

#[cfg(not(unix))]
fn device(path: &Path) -> Result<Device> {
    Err(neither(path))
}

/// Refuses what has no content that could be copied.
pub(super) fn neither(path: &Path) -> Error {
    fs::unreadable(path, io::Error::other("it is neither a file, nor a directory, nor a symbolic link"))
}

fn through(link: &Path, why: String) -> Error {
    Error::new(Code::CopyThroughSymlink, format!("could not copy `{}`", link.display())).because(why)
}

fn entries(directory: &Path) -> io::Result<Vec<(PathBuf, FileType)>> {
    let entry = |entry: io::Result<std::fs::DirEntry>| {
        let entry = entry?;
        Ok((entry.path(), entry.file_type()?))
    };
    let mut entries = std::fs::read_dir(directory)?.map(entry).collect::<io::Result<Vec<_>>>()?;
    entries.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(entries)
}

/// The `.gitignore` files above a directory, up to its repository's root, or to the workspace's where there
/// is no repository; outermost first.
fn rules_above(directory: &Path, workspace: &Path) -> Vec<Gitignore> {
    let is_root = |path: &&Path| path.join(".git").symlink_metadata().is_ok();
    let root = directory.ancestors().find(is_root).unwrap_or(if directory.starts_with(workspace) { workspace } else { directory });
    let mut rules = VecDeque::new();
    if directory != root {
        for above in directory.ancestors().skip(1) {
            let file = above.join(".gitignore");
            if file.is_file() {
                rules.push_front(Gitignore::new(file).0);
            }
            if above == root {
                break;
            }
        }
    }
    rules.into()
}

pub(super) fn join(directory: &str, name: &str) -> String {
    match (directory, name) {
        ("", name) => name.to_owned(),
        (directory, "") => directory.to_owned(),
        (directory, name) => format!("{directory}/{name}"),
    }
}
