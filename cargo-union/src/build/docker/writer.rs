//! The lines of a Dockerfile: what a user has written is an argument or an escaped word in them.

use std::fmt::Write as _;

use super::steps::Instruction;

/// Where the authority of `build-ca` is while something runs.
pub(super) const AUTHORITY: &str = "/run/union/ca.crt";

/// The id under which that authority is mounted.
pub(super) const AUTHORITY_ID: &str = "union-build-ca";

/// How an engine keeps what only one step at a time may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CacheMounts {
    /// As BuildKit does: behind a lock.
    Locked,
    /// Not at all: buildah holds such a lock for as long as podman's service lives.
    None,
}

/// A Dockerfile that is being written.
pub(super) struct Writer {
    pub(super) text: String,
    pub(super) instructions: Vec<Instruction>,
    pub(super) copied: usize,
    /// How many files of Python's have been used.
    pub(super) files: usize,
    pub(super) authority: bool,
    pub(super) caches: CacheMounts,
}

impl Writer {
    /// Adds a line that users know as it is.
    pub(super) fn line(&mut self, line: &str) {
        let (name, rest) = line.split_once(' ').unwrap_or((line, ""));
        self.instruction(line, name, rest);
    }

    /// Adds a line, and how users know the instruction.
    pub(super) fn instruction(&mut self, line: &str, name: &str, shown: &str) {
        let _ = writeln!(self.text, "{line}");
        self.instructions.push(Instruction { name: name.to_owned(), shown: shown.to_owned() });
    }

    /// Adds a shell command that runs as root, with mounts and variables that end with it.
    pub(super) fn run(&mut self, mounts: &[String], variables: &[(&str, &str)], command: &str) {
        let mut line = "RUN".to_owned();
        for mount in mounts {
            let _ = write!(line, " --mount={mount}");
        }
        let mut words: Vec<String> = Vec::new();
        let mut variables: Vec<String> = variables.iter().map(|(name, value)| format!("{name}={value}")).collect();
        if self.authority {
            let _ = write!(line, " --mount=type=secret,id={AUTHORITY_ID},target={AUTHORITY},mode=0444,required=true");
            variables.extend(TRUSTING.map(|name| format!("{name}={AUTHORITY}")));
        }
        if !variables.is_empty() {
            words.push("/usr/bin/env".to_owned());
            words.extend(variables);
        }
        // Behind a blank, what begins with a dash is no option of the shell.
        let guard = if command.starts_with(['-', '+']) { " " } else { "" };
        words.extend(["/bin/sh".to_owned(), "-c".to_owned(), format!("{guard}{command}")]);
        self.instruction(&format!("{line} {}", json(&words)), "RUN", command.trim());
    }
}

/// A word for the shell.
pub(super) fn quoted(text: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "/._-:@=+,".contains(letter);
    if text.chars().all(is_plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

/// The variables by which programs learn of an authority.
const TRUSTING: [&str; 7] =
    ["SSL_CERT_FILE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "PIP_CERT", "GIT_SSL_CAINFO", "NODE_EXTRA_CA_CERTS", "CARGO_HTTP_CAINFO"];

/// A list of arguments. `<` is written by its number, for newer frontends look for here-documents.
pub(super) fn json(words: &[String]) -> String {
    let words: Vec<String> = words.iter().map(|word| serde_json::json!(word).to_string().replace('<', "\\u003c")).collect();
    format!("[{}]", words.join(","))
}

/// A word as the frontend reads it back: it expands variables and takes quotes away even in the lists
/// of COPY, but a letter behind a backslash is that letter.
pub(super) fn word(text: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "/._-:@=+,".contains(letter) || !letter.is_ascii();
    text.chars().fold(String::new(), |mut word, letter| {
        if !is_plain(letter) {
            word.push('\\');
        }
        word.push(letter);
        word
    })
}
