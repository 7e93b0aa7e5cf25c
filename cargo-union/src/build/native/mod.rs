//! The native builder: images without a container engine.
//!
//! It puts layers upon a base and never runs anything in it. A base's layers are not unpacked; they
//! are fetched, once in their life, only when what is in them must be known: for the place of a copied
//! file, the number of a named user, or the libraries of a dynamic binary.

mod compress;
mod copy_plan;
pub(super) mod pack;
mod scratch;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use union_build::diag::Code;
use union_build::spec;

use super::BINARIES;
use super::base::{LayerIndexCache, ResolvedBase};
use super::chain::{EffectiveConfig, ImageChain};
use super::check::StartCheck;
use super::{BuildRequest, Builder, Executable, PlatformBuildRequest, Reporter, Steps, variables};
use crate::image::config::{self, ConfigOptions};
use crate::image::index::{FileIndex, FsEntry, IndexedFile, LayerChange};
use crate::image::layer::Layer;
use crate::image::manifest::{self, KEY, START_CHECK};
use crate::image::{BaseSource, Image, PlatformImage, user};
use crate::sys::cache::Cache;
use crate::sys::error::{Error, Result};
use crate::sys::fs::measure;
use pack::{EntryKind, LayerEntry, Packing};

pub(super) use scratch::ca_bundle_hash;

/// Builds images in which nothing has to run.
pub struct NativeBuilder {
    cache: Cache,
    source: Arc<dyn BaseSource>,
    contents: LayerIndexCache,
    reporter: Arc<dyn Reporter>,
}

impl NativeBuilder {
    /// A builder that keeps layers in a cache and has its bases from a source.
    pub fn new(cache: Cache, source: Arc<dyn BaseSource>, reporter: Arc<dyn Reporter>) -> Self {
        let contents = LayerIndexCache::new(cache.clone(), source.clone());
        Self { cache, source, contents, reporter }
    }

    /// Refuses binaries that could not start in an image that somebody else makes. Says whether all were
    /// checked: while the files of that image are not known, only static ones can be.
    pub(super) async fn check_start(&self, recipe: &BuildRequest, known: bool) -> Result<bool> {
        let _steps = Steps(&*self.reporter, recipe.image());
        let recipe = Arc::new(recipe.clone());
        let mut checked = recipe.check;
        for (index, wanted) in recipe.platforms.iter().enumerate() {
            let base = match &wanted.base {
                Some(start) => Some(ResolvedBase::open(&*self.source, start, &wanted.platform).await?),
                None => None,
            };
            let check = StartCheck::of(&recipe, wanted, base.as_ref().map(|base| &base.config))?;
            if check.needs_files() && !known {
                checked = false;
            } else if !check.is_empty() {
                let files = if known { self.files(&recipe, base.as_ref(), None, &check).await? } else { FileIndex::default() };
                let (shared, reporter, workdir) = (Arc::clone(&recipe), self.reporter.clone(), workdir(base.as_ref()));
                let refused = tokio::task::spawn_blocking(move || {
                    let wanted = &shared.platforms[index];
                    let (_, files) = plan_layers(&shared, wanted, &workdir, files)?;
                    reporter.step(shared.image(), &check_step(wanted));
                    check.refuse(&shared, wanted, &files)
                });
                refused.await.expect("checking does not panic")?;
            }
        }
        Ok(checked || recipe.platforms.iter().all(|platform| platform.executables.is_empty()))
    }

    async fn platform(&self, recipe: &Arc<BuildRequest>, index: usize) -> Result<PlatformImage> {
        let wanted = &recipe.platforms[index];
        let base = match &wanted.base {
            Some(start) => Some(ResolvedBase::open(&*self.source, start, &wanted.platform).await?),
            None => None,
        };
        let user = wanted_user(&recipe.chain, base.as_ref());
        let check = StartCheck::of(recipe, wanted, base.as_ref().map(|base| &base.config))?;
        let files = self.files(recipe, base.as_ref(), user.as_deref(), &check).await?;
        // Reading and compressing keep a core busy: they stay off the threads that talk to registries.
        let (cache, reporter, shared) = (self.cache.clone(), self.reporter.clone(), Arc::clone(recipe));
        let workdir = workdir(base.as_ref());
        let packed = tokio::task::spawn_blocking(move || {
            let wanted = &shared.platforms[index];
            let step = |step: &str| reporter.step(shared.image(), step);
            let (planned, files) = plan_layers(&shared, wanted, &workdir, files)?;
            if !check.is_empty() {
                step(&check_step(wanted));
                check.refuse(&shared, wanted, &files)?;
            }
            step(&packing_step(wanted));
            Ok((pack_layers(&cache, &shared, planned)?, files))
        });
        let (own, files) = packed.await.expect("packing does not panic")?;
        let user = user.map(|user| numeric(&user, &files, recipe, base.as_ref())).transpose()?;
        assemble(recipe, wanted, base, own, user)
    }

