//! Generates the Dockerfile of an environment; the text depends only on the specs.
//!
//! User input appears in two forms only, neither of which can become an instruction: as a JSON string of an argument
//! list, or as a word in which every special character is escaped.

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

/// The path of apt's configuration in the build context.
pub(super) const APT_CONF: &str = ".union.apt.conf";

/// The input of a generated Dockerfile.
pub(super) struct DockerfileContext<'a> {
    pub(super) steps: &'a [Step<'a>],
    /// The base image's name in the engine.
    pub(super) from: &'a str,
    /// The user of the base, which is restored at the end.
    pub(super) user: Option<&'a str>,
    /// The names of the tool images in the engine, by their references as written in the manifest.
    pub(super) tools: &'a BTreeMap<String, String>,
    /// Whether build steps trust an additional CA certificate.
    pub(super) authority: bool,
    /// Whether the engine supports locked cache mounts.
    pub(super) caches: CacheMounts,
}

/// One spec with the items of its copies.
pub(super) struct Step<'a> {
    pub(super) spec: &'a spec::ImageSpec,
    pub(super) copies: Vec<CopyInstruction>,
    /// The variables of its commands.
    pub(super) variables: Variables,
}

/// The items of one `copy`.
pub(super) struct CopyInstruction {
    pub(super) items: Vec<Item>,
    /// The owner as written in the manifest.
    pub(super) owner: Option<String>,
}

/// The steps of specs; `list` returns the items of a copy.
///
/// # Errors
/// Those of `list`.
pub(super) fn with_copies<'a>(
    steps: &'a [spec::ImageSpec],
    list: impl Fn(&spec::Copy) -> Result<Vec<Item>>,
) -> Result<Vec<Step<'a>>> {
    let step = |spec: &'a spec::ImageSpec| {
        let instruction = |copy: &spec::Copy| {
            Ok(CopyInstruction {
                items: list(copy)?,
                owner: copy.owner.as_ref().map(|owner| owner.value.clone()),
            })
        };
        let copies = spec
            .copy
            .iter()
            .map(instruction)
            .collect::<Result<Vec<_>>>()?;
        // Not expanded yet, because the variables of the base are not known here.
        let variables = spec
            .env
            .iter()
            .map(|(name, value)| (name.clone(), value.value.clone()))
            .collect();
        Ok(Step {
            spec,
            copies,
            variables,
        })
    };
    steps.iter().map(step).collect()
}

impl Step<'_> {
    /// Whether nothing is built on top of the spec's own Dockerfile.
    pub(super) fn has_only_dockerfile(&self) -> bool {
        let installs_python = self.spec.python.needs_uv() || self.spec.python.needs_micromamba();
        self.spec.apt_packages.is_empty()
            && !installs_python
            && self.copies.is_empty()
            && self.spec.commands.is_empty()
    }

    /// Expands references to variables of the base, and extends the `PATH` of later steps with what this one installs.
    ///
    /// # Errors
    /// `InvalidValue` when the base does not set a variable.
    pub(super) fn expand_variables(&mut self, base: &mut Variables) -> Result<()> {
        if self.spec.python.needs_micromamba() {
            base.entry(PATH.to_owned())
                .and_modify(|path| *path = format!("{}:{path}", python::BINARIES));
        }
        if !self.spec.commands.is_empty() {
            self.variables = variables::expanded([self.spec], base)?;
        }
        Ok(())
    }
}

/// A generated Dockerfile, with its instructions as they are shown to users.
pub(super) struct Dockerfile {
    pub(super) text: String,
    /// The instructions of the last stage, in order.
    pub(super) instructions: Vec<Instruction>,
}

pub(super) fn write(context: &DockerfileContext<'_>) -> Dockerfile {
    let mut writer = Writer {
        text: String::new(),
        instructions: Vec::new(),
        copied: 0,
        files: 0,
        authority: context.authority,
        caches: context.caches,
    };
    for (position, name) in context.tools.values().enumerate() {
        writer.line(&format!("FROM {} AS union-tool-{position}", word(name)));
    }
    writer.instructions.clear();
    writer.line(&format!("FROM {}", word(context.from)));
    if context.user.is_some() {
        writer.line("USER 0:0");
    }
    for step in context.steps {
        // Lists all fields, so that a new key does not compile until it is decided how the engine applies it.
        let spec::ImageSpec {
            apt_packages,
            copy,
            // Used by `python::write`.
            python: _,
            builder_config: _,
            requirements: _,
            // Used by `Writer::commands`.
            commands: _,
            env: _,
            workdir: _,
            secrets: _,
            // Used by `super::platform_build`: the Dockerfile is built before these steps, the others are options of
            // the build.
            dockerfile: _,
            builder_options: _,
            build_ca: _,
            // Part of the config, or of the compile.
            entrypoint: _,
            user: _,
            labels: _,
            annotations: _,
            ca_certificates: _,
            compression: _,
            launcher: _,
            auditable: _,
            build: _,
            runtime_libs: _,
            inputs: _,
            exclude: _,
            // Applied before the build.
            key: _,
            origin: _,
            name: _,
            registry: _,
            tag_format: _,
            builder: _,
            base: _,
            platforms: _,
            cuda: _,
            cudnn: _,
        } = step.spec;
        writer.apt(apt_packages);
        let tool = |reference: &str| {
            context
                .tools
                .keys()
                .position(|known| known == reference)
                .expect("every tool has a stage")
        };
        writer.files = python::write(&mut writer, step.spec, tool);
        for (copy, copied) in copy.iter().zip(&step.copies) {
            writer.copy(copy, copied);
        }
        writer.commands(step);
    }
    if let Some(user) = context.user {
        writer.line(&format!("USER {}", word(user)));
    }
    Dockerfile {
        text: writer.text,
        instructions: writer.instructions,
    }
}

