//! The code that an image carries: which binaries, how they are compiled, and from what.

use std::collections::BTreeSet;

use anyhow::Result;
use union_build::spec::{self, Base, Compile, Link};

use super::Ask;
use crate::base::error::Error;
use crate::build::LockedBase;
use crate::command::planning::bases;
use crate::command::planning::rust_image;
use crate::command::session::Declared;
use crate::image::platform::Platform;
use crate::workspace::targets::target_for;
use crate::workspace::{CodeInputs, CompileSettings, Linkage, Place, Settings, Snapshot, UnionLock};

/// The part of the crate that an image carries.
#[derive(Clone, Debug)]
pub(in crate::command) struct Crate {
    /// The binaries, sorted.
    pub(in crate::command) binaries: BTreeSet<String>,
    /// How they are compiled.
    pub(in crate::command) compile: CompileSettings,
    /// The target for each platform, in the order of the platforms.
    pub(in crate::command) targets: Vec<String>,
    /// The image whose toolchain compiles them, for each platform; none unless that was asked for.
    pub(in crate::command) toolchains: Vec<(Platform, LockedBase)>,
    /// What they are compiled from.
    pub(in crate::command) inputs: CodeInputs,
}

impl Crate {
    /// What decides its inputs, for whoever looks at them again.
    pub(super) fn settings(&self, spec: &spec::Image) -> Settings {
        settings(spec, &self.binaries, &self.compile, &self.targets, &self.toolchains)
    }
}

/// The code of an image; `None` for an environment. `bases` is its base for each platform.
pub(super) async fn code(
    declared: &Declared,
    chain: &[spec::Image],
    bases: &[(Platform, Option<LockedBase>)],
    snapshot: &Snapshot<'_>,
    lock: &mut UnionLock,
    ask: &Ask<'_>,
) -> Result<Option<Crate>> {
    let spec = chain.last().expect("a chain ends with the image's own spec");
    let binaries: BTreeSet<String> = declared.spec.binaries_of(&spec.key).into_iter().map(str::to_owned).collect();
    if binaries.is_empty() {
        return Ok(None);
    }
    let mut compile = compile_settings(spec, linkage(spec, &chain[0].base));
    let target = |(platform, _): &(Platform, _)| target_for(platform, compile.linkage, snapshot.toolchain(), compile.place);
    let targets = bases.iter().map(target).collect::<Result<Vec<String>, Error>>()?;
    let mut toolchains = Vec::new();
    if compile.place == Place::Container {
        let (platform, base) = &bases[0];
        let reference = rust_image::of(&compile, &spec.key, base.as_ref(), platform, snapshot, ask).await?;
        let platforms: Vec<Platform> = bases.iter().map(|(platform, _)| platform.clone()).collect();
        let locked = bases::locked(&reference, &platforms, lock, &**ask.source, ask.policy).await?;
        toolchains.extend(locked.into_iter().filter_map(|(platform, image)| Some((platform, image?))));
        compile.rust_image = Some(reference);
    }
    let inputs = snapshot.inputs(&declared.package, &settings(spec, &binaries, &compile, &targets, &toolchains), lock.packages())?;
    Ok(Some(Crate { binaries, compile, targets, toolchains, inputs }))
}

/// How the binaries of an image are linked; `base` is what its chain starts from.
pub(in crate::command) fn linkage(spec: &spec::Image, base: &Base) -> Linkage {
    match spec.effective_link(matches!(base, Base::Scratch(_))) {
        Link::Static => Linkage::Static,
        Link::Dynamic | Link::Auto => Linkage::Dynamic,
    }
}

/// How the crate is compiled for an image.
pub(in crate::command) fn compile_settings(spec: &spec::Image, linkage: Linkage) -> CompileSettings {
    let build = &spec.build;
    CompileSettings {
        profile: build.profile.value.clone(),
        features: build.features.iter().map(|feature| feature.value.clone()).collect(),
        default_features: build.default_features.value,
        linkage,
        env: build.env.iter().map(|(name, value)| (name.clone(), value.value.clone())).collect(),
        place: match build.compile.value {
            Compile::Auto => Place::Auto,
            Compile::Host => Place::Host,
            Compile::Zig => Place::Zig,
            Compile::Container => Place::Container,
        },
        rust_image: build.rust_image.as_ref().map(|image| image.value.clone()),
        apt_packages: build.apt_packages.iter().map(|package| package.value.clone()).collect(),
    }
}

pub(in crate::command) fn settings(
    spec: &spec::Image,
    binaries: &BTreeSet<String>,
    compile: &CompileSettings,
    targets: &[String],
    toolchains: &[(Platform, LockedBase)],
) -> Settings {
    Settings {
        compile: compile.clone(),
        targets: targets.to_vec(),
        binaries: binaries.clone(),
        inputs: spec.inputs.clone(),
        exclude: spec.exclude.clone(),
        toolchains: toolchains.iter().map(|(platform, image)| (platform.to_string(), image.digest.to_string())).collect(),
    }
}
