//! Addresses of pages of the backend's web console.

use super::capabilities::BackendKind;
use super::client::Client;
use super::convert::ProjectDomain;

/// The page of a task.
pub fn task(client: &Client, scope: &ProjectDomain, name: &str) -> String {
    page(
        client.known_kind(),
        &client.endpoint(),
        scope,
        ("tasks", "tasks"),
        name,
    )
}

/// The page of a run.
pub fn run(client: &Client, scope: &ProjectDomain, name: &str) -> String {
    page(
        client.known_kind(),
        &client.endpoint(),
        scope,
        ("executions", "runs"),
        name,
    )
}

/// The page of a resource, whose path differs between the consoles of both generations.
fn page(
    kind: BackendKind,
    endpoint: &str,
    scope: &ProjectDomain,
    (first, second): (&str, &str),
    name: &str,
) -> String {
    let ProjectDomain {
        org: _,
        project,
        domain,
    } = scope;
    match kind {
        BackendKind::Flyte1 => {
            format!("{endpoint}/console/projects/{project}/domains/{domain}/{first}/{name}")
        }
        BackendKind::Flyte2 => {
            // The sandbox serves its console on another port than its API.
            let host = endpoint.strip_suffix("localhost:8090").map_or_else(
                || endpoint.to_owned(),
                |scheme| format!("{scheme}localhost:8080"),
            );
            format!("{host}/v2/domain/{domain}/project/{project}/{second}/{name}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn task_page_has_domain_project_and_name() {
        let scope = ProjectDomain {
            org: String::new(),
            project: "flytesnacks".to_owned(),
            domain: "development".to_owned(),
        };
        for (kind, endpoint, address) in [
            (
                BackendKind::Flyte1,
                "http://localhost:30080",
                "http://localhost:30080/console/projects/flytesnacks/domains/development/tasks/a",
            ),
            (
                BackendKind::Flyte2,
                "https://acme.example.test",
                "https://acme.example.test/v2/domain/development/project/flytesnacks/tasks/a",
            ),
            (
                BackendKind::Flyte2,
                "http://localhost:8090",
                "http://localhost:8080/v2/domain/development/project/flytesnacks/tasks/a",
            ),
        ] {
            assert_eq!(
                page(kind, endpoint, &scope, ("tasks", "tasks"), "a"),
                address
            );
        }
    }
}
