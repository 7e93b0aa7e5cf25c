//! Credential helpers for all registries: `credential-helpers` of registries.conf.
//!
//! Implements the files, their order and the semantics of the list of containers-registries.conf(5) and
//! containers-registries.conf.d(5), like podman and skopeo. Other keys of these files are ignored.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::files::read_text;
use crate::http::error::clean;

/// The name in the list that represents the credential files.
const AUTH_FILES: &str = "containers-auth.json";

/// The locations of registries.conf; none by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RegistriesConf {
    /// `CONTAINERS_REGISTRIES_CONF`: a file that replaces those of the user and the machine.
    pub named: Option<PathBuf>,
    /// The configuration directory of the user, `~/.config/containers`.
    pub user: Option<PathBuf>,
    /// The configuration directory of the machine, `/etc/containers`.
    pub machine: Option<PathBuf>,
}

/// An entry of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ListedHelper {
    /// The credential files.
    AuthFiles,
    /// The helper `docker-credential-<program>`, for all registries.
    Program {
        program: String,
        /// The file that lists it.
        listed_in: PathBuf,
    },
}

impl RegistriesConf {
    /// The list, and the problems of unreadable files. It has the credential files exactly once: at its end if they are
    /// not listed, because Docker reads its own file regardless of the list.
    pub(super) fn credential_helpers(&self) -> (Vec<ListedHelper>, Vec<String>) {
        let mut problems = Vec::new();
        let mut list = (Vec::new(), PathBuf::new());
        for path in self.files(&mut problems) {
            match read(&path, self.named.as_ref() == Some(&path)) {
                Ok(None) => {}
                // The last list replaces earlier ones, even if it is empty.
                Ok(Some(helpers)) => list = (helpers, path),
                Err(problem) => problems.push(problem),
            }
        }
        let (helpers, path) = list;
        let mut entries: Vec<ListedHelper> = Vec::new();
        for program in helpers.into_iter().chain([AUTH_FILES.to_owned()]) {
            let entry = match &*program {
                AUTH_FILES => ListedHelper::AuthFiles,
                _ => ListedHelper::Program {
                    program,
                    listed_in: path.clone(),
                },
            };
            if !entries.contains(&entry) {
                entries.push(entry);
            }
        }
        (entries, problems)
    }

    /// The files in the order in which they are read. The user's file replaces the file and the registries.conf.d of the
    /// machine; a named file replaces both files, but neither directory.
    fn files(&self, problems: &mut Vec<String>) -> Vec<PathBuf> {
        let main = |directory: &PathBuf| directory.join("registries.conf");
        let users = self.user.as_ref().map(main).filter(|path| path.exists());
        let directories = match (&self.named, &users) {
            (None, Some(_)) => [None, self.user.as_ref()],
            _ => [self.machine.as_ref(), self.user.as_ref()],
        };
        let mut files: Vec<PathBuf> = self
            .named
            .clone()
            .or(users)
            .or_else(|| self.machine.as_ref().map(main))
            .into_iter()
            .collect();
        for directory in directories
            .into_iter()
            .flatten()
            .map(|directory| directory.join("registries.conf.d"))
        {
            match drop_ins(&directory) {
                Ok(paths) => files.extend(paths),
                Err(cause) => problems.push(unreadable(&directory, &cause)),
            }
        }
        files
    }
}

/// The files of a registries.conf.d, sorted by name.
fn drop_ins(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(directory) {
        Err(cause) if matches!(cause.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        entries => entries?,
    };
    let paths: io::Result<Vec<PathBuf>> = entries.map(|entry| Ok(entry?.path())).collect();
    let is_drop_in =
        |path: &PathBuf| path.as_os_str().as_encoded_bytes().ends_with(b".conf") && !path.is_dir();
    let mut paths: Vec<PathBuf> = paths?.into_iter().filter(is_drop_in).collect();
    paths.sort();
    Ok(paths)
}

/// The list of a file; `None` if it has none, or if the file does not exist and is not required.
fn read(path: &Path, is_required: bool) -> Result<Option<Vec<String>>, String> {
    let text = match read_text(path) {
        Ok(Some(text)) => text,
        Ok(None) if is_required => return Err(unreadable(path, &ErrorKind::NotFound.into())),
        Ok(None) => return Ok(None),
        Err(cause) => return Err(unreadable(path, &cause)),
    };
    let invalid = |why: String| format!("`{}` is not a registries.conf: {why}", path.display());
    let document: Table = text
        .parse()
        .map_err(|cause: toml::de::Error| invalid(clean(cause.message())))?;
    let not_a_list = || invalid("`credential-helpers` is not a list of names".to_owned());
    match document
        .iter()
        .find(|(key, _)| key.eq_ignore_ascii_case("credential-helpers"))
    {
        None => Ok(None),
        Some((_, Value::Array(helpers))) => {
            let names: Option<Vec<String>> = helpers
                .iter()
                .map(|name| name.as_str().map(str::to_owned))
                .collect();
            names.map(Some).ok_or_else(not_a_list)
        }
        Some(_) => Err(not_a_list()),
    }
}

fn unreadable(path: &Path, cause: &io::Error) -> String {
    format!("could not read `{}`: {cause}", path.display())
}

#[cfg(test)]
mod tests;
