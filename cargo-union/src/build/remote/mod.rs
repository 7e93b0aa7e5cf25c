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

use super::archive::Archive;
use super::chain::Settings;
use super::native::NativeBuilder;
use super::{Recipe, Reporter};
use crate::base::cache::Cache;
use crate::base::error::Result;
use crate::base::fs::{self, Draft};
use crate::image::BaseSource;
use crate::image::config::{IMAGE_ID, TOLD};
use crate::image::order::{Order, Step};
use crate::image::reference::PinnedRef;
use steps::Steps;

/// What the backend gets its Python packages for when the manifest does not say.
const PYTHON: &str = "3.12";

/// What an image says whose binaries nobody has checked.
const START_CHECK: &str = "UNION_START_CHECK";

/// Puts orders together.
pub struct RemoteBuilder {
    cache: Cache,
    native: NativeBuilder,
}

/// What the backend is told.
#[derive(Debug)]
pub struct Ordered {
    /// What to make.
    pub order: Order,
    /// The archive with everything that it copies; `None` when it copies nothing.
    pub context: Option<Draft>,
}

impl RemoteBuilder {
    /// A builder that keeps archives in a cache and has its bases from a source.
    pub fn new(cache: Cache, source: Arc<dyn BaseSource>, reporter: Arc<dyn Reporter>) -> Self {
        let native = NativeBuilder::new(cache.clone(), source, reporter);
        Self { cache, native }
    }

    /// Puts an order together for a recipe upon a base, and checks that its binaries can start as far as
    /// the files of the image are known.
    ///
    /// # Errors
    /// When a binary could not start, or a file cannot be read.
    pub async fn order(&self, recipe: &Recipe, base: &PinnedRef) -> Result<Ordered> {
        let known = recipe.steps.iter().all(|spec| spec.needs_to_run().is_empty());
        let checked = self.native.check_start(recipe, known).await?;
        let (cache, recipe, base) = (self.cache.clone(), recipe.clone(), base.to_string());
        // Reading and compressing keep a core busy: they stay off the threads that talk to others.
        let packed = tokio::task::spawn_blocking(move || pack(&cache, &recipe, base, checked));
        packed.await.expect("packing does not panic")
    }
}

fn pack(cache: &Cache, recipe: &Recipe, base: String, checked: bool) -> Result<Ordered> {
    let draft = cache.draft()?;
    let path = draft.path().to_owned();
    let archive = Archive::new(GzBuilder::new().mtime(0).write(draft, Compression::default()), path.clone(), recipe.source_date_epoch);
    let mut steps = Steps::new(archive, &recipe.roots);
    steps.add(recipe)?;
    steps.steps.push(Step::Env(variables(recipe, checked)));
    let Steps { steps, archive, has_files, .. } = steps;
    let mut draft = archive.finish()?.finish().map_err(|cause| fs::unwritable(&path, cause))?;
    draft.flush().map_err(|cause| fs::unwritable(&path, cause))?;
    let python = recipe.chain.iter().rev().find_map(|spec| spec.python.version.as_ref());
    let order = Order {
        base,
        python: python.map_or_else(|| PYTHON.to_owned(), |version| version.value.clone()),
        steps,
        platforms: recipe.platforms.iter().map(|platform| platform.platform.clone()).collect(),
    };
    Ok(Ordered { order, context: has_files.then_some(draft) })
}

/// The variables of the image: the spec's, and what other builders write into labels.
fn variables(recipe: &Recipe, checked: bool) -> BTreeMap<String, String> {
    let declared = Settings::of(&recipe.chain).env;
    let mut variables: BTreeMap<String, String> = declared.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    variables.insert(IMAGE_ID.to_owned(), recipe.key.to_string());
    if !recipe.told.is_empty() {
        // JSON has quotes, and who knows what becomes of those.
        let told = serde_json::to_vec(&recipe.told).expect("texts always serialize");
        variables.insert(TOLD.to_owned(), URL_SAFE_NO_PAD.encode(told));
    }
    if !checked {
        variables.insert(START_CHECK.to_owned(), "skipped".to_owned());
    }
    variables
}
