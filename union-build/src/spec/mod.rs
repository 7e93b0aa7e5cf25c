//! The manifest: what `[package.metadata.union]` declares, as validated types.
//!
//! A manifest is read in one direction: [`raw`] (TOML with spans, checked against [`schema`]) →
//! [`merge`] (workspace defaults, package, environment, flags) → [`defaults`] (inheritance and
//! defaults) → [`validate`] (valid types, all problems at once). [`load`] runs all stages. Image
//! builds use only the types of this file, and task registration those of [`task`].

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use crate::diag::Origin;

mod backend;
mod builder;
pub mod defaults;
pub mod launcher;
mod load;
pub mod merge;
pub mod names;
mod package;
pub mod pages;
mod python;
pub mod raw;
pub mod schema;
mod settings;
pub mod starter;
pub mod task;
pub mod template;
pub mod time;
mod toml_text;
pub mod tree;
pub mod types;
pub mod validate;
pub mod value;
pub mod variables;

pub use backend::BackendChoice;
pub use builder::{BuilderChoice, BuilderConfig, BuilderOptions};
pub use load::load;
pub use merge::Overrides;
pub use package::PackageInfo;
pub use python::Python;
pub use raw::declares_union;
pub use settings::Setting;
pub use task::{Task, TaskKind};

/// A value with its origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sourced<T> {
    /// The value itself.
    pub value: T,
    /// Where the value was set.
    pub origin: Origin,
}

impl<T> std::ops::Deref for Sourced<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

/// Everything that one package declares, validated.
#[derive(Clone, Debug, PartialEq)]
pub struct Spec {
    /// Name of the package.
    pub package: String,
    /// Flyte project; `None` leaves it to the backend's configuration.
    pub project: Option<Sourced<String>>,
    /// Flyte domain; `None` leaves it to the backend's configuration.
    pub domain: Option<Sourced<String>>,
    /// Which generation of Flyte the tasks are registered with.
    pub backend: Sourced<BackendChoice>,
    /// Registry hosts, `host[:port]`, that may be contacted over plain HTTP; loopback always may.
    pub insecure_registries: BTreeSet<String>,
    /// Registry host → `host[:port][/path]` to read base images from instead.
    pub mirrors: BTreeMap<String, String>,
    /// Docker `config.json` to read credentials from, absolute; `None` is the default location.
    pub registry_config: Option<Sourced<PathBuf>>,
    /// Whether documents are attached to pushed images, also by a fallback tag; `None` is only where the registry has the
    /// referrers API.
    pub attest: Option<Sourced<bool>>,
    /// Image specs by name; never empty.
    pub images: BTreeMap<String, ImageSpec>,
    /// Tasks by name; empty when the package declares environments only.
    pub tasks: BTreeMap<String, Task>,
}

impl Spec {
    /// The sorted names of the binaries in an image: those of all tasks that run in it.
    pub fn binaries_of(&self, image: &str) -> BTreeSet<&str> {
        self.tasks
            .values()
            .filter(|task| task.image.value == image)
            .filter_map(|task| task.bin.as_deref().map(String::as_str))
            .collect()
    }

    /// Whether an image holds the launcher: a task names it, its table does not turn the launcher off, and there is one
    /// for all of its platforms.
    pub fn has_launcher(&self, image: &str) -> bool {
        let Some(spec) = self.images.get(image).filter(|spec| spec.launcher.value) else {
            return false;
        };
        spec.platforms
            .iter()
            .all(|platform| launcher::runs_on(platform))
            && self.tasks.values().any(|task| task.image.value == image)
    }
}

