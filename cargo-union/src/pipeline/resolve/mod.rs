//! Resolves the images of a package: bases, inputs, content keys and tags.

use std::collections::BTreeMap;
use std::sync::Arc;

use union_build::diag::Code;
use union_build::key::{Inputs, Key, Value, tag_key};
use union_build::spec::{self, Base};

use crate::build::environment;
use crate::build::inputs::config_inputs;
use crate::build::{ImageChain, LockedBase, MeasuredFiles, SourceRoots};
use crate::image::BaseSource;
use crate::image::per_platform::PerPlatform;
use crate::image::platform::Platform;
use crate::image::reference::{ImageRef, PinnedRef, Repository};
use crate::pipeline::context::UnionPackage;
use crate::pipeline::problems::Result;
use crate::sys::cache::Cache;
use crate::sys::error::Error;
use crate::workspace::{
    LearnedPackages, Snapshot, UnionLock, Workspace, WorkspacePackage, check_unchanged, launcher,
};
use bases::LockMode;

pub(crate) mod bases;
mod code;
pub(crate) mod compilers;
pub(crate) mod cuda;
pub(crate) mod rust_image;
mod stage;
pub(crate) mod variables;

pub(crate) use code::{
    CodeSpec, PlatformCompile, compile_settings, linkage, prefer_host_error, secret_files,
};
use stage::EnvironmentInputs;
pub(crate) use stage::EnvironmentPlan;

/// How bases are resolved.
pub(crate) struct ResolveContext<'a> {
    pub(crate) source: &'a Arc<dyn BaseSource>,
    /// The cache of blobs and layer indexes.
    pub(crate) cache: &'a Cache,
    pub(crate) policy: LockMode,
    /// Whether binaries are checked against the libraries of their image. An unchecked image has another tag, so that
    /// it is not taken for a checked one.
    pub(crate) checks: bool,
}

/// An image with everything that its tag is computed from.
#[derive(Clone, Debug)]
pub(crate) struct ResolvedImage {
    /// The key of the image in the manifest.
    pub(crate) name: String,
    /// Its own spec and those that it extends.
    pub(crate) chain: ImageChain,
    /// The base for each platform; `None` is scratch or a Dockerfile.
    pub(crate) bases: PerPlatform<Option<LockedBase>>,
    /// The base for all platforms, an index if there are several; `None` is scratch or a Dockerfile.
    pub(crate) base: Option<PinnedRef>,
    /// The environment that an engine has to build; `None` if no step needs an engine.
    pub(crate) environment_plan: Option<EnvironmentPlan>,
    /// The part of the chain that the native builder adds to the environment or base.
    pub(crate) native_steps: Vec<spec::ImageSpec>,
    /// Its binaries and how they are compiled; `None` if it has none.
    pub(crate) code: Option<CodeSpec>,
    /// Whether it holds the launcher.
    pub(crate) launcher: bool,
    environment_inputs: EnvironmentInputs,
    pub(crate) environment_key: Key,
    /// All of its own inputs: environment, config and code.
    pub(crate) inputs: Inputs,
    /// The own keys of the package's other images, whose tags the binaries embed.
    others: BTreeMap<String, Key>,
    /// The content key, from which the tag is formed.
    pub(crate) key: Key,
    pub(crate) tag: String,
}

impl ResolvedImage {
    /// Its own spec, the last one of the chain.
    pub(crate) fn spec(&self) -> &spec::ImageSpec {
        self.chain.own()
    }

    /// The directories from which its files are copied.
    pub(crate) fn roots(&self) -> &SourceRoots {
        &self.environment_inputs.roots
    }

    /// Whether the backend builds it.
    pub(crate) fn is_remote(&self) -> bool {
        self.spec().is_remote()
    }

    /// Its reference, if a registry is set.
    pub(crate) fn reference(&self) -> Option<ImageRef> {
        let spec = self.spec();
        spec.registry
            .as_ref()
            .map(|registry| Repository::below(registry, &spec.name).tagged(self.tag.clone()))
    }

    /// The content of the copied files at the time when the key was computed.
    pub(crate) fn files(&self) -> Arc<MeasuredFiles> {
        self.environment_inputs.files.clone()
    }

    /// The names of its binaries, sorted.
    pub(crate) fn binaries(&self) -> Vec<String> {
        self.code
            .iter()
            .flat_map(|code| code.binaries.iter().cloned())
            .collect()
    }

