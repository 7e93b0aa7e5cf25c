//! Checks that a project and domain exist, before anything is compiled.

use union_build::diag::{Code, nearest};

use super::backend::Backend;
use super::convert::ProjectDomain;
use super::rpc::{RpcFailure, RpcStatus};
use crate::sys::error::{Error, Result};

/// The maximum number of names in an error.
const SHOWN: usize = 20;

/// Checks that a project and its domain exist.
///
/// # Errors
/// U0702 (`ProjectUnknown`) and U0703 (`DomainUnknown`), listing those that exist; failures of the call.
pub async fn check(backend: &dyn Backend, scope: &ProjectDomain) -> Result<()> {
    let ProjectDomain {
        org,
        project,
        domain,
    } = scope;
    let tried = || format!("could not ask for the project `{project}`");
    let response = match backend.project(org, project).await {
        // A backend without a project service refuses tasks of unknown projects itself.
        Err(failure) if failure.is(RpcStatus::Unimplemented) => return Ok(()),
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
        return Ok(());
    }
    let error = Error::new(
        Code::DomainUnknown,
        format!("the project `{project}` has no domain `{domain}`"),
    );
    Err(with_suggestions(error, domain, domains, "domain"))
}

/// The listing is only advice: when it fails, the original error is reported without it.
fn project_names(projects: Result<Vec<super::idl::project::Project>, RpcFailure>) -> Vec<String> {
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
