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
use crate::build::sources::{Item, ItemKind, Measure};
use crate::build::walk::{Purpose, WalkFilter, walk};
use crate::engine::DockerfileLocation;
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
        match file.list {
            Some(list) => {
                files.check(&file.path, list.read)?;
                context.bytes(&place, list.text.as_bytes(), 0o644)?;
            }
            None => context.file(&place, &file.path, files.measure(&file.path)?, 0o644)?,
        }
    }
    Ok(())
}

/// A user's Dockerfile and what its context holds.
pub(super) struct UserContext<'a> {
    pub(super) dockerfile: &'a Path,
    pub(super) folder: &'a Path,
    pub(super) items: &'a [Item],
    pub(super) files: &'a MeasuredFiles,
}

/// Writes the context of a user's Dockerfile, and says where in it the Dockerfile is. One that is no file of the
/// context, since it is elsewhere or ignored, is added where no instruction sees it.
pub(super) fn of_dockerfile(
    cache: &Cache,
    user: &UserContext<'_>,
    has_buildkit: bool,
    epoch: u64,
) -> Result<(AtomicFile, DockerfileLocation)> {
    const CONTEXT: &str = ".union.context";
    let UserContext { dockerfile, folder, items, files } = *user;
    let is_at = |name: &str, item: &Item| item.to == name && matches!(item.what, ItemKind::File { .. });
    let in_context = name_in(dockerfile, folder).filter(|name| items.iter().any(|item| is_at(name, item)));
    let location = match in_context {
        Some(name) => DockerfileLocation::InContext(name),
        None if has_buildkit => {
            let file = dockerfile.file_name().and_then(|name| name.to_str()).unwrap_or(DOCKERFILE).to_owned();
            DockerfileLocation::Beside { file, context: CONTEXT.to_owned() }
        }
        None => {
            let mut name = ".union.Dockerfile".to_owned();
            while items.iter().any(|item| item.to == name) {
                name.push('_');
            }
            DockerfileLocation::Hidden(name)
        }
    };
    let mut context = archive(cache, epoch)?;
    match &location {
        DockerfileLocation::InContext(_) => {}
        DockerfileLocation::Beside { file, .. } | DockerfileLocation::Hidden(file) => {
            context.file(file, dockerfile, files.measure(dockerfile)?, 0o644)?;
        }
    }
    match &location {
        DockerfileLocation::Beside { context: place, .. } => context.copied(place, items)?,
        _ => items.iter().filter(|item| !item.to.is_empty()).try_for_each(|item| context.item(&item.to, item))?,
    }
    Ok((finish(context)?, location))
}

/// What is in the context of a user's Dockerfile, directories before what is in them, as `docker build` takes it:
/// without what `.dockerignore` leaves out, and with links as they stand.
///
/// # Errors
/// When the directory or the Dockerfile is outside of the workspace, or something in it cannot be read.
pub(in crate::build) fn dockerfile_items(
    dockerfile: &Path,
    folder: &Path,
    roots: &SourceRoots,
    measure: &Measure<'_>,
) -> Result<Vec<Item>> {
    let real_roots = roots.real();
    let real = folder.canonicalize().map_err(|cause| fs::unreadable(folder, cause))?;
    if !real_roots.contain(&real) {
        let error = Error::new(Code::CopyOutside, format!("the build context `{}` leaves the workspace", folder.display()));
        return Err(error.help("A Dockerfile sees only files of the workspace: move them there, or set `builder-options.context`."));
    }
    let real_file = dockerfile.canonicalize().map_err(|cause| fs::unreadable(dockerfile, cause))?;
    if !real_roots.contain(&real_file) {
        let code = if dockerfile.starts_with(&roots.workspace) { Code::CopyThroughSymlink } else { Code::CopyOutside };
        let why = format!("it is `{}`, out of the workspace: {}", real_file.display(), roots.shown());
        let error = Error::new(code, format!("could not use the Dockerfile `{}`", dockerfile.display())).because(why);
        return Err(error.help("Move it into the workspace."));
    }
    let filter = WalkFilter { patterns: vec![(ignored(&real, dockerfile)?, String::new())], git: false };
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
fn name_in(dockerfile: &Path, folder: &Path) -> Option<String> {
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[test]
    fn a_list_of_packages_goes_along_only_with_the_bytes_of_its_key() {
        let directory = tempfile::tempdir().unwrap();
        let (path, cache) = (directory.path().join("requirements.txt"), Cache::new(directory.path().join("cache")));
        std::fs::write(&path, "first\n").unwrap();
        let roots = SourceRoots { workspace: directory.path().to_owned(), ..SourceRoots::default() };
        let files = MeasuredFiles::new(&cache);
        files.measure(&path).unwrap();
        let stopped = AtomicBool::new(false);
        let pack = || {
            let mut context = archive(&cache, 0)?;
            let list = LockFile { from: &path, place: "python/0/requirements.txt".to_owned(), folder: "/python".to_owned() };
            python_list(&mut context, &list, &files, &roots)?;
            let draft = finish(context)?;
            let bytes = std::fs::read(draft.path()).unwrap();
            Ok::<bool, Error>(bytes.windows(6).any(|window| window == b"first\n"))
        };
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let next = directory.path().join("next");
                for text in ["other\n", "first\n"].into_iter().cycle().take_while(|_| !stopped.load(Ordering::Relaxed)) {
                    std::fs::write(&next, text).and_then(|()| std::fs::rename(&next, &path)).unwrap();
                }
            });
            let packed: Vec<Result<bool>> = (0..500).map(|_| pack()).collect();
            stopped.store(true, Ordering::Relaxed);
            for packed in packed {
                match packed {
                    Ok(is_first) => assert!(is_first, "other bytes were packed"),
                    Err(error) => assert_eq!(error.code(), Code::InputsMoved),
                }
            }
        });
    }
}
