//! From a package's specs to the keys and tags of its images.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use union_build::diag::Code;
use union_build::key::{Inputs, Key, Value, tag_key};
use union_build::spec::{self, Base, Link, Spec};

use super::bases::{self, Policy};
use super::session::Declared;
use crate::base::error::Error;
use crate::build::LockedBase;
use crate::build::environment::{self, tools};
use crate::build::inputs::{Environment, config_inputs, environment_inputs};
use crate::image::BaseSource;
use crate::image::digest::Digest;
use crate::image::platform::Platform;
use crate::image::reference::{ImageRef, Repository};
use crate::workspace::targets::target_for;
use crate::workspace::{CodeInputs, CompileSettings, Linkage, Package, Settings, Snapshot, UnionLock, Workspace, unmoved};

/// An image spec with everything that its tag is made from.
#[derive(Clone, Debug)]
pub(super) struct Keyed {
    /// Name of its table.
    pub(super) name: String,
    /// The specs that it extends, outermost base first, and its own spec last.
    pub(super) chain: Vec<spec::Image>,
    /// The base for each platform, in the order declared; `None` is scratch.
    pub(super) bases: Vec<(Platform, Option<LockedBase>)>,
    /// What of its environment an engine has to make.
    pub(super) made: Option<Made>,
    /// What of its chain is left for the native builder.
    pub(super) left: Vec<spec::Image>,
    /// Its binaries and how they are compiled; `None` for an environment.
    pub(super) code: Option<Crate>,
    /// What its environment is made upon, besides what the chain says.
    ground: Ground,
    /// The key of its environment.
    pub(super) environment: Key,
    /// Its own inputs, all together.
    pub(super) inputs: Inputs,
    /// The own keys of the package's other images, whose tags the binaries embed.
    others: BTreeMap<String, Key>,
    /// The full key, from which the tag is made.
    pub(super) key: Key,
    /// The tag.
    pub(super) tag: String,
}

/// An environment that an engine has to make, and those that it starts from.
#[derive(Clone, Debug)]
pub(super) struct Made {
    /// The environment that it starts from; `None` is the base.
    pub(super) start: Option<Box<Made>>,
    /// What is made upon it.
    pub(super) steps: Vec<spec::Image>,
    /// Its key.
    pub(super) key: Key,
    /// Images with tools that its steps need, for each platform.
    pub(super) tools: Vec<BTreeMap<String, LockedBase>>,
}

impl Made {
    /// Its tag: in a registry it stands beside the images that start from it.
    pub(super) fn tag(&self) -> String {
        format!("env-{}", self.key.spec_hash())
    }

    /// The spec that it belongs to.
    pub(super) fn spec(&self) -> &spec::Image {
        self.steps.last().expect("an environment has the step that asked for it")
    }
}

/// What environments are made upon.
#[derive(Clone, Debug)]
struct Ground {
    /// The base's digest for each platform.
    bases: Vec<(Platform, Option<Digest>)>,
    /// Images with tools for each platform.
    tools: Vec<(Platform, BTreeMap<String, LockedBase>)>,
    /// Generations in Union.lock by spec.
    generations: BTreeMap<String, u32>,
}

impl Ground {
    /// The inputs of what some specs make.
    fn inputs(&self, steps: &[spec::Image], workspace: &Workspace) -> Result<Inputs> {
        let needed = tools(steps);
        let tools = self.tools.iter().map(|(platform, tools)| {
            let digests = tools.iter().filter(|(reference, _)| needed.contains(reference.as_str()));
            (platform.clone(), digests.map(|(reference, tool)| (reference.clone(), tool.digest)).collect())
        });
        let tools: Vec<_> = tools.collect();
        let generations: Vec<u32> = steps.iter().map(|spec| self.generations[&spec.key]).collect();
        let environment =
            Environment { chain: steps, bases: &self.bases, tools: &tools, generations: &generations, workspace: &workspace.root };
        Ok(environment_inputs(&environment)?)
    }

    fn made(&self, environment: environment::Environment, workspace: &Workspace) -> Result<Made> {
        let key = self.inputs(&environment.all_steps(), workspace)?.key("environment");
        let needed = environment.tools();
        let of = |(_, tools): &(Platform, BTreeMap<String, LockedBase>)| {
            tools
                .iter()
                .filter(|(reference, _)| needed.contains(reference.as_str()))
                .map(|(name, tool)| (name.clone(), tool.clone()))
                .collect()
        };
        let tools = self.tools.iter().map(of).collect();
        let start = environment.start.map(|start| self.made(*start, workspace)).transpose()?.map(Box::new);
        Ok(Made { start, steps: environment.steps, key, tools })
    }
}

/// The part of the crate that an image carries.
#[derive(Clone, Debug)]
pub(super) struct Crate {
    /// The binaries, sorted.
    pub(super) binaries: BTreeSet<String>,
    /// How they are compiled.
    pub(super) compile: CompileSettings,
    /// The target for each platform, in the order of the platforms.
    pub(super) targets: Vec<String>,
    /// What they are compiled from.
    pub(super) inputs: CodeInputs,
}

