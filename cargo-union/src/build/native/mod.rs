//! The native builder: builds images without a container engine.
//!
//! It adds layers to a base and never runs anything in it. Layers of the base are not unpacked. They are downloaded,
//! once, only if their files matter: for the destination of a copy, the ID of a named user, or the libraries of a
//! dynamic binary.

mod compress;
mod copy_plan;
mod layers;
pub(super) mod pack;
mod scratch;

use std::collections::BTreeMap;
use std::sync::Arc;

use union_build::diag::Code;
use union_build::spec;

use super::BINARIES;
use super::base::{LayerIndexCache, ResolvedBase};
use super::chain::{EffectiveConfig, ImageChain};
use super::check::StartCheck;
use super::{BuildRequest, Builder, PlatformBuildRequest, Reporter, Steps, variables};
use crate::image::config::{self, ConfigOptions};
use crate::image::index::FileIndex;
use crate::image::layer::Layer;
use crate::image::manifest::{self, KEY, START_CHECK};
use crate::image::{BaseSource, Image, PlatformImage, user};
use crate::sys::cache::Cache;
use crate::sys::error::{Error, Result};
use layers::{PlannedLayer, plan_layers};
use pack::PackOptions;

pub(super) use scratch::ca_bundle_hash;

/// Builds images that do not need to run commands.
pub struct NativeBuilder {
    cache: Cache,
    source: Arc<dyn BaseSource>,
    contents: LayerIndexCache,
    reporter: Arc<dyn Reporter>,
}

impl NativeBuilder {
    /// Layers are stored in `cache`; bases are read from `source`.
    pub fn new(cache: Cache, source: Arc<dyn BaseSource>, reporter: Arc<dyn Reporter>) -> Self {
        let contents = LayerIndexCache::new(cache.clone(), source.clone());
        Self {
            cache,
            source,
            contents,
            reporter,
        }
    }

    /// Refuses binaries that could not start in an image that another builder builds. Returns whether all were checked:
    /// unless the files of that image are known, only static binaries can be.
    pub(super) async fn check_start(
        &self,
        request: &BuildRequest,
        files_are_known: bool,
    ) -> Result<bool> {
        let _steps = Steps(&*self.reporter, request.image());
        let request = Arc::new(request.clone());
        let mut checked = request.check;
        for (index, platform_request) in request.platforms.iter().enumerate() {
            let base = match &platform_request.base {
                Some(base) => {
                    Some(ResolvedBase::open(&*self.source, base, &platform_request.platform).await?)
                }
                None => None,
            };
            let check = StartCheck::of(
                &request,
                platform_request,
                base.as_ref().map(|base| &base.config),
            )?;
            if check.needs_files() && !files_are_known {
                checked = false;
            } else if !check.is_empty() {
                let files = if files_are_known {
                    self.files(&request, base.as_ref(), None, &check).await?
                } else {
                    FileIndex::default()
                };
                let shared = Arc::clone(&request);
                let reporter = self.reporter.clone();
                let workdir = workdir(base.as_ref());
                let checking = tokio::task::spawn_blocking(move || {
                    let platform_request = &shared.platforms[index];
                    let (_, files) = plan_layers(&shared, platform_request, &workdir, files)?;
                    reporter.step(shared.image(), &check_step(platform_request));
                    check.refuse(&shared, platform_request, &files)
                });
                checking.await.expect("checking does not panic")?;
            }
        }
        Ok(checked
            || request
                .platforms
                .iter()
                .all(|platform| platform.executables.is_empty()))
    }

