//! The packages of an image's base and environment, for its bill of materials.

use std::sync::Arc;

use super::context::PackageContext;
use super::environment::PlatformBases;
use crate::build::{self, BaseImage};
use crate::image::BaseSource;
use crate::image::inventory::Inventory;
use crate::image::platform::Platform;
use crate::pipeline::resolve::ResolvedImage;
use crate::sys::error::Result;
use crate::sys::words;

/// The largest number of characters of the cause in a note.
const LONGEST: usize = 2000;

/// The packages below an image's own layers.
#[derive(Default)]
pub(super) struct LowerInventory {
    /// Those of the environment, which has the base below it, or those of the base if there is no environment; `None` if
    /// they are not known, and for scratch.
    pub(super) all: Option<Inventory>,
    /// Those of the base of an environment.
    pub(super) base: Option<Inventory>,
}

/// How layers are read.
pub(super) struct InventoryReader<'a> {
    pub(super) context: &'a PackageContext<'a>,
    pub(super) source: &'a Arc<dyn BaseSource>,
    /// Whether layers that are not on this machine are downloaded.
    pub(super) downloads: bool,
}

impl InventoryReader<'_> {
    /// The packages below the layers of an image for a platform. `environment` is the one that the image was built on. A note
    /// says why packages are not known.
    pub(super) async fn read(
        &self,
        resolved: &ResolvedImage,
        platform: &Platform,
        environment: Option<&PlatformBases>,
    ) -> LowerInventory {
        let base = resolved.bases.get(platform).cloned().flatten();
        let base = base.map(BaseImage::Locked);
        let environment = environment.and_then(|environment| environment.get(platform));
        let needs_environment = resolved.environment_plan.is_some();
        let unknown = if resolved.is_remote() {
            "the remote builder has built it"
        } else if needs_environment && environment.is_none() {
            "its environment is neither in a registry nor in the cache"
        } else {
            ""
        };
        if !unknown.is_empty() {
            self.note_unknown(resolved, unknown);
            return LowerInventory::default();
        }
        let read = async || -> Result<LowerInventory> {
            let Some(top) = environment.or(base.as_ref()) else {
                return Ok(LowerInventory::default());
            };
            let all = self.inventory(top, platform).await?;
            let below = base.as_ref().filter(|_| needs_environment && all.is_some());
            let base = match below {
                Some(base) => self.inventory(base, platform).await?,
                None => None,
            };
            if all.is_none() {
                let cause = "their layers are not on this machine; `cargo union build --sbom FILE` downloads them";
                self.context
                    .reporter
                    .detail("Skipped", &unknown_packages(resolved, cause));
            }
            Ok(LowerInventory { all, base })
        };
        read().await.unwrap_or_else(|error| {
            self.note_unknown(resolved, &words::printable(&error.line(), LONGEST));
            LowerInventory::default()
        })
    }

    async fn inventory(&self, base: &BaseImage, platform: &Platform) -> Result<Option<Inventory>> {
        let cache = &self.context.options.scope.cache;
        build::inventory(cache, self.source, base, platform, self.downloads).await
    }

    fn note_unknown(&self, resolved: &ResolvedImage, cause: &str) {
        let reporter = self.context.reporter;
        reporter.note(&unknown_packages(resolved, cause));
    }
}

fn unknown_packages(resolved: &ResolvedImage, cause: &str) -> String {
    let image = &resolved.name;
    format!(
        "the bill of materials of image `{image}` lists no packages of its base and environment: {cause}"
    )
}
