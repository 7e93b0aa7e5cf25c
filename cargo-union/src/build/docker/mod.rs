//! The docker builder: environments in which something has to run, made by a container engine.
//!
//! The engine needs no login and no registry: bases are brought to it, and what it has added is taken
//! out of it as layers. Code never comes here; it goes on top through the native builder.

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
use crate::engine::{DockerfileRequest, Engine, EngineLocator, PullCredentials, SolveError};
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
    /// Where secrets, authorities and proxies are looked for.
    environment: Environment,
    /// The folder of the logs.
    logs: PathBuf,
    reporter: Arc<dyn Reporter>,
}

impl DockerBuilder {
    /// A builder that keeps layers in a cache and logs in a folder, and has its bases from a source.
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

    /// The engine that it works with.
    pub fn engines(&self) -> &EngineLocator {
        &self.engines
    }

    /// Gets an image with a toolchain, and the packages that a compile for `image` needs upon it, into
    /// the engine, and says what it is called there.
    ///
    /// # Errors
    /// What bringing it and installing packages end with.
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
        let wanted = PlatformBuildRequest { platform: platform.clone(), base, tools: BTreeMap::new(), executables: Vec::new() };
        let recipe = BuildRequest {
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
        let secrets = BuildSecrets::default().with_authority(self.authority(&recipe.steps)?);
        let log = BuildLog::begin(self.logs.join(format!("{}-toolchain.log", image.key)), &image.key, &secrets, &*self.reporter)?;
        let building = DockerBuild { builder: self, engine, recipe: &recipe, wanted: &wanted, secrets: &secrets, log: &log };
        let start = wanted.base.as_ref().expect("it starts from the image");
        let ready = building.bring(start).await?;
        if packages.is_empty() {
            return Ok(ready.name);
        }
        building.of_steps(with_copies(&recipe.steps, |_| Ok(Vec::new()))?, &ready).await
    }

    async fn platform(&self, recipe: &BuildRequest, wanted: &PlatformBuildRequest, several: bool) -> Result<PlatformImage> {
        let engine = self.engines.engine().await?;
        let image = recipe.image();
        let secrets = BuildSecrets::read(&recipe.steps, &self.environment)?.with_authority(self.authority(&recipe.steps)?);
        let suffix = if several { format!("-{}", wanted.platform.to_string().replace('/', "-")) } else { String::new() };
        let log = BuildLog::begin(self.logs.join(format!("{image}{suffix}.log")), image, &secrets, &*self.reporter)?;
        let building = DockerBuild { builder: self, engine, recipe, wanted, secrets: &secrets, log: &log };
        building.build().await
    }

    /// The authority that is trusted while something runs: the spec's, else the user's own.
    fn authority(&self, steps: &[spec::Image]) -> Result<Option<Vec<u8>>> {
        let declared = steps.iter().rev().find_map(|spec| spec.build_ca.as_ref()).map(|path| path.value.clone());
        let own = || self.environment.get("SSL_CERT_FILE").filter(|path| !path.is_empty()).map(PathBuf::from);
        declared.or_else(own).map(|path| fs::read(&path)).transpose()
    }

    /// Proxies as the engine takes them without a trace. One on this machine's loopback would lead
    /// a container to itself.
    fn proxies(&self) -> BTreeMap<String, String> {
        const NAMES: [&str; 4] = ["http_proxy", "https_proxy", "all_proxy", "no_proxy"];
        let is_loopback = |value: &str| ["localhost", "127.0.0.1", "[::1]"].iter().any(|host| value.contains(host));
        let named = NAMES.iter().flat_map(|name| [(*name).to_owned(), name.to_uppercase()]);
        let set = named.filter_map(|name| {
            let value = self.environment.get(&name).filter(|value| !value.is_empty())?;
            (name.to_lowercase() == "no_proxy" || !is_loopback(value)).then(|| (name.clone(), value.to_owned()))
        });
        set.collect()
    }
}

