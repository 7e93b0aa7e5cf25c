//! The build context: a tar file with the Dockerfile and everything that it copies.

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

/// The path of a generated Dockerfile in its context.
pub(super) const DOCKERFILE: &str = "Dockerfile";

/// The files of the context of a generated Dockerfile.
pub(super) struct ContextFiles<'a> {
    /// The text of the Dockerfile.
    pub(super) text: &'a str,
    pub(super) files: &'a MeasuredFiles,
    pub(super) roots: &'a SourceRoots,
}

/// Writes the context of a generated Dockerfile.
pub(super) fn for_steps(
    cache: &Cache,
    context: &DockerfileContext<'_>,
    files: &ContextFiles<'_>,
    epoch: u64,
) -> Result<AtomicFile> {
    let ContextFiles { text, files, roots } = *files;
    let mut archive = new_archive(cache, epoch)?;
    archive.bytes(DOCKERFILE, text.as_bytes(), 0o644)?;
    archive.bytes(
        APT_CONF,
        dockerfile::apt_conf(context.authority).as_bytes(),
        0o644,
    )?;
    let mut copies = 0;
    let mut lock_files = 0;
    for step in context.steps {
        for (file, project) in python::files(step.spec, lock_files) {
            if project.is_none() {
                add_requirements(&mut archive, &file, files, roots)?;
                continue;
            }
            archive.file(
                &file.path_in_context,
                file.from,
                files.measure(file.from)?,
                0o644,
            )?;
            if let Some(project) = project {
                let path = file.path_in_context.replace("uv.lock", "pyproject.toml");
                archive.file(&path, &project, files.measure(&project)?, 0o644)?;
            }
        }
        lock_files += step.spec.python.requirements.len();
        for copy in &step.copies {
            archive.copied(&format!("copy/{copies}"), &copy.items)?;
            copies += 1;
        }
    }
    finish(archive)
}

/// Adds a requirements file and the files that it includes.
fn add_requirements(
    archive: &mut Archive<AtomicFile>,
    list: &LockFile<'_>,
    files: &MeasuredFiles,
    roots: &SourceRoots,
) -> Result<()> {
    let directory = list
        .path_in_context
        .rsplit_once('/')
        .map_or("", |(directory, _)| directory);
    for file in requirements::follow(list.from, &list.mount_point, roots)? {
        let path = format!("{directory}/{}", file.name);
        match file.list {
            Some(list) => {
                files.check(&file.path, list.read)?;
                archive.bytes(&path, list.text.as_bytes(), 0o644)?;
            }
            None => archive.file(&path, &file.path, files.measure(&file.path)?, 0o644)?,
        }
    }
    Ok(())
}

/// A user's Dockerfile and the items of its context.
pub(super) struct UserContext<'a> {
    pub(super) dockerfile: &'a Path,
    pub(super) directory: &'a Path,
    pub(super) items: &'a [Item],
    pub(super) files: &'a MeasuredFiles,
}

/// Writes the context of a user's Dockerfile, and returns the location of the Dockerfile in it. A Dockerfile that is
/// not a file of the context, because it is outside or ignored, is added where `COPY` of the user's context does not
/// copy it.
pub(super) fn for_dockerfile(
    cache: &Cache,
    user: &UserContext<'_>,
    has_buildkit: bool,
    epoch: u64,
) -> Result<(AtomicFile, DockerfileLocation)> {
    const CONTEXT: &str = ".union.context";
    let UserContext {
        dockerfile,
        directory,
        items,
        files,
    } = *user;
    let is_file_at =
        |name: &str, item: &Item| item.to == name && matches!(item.kind, ItemKind::File { .. });
    let in_context = name_in(dockerfile, directory)
        .filter(|name| items.iter().any(|item| is_file_at(name, item)));
    let location = match in_context {
        Some(name) => DockerfileLocation::InContext(name),
        None if has_buildkit => {
            let file = dockerfile
                .file_name()
                .and_then(|name| name.to_str())
                .unwrap_or(DOCKERFILE)
                .to_owned();
            DockerfileLocation::Beside {
                file,
                context: CONTEXT.to_owned(),
            }
        }
        None => {
            let mut name = ".union.Dockerfile".to_owned();
            while items.iter().any(|item| item.to == name) {
                name.push('_');
            }
            DockerfileLocation::Hidden(name)
        }
    };
    let mut archive = new_archive(cache, epoch)?;
    match &location {
        DockerfileLocation::InContext(_) => {}
        DockerfileLocation::Beside { file, .. } | DockerfileLocation::Hidden(file) => {
            archive.file(file, dockerfile, files.measure(dockerfile)?, 0o644)?;
        }
    }
    match &location {
        DockerfileLocation::Beside { context, .. } => archive.copied(context, items)?,
        _ => items
            .iter()
            .filter(|item| !item.to.is_empty())
            .try_for_each(|item| archive.item(&item.to, item))?,
    }
    Ok((finish(archive)?, location))
}

