//! Credentials from Docker's config file to the registry.

use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;
use union_tests::Project;
use union_tests::faulty_registry::{FaultyRegistry, Reply};
use union_tests::registry::Registry;

use crate::setup::{is_below, push_base};

const PASSWORD: &str = "correct-horse-battery";
/// The same as a login carries it: `me:correct-horse-battery`.
const ENCODED: &str = "bWU6Y29ycmVjdC1ob3JzZS1iYXR0ZXJ5";

fn project(registry: &Registry) -> Project {
    let project = Project::package("hello")
        .union("[package.metadata.union.images.default]\nbase-image = \"scratch\"\n")
        .locked();
    let docker = project.home().join(".docker").display().to_string();
    project
        .env("UNION_REGISTRY", format!("{}/team", registry.host()))
        .env("DOCKER_CONFIG", docker)
}

fn log_in(project: &Project, registry: &Registry, encoded: &str) {
    let directory = project.home().join(".docker");
    std::fs::create_dir_all(&directory).unwrap();
    let config = json!({ "auths": { registry.host(): { "auth": encoded } } });
    std::fs::write(directory.join("config.json"), config.to_string()).unwrap();
}

#[test]
fn missing_login_is_denied_before_the_compile_with_advice() {
    let registry = Registry::htpasswd("me", PASSWORD);
    let outcome = project(&registry)
        .run(["build"])
        .fails_with("U0402")
        .compiles_nothing();
    outcome
        .stderr_has(&format!("{}/team/hello", registry.host()))
        .stderr_has(&format!("docker login {}", registry.host()));
}

#[test]
fn wrong_password_is_denied_and_its_source_named() {
    let registry = Registry::htpasswd("me", PASSWORD);
    let project = project(&registry);
    // me:hunter22
    log_in(&project, &registry, "bWU6aHVudGVyMjI=");
    let outcome = project
        .run(["build", "-vv"])
        .fails_with("U0402")
        .compiles_nothing()
        .stderr_has(".docker/config.json");
    let outcome = outcome
        .stderr_has(&format!("{}/team/hello", registry.host()))
        .stderr_has("docker login");
    outcome
        .stderr_lacks("hunter22")
        .stderr_lacks("bWU6aHVudGVyMjI=");
}

#[test]
fn password_is_used_for_the_push_and_not_stored() {
    let registry = Registry::htpasswd("me", PASSWORD);
    let project = project(&registry);
    log_in(&project, &registry, ENCODED);
    let outcome = project
        .run(["build", "-vv"])
        .succeeds()
        .stderr_has(".docker/config.json");
    for secret in [PASSWORD, ENCODED] {
        assert!(
            !outcome.stdout().contains(secret) && !outcome.stderr().contains(secret),
            "it was printed"
        );
        for directory in [project.directory(), project.cache(), project.temp()] {
            assert!(
                !is_below(&directory, secret),
                "it is in {}",
                directory.display()
            );
        }
    }
    assert!(
        is_below(&project.home(), ENCODED),
        "the search would find it"
    );
    project.run(["build"]).succeeds().stderr_has("Unchanged");
}

#[test]
fn failing_helper_is_named_where_its_login_is_needed() {
    let registry = Registry::htpasswd("me", PASSWORD);
    let project = project(&registry);
    std::fs::create_dir_all(project.home().join(".docker")).unwrap();
    let config = json!({ "credHelpers": { registry.host(): "absent" } });
    std::fs::write(
        project.home().join(".docker/config.json"),
        config.to_string(),
    )
    .unwrap();
    let outcome = project
        .run(["build"])
        .fails_with("U0402")
        .compiles_nothing()
        .stderr_has("warning: the credential helper");
    outcome
        .stderr_has("`docker-credential-absent`")
        .stderr_has(".docker/config.json")
        .stderr_has("is not on the PATH");
}

#[test]
fn public_base_is_pulled_despite_a_failing_helper() {
    // It gives a token without a login, as Docker Hub does, once the base is pushed.
    let has_base = Arc::new(AtomicBool::new(false));
    let asks_for_tokens = has_base.clone();
    let base = FaultyRegistry::start(move |request, _| {
        if !asks_for_tokens.load(Ordering::SeqCst)
            || request.header("authorization") == Some("Bearer for-everybody")
        {
            return None;
        }
        if request.path == "/token" {
            let token = r#"{"token":"for-everybody"}"#;
            return Some(Reply::status(200).body(token).into());
        }
        let host = request.header("host").unwrap_or_default();
        let realm = format!(r#"Bearer realm="http://{host}/token""#);
        Some(Reply::status(401).with("WWW-Authenticate", realm).into())
    });
    push_base(&format!("{}/base:1", base.host()), "x", &[]);
    has_base.store(true, Ordering::SeqCst);
    let target = Registry::open();
    let project = Project::package("hello")
        .union(&format!(
            "[package.metadata.union.images.default]\nbuild = {{ link = \"static\" }}\nbase-image = {:?}\n",
            format!("{}/base:1", base.host())
        ))
        .locked()
        .env("UNION_REGISTRY", format!("{}/team", target.host()));
    let docker = project.home().join(".docker");
    std::fs::create_dir_all(&docker).unwrap();
    let config = json!({ "credHelpers": { base.host(): "locked" } });
    std::fs::write(docker.join("config.json"), config.to_string()).unwrap();
    let helper = project.path("../tools/docker-credential-locked");
    project.write(
        "../tools/docker-credential-locked",
        "#!/bin/sh\necho log in first\nexit 1\n",
    );
    std::fs::set_permissions(&helper, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!(
        "{}:{}",
        project.path("../tools").display(),
        std::env::var("PATH").unwrap()
    );
    let project = project
        .env("DOCKER_CONFIG", docker.display().to_string())
        .env("PATH", path);
    let built = project.run(["build"]).succeeds();
    let warnings = built.stderr().matches("warning: ").count();
    assert_eq!(warnings, 1, "{}", built.stderr());
    built
        .stderr_has("warning: the credential helper")
        .stderr_has("`docker-credential-locked`")
        .stderr_has("log in first");
}

#[test]
fn login_in_a_variable_is_used_for_the_push() {
    let registry = Registry::htpasswd("me", PASSWORD);
    let config = json!({ "auths": { registry.host(): { "auth": ENCODED } } });
    let project = project(&registry).env("DOCKER_AUTH_CONFIG", config.to_string());
    project
        .run(["build", "-v"])
        .succeeds()
        .stderr_has("the variable DOCKER_AUTH_CONFIG")
        .stderr_lacks(ENCODED);
}
