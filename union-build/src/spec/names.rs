//! Rules for the names of tags, repositories and files that several stages use.

/// Whether a text is a valid tag by the OCI distribution specification.
pub fn is_tag(text: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let bytes = text.as_bytes();
    bytes.first().is_some_and(|first| word(*first))
        && bytes.len() <= 128
        && bytes
            .iter()
            .all(|byte| word(*byte) || matches!(byte, b'.' | b'-'))
}

/// Whether a text is one valid component of a repository path by the OCI distribution specification:
/// lower-case letters and digits, with `.`, `_`, `__` or dashes between them.
pub fn is_path_component(text: &str) -> bool {
    let alphanumeric = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = text.as_bytes();
    let ends = bytes.first().is_some_and(alphanumeric) && bytes.last().is_some_and(alphanumeric);
    let separators = bytes.split(alphanumeric).filter(|run| !run.is_empty());
    ends && separators
        .into_iter()
        .all(|run| matches!(run, b"." | b"_" | b"__") || run.iter().all(|byte| *byte == b'-'))
}

/// A text as one component of a repository path: unchanged when it is valid, else lower-case, with a
/// dash for invalid characters.
pub(super) fn component(text: &str) -> String {
    let text = text.to_lowercase();
    if is_path_component(&text) {
        return text;
    }
    let words = text
        .split(|letter: char| !letter.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty());
    let name = words.collect::<Vec<_>>().join("-");
    if name.is_empty() {
        "image".to_owned()
    } else {
        name
    }
}

/// Whether the file name of a path is `Cargo.lock`.
pub(super) fn is_cargo_lock(path: &str) -> bool {
    path.rsplit('/').next() == Some("Cargo.lock")
}
