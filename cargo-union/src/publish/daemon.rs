//! Publishes images to a container engine, Docker or podman.
//!
//! Only the image of the engine's platform is sent, and only layers that the engine does not have, if it supports
//! omitting layers. The reported digest is the engine's image ID: the digest of the config or, with the containerd
//! store, of the manifest.

use std::sync::Arc;

use union_build::diag::Code;

use super::{Existence, ImageTarget, Published, Publisher, Reporter, TransferKind, report};
use crate::engine::{Engine, EngineLocator};
use crate::image::platform::Platform;
use crate::image::{BaseSource, Image};
use crate::sys::error::{Error, Result};

/// Publishes to a container engine.
pub struct Daemon {
    engines: Arc<EngineLocator>,
    source: Arc<dyn BaseSource>,
    reporter: Arc<dyn Reporter>,
}

impl Daemon {
    /// Publishes to the first engine that responds.
    pub fn new(
        engines: Arc<EngineLocator>,
        source: Arc<dyn BaseSource>,
        reporter: Arc<dyn Reporter>,
    ) -> Self {
        Self {
            engines,
            source,
            reporter,
        }
    }

    /// The engine, if it supports one of these platforms.
    async fn engine_for(&self, platforms: &[Platform]) -> Result<&Engine> {
        let engine = self.engines.engine().await?;
        if platforms.contains(engine.platform()) {
            return Ok(engine);
        }
        let declared: Vec<_> = platforms
            .iter()
            .map(|platform| format!("`{platform}`"))
            .collect();
        Err(Error::new(
            Code::EngineWithoutPlatform,
            format!(
                "the engine at {} runs `{}`",
                engine.address(),
                engine.platform()
            ),
        )
        .because(format!("the image is for {}", declared.join(", "))))
    }
}

#[async_trait::async_trait]
impl Publisher for Daemon {
    async fn existence(&self, target: &ImageTarget) -> Result<Existence> {
        let engine = self.engine_for(&target.platforms).await?;
        let name = target.full_name();
        match engine.inspect(&name).await? {
            Some(image) if image.key == Some(target.key.to_string()) => {
                Ok(Existence::Found(image.digest))
            }
            Some(_) => Err(Error::new(
                Code::TagTaken,
                format!("`{name}` is taken in the engine at {}", engine.address()),
            )
            .because(format!("its image does not have the key {}", target.key))),
            None => Ok(Existence::Missing),
        }
    }

    async fn prepare(&self, target: &ImageTarget) -> Result<()> {
        self.engine_for(&target.platforms).await.map(drop)
    }

    async fn publish(&self, target: &ImageTarget, image: &Image, _: bool) -> Result<Published> {
        let platforms: Vec<_> = image
            .platforms
            .iter()
            .map(|image| image.platform.clone())
            .collect();
        let engine = self.engine_for(&platforms).await?;
        let platform = image
            .platforms
            .iter()
            .find(|image| image.platform == *engine.platform())
            .expect("the engine supports a platform of the image");
        let name = target.full_name();
        let loaded = engine.load(platform, &name, &*self.source).await?;
        loaded.had.iter().for_each(|blob| {
            report(
                &*self.reporter,
                blob,
                engine.address(),
                TransferKind::Present,
            )
        });
        loaded.sent.iter().for_each(|blob| {
            report(
                &*self.reporter,
                blob,
                engine.address(),
                TransferKind::Upload,
            )
        });
        let published = engine.inspect(&name).await?.ok_or_else(|| {
            Error::new(
                Code::EngineFailed,
                format!(
                    "could not load `{name}` in the engine at {}",
                    engine.address()
                ),
            )
            .because("the engine reported success, but the image is not present")
        })?;
        let sent = loaded.sent.iter().map(|blob| blob.size).sum();
        Ok(Published {
            digest: published.digest,
            location: format!("docker:{name}"),
            sent,
            adopted: false,
        })
    }
}
