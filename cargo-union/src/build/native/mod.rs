//! The native builder: images without a container engine.
//!
//! It puts layers upon a base and never runs anything in it. A base's layers are not unpacked; they
//! are fetched only when the place of a copied file or the number of a named user must be known.

pub(super) mod base;
mod compress;
pub(super) mod pack;
mod place;
mod scratch;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use union_build::diag::Code;
use union_build::spec;

use super::chain::Settings;
use super::{Builder, Executable, PlatformRecipe, Recipe, Reporter};
use crate::base::cache::Cache;
use crate::base::error::{Error, Result};
use crate::base::fs::measure;
use crate::image::config::{self, Wanted};
use crate::image::index::{Change, FileIndex, Node, is_read};
use crate::image::layer::Layer;
use crate::image::manifest::{self, KEY};
use crate::image::{BaseSource, Image, PlatformImage, user};
use base::Base;
use pack::{Entry, Packing, What};

pub(super) use scratch::ca_bundle_hash;

/// Where binaries are in every image.
///
/// A folder of our own: no base has a link or a file there, so that the code layer, which is made
/// without a look at the base, cannot replace anything of it.
pub const BINARIES: &str = "/union/bin";

/// Builds images in which nothing has to run.
pub struct NativeBuilder {
    cache: Cache,
    source: Arc<dyn BaseSource>,
    reporter: Arc<dyn Reporter>,
}

impl NativeBuilder {
    /// A builder that keeps layers in a cache and has its bases from a source.
    pub fn new(cache: Cache, source: Arc<dyn BaseSource>, reporter: Arc<dyn Reporter>) -> Self {
        Self { cache, source, reporter }
    }

    async fn platform(&self, recipe: &Arc<Recipe>, index: usize) -> Result<PlatformImage> {
        let wanted = &recipe.platforms[index];
        let base = match &wanted.base {
            Some(start) => Some(Base::open(&self.cache, &*self.source, start, &wanted.platform).await?),
            None => None,
        };
        let user = wanted_user(&recipe.chain, base.as_ref());
        let files = match &base {
            Some(base) if needs_files(recipe, user.as_deref()) => {
                self.step(recipe, "looking up the base's files");
                base.files(&self.cache, &*self.source).await?
            }
            _ => FileIndex::default(),
        };
        self.step(recipe, &packing_step(wanted));
        // Reading and compressing keep a core busy: they stay off the threads that talk to registries.
        let (cache, shared) = (self.cache.clone(), Arc::clone(recipe));
        let packed = tokio::task::spawn_blocking(move || pack_layers(&cache, &shared, &shared.platforms[index], files));
        let (own, files) = packed.await.expect("packing does not panic")?;
        let user = user.map(|user| numeric(&user, &files, recipe, base.as_ref())).transpose()?;
        Ok(assemble(recipe, wanted, base, own, user))
    }

    fn step(&self, recipe: &Recipe, step: &str) {
        self.reporter.step(recipe.image(), step);
    }
}

