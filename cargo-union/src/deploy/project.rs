//! The project and domain of commands that build nothing.

use std::collections::BTreeSet;
use std::sync::Arc;

use union_build::diag::Code;

use crate::flyte::client::Client;
use crate::flyte::config::FlyteConfig;
use crate::flyte::convert::ProjectDomain;
use crate::pipeline::Reporter;
use crate::pipeline::backend;
use crate::pipeline::context;
use crate::pipeline::context::LoadedWorkspace;
use crate::pipeline::options::WorkspaceOptions;
use crate::pipeline::problems::{PipelineError, Result};
use crate::sys::error::Error;
use crate::sys::words;

/// The client of the backend, and the project and domain that the chosen packages share. Without a package, they come
/// from flags, variables and the Flyte config.
///
/// # Errors
/// `ProjectMissing`, `BackendMissing`, `UsageInvalid` for packages of several projects; problems of the manifests.
pub(crate) async fn open_project(
    options: &WorkspaceOptions,
    reporter: &Arc<dyn Reporter>,
) -> Result<(Client, ProjectDomain)> {
    let (config, project) = match LoadedWorkspace::open(options, &**reporter).await {
        Ok(session) => {
            let project = shared_project(&session)?;
            (session.backend, project)
        }
        Err(error) if has_no_package(&error) => {
            let config = backend::valid(&options.backend, &**reporter)?;
            let project = configured_project(options, &config).ok_or(error)?;
            (config, project)
        }
        Err(error) => return Err(error),
    };
    Ok((
        backend::client(&options.backend, &config, false, reporter)?,
        project,
    ))
}

fn has_no_package(error: &PipelineError) -> bool {
    matches!(error.code(), Some(Code::NoManifest | Code::NothingDeclared))
}

fn shared_project(session: &LoadedWorkspace) -> Result<ProjectDomain> {
    let projects = session
        .packages
        .iter()
        .map(|declared| context::project_domain(declared, &session.backend));
    let mut projects = projects.collect::<Result<BTreeSet<ProjectDomain>, Error>>()?;
    let first = projects
        .pop_first()
        .expect("a loaded workspace has a package");
    if projects.is_empty() {
        return Ok(first);
    }
    let names = std::iter::once(&first)
        .chain(&projects)
        .map(|project| format!("{}/{}", project.project, project.domain));
    let error = Error::new(
        Code::UsageInvalid,
        format!(
            "the chosen packages are of several projects: {}",
            words::list(names)
        ),
    );
    Err(error
        .help("Choose one with `-p`, or with `--project` and `--domain`.")
        .into())
}

/// The project and domain of flags, variables and the Flyte config; `None` when they lack one of the two.
fn configured_project(options: &WorkspaceOptions, config: &FlyteConfig) -> Option<ProjectDomain> {
    let overrides = backend::fallbacks(config, options.overrides.clone());
    let project = overrides.named("project")?.to_owned();
    let domain = overrides.named("domain")?.to_owned();
    Some(ProjectDomain {
        org: config
            .org
            .as_ref()
            .map(|org| org.value.clone())
            .unwrap_or_default(),
        project,
        domain,
    })
}
