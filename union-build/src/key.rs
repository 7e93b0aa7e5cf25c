//! Content keys: the canonical encoding of all inputs of an image, its hash and its tag.
//!
//! The encoding is typed and length-prefixed, maps are sorted and the format's version comes first,
//! so that two different sets of inputs never have the same key, and one set has one key on every machine.
//! The known-answer test fixes the encoding: a change of the bytes requires a new [`FORMAT`].

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;

use sha2::{Digest as _, Sha256};

/// Version of the encoding; part of every key and of Union.lock.
pub const FORMAT: u32 = 1;

/// A content key: the sha256 of canonically encoded inputs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key([u8; 32]);

impl Key {
    /// The `{spec-hash}` of a tag: the first 130 bits as 26 letters and digits, always lower-case.
    pub fn spec_hash(&self) -> String {
        const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
        let bit = |index: usize| usize::from(self.0[index / 8] >> (7 - index % 8) & 1);
        let digit =
            |digit: usize| (0..5).fold(0, |value, offset| value << 1 | bit(digit * 5 + offset));
        (0..26)
            .map(|index| char::from(ALPHABET[digit(index)]))
            .collect()
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({self})")
    }
}

/// Bytes as lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}

/// One value of an input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A string.
    Text(String),
    /// A boolean.
    Bool(bool),
    /// A signed 64-bit integer.
    Number(i64),
    /// The sha256 of long content: a file, another key.
    Hash([u8; 32]),
    /// An ordered list.
    List(Vec<Value>),
    /// Values by name, sorted.
    Map(BTreeMap<String, Value>),
}

impl Value {
    /// The sha256 of `bytes`, for content that is too long to store.
    pub fn hash_of(bytes: impl AsRef<[u8]>) -> Self {
        Self::Hash(Sha256::digest(bytes).into())
    }

    /// A list of strings.
    pub fn texts<T: Into<String>>(texts: impl IntoIterator<Item = T>) -> Self {
        Self::List(
            texts
                .into_iter()
                .map(|text| Self::Text(text.into()))
                .collect(),
        )
    }

    fn encode(&self, to: &mut Sha256) {
        match self {
            Self::Text(text) => encode_bytes(b't', text.as_bytes(), to),
            Self::Bool(value) => to.update([b'b', u8::from(*value)]),
            Self::Number(value) => {
                to.update(b"n");
                to.update(value.to_be_bytes());
            }
            Self::Hash(hash) => encode_bytes(b'h', hash, to),
            Self::List(values) => {
                encode_length(b'l', values.len(), to);
                values.iter().for_each(|value| value.encode(to));
            }
            Self::Map(values) => {
                encode_length(b'm', values.len(), to);
                for (name, value) in values {
                    encode_bytes(b't', name.as_bytes(), to);
                    value.encode(to);
                }
            }
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<Key> for Value {
    fn from(key: Key) -> Self {
        Self::Hash(key.0)
    }
}

impl fmt::Display for Value {
    /// As one line of a plan: hashes are cut to 12 hexadecimal digits, and so are values that contain one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) if text.is_empty() || text.contains(char::is_control) => {
                write!(f, "{text:?}")
            }
            Self::Text(text) => f.write_str(text),
            Self::Bool(value) => value.fmt(f),
            Self::Number(value) => value.fmt(f),
            Self::Hash(hash) => f.write_str(&hex(&hash[..6])),
            Self::List(values) if values.is_empty() => f.write_str("none"),
            Self::Map(values) if values.is_empty() => f.write_str("none"),
            Self::List(_) | Self::Map(_) if self.holds_hash() => {
                let mut hasher = Sha256::new();
                self.encode(&mut hasher);
                f.write_str(&hex(&hasher.finalize()[..6]))
            }
            Self::List(values) => f.write_str(
                &values
                    .iter()
                    .map(Self::element)
                    .collect::<Vec<_>>()
                    .join(", "),
            ),
            Self::Map(values) => {
                let pairs: Vec<String> = values
                    .iter()
                    .map(|(name, value)| format!("{name} = {}", value.element()))
                    .collect();
                f.write_str(&pairs.join(", "))
            }
        }
    }
}

impl Value {
    fn holds_hash(&self) -> bool {
        match self {
            Self::Hash(_) => true,
            Self::List(values) => values.iter().any(Self::holds_hash),
            Self::Map(values) => values.values().any(Self::holds_hash),
            Self::Text(_) | Self::Bool(_) | Self::Number(_) => false,
        }
    }

    /// A value inside of a list or map, quoted or bracketed so that its end can be seen.
    fn element(&self) -> String {
        match self {
            Self::Text(text) if text.contains([',', '"', '=']) || text.trim() != text => {
                format!("{text:?}")
            }
            Self::List(_) | Self::Map(_) => format!("[{self}]"),
            _ => self.to_string(),
        }
    }
}

/// Inputs by name. A plan shows the names when inputs change, so they are the user's terms:
/// `src/main.rs`, `apt-packages`, `base-image linux/amd64`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inputs(BTreeMap<String, Value>);

impl Inputs {
    /// An empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an input. A second value under the same name does not replace the first: both are hashed, in order.
    pub fn insert(&mut self, name: impl Into<String>, value: impl Into<Value>) {
        match self.0.entry(name.into()) {
            Entry::Vacant(entry) => drop(entry.insert(value.into())),
            Entry::Occupied(mut entry) => {
                let value = value.into();
                if *entry.get() != value {
                    let values = Value::List(vec![entry.get().clone(), value]);
                    entry.insert(values);
                }
            }
        }
    }

    /// Adds all inputs of another set.
    pub fn extend(&mut self, other: Inputs) {
        other
            .0
            .into_iter()
            .for_each(|(name, value)| self.insert(name, value));
    }

    /// The inputs, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// The key of these inputs; `kind` separates the keys of images, environments and tags.
    pub fn key(&self, kind: &str) -> Key {
        let mut hasher = Sha256::new();
        hasher.update(b"cargo-union key\0");
        hasher.update(FORMAT.to_be_bytes());
        encode_bytes(b't', kind.as_bytes(), &mut hasher);
        Value::Map(self.0.clone()).encode(&mut hasher);
        Key(hasher.finalize().into())
    }
}

/// A list of values of which only the sha256 is stored, for lists that may be very long.
#[derive(Clone, Debug, Default)]
pub struct LongList(Sha256);

impl LongList {
    /// Appends a value.
    pub fn push(&mut self, value: &Value) {
        // Each encoded value is self-delimiting, so the concatenation is unambiguous.
        value.encode(&mut self.0);
    }

    /// The list as a single input.
    pub fn finish(self) -> Value {
        Value::Hash(self.0.finalize().into())
    }
}

/// The key from which an image's tag is formed: its own key and the keys of all images of its package, because every
/// binary of the package embeds the references of all of them.
pub fn tag_key(image: &str, images: &BTreeMap<String, Key>) -> Key {
    let mut inputs = Inputs::new();
    inputs.insert("image", image);
    inputs.insert(
        "images",
        Value::Map(
            images
                .iter()
                .map(|(name, key)| (name.clone(), Value::from(*key)))
                .collect(),
        ),
    );
    inputs.key("tag")
}

fn encode_bytes(kind: u8, bytes: &[u8], to: &mut Sha256) {
    encode_length(kind, bytes.len(), to);
    to.update(bytes);
}

fn encode_length(kind: u8, length: usize, to: &mut Sha256) {
    to.update([kind]);
    to.update((length as u64).to_be_bytes());
}

#[cfg(test)]
mod tests;