#[async_trait::async_trait]
impl Builder for NativeBuilder {
    async fn build(&self, recipe: &Recipe) -> Result<Image> {
        refuse_what_must_run(&recipe.steps)?;
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

fn packing_step(wanted: &PlatformRecipe) -> String {
    match &wanted.executables[..] {
        [] => format!("packing the environment for {}", wanted.platform),
        [one] => format!("packing `{}` for {}", one.name, wanted.platform),
        several => format!("packing {} binaries for {}", several.len(), wanted.platform),
    }
}

/// The user as typed, or the base's, or on scratch one who is not root.
fn wanted_user(chain: &[spec::Image], base: Option<&Base>) -> Option<String> {
    let inherited = || match base {
        Some(base) => base.config.user().map(str::to_owned),
        None => Some(scratch::USER.to_owned()),
    };
    Settings::of(chain).user.map(str::to_owned).or_else(inherited)
}

fn needs_files(recipe: &Recipe, user: Option<&str>) -> bool {
    let copies = recipe.steps.iter().any(|spec| !spec.copy.is_empty());
    let bundle = recipe.chain.iter().any(|spec| spec.ca_certificates.is_some());
    copies || bundle || user.is_some_and(user::has_names)
}

fn numeric(user: &str, files: &FileIndex, recipe: &Recipe, base: Option<&Base>) -> Result<String> {
    user::numeric(user, files.text("etc/passwd"), files.text("etc/group")).map_err(|unknown| {
        let base = base.map_or("scratch", |base| base.name());
        Error::new(Code::UnknownUser, format!("could not find user `{user}` of image `{}` in base image `{base}`", recipe.image()))
            .because(unknown)
    })
}

/// Packs our layers, lowest first, and says what stands where at their end.
fn pack_layers(cache: &Cache, recipe: &Recipe, wanted: &PlatformRecipe, mut files: FileIndex) -> Result<(Vec<OwnLayer>, FileIndex)> {
    let settings = Settings::of(&recipe.chain);
    let packing = Packing { compression: settings.compression, epoch: recipe.source_date_epoch };
    let mut layers = Vec::new();
    let mut add = |entries: Vec<Entry>, made_by| -> Result<()> {
        if !entries.is_empty() {
            layers.push((pack::layer(cache, entries, packing)?, made_by));
        }
        Ok(())
    };
    if wanted.base.is_none() {
        let entries = scratch::entries(settings.ca_certificates)?;
        files.apply(&entries.iter().map(change).collect::<Vec<_>>());
        add(entries, "cargo union: scratch")?;
    }
    // One layer for each spec, so that an image that extends another one shares its layers.
    for spec in &recipe.steps {
        add(place::copies(&spec.copy, &recipe.workspace, &mut files)?, "cargo union: copy")?;
    }
    if let (Some(bundle), true) = (settings.ca_certificates, wanted.base.is_some()) {
        add(place::file(bundle, scratch::CA_CERTIFICATES, &mut files)?, "cargo union: ca-certificates")?;
    }
    add(code(&wanted.executables)?, "cargo union: binaries")?;
    Ok((layers, files))
}

fn change(entry: &Entry) -> Change {
    let node = match &entry.what {
        What::Folder => Node::Folder,
        What::Bytes(bytes) if is_read(&entry.path) => Node::File(Some(String::from_utf8_lossy(bytes).into_owned())),
        What::File(..) | What::Bytes(_) => Node::File(None),
        What::Link(target) => Node::Link(target.clone()),
    };
    Change::Put(entry.path.clone(), node)
}

/// The entries of the code layer.
fn code(executables: &[Executable]) -> Result<Vec<Entry>> {
    if executables.is_empty() {
        return Ok(Vec::new());
    }
    let folder = BINARIES.trim_start_matches('/');
    let parent = Path::new(folder).parent().and_then(Path::to_str).expect("the folder has a parent");
    let mut entries = vec![Entry::folder(parent), Entry::folder(folder)];
    for Executable { name, path } in executables {
        let what = What::File(path.clone(), measure(path)?);
        entries.push(Entry { path: format!("{folder}/{name}"), mode: 0o755, owner: 0, what });
    }
    Ok(entries)
}

fn assemble(recipe: &Recipe, wanted: &PlatformRecipe, base: Option<Base>, own: Vec<OwnLayer>, user: Option<String>) -> PlatformImage {
    let settings = Settings::of(&recipe.chain);
    // With several binaries none of them is *the* command; whoever runs the image names one.
    let command = match &wanted.executables[..] {
        [one] => Some(format!("{BINARIES}/{}", one.name)),
        _ => None,
    };
    let wanted_config = Wanted {
        platform: &wanted.platform,
        key: recipe.key.to_string(),
        env: settings.env,
        labels: settings.labels.into_iter().chain(recipe.told.iter().map(|(name, value)| (name.as_str(), value.as_str()))).collect(),
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
    PlatformImage { platform: wanted.platform.clone(), manifest, config, layers }
}

fn annotations(recipe: &Recipe) -> BTreeMap<String, String> {
    let own = Settings::of(&recipe.chain).annotations;
    let mut annotations: BTreeMap<_, _> = own.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    annotations.insert(KEY.to_owned(), recipe.key.to_string());
    annotations
}
