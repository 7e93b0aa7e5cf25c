//! `copy`: where files come from and where they go.
//!
//! A source must be inside of the workspace, and must stay there whichever symbolic link is followed:
//! what an image holds is what the repository holds.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};

use super::grammar;
use super::reader::Reader;
use crate::diag::{Code, Diagnostic, Origin};
use crate::spec::raw::{Node, Value};
use crate::spec::{Copy, Placed};

/// Reads the entries of an image's `copy`.
pub(super) fn read(reader: &mut Reader<'_>, workdir: Option<&Placed<String>>) -> Vec<Copy> {
    let entries = reader.entries("copy");
    entries.iter().filter_map(|node| entry(reader, node, workdir)).collect()
}

fn entry(reader: &mut Reader<'_>, node: &Node, workdir: Option<&Placed<String>>) -> Option<Copy> {
    let (from, to, mode) = match &node.value {
        Value::Text(_) => (Some(node), None, None),
        Value::Table(table) => {
            let reader = &mut reader.inner(table);
            let to = reader.text("to", &grammar::ABSOLUTE);
            let mode = reader.text("mode", &grammar::MODE);
            if !table.contains_key("from") {
                let problem = Diagnostic::error(Code::InvalidValue, "an entry of `copy` has no `from`", &node.origin, "copies nothing");
                reader.problems.push(problem.help("write `from = \"PATH\"`"));
            }
            (table.get("from"), to, mode)
        }
        _ => return None,
    };
    let Node { origin, value: Value::Text(typed), .. } = from? else { return None };
    let path = normal(&reader.folder(origin).join(typed));
    let root = &reader.ground.facts.workspace_root;
    if let Err(problem) = check_source(typed, &path, root, origin) {
        reader.problems.push(problem);
    }
    let has_to = matches!(&node.value, Value::Table(table) if table.contains_key("to"));
    let to = match to.or_else(|| default_destination(typed, workdir, origin)) {
        None if !has_to => {
            let message = format!("`{typed}` has no place below the working folder");
            let problem = Diagnostic::error(Code::PathInvalid, message, origin, "where shall it go?");
            reader.problems.push(problem.help(format!("write `{{ from = {}, to = \"/…\" }}`", crate::spec::toml_text::string(typed))));
            return None;
        }
        to => to?,
    };
    let mode = mode.and_then(|mode| Some(Placed { value: grammar::mode(&mode.value)?, origin: mode.origin }));
    Some(Copy { from: Placed { value: path, origin: origin.clone() }, typed: typed.clone(), to, mode })
}

/// A path that stays below its manifest keeps its place, below the working folder.
fn default_destination(typed: &str, workdir: Option<&Placed<String>>, origin: &Origin) -> Option<Placed<String>> {
    let mut parts: Vec<&str> = Vec::new();
    for component in Path::new(typed).components() {
        match component {
            Component::Normal(part) => parts.push(part.to_str()?),
            Component::CurDir => {}
            Component::ParentDir => drop(parts.pop()?),
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    let folder = workdir.map_or("", |workdir| workdir.value.trim_end_matches('/'));
    Some(Placed { value: format!("{folder}/{}", parts.join("/")), origin: origin.clone() })
}

/// A path without `.` and `..`, by its text alone.
pub(super) fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => drop(normal.pop()),
            other => normal.push(other),
        }
    }
    normal
}

fn check_source(typed: &str, path: &Path, root: &Path, origin: &Origin) -> Result<(), Diagnostic> {
    let missing = || {
        let problem =
            Diagnostic::error(Code::CopyMissing, format!("the `copy` source `{typed}` does not exist"), origin, "nothing is here");
        let pattern = typed.contains(['*', '?']);
        problem.help(if pattern { "patterns are not expanded: name the folder" } else { Code::CopyMissing.cure() })
    };
    let Ok(below) = path.strip_prefix(normal(root)) else {
        let message = format!("the `copy` source `{typed}` is outside of the workspace");
        let problem = Diagnostic::error(Code::CopyOutside, message, origin, format!("leaves {}", root.display()));
        return Err(problem.help(Code::CopyOutside.cure()));
    };
    let unreadable = |path: &Path, error: &std::io::Error| {
        let message = format!("{} of the `copy` source `{typed}` cannot be read: {error}", path.display());
        Diagnostic::error(Code::FileUnreadable, message, origin, "cannot be read").help(Code::FileUnreadable.cure())
    };
    let real_root = root.canonicalize().map_err(|_| missing())?;
    let mut walked = real_root.clone();
    for component in below.components() {
        walked.push(component);
        match walked.symlink_metadata() {
            Ok(metadata) if metadata.is_symlink() && leaves(&walked, &real_root) => return Err(through_symlink(typed, &walked, origin)),
            Ok(_) => {}
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Err(missing()),
            Err(error) => return Err(unreadable(&walked, &error)),
        }
    }
    // Even without leaving, a link may lead nowhere.
    let real = walked.canonicalize().map_err(|_| missing())?;
    if real.is_dir() { check_folder(typed, &real, &real_root, origin, &mut BTreeSet::new(), &unreadable) } else { Ok(()) }
}

/// Looks at everything below a folder, also behind links that stay inside of the workspace.
fn check_folder(
    typed: &str,
    folder: &Path,
    root: &Path,
    origin: &Origin,
    seen: &mut BTreeSet<PathBuf>,
    unreadable: &dyn Fn(&Path, &std::io::Error) -> Diagnostic,
) -> Result<(), Diagnostic> {
    if !seen.insert(folder.to_owned()) {
        return Ok(());
    }
    let entries = folder.read_dir().and_then(Iterator::collect::<Result<Vec<_>, _>>).map_err(|error| unreadable(folder, &error))?;
    let mut entries: Vec<PathBuf> = entries.into_iter().map(|entry| entry.path()).collect();
    entries.sort();
    for path in entries {
        let metadata = path.symlink_metadata().map_err(|error| unreadable(&path, &error))?;
        if metadata.is_symlink() && leaves(&path, root) {
            return Err(through_symlink(typed, &path, origin));
        }
        let real = if metadata.is_symlink() { path.canonicalize().ok() } else { Some(path) };
        if let Some(folder) = real.filter(|real| real.is_dir()) {
            check_folder(typed, &folder, root, origin, seen, unreadable)?;
        }
    }
    Ok(())
}

/// Whether a symbolic link leads out of the workspace, be it to something or to nothing.
fn leaves(link: &Path, root: &Path) -> bool {
    match link.canonicalize() {
        Ok(real) => !real.starts_with(root),
        Err(_) => match (link.read_link(), link.parent()) {
            (Ok(target), Some(folder)) => !normal(&folder.join(target)).starts_with(root),
            _ => true,
        },
    }
}

fn through_symlink(typed: &str, link: &Path, origin: &Origin) -> Diagnostic {
    let message = format!("the `copy` source `{typed}` leaves the workspace through the symbolic link {}", link.display());
    let target = link.read_link().map_or(String::new(), |target| format!("leads to {}", target.display()));
    Diagnostic::error(Code::CopyThroughSymlink, message, origin, target).help(Code::CopyThroughSymlink.cure())
}
