//! The build context: one tar file with the Dockerfile and everything that it copies, and nothing of
//! the host but names, contents and whether something is executable.

use std::io::Write as _;
use std::path::Path;

use union_build::diag::Code;

use super::dockerfile::{self, APT_CONF, DockerfileContext};
use super::python::{self, LockFile};
use crate::build::archive::Archive;
use crate::build::measured_files::MeasuredFiles;
use crate::build::patterns::Patterns;
use crate::build::requirements;
use crate::build::roots::SourceRoots;
use crate::build::sources::{Item, Measure};
use crate::build::walk::{Purpose, WalkFilter, walk};
use crate::sys::cache::Cache;
use crate::sys::error::{Error, Result};
use crate::sys::fs::{self, AtomicFile};

/// The name of a Dockerfile of ours in its context.
pub(super) const DOCKERFILE: &str = "Dockerfile";

/// What the context of a Dockerfile of ours is made from.
pub(super) struct ContextFiles<'a> {
    /// The Dockerfile's text.
    pub(super) text: &'a str,
    pub(super) files: &'a MeasuredFiles,
    pub(super) roots: &'a SourceRoots,
}

/// Writes the context of a Dockerfile of ours.
pub(super) fn of_steps(cache: &Cache, ground: &DockerfileContext<'_>, contents: &ContextFiles<'_>, epoch: u64) -> Result<AtomicFile> {
    let ContextFiles { text, files, roots } = *contents;
    let mut context = archive(cache, epoch)?;
    context.bytes(DOCKERFILE, text.as_bytes(), 0o644)?;
    context.bytes(APT_CONF, dockerfile::apt_conf(ground.authority).as_bytes(), 0o644)?;
    let (mut copied, mut lock_files) = (0, 0);
    for step in ground.steps {
        for (file, project) in python::files(step.spec, lock_files) {
            if project.is_none() {
                python_list(&mut context, &file, files, roots)?;
                continue;
            }
            context.file(&file.place, file.from, files.measure(file.from)?, 0o644)?;
            if let Some(project) = project {
                context.file(&file.place.replace("uv.lock", "pyproject.toml"), &project, files.measure(&project)?, 0o644)?;
            }
        }
        lock_files += step.spec.python.requirements.len();
        for copy in &step.copies {
            context.copied(&format!("copy/{copied}"), &copy.items)?;
            copied += 1;
        }
    }
    finish(context)
}

/// Adds a list of Python packages, and what it names.
fn python_list(context: &mut Archive<AtomicFile>, list: &LockFile<'_>, files: &MeasuredFiles, roots: &SourceRoots) -> Result<()> {
    let place = list.place.rsplit_once('/').map_or("", |(place, _)| place);
    for file in requirements::follow(list.from, &list.folder, roots)? {
        let place = format!("{place}/{}", file.name);
        match file.text {
            Some(text) => {
                files.check(&file.path)?;
                context.bytes(&place, text.as_bytes(), 0o644)?;
            }
            None => context.file(&place, &file.path, files.measure(&file.path)?, 0o644)?,
        }
    }
    Ok(())
}

/// Writes the context of a user's Dockerfile.
pub(super) fn of_dockerfile(cache: &Cache, items: &[Item], epoch: u64) -> Result<AtomicFile> {
    let mut context = archive(cache, epoch)?;
    for item in items.iter().filter(|item| !item.to.is_empty()) {
        context.item(&item.to, item)?;
    }
    finish(context)
}

/// What is in the context of a user's Dockerfile, directories before what is in them, as `docker build` takes it:
/// without what `.dockerignore` leaves out, and with links as they stand.
///
/// # Errors
/// When the directory is outside of the workspace, or something in it cannot be read.
pub(in crate::build) fn dockerfile_items(
    dockerfile: &Path,
    folder: &Path,
    roots: &SourceRoots,
    measure: &Measure<'_>,
) -> Result<Vec<Item>> {
    let outside = |code, path: &Path| {
        let error = Error::new(code, format!("the build context `{}` leaves the workspace", path.display()));
        error.help("A Dockerfile sees only files of the workspace: move them there, or set `builder-options.context`.")
    };
    let real_roots = roots.real();
    let real = folder.canonicalize().map_err(|cause| fs::unreadable(folder, cause))?;
    if !real_roots.contain(&real) {
        return Err(outside(Code::CopyOutside, folder));
    }
    let name = name_in(dockerfile, folder).ok_or_else(|| {
        let error = Error::new(Code::PathInvalid, format!("`{}` is not in its build context `{}`", dockerfile.display(), folder.display()));
        error.help("Move the Dockerfile into its context, or set `builder-options.context` to a folder that it is in.")
    })?;
    // Builders need the Dockerfile itself, whatever a pattern says.
    let filter = WalkFilter { patterns: vec![(ignored(&real, dockerfile)?, String::new())], git: false, keep: Some(name) };
    let mut items = Vec::new();
    walk(&real, &real_roots, Purpose::Context, &filter, &mut |found| {
        items.push(Item::of(found, None, measure)?);
        Ok(())
    })?;
    Ok(items)
}

/// The patterns for a Dockerfile: a file of its own name beside it, else the context's.
fn ignored(context: &Path, dockerfile: &Path) -> Result<Patterns> {
    let mut own = dockerfile.as_os_str().to_owned();
    own.push(".dockerignore");
    for path in [Path::new(&own), &context.join(".dockerignore")] {
        if let Some(text) = fs::read_if_exists(path)? {
            return Patterns::of_file(&text, path);
        }
    }
    Ok(Patterns::default())
}

/// The path of a Dockerfile in its context.
pub(super) fn name_in(dockerfile: &Path, folder: &Path) -> Option<String> {
    Some(dockerfile.strip_prefix(folder).ok()?.to_str()?.to_owned())
}

fn archive(cache: &Cache, epoch: u64) -> Result<Archive<AtomicFile>> {
    let draft = cache.draft()?;
    let path = draft.path().to_owned();
    Ok(Archive::new(draft, path, epoch))
}

fn finish(archive: Archive<AtomicFile>) -> Result<AtomicFile> {
    let mut draft = archive.finish()?;
    draft.flush().map_err(|cause| fs::unwritable(draft.path(), cause))?;
    Ok(draft)
}
