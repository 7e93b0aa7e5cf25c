//! The Dockerfile of an environment: pure text, the same for the same specs.
//!
//! What a user has written reaches it in two forms only, and in neither can it become an instruction:
//! as a JSON string of an argument list, or as a word of which every unusual letter is escaped.

use std::collections::BTreeMap;

use union_build::spec;
use union_build::spec::variables::PATH;

use super::python;
use super::steps::Instruction;
use super::writer::{AUTHORITY, Writer, json, quoted, word};
use crate::build::sources::{Item, ItemKind, owner_words};
use crate::build::variables::{self, Variables};
use crate::sys::error::Result;

pub(super) use super::writer::CacheMounts;

/// Where the configuration of apt is in the build context.
pub(super) const APT_CONF: &str = ".union.apt.conf";

/// What an environment is made from, as far as its text is concerned.
pub(super) struct DockerfileContext<'a> {
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
    pub(super) caches: CacheMounts,
}

/// One spec, and what its copies bring.
pub(super) struct Step<'a> {
    pub(super) spec: &'a spec::Image,
    pub(super) copies: Vec<CopyInstruction>,
    /// The variables that its commands see.
    pub(super) variables: Variables,
}

/// What one `copy` brings.
pub(super) struct CopyInstruction {
    pub(super) items: Vec<Item>,
    /// Who owns it, as the manifest says.
    pub(super) owner: Option<String>,
}

/// The steps of specs; `list` says what each copy brings.
///
/// # Errors
/// What `list` fails with.
pub(super) fn with_copies<'a>(steps: &'a [spec::Image], list: impl Fn(&spec::Copy) -> Result<Vec<Item>>) -> Result<Vec<Step<'a>>> {
    let step = |spec: &'a spec::Image| {
        let copied =
            |copy: &spec::Copy| Ok(CopyInstruction { items: list(copy)?, owner: copy.owner.as_ref().map(|owner| owner.value.clone()) });
        let copies = spec.copy.iter().map(copied).collect::<Result<Vec<_>>>()?;
        // As they are typed: whoever knows the base expands them.
        let variables = spec.env.iter().map(|(name, value)| (name.clone(), value.value.clone())).collect();
        Ok(Step { spec, copies, variables })
    };
    steps.iter().map(step).collect()
}

impl Step<'_> {
    /// Replaces the references to variables of the base, and lets later steps find what this one installs.
    ///
    /// # Errors
    /// `InvalidValue` when the base does not set one.
    pub(super) fn expand_upon(&mut self, base: &mut Variables) -> Result<()> {
        if self.spec.python.needs_micromamba() {
            base.entry(PATH.to_owned()).and_modify(|path| *path = format!("{}:{path}", python::BINARIES));
        }
        if !self.spec.commands.is_empty() {
            self.variables = variables::expanded([self.spec], base)?;
        }
        Ok(())
    }
}

/// A Dockerfile of ours, and what its instructions are to whoever wrote the manifest.
pub(super) struct Dockerfile {
    pub(super) text: String,
    /// Those of the last stage, in order.
    pub(super) instructions: Vec<Instruction>,
}

/// Writes a Dockerfile.
pub(super) fn write(ground: &DockerfileContext<'_>) -> Dockerfile {
    let mut writer =
        Writer { text: String::new(), instructions: Vec::new(), copied: 0, files: 0, authority: ground.authority, caches: ground.caches };
    for (position, name) in ground.tools.values().enumerate() {
        writer.line(&format!("FROM {} AS union-tool-{position}", word(name)));
    }
    writer.instructions.clear();
    writer.line(&format!("FROM {}", word(ground.from)));
    if ground.user.is_some() {
        writer.line("USER 0:0");
    }
    for step in ground.steps {
        writer.apt(&step.spec.apt_packages);
        let tool = |reference: &str| ground.tools.keys().position(|known| known == reference).expect("every tool has a stage");
        writer.files = python::write(&mut writer, step.spec, tool);
        for (copy, copied) in step.spec.copy.iter().zip(&step.copies) {
            writer.copy(copy, copied);
        }
        writer.commands(step);
    }
    if let Some(user) = ground.user {
        writer.line(&format!("USER {}", word(user)));
    }
    Dockerfile { text: writer.text, instructions: writer.instructions }
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

impl Writer {
    fn apt(&mut self, packages: &[spec::Sourced<String>]) {
        if packages.is_empty() {
            return;
        }
        // In quotes, for a shell would look for files that a pattern fits.
        let packages: Vec<String> = packages.iter().map(|package| quoted(&package.value)).collect();
        // Lists and packages stay with the engine, for the next environment, and out of the image.
        let kept = |folder: &str| match self.caches {
            CacheMounts::Locked => format!("type=cache,target={folder},sharing=locked"),
            CacheMounts::None => format!("type=tmpfs,target={folder}"),
        };
        let configuration = format!("type=bind,source={APT_CONF},target=/run/union/apt.conf");
        let mounts = [configuration, kept("/run/union/apt"), kept("/run/union/lists")];
        let variables = [("APT_CONFIG", "/run/union/apt.conf"), ("DEBIAN_FRONTEND", "noninteractive")];
        let command = format!("apt-get update && apt-get install --yes --no-install-recommends {}", packages.join(" "));
        self.run(&mounts, &variables, &command);
    }

    /// Adds a copy; its place starts at the root, or at the working directory of the base.
    fn copy(&mut self, copy: &spec::Copy, copied: &CopyInstruction) {
        let Some(first) = copied.items.first() else { return };
        let start = if copy.to.value.starts_with('/') { "/" } else { "./" };
        let source = format!("copy/{}", self.copied);
        self.copied += 1;
        let to = word(&format!("{start}{}", first.to));
        let pair = match first.what {
            ItemKind::Folder => [format!("{source}/"), format!("{}/", to.trim_end_matches('/'))],
            ItemKind::File { .. } | ItemKind::Link(_) | ItemKind::Pipe | ItemKind::Device(_) => [source, to],
        };
        let owner = copied.owner.as_ref().map(|owner| format!("--chown={} ", word(&owner_words(owner)))).unwrap_or_default();
        self.instruction(&format!("COPY {owner}{}", json(&pair)), "COPY", &format!("{} {}", copy.typed, copy.to.value));
    }

    /// Adds the commands of a spec, in its working directory and with its variables. These end with each command:
    /// the config of the image gets them in the end, with the same values.
    fn commands(&mut self, step: &Step<'_>) {
        if step.spec.commands.is_empty() {
            return;
        }
        if let Some(workdir) = &step.spec.workdir {
            self.line(&format!("WORKDIR {}", word(&workdir.value)));
        }
        let variables: Vec<(&str, &str)> = step.variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        for command in &step.spec.commands {
            self.run(&secrets(step.spec), &variables, &command.value);
        }
    }
}

#[cfg(test)]
mod tests;
