//! The code of an image: its binaries, their compile settings, and their inputs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use union_build::diag::{Code, Origin};
use union_build::spec::{self, Base, Compile, Link, Pattern, SecretSource, Spec};

use super::ResolveContext;
use super::{bases, rust_image};
use crate::build::{ImageChain, LockedBase};
use crate::image::per_platform::PerPlatform;
use crate::image::platform::Platform;
use crate::pipeline::context::UnionPackage;
use crate::pipeline::problems::{PipelineError, Result};
use crate::pipeline::resolve::compilers::{self, Compiler};
use crate::workspace::targets::target_for;
use crate::workspace::{
    CodeInputOptions, CodeInputs, CompileMode, CompileSettings, Linkage, Snapshot, UnionLock,
};

/// How the code of an image is compiled for one platform.
#[derive(Clone, Debug)]
pub(crate) struct PlatformCompile {
    /// The target triple.
    pub(crate) target: String,
    pub(crate) compiler: Compiler,
    /// The image with the toolchain; only for a compile in a container.
    pub(crate) toolchain: Option<LockedBase>,
}

/// The binaries of an image, with everything that their compile depends on.
#[derive(Clone, Debug)]
pub(crate) struct CodeSpec {
    pub(crate) binaries: BTreeSet<String>,
    pub(crate) compile: CompileSettings,
    pub(crate) builds: PerPlatform<PlatformCompile>,
    /// Versions of other tools that the result depends on, such as zig, by the name of their input.
    pub(crate) tools: BTreeMap<String, String>,
    /// The files of the package's secrets, which are excluded from the inputs.
    secrets: Vec<Pattern>,
    pub(crate) inputs: CodeInputs,
}

impl CodeSpec {
    /// The options with which [`Snapshot::inputs`] computes the inputs.
    pub(super) fn input_options(&self, spec: &spec::ImageSpec) -> CodeInputOptions {
        let Self {
            binaries,
            compile,
            builds,
            tools,
            secrets,
            inputs: _,
        } = self;
        let toolchain = |(platform, build): (&Platform, &PlatformCompile)| {
            Some((
                platform.to_string(),
                build.toolchain.as_ref()?.digest.to_string(),
            ))
        };
        CodeInputOptions {
            compile: compile.clone(),
            targets: builds.values().map(|build| build.target.clone()).collect(),
            binaries: binaries.clone(),
            inputs: spec.inputs.clone(),
            exclude: spec.exclude.iter().chain(secrets).cloned().collect(),
            toolchains: builds.iter().filter_map(toolchain).collect(),
            compile_modes: builds
                .values()
                .map(|build| build.compiler.compile_mode)
                .collect(),
            tools: tools.clone(),
        }
    }

    /// The target triples, in the order of the platforms.
    pub(crate) fn targets(&self) -> impl Iterator<Item = &String> {
        self.builds.values().map(|build| &build.target)
    }

    /// Whether it is compiled for the processor of this machine: `target-cpu=native`.
    pub(crate) fn is_native(&self) -> bool {
        self.tools.contains_key(PROCESSOR)
    }
}

/// The name of the input with the processor of this machine.
const PROCESSOR: &str = "processor";

/// Resolves the code of an image; `None` if it has no binaries. `bases` holds its base for each platform.
pub(super) async fn resolve_code(
    package: &UnionPackage,
    chain: &ImageChain,
    bases: &PerPlatform<Option<LockedBase>>,
    snapshot: &Snapshot<'_>,
    lock: &mut UnionLock,
    context: &ResolveContext<'_>,
) -> Result<Option<CodeSpec>> {
    let spec = chain.own();
    let binaries: BTreeSet<String> = package
        .spec
        .binaries_of(&spec.key)
        .into_iter()
        .map(str::to_owned)
        .collect();
    if binaries.is_empty() {
        return Ok(None);
    }
    let mut compile = compile_settings(spec, linkage(spec, chain.base()));
    let targets = bases.try_map(|platform, _| {
        target_for(
            platform,
            compile.linkage,
            snapshot.toolchain(),
            compile.compile_mode,
        )
    })?;
    let mut builds = Vec::new();
    for ((platform, target), base) in targets.into_iter().zip(bases.values()) {
        let compiler = compilers::choose(
            &compile,
            &target,
            &platform,
            base.as_ref(),
            snapshot,
            context,
        )
        .await?;
        builds.push((
            platform,
            PlatformCompile {
                target,
                compiler,
                toolchain: None,
            },
        ));
    }
    let mut builds: PerPlatform<PlatformCompile> = builds.into_iter().collect();
    let container_platforms: Vec<Platform> = builds
        .iter()
        .filter(|(_, build)| build.compiler.compile_mode == CompileMode::Container)
        .map(|(platform, _)| platform.clone())
        .collect();
    if let Some(platform) = container_platforms.first() {
        let base = bases.get(platform).and_then(Option::as_ref);
        let toolchain: Result<_> = async {
            let reference = rust_image::resolve_rust_image(
                &compile, &spec.key, base, platform, snapshot, context,
            )
            .await?;
            let locked = bases::locked(
                &reference,
                &container_platforms,
                lock,
                &**context.source,
                context.policy,
            )
            .await?;
            Ok((reference, locked))
        }
        .await;
        let (reference, locked) =
            toolchain.map_err(|error| prefer_host_error(error, &compile, platform, snapshot))?;
        builds = builds.map(|platform, build| PlatformCompile {
            toolchain: locked.get(platform).cloned().flatten(),
            ..build.clone()
        });
        compile.rust_image = Some(reference);
    }
    let mut tools = BTreeMap::new();
    if builds
        .values()
        .any(|build| build.compiler.compile_mode == CompileMode::Zig)
    {
        tools.insert("zig".to_owned(), snapshot.zig().await?);
    }
    let targets: Vec<String> = builds.values().map(|build| build.target.clone()).collect();
    if let Some(processor) = snapshot.processor(&compile, &targets).await? {
        tools.insert(PROCESSOR.to_owned(), processor);
    }
    let secrets = secret_files(&package.spec);
    let mut code = CodeSpec {
        binaries,
        compile,
        builds,
        tools,
        secrets,
        inputs: CodeInputs::default(),
    };
    code.inputs = snapshot.inputs(&package.package, &code.input_options(spec), lock.packages())?;
    Ok(Some(code))
}

