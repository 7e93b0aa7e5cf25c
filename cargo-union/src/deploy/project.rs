//! The project and domain of commands that build nothing.

use std::collections::BTreeSet;
use std::sync::Arc;

use union_build::diag::Code;
use union_build::spec::BackendChoice;

use crate::flyte::client::Client;
use crate::flyte::config::FlyteConfig;
use crate::flyte::convert::ProjectDomain;
use crate::pipeline::Reporter;
use crate::pipeline::backend;
use crate::pipeline::context;
use crate::pipeline::context::LoadedWorkspace;
use crate::pipeline::names;
use crate::pipeline::options::WorkspaceOptions;
use crate::pipeline::problems::Result;
use crate::sys::error::Error;
use crate::sys::words;

/// A project of the backend, and the packages that name it.
pub(crate) struct ProjectContext {
    pub(crate) client: Client,
    pub(crate) scope: ProjectDomain,
    /// `None` when no package declares tasks.
    pub(crate) session: Option<LoadedWorkspace>,
}

/// The client of the backend, and the project and domain that the chosen packages share. Without a package, they come
/// from flags, variables and the Flyte config.
///
/// # Errors
/// `ProjectMissing`, `BackendMissing`, `UsageInvalid` for packages of several projects; problems of the manifests.
pub(crate) async fn open_project(
    options: &WorkspaceOptions,
    reporter: &Arc<dyn Reporter>,
) -> Result<(Client, ProjectDomain)> {
    let context = open_context(options, reporter).await?;
    Ok((context.client, context.scope))
}

/// Like [`open_project`], with the packages.
///
/// # Errors
/// Those of [`open_project`].
pub(crate) async fn open_context(
    options: &WorkspaceOptions,
    reporter: &Arc<dyn Reporter>,
) -> Result<ProjectContext> {
    match LoadedWorkspace::open(options, &**reporter).await {
        Ok(session) => Ok(ProjectContext {
            scope: shared_project(&session)?,
            client: session.backend_client(&options.backend, reporter)?,
            session: Some(session),
        }),
        Err(error) if error.has_no_package() => {
            let config = backend::valid(&options.backend, &**reporter)?;
            Ok(ProjectContext {
                scope: configured_project(options, &config).ok_or(error)?,
                client: backend::client(
                    &options.backend,
                    &config,
                    BackendChoice::Auto,
                    false,
                    reporter,
                )?,
                session: None,
            })
        }
        Err(error) => Err(error),
    }
}

impl ProjectContext {
    /// Returns the name at the backend of the task with a given key or name.
    ///
    /// # Errors
    /// Those of [`names::backend_name`].
    pub(crate) fn task_name(&self, typed: &str) -> Result<String> {
        names::backend_name(self.session.as_ref(), typed)
    }
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
pub(crate) fn configured_project(
    options: &WorkspaceOptions,
    config: &FlyteConfig,
) -> Option<ProjectDomain> {
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
