//! The files of a task's inputs.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use serde_json::json;
use union_build::spec::task::{Data, DataFormat, FileLayout};

use super::InputLiteral;
use crate::sys::error::Result;
use crate::sys::fs;

/// The maximum number of files: links to directories that contain links multiply the entries.
const MOST_ENTRIES: usize = if cfg!(test) { 500 } else { 1_000_000 };

/// A file or directory in a container, or on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputFile {
    /// Absolute path.
    pub path: String,
    /// Permission bits.
    pub mode: u32,
    /// Directory, or content of the file.
    pub what: InputFileKind,
}

/// The kind and content of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InputFileKind {
    /// A directory.
    Directory,
    /// A file with this content.
    Bytes(Vec<u8>),
    /// A copy of a local file.
    File(PathBuf),
}

impl InputFile {
    /// A file with this content that all users can read.
    pub fn readable(path: &str, content: Vec<u8>) -> Self {
        Self::file(path, InputFileKind::Bytes(content))
    }

    /// A directory that all users can write to, like the volumes that copilot shares with a program.
    pub fn shared_directory(path: &str) -> Self {
        Self {
            path: path.to_owned(),
            mode: 0o777,
            what: InputFileKind::Directory,
        }
    }

    fn directory(path: &str) -> Self {
        Self {
            path: path.to_owned(),
            mode: 0o755,
            what: InputFileKind::Directory,
        }
    }

    fn file(path: &str, what: InputFileKind) -> Self {
        Self {
            path: path.to_owned(),
            mode: 0o644,
            what,
        }
    }
}

/// The files of a task's inputs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputTree {
    /// The entries of the input directory, including itself. Directories precede their contents.
    pub entries: Vec<InputFile>,
    /// The paths of the inputs that are files or directories, also of those in lists and maps: by the names of the inputs and
    /// of the keys of maps, and by the positions in lists.
    pub paths: Vec<String>,
}

/// The entries of an input directory: a file for each input, and one that lists them all, except with
/// [`DataFormat::Proto`].
///
/// # Errors
/// U0004 (`FileUnreadable`) when a directory cannot be read or has too many files.
pub fn lay_out(
    inputs: &BTreeMap<String, InputLiteral>,
    data: &Data,
    directory: &str,
) -> Result<InputTree> {
    let directory = directory.trim_end_matches('/');
    let mut layout = InputLayout {
        layout: data.layout,
        entries: vec![InputFile::shared_directory(directory)],
        paths: Vec::new(),
    };
    let listed = layout.add_named(inputs, directory)?;
    let name = match data.format {
        DataFormat::Json => Some("inputs.json"),
        // JSON is valid YAML.
        DataFormat::Yaml => Some("inputs.yaml"),
        DataFormat::Proto => None,
    };
    layout.entries.extend(name.map(|name| {
        InputFile::file(
            &format!("{directory}/{name}"),
            InputFileKind::Bytes(listed.to_string().into_bytes()),
        )
    }));
    Ok(InputTree {
        entries: layout.entries,
        paths: layout.paths,
    })
}

struct InputLayout {
    layout: FileLayout,
    entries: Vec<InputFile>,
    paths: Vec<String>,
}

impl InputLayout {
    /// Adds values by name, each below `directory`. Returns their JSON in the list of inputs.
    fn add_named(
        &mut self,
        values: &BTreeMap<String, InputLiteral>,
        directory: &str,
    ) -> Result<serde_json::Value> {
        let mut listed = serde_json::Map::new();
        for (name, value) in values {
            let mut path = format!("{directory}/{name}");
            if let (FileLayout::NamedDir, InputLiteral::File(from)) = (self.layout, value) {
                self.entries.push(InputFile::directory(&path));
                path = format!("{path}/{}", base_name(from));
            }
            listed.insert(name.clone(), self.add_value(value, &path)?);
        }
        Ok(listed.into())
    }

    fn add_value(&mut self, value: &InputLiteral, path: &str) -> Result<serde_json::Value> {
        match value {
            InputLiteral::File(from) => {
                self.entries
                    .push(InputFile::file(path, InputFileKind::File(from.clone())));
                self.paths.push(path.to_owned());
                Ok(json!(path))
            }
            InputLiteral::Directory(from) => {
                self.add_directory(from, path)?;
                self.paths.push(path.to_owned());
                Ok(json!(path))
            }
            InputLiteral::List(values) => {
                self.entries.push(InputFile::directory(path));
                self.add_list(values, path)
            }
            InputLiteral::Map(values) => {
                self.entries.push(InputFile::directory(path));
                self.add_named(values, path)
            }
            plain => {
                let text = plain.text().unwrap_or_default();
                self.entries.push(InputFile::file(
                    path,
                    InputFileKind::Bytes(text.into_bytes()),
                ));
                Ok(plain.listed().unwrap_or_default())
            }
        }
    }

    /// Adds values by position; files keep their own names with [`FileLayout::NamedDir`].
    fn add_list(&mut self, values: &[InputLiteral], directory: &str) -> Result<serde_json::Value> {
        let mut taken = BTreeSet::new();
        let mut listed = Vec::new();
        for (position, value) in values.iter().enumerate() {
            let name = match (self.layout, value) {
                (FileLayout::NamedDir, InputLiteral::File(from)) => match base_name(from) {
                    name if taken.contains(&name) => format!("{position}_{name}"),
                    name => name,
                },
                _ => position.to_string(),
            };
            listed.push(self.add_value(value, &format!("{directory}/{name}"))?);
            taken.insert(name);
        }
        Ok(listed.into())
    }

    /// Adds a local directory recursively. Symbolic links are followed, as in an upload, except those to a directory
    /// that contains them.
    fn add_directory(&mut self, from: &Path, path: &str) -> Result<()> {
        self.add_contents(from, path, &mut Vec::new())
    }

    fn add_contents(&mut self, from: &Path, path: &str, above: &mut Vec<PathBuf>) -> Result<()> {
        let unreadable = |cause| fs::unreadable(from, cause);
        let real = from.canonicalize().map_err(unreadable)?;
        if above.contains(&real) {
            return Ok(());
        }
        above.push(real);
        if self.entries.len() > MOST_ENTRIES {
            let why = format!("with the links in it, it has more than {MOST_ENTRIES} files");
            return Err(fs::unreadable(from, io::Error::other(why)));
        }
        self.entries.push(InputFile::directory(path));
        let mut entries: Vec<PathBuf> = std::fs::read_dir(from)
            .map_err(unreadable)?
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<Result<_, _>>()
            .map_err(unreadable)?;
        entries.sort();
        for entry in entries {
            let place = format!("{path}/{}", base_name(&entry));
            match std::fs::metadata(&entry)
                .map_err(|cause| fs::unreadable(&entry, cause))?
                .is_dir()
            {
                true => self.add_contents(&entry, &place, above)?,
                false => self
                    .entries
                    .push(InputFile::file(&place, InputFileKind::File(entry))),
            }
        }
        above.pop();
        Ok(())
    }
}

fn base_name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

#[cfg(test)]
mod tests;
