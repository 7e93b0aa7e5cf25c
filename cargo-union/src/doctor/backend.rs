//! The backend: whether it responds, which user it has authenticated, and whether the project and the image builder
//! exist.

use std::collections::BTreeSet;
use std::sync::Arc;

use union_build::diag::Code;
use union_build::spec::BackendChoice;

use super::check::Check;
use crate::deploy::project::configured_project;
use crate::flyte::client::Client;
use crate::flyte::config::FlyteConfig;
use crate::flyte::convert::ProjectDomain;
use crate::flyte::{images, project};
use crate::pipeline::Reporter;
use crate::pipeline::backend;
use crate::pipeline::context::{LoadedWorkspace, project_domain};
use crate::pipeline::options::WorkspaceOptions;
use crate::sys::error::Error;

pub(super) const AREA: &str = "backend";
const LOGIN: &str = "login";
const PROJECT: &str = "project";
const BUILDER: &str = "remote builder";

/// Checks the backend of the Flyte config, and returns the difference of the clocks with the checks.
pub(super) async fn check(
    options: &WorkspaceOptions,
    loaded: Option<&LoadedWorkspace>,
    config: Option<&FlyteConfig>,
    reporter: &Arc<dyn Reporter>,
) -> (Vec<Check>, Option<i64>) {
    let Some(config) = config else {
        return (
            not_asked(None, "the Flyte config cannot be read").into(),
            None,
        );
    };
    if config.endpoint.is_none() {
        return (without_backend(loaded), None);
    }
    let client = match loaded {
        Some(loaded) => loaded.backend_client(&options.backend, reporter),
        None => backend::client(
            &options.backend,
            config,
            BackendChoice::Auto,
            false,
            reporter,
        )
        .map_err(Into::into),
    };
    let client = match client {
        Ok(client) => client,
        Err(error) => {
            let check = Check::error(
                AREA,
                "endpoint",
                error.to_string(),
                "Choose one package with `-p`, or give `--backend`.",
            );
            return (
                not_asked(Some(check), "the backend is not known").into(),
                None,
            );
        }
    };
    let endpoint = client.endpoint();
    let tried = format!("could not ask {endpoint} who you are");
    let identity = client.identity().await;
    let mut checks = match identity.map_err(|failure| failure.into_error(tried)) {
        Err(error) => {
            return (
                unreachable_backend(&endpoint, &client, &error),
                client.clock_difference(),
            );
        }
        Ok(user) => vec![
            Check::ok(AREA, endpoint.as_str(), "it answers"),
            match user {
                Some(user) => Check::ok(AREA, LOGIN, user.to_string()),
                None => Check::ok(AREA, LOGIN, "the backend knows no logins"),
            },
        ],
    };
    checks.extend(check_projects(options, loaded, config, &client).await);
    checks.push(check_builder(loaded, config, &client).await);
    (checks, client.clock_difference())
}

/// The checks that were skipped because the backend was not called.
fn not_asked(endpoint: Option<Check>, reason: &str) -> [Check; 4] {
    let skipped = |name: &str| Check::skipped(AREA, name, reason);
    [
        endpoint.unwrap_or_else(|| skipped("endpoint")),
        skipped(LOGIN),
        skipped(PROJECT),
        skipped(BUILDER),
    ]
}

fn without_backend(loaded: Option<&LoadedWorkspace>) -> Vec<Check> {
    let reason = "no backend is configured; `register` and `run --remote` need one";
    let mut checks = not_asked(None, reason);
    if remote_images(loaded).next().is_some() {
        let error = Error::new(
            Code::BackendMissing,
            "no backend is configured, and it builds an image",
        );
        checks[3] = Check::of_error(AREA, BUILDER, &error);
    }
    checks.into()
}

/// The checks after a call that failed: because of the connection, or because of the login.
fn unreachable_backend(endpoint: &str, client: &Client, error: &Error) -> Vec<Check> {
    let is_connection = matches!(
        error.code(),
        Code::BackendUnreachable
            | Code::BackendUntrusted
            | Code::BackendInvalid
            | Code::BackendFailed
    );
    if is_connection {
        let check = Check::of_error(AREA, endpoint, error);
        return not_asked(Some(check), "the backend did not answer").into();
    }
    let endpoint = match client.clock_difference() {
        Some(_) => Check::ok(AREA, endpoint, "it answers"),
        None => Check::skipped(AREA, endpoint, "it was not asked without a login"),
    };
    let mut checks = not_asked(Some(endpoint), "it was not asked without a login");
    checks[1] = Check::of_error(AREA, LOGIN, error);
    checks.into()
}

async fn check_projects(
    options: &WorkspaceOptions,
    loaded: Option<&LoadedWorkspace>,
    config: &FlyteConfig,
    client: &Client,
) -> Vec<Check> {
    let mut checks = Vec::new();
    let mut projects: BTreeSet<ProjectDomain> = BTreeSet::new();
    match loaded {
        None => projects.extend(configured_project(options, config)),
        Some(loaded) => {
            for package in &loaded.packages {
                match project_domain(package, &loaded.backend) {
                    Ok(project) => drop(projects.insert(project)),
                    Err(error) if !package.spec.tasks.is_empty() => {
                        checks.push(Check::of_error(AREA, PROJECT, &error));
                    }
                    Err(_) => {}
                }
            }
        }
    }
    for scope in projects {
        let name = format!("project {}/{}", scope.project, scope.domain);
        checks.push(match project::exists(client, &scope).await {
            Ok(true) => Check::ok(AREA, name, "it exists"),
            Ok(false) => Check::skipped(AREA, name, "the backend has no service for projects"),
            Err(error) => Check::of_error(AREA, name, &error),
        });
    }
    if checks.is_empty() {
        let reason = "no project and domain are set, and no task needs them";
        checks.push(Check::skipped(AREA, PROJECT, reason));
    }
    checks
}

async fn check_builder(
    loaded: Option<&LoadedWorkspace>,
    config: &FlyteConfig,
    client: &Client,
) -> Check {
    if remote_images(loaded).next().is_none() {
        return Check::skipped(AREA, BUILDER, "no image is built by the backend");
    }
    let org = config.org.as_ref().map_or("", |org| org.value.as_str());
    match images::task(client, org).await {
        Ok(_) => Check::ok(AREA, BUILDER, "it exists"),
        Err(error) => Check::of_error(AREA, BUILDER, &error),
    }
}

fn remote_images(loaded: Option<&LoadedWorkspace>) -> impl Iterator<Item = &str> {
    let packages = loaded.into_iter().flat_map(|loaded| &loaded.packages);
    packages
        .flat_map(|package| package.spec.images.values())
        .filter(|image| image.is_remote())
        .map(|image| image.key.as_str())
}
