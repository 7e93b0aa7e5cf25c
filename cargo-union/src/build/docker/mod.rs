//! The docker builder: builds environments in a container engine.
//!
//! The engine needs neither logins nor registries: base images are loaded into it, and the layers that it adds are
//! exported from it. Code is not part of an environment; the native builder adds it on top.

mod context;
mod dockerfile;
mod layers;
mod log;
mod platform_build;
mod python;
mod references;
mod secrets;
mod services;
mod steps;
mod writer;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use union_build::diag::Origin;
use union_build::key::{Inputs, Value};
use union_build::spec;

use super::chain::ImageChain;
use super::environment::without_steps;
use super::sources;
use super::variables;
use super::{
    BaseImage, BuildRequest, Builder, LockedBase, MeasuredFiles, PlatformBuildRequest, Reporter,
    SourceRoots,
};
use crate::engine::EngineLocator;
use crate::image::manifest;
use crate::image::platform::Platform;
use crate::image::{BaseSource, Image, Logins, PlatformImage};
use crate::sys::cache::Cache;
use crate::sys::error::Result;
use crate::sys::fs::FileDigest;
use crate::sys::process::Environment;
pub(super) use context::dockerfile_items;
use dockerfile::{CacheMounts, DockerfileContext, with_copies};
use log::BuildLog;
pub(super) use platform_build::context_of;
use platform_build::{DockerBuild, annotations};
use secrets::BuildSecrets;
use services::DockerServices;

/// Builds environments in a container engine.
pub struct DockerBuilder(DockerServices);

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
        Self(DockerServices {
            cache,
            source,
            engines,
            logins,
            environment,
            logs,
            reporter,
        })
    }

    /// The locator of the engine that builds.
    pub fn engines(&self) -> &EngineLocator {
        &self.0.engines
    }

    /// Loads a toolchain image into the engine, installs the packages that a compile for `image` needs, and returns
    /// the name of the result in the engine.
    ///
    /// # Errors
    /// When no engine is available, the image cannot be loaded, or the packages cannot be installed (`BuildFailed`).
    pub async fn toolchain(
        &self,
        image: &spec::ImageSpec,
        at: &LockedBase,
        platform: &Platform,
        packages: &[String],
    ) -> Result<String> {
        let step = spec::ImageSpec {
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
            files: Arc::new(MeasuredFiles::new(&self.0.cache)),
            key: inputs.key("toolchain"),
            platforms: Vec::new(),
            interface_labels: BTreeMap::new(),
            source_date_epoch: 0,
            check: false,
        };
        let _steps = super::Steps(&*self.0.reporter, &image.key);
        let engine = self.0.engines.engine().await?;
        let secrets = BuildSecrets::default().with_authority(self.0.authority(&request.steps)?);
        let log = BuildLog::begin(
            self.0.logs.join(format!("{}-toolchain.log", image.key)),
            &image.key,
            &secrets,
            &*self.0.reporter,
        )?;
        let build = DockerBuild {
            services: &self.0,
            engine,
            request: &request,
            platform_request: &platform_request,
            secrets: &secrets,
            log: &log,
        };
        let base = platform_request
            .base
            .as_ref()
            .expect("it starts from the image");
        let loaded = build.load_base(base).await?;
        if packages.is_empty() {
            return Ok(loaded.name);
        }
        build
            .build_steps(with_copies(&request.steps, |_| Ok(Vec::new()))?, &loaded)
            .await
    }

    async fn build_platform(
        &self,
        request: &BuildRequest,
        platform_request: &PlatformBuildRequest,
        several: bool,
    ) -> Result<PlatformImage> {
        let engine = self.0.engines.engine().await?;
        let image = request.image();
        let secrets = BuildSecrets::read(&request.steps, &self.0.environment)?
            .with_authority(self.0.authority(&request.steps)?);
        let suffix = if several {
            format!(
                "-{}",
                platform_request.platform.to_string().replace('/', "-")
            )
        } else {
            String::new()
        };
        let log = BuildLog::begin(
            self.0.logs.join(format!("{image}{suffix}.log")),
            image,
            &secrets,
            &*self.0.reporter,
        )?;
        DockerBuild {
            services: &self.0,
            engine,
            request,
            platform_request,
            secrets: &secrets,
            log: &log,
        }
        .build()
        .await
    }
}

#[async_trait::async_trait]
impl Builder for DockerBuilder {
    async fn build(&self, request: &BuildRequest) -> Result<Image> {
        let _steps = super::Steps(&*self.0.reporter, request.image());
        let mut platforms = Vec::new();
        for platform_request in &request.platforms {
            platforms.push(
                self.build_platform(request, platform_request, request.platforms.len() > 1)
                    .await?,
            );
        }
        let index =
            (platforms.len() > 1).then(|| manifest::index(&platforms, &annotations(request)));
        Ok(Image { platforms, index })
    }
}

/// The Dockerfile of some steps on the base `from`, for display.
///
/// # Errors
/// When a copied file or directory cannot be read.
pub fn dockerfile(
    steps: &[spec::ImageSpec],
    from: &str,
    tools: &BTreeMap<String, String>,
    roots: &SourceRoots,
) -> Result<String> {
    // The text contains names of files, but not their contents.
    let no_content = |_: &Path| {
        Ok(FileDigest {
            size: 0,
            hash: [0; 32],
        })
    };
    let steps = with_copies(steps, |copy| sources::items(copy, roots, &no_content))?;
    let refers = steps
        .iter()
        .any(|step| !step.spec.commands.is_empty() && variables::refers_to_base(step.spec));
    let note = if refers {
        "# ${NAME} stands for a variable of the base image; a build inserts its value.\n"
    } else {
        ""
    };
    let dockerfile = dockerfile::write(&DockerfileContext {
        steps: &steps,
        from,
        user: None,
        tools,
        authority: false,
        caches: CacheMounts::Locked,
    });
    Ok(format!("{note}{}", dockerfile.text))
}

/// Reads every secret that steps need, so that a missing one is reported before any work starts.
///
/// # Errors
/// `SecretMissing` when a required secret has no value or is too large.
pub fn check_secrets(steps: &[spec::ImageSpec], environment: &Environment) -> Result<()> {
    BuildSecrets::read(steps, environment).map(drop)
}

fn placed(value: String) -> spec::Sourced<String> {
    spec::Sourced {
        value,
        origin: Origin::Default,
    }
}
