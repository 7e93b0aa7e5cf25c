//! Docker's logins are used, and never shown.

use base64::Engine as _;
use union_tests::Project;
use union_tests::registry::Registry;

use crate::world::{files_with, pinned};

const PASSWORD: &str = "correct-horse-battery";

fn project(registry: &Registry, password: Option<&str>) -> Project {
    let table = format!(
        "[package.metadata.union]\nregistry = \"{}/acme\"\n\n[package.metadata.union.images.default]\nbase-image = \"scratch\"\n",
        registry.host()
    );
    let project = Project::package("hello").union(&table).locked();
    if let Some(password) = password {
        let login = base64::engine::general_purpose::STANDARD.encode(format!("ann:{password}"));
        let config = format!("{{ \"auths\": {{ \"{}\": {{ \"auth\": \"{login}\" }} }} }}", registry.host());
        std::fs::create_dir_all(project.home().join(".docker")).unwrap();
        std::fs::write(project.home().join(".docker/config.json"), config).unwrap();
    }
    project
}

#[test]
fn a_login_of_docker_is_used_and_the_password_is_nowhere() {
    let registry = Registry::htpasswd("ann", PASSWORD);
    let project = project(&registry, Some(PASSWORD));
    let outcome = project.run(["build", "-vv"]).succeeds().stderr_has("config.json");
    pinned(outcome.stdout());
    let login = base64::engine::general_purpose::STANDARD.encode(format!("ann:{PASSWORD}"));
    for secret in [PASSWORD, &login] {
        assert!(!outcome.stdout().contains(secret) && !outcome.stderr().contains(secret), "{secret} was shown");
        assert_eq!(files_with(secret, &[project.path("target"), project.cache()]), "");
    }
}

#[test]
fn no_login_and_a_wrong_one_are_refused_before_the_compile_with_the_command_to_run() {
    let registry = Registry::htpasswd("ann", PASSWORD);
    for password in [None, Some("wrong-password")] {
        let outcome = project(&registry, password).run(["build"]).fails_with("U0402").compiles_nothing();
        let outcome =
            outcome.stderr_has(registry.host()).stderr_has("acme/hello").stderr_has("docker login").stderr_lacks("wrong-password");
        assert_eq!(outcome.stdout(), "");
    }
}
