//! Base images of a user's Dockerfile that require a login.

use std::process::Command;

use union_tests::Project;
use union_tests::base::debian_layout;
use union_tests::engine::{Engine, Podman};
use union_tests::registry::Registry;

use crate::setup::{Setup, shell};

const PASSWORD: &str = "correct-horse-battery";

/// A registry with a Debian that one user may pull.
fn private() -> Registry {
    let registry = Registry::htpasswd("me", PASSWORD);
    for name in ["base", "tools"] {
        let (from, to) = (
            format!("oci:{}", debian_layout().display()),
            format!("docker://{}/private/{name}:1", registry.host()),
        );
        let credentials = format!("me:{PASSWORD}");
        let copied = Command::new("skopeo")
            .args([
                "copy",
                "--quiet",
                "--dest-tls-verify=false",
                "--dest-creds",
                &credentials,
                &from,
                &to,
            ])
            .status()
            .unwrap();
        assert!(copied.success());
    }
    registry
}

fn project(setup: &Setup, dockerfile: &str) -> Project {
    setup
        .project_of("[package.metadata.union.images.default]\ndockerfile = \"Dockerfile\"\n")
        .file("Dockerfile", dockerfile)
        .file(".dockerignore", "*\n")
}

/// Logs in as `docker login` does, at these registries.
fn log_in(project: &Project, registries: &[&Registry]) {
    let output = Command::new("sh")
        .args(["-c", &format!("printf %s me:{PASSWORD} | base64")])
        .output()
        .unwrap();
    let auth = String::from_utf8(output.stdout).unwrap().trim().to_owned();
    let entry = |registry: &&Registry| {
        (
            registry.host().to_owned(),
            serde_json::json!({ "auth": auth }),
        )
    };
    let auths: serde_json::Map<_, _> = registries.iter().map(entry).collect();
    let config = serde_json::json!({ "auths": auths }).to_string();
    std::fs::create_dir_all(project.home().join(".docker")).unwrap();
    std::fs::write(project.home().join(".docker/config.json"), config).unwrap();
}

/// Removes the images of other tests from the engine.
fn dockerfile(registry: &Registry, mark: &str) -> String {
    let host = registry.host();
    format!(
        "ARG HOST={host}\nFROM $HOST/private/base:1\nCOPY --from={host}/private/tools:1 /etc/debian_version /copied\nRUN echo {mark} >/made\n"
    )
}

#[test]
fn docker_pulls_with_user_credentials_without_showing_them() {
    let (setup, private) = (Setup::new(), private());
    let project = project(&setup, &dockerfile(&private, "docker"));
    log_in(&project, &[&private]);
    let built = project
        .run(["build", "-vv"])
        .succeeds()
        .stderr_lacks(PASSWORD);
    let built = built.stderr_has(&format!(
        "trace: session call=Auth/Credentials host={} found=true",
        private.host()
    ));
    assert_eq!(
        shell(&built, "cat /made; test -s /copied && echo copied"),
        "docker\ncopied"
    );
    assert!(
        !project
            .read("target/union/logs/hello/default.log")
            .contains(PASSWORD)
    );
}

#[test]
fn private_base_without_login_names_the_host() {
    let (setup, private) = (Setup::new(), private());
    let project = project(&setup, &dockerfile(&private, "nobody"));
    let outcome = project.run(["build"]).fails_with("U0501");
    outcome
        .stderr_has(private.host())
        .stderr_has("docker login");
    log_in(&project, &[&private]);
    project.run(["build"]).succeeds();
}

#[test]
fn private_frontend_is_pulled_with_user_credentials() {
    let (setup, private) = (Setup::new(), private());
    // What is no frontend fails after it was pulled.
    let text = format!(
        "# syntax={}/private/tools:1\nFROM {}\n",
        private.host(),
        setup.debian()
    );
    let project = project(&setup, &text);
    project
        .run(["build"])
        .fails_with("U0501")
        .stderr_has("docker login");
    log_in(&project, &[&private]);
    project
        .run(["build"])
        .fails_with("U0501")
        .stderr_lacks("docker login")
        .stderr_lacks("401");
}

#[test]
fn podman_pulls_with_user_credentials() {
    let (setup, private, podman) = (Setup::new(), private(), Podman::start());
    let project =
        project(&setup, &dockerfile(&private, "podman")).env("DOCKER_HOST", podman.address());
    project
        .run(["build"])
        .fails_with("U0501")
        .stderr_has("docker login");
    log_in(&project, &[&private]);
    let built = project
        .run(["build", "-vv"])
        .succeeds()
        .stderr_lacks(PASSWORD);
    // Docker can run it.
    let reference = built.stdout().trim();
    let seen = Engine::with_network().docker(&[
        "run",
        "--rm",
        "--network",
        "none",
        reference,
        "/bin/sh",
        "-c",
        "cat /made",
    ]);
    assert_eq!(seen, "podman");
}
