//! The build of an environment for one platform: base and context into the engine, layers out of it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use union_build::diag::Code;
use union_build::spec;

use super::context::{self, dockerfile_items};
use super::dockerfile::{self, CacheMounts, Dockerfile, DockerfileContext, Step, with_copies};
use super::layers;
use super::log::BuildLog;
use super::references;
use super::secrets::BuildSecrets;
use super::services::DockerServices;
use super::steps::{self, DockerfileSteps, is_refusal};
use super::writer;
use crate::build::base::ResolvedBase;
use crate::build::chain::EffectiveConfig;
use crate::build::sources::Measure;
use crate::build::variables::{self, Variables};
use crate::build::{BaseImage, BuildRequest, PlatformBuildRequest};
use crate::engine::{DockerfileLocation, DockerfileRequest, Engine, PullCredentials, SolveError};
use crate::image::PlatformImage;
use crate::image::config::{self, ConfigOptions};
use crate::image::layer::Layer;
use crate::image::manifest::{self, KEY};
use crate::sys::digest::DiffId;
use crate::sys::error::{Error, Result};
use crate::sys::fs::{self, AtomicFile};

/// The build of one environment for one platform.
pub(super) struct DockerBuild<'a> {
    pub(super) services: &'a DockerServices,
    pub(super) engine: &'a Engine,
    pub(super) request: &'a BuildRequest,
    pub(super) platform_request: &'a PlatformBuildRequest,
    pub(super) secrets: &'a BuildSecrets,
    pub(super) log: &'a BuildLog<'a>,
}

