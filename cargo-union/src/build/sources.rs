//! What `copy` brings: every file, folder and link of a source, with its content measured.
//!
//! Used twice, by the key and by the builder, so that both see the same thing. Nothing outside of the
//! workspace is ever read, not even through a symbolic link.

use std::io;
use std::path::{Component, Path, PathBuf};

use union_build::diag::Code;
use union_build::spec;

use crate::base::error::{Error, Result};
use crate::base::fs::{self, Measured};

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
        measured: Measured,
    },
    /// A symbolic link that stays inside of the copied folder, with its target as it is.
    Link(String),
}

/// Tells size and hash of a file.
pub(super) type Measure<'a> = dyn Fn(&Path) -> Result<Measured> + 'a;

/// Lists what one `copy` brings, folders before what is in them.
pub(super) fn items(copy: &spec::Copy, workspace: &Path, measure: &Measure<'_>) -> Result<Vec<Item>> {
    let real = inside(copy, workspace)?;
    let to = copy.to.value.trim_start_matches("./").trim_matches('/');
    let mode = copy.mode.as_ref().map(|mode| mode.value);
    let mut items = Vec::new();
    if real.is_dir() {
        walk(&Walk { root: &real, mode, left_out: &|_| false, measure }, &real, to, &mut items)?;
    } else {
        let to = if copy.to.value.ends_with('/') { join(to, name_of(&copy.from.value)?) } else { to.to_owned() };
        items.push(Item { to, what: file(&real, mode, measure)? });
    }
    Ok(items)
}

/// Lists a whole folder from its root, without what is left out, by its path below the folder. What
/// is in a folder that is left out may still be taken.
pub(super) fn folder_items(folder: &Path, left_out: &dyn Fn(&str) -> bool, measure: &Measure<'_>) -> Result<Vec<Item>> {
    let mut items = Vec::new();
    walk(&Walk { root: folder, mode: None, left_out, measure }, folder, "", &mut items)?;
    Ok(items)
}

/// The source's real path, which must be below the workspace's.
fn inside(copy: &spec::Copy, workspace: &Path) -> Result<PathBuf> {
    let refused = |code| Error::new(code, format!("could not copy `{}`", copy.typed));
    let from = &copy.from.value;
    let root = workspace.canonicalize().map_err(|cause| fs::unreadable(workspace, cause))?;
    let real = from.canonicalize().map_err(|cause| match cause.kind() {
        io::ErrorKind::NotFound => refused(Code::CopyMissing).because(cause),
        _ => fs::unreadable(from, cause),
    })?;
    if real.starts_with(&root) {
        return Ok(real);
    }
    let lexically = fs::absolute(&root, from);
    let code = if lexically.starts_with(&root) || lexically.starts_with(workspace) { Code::CopyThroughSymlink } else { Code::CopyOutside };
    Err(refused(code).because(format!("it is `{}`, and the workspace is `{}`", real.display(), root.display())))
}

struct Walk<'a> {
    root: &'a Path,
    mode: Option<u32>,
    left_out: &'a dyn Fn(&str) -> bool,
    measure: &'a Measure<'a>,
}

fn walk(walk_: &Walk<'_>, folder: &Path, to: &str, items: &mut Vec<Item>) -> Result<()> {
    if !(walk_.left_out)(to) {
        items.push(Item { to: to.to_owned(), what: ItemKind::Folder });
    }
    let read = || -> io::Result<Vec<(PathBuf, std::fs::FileType)>> {
        std::fs::read_dir(folder)?.map(|entry| entry.and_then(|entry| Ok((entry.path(), entry.file_type()?)))).collect()
    };
    let mut entries = read().map_err(|cause| fs::unreadable(folder, cause))?;
    entries.sort_by(|(a, _), (b, _)| a.cmp(b));
    for (path, kind) in entries {
        let to = join(to, name_of(&path)?);
        if kind.is_dir() {
            walk(walk_, &path, &to, items)?;
        } else if (walk_.left_out)(&to) {
            // Neither measured nor even looked at.
        } else if kind.is_symlink() {
            items.push(Item { to, what: link(walk_.root, &path)? });
        } else {
            items.push(Item { to, what: file(&path, walk_.mode, walk_.measure)? });
        }
    }
    Ok(())
}