#[async_trait::async_trait]
impl Builder for DockerBuilder {
    async fn build(&self, recipe: &BuildRequest) -> Result<Image> {
        let _steps = super::Steps(&*self.reporter, recipe.image());
        let mut platforms = Vec::new();
        for wanted in &recipe.platforms {
            platforms.push(self.platform(recipe, wanted, recipe.platforms.len() > 1).await?);
        }
        let index = (platforms.len() > 1).then(|| manifest::index(&platforms, &annotations(recipe)));
        Ok(Image { platforms, index })
    }
}

/// The text of the Dockerfile that makes some steps upon a base of this name, for people.
///
/// # Errors
/// When a copied file cannot be read.
pub fn dockerfile(steps: &[spec::Image], from: &str, tools: &BTreeMap<String, String>, roots: &SourceRoots) -> Result<String> {
    // Its text names files, and does not say what they hold.
    let unread = |_: &Path| Ok(FileDigest { size: 0, hash: [0; 32] });
    let steps = with_copies(steps, |copy| sources::items(copy, roots, &unread))?;
    let refers = steps.iter().any(|step| !step.spec.commands.is_empty() && variables::refers_to_base(step.spec));
    let note = if refers { "# ${NAME} stands for a variable of the base image, whose value an engine is given.\n" } else { "" };
    let dockerfile =
        dockerfile::write(&DockerfileContext { steps: &steps, from, user: None, tools, authority: false, caches: CacheMounts::Locked });
    Ok(format!("{note}{}", dockerfile.text))
}

/// Reads every secret that steps need, so that one that is missing is known before anything is done.
///
/// # Errors
/// `SecretMissing`.
pub fn check_secrets(steps: &[spec::Image], environment: &Environment) -> Result<()> {
    BuildSecrets::read(steps, environment).map(drop)
}

fn annotations(recipe: &BuildRequest) -> BTreeMap<String, String> {
    BTreeMap::from([(KEY.to_owned(), recipe.key.to_string())])
}

/// One environment for one platform, on its way.
struct DockerBuild<'a> {
    builder: &'a DockerBuilder,
    engine: &'a Engine,
    recipe: &'a BuildRequest,
    wanted: &'a PlatformBuildRequest,
    secrets: &'a BuildSecrets,
    log: &'a BuildLog<'a>,
}

/// What a Dockerfile starts from, as the engine knows it.
struct LoadedBase {
    name: String,
    user: Option<String>,
    variables: Variables,
    layers: Vec<Layer>,
}

/// What an engine is to build.
struct Solve {
    context: AtomicFile,
    dockerfile: String,
    name: String,
    stage: Option<String>,
    pulls: PullCredentials,
}

