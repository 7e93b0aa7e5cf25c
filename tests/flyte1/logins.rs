//! Logins at Flyte 1, whose metadata are in lowerCamelCase.

use union_tests::Project;

use crate::world::{TYPED, World};

const RUN: [&str; 6] = ["run", "--remote", "hello", "--", "--x=21", "--name=Ada"];

/// A user with a client's secret, by the words of flytekit's INI file.
fn with_secret(world: &World, project: Project) -> Project {
    let config = format!(
        "[platform]\nurl = {}\n\n[credentials]\n; comment\nclient_id = robot\nclient_secret_env_var: ROBOT_SECRET\nauth_mode = client_credentials\n",
        world.backend.host()
    );
    project
        .without_env("FLYTE_ADMIN_ENDPOINT")
        .file("flytekit.config", config)
        .env("ROBOT_SECRET", "secret")
        .env(
            "FLYTE_PLATFORM_CA_CERT_FILE_PATH",
            world.backend.certificate().to_str().unwrap(),
        )
}

#[test]
fn ini_client_secret_renews_an_expired_token_of_a_followed_run() {
    let world = World::secure("auth,expires=9");
    let project = with_secret(&world, world.hello(TYPED));
    project
        .run(RUN)
        .succeeds()
        .stdout_is("greeting = \"hello Ada\"\n");
    let state = world.backend.state();
    let form = state["tokens"]["form"][1].as_str().unwrap();
    assert!(form.contains("grant_type=client_credentials"), "{form}");
    assert!(form.contains("scope=offline+all"), "{form}");
    assert!(
        form.contains("audience=https%3A%2F%2Faudience.example.test"),
        "{form}"
    );
    assert!(
        world.backend.count("POST", "oauth2/token") > 1,
        "a token has expired"
    );
    let world = World::secure("auth");
    let project = with_secret(&world, world.at_home(Project::empty()))
        .env("FLYTE_ADMIN_AUDIENCE", "mine")
        .env("FLYTE_ADMIN_SCOPES", "all");
    project.run(["whoami"]).succeeds();
    let state = world.backend.state();
    let form = state["tokens"]["form"][1].as_str().unwrap();
    assert!(
        form.contains("audience=mine") && form.contains("scope=all&"),
        "{form}"
    );
}

#[test]
fn wrong_secret_is_reported_and_not_shown() {
    let world = World::secure("auth");
    let project =
        with_secret(&world, world.at_home(Project::empty())).env("ROBOT_SECRET", "hunter2");
    project
        .run(["whoami"])
        .exits(1)
        .fails_with("U0766")
        .stderr_has("invalid_client")
        .stderr_lacks("hunter2");
}

#[test]
fn control_plane_without_authentication_is_reported() {
    let world = World::secure("");
    let project = with_secret(&world, world.at_home(Project::empty()));
    project
        .run(["login"])
        .exits(1)
        .fails_with("U0766")
        .stderr_has("has no authentication service");
    let world = World::new();
    let project = world.at_home(Project::empty());
    project
        .run(["login"])
        .succeeds()
        .stderr_has("without a login");
}