fn file(path: &Path, mode: Option<u32>, measure: &Measure<'_>) -> Result<ItemKind> {
    let metadata = std::fs::metadata(path).map_err(|cause| fs::unreadable(path, cause))?;
    if !metadata.is_file() {
        // Opening a pipe would wait for ever.
        return Err(fs::unreadable(path, io::Error::other("it is neither a file, nor a folder, nor a symbolic link")));
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

fn link(root: &Path, path: &Path) -> Result<ItemKind> {
    let target = std::fs::read_link(path).map_err(|cause| fs::unreadable(path, cause))?;
    let mut depth = path.parent().and_then(|folder| folder.strip_prefix(root).ok()).map_or(0, |folder| folder.components().count());
    let stays = target.components().all(|part| match part {
        Component::Normal(_) => {
            depth += 1;
            true
        }
        Component::CurDir => true,
        Component::ParentDir => depth.checked_sub(1).map(|less| depth = less).is_some(),
        Component::RootDir | Component::Prefix(_) => false,
    });
    match target.to_str() {
        Some(target) if stays => Ok(ItemKind::Link(target.to_owned())),
        _ => Err(Error::new(Code::CopyThroughSymlink, format!("could not copy `{}`", path.display()))
            .because(format!("the link leads to `{}`, out of the copied folder", target.display()))),
    }
}

fn name_of(path: &Path) -> Result<&str> {
    path.file_name().and_then(|name| name.to_str()).ok_or_else(|| {
        Error::new(Code::PathInvalid, format!("could not copy `{}`", path.display())).because("its name is not UTF-8").help("Rename it.")
    })
}

/// A path below another one; either may be empty.
pub(super) fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() || name.is_empty() { format!("{folder}{name}") } else { format!("{folder}/{name}") }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use union_build::diag::Origin;

    use super::*;
    use crate::base::fs::measure;

    fn copy(from: &Path, to: &str) -> spec::Copy {
        let origin = Origin::Default;
        let (from, typed) = (from.to_owned(), from.file_name().unwrap().to_str().unwrap().to_owned());
        let to = spec::Placed { value: to.to_owned(), origin: origin.clone() };
        spec::Copy { from: spec::Placed { value: from, origin }, typed, to, mode: None }
    }

    fn project() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let conf = folder.path().join("workspace/conf");
        std::fs::create_dir_all(conf.join("nested")).unwrap();
        std::fs::write(conf.join("run.sh"), "#!/bin/sh\n").unwrap();
        std::fs::set_permissions(conf.join("run.sh"), std::fs::Permissions::from_mode(0o700)).unwrap();
        std::fs::write(conf.join("nested/.hidden"), "x").unwrap();
        std::fs::write(folder.path().join("secret"), "secret").unwrap();
        folder
    }

    #[test]
    fn a_folder_brings_everything_in_it_with_modes_that_no_umask_touches() {
        let project = project();
        let workspace = project.path().join("workspace");
        symlink("../run.sh", workspace.join("conf/nested/link")).unwrap();
        let items = items(&copy(&workspace.join("conf"), "/etc/app/"), &workspace, &measure).unwrap();
        let seen: Vec<_> = items
            .iter()
            .map(|item| match &item.what {
                ItemKind::Folder => format!("{}/", item.to),
                ItemKind::File { mode, .. } => format!("{} {mode:o}", item.to),
                ItemKind::Link(target) => format!("{} -> {target}", item.to),
            })
            .collect();
        assert_eq!(
            seen,
            ["etc/app/", "etc/app/nested/", "etc/app/nested/.hidden 644", "etc/app/nested/link -> ../run.sh", "etc/app/run.sh 755"]
        );
    }

    #[test]
    fn a_trailing_slash_copies_a_file_into_the_folder() {
        let project = project();
        let workspace = project.path().join("workspace");
        for (to, place) in [("/opt/", "opt/run.sh"), ("/opt/other", "opt/other"), ("/", "run.sh")] {
            assert_eq!(items(&copy(&workspace.join("conf/run.sh"), to), &workspace, &measure).unwrap()[0].to, place);
        }
    }

    #[test]
    fn nothing_outside_of_the_workspace_is_read() {
        let project = project();
        let workspace = project.path().join("workspace");
        symlink("../secret", workspace.join("through")).unwrap();
        for (from, code) in [
            (project.path().join("secret"), Code::CopyOutside),
            (workspace.join("through"), Code::CopyThroughSymlink),
            (workspace.join("absent"), Code::CopyMissing),
        ] {
            assert_eq!(items(&copy(&from, "/x"), &workspace, &measure).unwrap_err().code(), code, "{}", from.display());
        }
    }

    #[test]
    fn links_that_leave_the_copied_folder_are_refused() {
        let project = project();
        let workspace = project.path().join("workspace");
        for target in ["../../secret", "/etc/passwd", "nested/../../x"] {
            let link = workspace.join("conf/link");
            symlink(target, &link).unwrap();
            assert_eq!(
                items(&copy(&workspace.join("conf"), "/x"), &workspace, &measure).unwrap_err().code(),
                Code::CopyThroughSymlink,
                "{target}"
            );
            std::fs::remove_file(link).unwrap();
        }
    }

    #[test]
    fn a_socket_is_refused_and_not_waited_for() {
        let project = project();
        let workspace = project.path().join("workspace");
        let _listener = std::os::unix::net::UnixListener::bind(workspace.join("conf/socket")).unwrap();
        let error = items(&copy(&workspace.join("conf"), "/x"), &workspace, &measure).unwrap_err();
        assert_eq!(error.code(), Code::FileUnreadable);
    }
}
