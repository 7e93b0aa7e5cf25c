//! Addresses of pages of the backend's web console.

use super::convert::ProjectDomain;

/// The page of a task.
pub fn task(endpoint: &str, scope: &ProjectDomain, name: &str) -> String {
    page(endpoint, scope, "tasks", name)
}

/// The page of a run.
pub fn run(endpoint: &str, scope: &ProjectDomain, name: &str) -> String {
    page(endpoint, scope, "runs", name)
}

fn page(endpoint: &str, scope: &ProjectDomain, kind: &str, name: &str) -> String {
    // The sandbox serves its console on another port than its API.
    let host = endpoint.strip_suffix("localhost:8090").map_or_else(
        || endpoint.to_owned(),
        |scheme| format!("{scheme}localhost:8080"),
    );
    format!(
        "{host}/v2/domain/{}/project/{}/{kind}/{name}",
        scope.domain, scope.project
    )
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
        for (endpoint, page) in [
            (
                "https://acme.example.test",
                "https://acme.example.test/v2/domain/development/project/flytesnacks/tasks/a",
            ),
            (
                "http://localhost:8090",
                "http://localhost:8080/v2/domain/development/project/flytesnacks/tasks/a",
            ),
        ] {
            assert_eq!(task(endpoint, &scope, "a"), page);
        }
    }
}