    /// Every input of the key by name, with its value. Variables and secrets are hashes.
    pub(crate) fn key_inputs(&self) -> BTreeMap<String, Value> {
        let own = self
            .inputs
            .iter()
            .map(|(name, value)| (name.to_owned(), value.clone()));
        let others = self
            .others
            .iter()
            .map(|(name, key)| (format!("reference to image `{name}`"), Value::from(*key)));
        own.chain(others).collect()
    }

    /// Every input by name, as a plan shows it. Variables are hashed in a key, but those of the manifest are not secret and
    /// are shown with their values.
    pub(crate) fn shown_inputs(&self) -> BTreeMap<String, String> {
        let mut shown: BTreeMap<String, String> = self
            .key_inputs()
            .into_iter()
            .map(|(name, value)| (name, value.to_string()))
            .collect();
        let own = self.spec();
        let of_images = self.chain.iter().flat_map(|spec| {
            let prefix = if spec.key == own.key {
                String::new()
            } else {
                format!("{}: ", spec.key)
            };
            spec.env
                .iter()
                .map(move |(name, value)| (format!("{prefix}env {name}"), &value.value))
        });
        let of_code = self
            .code
            .iter()
            .flat_map(|code| &code.compile.env)
            .map(|(name, value)| (format!("build.env.{name}"), value));
        for (name, value) in of_images.chain(of_code) {
            if let Some(shown_value) = shown.get_mut(&name) {
                *shown_value = Value::from(value.as_str()).to_string();
            }
        }
        shown
    }

    /// Computes all inputs again from a new snapshot, and compares them.
    ///
    /// # Errors
    /// `InputsMoved`, with the names of the changed inputs.
    pub(crate) fn check_unchanged(
        &self,
        package: &WorkspacePackage,
        new_snapshot: &Snapshot<'_>,
        files: &MeasuredFiles,
        learned: &LearnedPackages,
    ) -> Result<()> {
        let own = own_inputs(
            &self.chain,
            &self.environment_inputs,
            &self.binaries(),
            self.launcher,
            files,
        )?;
        let code = self
            .code
            .as_ref()
            .map(|code| new_snapshot.inputs(package, &code.input_options(self.spec()), learned));
        check_unchanged(
            &self.inputs,
            &own.into_inputs(code.transpose()?.map(|code| code.inputs)),
        )?;
        Ok(())
    }
}

/// The declared inputs of an image, in two parts.
struct DeclaredInputs {
    environment: Inputs,
    config: Inputs,
}

impl DeclaredInputs {
    /// All inputs by name, including those of the code.
    fn into_inputs(self, code: Option<Inputs>) -> Inputs {
        let mut all = self.environment;
        all.extend(self.config);
        all.extend(code.unwrap_or_default());
        all
    }
}

/// Resolves all images of a package. Bases that Union.lock lacks are resolved by their registry.
///
/// # Errors
/// `UnionLockStale`; errors of registries; sources that cannot be read; targets that are not supported.
pub(crate) async fn compute(
    package: &UnionPackage,
    workspace: &Workspace,
    snapshot: &Snapshot<'_>,
    lock: &mut UnionLock,
    context: &ResolveContext<'_>,
) -> Result<Vec<ResolvedImage>> {
    let mut images = Vec::new();
    let files = Arc::new(MeasuredFiles::new(context.cache));
    for spec in package.spec.images.values() {
        images
            .push(resolve_image(package, workspace, spec, snapshot, lock, context, &files).await?);
    }
    let own_keys: BTreeMap<String, Key> = images
        .iter()
        .map(|resolved| (resolved.name.clone(), resolved.key))
        .collect();
    for resolved in &mut images {
        // Binaries embed the references of all images. An image without binaries depends on its own key only.
        if resolved.code.is_some() {
            resolved.key = tag_key(&resolved.name, &own_keys);
            resolved.others = own_keys
                .iter()
                .filter(|(name, _)| **name != resolved.name)
                .map(|(name, key)| (name.clone(), *key))
                .collect();
        }
        resolved.tag = resolved
            .spec()
            .tag_format
            .replace("{spec-hash}", &resolved.key.spec_hash());
    }
    Ok(images)
}