/// The base of a Dockerfile in the engine.
pub(super) struct LoadedBase {
    pub(super) name: String,
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
    pub(super) async fn build(&self) -> Result<PlatformImage> {
        let request = self.request;
        let mut steps = with_copies(&request.steps, |copy| {
            Ok(request.files.copied(copy, &request.roots)?.to_vec())
        })?;
        let mut dockerfile_image = None;
        let base = match (
            &self.platform_request.base,
            steps.first().and_then(|step| step.spec.dockerfile.as_ref()),
        ) {
            (_, Some(dockerfile)) => {
                let id = self
                    .build_user_dockerfile(steps[0].spec, &dockerfile.value)
                    .await?;
                let (user, env) = self
                    .engine
                    .inspect(&id)
                    .await?
                    .map(|image| (image.user, image.env))
                    .unwrap_or_default();
                dockerfile_image = Some(id);
                let variables = env.iter().filter_map(|variable| variable.split_once('='));
                let variables = variables
                    .map(|(name, value)| (name.to_owned(), value.to_owned()))
                    .collect();
                LoadedBase {
                    name: self.name("dockerfile"),
                    user,
                    variables: variables::with_path(variables),
                    layers: Vec::new(),
                }
            }
            (Some(base), None) => self.load_base(base).await?,
            (None, None) => LoadedBase {
                name: "scratch".to_owned(),
                user: None,
                variables: variables::of_base(None),
                layers: Vec::new(),
            },
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
    async fn build_user_dockerfile(&self, spec: &spec::ImageSpec, path: &Path) -> Result<String> {
        let directory = context_of(spec, path);
        let list = |measure: &Measure<'_>| {
            dockerfile_items(path, &directory, &self.request.roots, measure)
        };
        let items = self.request.files.context(path, &directory, list)?;
        let user = context::UserContext {
            dockerfile: path,
            directory: &directory,
            items: &items,
            files: &self.request.files,
        };
        let epoch = self.request.source_date_epoch;
        self.report_context();
        let (context, dockerfile) = context::for_dockerfile(
            &self.services.cache,
            &user,
            self.engine.has_buildkit(),
            epoch,
        )?;
        let stage = spec
            .builder_options
            .target
            .as_ref()
            .map(|stage| stage.value.clone());
        let repositories = references::repositories(&String::from_utf8_lossy(&fs::read(path)?));
        let pulls = PullCredentials {
            repositories,
            logins: Some(self.services.logins.clone()),
        };
        self.solve(Solve {
            context,
            dockerfile,
            name: self.name("dockerfile"),
            stage,
            pulls,
        })
        .await
    }

    /// Builds generated Dockerfile steps on a base.
    pub(super) async fn build_steps(
        &self,
        mut steps: Vec<Step<'_>>,
        base: &LoadedBase,
    ) -> Result<String> {
        let mut variables = base.variables.clone();
        steps
            .iter_mut()
            .try_for_each(|step| step.expand_variables(&mut variables))?;
        let mut tools = BTreeMap::new();
        for (reference, tool) in &self.platform_request.tools {
            tools.insert(
                reference.clone(),
                self.load_base(&BaseImage::Locked(tool.clone())).await?.name,
            );
        }
        let authority = self.secrets.values().contains_key(writer::AUTHORITY_ID);
        let caches = if self.engine.has_buildkit() {
            CacheMounts::Locked
        } else {
            CacheMounts::None
        };
        let input = DockerfileContext {
            steps: &steps,
            from: &base.name,
            user: base.user.as_deref(),
            tools: &tools,
            authority,
            caches,
        };
        let Dockerfile { text, instructions } = dockerfile::write(&input);
        let files = context::ContextFiles {
            text: &text,
            files: &self.request.files,
            roots: &self.request.roots,
        };
        self.report_context();
        let context = context::for_steps(
            &self.services.cache,
            &input,
            &files,
            self.request.source_date_epoch,
        )?;
        self.log
            .expect(DockerfileSteps::of(instructions, &base.name));
        let dockerfile = DockerfileLocation::InContext(context::DOCKERFILE.to_owned());
        self.solve(Solve {
            context,
            dockerfile,
            name: self.name("environment"),
            stage: None,
            pulls: PullCredentials::default(),
        })
        .await
    }

    /// Loads a base into the engine, unless the engine has it already.
    pub(super) async fn load_base(&self, base: &BaseImage) -> Result<LoadedBase> {
        let base = ResolvedBase::open(
            &*self.services.source,
            base,
            &self.platform_request.platform,
        )
        .await?;
        let id = base.config_blob.descriptor.digest;
        let repository = "localhost/union-base";
        let tag = &id.hex()[..24];
        let name = format!("{repository}:{tag}");
        let user = base.config.user().map(str::to_owned);
        let loaded = LoadedBase {
            name: name.clone(),
            user,
            variables: variables::of_base(Some(&base.config)),
            layers: base.layers.clone(),
        };
        let diff_ids: Vec<DiffId> = base.layers.iter().map(|layer| layer.diff_id).collect();
        if self
            .engine
            .inspect(&name)
            .await?
            .is_some_and(|image| image.layers == diff_ids)
        {
            return Ok(loaded);
        }
        // It may have been pulled before; except with the containerd store, an engine's image ID is the config's digest.
        if self
            .engine
            .inspect(&id.to_string())
            .await?
            .is_some_and(|image| image.layers == diff_ids)
        {
            self.engine.tag(&id.to_string(), repository, tag).await?;
            return Ok(loaded);
        }
        self.services.reporter.step(
            self.request.image(),
            &format!(
                "loading {} into the engine at {}",
                base.name,
                self.engine.address()
            ),
        );
        let image = base.into_image(&self.platform_request.platform);
        self.engine
            .load(&image, &name, &*self.services.source)
            .await?;
        Ok(loaded)
    }

    fn report_context(&self) {
        let image = self.request.image();
        let reporter = &self.services.reporter;
        reporter.step(image, "packing the build context");
    }

    async fn solve(&self, solve: Solve) -> Result<String> {
        let Solve {
            context,
            dockerfile,
            name,
            stage,
            pulls,
        } = solve;
        let network = self
            .request
            .steps
            .iter()
            .rev()
            .find_map(|spec| spec.builder_options.network.as_ref());
        let request = DockerfileRequest {
            context: context.path().to_owned(),
            dockerfile,
            platform: self.platform_request.platform.clone(),
            name,
            stage,
            network: network
                .map(|network| network.value.clone())
                .filter(|network| network != "default"),
            arguments: self.services.proxies(),
            secrets: self.secrets.values(),
            pulls,
        };
        let built = self.engine.build(&request, self.log).await;
        built
            .map(|id| id.to_string())
            .map_err(|error| self.failed(error))
    }

    fn failed(&self, error: SolveError) -> Error {
        let platform = &self.platform_request.platform;
        let attempt = format!(
            "could not build the environment of image `{}` for {platform}",
            self.request.image()
        );
        let log = self.log.path().display();
        match error {
            SolveError::Step { step, why } => {
                let why = self.log.scrub(&why);
                let cause = match step {
                    Some(step) => format!(
                        "`{}` failed: {}",
                        self.log.shown(&step).command,
                        steps::outcome(&why)
                    ),
                    None => why.clone(),
                };
                let last = self.log.last();
                let cause = if last.is_empty() {
                    cause
                } else {
                    format!("{cause}; its last lines:\n{}", last.join("\n"))
                };
                let needs_emulation =
                    *platform != *self.engine.platform() && why.contains("exec format error");
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
                Error::new(code, attempt)
                    .because(error)
                    .help(format!("{advice} The log is `{log}`."))
            }
        }
    }

    /// Exports the built image from the engine; `known` are the layers of the base, which are not exported.
    async fn export(&self, id: &str, known: Vec<Layer>) -> Result<PlatformImage> {
        let image = self.request.image();
        self.services
            .reporter
            .step(image, "exporting the layers from the engine");
        let compression = EffectiveConfig::of(&self.request.chain).compression;
        let archive = self.engine.save(id);
        let exported =
            layers::read_export(archive, id, known, &self.services.cache, compression).await?;
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
        let manifest = manifest::manifest(
            &config.descriptor,
            &exported.layers,
            &annotations(self.request),
        );
        Ok(PlatformImage {
            platform: self.platform_request.platform.clone(),
            manifest,
            config,
            layers: exported.layers,
        })
    }

    /// The image name of a build in the engine, by which users recognize it.
    fn name(&self, kind: &str) -> String {
        let platform = self.platform_request.platform.to_string().replace('/', "-");
        format!(
            "localhost/union-{kind}:{}-{platform}",
            self.request.key.spec_hash()
        )
    }
}

/// The directory of the build context of a spec's Dockerfile.
pub(in crate::build) fn context_of(spec: &spec::ImageSpec, dockerfile: &Path) -> PathBuf {
    let own = || {
        dockerfile
            .parent()
            .map_or_else(PathBuf::new, Path::to_owned)
    };
    spec.builder_options
        .context
        .as_ref()
        .map_or_else(own, |context| context.value.clone())
}

/// The annotations of the manifests of an environment.
pub(super) fn annotations(request: &BuildRequest) -> BTreeMap<String, String> {
    BTreeMap::from([(KEY.to_owned(), request.key.to_string())])
}
