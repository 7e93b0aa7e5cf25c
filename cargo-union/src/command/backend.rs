//! The backend of a command: the user's Flyte config, and what of it stands in for a manifest.

use union_build::diag::Diagnostic;
use union_build::spec::Overrides;

use crate::base::error::Result;
use crate::flyte::config::{self, Config, Request};
use crate::settings::Backend;

/// Reads the user's Flyte config. The problems are complete.
///
/// # Errors
/// When a file that was named cannot be read.
pub(super) fn config(backend: &Backend) -> Result<(Config, Vec<Diagnostic>)> {
    config::load(&Request {
        environment: &backend.environment,
        folder: &backend.folder,
        file: backend.config.as_deref(),
        endpoint: backend.endpoint.as_deref(),
        org: backend.org.as_deref(),
    })
}

/// Lets the config say what no manifest, variable or flag says.
pub(super) fn last_resorts(config: &Config, overrides: Overrides) -> Overrides {
    let values = [("project", &config.project), ("domain", &config.domain), ("registry", &config.registry)];
    let said = values.into_iter().filter_map(|(key, value)| Some((key, value.clone()?)));
    said.fold(overrides, |overrides, (key, value)| overrides.last_resort(key, value))
}