    async fn build_platform(
        &self,
        request: &Arc<BuildRequest>,
        index: usize,
    ) -> Result<PlatformImage> {
        let platform_request = &request.platforms[index];
        let base = match &platform_request.base {
            Some(base) => {
                Some(ResolvedBase::open(&*self.source, base, &platform_request.platform).await?)
            }
            None => None,
        };
        let user = effective_user(&request.chain, base.as_ref());
        let check = StartCheck::of(
            request,
            platform_request,
            base.as_ref().map(|base| &base.config),
        )?;
        let files = self
            .files(request, base.as_ref(), user.as_deref(), &check)
            .await?;
        // Reading and compressing are CPU-bound and must not block the async runtime.
        let cache = self.cache.clone();
        let reporter = self.reporter.clone();
        let shared = Arc::clone(request);
        let workdir = workdir(base.as_ref());
        let packed = tokio::task::spawn_blocking(move || {
            let platform_request = &shared.platforms[index];
            let step = |step: &str| reporter.step(shared.image(), step);
            let (planned, files) = plan_layers(&shared, platform_request, &workdir, files)?;
            if !check.is_empty() {
                step(&check_step(platform_request));
                check.refuse(&shared, platform_request, &files)?;
            }
            step(&packing_step(platform_request));
            Ok((pack_layers(&cache, &shared, planned)?, files))
        });
        let (layers, files) = packed.await.expect("packing does not panic")?;
        let user = user
            .map(|user| numeric_user(&user, &files, request, base.as_ref()))
            .transpose()?;
        assemble(request, platform_request, base, layers, user)
    }

    /// The files of the base, as far as the build or the check needs them.
    async fn files(
        &self,
        request: &BuildRequest,
        base: Option<&ResolvedBase>,
        user: Option<&str>,
        check: &StartCheck,
    ) -> Result<FileIndex> {
        match base {
            Some(base) if needs_files(request, user) => {
                self.step(request, "looking up the base's files");
                self.contents.files(&base.name, &base.layers).await
            }
            Some(base) if check.needs_files() => {
                self.step(request, "looking up the base's libraries");
                self.contents.libraries(&base.name, &base.layers).await
            }
            _ => Ok(FileIndex::default()),
        }
    }

    fn step(&self, request: &BuildRequest, step: &str) {
        self.reporter.step(request.image(), step);
    }
}

#[async_trait::async_trait]
impl Builder for NativeBuilder {
    async fn build(&self, request: &BuildRequest) -> Result<Image> {
        refuse_commands(&request.steps)?;
        let _steps = Steps(&*self.reporter, request.image());
        let request = Arc::new(request.clone());
        let mut platforms = Vec::new();
        for index in 0..request.platforms.len() {
            platforms.push(self.build_platform(&request, index).await?);
        }
        let index =
            (platforms.len() > 1).then(|| manifest::index(&platforms, &annotations(&request)));
        Ok(Image { platforms, index })
    }
}

