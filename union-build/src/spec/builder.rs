//! Who makes an environment, and with what.

use std::path::PathBuf;

use super::Sourced;
use crate::diag::Origin;

/// Who makes an environment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BuilderChoice {
    /// Native when nothing has to run, else docker.
    #[default]
    Auto,
    /// No daemon.
    Native,
    /// A container engine.
    Docker,
    /// Union's image builder.
    Remote,
}

/// Options of the docker builder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BuilderOptions {
    /// `default`, `host` or `none`.
    pub network: Option<Sourced<String>>,
    /// Build context of the Dockerfile, absolute.
    pub context: Option<Sourced<PathBuf>>,
    /// Stage of the Dockerfile.
    pub target: Option<Sourced<String>>,
}

impl BuilderOptions {
    pub(super) fn origin(&self) -> Option<&Origin> {
        let texts = [&self.network, &self.target].into_iter().flatten().map(|text| &text.origin);
        texts.chain(self.context.as_ref().map(|path| &path.origin)).next()
    }
}

/// Images that the docker builder works with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BuilderConfig {
    /// Image with `/uv`.
    pub uv_image: Option<Sourced<String>>,
    /// Image with `/bin/micromamba`.
    pub micromamba_image: Option<Sourced<String>>,
}

impl BuilderConfig {
    /// The image with `/uv`.
    pub fn uv(&self) -> &str {
        self.uv_image.as_ref().map_or("ghcr.io/astral-sh/uv:latest", |image| &image.value)
    }

    /// The image with `/bin/micromamba`.
    pub fn micromamba(&self) -> &str {
        self.micromamba_image.as_ref().map_or("mambaorg/micromamba:latest", |image| &image.value)
    }

    pub(super) fn origin(&self) -> Option<&Origin> {
        [&self.uv_image, &self.micromamba_image].into_iter().flatten().map(|image| &image.origin).next()
    }
}
