//! Python requirements files that include other files: further lists, constraints and local packages.
//!
//! Included files become part of the build context and of the key. A line that includes something that cannot be
//! part of the build context is refused before an engine fails on it.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use union_build::diag::{Code, Diagnostic, Origin, SourceFile};
use union_build::spec;

use super::measured_files::MeasuredFiles;
use super::roots::{RealRoots, SourceRoots};
use crate::sys::error::{Error, Result};
use crate::sys::fs::{self, FileDigest};

/// A file that becomes part of the build context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RequirementFiles {
    pub(super) path: PathBuf,
    /// The name in the build context, relative to the directory of the requirements files.
    pub(super) name: String,
    /// The content of a list; `None` for a package.
    pub(super) list: Option<RequirementList>,
}

/// The content of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RequirementList {
    /// The text, with paths rewritten to those in the build.
    pub(super) text: String,
    /// Size and hash of the original bytes. Code that uses the text must compare them with those of the key.
    pub(super) read: FileDigest,
}

/// A list and all files that it includes, itself first. `directory` is where they are during the build.
///
/// # Errors
/// `FileUnreadable`, `CopyOutside`, and `InvalidValue` for a directory.
pub(super) fn follow(
    list: &Path,
    directory: &str,
    roots: &SourceRoots,
) -> Result<Vec<RequirementFiles>> {
    follow_all(list, directory, roots).map_err(|refused| refused.into_error())
}

/// The files that a list includes, directly or through other lists.
///
/// # Errors
/// Those of [`follow`]; `InputsMoved` when a list changed since it was measured.
pub(super) fn included_files(
    list: &Path,
    roots: &SourceRoots,
    files: &MeasuredFiles,
) -> Result<Vec<PathBuf>> {
    if is_uv_lock(list) {
        return Ok(Vec::new());
    }
    let found = follow(list, "", roots)?;
    for (file, list) in found
        .iter()
        .filter_map(|file| Some((file, file.list.as_ref()?)))
    {
        files.check(&file.path, list.read)?;
    }
    Ok(found.into_iter().skip(1).map(|file| file.path).collect())
}

fn is_uv_lock(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == "uv.lock")
}

/// Diagnostics of the lines of requirements and lock files that include something that cannot be part of the build.
pub fn problems<'a>(
    specs: impl IntoIterator<Item = &'a spec::ImageSpec>,
    roots: &SourceRoots,
) -> Vec<Diagnostic> {
    let files = specs.into_iter().flat_map(|spec| {
        spec.python
            .requirements
            .iter()
            .map(move |file| (spec, file))
    });
    let by_path: BTreeMap<(&Path, bool), &spec::Sourced<PathBuf>> = files
        .map(|(spec, file)| ((&*file.value, spec.is_remote()), file))
        .collect();
    let problem = |((path, remote), file): ((&Path, bool), &spec::Sourced<PathBuf>)| {
        let refused = match is_uv_lock(path) {
            true => check_uv_lock(path).err(),
            false => follow_all(path, "", roots)
                .map(|files| {
                    if remote {
                        check_single(path, &files)
                    } else {
                        None
                    }
                })
                .unwrap_or_else(Some),
        };
        Some(refused?.into_diagnostic(&file.origin))
    };
    by_path.into_iter().filter_map(problem).collect()
}

/// Refuses included files for the remote builder, which receives a single file.
fn check_single(path: &Path, files: &[RequirementFiles]) -> Option<Box<RequirementError>> {
    let text = std::fs::read_to_string(path)
        .ok()
        .filter(|_| files.len() > 1)?;
    let (span, _) = included(&text).into_iter().next()?;
    let why =
        "the remote builder supports a single requirements file, without included files".to_owned();
    let help = "Copy the contents of the included files into it, or use `builder = \"docker\"`.";
    Some(Box::new(RequirementError {
        file: path.to_owned(),
        text,
        span,
        code: Code::UnsupportedByBuilder,
        why,
        help,
    }))
}

/// A line that includes something that cannot be part of the build.
struct RequirementError {
    file: PathBuf,
    text: String,
    span: Range<usize>,
    code: Code,
    why: String,
    help: &'static str,
}

impl RequirementError {
    fn into_error(self) -> Error {
        let place = Origin::File(SourceFile::new(self.file, self.text), self.span);
        Error::new(
            self.code,
            format!("could not include the file that {place} refers to"),
        )
        .because(self.why)
        .help(self.help)
    }

    fn into_diagnostic(self, named: &Origin) -> Diagnostic {
        let place = Origin::File(SourceFile::new(self.file, self.text), self.span);
        Diagnostic::error(self.code, self.why, &place, "")
            .also(named, "the file is named here")
            .help(self.help)
    }
}

