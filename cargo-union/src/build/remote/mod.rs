//! The remote builder: images that the backend makes.
//!
//! What it is told is put together here, and nothing is sent: an order, and an archive with everything that
//! it copies. The same recipe gives the same bytes. Binaries are compiled before, like those of all images:
//! the backend's layers have no second stage that a toolchain could stay behind in.

mod shell;
mod steps;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use flate2::{Compression, GzBuilder};
use union_build::diag::Code;
use union_build::spec::variables::is_plain;

use super::archive::Archive;
use super::base::ResolvedBase;
use super::native::NativeBuilder;
use super::{BuildRequest, Reporter, variables};
use crate::image::BaseSource;
use crate::image::config::{IMAGE_ID, TASK_INTERFACES};
use crate::image::reference::PinnedRef;
use crate::image::remote_spec::{RemoteImageSpec, RemoteStep};
use crate::sys::cache::Cache;
use crate::sys::error::{Error, Result};
use crate::sys::fs::{self, AtomicFile};
use steps::{BaseSettings, RemoteSteps};

/// What the backend gets its Python packages for when the manifest does not say.
const PYTHON: &str = "3.12";

/// What an image says whose binaries nobody has checked.
const START_CHECK: &str = "UNION_START_CHECK";

/// Puts orders together.
pub struct RemoteBuilder {
    cache: Cache,
    source: Arc<dyn BaseSource>,
    native: NativeBuilder,
}

/// What the backend is told.
#[derive(Debug)]
pub struct RemoteBuildRequest {
    /// What to make.
    pub order: RemoteImageSpec,
    /// The archive with everything that it copies; `None` when it copies nothing.
    pub context: Option<AtomicFile>,
}

impl RemoteBuilder {
    /// A builder that keeps archives in a cache and has its bases from a source.
    pub fn new(cache: Cache, source: Arc<dyn BaseSource>, reporter: Arc<dyn Reporter>) -> Self {
        let native = NativeBuilder::new(cache.clone(), source.clone(), reporter);
        Self { cache, source, native }
    }

    /// Puts an order together for a recipe upon a base, and checks that its binaries can start as far as
    /// the files of the image are known.
    ///
    /// # Errors
    /// When a binary could not start, or a file cannot be read.
    pub async fn order(&self, recipe: &BuildRequest, base: &PinnedRef) -> Result<RemoteBuildRequest> {
        let known = recipe.steps.iter().all(|spec| spec.needs_to_run().is_empty());
        let checked = self.native.check_start(recipe, known).await?;
        let facts = self.facts(recipe).await?;
        let (cache, recipe, base) = (self.cache.clone(), recipe.clone(), base.to_string());
        // Reading and compressing keep a core busy: they stay off the threads that talk to others.
        let packed = tokio::task::spawn_blocking(move || pack(&cache, &recipe, base, &facts, checked));
        packed.await.expect("packing does not panic")
    }

    /// What the base says of variables and of the working directory. The same is taken for every platform, for an
    /// order has one text for all of them.
    async fn facts(&self, recipe: &BuildRequest) -> Result<BaseSettings> {
        let Some((platform, start)) = recipe.platforms.iter().find_map(|wanted| Some((&wanted.platform, wanted.base.as_ref()?))) else {
            return Ok(BaseSettings { variables: variables::of_base(None), workdir: String::new() });
        };
        let config = ResolvedBase::open(&*self.source, start, platform).await?.config;
        Ok(BaseSettings { variables: variables::of_base(Some(&config)), workdir: config.workdir() })
    }
}

fn pack(cache: &Cache, recipe: &BuildRequest, base: String, facts: &BaseSettings, checked: bool) -> Result<RemoteBuildRequest> {
    let draft = cache.draft()?;
    let path = draft.path().to_owned();
    let archive = Archive::new(GzBuilder::new().mtime(0).write(draft, Compression::default()), path.clone(), recipe.source_date_epoch);
    let mut steps = RemoteSteps::new(archive, recipe, facts);
    steps.add(recipe)?;
    steps.steps.push(RemoteStep::Env(all_variables(recipe, facts, checked)?));
    let RemoteSteps { steps, archive, has_files, .. } = steps;
    let mut draft = archive.finish()?.finish().map_err(|cause| fs::unwritable(&path, cause))?;
    draft.flush().map_err(|cause| fs::unwritable(&path, cause))?;
    let python = recipe.chain.iter().rev().find_map(|spec| spec.python.version.as_ref());
    let order = RemoteImageSpec {
        base,
        python: python.map_or_else(|| PYTHON.to_owned(), |version| version.value.clone()),
        steps,
        platforms: recipe.platforms.iter().map(|platform| platform.platform.clone()).collect(),
    };
    Ok(RemoteBuildRequest { order, context: has_files.then_some(draft) })
}

/// The variables of the image: the spec's, and what other builders write into labels.
///
/// # Errors
/// `InvalidValue`; `UnsupportedByBuilder` when the base brings a value that may not arrive as it is.
fn all_variables(recipe: &BuildRequest, facts: &BaseSettings, checked: bool) -> Result<BTreeMap<String, String>> {
    let mut variables = variables::expanded(recipe.chain.iter(), &facts.variables)?;
    if let Some((name, value)) = variables.iter().find(|(_, value)| !is_plain(value)) {
        let image = recipe.image();
        return Err(Error::new(
            Code::UnsupportedByBuilder,
            format!("the remote builder may change the value of `{name}` of image `{image}`"),
        )
        .because(format!("with the variables of the base image it is `{value}`, with a blank, a quote, `\\` or a dollar in it"))
        .help("Set it in the `env` of the tasks, which arrives as it is."));
    }
    variables.insert(IMAGE_ID.to_owned(), recipe.key.to_string());
    if !recipe.interface_labels.is_empty() {
        // JSON has quotes, and who knows what becomes of those.
        let json = serde_json::to_vec(&recipe.interface_labels).expect("texts always serialize");
        variables.insert(TASK_INTERFACES.to_owned(), URL_SAFE_NO_PAD.encode(json));
    }
    if !checked {
        variables.insert(START_CHECK.to_owned(), "skipped".to_owned());
    }
    Ok(variables)
}
