//! The backend of a command: the user's Flyte config, and what of it stands in for a manifest.

use std::sync::Arc;

use union_build::diag::{Diagnostic, Severity};
use union_build::spec::Overrides;

use super::problems::{self, ManifestProblems};
use crate::flyte::client::{Client, ClientOptions};
use crate::flyte::config::{self, ConfigRequest, FlyteConfig};
use crate::pipeline::Reporter;
use crate::pipeline::options::BackendOptions;
use crate::sys::error::Result;

/// Reads the user's Flyte config. The problems are complete.
///
/// # Errors
/// When a file that was named cannot be read.
pub(crate) fn config(backend: &BackendOptions) -> Result<(FlyteConfig, Vec<Diagnostic>)> {
    config::load(&ConfigRequest {
        environment: &backend.environment,
        folder: &backend.folder,
        file: backend.config.as_deref(),
        endpoint: backend.endpoint.as_deref(),
        org: backend.org.as_deref(),
    })
}

/// Lets the config say what no manifest, variable or flag says.
pub(crate) fn last_resorts(config: &FlyteConfig, overrides: Overrides) -> Overrides {
    let values = [("project", &config.project), ("domain", &config.domain), ("registry", &config.registry)];
    let said = values.into_iter().filter_map(|(key, value)| Some((key, value.clone()?)));
    said.fold(overrides, |overrides, (key, value)| overrides.last_resort(key, value))
}

/// The config of a command that needs nothing else; its warnings are shown.
///
/// # Errors
/// [`ManifestProblems`] with all of them, or a file that was named and cannot be read.
pub(crate) fn valid(backend: &BackendOptions, reporter: &dyn Reporter) -> problems::Result<FlyteConfig> {
    let (config, problems) = config(backend)?;
    if problems.iter().any(|problem| problem.severity == Severity::Error) {
        return Err(ManifestProblems(problems).into());
    }
    reporter.diagnostics(&problems);
    Ok(config)
}

/// The client of the backend that a config names.
///
/// # Errors
/// `BackendMissing`.
pub(crate) fn client(backend: &BackendOptions, config: &FlyteConfig, attended: bool, reporter: &Arc<dyn Reporter>) -> Result<Client> {
    let surroundings = ClientOptions::new(backend.environment.clone(), backend.folder.clone(), attended, reporter.clone());
    Client::new(config, surroundings)
}
