//! Logins at Flyte 1, whose metadata is in lowerCamelCase.

use union_tests::Project;

use crate::setup::{Setup, TYPED};

const RUN: [&str; 6] = ["run", "--remote", "hello", "--", "--x=21", "--name=Ada"];

/// A user with a client secret in an INI file of flytekit.
fn with_secret(setup: &Setup, project: Project) -> Project {
    let config = format!(
        "[platform]\nurl = {}\n\n[credentials]\n; comment\nclient_id = robot\nclient_secret_env_var: ROBOT_SECRET\nauth_mode = client_credentials\n",
        setup.backend.host()
    );
    project
        .without_env("FLYTE_ADMIN_ENDPOINT")
        .file("flytekit.config", config)
        .env("ROBOT_SECRET", "secret")
        .env(
            "FLYTE_PLATFORM_CA_CERT_FILE_PATH",
            setup.backend.certificate().to_str().unwrap(),
        )
}

#[test]
fn ini_client_secret_renews_an_expired_token_of_a_followed_run() {
    let setup = Setup::secure("auth,expires=9");
    let project = with_secret(&setup, setup.hello(TYPED));
    project
        .run(RUN)
        .succeeds()
        .stdout_is("greeting = \"hello Ada\"\n");
    let state = setup.backend.state();
    let form = state["tokens"]["form"][1].as_str().unwrap();
    assert!(form.contains("grant_type=client_credentials"), "{form}");
    assert!(form.contains("scope=offline+all"), "{form}");
    assert!(
        form.contains("audience=https%3A%2F%2Faudience.example.test"),
        "{form}"
    );
    assert!(
        setup.backend.count("POST", "oauth2/token") > 1,
        "a token has expired"
    );
    let setup = Setup::secure("auth");
    let project = with_secret(&setup, setup.with_backend(Project::empty()))
        .env("FLYTE_ADMIN_AUDIENCE", "mine")
        .env("FLYTE_ADMIN_SCOPES", "all");
    project.run(["whoami"]).succeeds();
    let state = setup.backend.state();
    let form = state["tokens"]["form"][1].as_str().unwrap();
    assert!(
        form.contains("audience=mine") && form.contains("scope=all&"),
        "{form}"
    );
}

#[test]
fn wrong_secret_is_reported_and_not_shown() {
    let setup = Setup::secure("auth");
    let project =
        with_secret(&setup, setup.with_backend(Project::empty())).env("ROBOT_SECRET", "hunter2");
    project
        .run(["whoami"])
        .exits(1)
        .fails_with("U0766")
        .stderr_has("invalid_client")
        .stderr_lacks("hunter2");
}

#[test]
fn control_plane_without_authentication_is_reported() {
    let setup = Setup::secure("");
    let project = with_secret(&setup, setup.with_backend(Project::empty()));
    project
        .run(["login"])
        .exits(1)
        .fails_with("U0766")
        .stderr_has("has no authentication service");
    let setup = Setup::new();
    let project = setup.with_backend(Project::empty());
    project
        .run(["login"])
        .succeeds()
        .stderr_has("without a login");
}