impl Keyed {
    /// Its own spec.
    pub(super) fn spec(&self) -> &spec::Image {
        self.chain.last().expect("a chain ends with the image's own spec")
    }

    /// Where it is in its registry, when one is set.
    pub(super) fn reference(&self) -> Option<ImageRef> {
        let spec = self.spec();
        spec.registry.as_ref().map(|registry| Repository::below(registry, &spec.name).tagged(self.tag.clone()))
    }

    /// Its binaries, sorted; none for an environment.
    pub(super) fn binaries(&self) -> Vec<String> {
        self.code.iter().flat_map(|code| code.binaries.iter().cloned()).collect()
    }

    /// Everything that its tag is made from, as short as a plan shows it.
    pub(super) fn shown_inputs(&self) -> BTreeMap<String, String> {
        let own = self.inputs.iter().map(|(name, value)| (name.to_owned(), value.to_string()));
        let others = self.others.iter().map(|(name, key)| (format!("reference to image `{name}`"), Value::from(*key).to_string()));
        own.chain(others).collect()
    }

    /// Looks again at everything the key was made from.
    ///
    /// # Errors
    /// `InputsMoved`, which names what is not what it was.
    pub(super) fn check_unmoved(&self, package: &Package, workspace: &Workspace, again: &Snapshot<'_>) -> Result<()> {
        let own = own_inputs(&self.chain, &self.ground, &self.binaries(), workspace)?;
        let code = self.code.as_ref().map(|code| {
            let settings = settings(self.spec(), &code.binaries, &code.compile, &code.targets);
            again.inputs(package, &settings)
        });
        unmoved(&self.inputs, &own.together(code.transpose()?.map(|code| code.inputs)))?;
        Ok(())
    }
}

/// What an image declares, in two parts.
struct Own {
    environment: Inputs,
    config: Inputs,
}

