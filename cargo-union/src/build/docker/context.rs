//! The build context: one tar file with the Dockerfile and everything that it copies, and nothing of
//! the host but names, contents and whether something is executable.

use std::io::{self, BufReader, Write as _};
use std::path::{Path, PathBuf};

use tar::{EntryType, Header};
use union_build::diag::Code;

use super::dockerfile::{self, APT_CONF, Ground};
use super::{ignore, python};
use crate::base::cache::Cache;
use crate::base::error::{Error, Result};
use crate::base::fs::{self, Draft, measure};
use crate::build::sources::{Item, ItemKind, folder_items};

/// The name of a Dockerfile of ours in its context.
pub(super) const DOCKERFILE: &str = "Dockerfile";

/// Writes the context of a Dockerfile of ours.
pub(super) fn of_steps(cache: &Cache, ground: &Ground<'_>, epoch: u64) -> Result<Draft> {
    let mut context = Context::new(cache, epoch)?;
    context.bytes(DOCKERFILE, dockerfile::text(ground).as_bytes())?;
    context.bytes(APT_CONF, dockerfile::apt_conf(ground.authority).as_bytes())?;
    let (mut copied, mut files) = (0, 0);
    for step in ground.steps {
        for (file, project) in python::files(step.spec, files) {
            context.file(&file.place, file.from)?;
            if let Some(project) = project {
                context.file(&file.place.replace("uv.lock", "pyproject.toml"), &project)?;
            }
        }
        files += step.spec.python.requirements.len();
        for items in &step.copies {
            let top = items.first().map_or("", |item| &item.to);
            for item in items {
                let below = item.to.strip_prefix(top).unwrap_or_default().trim_start_matches('/');
                let place = if below.is_empty() { format!("copy/{copied}") } else { format!("copy/{copied}/{below}") };
                context.item(&place, item)?;
            }
            copied += 1;
        }
    }
    context.finish()
}

/// Writes the context of a user's Dockerfile: its folder, without what `.dockerignore` leaves out.
pub(super) fn of_dockerfile(cache: &Cache, items: &[Item], epoch: u64) -> Result<Draft> {
    let mut context = Context::new(cache, epoch)?;
    for item in items.iter().filter(|item| !item.to.is_empty()) {
        context.item(&item.to, item)?;
    }
    context.finish()
}

/// What is in the context of a user's Dockerfile, folders before what is in them.
///
/// # Errors
/// When the folder is outside of the workspace or something in it cannot be read.
pub(in crate::build) fn dockerfile_items(dockerfile: &Path, folder: &Path, workspace: &Path) -> Result<Vec<Item>> {
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
    folder_items(&real, &|path| path != name && ignored.has(path)).map_err(|error| match error.code() {
        Code::CopyThroughSymlink => outside(Code::CopyThroughSymlink, folder).because(error),
        _ => error,
    })
}

/// The path of a Dockerfile in its context.
pub(super) fn name_in(dockerfile: &Path, folder: &Path) -> Option<String> {
    Some(dockerfile.strip_prefix(folder).ok()?.to_str()?.to_owned())
}

struct Context {
    tar: tar::Builder<Draft>,
    path: PathBuf,
    epoch: u64,
}

impl Context {
    fn new(cache: &Cache, epoch: u64) -> Result<Self> {
        let draft = cache.draft()?;
        let path = draft.path().to_owned();
        Ok(Self { tar: tar::Builder::new(draft), path, epoch })
    }

    fn item(&mut self, place: &str, item: &Item) -> Result<()> {
        match &item.what {
            ItemKind::Folder => self.entry(place, EntryType::Directory, 0o755, 0, io::empty()),
            ItemKind::File { from, mode, measured } => {
                let file = std::fs::File::open(from).map_err(|cause| fs::unreadable(from, cause))?;
                self.entry(place, EntryType::Regular, *mode, measured.size, BufReader::with_capacity(1 << 18, file))
            }
            ItemKind::Link(target) => {
                let mut header = self.header(EntryType::Symlink, 0o777, 0);
                self.tar.append_link(&mut header, place, target).map_err(|cause| fs::unwritable(&self.path, cause))
            }
        }
    }

    fn file(&mut self, place: &str, from: &Path) -> Result<()> {
        let size = measure(from)?.size;
        let file = std::fs::File::open(from).map_err(|cause| fs::unreadable(from, cause))?;
        self.entry(place, EntryType::Regular, 0o644, size, file)
    }

    fn bytes(&mut self, place: &str, bytes: &[u8]) -> Result<()> {
        self.entry(place, EntryType::Regular, 0o644, bytes.len() as u64, bytes)
    }

    fn entry(&mut self, place: &str, kind: EntryType, mode: u32, size: u64, content: impl io::Read) -> Result<()> {
        let mut header = self.header(kind, mode, size);
        // A file that grows meanwhile must not run into the next entry.
        let content = io::Read::take(content, size);
        self.tar.append_data(&mut header, place, content).map_err(|cause| fs::unwritable(&self.path, cause))
    }

    fn header(&self, kind: EntryType, mode: u32, size: u64) -> Header {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(self.epoch);
        header.set_size(size);
        header
    }

    fn finish(self) -> Result<Draft> {
        let path = self.path;
        let mut draft = self.tar.into_inner().map_err(|cause| fs::unwritable(&path, cause))?;
        draft.flush().map_err(|cause| fs::unwritable(&path, cause))?;
        Ok(draft)
    }
}
