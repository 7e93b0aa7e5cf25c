//! The starter manifest: every key of the schema with its documentation, commented out unless a value is given.
//!
//! It is generated from the tables in [`keys`], like the reference page. A line `#key = value` is a key that is
//! commented out, a line `# Sentence.` documents the next one.

use std::fmt::Write as _;

use super::schema::{DefaultValue, KeyKind, SchemaKey, SchemaLevel, keys};
use super::{TaskKind, toml_text};

/// The values of the starter manifest of a package. All other keys are in it as well, but commented out.
#[derive(Clone, Debug, Default)]
pub struct Starter {
    /// The names of the package's binaries. Several are declared as one task each unless `task` is given.
    pub binaries: Vec<String>,
    /// `registry`
    pub registry: Option<String>,
    /// The only task.
    pub task: Option<StarterTask>,
}

/// A task of a starter manifest.
#[derive(Clone, Debug)]
pub struct StarterTask {
    /// The name of its table.
    pub name: String,
    /// The binary that it runs.
    pub binary: String,
    /// `rust`, or `container` with an input `x` and an output `twice`.
    pub kind: TaskKind,
}

/// A key that is set, and its value as TOML.
type GivenKey = (&'static str, String);

/// The text, with `\n` at the end of each line, from `[package.metadata.union]` on.
pub fn starter(starter: &Starter) -> String {
    let mut page = StarterPage {
        text: String::new(),
        binary: example_binary(starter),
        has_input: starter
            .task
            .as_ref()
            .is_some_and(|task| task.kind == TaskKind::Container),
    };
    page.text.push_str(
        "# Each key of `cargo union` follows, switched off: remove the `#` of a `#key = value` to switch it on.\n",
    );
    let rust = starter
        .task
        .as_ref()
        .is_some_and(|task| task.kind == TaskKind::Rust);
    let registry = starter.registry.as_deref().map(toml_text::string);
    let union: Vec<GivenKey> = registry
        .into_iter()
        .map(|registry| ("registry", registry))
        .collect();
    page.table("", &keys::UNION, Some(&union), &[]);
    // A worker loads the Python that it was linked with: Debian's, in the compile and in the image.
    let python = [("env", "{ PYO3_PYTHON = \"/usr/bin/python3\" }".to_owned())];
    page.table("build", &keys::BUILD, rust.then_some(&python[..]), &[]);
    let image = if rust {
        vec![
            ("base-image", "\"debian:bookworm-slim\"".to_owned()),
            ("apt-packages", "[\"libpython3.11\"]".to_owned()),
        ]
    } else {
        // The binary alone, linked statically.
        vec![("base-image", "\"scratch\"".to_owned())]
    };
    page.table("images.default", &keys::IMAGE, Some(&image), &[]);
    page.tables_below("images.default", &keys::IMAGE, &[]);
    page.tasks(starter);
    page.text
}

struct StarterPage {
    text: String,
    /// The binary of examples.
    binary: String,
    /// Whether the task has the input `x`, which each trigger has to give.
    has_input: bool,
}

impl StarterPage {
    fn tasks(&mut self, starter: &Starter) {
        let declared: Vec<(String, Vec<GivenKey>)> = match &starter.task {
            Some(task) => vec![(task.name.clone(), task_keys(task))],
            None if starter.binaries.len() > 1 => {
                let only_bin = |bin: &String| (bin.clone(), vec![("bin", toml_text::string(bin))]);
                starter.binaries.iter().map(only_bin).collect()
            }
            None => Vec::new(),
        };
        // Keys of the other kind of task would not be accepted.
        let hidden: Vec<&str> = match &starter.task {
            Some(task) if task.kind == TaskKind::Rust => keys::TASK
                .keys
                .iter()
                .filter(|key| key.only == Some("container"))
                .map(|key| key.name)
                .collect(),
            _ => Vec::new(),
        };
        let (first, others) = match declared.split_first() {
            Some(((name, given), others)) => (Some((name.as_str(), &given[..])), others),
            None => (None, &[][..]),
        };
        let name = toml_text::key(first.map_or(&self.binary, |(name, _)| name));
        let path = format!("tasks.{name}");
        self.table(&path, &keys::TASK, first.map(|(_, given)| given), &hidden);
        self.tables_below(&path, &keys::TASK, &hidden);
        for (name, given) in others {
            let _ = writeln!(
                self.text,
                "\n[package.metadata.union.tasks.{}]",
                toml_text::key(name)
            );
            for (key, value) in given {
                let _ = writeln!(self.text, "{key} = {value}");
            }
        }
    }

    /// One table, commented out when nothing is `given`.
    fn table(
        &mut self,
        path: &str,
        level: &SchemaLevel,
        given: Option<&[GivenKey]>,
        hidden: &[&str],
    ) {
        self.header(path, level, given.is_some(), false);
        self.keys(level, given.unwrap_or_default(), hidden);
    }

    /// The tables of a table, commented out.
    fn tables_below(&mut self, path: &str, level: &SchemaLevel, hidden: &[&str]) {
        for key in level.keys.iter().filter(|key| !hidden.contains(&key.name)) {
            let Some(inner) = key
                .kind
                .level()
                .filter(|inner| inner.path != keys::BUILD.path)
            else {
                continue;
            };
            let (name, is_list) = match key.kind {
                KeyKind::Tables(_) => (format!("{path}.{}.weekly", key.name), false),
                KeyKind::Table(_) | KeyKind::Either(..) => (format!("{path}.{}", key.name), false),
                _ => (format!("{path}.{}", key.name), true),
            };
            self.header(&name, inner, false, is_list);
            self.keys(inner, &[], &[]);
        }
    }

    fn header(&mut self, path: &str, level: &SchemaLevel, is_on: bool, is_list: bool) {
        let dot = if path.is_empty() { "" } else { "." };
        let off = if is_on { "" } else { "#" };
        let (open, close) = if is_list { ("[[", "]]") } else { ("[", "]") };
        let _ = writeln!(
            self.text,
            "\n# {}\n{off}{open}package.metadata.union{dot}{path}{close}",
            level.doc
        );
    }

    fn keys(&mut self, level: &SchemaLevel, given: &[GivenKey], hidden: &[&str]) {
        let shown = level.keys.iter().filter(|key| !hidden.contains(&key.name));
        for key in shown {
            let given = given.iter().find(|(name, _)| *name == key.name);
            let value = match given {
                Some((_, value)) => Some(value.clone()),
                None => self.sample(level, key),
            };
            if let Some(value) = value {
                let off = if given.is_some() { "" } else { "#" };
                let _ = writeln!(self.text, "# {}\n{off}{} = {value}", key.doc, key.name);
            }
        }
    }

    /// The value of a key that is commented out; `None` for one that has a table of its own.
    fn sample(&self, level: &SchemaLevel, key: &SchemaKey) -> Option<String> {
        let bin = toml_text::string(&self.binary);
        match (level.path, key.name, key.example, key.default) {
            ("tasks.NAME", "bin", ..) => Some(bin),
            ("tasks.NAME", "command", ..) => Some(format!("[{bin}]")),
            ("tasks.NAME.triggers.NAME", "inputs", ..) if self.has_input => {
                Some("{ x = 21 }".to_owned())
            }
            (_, _, Some(example), _) => Some(example.to_owned()),
            (_, _, None, DefaultValue::Toml(default)) => Some(default.to_owned()),
            _ => None,
        }
    }
}

/// The binary of examples: that of the task, else the first.
fn example_binary(starter: &Starter) -> String {
    let task = starter.task.as_ref().map(|task| &task.binary);
    task.or(starter.binaries.first())
        .map_or_else(|| "program".to_owned(), String::clone)
}

fn task_keys(task: &StarterTask) -> Vec<GivenKey> {
    let bin = toml_text::string(&task.binary);
    match task.kind {
        TaskKind::Rust => vec![("kind", "\"rust\"".to_owned()), ("bin", bin)],
        TaskKind::Container => vec![
            ("kind", "\"container\"".to_owned()),
            ("inputs", "{ x = \"integer\" }".to_owned()),
            ("outputs", "{ twice = \"integer\" }".to_owned()),
            (
                "command",
                format!("[{bin}, \"{{{{.inputs.x}}}}\", \"/var/outputs\"]"),
            ),
        ],
    }
}
