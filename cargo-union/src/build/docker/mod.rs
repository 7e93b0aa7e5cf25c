//! The docker builder: builds environments in a container engine.
//!
//! The engine needs neither logins nor registries: base images are loaded into it, and the layers that it adds are
//! exported from it. Code is not part of an environment; the native builder adds it on top.

mod context;
mod dockerfile;
mod layers;
mod log;
mod python;
mod references;
mod secrets;
mod steps;
mod writer;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use union_build::diag::{Code, Origin};
use union_build::key::{Inputs, Value};
use union_build::spec;

use super::base::ResolvedBase;
use super::chain::{EffectiveConfig, ImageChain};
use super::environment::without_steps;
use super::sources::{self, Measure};
use super::variables::{self, Variables};
use super::{BaseImage, BuildRequest, Builder, LockedBase, MeasuredFiles, PlatformBuildRequest, Reporter, SourceRoots};
use crate::engine::{DockerfileLocation, DockerfileRequest, Engine, EngineLocator, PullCredentials, SolveError};
use crate::image::config::{self, ConfigOptions};
use crate::image::layer::Layer;
use crate::image::manifest::{self, KEY};
use crate::image::platform::Platform;
use crate::image::{BaseSource, Image, Logins, PlatformImage};
use crate::sys::cache::Cache;
use crate::sys::digest::DiffId;
use crate::sys::error::{Error, Result};
use crate::sys::fs::{self, AtomicFile, FileDigest};
use crate::sys::process::Environment;
pub(super) use context::dockerfile_items;
use dockerfile::{CacheMounts, Dockerfile, DockerfileContext, Step, with_copies};
use log::BuildLog;
use secrets::BuildSecrets;
use steps::{DockerfileSteps, is_refusal};

/// Builds environments in a container engine.
pub struct DockerBuilder {
    cache: Cache,
    source: Arc<dyn BaseSource>,
    engines: Arc<EngineLocator>,
    /// The logins for images that the engine pulls by itself.
    logins: Arc<dyn Logins>,
    /// The source of secrets, CA certificates and proxies.
    environment: Environment,
    /// The directory of the logs.
    logs: PathBuf,
    reporter: Arc<dyn Reporter>,
}

impl DockerBuilder {
    /// Layers are stored in `cache`, logs in the directory `logs`; bases are read from `source`.
    pub fn new(
        cache: Cache,
        source: Arc<dyn BaseSource>,
        engines: Arc<EngineLocator>,
        logins: Arc<dyn Logins>,
        environment: Environment,
        logs: PathBuf,
        reporter: Arc<dyn Reporter>,
    ) -> Self {
        Self { cache, source, engines, logins, environment, logs, reporter }
    }

    /// The locator of the engine that builds.
    pub fn engines(&self) -> &EngineLocator {
        &self.engines
    }

    /// Loads a toolchain image into the engine, installs the packages that a compile for `image` needs, and returns
    /// the name of the result in the engine.
    ///
    /// # Errors
    /// When no engine is available, the image cannot be loaded, or the packages cannot be installed (`BuildFailed`).
    pub async fn toolchain(&self, image: &spec::Image, at: &LockedBase, platform: &Platform, packages: &[String]) -> Result<String> {
        let step = spec::Image {
            apt_packages: packages.iter().cloned().map(placed).collect(),
            build_ca: image.build_ca.clone(),
            builder_options: image.builder_options.clone(),
            ..without_steps(image)
        };
        let mut inputs = Inputs::new();
        inputs.insert("image", at.digest.to_string());
        inputs.insert("apt-packages", Value::texts(packages));
        let base = Some(BaseImage::Locked(at.clone()));
        let platform_request = PlatformBuildRequest::without_binaries(platform.clone(), base);
        let request = BuildRequest {
            chain: ImageChain::new(Vec::new(), step.clone()),
            steps: vec![step],
            roots: SourceRoots::default(),
            files: Arc::new(MeasuredFiles::new(&self.cache)),
            key: inputs.key("toolchain"),
            platforms: Vec::new(),
            interface_labels: BTreeMap::new(),
            source_date_epoch: 0,
            check: false,
        };
        let engine = self.engines.engine().await?;
        let secrets = BuildSecrets::default().with_authority(self.authority(&request.steps)?);
        let log = BuildLog::begin(self.logs.join(format!("{}-toolchain.log", image.key)), &image.key, &secrets, &*self.reporter)?;
        let build =
            DockerBuild { builder: self, engine, request: &request, platform_request: &platform_request, secrets: &secrets, log: &log };
        let base = platform_request.base.as_ref().expect("it starts from the image");
        let loaded = build.load_base(base).await?;
        if packages.is_empty() {
            return Ok(loaded.name);
        }
        build.build_steps(with_copies(&request.steps, |_| Ok(Vec::new()))?, &loaded).await
    }