    /// What has to be known of the base's files.
    async fn files(&self, recipe: &BuildRequest, base: Option<&ResolvedBase>, user: Option<&str>, check: &StartCheck) -> Result<FileIndex> {
        match base {
            Some(base) if needs_files(recipe, user) => {
                self.step(recipe, "looking up the base's files");
                self.contents.files(&base.name, &base.layers).await
            }
            Some(base) if check.needs_files() => {
                self.step(recipe, "looking up the base's libraries");
                self.contents.libraries(&base.name, &base.layers).await
            }
            _ => Ok(FileIndex::default()),
        }
    }

    fn step(&self, recipe: &BuildRequest, step: &str) {
        self.reporter.step(recipe.image(), step);
    }
}

#[async_trait::async_trait]
impl Builder for NativeBuilder {
    async fn build(&self, recipe: &BuildRequest) -> Result<Image> {
        refuse_what_must_run(&recipe.steps)?;
        let _steps = Steps(&*self.reporter, recipe.image());
        let recipe = Arc::new(recipe.clone());
        let mut platforms = Vec::new();
        for index in 0..recipe.platforms.len() {
            platforms.push(self.platform(&recipe, index).await?);
        }
        let index = (platforms.len() > 1).then(|| manifest::index(&platforms, &annotations(&recipe)));
        Ok(Image { platforms, index })
    }
}

