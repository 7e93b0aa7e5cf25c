//! The Python keys of an image.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::Sourced;
use crate::diag::Origin;

/// Python packages, interpreters and their installation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Python {
    /// The keys that are set, each with its place; empty means no Python.
    pub used: Vec<(&'static str, Origin)>,
    /// `pip-packages`.
    pub packages: Vec<Sourced<String>>,
    /// The Python lock files of `requirements`, absolute: `requirements*.txt`, `uv.lock`.
    pub requirements: Vec<Sourced<PathBuf>>,
    /// `pip-index`.
    pub index: Option<Sourced<String>>,
    /// `pip-extra-index-url`.
    pub extra_index_url: Vec<Sourced<String>>,
    /// `pip-extra-args`.
    pub extra_args: Option<Sourced<String>>,
    /// `pip-secret-mounts`: secret id → path.
    pub secret_mounts: BTreeMap<String, Sourced<String>>,
    /// `python-version`.
    pub version: Option<Sourced<String>>,
    /// `python-exec`.
    pub exec: Option<Sourced<String>>,
    /// `conda-packages`.
    pub conda_packages: Vec<Sourced<String>>,
    /// `conda-channels`.
    pub conda_channels: Vec<Sourced<String>>,
}

impl Python {
    /// Whether packages have to be installed, which requires `uv`.
    pub fn needs_uv(&self) -> bool {
        !self.packages.is_empty() || !self.requirements.is_empty()
    }

    /// Whether Python itself or Conda packages have to be installed, which requires `micromamba`.
    pub fn needs_micromamba(&self) -> bool {
        self.version.is_some() || !self.conda_packages.is_empty()
    }
}
