//! Lists of Python packages that name other files: further lists, constraints and packages on this disk.
//!
//! What they name goes along and is part of the key. What cannot go along is refused at its line, before an
//! engine would fail on it.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use union_build::diag::{Code, Diagnostic, Origin, SourceFile};
use union_build::spec;

use super::environment::is_remote;
use super::measured_files::MeasuredFiles;
use super::roots::{RealRoots, SourceRoots};
use crate::sys::error::{Error, Result};
use crate::sys::fs::{self, FileDigest};

/// A file that goes along.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RequirementFiles {
    /// Where it is.
    pub(super) path: PathBuf,
    /// What it is called beside the others.
    pub(super) name: String,
    /// What it says, when it is a list.
    pub(super) list: Option<RequirementList>,
}

/// What a list says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RequirementList {
    /// Its text, in which the others are named by where they will be.
    pub(super) text: String,
    /// Size and hash of the bytes of which that was made: whoever uses the text compares them with those of the key.
    pub(super) read: FileDigest,
}

/// A list and all that it names, itself first. `folder` is where they will be.
///
/// # Errors
/// When something cannot be read, or cannot go along.
pub(super) fn follow(list: &Path, folder: &str, roots: &SourceRoots) -> Result<Vec<RequirementFiles>> {
    follow_all(list, folder, roots).map_err(|refused| refused.into_error())
}

/// The files that a list names, and those that these name.
///
/// # Errors
/// Those of [`follow`]; `InputsMoved` when a list is not what was measured.
pub(super) fn named_by(list: &Path, roots: &SourceRoots, files: &MeasuredFiles) -> Result<Vec<PathBuf>> {
    if is_uv_lock(list) {
        return Ok(Vec::new());
    }
    let found = follow(list, "", roots)?;
    for (file, list) in found.iter().filter_map(|file| Some((file, file.list.as_ref()?))) {
        files.check(&file.path, list.read)?;
    }
    Ok(found.into_iter().skip(1).map(|file| file.path).collect())
}

fn is_uv_lock(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == "uv.lock")
}

/// The lines of the lists and lock files of specs that name what cannot go along.
pub fn problems<'a>(specs: impl IntoIterator<Item = &'a spec::Image>, roots: &SourceRoots) -> Vec<Diagnostic> {
    let files = specs.into_iter().flat_map(|spec| spec.python.requirements.iter().map(move |file| (spec, file)));
    let by_path: BTreeMap<(&Path, bool), &spec::Sourced<PathBuf>> =
        files.map(|(spec, file)| ((&*file.value, is_remote(spec)), file)).collect();
    let problem = |((path, remote), file): ((&Path, bool), &spec::Sourced<PathBuf>)| {
        let refused = match is_uv_lock(path) {
            true => lock(path).err(),
            false => follow_all(path, "", roots).map(|found| if remote { alone(path, &found) } else { None }).unwrap_or_else(Some),
        };
        Some(refused?.into_diagnostic(&file.origin))
    };
    by_path.into_iter().filter_map(problem).collect()
}

/// The backend's builder is sent one file.
fn alone(path: &Path, found: &[RequirementFiles]) -> Option<Box<RequirementError>> {
    let text = std::fs::read_to_string(path).ok().filter(|_| found.len() > 1)?;
    let (span, _) = named(&text).into_iter().next()?;
    let why = "the remote builder takes a list of packages alone, without what it names".to_owned();
    let help = "Write what it names into it, or use `builder = \"docker\"`.";
    Some(Box::new(RequirementError { file: path.to_owned(), text, span, code: Code::UnsupportedByBuilder, why, help }))
}

/// A line that names what cannot go along.
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
        Error::new(self.code, format!("could not take along what {place} names")).because(self.why).help(self.help)
    }

    fn into_diagnostic(self, named: &Origin) -> Diagnostic {
        let place = Origin::File(SourceFile::new(self.file, self.text), self.span);
        Diagnostic::error(self.code, self.why, &place, "").also(named, "the file is named here").help(self.help)
    }
}

fn follow_all(list: &Path, folder: &str, roots: &SourceRoots) -> Result<Vec<RequirementFiles>, Box<RequirementError>> {
    let mut following = RequirementWalk { top: list, folder, roots: &roots.real(), shown: roots.shown(), found: Vec::new() };
    following.list(list)?;
    Ok(following.found)
}

