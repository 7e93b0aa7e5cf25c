//! The Dockerfile of an environment: pure text, the same for the same specs.
//!
//! What a user has written reaches it in two forms only, and in neither can it become an instruction:
//! as a JSON string of an argument list, or as a word of which every unusual letter is escaped.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use union_build::spec;

use super::python;
use crate::build::sources::{Item, ItemKind, owner_words};

/// Where the authority of `build-ca` is while something runs.
pub(super) const AUTHORITY: &str = "/run/union/ca.crt";

/// The id under which that authority is mounted.
pub(super) const AUTHORITY_ID: &str = "union-build-ca";

/// Where the configuration of apt is in the build context.
pub(super) const APT_CONF: &str = ".union.apt.conf";

/// What an environment is made from, as far as its text is concerned.
pub(super) struct Ground<'a> {
    /// What is to be made, in order, with what each `copy` brings.
    pub(super) steps: &'a [Step<'a>],
    /// What it starts from.
    pub(super) from: &'a str,
    /// The user of the base, who is restored at the end.
    pub(super) user: Option<&'a str>,
    /// The names of the images with tools, by what their references are typed as.
    pub(super) tools: &'a BTreeMap<String, String>,
    /// Whether an authority is to be trusted while something runs.
    pub(super) authority: bool,
    /// How the engine keeps what only one step at a time may use.
    pub(super) caches: Caches,
}

/// How an engine keeps what only one step at a time may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Caches {
    /// As BuildKit does: behind a lock.
    Locked,
    /// Not at all: buildah holds such a lock for as long as podman's service lives.
    None,
}

/// One spec, and what its copies bring.
pub(super) struct Step<'a> {
    pub(super) spec: &'a spec::Image,
    pub(super) copies: Vec<Copied>,
}

/// What one `copy` brings.
pub(super) struct Copied {
    pub(super) items: Vec<Item>,
    /// Who owns it, as the manifest says.
    pub(super) owner: Option<String>,
}

/// Writes the text.
pub(super) fn text(ground: &Ground<'_>) -> String {
    let mut writer = Writer { text: String::new(), copied: 0, files: 0, authority: ground.authority, caches: ground.caches };
    for (position, name) in ground.tools.values().enumerate() {
        writer.line(&format!("FROM {} AS union-tool-{position}", word(name)));
    }
    writer.line(&format!("FROM {}", word(ground.from)));
    if ground.user.is_some() {
        writer.line("USER 0:0");
    }
    for step in ground.steps {
        writer.apt(&step.spec.apt_packages);
        let tool = |reference: &str| ground.tools.keys().position(|known| known == reference).expect("every tool has a stage");
        writer.files = python::write(&mut writer, step.spec, tool);
        for copied in &step.copies {
            writer.copy(copied);
        }
        for command in &step.spec.commands {
            writer.run(&secrets(step.spec), &[], &command.value);
        }
    }
    if let Some(user) = ground.user {
        writer.line(&format!("USER {}", word(user)));
    }
    writer.text
}

/// The configuration of apt while it runs: its caches stay out of the image.
pub(super) fn apt_conf(authority: bool) -> String {
    let trust = if authority { format!("Acquire::https::CAInfo \"{AUTHORITY}\";\n") } else { String::new() };
    format!("Dir::Cache \"/run/union/apt\";\nDir::State::lists \"/run/union/lists\";\nAPT::Get::List-Cleanup \"0\";\n{trust}")
}

/// The mounts of the secrets that `commands` may use.
fn secrets(spec: &spec::Image) -> Vec<String> {
    spec.secrets.iter().map(|secret| format!("type=secret,id={},required={}", secret.id.value, secret.required)).collect()
}

/// A Dockerfile that is being written.
pub(super) struct Writer {
    text: String,
    copied: usize,
    /// How many files of Python's have been used.
    pub(super) files: usize,
    authority: bool,
    caches: Caches,
}

impl Writer {
    /// Adds a line.
    pub(super) fn line(&mut self, line: &str) {
        let _ = writeln!(self.text, "{line}");
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
        self.line(&format!("{line} {}", json(&words)));
    }

    fn apt(&mut self, packages: &[spec::Placed<String>]) {
        if packages.is_empty() {
            return;
        }
        let packages: Vec<&str> = packages.iter().map(|package| package.value.as_str()).collect();
        // Lists and packages stay with the engine, for the next environment, and out of the image.
        let kept = |folder: &str| match self.caches {
            Caches::Locked => format!("type=cache,target={folder},sharing=locked"),
            Caches::None => format!("type=tmpfs,target={folder}"),
        };
        let configuration = format!("type=bind,source={APT_CONF},target=/run/union/apt.conf");
        let mounts = [configuration, kept("/run/union/apt"), kept("/run/union/lists")];
        let variables = [("APT_CONFIG", "/run/union/apt.conf"), ("DEBIAN_FRONTEND", "noninteractive")];
        let command = format!("apt-get update && apt-get install --yes --no-install-recommends {}", packages.join(" "));
        self.run(&mounts, &variables, &command);
    }

    fn copy(&mut self, copied: &Copied) {
        let Some(first) = copied.items.first() else { return };
        let source = format!("copy/{}", self.copied);
        self.copied += 1;
        let pair = match first.what {
            ItemKind::Folder => [format!("{source}/"), format!("{}/", word(&format!("/{}", first.to)))],
            ItemKind::File { .. } | ItemKind::Link(_) | ItemKind::Pipe => [source, word(&format!("/{}", first.to))],
        };
        let owner = copied.owner.as_ref().map(|owner| format!("--chown={} ", word(&owner_words(owner))));
        self.line(&format!("COPY {}{}", owner.unwrap_or_default(), json(&pair)));
    }
}

/// The variables by which programs learn of an authority.
const TRUSTING: [&str; 7] =
    ["SSL_CERT_FILE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "PIP_CERT", "GIT_SSL_CAINFO", "NODE_EXTRA_CA_CERTS", "CARGO_HTTP_CAINFO"];

/// A list of arguments. `<` is written by its number, for newer frontends look for here-documents.
fn json(words: &[String]) -> String {
    let words: Vec<String> = words.iter().map(|word| serde_json::json!(word).to_string().replace('<', "\\u003c")).collect();
    format!("[{}]", words.join(","))
}

/// A word as the frontend reads it back: it expands variables and takes quotes away even in the lists
/// of COPY, but a letter behind a backslash is that letter.
fn word(text: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "/._-:@=+,".contains(letter) || !letter.is_ascii();
    text.chars().fold(String::new(), |mut word, letter| {
        if !is_plain(letter) {
            word.push('\\');
        }
        word.push(letter);
        word
    })
}

#[cfg(test)]
mod tests;