/// One image spec: an `images.NAME` table with every default filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageSpec {
    /// Name of the table; the constant in the generated file is its upper-case form.
    pub key: String,
    /// Where the table was declared.
    pub origin: Origin,
    /// Name of the repository below the registry.
    pub name: Sourced<String>,
    /// `host[:port][/path]`, without a scheme; `None` when no registry is set.
    pub registry: Option<Sourced<String>>,
    /// The tag; contains `{spec-hash}`.
    pub tag_format: Sourced<String>,
    /// What builds the environment.
    pub builder: Sourced<BuilderChoice>,
    /// What the environment starts from.
    pub base: Base,
    /// Platforms, in the order declared, never empty: `linux/amd64`, `linux/arm64/v8`.
    pub platforms: Vec<Sourced<String>>,
    /// How the crate is compiled for this image.
    pub build: Build,

    /// Debian packages to install, in order.
    pub apt_packages: Vec<Sourced<String>>,
    /// Commands to run, in order.
    pub commands: Vec<Sourced<String>>,
    /// Files to copy, in order.
    pub copy: Vec<Copy>,
    /// Lock files that pin dependencies, absolute.
    pub requirements: Vec<Sourced<PathBuf>>,
    /// Python packages and interpreters; needs the docker or the remote builder when it is not empty.
    pub python: Python,
    /// The CUDA version that the base must have.
    pub cuda: Option<Sourced<String>>,
    /// The cuDNN version that the base must have.
    pub cudnn: Option<Sourced<String>>,
    /// A Dockerfile that builds the environment, absolute.
    pub dockerfile: Option<Sourced<PathBuf>>,
    /// Secrets that are mounted while the environment is built.
    pub secrets: Vec<SecretSpec>,
    /// A PEM file with certificate authorities to trust while the environment is built, absolute.
    pub build_ca: Option<Sourced<PathBuf>>,
    /// Options of the docker builder.
    pub builder_options: BuilderOptions,
    /// Helper images of the docker builder.
    pub builder_config: BuilderConfig,

    /// Environment variables of the image, with those of extended images. A value may refer to variables of
    /// the base image; see [`variables`] for the syntax.
    pub env: BTreeMap<String, Sourced<String>>,
    /// Entrypoint; becomes the container's command when registered.
    pub entrypoint: Option<Sourced<Vec<String>>>,
    /// `user[:group]`, names or numbers.
    pub user: Option<Sourced<String>>,
    /// Absolute working directory, the image's own or that of an extended image.
    pub workdir: Option<Sourced<String>>,
    /// Labels of the config.
    pub labels: BTreeMap<String, Sourced<String>>,
    /// Annotations of the manifest.
    pub annotations: BTreeMap<String, Sourced<String>>,
    /// A PEM bundle that replaces the compiled-in one, absolute.
    pub ca_certificates: Option<Sourced<PathBuf>>,
    /// Shared libraries, by soname, that are provided at run time: by the node or by the program itself.
    pub runtime_libs: Vec<Sourced<String>>,
    /// How layers are compressed.
    pub compression: Sourced<Compression>,
    /// Whether the programs of tasks are started by the launcher.
    pub launcher: Sourced<bool>,
    /// Whether each binary gets the section `.dep-v0` with the list of its crates.
    pub auditable: Sourced<bool>,

    /// Further files that are hashed into the key, as globs relative to the directory of their manifest.
    pub inputs: Vec<Pattern>,
    /// Files that are not hashed into the key, as globs like `inputs`.
    pub exclude: Vec<Pattern>,
}

impl ImageSpec {
    /// The manifest keys of this spec that require a container engine or the remote builder, as
    /// `(key, origin)`; empty means that the native builder suffices.
    pub fn needs_to_run(&self) -> Vec<(&'static str, Origin)> {
        let mut needs = Vec::new();
        let mut add =
            |key, origin: Option<&Origin>| needs.extend(origin.map(|origin| (key, origin.clone())));
        add(
            "apt-packages",
            self.apt_packages.first().map(|value| &value.origin),
        );
        add("commands", self.commands.first().map(|value| &value.origin));
        add(
            "dockerfile",
            self.dockerfile.as_ref().map(|value| &value.origin),
        );
        for (key, origin) in &self.python.used {
            add(key, Some(origin));
        }
        add(
            "secrets",
            self.secrets.first().map(|value| &value.id.origin),
        );
        add(
            "build-ca",
            self.build_ca.as_ref().map(|value| &value.origin),
        );
        add("builder-options", self.builder_options.origin());
        add("builder-config", self.builder_config.origin());
        needs
    }

