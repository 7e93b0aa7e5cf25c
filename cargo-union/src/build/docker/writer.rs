//! Writes the lines of a Dockerfile, with user input as an argument or an escaped word.

use std::fmt::Write as _;

use super::steps::Instruction;

/// The path of the CA certificates of `build-ca` in build steps.
pub(super) const AUTHORITY: &str = "/run/union/ca.crt";

/// The secret ID under which the CA certificates are mounted.
pub(super) const AUTHORITY_ID: &str = "union-build-ca";

/// How an engine handles a cache that only one step at a time may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CacheMounts {
    /// As a locked cache mount, with BuildKit.
    Locked,
    /// Not used: buildah holds the lock as long as podman's service runs.
    None,
}

/// A Dockerfile that is being written.
pub(super) struct Writer {
    pub(super) text: String,
    pub(super) instructions: Vec<Instruction>,
    /// The number of `copy` entries so far.
    pub(super) copied: usize,
    /// The number of Python lock files so far.
    pub(super) files: usize,
    pub(super) authority: bool,
    pub(super) caches: CacheMounts,
}

impl Writer {
    /// Adds an instruction that is shown to users unchanged.
    pub(super) fn line(&mut self, line: &str) {
        let (name, rest) = line.split_once(' ').unwrap_or((line, ""));
        self.instruction(line, name, rest);
    }

    /// Adds an instruction with the form in which it is shown to users.
    pub(super) fn instruction(&mut self, line: &str, name: &str, shown: &str) {
        let _ = writeln!(self.text, "{line}");
        self.instructions.push(Instruction {
            name: name.to_owned(),
            shown: shown.to_owned(),
        });
    }

    /// Adds a shell command, with mounts and variables for this command only.
    pub(super) fn run(&mut self, mounts: &[String], variables: &[(&str, &str)], command: &str) {
        let mut line = "RUN".to_owned();
        for mount in mounts {
            let _ = write!(line, " --mount={mount}");
        }
        let mut words: Vec<String> = Vec::new();
        let mut variables: Vec<String> = variables
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        if self.authority {
            let _ = write!(
                line,
                " --mount=type=secret,id={AUTHORITY_ID},target={AUTHORITY},mode=0444,required=true"
            );
            variables.extend(CA_VARIABLES.map(|name| format!("{name}={AUTHORITY}")));
        }
        if !variables.is_empty() {
            words.push("/usr/bin/env".to_owned());
            words.extend(variables);
        }
        // The shell would take a leading dash for an option.
        let space = if command.starts_with(['-', '+']) {
            " "
        } else {
            ""
        };
        words.extend([
            "/bin/sh".to_owned(),
            "-c".to_owned(),
            format!("{space}{command}"),
        ]);
        self.instruction(&format!("{line} {}", json(&words)), "RUN", command.trim());
    }
}

/// Quotes a word for the shell.
pub(super) fn quoted(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-:@=+,".contains(c);
    if text.chars().all(is_plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// The variables from which common programs read the path of CA certificates.
const CA_VARIABLES: [&str; 7] = [
    "SSL_CERT_FILE",
    "CURL_CA_BUNDLE",
    "REQUESTS_CA_BUNDLE",
    "PIP_CERT",
    "GIT_SSL_CAINFO",
    "NODE_EXTRA_CA_CERTS",
    "CARGO_HTTP_CAINFO",
];

/// A list of arguments in JSON. `<` is escaped, because newer frontends look for here-documents.
pub(super) fn json(words: &[String]) -> String {
    let words: Vec<String> = words
        .iter()
        .map(|word| serde_json::json!(word).to_string().replace('<', "\\u003c"))
        .collect();
    format!("[{}]", words.join(","))
}

/// Escapes a word with backslashes. The frontend expands variables and removes quotes even in the lists of COPY.
pub(super) fn word(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-:@=+,".contains(c) || !c.is_ascii();
    text.chars().fold(String::new(), |mut word, c| {
        if !is_plain(c) {
            word.push('\\');
        }
        word.push(c);
        word
    })
}
