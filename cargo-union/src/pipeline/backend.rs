//! The Flyte config of a command, the manifest keys for which it provides defaults, and the client of its backend.

use std::sync::Arc;

use union_build::diag::{Diagnostic, Severity};
use union_build::spec::{BackendChoice, Overrides, Sourced};

use super::problems::{self, ManifestProblems};
use crate::flyte::client::{Client, ClientOptions};
use crate::flyte::config::{self, ConfigRequest, FlyteConfig};
use crate::pipeline::Reporter;
use crate::pipeline::options::BackendOptions;
use crate::sys::error::Result;

/// Reads the user's Flyte config, with all problems found in it.
///
/// # Errors
/// If a file that was named explicitly cannot be read.
pub(crate) fn config(backend: &BackendOptions) -> Result<(FlyteConfig, Vec<Diagnostic>)> {
    config::load(&ConfigRequest {
        environment: &backend.environment,
        directory: &backend.directory,
        file: backend.config.as_deref(),
        endpoint: backend.endpoint.as_deref(),
        org: backend.org.as_deref(),
    })
}

/// Adds `project`, `domain`, `registry` and the remote builder of the config as values of lowest precedence, below the
/// manifest. Any other `builder` of the config is ignored, such as the Python SDK's `local`.
pub(crate) fn fallbacks(config: &FlyteConfig, overrides: Overrides) -> Overrides {
    let is_remote = |builder: &&Sourced<String>| builder.value == "remote";
    let builder = config.builder.as_ref().filter(is_remote).cloned();
    [
        ("project", &config.project),
        ("domain", &config.domain),
        ("registry", &config.registry),
        ("builder", &builder),
    ]
    .into_iter()
    .filter_map(|(key, value)| Some((key, value.clone()?)))
    .fold(overrides, |overrides, (key, value)| {
        overrides.fallback(key, value)
    })
}

/// Reads the config for a command that needs no workspace, and shows its warnings.
///
/// # Errors
/// [`ManifestProblems`] with all problems of the config, or an explicitly named file that cannot be read.
pub(crate) fn valid(
    backend: &BackendOptions,
    reporter: &dyn Reporter,
) -> problems::Result<FlyteConfig> {
    let (config, problems) = config(backend)?;
    if problems
        .iter()
        .any(|problem| problem.severity == Severity::Error)
    {
        return Err(ManifestProblems(problems).into());
    }
    reporter.diagnostics(&problems);
    Ok(config)
}

/// Creates a client for the endpoint of a config. Opens no connection. `interactive` allows a login in the browser;
/// `generation` is that of the manifest, which flags and variables override.
///
/// # Errors
/// `BackendMissing`.
pub(crate) fn client(
    backend: &BackendOptions,
    config: &FlyteConfig,
    generation: BackendChoice,
    interactive: bool,
    reporter: &Arc<dyn Reporter>,
) -> Result<Client> {
    let client_options = ClientOptions::new(
        backend.environment.clone(),
        backend.directory.clone(),
        interactive,
        reporter.clone(),
    );
    Client::new(
        config,
        ClientOptions {
            backend: backend.generation.unwrap_or(generation),
            cache: Some(backend.cache.clone()),
            ..client_options
        },
    )
}