/// An added layer, and the `created_by` of its history entry.
type OwnLayer = (Layer, &'static str);

fn refuse_commands(chain: &[spec::ImageSpec]) -> Result<()> {
    for spec in chain {
        if let Some((key, origin)) = spec.needs_to_run().first() {
            return Err(Error::new(
                Code::UnsupportedByBuilder,
                format!("the native builder cannot build image `{}`", spec.key),
            )
            .because(format!("`{key}` ({origin}) has to run in a container"))
            .help("Set `builder = \"docker\"` or `builder = \"remote\"` for this image."));
        }
    }
    Ok(())
}

fn check_step(platform_request: &PlatformBuildRequest) -> String {
    format!(
        "checking that {} can start on {}",
        binaries(platform_request),
        platform_request.platform
    )
}

fn packing_step(platform_request: &PlatformBuildRequest) -> String {
    format!(
        "packing {} for {}",
        binaries(platform_request),
        platform_request.platform
    )
}

fn binaries(platform_request: &PlatformBuildRequest) -> String {
    match &platform_request.executables[..] {
        [] => "the environment".to_owned(),
        [executable] => format!("`{}`", executable.name),
        executables => format!("{} binaries", executables.len()),
    }
}

/// The user of the specs, else of the base, else an unprivileged one on scratch.
fn effective_user(chain: &ImageChain, base: Option<&ResolvedBase>) -> Option<String> {
    let inherited = || match base {
        Some(base) => base.config.user().map(str::to_owned),
        None => Some(scratch::USER.to_owned()),
    };
    EffectiveConfig::of(chain)
        .user
        .map(str::to_owned)
        .or_else(inherited)
}

/// The working directory of the base, where relative copies go.
fn workdir(base: Option<&ResolvedBase>) -> String {
    base.map(|base| base.config.workdir()).unwrap_or_default()
}

fn needs_files(request: &BuildRequest, user: Option<&str>) -> bool {
    let copies = request.steps.iter().any(|spec| !spec.copy.is_empty());
    let bundle = request
        .chain
        .iter()
        .any(|spec| spec.ca_certificates.is_some());
    copies || bundle || user.is_some_and(user::has_names)
}

fn numeric_user(
    user: &str,
    files: &FileIndex,
    request: &BuildRequest,
    base: Option<&ResolvedBase>,
) -> Result<String> {
    user::numeric(user, files.text("etc/passwd"), files.text("etc/group")).map_err(|unknown| {
        let base = base.map_or("scratch", |base| &base.name);
        Error::new(
            Code::UnknownUser,
            format!(
                "could not find user `{user}` of image `{}` in base image `{base}`",
                request.image()
            ),
        )
        .because(unknown)
    })
}

fn pack_layers(
    cache: &Cache,
    request: &BuildRequest,
    layers: Vec<PlannedLayer>,
) -> Result<Vec<OwnLayer>> {
    let options = PackOptions {
        compression: EffectiveConfig::of(&request.chain).compression,
        epoch: request.source_date_epoch,
    };
    layers
        .into_iter()
        .map(|(entries, created_by)| Ok((pack::layer(cache, entries, options)?, created_by)))
        .collect()
}

/// The task interfaces of the binaries, as labels.
fn interface_labels(request: &BuildRequest) -> impl Iterator<Item = (&str, &str)> {
    request
        .interface_labels
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
}

fn assemble(
    request: &BuildRequest,
    platform_request: &PlatformBuildRequest,
    base: Option<ResolvedBase>,
    own_layers: Vec<OwnLayer>,
    user: Option<String>,
) -> Result<PlatformImage> {
    let settings = EffectiveConfig::of(&request.chain);
    let variables = variables::expanded(
        request.chain.iter(),
        &variables::of_base(base.as_ref().map(|base| &base.config)),
    )?;
    // With several binaries there is no default command; users of the image select one.
    let command = match &platform_request.executables[..] {
        [executable] => Some(format!("{BINARIES}/{}", executable.name)),
        _ => None,
    };
    let options = ConfigOptions {
        platform: &platform_request.platform,
        key: request.key.to_string(),
        env: variables
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect(),
        labels: settings
            .labels
            .into_iter()
            .chain(interface_labels(request))
            .chain(unchecked(request))
            .collect(),
        entrypoint: settings.entrypoint,
        command,
        user,
        workdir: settings.workdir,
        layers: own_layers
            .iter()
            .map(|(layer, created_by)| (layer.diff_id, *created_by))
            .collect(),
        epoch: request.source_date_epoch,
    };
    let config = config::config(base.as_ref().map(|base| &base.config), &options);
    let mut layers = base.map_or_else(Vec::new, |base| base.layers);
    layers.extend(own_layers.into_iter().map(|(layer, _)| layer));
    let manifest = manifest::manifest(&config.descriptor, &layers, &annotations(request));
    Ok(PlatformImage {
        platform: platform_request.platform.clone(),
        manifest,
        config,
        layers,
    })
}

fn annotations(request: &BuildRequest) -> BTreeMap<String, String> {
    let declared = EffectiveConfig::of(&request.chain).annotations;
    let mut annotations: BTreeMap<_, _> = declared
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    annotations.insert(KEY.to_owned(), request.key.to_string());
    annotations.extend(unchecked(request).map(|(name, value)| (name.to_owned(), value.to_owned())));
    annotations
}

/// The label and annotation of an image whose binaries were not checked.
fn unchecked(request: &BuildRequest) -> Option<(&'static str, &'static str)> {
    let has_binaries = request
        .platforms
        .iter()
        .any(|platform| !platform.executables.is_empty());
    (has_binaries && !request.check).then_some((START_CHECK, "skipped"))
}
