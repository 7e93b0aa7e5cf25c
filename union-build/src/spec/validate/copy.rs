//! `copy`: sources and destinations of copied files.
//!
//! A source must be in the workspace or in the package, also after following symbolic links. The content of a
//! directory is checked only when it is copied, because ignore rules apply to it.

use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};

use super::grammar;
use super::paths::normalize_path;
use super::reader::TableReader;
use crate::diag::{Code, Diagnostic, Origin};
use crate::spec::tree::{TomlNode, TomlValue};
use crate::spec::{Copy, Sourced, is_whiteout};

/// Reads the entries of an image's `copy`.
pub(super) fn read(reader: &mut TableReader<'_>, workdir: Option<&Sourced<String>>) -> Vec<Copy> {
    let entries = reader.entries("copy");
    entries
        .iter()
        .filter_map(|node| entry(reader, node, workdir))
        .collect()
}

fn entry(
    reader: &mut TableReader<'_>,
    node: &TomlNode,
    workdir: Option<&Sourced<String>>,
) -> Option<Copy> {
    let mut mode = None;
    let mut owner = None;
    let mut exclude = Vec::new();
    let (from, to) = match &node.value {
        TomlValue::Text(_) => (Some(node), None),
        TomlValue::Table(table) => {
            let reader = &mut reader.inner(table);
            let to = reader.text("to", &grammar::DESTINATION).map(|to| Sourced {
                value: below_workdir(workdir, &to.value),
                ..to
            });
            mode = reader.text("mode", &grammar::MODE);
            owner = reader.text("owner", &grammar::USER);
            exclude = reader.texts("exclude", &grammar::TEXT);
            if !table.contains_key("from") {
                let problem = Diagnostic::error(
                    Code::InvalidValue,
                    "an entry of `copy` has no `from`",
                    &node.origin,
                    "copies nothing",
                );
                reader
                    .problems
                    .push(problem.help("write `from = \"PATH\"`"));
            }
            (table.get("from"), to)
        }
        _ => return None,
    };
    let TomlNode {
        origin,
        value: TomlValue::Text(typed),
        ..
    } = from?
    else {
        return None;
    };
    let path = normalize_path(&reader.directory(origin).join(typed));
    let facts = reader.context.facts;
    let source = CopySource {
        typed,
        origin,
        roots: [&facts.workspace_root, &facts.directory],
    };
    reader.problems.extend(source.check(&path));
    let has_to = matches!(&node.value, TomlValue::Table(table) if table.contains_key("to"));
    let to = match to.or_else(|| default_destination(typed, workdir, origin)) {
        None if !has_to => {
            let message = format!("`{typed}` cannot be placed below the working directory");
            let problem = Diagnostic::error(
                Code::PathInvalid,
                message,
                origin,
                "the destination is missing",
            );
            reader.problems.push(problem.help(format!(
                "write `{{ from = {}, to = \"/…\" }}`",
                crate::spec::toml_text::string(typed)
            )));
            return None;
        }
        to => to?,
    };
    if let Some(part) = to.value.split('/').find(|part| is_whiteout(part)) {
        let message = format!(
            "the destination `{}` of a copy would remove another file",
            to.value
        );
        let problem = Diagnostic::error(
            Code::PathInvalid,
            message,
            &to.origin,
            format!("`{part}` is not a file name in a layer"),
        );
        reader.problems.push(problem.help(
            "in a layer, a name that begins with `.wh.` removes the file of the rest of the name",
        ));
    }
    let mode = mode.and_then(|mode| {
        Some(Sourced {
            value: grammar::mode(&mode.value)?,
            origin: mode.origin,
        })
    });
    Some(Copy {
        from: Sourced {
            value: path,
            origin: origin.clone(),
        },
        typed: typed.clone(),
        to,
        mode,
        owner,
        exclude,
    })
}

