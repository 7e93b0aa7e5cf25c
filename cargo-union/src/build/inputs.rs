//! The inputs of an image's key, apart from its code.
//!
//! Inputs have user-facing names, because a plan shows those that changed. Values of environment variables
//! appear only as hashes. No input depends on the location of the workspace, the time, or the user.

use std::collections::BTreeMap;
use std::path::Path;

use union_build::key::{Inputs, LongList, Value};
use union_build::spec::{self, Compression, Sourced};

use super::chain::{EffectiveConfig, ImageChain};
use super::docker::{context_of, dockerfile_items};
use super::measured_files::MeasuredFiles;
use super::native::ca_bundle_hash;
use super::requirements;
use super::roots::SourceRoots;
use super::sources::{Item, ItemKind, Measure};
use crate::image::audit_data;
use crate::image::per_platform::PerPlatform;
use crate::image::platform::Platform;
use crate::sys::digest::Digest;
use crate::sys::error::Result;

/// What an environment's key is computed from.
#[derive(Clone, Copy, Debug)]
pub struct EnvironmentSettings<'a> {
    /// The specs of the environment.
    pub chain: &'a ImageChain,
    /// The base's digest per platform, as Union.lock pins it; `None` is scratch.
    pub bases: &'a PerPlatform<Option<Digest>>,
    /// The digest of each tool image per platform, as Union.lock pins it.
    pub tools: &'a PerPlatform<BTreeMap<String, Digest>>,
    /// The generation of each spec of the chain in Union.lock.
    pub generations: &'a [u32],
    /// The directories that its files may come from.
    pub roots: &'a SourceRoots,
    /// Sizes and hashes of its files.
    pub files: &'a MeasuredFiles,
}

/// The inputs of an environment: everything of an image except its code and its config.
///
/// # Errors
/// When a copied file cannot be read or is outside the workspace.
pub fn environment_inputs(environment: &EnvironmentSettings<'_>) -> Result<Inputs> {
    let mut inputs = Inputs::new();
    for (platform, digest) in environment.bases.iter() {
        inputs.insert(
            format!("base-image {platform}"),
            digest.map_or("scratch".to_owned(), |digest| digest.to_string()),
        );
    }
    for (platform, tools) in environment.tools.iter() {
        for (reference, digest) in tools {
            inputs.insert(format!("tools {reference} {platform}"), digest.to_string());
        }
    }
    let own = environment.chain.own();
    let extended = environment.chain.ancestors();
    for (spec, generation) in environment.chain.iter().zip(environment.generations) {
        let prefix = if spec.key == own.key {
            String::new()
        } else {
            format!("{}: ", spec.key)
        };
        inputs.insert(format!("{prefix}generation"), generation.to_string());
    }
    if !extended.is_empty() {
        // The order matters: layers are stacked in it.
        inputs.insert(
            "extends",
            Value::texts(extended.iter().map(|spec| spec.key.as_str())),
        );
    }
    for spec in extended {
        SpecInputs {
            inputs: &mut inputs,
            prefix: format!("{}: ", spec.key),
            files: environment.files,
        }
        .add(spec, environment.roots)?;
    }
    SpecInputs {
        inputs: &mut inputs,
        prefix: String::new(),
        files: environment.files,
    }
    .add(own, environment.roots)?;
    Ok(inputs)
}

