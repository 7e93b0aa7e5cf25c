//! The place at the backend that a command looks at, when it builds nothing: a project and its domain.

use crate::command::reporter;
use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::Result;
use union_build::diag::Code;

use crate::flyte::client::Client;
use crate::flyte::config::FlyteConfig;
use crate::flyte::convert::ProjectDomain;
use crate::pipeline::backend;
use crate::pipeline::context;
use crate::pipeline::context::LoadedWorkspace;
use crate::pipeline::problems::PipelineError;
use crate::settings;
use crate::sys::error::Error;
use crate::ui::{self, Ui};

/// The backend, and the place that the chosen packages share. Without a package, flags, variables and
/// the Flyte config say it.
///
/// # Errors
/// `ProjectMissing`, `BackendMissing`; what is wrong with the manifests.
pub(super) async fn open(scope: &settings::WorkspaceOptions, ui: &Arc<Ui>) -> Result<(Client, ProjectDomain)> {
    let (config, place) = match LoadedWorkspace::open(scope, &**ui).await {
        Ok(session) => {
            let place = shared(&session)?;
            (session.backend, place)
        }
        Err(error) if has_no_package(&error) => {
            let config = backend::valid(&scope.backend, &**ui)?;
            let place = configured_project(scope, &config).ok_or(error)?;
            (config, place)
        }
        Err(error) => return Err(error.into()),
    };
    Ok((backend::client(&scope.backend, &config, false, &reporter(ui))?, place))
}

fn has_no_package(error: &PipelineError) -> bool {
    matches!(error.code(), Some(Code::NoManifest | Code::NothingDeclared))
}

fn shared(session: &LoadedWorkspace) -> Result<ProjectDomain> {
    let places = session.packages.iter().map(|declared| context::project_domain(declared, &session.backend));
    let mut places = places.collect::<Result<BTreeSet<ProjectDomain>, Error>>()?;
    let first = places.pop_first().expect("a session has a package");
    if places.is_empty() {
        return Ok(first);
    }
    let names = std::iter::once(&first).chain(&places).map(|place| format!("{}/{}", place.project, place.domain));
    let error = Error::new(Code::UsageInvalid, format!("the chosen packages are of several projects: {}", ui::list(names)));
    Err(error.help("Choose one with `-p`, or with `--project` and `--domain`.").into())
}

/// What is said without a manifest.
fn configured_project(scope: &settings::WorkspaceOptions, config: &FlyteConfig) -> Option<ProjectDomain> {
    let overrides = backend::last_resorts(config, scope.overrides.clone());
    let (project, domain) = (overrides.said("project")?.to_owned(), overrides.said("domain")?.to_owned());
    Some(ProjectDomain { org: config.org.as_ref().map(|org| org.value.clone()).unwrap_or_default(), project, domain })
}