/// The items of the context of a user's Dockerfile, directories before their contents, as in `docker build`: without
/// what `.dockerignore` excludes, and with unresolved links.
///
/// # Errors
/// `CopyOutside`, `CopyThroughSymlink` when the directory or the Dockerfile is outside the workspace, and when something
/// in the directory cannot be read.
pub(in crate::build) fn dockerfile_items(
    dockerfile: &Path,
    directory: &Path,
    roots: &SourceRoots,
    measure: &Measure<'_>,
) -> Result<Vec<Item>> {
    let real_roots = roots.real();
    let real = directory
        .canonicalize()
        .map_err(|cause| fs::unreadable(directory, cause))?;
    if !real_roots.contain(&real) {
        let error = Error::new(
            Code::CopyOutside,
            format!(
                "the build context `{}` is outside of the workspace",
                directory.display()
            ),
        );
        return Err(error.help("A Dockerfile sees only files of the workspace: move them there, or set `builder-options.context`."));
    }
    let real_file = dockerfile
        .canonicalize()
        .map_err(|cause| fs::unreadable(dockerfile, cause))?;
    if !real_roots.contain(&real_file) {
        let code = if dockerfile.starts_with(&roots.workspace) {
            Code::CopyThroughSymlink
        } else {
            Code::CopyOutside
        };
        let why = format!(
            "it is `{}`, outside of the workspace: {}",
            real_file.display(),
            roots.shown()
        );
        let error = Error::new(
            code,
            format!("could not use the Dockerfile `{}`", dockerfile.display()),
        )
        .because(why);
        return Err(error.help("Move it into the workspace."));
    }
    let filter = WalkFilter {
        patterns: vec![(ignore_patterns(&real, dockerfile)?, String::new())],
        git: false,
    };
    let mut items = Vec::new();
    walk(
        &real,
        &real_roots,
        Purpose::Context,
        &filter,
        &mut |entry| {
            items.push(Item::of(entry, None, measure)?);
            Ok(())
        },
    )?;
    Ok(items)
}

/// The ignore patterns of a Dockerfile: `<Dockerfile>.dockerignore` beside it, else `.dockerignore` of the context.
fn ignore_patterns(context: &Path, dockerfile: &Path) -> Result<Patterns> {
    let mut own = dockerfile.as_os_str().to_owned();
    own.push(".dockerignore");
    for path in [Path::new(&own), &context.join(".dockerignore")] {
        if let Some(text) = fs::read_if_exists(path)? {
            return Patterns::of_file(&text, path);
        }
    }
    Ok(Patterns::default())
}

/// The path of a Dockerfile relative to its context.
fn name_in(dockerfile: &Path, directory: &Path) -> Option<String> {
    Some(
        dockerfile
            .strip_prefix(directory)
            .ok()?
            .to_str()?
            .to_owned(),
    )
}

fn new_archive(cache: &Cache, epoch: u64) -> Result<Archive<AtomicFile>> {
    let draft = cache.draft()?;
    let path = draft.path().to_owned();
    Ok(Archive::new(draft, path, epoch))
}

fn finish(archive: Archive<AtomicFile>) -> Result<AtomicFile> {
    let mut draft = archive.finish()?;
    draft
        .flush()
        .map_err(|cause| fs::unwritable(draft.path(), cause))?;
    Ok(draft)
}

#[cfg(test)]
mod tests;