/// The configuration of apt during a build, which keeps apt's caches out of the image.
pub(super) fn apt_conf(authority: bool) -> String {
    let trust = if authority {
        format!("Acquire::https::CAInfo \"{AUTHORITY}\";\n")
    } else {
        String::new()
    };
    format!(
        "Dir::Cache \"/run/union/apt\";\nDir::State::lists \"/run/union/lists\";\nAPT::Get::List-Cleanup \"0\";\n{trust}"
    )
}

/// The mounts of the secrets that `commands` may use.
fn secret_mounts(spec: &spec::ImageSpec) -> Vec<String> {
    spec.secrets
        .iter()
        .map(|secret| {
            format!(
                "type=secret,id={},required={}",
                secret.id.value, secret.required
            )
        })
        .collect()
}

impl Writer {
    fn apt(&mut self, packages: &[spec::Sourced<String>]) {
        if packages.is_empty() {
            return;
        }
        // Quoted, because the shell would expand patterns.
        let packages: Vec<String> = packages
            .iter()
            .map(|package| quoted(&package.value))
            .collect();
        // Lists and packages are cached by the engine for the next environment, and are not part of the image.
        let cache_mount = |directory: &str| match self.caches {
            CacheMounts::Locked => format!("type=cache,target={directory},sharing=locked"),
            CacheMounts::None => format!("type=tmpfs,target={directory}"),
        };
        let configuration = format!("type=bind,source={APT_CONF},target=/run/union/apt.conf");
        let mounts = [
            configuration,
            cache_mount("/run/union/apt"),
            cache_mount("/run/union/lists"),
        ];
        let variables = [
            ("APT_CONFIG", "/run/union/apt.conf"),
            ("DEBIAN_FRONTEND", "noninteractive"),
        ];
        let command = format!(
            "apt-get update && apt-get install --yes --no-install-recommends {}",
            packages.join(" ")
        );
        self.run(&mounts, &variables, &command);
    }

    /// Adds a copy; its destination is absolute, or relative to the working directory of the base.
    fn copy(&mut self, copy: &spec::Copy, copied: &CopyInstruction) {
        let Some(first) = copied.items.first() else {
            return;
        };
        let start = if copy.to.value.starts_with('/') {
            "/"
        } else {
            "./"
        };
        let source = format!("copy/{}", self.copied);
        self.copied += 1;
        let to = word(&format!("{start}{}", first.to));
        let pair = match first.kind {
            ItemKind::Directory => [
                format!("{source}/"),
                format!("{}/", to.trim_end_matches('/')),
            ],
            ItemKind::File { .. } | ItemKind::Link(_) | ItemKind::Pipe | ItemKind::Device(_) => {
                [source, to]
            }
        };
        let owner = copied
            .owner
            .as_ref()
            .map(|owner| format!("--chown={} ", word(&owner_words(owner))))
            .unwrap_or_default();
        self.instruction(
            &format!("COPY {owner}{}", json(&pair)),
            "COPY",
            &format!("{} {}", copy.typed, copy.to.value),
        );
    }

    /// Adds the commands of a spec, in its working directory. Its variables are set per command, because they become
    /// part of the image's config later.
    fn commands(&mut self, step: &Step<'_>) {
        if step.spec.commands.is_empty() {
            return;
        }
        if let Some(workdir) = &step.spec.workdir {
            self.line(&format!("WORKDIR {}", word(&workdir.value)));
        }
        let variables: Vec<(&str, &str)> = step
            .variables
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        for command in &step.spec.commands {
            self.run(&secret_mounts(step.spec), &variables, &command.value);
        }
    }
}

#[cfg(test)]
mod tests;