    async fn build_platform(
        &self,
        request: &BuildRequest,
        platform_request: &PlatformBuildRequest,
        several: bool,
    ) -> Result<PlatformImage> {
        let engine = self.engines.engine().await?;
        let image = request.image();
        let secrets = BuildSecrets::read(&request.steps, &self.environment)?.with_authority(self.authority(&request.steps)?);
        let suffix = if several { format!("-{}", platform_request.platform.to_string().replace('/', "-")) } else { String::new() };
        let log = BuildLog::begin(self.logs.join(format!("{image}{suffix}.log")), image, &secrets, &*self.reporter)?;
        DockerBuild { builder: self, engine, request, platform_request, secrets: &secrets, log: &log }.build().await
    }

    /// The CA certificates that build steps trust: those of the spec, else of the user's environment.
    fn authority(&self, steps: &[spec::Image]) -> Result<Option<Vec<u8>>> {
        let declared = steps.iter().rev().find_map(|spec| spec.build_ca.as_ref()).map(|path| path.value.clone());
        let own = || self.environment.get("SSL_CERT_FILE").filter(|path| !path.is_empty()).map(PathBuf::from);
        declared.or_else(own).map(|path| fs::read(&path)).transpose()
    }

    /// Proxy variables, which engines accept as predefined build arguments that are not recorded in the image. A proxy
    /// on the host's loopback is left out: in a container, the address is the container's own.
    fn proxies(&self) -> BTreeMap<String, String> {
        const NAMES: [&str; 4] = ["http_proxy", "https_proxy", "all_proxy", "no_proxy"];
        let is_loopback = |value: &str| ["localhost", "127.0.0.1", "[::1]"].iter().any(|host| value.contains(host));
        let names = NAMES.iter().flat_map(|name| [(*name).to_owned(), name.to_uppercase()]);
        let variables = names.filter_map(|name| {
            let value = self.environment.get(&name).filter(|value| !value.is_empty())?;
            (name.to_lowercase() == "no_proxy" || !is_loopback(value)).then(|| (name.clone(), value.to_owned()))
        });
        variables.collect()
    }
}

#[async_trait::async_trait]
impl Builder for DockerBuilder {
    async fn build(&self, request: &BuildRequest) -> Result<Image> {
        let _steps = super::Steps(&*self.reporter, request.image());
        let mut platforms = Vec::new();
        for platform_request in &request.platforms {
            platforms.push(self.build_platform(request, platform_request, request.platforms.len() > 1).await?);
        }
        let index = (platforms.len() > 1).then(|| manifest::index(&platforms, &annotations(request)));
        Ok(Image { platforms, index })
    }
}

/// The Dockerfile of some steps on the base `from`, for display.
///
/// # Errors
/// When a copied file or directory cannot be read.
pub fn dockerfile(steps: &[spec::Image], from: &str, tools: &BTreeMap<String, String>, roots: &SourceRoots) -> Result<String> {
    // The text contains names of files, but not their contents.
    let no_content = |_: &Path| Ok(FileDigest { size: 0, hash: [0; 32] });
    let steps = with_copies(steps, |copy| sources::items(copy, roots, &no_content))?;
    let refers = steps.iter().any(|step| !step.spec.commands.is_empty() && variables::refers_to_base(step.spec));
    let note = if refers { "# ${NAME} stands for a variable of the base image; a build inserts its value.\n" } else { "" };
    let dockerfile =
        dockerfile::write(&DockerfileContext { steps: &steps, from, user: None, tools, authority: false, caches: CacheMounts::Locked });
    Ok(format!("{note}{}", dockerfile.text))
}

/// Reads every secret that steps need, so that a missing one is reported before any work starts.
///
/// # Errors
/// `SecretMissing` when a required secret has no value or is too large.
pub fn check_secrets(steps: &[spec::Image], environment: &Environment) -> Result<()> {
    BuildSecrets::read(steps, environment).map(drop)
}

fn annotations(request: &BuildRequest) -> BTreeMap<String, String> {
    BTreeMap::from([(KEY.to_owned(), request.key.to_string())])
}

/// The build of one environment for one platform.
struct DockerBuild<'a> {
    builder: &'a DockerBuilder,
    engine: &'a Engine,
    request: &'a BuildRequest,
    platform_request: &'a PlatformBuildRequest,
    secrets: &'a BuildSecrets,
    log: &'a BuildLog<'a>,
}

/// The base of a Dockerfile in the engine.
struct LoadedBase {
    name: String,
    user: Option<String>,
    variables: Variables,
    layers: Vec<Layer>,
}

