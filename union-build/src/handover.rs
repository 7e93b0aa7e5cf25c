//! The hand-over file: the references that `cargo union` resolved, for the next compile of the crate.
//!
//! `cargo union` writes it, `build.rs` reads it. Both find it through [`path`], below the target directory
//! that `cargo metadata` reports in the package's directory: `--target-dir` of a single build does not
//! change it. An empty or absent file means that nothing is resolved yet.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Map, Value, json};

/// Version of the file's format.
const FORMAT: u64 = 1;

/// The path of a package's hand-over file, below the target directory. It contains the package's name and
/// a hash of its manifest's directory, because two packages of the same name may share a target directory.
pub fn path(target_directory: &Path, package: &str, directory: &Path) -> PathBuf {
    let directory = directory
        .canonicalize()
        .unwrap_or_else(|_| directory.to_owned());
    let hash = fnv1a(directory.as_os_str().as_encoded_bytes());
    target_directory
        .join("union")
        .join("references")
        .join(format!("{package}-{:016x}.json", hash >> 64))
}

/// The resolved references of a package.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct References {
    /// The package's name.
    pub package: String,
    /// The package's images; each key occurs once.
    pub images: Vec<Reference>,
    /// Image key by task name.
    pub tasks: BTreeMap<String, String>,
}

/// The resolved reference of an image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reference {
    /// Name of the `images.NAME` table.
    pub key: String,
    /// Name of the repository below the registry.
    pub name: String,
    /// `registry/name`; `None` without a registry.
    pub repository: Option<String>,
    /// Tag; `None` while the image is not resolved.
    pub tag: Option<String>,
    /// The full content key, which containers of the image have as `UNION_IMAGE_ID`.
    pub id: Option<String>,
}

impl References {
    /// Serializes the file; deterministic.
    pub fn to_json(&self) -> String {
        let images: Vec<Value> = self.images.iter().map(Reference::to_value).collect();
        let file = json!({ "format": FORMAT, "package": self.package, "images": images, "tasks": self.tasks });
        format!("{file:#}\n")
    }

    /// Parses the file's text; `None` when it is blank.
    ///
    /// # Errors
    /// When the text is not JSON, has another format version, or lacks a field.
    pub fn from_json(text: &str) -> Result<Option<Self>, InvalidReferences> {
        if text.trim().is_empty() {
            return Ok(None);
        }
        let file: Value =
            serde_json::from_str(text).map_err(|error| InvalidReferences(error.to_string()))?;
        let format = file
            .get("format")
            .and_then(Value::as_u64)
            .ok_or_else(|| invalid("`format` is missing"))?;
        if format != FORMAT {
            return Err(invalid(&format!(
                "its format is {format}, and this version of union-build reads {FORMAT}"
            )));
        }
        let images = file
            .get("images")
            .and_then(Value::as_array)
            .ok_or_else(|| invalid("`images` is not a list"))?;
        let tasks = file
            .get("tasks")
            .and_then(Value::as_object)
            .ok_or_else(|| invalid("`tasks` is not a table"))?;
        Ok(Some(Self {
            package: text_of(&file, "package")?,
            images: images
                .iter()
                .map(Reference::from_value)
                .collect::<Result<_, _>>()?,
            tasks: tasks
                .keys()
                .map(|task| Ok((task.clone(), text_of(&file["tasks"], task)?)))
                .collect::<Result<_, _>>()?,
        }))
    }
}

impl Reference {
    fn to_value(&self) -> Value {
        json!({ "key": self.key, "name": self.name, "repository": self.repository, "tag": self.tag, "id": self.id })
    }

    fn from_value(value: &Value) -> Result<Self, InvalidReferences> {
        let optional = |key: &str| match value.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(_) => text_of(value, key).map(Some),
        };
        Ok(Self {
            key: text_of(value, "key")?,
            name: text_of(value, "name")?,
            repository: optional("repository")?,
            tag: optional("tag")?,
            id: optional("id")?,
        })
    }
}

/// The text is not a hand-over file; displays the reason.
#[derive(Debug, PartialEq, Eq)]
pub struct InvalidReferences(String);

impl fmt::Display for InvalidReferences {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for InvalidReferences {}

/// The name of an image's constant in the generated file: upper case, `_` for `-`.
pub fn constant(image: &str) -> String {
    image.to_uppercase().replace('-', "_")
}

/// Runs `cargo metadata --no-deps --offline` in the directory of the manifest.
///
/// # Errors
/// cargo's standard error when it fails, or why it could not be started or its output could not be parsed.
pub fn metadata(cargo: &OsStr, manifest: &Path) -> Result<Value, String> {
    let mut command = Command::new(cargo);
    command
        .args([
            "metadata",
            "--no-deps",
            "--offline",
            "--format-version",
            "1",
            "--manifest-path",
        ])
        .arg(manifest);
    if let Some(directory) = manifest.parent() {
        command.current_dir(directory);
    }
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("`{}` could not be run: {error}", cargo.to_string_lossy()))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).trim().to_owned());
    }
    serde_json::from_slice(&output.stdout)
        .map_err(|error| format!("cargo wrote a document that is not JSON: {error}"))
}

/// The members of the object at a JSON pointer; empty when there is no object.
pub(crate) fn object_members<'a>(
    value: &'a Value,
    path: &str,
) -> impl Iterator<Item = (&'a String, &'a Value)> {
    value
        .pointer(path)
        .and_then(Value::as_object)
        .into_iter()
        .flat_map(Map::iter)
}

fn text_of(value: &Value, key: &str) -> Result<String, InvalidReferences> {
    let text = value
        .get(key)
        .and_then(Value::as_str)
        .ok_or_else(|| invalid(&format!("`{key}` is not a string")))?;
    Ok(text.to_owned())
}

fn invalid(why: &str) -> InvalidReferences {
    InvalidReferences(why.to_owned())
}

/// 128-bit FNV-1a: sufficient for a file name, and the standard library has no stable hash.
fn fnv1a(bytes: &[u8]) -> u128 {
    const OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    bytes.iter().fold(OFFSET, |hash, byte| {
        (hash ^ u128::from(*byte)).wrapping_mul(PRIME)
    })
}

#[cfg(test)]
mod tests;
