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
#[allow(clippy::unwrap_used)]
mod tests {
    use union_build::diag::Origin;
    use union_build::spec::Sourced;

    use super::*;

    fn data(format: DataFormat, layout: FileLayout) -> Data {
        let placed = |value: &str| Sourced {
            value: value.to_owned(),
            origin: Origin::Default,
        };
        Data {
            input_path: placed("/in"),
            output_path: placed("/out"),
            format,
            layout,
        }
    }

    /// Path and content of each entry, as text.
    fn laid(inputs: &[(&str, InputLiteral)], data: &Data) -> Vec<String> {
        let inputs = inputs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect();
        let shown = |entry: InputFile| match entry.what {
            InputFileKind::Directory => format!("{}/", entry.path),
            InputFileKind::Bytes(bytes) => {
                format!("{} = {}", entry.path, String::from_utf8(bytes).unwrap())
            }
            InputFileKind::File(from) => {
                format!("{} < {}", entry.path, from.file_name().unwrap().display())
            }
        };
        lay_out(&inputs, data, "/in/")
            .unwrap()
            .entries
            .into_iter()
            .map(shown)
            .collect()
    }

    #[test]
    fn each_input_is_a_file_and_one_file_lists_them() {
        let list = InputLiteral::List(vec![InputLiteral::Integer(1), InputLiteral::Nothing]);
        let map = InputLiteral::Map([("a".to_owned(), InputLiteral::Text("b".to_owned()))].into());
        let inputs = [
            ("file", InputLiteral::File("/here/data.csv".into())),
            ("list", list),
            ("map", map),
            ("x", InputLiteral::Float(0.5)),
        ];
        assert_eq!(
            laid(&inputs, &data(DataFormat::Json, FileLayout::Direct)),
            [
                "/in/",
                "/in/file < data.csv",
                "/in/list/",
                "/in/list/0 = 1",
                "/in/list/1 = null",
                "/in/map/",
                "/in/map/a = b",
                "/in/x = 0.5",
                r#"/in/inputs.json = {"file":"/in/file","list":[1,null],"map":{"a":"b"},"x":0.5}"#,
            ]
        );
    }

    #[test]
    fn named_dir_layout_keeps_file_names() {
        let files =
            ["/a/x.txt", "/b/x.txt", "/b/y.txt"].map(|path| InputLiteral::File(path.into()));
        assert_eq!(
            laid(
                &[
                    ("all", InputLiteral::List(files.to_vec())),
                    ("one", files[0].clone())
                ],
                &data(DataFormat::Yaml, FileLayout::NamedDir)
            ),
            [
                "/in/",
                "/in/all/",
                "/in/all/x.txt < x.txt",
                "/in/all/1_x.txt < x.txt",
                "/in/all/y.txt < y.txt",
                "/in/one/",
                "/in/one/x.txt < x.txt",
                r#"/in/inputs.yaml = {"all":["/in/all/x.txt","/in/all/1_x.txt","/in/all/y.txt"],"one":"/in/one/x.txt"}"#,
            ]
        );
    }

    #[test]
    fn paths_are_in_the_order_of_the_values() {
        let file = |path: &str| InputLiteral::File(path.into());
        let map = InputLiteral::Map(
            [
                ("k".to_owned(), file("/a/z")),
                ("b".to_owned(), file("/a/y")),
            ]
            .into(),
        );
        let inputs = BTreeMap::from([
            ("m".to_owned(), map),
            (
                "l".to_owned(),
                InputLiteral::List(vec![file("/a/x"), file("/b/x")]),
            ),
        ]);
        let laid = lay_out(
            &inputs,
            &data(DataFormat::Proto, FileLayout::NamedDir),
            "/in",
        )
        .unwrap();
        assert_eq!(
            laid.paths,
            ["/in/l/x", "/in/l/1_x", "/in/m/b/y", "/in/m/k/z"]
        );
    }

