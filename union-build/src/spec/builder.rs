//! The builders of environments and their options.

use std::path::PathBuf;

use super::Sourced;
use crate::diag::Origin;

/// What builds an environment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BuilderChoice {
    /// Native when nothing has to run in the environment, else docker.
    #[default]
    Auto,
    /// In this process, without a container engine.
    Native,
    /// A container engine: Docker or podman.
    Docker,
    /// Union's remote image builder.
    Remote,
}

impl BuilderChoice {
    /// The words of the manifest.
    pub(super) const WORDS: [(&str, Self); 4] = [
        ("auto", Self::Auto),
        ("native", Self::Native),
        ("docker", Self::Docker),
        ("remote", Self::Remote),
    ];
}

/// Options of the docker builder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BuilderOptions {
    /// `default`, `host` or `none`.
    pub network: Option<Sourced<String>>,
    /// Build context of the Dockerfile, absolute.
    pub context: Option<Sourced<PathBuf>>,
    /// Stage (`FROM … AS`) of the Dockerfile.
    pub target: Option<Sourced<String>>,
}

impl BuilderOptions {
    pub(super) fn origin(&self) -> Option<&Origin> {
        let texts = [&self.network, &self.target]
            .into_iter()
            .flatten()
            .map(|text| &text.origin);
        texts
            .chain(self.context.as_ref().map(|path| &path.origin))
            .next()
    }
}

/// Helper images of the docker builder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BuilderConfig {
    /// Image that contains `/uv`.
    pub uv_image: Option<Sourced<String>>,
    /// Image that contains `/bin/micromamba`.
    pub micromamba_image: Option<Sourced<String>>,
}

impl BuilderConfig {
    /// The reference of the image that contains `/uv`.
    pub fn uv(&self) -> &str {
        self.uv_image
            .as_ref()
            .map_or("ghcr.io/astral-sh/uv:latest", |image| &image.value)
    }

    /// The reference of the image that contains `/bin/micromamba`.
    pub fn micromamba(&self) -> &str {
        self.micromamba_image
            .as_ref()
            .map_or("mambaorg/micromamba:latest", |image| &image.value)
    }

    pub(super) fn origin(&self) -> Option<&Origin> {
        [&self.uv_image, &self.micromamba_image]
            .into_iter()
            .flatten()
            .map(|image| &image.origin)
            .next()
    }
}