/// The inputs of an image's config, including inherited settings; `binaries` are the names of its executables.
///
/// # Errors
/// When the `ca-certificates` file cannot be read.
pub fn config_inputs(
    chain: &ImageChain,
    platforms: &[Platform],
    binaries: &[&str],
    files: &MeasuredFiles,
) -> Result<Inputs> {
    // Lists all fields, so that a new setting does not compile until it is part of the key.
    let EffectiveConfig {
        env,
        labels,
        annotations,
        entrypoint,
        user,
        workdir,
        ca_certificates,
        compression,
        auditable,
    } = EffectiveConfig::of(chain);
    let mut inputs = Inputs::new();
    for (name, value) in env {
        inputs.insert(format!("env {name}"), Value::hash_of(value));
    }
    for (name, value) in labels {
        inputs.insert(format!("label {name}"), value);
    }
    for (name, value) in annotations {
        inputs.insert(format!("annotation {name}"), value);
    }
    let mut add = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            inputs.insert(name, value);
        }
    };
    add(
        "entrypoint",
        entrypoint.map(|entrypoint| Value::texts(entrypoint.iter().cloned())),
    );
    add("user", user.map(Value::from));
    add("workdir", workdir.map(Value::from));
    let bundle = match ca_certificates {
        Some(path) => Some(files.measure(path)?.hash),
        None => chain.is_scratch().then(ca_bundle_hash),
    };
    add("ca-certificates", bundle.map(Value::Hash));
    add(
        "platforms",
        Some(Value::texts(platforms.iter().map(ToString::to_string))),
    );
    add("binaries", Some(Value::texts(binaries.iter().copied())));
    let compression = match compression {
        Compression::Gzip => "gzip",
        Compression::Zstd => "zstd",
    };
    add("compression", Some(compression.into()));
    let is_audited = auditable && !binaries.is_empty();
    add("auditable", is_audited.then(|| audit_data::VERSION.into()));
    // The backend builds a different image from the same settings, and chooses the compression itself.
    add("builder", chain.own().is_remote().then(|| "remote".into()));
    Ok(inputs)
}

/// Adds the inputs of one spec of a chain.
struct SpecInputs<'a> {
    inputs: &'a mut Inputs,
    prefix: String,
    files: &'a MeasuredFiles,
}

