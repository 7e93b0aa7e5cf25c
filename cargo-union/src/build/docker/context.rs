//! The build context: one tar file with the Dockerfile and everything that it copies, and nothing of
//! the host but names, contents and whether something is executable.

use std::io::Write as _;
use std::path::Path;

use union_build::diag::Code;

use super::dockerfile::{self, APT_CONF, Ground};
use super::{ignore, python};
use crate::base::cache::Cache;
use crate::base::error::{Error, Result};
use crate::base::fs::{self, Draft};
use crate::build::archive::Archive;
use crate::build::measured::MeasuredFiles;
use crate::build::sources::{Item, Measure, folder_items};

/// The name of a Dockerfile of ours in its context.
pub(super) const DOCKERFILE: &str = "Dockerfile";

/// Writes the context of a Dockerfile of ours, which has this text.
pub(super) fn of_steps(cache: &Cache, ground: &Ground<'_>, text: &str, files: &MeasuredFiles, epoch: u64) -> Result<Draft> {
    let mut context = archive(cache, epoch)?;
    context.bytes(DOCKERFILE, text.as_bytes())?;
    context.bytes(APT_CONF, dockerfile::apt_conf(ground.authority).as_bytes())?;
    let (mut copied, mut lock_files) = (0, 0);
    for step in ground.steps {
        for (file, project) in python::files(step.spec, lock_files) {
            context.file(&file.place, file.from, files.measure(file.from)?, 0o644)?;
            if let Some(project) = project {
                context.file(&file.place.replace("uv.lock", "pyproject.toml"), &project, files.measure(&project)?, 0o644)?;
            }
        }
        lock_files += step.spec.python.requirements.len();
        for items in &step.copies {
            context.copied(&format!("copy/{copied}"), items)?;
            copied += 1;
        }
    }
    finish(context)
}

/// Writes the context of a user's Dockerfile: its folder, without what `.dockerignore` leaves out.
pub(super) fn of_dockerfile(cache: &Cache, items: &[Item], epoch: u64) -> Result<Draft> {
    let mut context = archive(cache, epoch)?;
    for item in items.iter().filter(|item| !item.to.is_empty()) {
        context.item(&item.to, item)?;
    }
    finish(context)
}

/// What is in the context of a user's Dockerfile, folders before what is in them.
///
/// # Errors
/// When the folder is outside of the workspace or something in it cannot be read.
pub(in crate::build) fn dockerfile_items(dockerfile: &Path, folder: &Path, workspace: &Path, measure: &Measure<'_>) -> Result<Vec<Item>> {
    let outside = |code, path: &Path| {
        let error = Error::new(code, format!("the build context `{}` leaves the workspace", path.display()));
        error.help("A Dockerfile sees only files of the workspace: move them there, or set `builder-options.context`.")
    };
    let root = workspace.canonicalize().map_err(|cause| fs::unreadable(workspace, cause))?;
    let real = folder.canonicalize().map_err(|cause| fs::unreadable(folder, cause))?;
    if !real.starts_with(&root) {
        return Err(outside(Code::CopyOutside, folder));
    }
    let name = name_in(dockerfile, folder).ok_or_else(|| {
        let error = Error::new(Code::PathInvalid, format!("`{}` is not in its build context `{}`", dockerfile.display(), folder.display()));
        error.help("Move the Dockerfile into its context, or set `builder-options.context` to a folder that it is in.")
    })?;
    let ignored = ignore::Ignored::read(&real, dockerfile)?;
    // Builders need the Dockerfile itself, whatever a rule says.
    folder_items(&real, &|path| path != name && ignored.has(path), measure).map_err(|error| match error.code() {
        Code::CopyThroughSymlink => outside(Code::CopyThroughSymlink, folder).because(error),
        _ => error,
    })
}

/// The path of a Dockerfile in its context.
pub(super) fn name_in(dockerfile: &Path, folder: &Path) -> Option<String> {
    Some(dockerfile.strip_prefix(folder).ok()?.to_str()?.to_owned())
}

fn archive(cache: &Cache, epoch: u64) -> Result<Archive<Draft>> {
    let draft = cache.draft()?;
    let path = draft.path().to_owned();
    Ok(Archive::new(draft, path, epoch))
}

fn finish(archive: Archive<Draft>) -> Result<Draft> {
    let mut draft = archive.finish()?;
    draft.flush().map_err(|cause| fs::unwritable(draft.path(), cause))?;
    Ok(draft)
}
