//! Walks a directory that is copied or is a build context, in a fixed order, and applies ignore rules. Reads only
//! directories, links and ignore files.

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

/// An entry with its path relative to the walked directory; the path of the directory itself is empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct WalkEntry {
    pub(super) path: String,
    pub(super) kind: WalkEntryKind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum WalkEntryKind {
    Directory,
    /// A file, with the path to read it from.
    File(PathBuf),
    /// A symbolic link with its unresolved target.
    Link(String),
    /// A named pipe.
    Pipe,
    Device(Device),
}

/// A device file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Device {
    /// Whether it is a block device, not a character device.
    pub(super) is_block: bool,
    pub(super) major: u32,
    pub(super) minor: u32,
    /// Permission bits, for which devices have no common default.
    pub(super) mode: u32,
}

/// What the walk is for, which decides the treatment of links and special files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Links that leave the directory are followed, special files are refused.
    Copy,
    /// As in `docker build`: links are not followed, pipes and devices are included, sockets are skipped.
    Context,
}

/// Which entries are left out.
#[derive(Debug, Default)]
pub(super) struct WalkFilter {
    /// Patterns, and the path of the walked directory relative to the one of the patterns.
    pub(super) patterns: Vec<(Patterns, String)>,
    /// Whether `.gitignore` files apply.
    pub(super) git: bool,
}

impl WalkFilter {
    fn leaves_out(&self, path: &str) -> bool {
        self.patterns
            .iter()
            .any(|(patterns, below)| patterns.excludes(&join(below, path)))
    }

    /// Whether a directory has to be read although it is excluded.
    fn enters(&self, path: &str) -> bool {
        let is_fully_excluded = |(patterns, below): &(Patterns, String)| {
            let path = join(below, path);
            patterns.excludes(&path) && !patterns.may_include_below(&path)
        };
        !self.patterns.iter().any(is_fully_excluded)
    }
}

/// Walks a directory, given by its real path, and visits directories before their contents. Returns whether
/// anything was left out.
///
/// # Errors
/// Those of the visitor; `FileUnreadable`, `CopyThroughSymlink` and `PathInvalid` for entries that cannot be copied.
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
        walk.git = git_rules_above(directory, &roots.workspace);
    }
    walk.directory(directory, "", false)?;
    Ok(walk.left_out)
}

struct TreeWalk<'a> {
    /// The directory that links must not leave: the copied one, or the target of a followed link.
    top: PathBuf,
    roots: &'a RealRoots,
    purpose: Purpose,
    filter: &'a WalkFilter,
    /// The `.gitignore` files of this directory and those above it, outermost first.
    git: Vec<Gitignore>,
    /// Real paths of the directories that are being walked, outermost first.
    inside: Vec<PathBuf>,
    /// The number of directories that were entered through links.
    followed: usize,
    left_out: bool,
    visit: &'a mut dyn FnMut(WalkEntry) -> Result<()>,
}