/// The input of one build of an engine.
struct Solve {
    context: AtomicFile,
    dockerfile: DockerfileLocation,
    name: String,
    stage: Option<String>,
    pulls: PullCredentials,
}

impl DockerBuild<'_> {
    async fn build(&self) -> Result<PlatformImage> {
        let request = self.request;
        let mut steps = with_copies(&request.steps, |copy| Ok(request.files.copied(copy, &request.roots)?.to_vec()))?;
        let mut dockerfile_image = None;
        let base = match (&self.platform_request.base, steps.first().and_then(|step| step.spec.dockerfile.as_ref())) {
            (_, Some(dockerfile)) => {
                let id = self.build_user_dockerfile(steps[0].spec, &dockerfile.value).await?;
                let (user, env) = self.engine.inspect(&id).await?.map(|image| (image.user, image.env)).unwrap_or_default();
                dockerfile_image = Some(id);
                let variables = env.iter().filter_map(|variable| variable.split_once('='));
                let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
                LoadedBase { name: self.name("dockerfile"), user, variables: variables::with_path(variables), layers: Vec::new() }
            }
            (Some(base), None) => self.load_base(base).await?,
            (None, None) => LoadedBase { name: "scratch".to_owned(), user: None, variables: variables::of_base(None), layers: Vec::new() },
        };
        if dockerfile_image.is_some() && steps.iter().all(Step::has_only_dockerfile) {
            steps.clear();
        }
        let id = match dockerfile_image {
            Some(id) if steps.is_empty() => id,
            _ => self.build_steps(steps, &base).await?,
        };
        self.export(&id, base.layers).await
    }

    /// Builds a user's own Dockerfile.
    async fn build_user_dockerfile(&self, spec: &spec::Image, path: &Path) -> Result<String> {
        let directory = context_of(spec, path);
        let list = |measure: &Measure<'_>| dockerfile_items(path, &directory, &self.request.roots, measure);
        let items = self.request.files.context(path, &directory, list)?;
        let user = context::UserContext { dockerfile: path, directory: &directory, items: &items, files: &self.request.files };
        let epoch = self.request.source_date_epoch;
        let (context, dockerfile) = context::for_dockerfile(&self.builder.cache, &user, self.engine.has_buildkit(), epoch)?;
        let stage = spec.builder_options.target.as_ref().map(|stage| stage.value.clone());
        let repositories = references::repositories(&String::from_utf8_lossy(&fs::read(path)?));
        let pulls = PullCredentials { repositories, logins: Some(self.builder.logins.clone()) };
        self.solve(Solve { context, dockerfile, name: self.name("dockerfile"), stage, pulls }).await
    }

    /// Builds generated Dockerfile steps on a base.
    async fn build_steps(&self, mut steps: Vec<Step<'_>>, base: &LoadedBase) -> Result<String> {
        let mut variables = base.variables.clone();
        steps.iter_mut().try_for_each(|step| step.expand_variables(&mut variables))?;
        let mut tools = BTreeMap::new();
        for (reference, tool) in &self.platform_request.tools {
            tools.insert(reference.clone(), self.load_base(&BaseImage::Locked(tool.clone())).await?.name);
        }
        let authority = self.secrets.values().contains_key(writer::AUTHORITY_ID);
        let caches = if self.engine.has_buildkit() { CacheMounts::Locked } else { CacheMounts::None };
        let input = DockerfileContext { steps: &steps, from: &base.name, user: base.user.as_deref(), tools: &tools, authority, caches };
        let Dockerfile { text, instructions } = dockerfile::write(&input);
        let files = context::ContextFiles { text: &text, files: &self.request.files, roots: &self.request.roots };
        let context = context::for_steps(&self.builder.cache, &input, &files, self.request.source_date_epoch)?;
        self.log.expect(DockerfileSteps::of(instructions, &base.name));
        let dockerfile = DockerfileLocation::InContext(context::DOCKERFILE.to_owned());
        self.solve(Solve { context, dockerfile, name: self.name("environment"), stage: None, pulls: PullCredentials::default() }).await
    }

    /// Loads a base into the engine, unless the engine has it already.
    async fn load_base(&self, base: &BaseImage) -> Result<LoadedBase> {
        let base = ResolvedBase::open(&*self.builder.source, base, &self.platform_request.platform).await?;
        let id = base.config_blob.descriptor.digest;
        let repository = "localhost/union-base";
        let tag = &id.hex()[..24];
        let name = format!("{repository}:{tag}");
        let user = base.config.user().map(str::to_owned);
        let loaded =
            LoadedBase { name: name.clone(), user, variables: variables::of_base(Some(&base.config)), layers: base.layers.clone() };
        let diff_ids: Vec<DiffId> = base.layers.iter().map(|layer| layer.diff_id).collect();
        if self.engine.inspect(&name).await?.is_some_and(|image| image.layers == diff_ids) {
            return Ok(loaded);
        }
        // It may have been pulled before; except with the containerd store, an engine's image ID is the config's digest.
        if self.engine.inspect(&id.to_string()).await?.is_some_and(|image| image.layers == diff_ids) {
            self.engine.tag(&id.to_string(), repository, tag).await?;
            return Ok(loaded);
        }
        self.builder.reporter.step(self.request.image(), &format!("loading {} into the engine at {}", base.name, self.engine.address()));
        let image = base.into_image(&self.platform_request.platform);
        self.engine.load(&image, &name, &*self.builder.source).await?;
        Ok(loaded)
    }

    async fn solve(&self, solve: Solve) -> Result<String> {
        let Solve { context, dockerfile, name, stage, pulls } = solve;
        let network = self.request.steps.iter().rev().find_map(|spec| spec.builder_options.network.as_ref());
        let request = DockerfileRequest {
            context: context.path().to_owned(),
            dockerfile,
            platform: self.platform_request.platform.clone(),
            name,
            stage,
            network: network.map(|network| network.value.clone()).filter(|network| network != "default"),
            arguments: self.builder.proxies(),
            secrets: self.secrets.values(),
            pulls,
        };
        let built = self.engine.build(&request, self.log).await;
        built.map(|id| id.to_string()).map_err(|error| self.failed(error))
    }

    fn failed(&self, error: SolveError) -> Error {
        let platform = &self.platform_request.platform;
        let attempt = format!("could not build the environment of image `{}` for {platform}", self.request.image());
        let log = self.log.path().display();
        match error {
            SolveError::Step { step, why } => {
                let why = self.log.scrub(&why);
                let cause = match step {
                    Some(step) => format!("`{}` failed: {}", self.log.shown(&step).command, steps::outcome(&why)),
                    None => why.clone(),
                };
                let last = self.log.last();
                let cause = if last.is_empty() { cause } else { format!("{cause}; its last lines:\n{}", last.join("\n")) };
                let needs_emulation = *platform != *self.engine.platform() && why.contains("exec format error");
                Error::new(Code::BuildFailed, attempt).because(cause).help(if needs_emulation {
                    let own = self.engine.platform();
                    format!("The engine runs {own}, and {platform} needs emulation: install qemu-user-static with binfmt-support, or drop the platform.")
                } else if is_refusal(&why) {
                    format!("A registry denied access to an image of the Dockerfile: run `docker login` with its host, or request access. The full log is `{log}`.")
                } else {
                    format!("Correct the step. The full log is `{log}`.")
                })
            }
            SolveError::Engine(error) => {
                let code = error.code();
                let advice = error.advice().to_owned();
                Error::new(code, attempt).because(error).help(format!("{advice} The log is `{log}`."))
            }
        }
    }

    /// Exports the built image from the engine; `known` are the layers of the base, which are not exported.
    async fn export(&self, id: &str, known: Vec<Layer>) -> Result<PlatformImage> {
        let image = self.request.image();
        self.builder.reporter.step(image, "exporting the layers from the engine");
        let compression = EffectiveConfig::of(&self.request.chain).compression;
        let archive = self.engine.save(id);
        let exported = layers::read_export(archive, id, known, &self.builder.cache, compression).await?;
        let user = exported.config.user().map(str::to_owned);
        let options = ConfigOptions {
            platform: &self.platform_request.platform,
            key: self.request.key.to_string(),
            env: BTreeMap::new(),
            labels: BTreeMap::new(),
            entrypoint: None,
            command: None,
            user,
            workdir: None,
            layers: Vec::new(),
            epoch: self.request.source_date_epoch,
        };
        let config = config::config(Some(&exported.config), &options);
        let manifest = manifest::manifest(&config.descriptor, &exported.layers, &annotations(self.request));
        Ok(PlatformImage { platform: self.platform_request.platform.clone(), manifest, config, layers: exported.layers })
    }

    /// The image name of a build in the engine, by which users recognize it.
    fn name(&self, kind: &str) -> String {
        let platform = self.platform_request.platform.to_string().replace('/', "-");
        format!("localhost/union-{kind}:{}-{platform}", self.request.key.spec_hash())
    }
}

/// The directory of the build context of a spec's Dockerfile.
pub(super) fn context_of(spec: &spec::Image, dockerfile: &Path) -> PathBuf {
    let own = || dockerfile.parent().map_or_else(PathBuf::new, Path::to_owned);
    spec.builder_options.context.as_ref().map_or_else(own, |context| context.value.clone())
}

fn placed(value: String) -> spec::Sourced<String> {
    spec::Sourced { value, origin: Origin::Default }
}
