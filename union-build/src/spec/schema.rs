//! The keys of the manifest, each declared once: table, kind, default and documentation.
//!
//! The reader, the reference page, the JSON Schema for editors and the starter manifest are all derived
//! from the tables in [`keys`].

pub mod keys;

/// One table of the manifest and its keys.
#[derive(Debug)]
pub struct SchemaLevel {
    /// The path of the table: `images.NAME`, `images.NAME.build`; empty for the `union` table itself.
    pub path: &'static str,
    /// What the table declares, in one sentence.
    pub doc: &'static str,
    /// Its keys, in the order of the reference page.
    pub keys: &'static [SchemaKey],
    /// Words of the Python SDK and the keys that replace them: `("packages", "pip-packages")`.
    pub aliases: &'static [(&'static str, &'static str)],
    /// Keys of the Python SDK that are not supported, with the reason.
    pub refused: &'static [(&'static str, &'static str)],
}

impl SchemaLevel {
    /// The key with this name.
    pub fn key(&self, name: &str) -> Option<&'static SchemaKey> {
        self.keys.iter().find(|key| key.name == name)
    }
}

/// One key of a table.
#[derive(Clone, Copy, Debug)]
pub struct SchemaKey {
    /// Name in kebab-case.
    pub name: &'static str,
    /// The kind of its value.
    pub kind: KeyKind,
    /// Its meaning in one sentence, as in the reference page.
    pub doc: &'static str,
    /// The value when no source sets one.
    pub default: DefaultValue,
    /// The environment variable that overrides the manifest.
    pub env: Option<&'static str>,
    /// The flag that overrides the environment and the manifest.
    pub flag: Option<&'static str>,
    /// Whether the key requires a builder that can run programs; the native builder cannot.
    pub runs: bool,
    /// The only kind of task that may have it; `None` for all.
    pub only: Option<&'static str>,
    /// A value for the starter manifest, as TOML, where the default shows nothing or there is none.
    pub example: Option<&'static str>,
    /// Keys of the same table without which this one is not accepted, or not in every manifest.
    pub needs: &'static [&'static str],
}

/// The value of a key when no source sets one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefaultValue {
    /// No value.
    None,
    /// This value, as TOML.
    Toml(&'static str),
    /// A computed value, described in words.
    Words(&'static str),
}

/// The kind of a value.
#[derive(Clone, Copy, Debug)]
pub enum KeyKind {
    /// A string.
    Text,
    /// One of the listed words.
    Word(&'static [&'static str]),
    /// `true` or `false`.
    Bool,
    /// A whole number.
    Integer,
    /// A number, whole or not.
    Number,
    /// A string or a whole number, such as `"500m"` or `4`.
    Quantity,
    /// A quantity, or a list of two of them: request and limit.
    Amount,
    /// A duration, such as `"1h30m"`.
    Duration,
    /// A path, relative to the manifest that declares it.
    Path,
    /// A list of strings.
    Texts,
    /// A list of paths.
    Paths,
    /// A table of strings.
    TextMap,
    /// A table of types: a string such as `"list[integer]"`, or a list of the words of an enum.
    Types,
    /// Any value.
    Any,
    /// A table of any values.
    Values,
    /// A table with the keys of this level.
    Table(&'static SchemaLevel),
    /// A table of such tables, with names that the user chooses.
    Tables(&'static SchemaLevel),
    /// A list of such tables.
    Entries(&'static SchemaLevel),
    /// A list of paths or such tables.
    PathsOrEntries(&'static SchemaLevel),
    /// A list of strings or such tables.
    NamesOrEntries(&'static SchemaLevel),
    /// One of several kinds that TOML distinguishes, with their common name in messages.
    Either(&'static [KeyKind], &'static str),
}

impl KeyKind {
    /// The kind as error messages name it: "a string".
    pub const fn words(self) -> &'static str {
        match self {
            Self::Text | Self::Word(_) => "a string",
            Self::Path => "a path",
            Self::Bool => "true or false",
            Self::Integer => "an integer",
            Self::Number => "a number",
            Self::Quantity => "a string or an integer",
            Self::Amount => "a string, an integer or a pair of them",
            Self::Duration => "a duration",
            Self::Texts => "a list of strings",
            Self::Paths => "a list of paths",
            Self::TextMap => "a table of strings",
            Self::Types => "a table of types",
            Self::Any => "a value",
            Self::Values => "a table of values",
            Self::Table(_) => "a table",
            Self::Tables(_) => "a table of tables",
            Self::Entries(_) => "a list of tables",
            Self::PathsOrEntries(_) => "a list of paths or tables",
            Self::NamesOrEntries(_) => "a list of strings or tables",
            Self::Either(_, words) => words,
        }
    }

    /// The table of the key, when its value is or contains one.
    pub fn level(self) -> Option<&'static SchemaLevel> {
        match self {
            Self::Table(level) | Self::Tables(level) | Self::Entries(level) => Some(level),
            Self::PathsOrEntries(level) | Self::NamesOrEntries(level) => Some(level),
            Self::Either(kinds, _) => kinds.iter().find_map(|kind| kind.level()),
            _ => None,
        }
    }
}

impl SchemaKey {
    const fn new(name: &'static str, kind: KeyKind, doc: &'static str) -> Self {
        Self {
            name,
            kind,
            doc,
            default: DefaultValue::None,
            env: None,
            flag: None,
            runs: false,
            only: None,
            example: None,
            needs: &[],
        }
    }

    const fn default(self, toml: &'static str) -> Self {
        Self {
            default: DefaultValue::Toml(toml),
            ..self
        }
    }

    const fn computed(self, words: &'static str) -> Self {
        Self {
            default: DefaultValue::Words(words),
            ..self
        }
    }

    const fn env(self, variable: &'static str) -> Self {
        Self {
            env: Some(variable),
            ..self
        }
    }

    const fn flag(self, flag: &'static str) -> Self {
        Self {
            flag: Some(flag),
            ..self
        }
    }

    const fn runs(self) -> Self {
        Self { runs: true, ..self }
    }

    const fn only(self, kind: &'static str) -> Self {
        Self {
            only: Some(kind),
            ..self
        }
    }

    const fn example(self, toml: &'static str) -> Self {
        Self {
            example: Some(toml),
            ..self
        }
    }

    const fn needs(self, keys: &'static [&'static str]) -> Self {
        Self {
            needs: keys,
            ..self
        }
    }
}

/// All tables, each once, the `union` table first.
pub fn levels() -> Vec<&'static SchemaLevel> {
    let mut levels: Vec<&'static SchemaLevel> = vec![&keys::UNION];
    let mut next = 0;
    while next < levels.len() {
        for level in levels[next].keys.iter().filter_map(|key| key.kind.level()) {
            if !levels.iter().any(|known| known.path == level.path) {
                levels.push(level);
            }
        }
        next += 1;
    }
    levels
}

/// The keys of the `union` table and its `build` table that an environment variable or a flag can
/// override, each with the path of its table.
pub fn overridable() -> impl Iterator<Item = (&'static [&'static str], &'static SchemaKey)> {
    const TABLES: [(&[&str], &SchemaLevel); 2] = [(&[], &keys::UNION), (&["build"], &keys::BUILD)];
    let keys = TABLES
        .into_iter()
        .flat_map(|(path, level)| level.keys.iter().map(move |key| (path, key)));
    keys.filter(|(_, key)| key.env.is_some() || key.flag.is_some())
}

#[cfg(test)]
mod tests;