impl TreeWalk<'_> {
    fn directory(&mut self, directory: &Path, path: &str, ignored: bool) -> Result<()> {
        // An excluded directory is read only where a pattern includes something below it.
        let entries = entries(directory).map_err(|cause| fs::unreadable(directory, cause))?;
        let has = |name: &str| {
            entries
                .iter()
                .any(|(entry, _)| entry.file_name().is_some_and(|entry| entry == name))
        };
        if !path.is_empty() && has(CACHE_TAG) && is_tagged_by_cargo(directory) {
            self.left_out = true;
            return Ok(());
        }
        if !ignored {
            (self.visit)(WalkEntry {
                path: path.to_owned(),
                kind: WalkEntryKind::Directory,
            })?;
        }
        let rules = self.git.len();
        if self.filter.git && has(".gitignore") {
            // git ignores lines that it cannot parse, too.
            self.git
                .push(Gitignore::new(directory.join(".gitignore")).0);
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
        let is_excluded = self.roots.exclusion_reason(entry).is_some()
            || self.is_git_ignored(entry, kind.is_dir());
        if is_excluded || ignored && !(kind.is_dir() && self.filter.enters(&path)) {
            self.left_out = true;
            return Ok(());
        }
        self.left_out |= ignored;
        let Some(name) = name.to_str() else {
            let error = Error::new(
                Code::PathInvalid,
                format!("could not copy `{}`", entry.display()),
            )
            .because("its name is not UTF-8");
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
        let kind = match (self.purpose, special_kind(kind)) {
            (_, None) => WalkEntryKind::File(entry.to_owned()),
            (Purpose::Context, Some(SpecialFileKind::Socket)) => return Ok(()),
            (Purpose::Context, Some(SpecialFileKind::Pipe)) => WalkEntryKind::Pipe,
            (Purpose::Context, Some(SpecialFileKind::Device)) => {
                WalkEntryKind::Device(device(entry)?)
            }
            // Opening a pipe would block forever.
            _ => return Err(unsupported_kind(entry)),
        };
        (self.visit)(WalkEntry { path, kind })
    }

    fn link(&mut self, entry: &Path, path: String) -> Result<()> {
        let target = entry
            .read_link()
            .map_err(|cause| fs::unreadable(entry, cause))?;
        if self.purpose == Purpose::Context || self.stays_inside(entry, &target) {
            let Some(target) = target.to_str() else {
                let error = Error::new(
                    Code::PathInvalid,
                    format!("could not copy `{}`", entry.display()),
                );
                return Err(error
                    .because("the target of the link is not UTF-8")
                    .help("Rename the target."));
            };
            return (self.visit)(WalkEntry {
                path,
                kind: WalkEntryKind::Link(target.to_owned()),
            });
        }
        self.follow(entry, &target, path)
    }

    /// Whether the target of a link is lexically inside the copied directory.
    fn stays_inside(&self, link: &Path, target: &Path) -> bool {
        let above = link
            .parent()
            .and_then(|above| above.strip_prefix(&self.top).ok());
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

    /// Visits the target of a link in place of the link.
    fn follow(&mut self, link: &Path, target: &Path, path: String) -> Result<()> {
        /// Links to directories that are followed; directories that link to each other multiply the paths.
        const MOST: usize = 10_000;
        let leads = format!("the link points to `{}`", target.display());
        let real = link.canonicalize().map_err(|cause| match cause.kind() {
            io::ErrorKind::NotFound => link_refused(
                link,
                format!("{leads}, which does not exist, outside of the copied directory"),
            ),
            io::ErrorKind::PermissionDenied => fs::unreadable(link, cause),
            _ => link_refused(link, format!("{leads}, which cannot be followed: {cause}")),
        })?;
        if !self.roots.contain(&real) {
            return Err(link_refused(
                link,
                format!("{leads}, outside of the workspace"),
            ));
        }
        if self.roots.exclusion_reason(&real).is_some() {
            self.left_out = true;
            return Ok(());
        }
        let kind = real
            .symlink_metadata()
            .map_err(|cause| fs::unreadable(&real, cause))?
            .file_type();
        if !kind.is_dir() {
            return self.special_or_file(&real, kind, path);
        }
        if self.inside.iter().any(|above| above.starts_with(&real)) {
            return Err(link_refused(
                link,
                format!("{leads}, a directory that contains the link"),
            ));
        }
        self.followed += 1;
        if self.followed > MOST {
            return Err(link_refused(
                link,
                format!("more than {MOST} links to directories would be copied"),
            ));
        }
        let top = std::mem::replace(&mut self.top, real.clone());
        let git = std::mem::take(&mut self.git);
        self.directory(&real, &path, false)?;
        (self.top, self.git) = (top, git);
        Ok(())
    }

    fn is_git_ignored(&self, path: &Path, is_directory: bool) -> bool {
        let decisive = self
            .git
            .iter()
            .rev()
            .map(|rules| rules.matched(path, is_directory))
            .find(|matched| !matched.is_none());
        decisive.is_some_and(|matched| matched.is_ignore())
    }
}

/// Refuses the name of a whiteout, which removes a file in a layer (OCI image spec, layer.md).
///
/// # Errors
/// `PathInvalid`.
pub(super) fn refuse_whiteout(name: &str, path: &Path) -> Result<()> {
    if !union_build::spec::is_whiteout(name) {
        return Ok(());
    }
    let error = Error::new(
        Code::PathInvalid,
        format!("could not copy `{}`", path.display()),
    );
    Err(error
        .because(
            "in a layer, a name that begins with `.wh.` removes the file of the rest of the name",
        )
        .help("Rename it."))
}

/// A file system entry that is not a file, directory or link.
#[cfg_attr(not(unix), allow(dead_code))]
enum SpecialFileKind {
    Pipe,
    Socket,
    Device,
    Other,
}

#[cfg(unix)]
fn special_kind(kind: FileType) -> Option<SpecialFileKind> {
    use std::os::unix::fs::FileTypeExt as _;
    match kind {
        kind if kind.is_file() => None,
        kind if kind.is_fifo() => Some(SpecialFileKind::Pipe),
        kind if kind.is_socket() => Some(SpecialFileKind::Socket),
        kind if kind.is_char_device() || kind.is_block_device() => Some(SpecialFileKind::Device),
        _ => Some(SpecialFileKind::Other),
    }
}

#[cfg(not(unix))]
fn special_kind(kind: FileType) -> Option<SpecialFileKind> {
    (!kind.is_file()).then_some(SpecialFileKind::Other)
}

#[cfg(unix)]
fn device(path: &Path) -> Result<Device> {
    use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
    let metadata = path
        .symlink_metadata()
        .map_err(|cause| fs::unreadable(path, cause))?;
    // A number of 64 bits on Linux, and of 32 on macOS.
    #[allow(clippy::unnecessary_cast, clippy::cast_possible_truncation)]
    let number = metadata.rdev() as rustix::fs::Dev;
    Ok(Device {
        is_block: metadata.file_type().is_block_device(),
        major: rustix::fs::major(number),
        minor: rustix::fs::minor(number),
        mode: metadata.mode() & 0o777,
    })
}

#[cfg(not(unix))]
fn device(path: &Path) -> Result<Device> {
    Err(unsupported_kind(path))
}

/// The error for an entry that is not a file, directory or link.
pub(super) fn unsupported_kind(path: &Path) -> Error {
    fs::unreadable(
        path,
        io::Error::other("it is neither a file, nor a directory, nor a symbolic link"),
    )
}

fn link_refused(link: &Path, why: String) -> Error {
    Error::new(
        Code::CopyThroughSymlink,
        format!("could not copy `{}`", link.display()),
    )
    .because(why)
}

fn entries(directory: &Path) -> io::Result<Vec<(PathBuf, FileType)>> {
    let entry = |entry: io::Result<std::fs::DirEntry>| {
        let entry = entry?;
        Ok((entry.path(), entry.file_type()?))
    };
    let mut entries = std::fs::read_dir(directory)?
        .map(entry)
        .collect::<io::Result<Vec<_>>>()?;
    entries.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(entries)
}

/// The `.gitignore` files above a directory, up to the root of its repository, or of the workspace if there is no
/// repository; outermost first.
fn git_rules_above(directory: &Path, workspace: &Path) -> Vec<Gitignore> {
    let is_root = |path: &&Path| path.join(".git").symlink_metadata().is_ok();
    let root = directory
        .ancestors()
        .find(is_root)
        .unwrap_or(if directory.starts_with(workspace) {
            workspace
        } else {
            directory
        });
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