fn follow_all(
    list: &Path,
    directory: &str,
    roots: &SourceRoots,
) -> Result<Vec<RequirementFiles>, Box<RequirementError>> {
    let mut walk = RequirementWalk {
        top: list,
        directory,
        roots: &roots.real(),
        shown: roots.shown(),
        files: Vec::new(),
    };
    walk.list(list)?;
    Ok(walk.files)
}

struct RequirementWalk<'a> {
    /// The list in the manifest: installers resolve paths of packages relative to its directory.
    top: &'a Path,
    directory: &'a str,
    roots: &'a RealRoots,
    shown: String,
    files: Vec<RequirementFiles>,
}

impl RequirementWalk<'_> {
    fn list(&mut self, path: &Path) -> Result<String, Box<RequirementError>> {
        if let Some(known) = self
            .files
            .iter()
            .find(|file| file.path == path && file.list.is_some())
        {
            return Ok(known.name.clone());
        }
        let refused = |code, why: String| {
            let help = "Correct the path; it is relative to the file that names it.";
            Box::new(RequirementError {
                file: path.to_owned(),
                text: String::new(),
                span: 0..0,
                code,
                why,
                help,
            })
        };
        let text = std::fs::read_to_string(path).map_err(|cause| {
            refused(
                Code::FileUnreadable,
                format!("`{}` cannot be read: {cause}", path.display()),
            )
        })?;
        let name = match self.files.iter().filter(|file| file.list.is_some()).count() {
            0 => "requirements.txt".to_owned(),
            before => format!("requirements-{before}.txt"),
        };
        let position = self.files.len();
        let read = FileDigest {
            size: text.len() as u64,
            hash: Sha256::digest(&text).into(),
        };
        let list = RequirementList {
            text: String::new(),
            read,
        };
        self.files.push(RequirementFiles {
            path: path.to_owned(),
            name: name.clone(),
            list: Some(list),
        });
        let mut rewritten = text.clone();
        // From the last to the first, so that earlier spans stay valid.
        for (span, included) in included(&text).into_iter().rev() {
            let error = |code, why: String, help| {
                Box::new(RequirementError {
                    file: path.to_owned(),
                    text: text.clone(),
                    span: span.clone(),
                    code,
                    why,
                    help,
                })
            };
            let path_in_build = self.include(path, &included, &error)?;
            rewritten.replace_range(span.clone(), &path_in_build);
        }
        self.files[position].list = Some(RequirementList {
            text: rewritten,
            read,
        });
        Ok(name)
    }

    /// Adds an included file and returns its path in the build.
    fn include(
        &mut self,
        list: &Path,
        included: &IncludedFile,
        error: &dyn Fn(Code, String, &'static str) -> Box<RequirementError>,
    ) -> Result<String, Box<RequirementError>> {
        const RELATIVE: &str = "Correct the path; lists are relative to the file that names them, packages to the first list.";
        const BUILT: &str =
            "Build a wheel of it, and name that; or install it in `commands`, from copied files.";
        let relative_to = match included {
            IncludedFile::List(_) => list,
            _ => self.top,
        };
        let (IncludedFile::List(typed)
        | IncludedFile::Package(typed)
        | IncludedFile::Directory(typed)) = included;
        let path = fs::absolute(
            relative_to.parent().unwrap_or(Path::new("/")),
            Path::new(typed),
        );
        if let IncludedFile::Directory(_) = included {
            return Err(error(
                Code::InvalidValue,
                format!(
                    "`{typed}` is a directory on this disk, which is not available when packages are installed"
                ),
                BUILT,
            ));
        }
        let real = path.canonicalize().map_err(|cause| {
            error(
                Code::FileUnreadable,
                format!("`{typed}` cannot be read: {cause}"),
                RELATIVE,
            )
        })?;
        if !self.roots.contain(&real) {
            let help = "Move it into the workspace.";
            return Err(error(
                Code::CopyOutside,
                format!("`{typed}` is outside of the workspace; {}", self.shown),
                help,
            ));
        }
        if real.is_dir() {
            return Err(error(
                Code::InvalidValue,
                format!(
                    "`{typed}` is a directory on this disk, which is not available when packages are installed"
                ),
                BUILT,
            ));
        }
        if let IncludedFile::List(_) = included {
            let name = self.list(&path)?;
            return Ok(format!("{}/{name}", self.directory));
        }
        let file = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        let known = self
            .files
            .iter()
            .find(|file| file.path == path)
            .map(|file| file.name.clone());
        let name = known.unwrap_or_else(|| {
            // Installers parse the file name of a wheel, so it must stay; two wheels may have the same name.
            let name = format!("packages-{}/{file}", self.files.len());
            self.files.push(RequirementFiles {
                path: path.clone(),
                name: name.clone(),
                list: None,
            });
            name
        });
        Ok(format!("{}/{name}", self.directory))
    }
}

