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
            let to = reader.text("to", &grammar::DESTINATION).map(|to| Placed { value: below(workdir, &to.value), ..to });
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
    let source = Source { typed, origin, root: &reader.ground.facts.workspace_root };
    reader.problems.extend(source.check(&path));
    let has_to = matches!(&node.value, Value::Table(table) if table.contains_key("to"));
    let to = match to.or_else(|| default_destination(typed, workdir, origin)) {
        None if !has_to => {
            let message = format!("`{typed}` has no place below the working directory");
            let problem = Diagnostic::error(Code::PathInvalid, message, origin, "where shall it go?");
            reader.problems.push(problem.help(format!("write `{{ from = {}, to = \"/…\" }}`", crate::spec::toml_text::string(typed))));
            return None;
        }
        to => to?,
    };
    let mode = mode.and_then(|mode| Some(Placed { value: grammar::mode(&mode.value)?, origin: mode.origin }));
    Some(Copy { from: Placed { value: path, origin: origin.clone() }, typed: typed.clone(), to, mode })
}

/// A path that stays below its manifest keeps its place, below the working directory.
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
    Some(Placed { value: below(workdir, &parts.join("/")), origin: origin.clone() })
}

/// A destination as it is when this is the working directory; without one a relative destination stays relative.
pub(super) fn below(workdir: Option<&Placed<String>>, to: &str) -> String {
    if to.starts_with('/') {
        return to.to_owned();
    }
    let parts: Vec<&str> = to.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    let into = if to.ends_with('/') && !parts.is_empty() { "/" } else { "" };
    match workdir {
        Some(workdir) => format!("{}/{}{into}", workdir.value.trim_end_matches('/'), parts.join("/")),
        None if parts.is_empty() => "./".to_owned(),
        None => format!("{}{into}", parts.join("/")),
    }
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

/// A source on its way into an image.
struct Source<'a> {
    typed: &'a str,
    origin: &'a Origin,
    root: &'a Path,
}

impl Source<'_> {
    /// What is wrong with it, if anything.
    fn check(&self, path: &Path) -> Option<Diagnostic> {
        let Ok(below) = path.strip_prefix(normal(self.root)) else {
            return Some(self.problem(Code::CopyOutside, "is outside of the workspace", format!("leaves {}", self.root.display())));
        };
        let Ok(root) = self.root.canonicalize() else { return Some(self.missing()) };
        let mut walked = root.clone();
        for component in below.components() {
            walked.push(component);
            match walked.symlink_metadata() {
                Ok(metadata) if metadata.is_symlink() && leaves(&walked, &root) => return Some(self.through(&walked)),
                Ok(_) => {}
                Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Some(self.missing()),
                Err(error) => return Some(self.unreadable(&walked, &error)),
            }
        }
        match walked.canonicalize() {
            Ok(real) if real.is_dir() => self.check_folder(&real, &root, &mut BTreeSet::new()),
            Ok(_) => None,
            // Even without leaving, a link may lead nowhere.
            Err(_) => Some(self.missing()),
        }
    }

    /// Looks at everything below a folder, also behind links that stay inside of the workspace.
    fn check_folder(&self, folder: &Path, root: &Path, seen: &mut BTreeSet<PathBuf>) -> Option<Diagnostic> {
        if !seen.insert(folder.to_owned()) {
            return None;
        }
        let mut entries: Vec<PathBuf> = match folder.read_dir().and_then(Iterator::collect::<Result<Vec<_>, _>>) {
            Ok(entries) => entries.iter().map(std::fs::DirEntry::path).collect(),
            Err(error) => return Some(self.unreadable(folder, &error)),
        };
        entries.sort();
        entries.iter().find_map(|path| {
            let real = if !path.is_symlink() {
                Some(path.clone())
            } else if leaves(path, root) {
                return Some(self.through(path));
            } else {
                path.canonicalize().ok()
            };
            real.filter(|real| real.is_dir()).and_then(|folder| self.check_folder(&folder, root, seen))
        })
    }

    fn missing(&self) -> Diagnostic {
        let problem = self.problem(Code::CopyMissing, "does not exist", "nothing is here");
        if self.typed.contains(['*', '?']) { problem.help("patterns are not expanded: name the folder") } else { problem }
    }

    fn through(&self, link: &Path) -> Diagnostic {
        let what = format!("leaves the workspace through the symbolic link {}", link.display());
        let target = link.read_link().map_or(String::new(), |target| format!("leads to {}", target.display()));
        self.problem(Code::CopyThroughSymlink, what, target)
    }

    fn unreadable(&self, path: &Path, error: &std::io::Error) -> Diagnostic {
        self.problem(Code::FileUnreadable, format!("cannot be read: {}: {error}", path.display()), "cannot be read")
    }

    fn problem(&self, code: Code, what: impl std::fmt::Display, label: impl Into<String>) -> Diagnostic {
        Diagnostic::error(code, format!("the `copy` source `{}` {what}", self.typed), self.origin, label).help(code.cure())
    }
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