impl DockerBuild<'_> {
    async fn build(&self) -> Result<PlatformImage> {
        let recipe = self.recipe;
        let mut steps = with_copies(&recipe.steps, |copy| Ok(recipe.files.copied(copy, &recipe.roots)?.to_vec()))?;
        let mut made = None;
        let ready = match (&self.wanted.base, steps.first().and_then(|step| step.spec.dockerfile.as_ref())) {
            (_, Some(dockerfile)) => {
                let id = self.of_dockerfile(steps[0].spec, &dockerfile.value).await?;
                let held = self.engine.inspect(&id).await?;
                made = Some(id);
                let (user, env) = held.map(|held| (held.user, held.env)).unwrap_or_default();
                let set = env.iter().filter_map(|variable| variable.split_once('='));
                let variables = set.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
                LoadedBase { name: self.name("dockerfile"), user, variables: variables::with_path(variables), layers: Vec::new() }
            }
            (Some(start), None) => self.bring(start).await?,
            (None, None) => LoadedBase { name: "scratch".to_owned(), user: None, variables: variables::of_base(None), layers: Vec::new() },
        };
        if made.is_some() && steps.iter().all(|step| nothing_more(step)) {
            steps.clear();
        }
        let id = match made {
            Some(id) if steps.is_empty() => id,
            _ => self.of_steps(steps, &ready).await?,
        };
        self.take_out(&id, ready.layers).await
    }

    /// Builds what a user's own Dockerfile says.
    async fn of_dockerfile(&self, spec: &spec::Image, path: &Path) -> Result<String> {
        let folder = context_of(spec, path);
        let list = |measure: &Measure<'_>| dockerfile_items(path, &folder, &self.recipe.roots, measure);
        let items = self.recipe.files.context(path, &folder, list)?;
        let context = context::of_dockerfile(&self.builder.cache, &items, self.recipe.source_date_epoch)?;
        let dockerfile = context::name_in(path, &folder).expect("the items are those of its own context");
        let stage = spec.builder_options.target.as_ref().map(|stage| stage.value.clone());
        let text = fs::read(path)?;
        let repositories = references::repositories(&String::from_utf8_lossy(&text));
        let pulls = PullCredentials { repositories, logins: Some(self.builder.logins.clone()) };
        self.solve(Solve { context, dockerfile, name: self.name("dockerfile"), stage, pulls }).await
    }

    async fn of_steps(&self, mut steps: Vec<Step<'_>>, ready: &LoadedBase) -> Result<String> {
        let mut variables = ready.variables.clone();
        steps.iter_mut().try_for_each(|step| step.expand_upon(&mut variables))?;
        let mut tools = BTreeMap::new();
        for (reference, tool) in &self.wanted.tools {
            tools.insert(reference.clone(), self.bring(&BaseImage::Locked(tool.clone())).await?.name);
        }
        let authority = self.secrets.values().contains_key(writer::AUTHORITY_ID);
        let caches = if self.engine.has_buildkit() { CacheMounts::Locked } else { CacheMounts::None };
        let ground = DockerfileContext { steps: &steps, from: &ready.name, user: ready.user.as_deref(), tools: &tools, authority, caches };
        let Dockerfile { text, instructions } = dockerfile::write(&ground);
        let contents = context::ContextFiles { text: &text, files: &self.recipe.files, roots: &self.recipe.roots };
        let context = context::of_steps(&self.builder.cache, &ground, &contents, self.recipe.source_date_epoch)?;
        self.log.expect(DockerfileSteps::of(instructions, &ready.name));
        let (dockerfile, name) = (context::DOCKERFILE.to_owned(), self.name("environment"));
        self.solve(Solve { context, dockerfile, name, stage: None, pulls: PullCredentials::default() }).await
    }

    /// Gets a base into the engine, if it is not there, and says what it is called there.
    async fn bring(&self, start: &BaseImage) -> Result<LoadedBase> {
        let base = ResolvedBase::open(&*self.builder.source, start, &self.wanted.platform).await?;
        let id = base.config_blob.descriptor.digest;
        let (repository, tag) = ("localhost/union-base", &id.hex()[..24]);
        let name = format!("{repository}:{tag}");
        let user = base.config.user().map(str::to_owned);
        let ready = LoadedBase { name: name.clone(), user, variables: variables::of_base(Some(&base.config)), layers: base.layers.clone() };
        let diff_ids: Vec<DiffId> = base.layers.iter().map(|layer| layer.diff_id).collect();
        let is_it = |held: &crate::engine::EngineImage| held.layers == diff_ids;
        if self.engine.inspect(&name).await?.is_some_and(|held| is_it(&held)) {
            return Ok(ready);
        }
        // Somebody may have pulled it; an engine knows it by its config or, with another store, not.
        if self.engine.inspect(&id.to_string()).await?.is_some_and(|held| is_it(&held)) {
            self.engine.tag(&id.to_string(), repository, tag).await?;
            return Ok(ready);
        }
        self.builder.reporter.step(self.recipe.image(), &format!("bringing {} to the engine at {}", base.name, self.engine.address()));
        let image = base.into_image(&self.wanted.platform);
        self.engine.load(&image, &name, &*self.builder.source).await?;
        Ok(ready)
    }

    async fn solve(&self, solve: Solve) -> Result<String> {
        let Solve { context, dockerfile, name, stage, pulls } = solve;
        let network = self.recipe.steps.iter().rev().find_map(|spec| spec.builder_options.network.as_ref());
        let request = DockerfileRequest {
            context: context.path().to_owned(),
            dockerfile,
            platform: self.wanted.platform.clone(),
            name,
            stage,
            network: network.map(|network| network.value.clone()).filter(|network| network != "default"),
            arguments: self.builder.proxies(),
            secrets: self.secrets.values(),
            pulls,
        };
        let built = self.engine.build(&request, self.log).await;
        built.map(|id| id.to_string()).map_err(|failed| self.failed(failed))
    }

    fn failed(&self, failed: SolveError) -> Error {
        let (image, platform) = (self.recipe.image(), &self.wanted.platform);
        let what = format!("could not make the environment of image `{image}` for {platform}");
        let log = self.log.path().display();
        match failed {
            SolveError::Step { step, why } => {
                let why = self.log.scrub(&why);
                let said = match step {
                    Some(step) => format!("`{}` failed: {}", self.log.shown(&step).what, steps::outcome(&why)),
                    None => why.clone(),
                };
                let last = self.log.last();
                let said = if last.is_empty() { said } else { format!("{said}; its last lines:\n{}", last.join("\n")) };
                let refused = is_refusal(&why);
                let emulated = *platform != *self.engine.platform() && why.contains("exec format error");
                let error = Error::new(Code::BuildFailed, what).because(said);
                error.help(if emulated {
                    let own = self.engine.platform();
                    format!("The engine runs {own}, and {platform} needs emulation: install qemu-user-static with binfmt-support, or drop the platform.")
                } else if refused {
                    format!("A registry refused an image of the Dockerfile: log in with `docker login` and its host, or ask for access. The whole log is `{log}`.")
                } else {
                    format!("Correct the step. The whole log is `{log}`.")
                })
            }
            SolveError::Engine(error) => {
                let code = error.code();
                let advice = error.advice().to_owned();
                Error::new(code, what).because(error).help(format!("{advice} The log is `{log}`."))
            }
        }
    }

    /// Takes what was made out of the engine; `known` are the base's layers, which stay its own.
    async fn take_out(&self, id: &str, known: Vec<Layer>) -> Result<PlatformImage> {
        let image = self.recipe.image();
        self.builder.reporter.step(image, "taking the layers out of the engine");
        let compression = EffectiveConfig::of(&self.recipe.chain).compression;
        let archive = self.engine.save(id);
        let exported = layers::exported(archive, id, known, &self.builder.cache, compression).await?;
        let user = exported.config.user().map(str::to_owned);
        let wanted_config = ConfigOptions {
            platform: &self.wanted.platform,
            key: self.recipe.key.to_string(),
            env: BTreeMap::new(),
            labels: BTreeMap::new(),
            entrypoint: None,
            command: None,
            user,
            workdir: None,
            layers: Vec::new(),
            epoch: self.recipe.source_date_epoch,
        };
        let config = config::config(Some(&exported.config), &wanted_config);
        let manifest = manifest::manifest(&config.descriptor, &exported.layers, &annotations(self.recipe));
        Ok(PlatformImage { platform: self.wanted.platform.clone(), manifest, config, layers: exported.layers })
    }

    /// What a build is called in the engine, so that people see whose it is.
    fn name(&self, what: &str) -> String {
        let platform = self.wanted.platform.to_string().replace('/', "-");
        format!("localhost/union-{what}:{}-{platform}", self.recipe.key.spec_hash())
    }
}

/// The folder whose files a spec's Dockerfile sees.
pub(super) fn context_of(spec: &spec::Image, dockerfile: &Path) -> PathBuf {
    let own = || dockerfile.parent().map_or_else(PathBuf::new, Path::to_owned);
    spec.builder_options.context.as_ref().map_or_else(own, |context| context.value.clone())
}

fn placed(value: String) -> spec::Sourced<String> {
    spec::Sourced { value, origin: Origin::Default }
}

/// Whether a step does nothing beyond its Dockerfile.
fn nothing_more(step: &Step<'_>) -> bool {
    let spec = step.spec;
    let python = spec.python.needs_uv() || spec.python.needs_micromamba();
    spec.apt_packages.is_empty() && !python && step.copies.is_empty() && spec.commands.is_empty()
}