async fn resolve_image(
    package: &UnionPackage,
    workspace: &Workspace,
    spec: &spec::ImageSpec,
    snapshot: &Snapshot<'_>,
    lock: &mut UnionLock,
    context: &ResolveContext<'_>,
    files: &Arc<MeasuredFiles>,
) -> Result<ResolvedImage> {
    let chain = ImageChain::resolve(&package.spec.images, spec);
    let platforms = platforms(spec)?;
    let bases = match chain.base() {
        Base::Reference(base) => {
            bases::locked(base, &platforms, lock, &**context.source, context.policy).await?
        }
        Base::Scratch(_) | Base::Extends(_) | Base::Dockerfile => platforms
            .iter()
            .map(|platform| (platform.clone(), None))
            .collect(),
    };
    let base = multi_platform_base(chain.base(), &bases, lock);
    let environment_inputs = stage::resolve_environment_inputs(
        (package, workspace),
        &chain,
        &bases,
        snapshot,
        lock,
        context,
        files.clone(),
    )
    .await?;
    let (stage, native_steps) = environment::EnvironmentStage::of(&chain);
    let environment_plan = stage
        .map(|stage| environment_inputs.plan_stage(stage))
        .transpose()?;
    let code = code::resolve_code(package, &chain, &bases, snapshot, lock, context).await?;
    let binaries: Vec<String> = code
        .iter()
        .flat_map(|code| code.binaries.iter().cloned())
        .collect();
    let launcher = package.spec.has_launcher(&spec.key);
    let own = own_inputs(&chain, &environment_inputs, &binaries, launcher, files)?;
    let environment_key = own.environment.key("environment");
    let mut key_inputs = own.config.clone();
    key_inputs.insert("environment", environment_key);
    if let Some(code) = &code {
        key_inputs.extend(code.inputs.inputs.clone());
    }
    Ok(ResolvedImage {
        name: spec.key.clone(),
        base,
        bases,
        launcher,
        environment_plan,
        native_steps,
        environment_inputs,
        environment_key,
        inputs: own.into_inputs(code.as_ref().map(|code| code.inputs.inputs.clone())),
        others: BTreeMap::new(),
        key: key_inputs.key("image"),
        tag: String::new(),
        code,
        chain,
    })
}

/// The index of the base, or its image if there is only one platform.
fn multi_platform_base(
    base: &Base,
    bases: &PerPlatform<Option<LockedBase>>,
    lock: &UnionLock,
) -> Option<PinnedRef> {
    let Base::Reference(reference) = base else {
        return None;
    };
    let mut locked = bases.values();
    let first = locked.next()?.as_ref()?;
    let digest = if locked.next().is_none() {
        first.digest
    } else {
        lock.entry(reference)?.digest
    };
    Some(first.repository.pinned(digest))
}

/// The inputs of the environment and of the config. The config includes the name and the tag format, since every binary
/// of the package embeds them. It does not include the registry, so that an image can be promoted to another one.
fn own_inputs(
    chain: &ImageChain,
    environment_inputs: &EnvironmentInputs,
    binaries: &[String],
    launcher: bool,
    files: &MeasuredFiles,
) -> Result<DeclaredInputs> {
    let platforms: Vec<Platform> = environment_inputs.bases.platforms().cloned().collect();
    let binaries: Vec<&str> = binaries.iter().map(String::as_str).collect();
    let mut config = config_inputs(chain, &platforms, &binaries, files)?;
    let spec = chain.own();
    config.insert("name", spec.name.as_str());
    config.insert("tag-format", spec.tag_format.as_str());
    if launcher {
        config.insert("launcher", launcher::version());
    }
    if !environment_inputs.checks && !binaries.is_empty() {
        config.insert("start-check", "skipped");
    }
    Ok(DeclaredInputs {
        environment: environment_inputs.inputs(chain, files)?,
        config,
    })
}

/// Parses the platforms of a spec, in the declared order.
///
/// # Errors
/// `InvalidValue`, which the validation of the manifest has already ruled out.
pub(crate) fn platforms(spec: &spec::ImageSpec) -> Result<Vec<Platform>, Error> {
    let parse = |text: &spec::Sourced<String>| {
        let invalid = |cause| {
            Error::new(
                Code::InvalidValue,
                format!("could not read a platform of `{}`", spec.key),
            )
            .because(cause)
        };
        text.parse().map_err(invalid)
    };
    spec.platforms.iter().map(parse).collect()
}