/// A layer of ours, and what made it, as the image's history says.
type OwnLayer = (Layer, &'static str);

fn refuse_what_must_run(chain: &[spec::Image]) -> Result<()> {
    for spec in chain {
        if let Some((key, origin)) = spec.needs_to_run().first() {
            return Err(Error::new(Code::UnsupportedByBuilder, format!("the native builder cannot build image `{}`", spec.key))
                .because(format!("`{key}` ({origin}) has to run in a container"))
                .help("Set `builder = \"docker\"` or `builder = \"remote\"` for this image."));
        }
    }
    Ok(())
}

fn check_step(wanted: &PlatformBuildRequest) -> String {
    format!("checking that {} can start on {}", binaries(wanted), wanted.platform)
}

fn packing_step(wanted: &PlatformBuildRequest) -> String {
    format!("packing {} for {}", binaries(wanted), wanted.platform)
}

fn binaries(wanted: &PlatformBuildRequest) -> String {
    match &wanted.executables[..] {
        [] => "the environment".to_owned(),
        [one] => format!("`{}`", one.name),
        several => format!("{} binaries", several.len()),
    }
}

/// The user as typed, or the base's, or on scratch one who is not root.
fn wanted_user(chain: &ImageChain, base: Option<&ResolvedBase>) -> Option<String> {
    let inherited = || match base {
        Some(base) => base.config.user().map(str::to_owned),
        None => Some(scratch::USER.to_owned()),
    };
    EffectiveConfig::of(chain).user.map(str::to_owned).or_else(inherited)
}

/// Where relative copies go: the working directory of the base.
fn workdir(base: Option<&ResolvedBase>) -> String {
    base.map(|base| base.config.workdir()).unwrap_or_default()
}

fn needs_files(recipe: &BuildRequest, user: Option<&str>) -> bool {
    let copies = recipe.steps.iter().any(|spec| !spec.copy.is_empty());
    let bundle = recipe.chain.iter().any(|spec| spec.ca_certificates.is_some());
    copies || bundle || user.is_some_and(user::has_names)
}

fn numeric(user: &str, files: &FileIndex, recipe: &BuildRequest, base: Option<&ResolvedBase>) -> Result<String> {
    user::numeric(user, files.text("etc/passwd"), files.text("etc/group")).map_err(|unknown| {
        let base = base.map_or("scratch", |base| &base.name);
        Error::new(Code::UnknownUser, format!("could not find user `{user}` of image `{}` in base image `{base}`", recipe.image()))
            .because(unknown)
    })
}

/// The entries of a layer of ours, and what made it.
type PlannedLayer = (Vec<LayerEntry>, &'static str);

/// Decides what is in our layers, lowest first, and what stands where at their end.
fn plan_layers(
    recipe: &BuildRequest,
    wanted: &PlatformBuildRequest,
    workdir: &str,
    mut files: FileIndex,
) -> Result<(Vec<PlannedLayer>, FileIndex)> {
    let settings = EffectiveConfig::of(&recipe.chain);
    let mut layers = Vec::new();
    if wanted.base.is_none() {
        let entries = scratch::entries(settings.ca_certificates, &recipe.files)?;
        files.apply(&entries.iter().map(change).collect::<Vec<_>>());
        layers.push((entries, "cargo union: scratch"));
    }
    // One layer for each spec, so that an image that extends another one shares its layers.
    for spec in &recipe.steps {
        layers.push((copy_plan::copies(&spec.key, &spec.copy, (&recipe.roots, &recipe.files), workdir, &mut files)?, "cargo union: copy"));
    }
    if let (Some(bundle), true) = (settings.ca_certificates, wanted.base.is_some()) {
        layers.push((copy_plan::file(bundle, scratch::CA_CERTIFICATES, &recipe.files, &mut files)?, "cargo union: ca-certificates"));
    }
    layers.push((code(&wanted.executables)?, "cargo union: binaries"));
    layers.retain(|(entries, _)| !entries.is_empty());
    Ok((layers, files))
}

fn pack_layers(cache: &Cache, recipe: &BuildRequest, layers: Vec<PlannedLayer>) -> Result<Vec<OwnLayer>> {
    let packing = Packing { compression: EffectiveConfig::of(&recipe.chain).compression, epoch: recipe.source_date_epoch };
    layers.into_iter().map(|(entries, made_by)| Ok((pack::layer(cache, entries, packing)?, made_by))).collect()
}

fn change(entry: &LayerEntry) -> LayerChange {
    let node = match &entry.what {
        EntryKind::Folder => FsEntry::Folder,
        EntryKind::Bytes(bytes) => FsEntry::File(IndexedFile::of(&entry.path, &bytes[..])),
        EntryKind::File(..) => FsEntry::File(None),
        EntryKind::Link(target) => FsEntry::Link(target.clone()),
    };
    LayerChange::Put(entry.path.clone(), node)
}

/// The entries of the code layer.
fn code(executables: &[Executable]) -> Result<Vec<LayerEntry>> {
    if executables.is_empty() {
        return Ok(Vec::new());
    }
    let folder = BINARIES.trim_start_matches('/');
    let parent = Path::new(folder).parent().and_then(Path::to_str).expect("the folder has a parent");
    let mut entries = vec![LayerEntry::folder(parent), LayerEntry::folder(folder)];
    for Executable { name, path } in executables {
        let what = EntryKind::File(path.clone(), measure(path)?);
        entries.push(LayerEntry { path: format!("{folder}/{name}"), mode: 0o755, owner: 0, group: 0, what });
    }
    Ok(entries)
}

/// What the binaries say of themselves, as labels.
fn interface_labels(recipe: &BuildRequest) -> impl Iterator<Item = (&str, &str)> {
    recipe.interface_labels.iter().map(|(name, value)| (name.as_str(), value.as_str()))
}

fn assemble(
    recipe: &BuildRequest,
    wanted: &PlatformBuildRequest,
    base: Option<ResolvedBase>,
    own: Vec<OwnLayer>,
    user: Option<String>,
) -> Result<PlatformImage> {
    let settings = EffectiveConfig::of(&recipe.chain);
    let variables = variables::expanded(recipe.chain.iter(), &variables::of_base(base.as_ref().map(|base| &base.config)))?;
    // With several binaries none of them is *the* command; whoever runs the image names one.
    let command = match &wanted.executables[..] {
        [one] => Some(format!("{BINARIES}/{}", one.name)),
        _ => None,
    };
    let wanted_config = ConfigOptions {
        platform: &wanted.platform,
        key: recipe.key.to_string(),
        env: variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect(),
        labels: settings.labels.into_iter().chain(interface_labels(recipe)).chain(unchecked(recipe)).collect(),
        entrypoint: settings.entrypoint,
        command,
        user,
        workdir: settings.workdir,
        layers: own.iter().map(|(layer, made_by)| (layer.diff_id, *made_by)).collect(),
        epoch: recipe.source_date_epoch,
    };
    let config = config::config(base.as_ref().map(|base| &base.config), &wanted_config);
    let mut layers = base.map_or_else(Vec::new, |base| base.layers);
    layers.extend(own.into_iter().map(|(layer, _)| layer));
    let manifest = manifest::manifest(&config.descriptor, &layers, &annotations(recipe));
    Ok(PlatformImage { platform: wanted.platform.clone(), manifest, config, layers })
}

fn annotations(recipe: &BuildRequest) -> BTreeMap<String, String> {
    let own = EffectiveConfig::of(&recipe.chain).annotations;
    let mut annotations: BTreeMap<_, _> = own.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    annotations.insert(KEY.to_owned(), recipe.key.to_string());
    annotations.extend(unchecked(recipe).map(|(name, value)| (name.to_owned(), value.to_owned())));
    annotations
}

/// What an image says whose binaries nobody has checked.
fn unchecked(recipe: &BuildRequest) -> Option<(&'static str, &'static str)> {
    let has_binaries = recipe.platforms.iter().any(|platform| !platform.executables.is_empty());
    (has_binaries && !recipe.check).then_some((START_CHECK, "skipped"))
}
