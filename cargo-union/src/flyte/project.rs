//! Checks that a project and domain exist, before anything is compiled.

use union_build::diag::{Code, nearest};

use super::backend::Backend;
use super::convert::ProjectDomain;
use super::idl::project::{Project, ProjectState};
use super::rpc::{RpcFailure, RpcStatus};
use crate::sys::error::{Error, Result};

/// The maximum number of names in an error.
const SHOWN: usize = 20;

/// Checks that a project and its domain exist.
///
/// # Errors
/// U0702 (`ProjectUnknown`) and U0703 (`DomainUnknown`), listing those that exist; failures of the call.
pub async fn check(backend: &dyn Backend, scope: &ProjectDomain) -> Result<()> {
    exists(backend, scope).await.map(drop)
}

/// Like [`check`]; returns false if the backend has no project service, so that nothing was checked.
///
/// # Errors
/// Those of [`check`].
pub async fn exists(backend: &dyn Backend, scope: &ProjectDomain) -> Result<bool> {
    let ProjectDomain {
        org,
        project,
        domain,
    } = scope;
    let tried = || format!("could not look up the project `{project}`");
    let response = match backend.project(org, project).await {
        // A backend without a project service refuses tasks of unknown projects itself.
        Err(failure) if failure.is(RpcStatus::Unimplemented) => return Ok(false),
        response => response.map_err(|failure| failure.into_error(tried()))?,
    };
    let Some(response) = response else {
        let known = project_names(backend.projects(org).await);
        let error = Error::new(
            Code::ProjectUnknown,
            format!("there is no project `{project}`"),
        );
        return Err(with_suggestions(error, project, known, "project"));
    };
    let domains: Vec<String> = response
        .domains
        .into_iter()
        .map(|domain| domain.id)
        .collect();
    if domains.is_empty() || domains.contains(domain) {
        return Ok(true);
    }
    let error = Error::new(
        Code::DomainUnknown,
        format!("the project `{project}` has no domain `{domain}`"),
    );
    Err(with_suggestions(error, domain, domains, "domain"))
}

/// A project in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProjectSummary {
    /// Its identifier, which the manifest and flags name.
    pub id: String,
    /// Display name.
    pub name: String,
    /// Its domains.
    pub domains: Vec<String>,
    /// Description; may be empty.
    pub description: String,
}

/// The projects of an organization that are not archived, sorted by identifier.
///
/// # Errors
/// Failures of the call.
pub async fn list(backend: &dyn Backend, org: &str) -> Result<Vec<ProjectSummary>> {
    let projects = backend.projects(org).await;
    let projects = projects.map_err(|failure| failure.into_error("could not list the projects"))?;
    let is_active = |project: &Project| {
        !matches!(
            project.state(),
            ProjectState::Archived | ProjectState::SystemArchived
        )
    };
    let mut projects: Vec<ProjectSummary> = projects
        .into_iter()
        .filter(is_active)
        .map(|project| ProjectSummary {
            id: project.id,
            name: project.name,
            domains: project
                .domains
                .into_iter()
                .map(|domain| domain.id)
                .collect(),
            description: project.description,
        })
        .collect();
    projects.sort_by(|left, right| left.id.cmp(&right.id));
    Ok(projects)
}

/// The listing is only advice: when it fails, the original error is reported without it.
fn project_names(projects: Result<Vec<Project>, RpcFailure>) -> Vec<String> {
    projects
        .unwrap_or_default()
        .into_iter()
        .map(|project| project.id)
        .collect()
}

fn with_suggestions(error: Error, typed: &str, mut known: Vec<String>, what: &str) -> Error {
    known.sort_unstable();
    let suggestion = nearest(typed, known.iter().map(String::as_str))
        .map(|suggestion| format!("Did you mean `{suggestion}`? "));
    let ellipsis = if known.len() > SHOWN { ", …" } else { "" };
    let list: Vec<String> = known
        .iter()
        .take(SHOWN)
        .map(|name| format!("`{name}`"))
        .collect();
    match list.is_empty() {
        true => error.help(format!("No {what} is visible to you.")),
        false => error.help(format!(
            "{}There is {}{ellipsis}.",
            suggestion.unwrap_or_default(),
            list.join(", ")
        )),
    }
}