    /// Whether the backend builds the image, not this machine.
    pub fn is_remote(&self) -> bool {
        self.builder.value == BuilderChoice::Remote
    }

    /// How binaries are linked for this image; `on_scratch` says whether the lowest image of its chain
    /// starts from `scratch`.
    pub fn effective_link(&self, on_scratch: bool) -> Link {
        match self.build.link.value {
            Link::Auto if on_scratch => Link::Static,
            Link::Auto => Link::Dynamic,
            chosen => chosen,
        }
    }
}

/// The start of an environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Base {
    /// An empty file system.
    Scratch(Origin),
    /// A registry image, as typed or by default.
    Reference(Sourced<String>),
    /// The environment of another image spec of the package.
    Extends(Sourced<String>),
    /// The `FROM` of its Dockerfile.
    Dockerfile,
}

/// How layers are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// gzip, which all engines support.
    #[default]
    Gzip,
    /// zstd: smaller and faster, requires newer engines.
    Zstd,
}

/// How the crate is compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Build {
    /// Cargo profile.
    pub profile: Sourced<String>,
    /// Cargo features of the package.
    pub features: Vec<Sourced<String>>,
    /// Whether the package's default features are enabled.
    pub default_features: Sourced<bool>,
    /// How binaries are linked.
    pub link: Sourced<Link>,
    /// Where the crate is compiled.
    pub compile: Sourced<Compile>,
    /// Image with a toolchain for a container compile.
    pub rust_image: Option<Sourced<String>>,
    /// Debian packages that a container compile needs.
    pub apt_packages: Vec<Sourced<String>>,
    /// Environment variables of the compile.
    pub env: BTreeMap<String, Sourced<String>>,
}

/// How a binary is linked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Link {
    /// Static on `scratch`, else dynamic.
    #[default]
    Auto,
    /// No shared libraries.
    Static,
    /// Against the base image's C library.
    Dynamic,
}

/// Where the crate is compiled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compile {
    /// On the host when it has the toolchain for the platform.
    #[default]
    Auto,
    /// On the host.
    Host,
    /// With cargo-zigbuild.
    Zig,
    /// In a container of `rust_image`.
    Container,
}

/// One entry of `copy`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copy {
    /// Absolute source, in the workspace or in the package; a file or a directory.
    pub from: Sourced<PathBuf>,
    /// The source as typed.
    pub typed: String,
    /// Destination in the image, absolute, or relative to the working directory of the base image. For a
    /// source that is a file, a trailing `/` means "into this directory"; the content of a source that is a
    /// directory is placed below the destination.
    pub to: Sourced<String>,
    /// Permission bits of files; `None` derives them from the source: 0755 if it is executable, else 0644.
    pub mode: Option<Sourced<u32>>,
    /// Owner of the copied files, `user[:group]` by names or numbers; `None` is root.
    pub owner: Option<Sourced<String>>,
    /// Patterns of files to leave out of a directory, relative to it, in the syntax of `.dockerignore`.
    pub exclude: Vec<Sourced<String>>,
}

/// Whether a file of this name is a whiteout by the OCI layer specification: it removes another file.
pub fn is_whiteout(name: &str) -> bool {
    name.starts_with(".wh.")
}

/// One entry of `secrets`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretSpec {
    /// Name of the secret in the build.
    pub id: Sourced<String>,
    /// Where its value comes from.
    pub source: SecretSource,
    /// Whether the build fails when it has no value.
    pub required: bool,
}

/// The source of a secret's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// An environment variable.
    Env(String),
    /// A file, absolute.
    File(PathBuf),
    /// A secret of the backend with the same id.
    Backend,
}

/// A glob and the directory that it is relative to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// The glob as typed, with `/` between the parts.
    pub glob: Sourced<String>,
    /// Absolute directory of the manifest that declares the glob.
    pub directory: PathBuf,
}
