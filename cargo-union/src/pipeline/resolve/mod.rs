//! From a package's specs to the keys and tags of its images.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Result;
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
use crate::sys::cache::Cache;
use crate::sys::error::Error;
use crate::workspace::{AllLearned, Snapshot, UnionLock, Workspace, WorkspacePackage, check_unchanged, launcher};
use bases::LockMode;

pub(crate) mod bases;
mod code;
pub(crate) mod compilers;
pub(crate) mod cuda;
pub(crate) mod rust_image;
mod stage;
pub(crate) mod variables;

pub(crate) use code::{CodeSpec, PlatformCompile, compile_settings, linkage, secret_files, unasked};
use stage::EnvironmentInputs;
pub(crate) use stage::EnvironmentPlan;

/// Who is asked about bases.
pub(crate) struct ResolveContext<'a> {
    /// Where they come from.
    pub(crate) source: &'a Arc<dyn BaseSource>,
    /// What is known of them already.
    pub(crate) cache: &'a Cache,
    /// Whether they may be asked for at all.
    pub(crate) policy: LockMode,
    /// Whether binaries are checked against what is in the image. One that is not has another tag, so that nobody
    /// takes it for one that was.
    pub(crate) checks: bool,
}

/// An image spec with everything that its tag is made from.
#[derive(Clone, Debug)]
pub(crate) struct ResolvedImage {
    /// Name of its table.
    pub(crate) name: String,
    /// Its own spec and those that it extends.
    pub(crate) chain: ImageChain,
    /// The base for each platform; `None` is scratch.
    pub(crate) bases: PerPlatform<Option<LockedBase>>,
    /// The base for all platforms at once; `None` is scratch, or a Dockerfile's.
    pub(crate) base: Option<PinnedRef>,
    /// What of its environment an engine has to make.
    pub(crate) made: Option<EnvironmentPlan>,
    /// What of its chain is left for the native builder.
    pub(crate) left: Vec<spec::Image>,
    /// Its binaries and how they are compiled; `None` for an environment.
    pub(crate) code: Option<CodeSpec>,
    /// Whether it holds the launcher.
    pub(crate) launcher: bool,
    /// What its environment is made upon, besides what the chain says.
    ground: EnvironmentInputs,
    /// The key of its environment.
    pub(crate) environment: Key,
    /// Its own inputs, all together.
    pub(crate) inputs: Inputs,
    /// The own keys of the package's other images, whose tags the binaries embed.
    others: BTreeMap<String, Key>,
    /// The full key, from which the tag is made.
    pub(crate) key: Key,
    /// The tag.
    pub(crate) tag: String,
}

impl ResolvedImage {
    /// Its own spec.
    pub(crate) fn spec(&self) -> &spec::Image {
        self.chain.own()
    }

    /// Where its files come from.
    pub(crate) fn roots(&self) -> &SourceRoots {
        &self.ground.roots
    }

    /// Whether the backend makes it.
    pub(crate) fn is_remote(&self) -> bool {
        environment::is_remote(self.spec())
    }

    /// Where it is in its registry, when one is set.
    pub(crate) fn reference(&self) -> Option<ImageRef> {
        let spec = self.spec();
        spec.registry.as_ref().map(|registry| Repository::below(registry, &spec.name).tagged(self.tag.clone()))
    }

    /// What the copied files held when its key was made.
    pub(crate) fn files(&self) -> Arc<MeasuredFiles> {
        self.ground.files.clone()
    }

    /// Its binaries, sorted; none for an environment.
    pub(crate) fn binaries(&self) -> Vec<String> {
        self.code.iter().flat_map(|code| code.binaries.iter().cloned()).collect()
    }

    /// Everything that its tag is made from, as a plan shows it. What the manifest says of variables is no secret, and
    /// stands there as it is; in keys it is a hash, as what a shell says of others.
    pub(crate) fn shown_inputs(&self) -> BTreeMap<String, String> {
        let own = self.inputs.iter().map(|(name, value)| (name.to_owned(), value.to_string()));
        let others = self.others.iter().map(|(name, key)| (format!("reference to image `{name}`"), Value::from(*key).to_string()));
        let mut shown: BTreeMap<String, String> = own.chain(others).collect();
        let own = self.spec();
        let of_images = self.chain.iter().flat_map(|spec| {
            let prefix = if spec.key == own.key { String::new() } else { format!("{}: ", spec.key) };
            spec.env.iter().map(move |(name, value)| (format!("{prefix}env {name}"), &value.value))
        });
        let of_code = self.code.iter().flat_map(|code| &code.compile.env).map(|(name, value)| (format!("build.env.{name}"), value));
        for (name, value) in of_images.chain(of_code) {
            if let Some(known) = shown.get_mut(&name) {
                *known = Value::from(value.as_str()).to_string();
            }
        }
        shown
    }

    /// Looks again at everything the key was made from.
    ///
    /// # Errors
    /// `InputsMoved`, which names what is not what it was.
    pub(crate) fn check_unchanged(
        &self,
        package: &WorkspacePackage,
        again: &Snapshot<'_>,
        files: &MeasuredFiles,
        learned: &AllLearned,
    ) -> Result<()> {
        let own = own_inputs(&self.chain, &self.ground, &self.binaries(), self.launcher, files)?;
        let code = self.code.as_ref().map(|code| again.inputs(package, &code.settings(self.spec()), learned));
        check_unchanged(&self.inputs, &own.into_inputs(code.transpose()?.map(|code| code.inputs)))?;
        Ok(())
    }
}