/// With `compile = "auto"`, reports what the host lacks as the error, and the error of the container as its cause.
pub(crate) fn prefer_host_error(
    error: PipelineError,
    compile: &CompileSettings,
    platform: &Platform,
    snapshot: &Snapshot<'_>,
) -> PipelineError {
    if compile.compile_mode != CompileMode::Auto {
        return error;
    }
    let chain = match &error {
        // These errors have their own advice.
        PipelineError::Failed(error)
            if matches!(error.code(), Code::Interrupted | Code::UnionLockStale) =>
        {
            None
        }
        PipelineError::Failed(error) => Some(error.chain().join(": ")),
        PipelineError::Invalid(_) => None,
    };
    let target = target_for(
        platform,
        compile.linkage,
        snapshot.toolchain(),
        CompileMode::Host,
    );
    match (
        target.and_then(|target| snapshot.check_linker(&target, compile)),
        chain,
    ) {
        (Err(host_error), Some(chain)) => host_error
            .because(format!("and it cannot be compiled in a container: {chain}"))
            .into(),
        _ => error,
    }
}

/// Patterns that exclude the files of a package's secrets from the inputs: no key depends on the content of a secret.
pub(crate) fn secret_files(spec: &Spec) -> Vec<Pattern> {
    let secrets = spec.images.values().flat_map(|image| &image.secrets);
    let file = |secret: &spec::SecretSpec| match &secret.source {
        SecretSource::File(path) => Some((
            path.parent()?.to_owned(),
            path.file_name()?.to_str()?.to_owned(),
            secret.id.origin.clone(),
        )),
        SecretSource::Env(_) | SecretSource::Backend => None,
    };
    let pattern = |(directory, name, origin): (PathBuf, String, Origin)| {
        let escaped = |character: char| {
            if "\\*?[]{}!# ".contains(character) {
                vec!['\\', character]
            } else {
                vec![character]
            }
        };
        Pattern {
            glob: spec::Sourced {
                value: name.chars().flat_map(escaped).collect(),
                origin,
            },
            directory,
        }
    };
    secrets.filter_map(file).map(pattern).collect()
}

/// How the binaries of an image are linked; `base` is the base of its chain.
pub(crate) fn linkage(spec: &spec::ImageSpec, base: &Base) -> Linkage {
    match spec.effective_link(matches!(base, Base::Scratch(_))) {
        Link::Static => Linkage::Static,
        Link::Dynamic | Link::Auto => Linkage::Dynamic,
    }
}

/// The compile settings that a spec declares under `build`.
pub(crate) fn compile_settings(spec: &spec::ImageSpec, linkage: Linkage) -> CompileSettings {
    // Lists all fields, so that a new key does not compile until it is decided how it affects the compile.
    let spec::Build {
        profile,
        features,
        default_features,
        // The caller has resolved it to `linkage`.
        link: _,
        compile,
        rust_image,
        apt_packages,
        env,
    } = &spec.build;
    CompileSettings {
        profile: profile.value.clone(),
        features: features
            .iter()
            .map(|feature| feature.value.clone())
            .collect(),
        default_features: default_features.value,
        linkage,
        env: env
            .iter()
            .map(|(name, value)| (name.clone(), value.value.clone()))
            .collect(),
        compile_mode: match compile.value {
            Compile::Auto => CompileMode::Auto,
            Compile::Host => CompileMode::Host,
            Compile::Zig => CompileMode::Zig,
            Compile::Container => CompileMode::Container,
        },
        rust_image: rust_image.as_ref().map(|image| image.value.clone()),
        apt_packages: apt_packages
            .iter()
            .map(|package| package.value.clone())
            .collect(),
    }
}