struct RequirementWalk<'a> {
    /// The list that was named in the manifest: installers look for packages from its directory.
    top: &'a Path,
    folder: &'a str,
    roots: &'a RealRoots,
    shown: String,
    found: Vec<RequirementFiles>,
}

impl RequirementWalk<'_> {
    fn list(&mut self, path: &Path) -> Result<String, Box<RequirementError>> {
        if let Some(known) = self.found.iter().find(|found| found.path == path && found.list.is_some()) {
            return Ok(known.name.clone());
        }
        let refused = |code, why: String| {
            let help = "Correct the path; it is relative to the file that names it.";
            Box::new(RequirementError { file: path.to_owned(), text: String::new(), span: 0..0, code, why, help })
        };
        let text = std::fs::read_to_string(path)
            .map_err(|cause| refused(Code::FileUnreadable, format!("`{}` cannot be read: {cause}", path.display())))?;
        let name = match self.found.iter().filter(|found| found.list.is_some()).count() {
            0 => "requirements.txt".to_owned(),
            before => format!("requirements-{before}.txt"),
        };
        let position = self.found.len();
        let read = FileDigest { size: text.len() as u64, hash: Sha256::digest(&text).into() };
        let list = RequirementList { text: String::new(), read };
        self.found.push(RequirementFiles { path: path.to_owned(), name: name.clone(), list: Some(list) });
        let mut rewritten = text.clone();
        // From the last to the first, so that places stay what they are.
        for (span, named) in named(&text).into_iter().rev() {
            let error = |code, why: String, help| {
                let (file, text) = (path.to_owned(), text.clone());
                Box::new(RequirementError { file, text, span: span.clone(), code, why, help })
            };
            let place = self.named(path, &named, &error)?;
            rewritten.replace_range(span.clone(), &place);
        }
        self.found[position].list = Some(RequirementList { text: rewritten, read });
        Ok(name)
    }

    fn named(
        &mut self,
        list: &Path,
        named: &IncludedFile,
        error: &dyn Fn(Code, String, &'static str) -> Box<RequirementError>,
    ) -> Result<String, Box<RequirementError>> {
        const RELATIVE: &str = "Correct the path; lists are relative to the file that names them, packages to the first list.";
        const BUILT: &str = "Build a wheel of it, and name that; or install it in `commands`, from what `copy` brings.";
        let from = match named {
            IncludedFile::List(_) => list,
            _ => self.top,
        };
        let (IncludedFile::List(typed) | IncludedFile::Package(typed) | IncludedFile::Directory(typed)) = named;
        let path = fs::absolute(from.parent().unwrap_or(Path::new("/")), Path::new(typed));
        if let IncludedFile::Directory(_) = named {
            return Err(error(
                Code::InvalidValue,
                format!("`{typed}` is a directory on this disk, which is not there when packages are installed"),
                BUILT,
            ));
        }
        let real =
            path.canonicalize().map_err(|cause| error(Code::FileUnreadable, format!("`{typed}` cannot be read: {cause}"), RELATIVE))?;
        if !self.roots.contain(&real) {
            let help = "Move it into the workspace.";
            return Err(error(Code::CopyOutside, format!("`{typed}` is outside of the workspace; {}", self.shown), help));
        }
        if real.is_dir() {
            return Err(error(
                Code::InvalidValue,
                format!("`{typed}` is a directory on this disk, which is not there when packages are installed"),
                BUILT,
            ));
        }
        if let IncludedFile::List(_) = named {
            let name = self.list(&path)?;
            return Ok(format!("{}/{name}", self.folder));
        }
        let file = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let known = self.found.iter().find(|found| found.path == path).map(|found| found.name.clone());
        let name = known.unwrap_or_else(|| {
            // The name of a wheel says what it is; two may have the same.
            let name = format!("packages-{}/{file}", self.found.len());
            self.found.push(RequirementFiles { path: path.clone(), name: name.clone(), list: None });
            name
        });
        Ok(format!("{}/{name}", self.folder))
    }
}