impl SpecInputs<'_> {
    fn add(&mut self, spec: &spec::ImageSpec, roots: &SourceRoots) -> Result<()> {
        // Lists all fields, so that a new key does not compile until it is decided which inputs it is part of.
        let spec::ImageSpec {
            apt_packages,
            commands,
            copy,
            requirements,
            python,
            dockerfile,
            secrets,
            builder_options,
            // Inputs of the environment if it runs commands, otherwise of the config alone.
            env,
            workdir,
            // Inputs of the config: `config_inputs`, and `own_inputs` of the pipeline.
            name: _,
            tag_format: _,
            builder: _,
            platforms: _,
            entrypoint: _,
            user: _,
            labels: _,
            annotations: _,
            ca_certificates: _,
            compression: _,
            launcher: _,
            auditable: _,
            // Inputs of the code.
            build: _,
            inputs: _,
            exclude: _,
            // Resolved to digests, which `environment_inputs` adds.
            base: _,
            builder_config: _,
            // Compared with the base, or without effect on the image.
            cuda: _,
            cudnn: _,
            key: _,
            origin: _,
            registry: _,
            runtime_libs: _,
            build_ca: _,
        } = spec;
        // The files of the context are part of the key, not its path.
        let spec::BuilderOptions {
            network,
            target,
            context: _,
        } = builder_options;
        self.texts("apt-packages", apt_packages);
        self.texts("commands", commands);
        self.text("builder-options.network", network.as_ref());
        self.text("builder-options.target", target.as_ref());
        // Commands run with these two; without commands they only affect the config.
        if !commands.is_empty() {
            for (name, value) in env {
                self.insert(&format!("env {name}"), Value::hash_of(&value.value));
            }
            self.text("workdir", workdir.as_ref());
        }
        self.python(python);
        if let Some(dockerfile) = dockerfile {
            self.insert(
                "dockerfile",
                Value::Hash(self.files.measure(dockerfile)?.hash),
            );
            let directory = context_of(spec, dockerfile);
            let list =
                |measure: &Measure<'_>| dockerfile_items(dockerfile, &directory, roots, measure);
            let context = self.files.context(dockerfile, &directory, list)?;
            let mut values = LongList::default();
            context
                .iter()
                .for_each(|item| values.push(&item_value(item)));
            self.insert("dockerfile context", values.finish());
        }
        if !secrets.is_empty() {
            // Which secrets a command may read, never their values.
            let secrets = secrets.iter().map(|secret| {
                Value::List(vec![
                    secret.id.as_str().into(),
                    Value::Bool(secret.required),
                ])
            });
            self.insert("secrets", Value::List(secrets.collect()));
        }
        // Cargo.lock is part of the key already, through the packages that it pins.
        for path in requirements
            .iter()
            .filter(|path| path.file_name().is_none_or(|name| name != "Cargo.lock"))
        {
            let name = |path: &Path| {
                format!(
                    "requirements {}",
                    path.strip_prefix(&roots.workspace)
                        .unwrap_or(path)
                        .display()
                )
            };
            self.insert(&name(path), Value::Hash(self.files.measure(path)?.hash));
            for included in requirements::included_files(path, roots, self.files)? {
                self.insert(
                    &name(&included),
                    Value::Hash(self.files.measure(&included)?.hash),
                );
            }
            if path.file_name().is_some_and(|name| name == "uv.lock") {
                let project = path.with_file_name("pyproject.toml");
                self.insert(
                    &name(&project),
                    Value::Hash(self.files.measure(&project)?.hash),
                );
            }
        }
        self.copies(copy, roots)
    }

    fn copies(&mut self, copies: &[spec::Copy], roots: &SourceRoots) -> Result<()> {
        let mut names = Vec::new();
        let mut seen = BTreeMap::new();
        for copy in copies {
            let mut name = format!("copy {} → {}", copy.typed, copy.to.value);
            let times = seen
                .entry(name.clone())
                .and_modify(|times| *times += 1)
                .or_insert(1);
            if *times > 1 {
                name = format!("{name} ({times})");
            }
            let items = self.files.copied(copy, roots)?;
            self.insert(&name, Value::List(items.iter().map(item_value).collect()));
            if let Some(owner) = &copy.owner {
                self.insert(&format!("{name} owner"), owner.value.as_str().into());
            }
            names.push(name);
        }
        // Two copies may write to the same path; whether they do depends on links of the base.
        if names.len() > 1 {
            self.insert("copy order", Value::texts(names));
        }
        Ok(())
    }

    fn python(&mut self, python: &spec::Python) {
        let spec::Python {
            packages,
            index,
            extra_index_url,
            extra_args,
            secret_mounts,
            version,
            exec,
            conda_packages,
            conda_channels,
            // Measured with all other requirements of the image.
            requirements: _,
            used: _,
        } = python;
        self.texts("pip-packages", packages);
        self.text("pip-index", index.as_ref());
        self.texts("pip-extra-index-url", extra_index_url);
        self.text("pip-extra-args", extra_args.as_ref());
        self.map("pip-secret-mounts", secret_mounts);
        self.text("python-version", version.as_ref());
        self.text("python-exec", exec.as_ref());
        self.texts("conda-packages", conda_packages);
        self.texts("conda-channels", conda_channels);
    }

    fn text(&mut self, name: &str, value: Option<&Sourced<String>>) {
        if let Some(value) = value {
            self.insert(name, value.value.as_str().into());
        }
    }

    fn texts(&mut self, name: &str, values: &[Sourced<String>]) {
        if !values.is_empty() {
            self.insert(
                name,
                Value::texts(values.iter().map(|value| value.value.as_str())),
            );
        }
    }

    fn map(&mut self, name: &str, values: &BTreeMap<String, Sourced<String>>) {
        if !values.is_empty() {
            self.insert(
                name,
                Value::Map(
                    values
                        .iter()
                        .map(|(name, value)| (name.clone(), value.value.as_str().into()))
                        .collect(),
                ),
            );
        }
    }

    fn insert(&mut self, name: &str, value: Value) {
        self.inputs.insert(format!("{}{name}", self.prefix), value);
    }
}

/// The value of one copied file, directory or link.
fn item_value(item: &Item) -> Value {
    let kind = match &item.kind {
        ItemKind::Directory => vec!["folder".into()],
        ItemKind::Link(target) => vec!["link".into(), target.as_str().into()],
        ItemKind::Pipe => vec!["pipe".into()],
        ItemKind::Device(device) => {
            let kind = if device.is_block {
                "block device"
            } else {
                "character device"
            };
            let numbers = [device.major, device.minor, device.mode]
                .map(|number| Value::Number(number.into()));
            [vec![kind.into()], numbers.into()].concat()
        }
        ItemKind::File { mode, measured, .. } => vec![
            "file".into(),
            Value::Number((*mode).into()),
            Value::Hash(measured.hash),
        ],
    };
    Value::List([vec![item.to.as_str().into()], kind].concat())
}