/// The default destination: the path of the source, below the working directory.
fn default_destination(
    typed: &str,
    workdir: Option<&Sourced<String>>,
    origin: &Origin,
) -> Option<Sourced<String>> {
    let mut parts: Vec<&str> = Vec::new();
    for component in Path::new(typed).components() {
        match component {
            Component::Normal(part) => parts.push(part.to_str()?),
            Component::CurDir => {}
            Component::ParentDir => drop(parts.pop()?),
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(Sourced {
        value: below_workdir(workdir, &parts.join("/")),
        origin: origin.clone(),
    })
}

/// A destination below the working directory; without one, a relative destination stays relative.
pub(super) fn below_workdir(workdir: Option<&Sourced<String>>, to: &str) -> String {
    if to.starts_with('/') {
        return to.to_owned();
    }
    let parts: Vec<&str> = to
        .split('/')
        .filter(|part| !matches!(*part, "" | "."))
        .collect();
    let into = if to.ends_with('/') && !parts.is_empty() {
        "/"
    } else {
        ""
    };
    match workdir {
        Some(workdir) => format!(
            "{}/{}{into}",
            workdir.value.trim_end_matches('/'),
            parts.join("/")
        ),
        None if parts.is_empty() => "./".to_owned(),
        None => format!("{}{into}", parts.join("/")),
    }
}

/// The source of a copy entry.
struct CopySource<'a> {
    typed: &'a str,
    origin: &'a Origin,
    /// The root of the workspace and the directory of the package, which need not be inside of it.
    roots: [&'a PathBuf; 2],
}

impl CopySource<'_> {
    /// The problem of the source; `None` when it is valid.
    fn check(&self, path: &Path) -> Option<Diagnostic> {
        let located = self
            .roots
            .into_iter()
            .find_map(|root| Some((root, path.strip_prefix(normalize_path(root)).ok()?)));
        let Some((root, below)) = located else {
            return Some(self.problem(
                Code::CopyOutside,
                "is outside of the workspace",
                format!("leaves {}", self.roots[0].display()),
            ));
        };
        let Ok(mut walked) = root.canonicalize() else {
            return Some(self.missing());
        };
        for component in below.components() {
            walked.push(component);
            match walked.symlink_metadata() {
                Ok(metadata) if metadata.is_symlink() && self.points_outside(&walked) => {
                    return Some(self.through(&walked));
                }
                Ok(_) => {}
                Err(error)
                    if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) =>
                {
                    return Some(self.missing());
                }
                Err(error) => return Some(self.unreadable(&walked, &error)),
            }
        }
        // A link inside of the workspace may still be broken.
        if walked.canonicalize().is_ok() {
            None
        } else {
            Some(self.missing())
        }
    }

    /// Whether a symbolic link, broken or not, points out of the workspace and the package.
    fn points_outside(&self, link: &Path) -> bool {
        let is_inside = |path: &Path| {
            self.roots
                .iter()
                .any(|root| root.canonicalize().is_ok_and(|root| path.starts_with(root)))
        };
        match link.canonicalize() {
            Ok(real) => !is_inside(&real),
            Err(_) => match (link.read_link(), link.parent()) {
                (Ok(target), Some(directory)) => {
                    !is_inside(&normalize_path(&directory.join(target)))
                }
                _ => true,
            },
        }
    }

    fn missing(&self) -> Diagnostic {
        let problem = self.problem(Code::CopyMissing, "does not exist", "not found");
        if self.typed.contains(['*', '?']) {
            problem.help("patterns are not expanded: name the directory, and use `exclude`")
        } else {
            problem
        }
    }

    fn through(&self, link: &Path) -> Diagnostic {
        let what = format!(
            "leaves the workspace through the symbolic link {}",
            link.display()
        );
        let target = link.read_link().map_or(String::new(), |target| {
            format!("points to {}", target.display())
        });
        self.problem(Code::CopyThroughSymlink, what, target)
    }

    fn unreadable(&self, path: &Path, error: &std::io::Error) -> Diagnostic {
        self.problem(
            Code::FileUnreadable,
            format!("cannot be read: {}: {error}", path.display()),
            "cannot be read",
        )
    }

    fn problem(
        &self,
        code: Code,
        what: impl std::fmt::Display,
        label: impl Into<String>,
    ) -> Diagnostic {
        Diagnostic::error(
            code,
            format!("the `copy` source `{}` {what}", self.typed),
            self.origin,
            label,
        )
        .help(code.help())
    }
}