/// What a line names on this disk.
#[derive(Clone, Debug, PartialEq, Eq)]
enum IncludedFile {
    /// Another list, or constraints.
    List(String),
    /// A package in a file.
    Package(String),
    /// What is no file: an editable package, or a directory to look for packages in.
    Directory(String),
}

/// What the lines of a list name on this disk, with the place of each path.
fn named(text: &str) -> Vec<(Range<usize>, IncludedFile)> {
    let mut found = Vec::new();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let comment = line.find(" #").or_else(|| line.find("\t#")).unwrap_or(line.len());
        let content = line[..comment].trim_end_matches(['\n', '\r', '\\', ' ', '\t']);
        let begin = start + (content.len() - content.trim_start().len());
        found.extend(named_in(content.trim_start()).map(|(span, named)| (begin + span.start..begin + span.end, named)));
        start += line.len();
    }
    found
}

/// What a path becomes by the option before it.
type IncludeKind = fn(String) -> IncludedFile;

fn named_in(line: &str) -> Option<(Range<usize>, IncludedFile)> {
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
        // `-rfile` is one word as well; `--requirements` is another option.
        (!option.starts_with("--") || rest.starts_with([' ', '\t', '='])).then_some((option.len(), *kind))
    });
    let (before, kind) = match option {
        Some(found) => found,
        None if line.starts_with('-') => return None,
        None => (line.find(" @ ").map_or(0, |at| at + " @ ".len()), IncludedFile::Package as IncludeKind),
    };
    let rest = line[before..].trim_start_matches([' ', '\t', '=']);
    let begin = line.len() - rest.len();
    let word = rest.split([' ', '\t', ';']).next().unwrap_or_default();
    let scheme = ["file://", "file:"].into_iter().find(|scheme| word.starts_with(scheme)).map_or(0, str::len);
    let path = word[scheme..].split(['[', '#']).next().unwrap_or_default();
    let is_package =
        scheme > 0 || path.starts_with(['.', '/']) || [".whl", ".tar.gz", ".tar.bz2", ".zip"].iter().any(|end| path.ends_with(end));
    let is_here = !path.is_empty() && !path.contains("://") && !path.contains("${");
    (is_here && (option.is_some() || is_package)).then(|| (begin..begin + scheme + path.len(), kind(path.to_owned())))
}