    #[test]
    fn directory_input_includes_its_contents() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("deep")).unwrap();
        std::fs::write(directory.path().join("deep/a"), "1").unwrap();
        std::os::unix::fs::symlink("deep/a", directory.path().join("link")).unwrap();
        assert_eq!(
            laid(
                &[("d", InputLiteral::Directory(directory.path().into()))],
                &data(DataFormat::Json, FileLayout::Direct)
            ),
            [
                "/in/",
                "/in/d/",
                "/in/d/deep/",
                "/in/d/deep/a < a",
                "/in/d/link < link",
                r#"/in/inputs.json = {"d":"/in/d"}"#
            ]
        );
    }

    #[test]
    fn links_to_their_own_parents_are_omitted_and_others_are_followed() {
        let directory = tempfile::tempdir().unwrap();
        let below = |name: &str| directory.path().join(name);
        std::fs::create_dir_all(below("v1/deep")).unwrap();
        std::fs::write(below("v1/deep/a"), "1").unwrap();
        for (to, name) in [
            ("v1", "latest"),
            (".", "itself"),
            ("..", "v1/up"),
            ("../..", "v1/deep/top"),
            ("../deep", "v1/deep/own"),
        ] {
            std::os::unix::fs::symlink(to, below(name)).unwrap();
        }
        let laid = laid(
            &[("d", InputLiteral::Directory(directory.path().into()))],
            &data(DataFormat::Proto, FileLayout::Direct),
        );
        assert_eq!(
            laid,
            [
                "/in/",
                "/in/d/",
                "/in/d/latest/",
                "/in/d/latest/deep/",
                "/in/d/latest/deep/a < a",
                "/in/d/v1/",
                "/in/d/v1/deep/",
                "/in/d/v1/deep/a < a"
            ]
        );
    }

    #[test]
    fn links_that_multiply_without_end_are_refused() {
        let root = tempfile::tempdir().unwrap();
        let linked = |count: u32| {
            let top = root.path().join(count.to_string());
            for (one, other) in (0..count).flat_map(|one| (0..count).map(move |other| (one, other)))
            {
                let directory = top.join(one.to_string());
                std::fs::create_dir_all(&directory).unwrap();
                let link = directory.join(format!("to-{other}"));
                std::os::unix::fs::symlink(format!("../{other}"), link).unwrap();
            }
            let inputs = BTreeMap::from([("d".to_owned(), InputLiteral::Directory(top))]);
            lay_out(&inputs, &data(DataFormat::Proto, FileLayout::Direct), "/in")
        };
        // Each path through three directories that does not come back: 3 + 3·2 + 3·2·1, and `/in` and `/in/d`.
        assert_eq!(linked(3).unwrap().entries.len(), 17);
        let error = linked(20).unwrap_err();
        assert_eq!(error.code(), union_build::diag::Code::FileUnreadable);
        let chain = error.chain().join(": ");
        assert!(
            chain.contains("with the links in it, it has more than 500 files"),
            "{chain}"
        );
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_values_are_laid_out_or_refused(value in union_tests::arbitrary::value()) {
            fn given(value: serde_json::Value) -> union_build::spec::value::InputValue {
                use union_build::spec::value::InputValue;
                match value {
                    serde_json::Value::Null => InputValue::Nothing,
                    serde_json::Value::Bool(value) => InputValue::Bool(value),
                    serde_json::Value::String(text) => InputValue::Text(text),
                    serde_json::Value::Number(number) => number.as_i64().map_or_else(|| InputValue::Float(number.as_f64().unwrap()), InputValue::Integer),
                    serde_json::Value::Array(values) => InputValue::List(values.into_iter().map(given).collect()),
                    serde_json::Value::Object(values) => InputValue::Map(values.into_iter().map(|(name, value)| (name, given(value))).collect()),
                }
            }
            let given = given(value);
            for ty in ["integer", "float", "string", "boolean", "datetime", "duration", "struct", "file", "list[struct]", "map[duration]", "optional[float]"] {
                let Ok(value) = InputLiteral::of(&union_build::spec::types::Type::parse(ty).unwrap(), &given) else { continue };
                let inputs = BTreeMap::from([("x".to_owned(), value)]);
                drop(lay_out(&inputs, &data(DataFormat::Json, FileLayout::NamedDir), "/in"));
                crate::copilot::filled(&["{{.inputs.x}}".to_owned()], &inputs);
            }
        }
    }
}
