//! `-vv` shows every request, without secrets.

use std::os::unix::fs::PermissionsExt as _;

use union_tests::registry::Registry;
use union_tests::{Outcome, Project};

const PASSWORD: &str = "correct-horse-battery";
/// The same as a header carries it: `me:correct-horse-battery`.
const ENCODED: &str = "bWU6Y29ycmVjdC1ob3JzZS1iYXR0ZXJ5";

/// A package that goes to a registry, for a user with a Docker config.
fn project(registry: &Registry, config: &serde_json::Value) -> Project {
    let project = Project::package("hello")
        .union("[package.metadata.union.images.default]\nbase-image = \"scratch\"\n")
        .locked();
    let docker = project.home().join(".docker");
    std::fs::create_dir_all(&docker).unwrap();
    std::fs::write(docker.join("config.json"), config.to_string()).unwrap();
    project
        .env("UNION_REGISTRY", format!("{}/team", registry.host()))
        .env("DOCKER_CONFIG", docker.display().to_string())
}

fn login(registry: &Registry) -> serde_json::Value {
    serde_json::json!({ "auths": { registry.host(): { "auth": ENCODED } } })
}

/// Requires that no part of a login, a token or a signed address is shown: a password, a header, a token of
/// the test server (they start like every JWT), the registry's own signature of an upload.
#[track_caller]
fn shows_no_secret(outcome: Outcome) -> Outcome {
    let secrets = [
        PASSWORD,
        ENCODED,
        "Basic ",
        "Bearer ",
        "eyJ",
        "_state=",
        "authorization",
    ];
    secrets.into_iter().fold(outcome, |outcome, secret| {
        outcome.stderr_lacks(secret).stdout_lacks(secret)
    })
}

#[test]
fn push_traces_show_requests_and_no_secret() {
    for registry in [
        Registry::htpasswd("me", PASSWORD),
        Registry::token("me", PASSWORD),
    ] {
        let project = project(&registry, &login(&registry));
        let pushed = shows_no_secret(project.run(["build", "-vv"]).succeeds());
        let repository = format!("http://{}/v2/team/hello", registry.host());
        pushed
            .stderr_has(&format!("trace: http method=HEAD url={repository}/manifests/"))
            .stderr_has(&format!(
                "trace: http method=POST url={repository}/blobs/uploads/ sent=0 status=202 received=0 attempt=1 duration="
            ))
            .stderr_has(&format!("trace: http method=PUT url={repository}/manifests/"));
    }
}

#[test]
fn token_exchange_traces_show_urls_and_no_secret() {
    let registry = Registry::token("me", PASSWORD);
    let planned = shows_no_secret(
        project(&registry, &login(&registry))
            .run(["plan", "-vv"])
            .succeeds(),
    );
    planned.stderr_has(&format!(
        "trace: http method=GET url=http://{}/token?… sent=0 status=200",
        registry.tokens().host()
    ));
}

#[test]
fn helper_login_traces_show_no_secret() {
    let registry = Registry::htpasswd("me", PASSWORD);
    let project = project(
        &registry,
        &serde_json::json!({ "credHelpers": { registry.host(): "known" } }),
    );
    let programs = project.home().join("programs");
    std::fs::create_dir_all(&programs).unwrap();
    let helper = programs.join("docker-credential-known");
    std::fs::write(
        &helper,
        format!("#!/bin/sh\necho '{{\"Username\":\"me\",\"Secret\":\"{PASSWORD}\"}}'\n"),
    )
    .unwrap();
    std::fs::set_permissions(&helper, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    shows_no_secret(project.env("PATH", path).run(["plan", "-vv"]).succeeds())
        .stderr_has("status=401")
        .stderr_has("status=404");
}

#[test]
fn traces_require_double_verbose() {
    let registry = Registry::htpasswd("me", PASSWORD);
    let project = project(&registry, &login(&registry));
    for words in [
        &["plan"][..],
        &["plan", "-v"],
        &["plan", "--format", "json"],
    ] {
        project.run(words).succeeds().stderr_lacks("trace:");
    }
    project
        .run(["plan", "-vv", "--format", "json"])
        .succeeds()
        .stderr_has("trace: http ")
        .stdout_lacks("trace:")
        .json();
}