/// Refuses a lock file of uv's that takes packages from this disk, save the project itself.
fn lock(path: &Path) -> Result<(), Box<RequirementError>> {
    let Ok(text) = std::fs::read_to_string(path) else { return Ok(()) };
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let source = line.trim().strip_prefix("source = {").map(str::trim_start);
        for key in ["path", "directory", "editable", "virtual"] {
            let value = source.and_then(|source| source.strip_prefix(key)).map(|value| value.trim_start_matches([' ', '=']));
            if let Some(value) = value.filter(|value| !value.starts_with("\".\"")) {
                let value = value.split('"').nth(1).unwrap_or_default();
                let why = format!("`{value}` is a package on this disk, which is not there when packages are installed");
                let help = "Depend on it by a version or an address; or install it in `commands`, from what `copy` brings.";
                let span = start..start + line.trim_end().len();
                return Err(Box::new(RequirementError { file: path.to_owned(), text, span, code: Code::InvalidValue, why, help }));
            }
        }
        start += line.len();
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(text: &str) -> Vec<(String, IncludedFile)> {
        named(text).into_iter().map(|(span, named)| (text[span].to_owned(), named)).collect()
    }

    #[test]
    fn what_lines_name_on_this_disk_is_found() {
        let list = |path: &str| IncludedFile::List(path.to_owned());
        let package = |path: &str| IncludedFile::Package(path.to_owned());
        let directory = |path: &str| IncludedFile::Directory(path.to_owned());
        for (line, place, meant) in [
            ("-r base.txt", "base.txt", list("base.txt")),
            ("-rbase.txt # why", "base.txt", list("base.txt")),
            ("  --requirement=sub/base.txt", "sub/base.txt", list("sub/base.txt")),
            ("-c constraints.txt \\", "constraints.txt", list("constraints.txt")),
            ("./wheels/x-1.whl --hash=sha256:00", "./wheels/x-1.whl", package("./wheels/x-1.whl")),
            ("wheels/x-1.whl[extra]", "wheels/x-1.whl", package("wheels/x-1.whl")),
            ("x @ file:./x.whl ; python_version > '3'", "file:./x.whl", package("./x.whl")),
            ("-e .", ".", directory(".")),
            ("--find-links ./wheels", "./wheels", directory("./wheels")),
        ] {
            assert_eq!(of(&format!("numpy\n{line}\n")), [(place.to_owned(), meant)], "{line}");
        }
        for line in [
            "numpy>=2",
            "# -r x",
            "--index-url https://a/b",
            "-r https://a/b.txt",
            "x @ https://a/x.whl",
            "",
            "-r ${X}/a.txt",
            "--requirements x",
        ] {
            assert_eq!(of(line), [], "{line}");
        }
    }

    fn tree(files: &[(&str, &str)]) -> (tempfile::TempDir, SourceRoots) {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::replace(&folder.path().join(name), text.as_bytes()).unwrap();
        }
        let roots = SourceRoots { workspace: folder.path().to_owned(), ..SourceRoots::default() };
        (folder, roots)
    }

    #[test]
    fn what_is_named_goes_along_and_is_named_by_where_it_will_be() {
        let (folder, roots) = tree(&[
            ("py/requirements.txt", "-r sub/base.txt\n-c ../constraints.txt\nnumpy\n"),
            ("py/sub/base.txt", "-r ../requirements.txt\n./wheels/x.whl\n"),
            ("py/wheels/x.whl", "wheel"),
            ("constraints.txt", "numpy<3\n"),
        ]);
        let followed = follow(&folder.path().join("py/requirements.txt"), "/in", &roots).unwrap();
        let shown: Vec<(&str, Option<&str>)> =
            followed.iter().map(|file| (file.name.as_str(), file.list.as_ref().map(|list| list.text.as_str()))).collect();
        assert_eq!(
            shown,
            [
                ("requirements.txt", Some("-r /in/requirements-2.txt\n-c /in/requirements-1.txt\nnumpy\n")),
                ("requirements-1.txt", Some("numpy<3\n")),
                ("requirements-2.txt", Some("-r /in/requirements.txt\n/in/packages-3/x.whl\n")),
                ("packages-3/x.whl", None),
            ]
        );
    }

    #[test]
    fn what_cannot_go_along_is_refused_at_its_line() {
        for (line, code, why) in [
            ("-e ./lib", Code::InvalidValue, "`./lib` is a directory"),
            ("./lib", Code::InvalidValue, "`./lib` is a directory"),
            ("-r absent.txt", Code::FileUnreadable, "`absent.txt` cannot be read"),
            ("-r /etc/hosts", Code::CopyOutside, "outside of the workspace"),
        ] {
            let (folder, roots) = tree(&[("requirements.txt", &format!("numpy\n{line}\n")), ("lib/setup.py", "")]);
            let error = follow(&folder.path().join("requirements.txt"), "/in", &roots).unwrap_err();
            assert_eq!(error.code(), code, "{line}");
            let said = error.chain().join(": ");
            assert!(said.contains("requirements.txt:2:") && said.contains(why), "{said}");
        }
    }

    #[test]
    fn a_lock_file_of_uv_may_name_its_own_project_only() {
        let own = "[[package]]\nname = \"a\"\nsource = { virtual = \".\" }\n";
        let (folder, _) = tree(&[("uv.lock", own)]);
        assert!(lock(&folder.path().join("uv.lock")).is_ok());
        for source in ["path = \"wheels/x.whl\"", "directory = \"../lib\"", "editable = \"lib\""] {
            let (folder, _) = tree(&[("uv.lock", &format!("{own}\n[[package]]\nname = \"b\"\nsource = {{ {source} }}\n"))]);
            let refused = lock(&folder.path().join("uv.lock")).err().unwrap().into_error();
            assert!(refused.to_string().contains("uv.lock:7:1"), "{refused}");
        }
    }

    proptest! {
        #[test]
        fn no_list_stops_the_program(text in "(-r|-c|-e|--find-links=|file:|file://|\\./|@ | #|\\\\|\n|;|\\[|[ a-zé./$\\{]){0,20}") {
            for (span, _) in named(&text) {
                prop_assert!(text.get(span).is_some());
            }
        }
    }
}