/// What an image declares, in two parts.
struct DeclaredInputs {
    environment: Inputs,
    config: Inputs,
}

impl DeclaredInputs {
    /// Every input by its own name, for whoever wants to know which has changed.
    fn into_inputs(self, code: Option<Inputs>) -> Inputs {
        let mut all = self.environment;
        all.extend(self.config);
        all.extend(code.unwrap_or_default());
        all
    }
}

/// Computes the keys of all images of a package. Bases that are not locked yet are asked for.
///
/// # Errors
/// What bases, sources and targets can end with.
pub(crate) async fn compute(
    declared: &UnionPackage,
    workspace: &Workspace,
    snapshot: &Snapshot<'_>,
    lock: &mut UnionLock,
    ask: &ResolveContext<'_>,
) -> Result<Vec<ResolvedImage>> {
    let mut images = Vec::new();
    let files = Arc::new(MeasuredFiles::new(ask.cache));
    for spec in declared.spec.images.values() {
        images.push(image(declared, workspace, spec, snapshot, lock, ask, &files).await?);
    }
    let own: BTreeMap<String, Key> = images.iter().map(|resolved| (resolved.name.clone(), resolved.key)).collect();
    for resolved in &mut images {
        // An environment embeds nothing: its own key is all there is to it.
        if resolved.code.is_some() {
            resolved.key = tag_key(&resolved.name, &own);
            resolved.others = own.iter().filter(|(name, _)| **name != resolved.name).map(|(name, key)| (name.clone(), *key)).collect();
        }
        resolved.tag = resolved.spec().tag_format.replace("{spec-hash}", &resolved.key.spec_hash());
    }
    Ok(images)
}

async fn image(
    declared: &UnionPackage,
    workspace: &Workspace,
    spec: &spec::Image,
    snapshot: &Snapshot<'_>,
    lock: &mut UnionLock,
    ask: &ResolveContext<'_>,
    files: &Arc<MeasuredFiles>,
) -> Result<ResolvedImage> {
    let chain = ImageChain::resolve(&declared.spec.images, spec);
    let platforms = platforms(spec)?;
    let bases = match chain.base() {
        Base::Reference(base) => bases::locked(base, &platforms, lock, &**ask.source, ask.policy).await?,
        Base::Scratch(_) | Base::Extends(_) | Base::Dockerfile => platforms.iter().map(|platform| (platform.clone(), None)).collect(),
    };
    let base = multi_platform_base(chain.base(), &bases, lock);
    let ground = stage::ground((declared, workspace), &chain, &bases, snapshot, lock, ask, files.clone()).await?;
    let (made, left) = environment::EnvironmentStage::of(&chain);
    let made = made.map(|made| ground.made(made)).transpose()?;
    let code = code::code(declared, &chain, &bases, snapshot, lock, ask).await?;
    let binaries: Vec<String> = code.iter().flat_map(|code| code.binaries.iter().cloned()).collect();
    let launcher = declared.spec.has_launcher(&spec.key);
    let own = own_inputs(&chain, &ground, &binaries, launcher, files)?;
    let environment = own.environment.key("environment");
    let mut all = own.config.clone();
    all.insert("environment", environment);
    if let Some(code) = &code {
        all.extend(code.inputs.inputs.clone());
    }
    Ok(ResolvedImage {
        name: spec.key.clone(),
        base,
        bases,
        launcher,
        made,
        left,
        ground,
        environment,
        inputs: own.into_inputs(code.as_ref().map(|code| code.inputs.inputs.clone())),
        others: BTreeMap::new(),
        key: all.key("image"),
        tag: String::new(),
        code,
        chain,
    })
}

/// The base that stands for all platforms: an index, or the only one's own image.
fn multi_platform_base(base: &Base, bases: &PerPlatform<Option<LockedBase>>, lock: &UnionLock) -> Option<PinnedRef> {
    let Base::Reference(typed) = base else { return None };
    let mut locked = bases.values();
    let first = locked.next()?.as_ref()?;
    let digest = if locked.next().is_none() { first.digest } else { lock.entry(typed)?.digest };
    Some(first.repository.pinned(digest))
}

/// The inputs of the environment and of the config. The name and the tag's format belong to the
/// latter, for every binary of the package embeds them; the registry does not, so that an image can
/// be promoted.
fn own_inputs(
    chain: &ImageChain,
    ground: &EnvironmentInputs,
    binaries: &[String],
    launcher: bool,
    files: &MeasuredFiles,
) -> Result<DeclaredInputs> {
    let platforms: Vec<Platform> = ground.bases.platforms().cloned().collect();
    let binaries: Vec<&str> = binaries.iter().map(String::as_str).collect();
    let mut config = config_inputs(chain, &platforms, &binaries, files)?;
    let spec = chain.own();
    config.insert("name", spec.name.as_str());
    config.insert("tag-format", spec.tag_format.as_str());
    if launcher {
        config.insert("launcher", launcher::version());
    }
    if !ground.checks && !binaries.is_empty() {
        config.insert("start-check", "skipped");
    }
    Ok(DeclaredInputs { environment: ground.inputs(chain, files)?, config })
}

/// The platforms of a spec, in the order declared.
///
/// # Errors
/// `InvalidValue`; validation has caught it before.
pub(crate) fn platforms(spec: &spec::Image) -> Result<Vec<Platform>, Error> {
    let parse = |text: &spec::Sourced<String>| {
        let invalid = |cause| Error::new(Code::InvalidValue, format!("could not read a platform of `{}`", spec.key)).because(cause);
        text.parse().map_err(invalid)
    };
    spec.platforms.iter().map(parse).collect()
}