/// A local file or directory that a line includes, with the path as written.
#[derive(Clone, Debug, PartialEq, Eq)]
enum IncludedFile {
    /// Another requirements file, or constraints.
    List(String),
    /// A package in a file, for example a wheel.
    Package(String),
    /// A directory: an editable package, or a place to find packages in.
    Directory(String),
}

/// The local files that a list includes, with the span of each path.
fn included(text: &str) -> Vec<(Range<usize>, IncludedFile)> {
    let mut found = Vec::new();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let comment = line
            .find(" #")
            .or_else(|| line.find("\t#"))
            .unwrap_or(line.len());
        let content = line[..comment].trim_end_matches(['\n', '\r', '\\', ' ', '\t']);
        let begin = start + (content.len() - content.trim_start().len());
        found.extend(
            included_in(content.trim_start())
                .map(|(span, file)| (begin + span.start..begin + span.end, file)),
        );
        start += line.len();
    }
    found
}

/// The constructor that an option selects for the path after it.
type IncludeKind = fn(String) -> IncludedFile;

fn included_in(line: &str) -> Option<(Range<usize>, IncludedFile)> {
    const OPTIONS: [(&str, IncludeKind); 8] = [
        ("--requirement", IncludedFile::List),
        ("-r", IncludedFile::List),
        ("--constraint", IncludedFile::List),
        ("-c", IncludedFile::List),
        ("--editable", IncludedFile::Directory),
        ("-e", IncludedFile::Directory),
        ("--find-links", IncludedFile::Directory),
        ("-f", IncludedFile::Directory),
    ];
    if line.starts_with('#') {
        return None;
    }
    let option = OPTIONS.iter().find_map(|(option, kind)| {
        let rest = line.strip_prefix(option)?;
        // `-rfile` is valid without a space; `--requirements` is a different option.
        (!option.starts_with("--") || rest.starts_with([' ', '\t', '=']))
            .then_some((option.len(), *kind))
    });
    let (before, kind) = match option {
        Some(option) => option,
        None if line.starts_with('-') => return None,
        None => (
            line.find(" @ ").map_or(0, |at| at + " @ ".len()),
            IncludedFile::Package as IncludeKind,
        ),
    };
    let rest = line[before..].trim_start_matches([' ', '\t', '=']);
    let begin = line.len() - rest.len();
    let word = rest.split([' ', '\t', ';']).next().unwrap_or_default();
    let scheme = ["file://", "file:"]
        .into_iter()
        .find(|scheme| word.starts_with(scheme))
        .map_or(0, str::len);
    let path = word[scheme..].split(['[', '#']).next().unwrap_or_default();
    let is_package = scheme > 0
        || path.starts_with(['.', '/'])
        || [".whl", ".tar.gz", ".tar.bz2", ".zip"]
            .iter()
            .any(|end| path.ends_with(end));
    let is_local = !path.is_empty() && !path.contains("://") && !path.contains("${");
    (is_local && (option.is_some() || is_package))
        .then(|| (begin..begin + scheme + path.len(), kind(path.to_owned())))
}

/// Rejects a `uv.lock` with packages from local paths, except the project itself.
fn check_uv_lock(path: &Path) -> Result<(), Box<RequirementError>> {
    let Ok(text) = std::fs::read_to_string(path) else {
        return Ok(());
    };
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let source = line.trim().strip_prefix("source = {").map(str::trim_start);
        for key in ["path", "directory", "editable", "virtual"] {
            let value = source
                .and_then(|source| source.strip_prefix(key))
                .map(|value| value.trim_start_matches([' ', '=']));
            if let Some(value) = value.filter(|value| !value.starts_with("\".\"")) {
                let value = value.split('"').nth(1).unwrap_or_default();
                let why = format!(
                    "`{value}` is a package on this disk, which is not available when packages are installed"
                );
                let help = "Depend on it by a version or an address; or install it in `commands`, from copied files.";
                let span = start..start + line.trim_end().len();
                return Err(Box::new(RequirementError {
                    file: path.to_owned(),
                    text,
                    span,
                    code: Code::InvalidValue,
                    why,
                    help,
                }));
            }
        }
        start += line.len();
    }
    Ok(())
}

#[cfg(test)]
mod tests;