impl Own {
    /// Every input by its own name, for whoever wants to know which has changed.
    fn together(self, code: Option<Inputs>) -> Inputs {
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
pub(super) async fn compute(
    declared: &Declared,
    workspace: &Workspace,
    snapshot: &Snapshot<'_>,
    lock: &mut UnionLock,
    source: &dyn BaseSource,
    policy: Policy,
) -> Result<Vec<Keyed>> {
    let mut images = Vec::new();
    for spec in declared.spec.images.values() {
        images.push(image(declared, workspace, spec, snapshot, lock, source, policy).await?);
    }
    let own: BTreeMap<String, Key> = images.iter().map(|keyed| (keyed.name.clone(), keyed.key)).collect();
    for keyed in &mut images {
        // An environment embeds nothing: its own key is all there is to it.
        if keyed.code.is_some() {
            keyed.key = tag_key(&keyed.name, &own);
            keyed.others = own.iter().filter(|(name, _)| **name != keyed.name).map(|(name, key)| (name.clone(), *key)).collect();
        }
        keyed.tag = keyed.spec().tag_format.replace("{spec-hash}", &keyed.key.spec_hash());
    }
    Ok(images)
}

async fn image(
    declared: &Declared,
    workspace: &Workspace,
    spec: &spec::Image,
    snapshot: &Snapshot<'_>,
    lock: &mut UnionLock,
    source: &dyn BaseSource,
    policy: Policy,
) -> Result<Keyed> {
    let chain = chain(&declared.spec, spec);
    let platforms = platforms(spec)?;
    let bases = match &chain[0].base {
        Base::Reference(base) => bases::locked(base, &platforms, lock, source, policy).await?,
        Base::Scratch(_) | Base::Extends(_) | Base::Dockerfile => platforms.iter().map(|platform| (platform.clone(), None)).collect(),
    };
    let ground = ground(declared, &chain, &bases, lock, source, policy).await?;
    let (made, left) = environment::Environment::of(&chain);
    let made = made.map(|made| ground.made(made, workspace)).transpose()?;
    let code = code(declared, spec, &chain[0].base, &platforms, snapshot)?;
    let binaries: Vec<String> = code.iter().flat_map(|code| code.binaries.iter().cloned()).collect();
    let own = own_inputs(&chain, &ground, &binaries, workspace)?;
    let environment = own.environment.key("environment");
    let mut all = own.config.clone();
    all.insert("environment", environment);
    if let Some(code) = &code {
        all.extend(code.inputs.inputs.clone());
    }
    Ok(Keyed {
        name: spec.key.clone(),
        bases,
        made,
        left,
        ground,
        environment,
        inputs: own.together(code.as_ref().map(|code| code.inputs.inputs.clone())),
        others: BTreeMap::new(),
        key: all.key("image"),
        tag: String::new(),
        code,
        chain,
    })
}

/// The inputs of the environment and of the config. The name and the tag's format belong to the
/// latter, for every binary of the package embeds them; the registry does not, so that an image can
/// be promoted.
fn own_inputs(chain: &[spec::Image], ground: &Ground, binaries: &[String], workspace: &Workspace) -> Result<Own> {
    let platforms: Vec<Platform> = ground.bases.iter().map(|(platform, _)| platform.clone()).collect();
    let binaries: Vec<&str> = binaries.iter().map(String::as_str).collect();
    let mut config = config_inputs(chain, &platforms, &binaries)?;
    let spec = chain.last().expect("a chain ends with the image's own spec");
    config.insert("name", spec.name.as_str());
    config.insert("tag-format", spec.tag_format.as_str());
    Ok(Own { environment: ground.inputs(chain, workspace)?, config })
}

/// Looks up what the environments of a chain are made upon. Images with tools are locked as bases are.
async fn ground(
    declared: &Declared,
    chain: &[spec::Image],
    bases: &[(Platform, Option<LockedBase>)],
    lock: &mut UnionLock,
    source: &dyn BaseSource,
    policy: Policy,
) -> Result<Ground> {
    let platforms: Vec<Platform> = bases.iter().map(|(platform, _)| platform.clone()).collect();
    let mut by_platform: Vec<(Platform, BTreeMap<String, LockedBase>)> =
        platforms.iter().map(|platform| (platform.clone(), BTreeMap::new())).collect();
    for reference in tools(chain) {
        let locked = bases::locked(reference, &platforms, lock, source, policy).await?;
        for ((_, tools), (_, tool)) in by_platform.iter_mut().zip(locked) {
            tools.extend(tool.map(|tool| (reference.to_owned(), tool)));
        }
    }
    let generation = |spec: &spec::Image| (spec.key.clone(), lock.generation(&declared.package.name, &spec.key));
    Ok(Ground {
        bases: bases.iter().map(|(platform, base)| (platform.clone(), base.as_ref().map(|base| base.digest))).collect(),
        tools: by_platform,
        generations: chain.iter().map(generation).collect(),
    })
}

fn code(declared: &Declared, spec: &spec::Image, base: &Base, platforms: &[Platform], snapshot: &Snapshot<'_>) -> Result<Option<Crate>> {
    let binaries: BTreeSet<String> = declared.spec.binaries_of(&spec.key).into_iter().map(str::to_owned).collect();
    if binaries.is_empty() {
        return Ok(None);
    }
    let linkage = linkage(spec, base);
    let compile = compile_settings(spec, linkage);
    let target = |platform| target_for(platform, linkage, snapshot.toolchain());
    let targets = platforms.iter().map(target).collect::<Result<Vec<String>, Error>>()?;
    let settings = settings(spec, &binaries, &compile, &targets);
    let inputs = snapshot.inputs(&declared.package, &settings)?;
    Ok(Some(Crate { binaries, compile, targets, inputs }))
}

/// How the binaries of an image are linked; `base` is what its chain starts from.
pub(super) fn linkage(spec: &spec::Image, base: &Base) -> Linkage {
    match spec.effective_link(matches!(base, Base::Scratch(_))) {
        Link::Static => Linkage::Static,
        Link::Dynamic | Link::Auto => Linkage::Dynamic,
    }
}

/// How the crate is compiled for an image.
pub(super) fn compile_settings(spec: &spec::Image, linkage: Linkage) -> CompileSettings {
    CompileSettings {
        profile: spec.build.profile.value.clone(),
        features: spec.build.features.iter().map(|feature| feature.value.clone()).collect(),
        default_features: spec.build.default_features.value,
        linkage,
        env: spec.build.env.iter().map(|(name, value)| (name.clone(), value.value.clone())).collect(),
    }
}

fn settings(spec: &spec::Image, binaries: &BTreeSet<String>, compile: &CompileSettings, targets: &[String]) -> Settings {
    Settings {
        compile: compile.clone(),
        targets: targets.to_vec(),
        binaries: binaries.clone(),
        inputs: spec.inputs.clone(),
        exclude: spec.exclude.clone(),
    }
}

/// The specs that a spec extends, outermost base first, and itself last.
pub(super) fn chain(spec: &Spec, image: &spec::Image) -> Vec<spec::Image> {
    let mut chain = vec![image.clone()];
    while let Base::Extends(parent) = &chain[0].base {
        let parent = spec.images[&parent.value].clone();
        chain.insert(0, parent);
    }
    chain
}

/// The platforms of a spec, in the order declared.
///
/// # Errors
/// `InvalidValue`; validation has caught it before.
pub(super) fn platforms(spec: &spec::Image) -> Result<Vec<Platform>, Error> {
    let parse = |text: &spec::Placed<String>| {
        let invalid = |cause| Error::new(Code::InvalidValue, format!("could not read a platform of `{}`", spec.key)).because(cause);
        text.parse().map_err(invalid)
    };
    spec.platforms.iter().map(parse).collect()
}
