//! Logins at Flyte 1, whose metadata is in lowerCamelCase.

use union_tests::Project;
use union_tests::browser::{LoginAddress, challenge, redirected};
use union_tests::http::{ReservedPort, parse_query};

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

/// A user whose Flyte config has only the endpoint, its certificate, and these lines.
fn user(setup: &Setup, lines: &str) -> Project {
    let config = format!(
        "admin:\n  endpoint: dns:///{}\n  caCertFilePath: {}\n{lines}",
        setup.backend.host(),
        setup.backend.certificate().display()
    );
    let project = setup.with_backend(Project::empty());
    std::fs::create_dir(project.home().join(".flyte")).unwrap();
    std::fs::write(project.home().join(".flyte/config.yaml"), config).unwrap();
    project.without_env("FLYTE_ADMIN_ENDPOINT")
}

/// The fields of the last request for a token.
fn grant(setup: &Setup) -> Vec<(String, String)> {
    let state = setup.backend.state();
    parse_query(state["tokens"]["form"][1].as_str().unwrap())
}

fn has(fields: &[(String, String)], name: &str, value: &str) -> bool {
    fields.contains(&(name.to_owned(), value.to_owned()))
}

#[test]
fn device_flow_waits_for_the_approval() {
    let setup = Setup::secure("auth,device,pending");
    let project = user(&setup, "  authType: DeviceFlow\n");
    project.run(["whoami"]).exits(1).fails_with("U0764");
    project
        .run(["login"])
        .succeeds()
        .stderr_has("/activate to log in with the code ABCD-EFGH")
        .stderr_has("as Ada <ada@example.test>")
        .stderr_lacks("the-device");
    assert_eq!(setup.backend.count("POST", "oauth2/token"), 2);
    assert!(has(&grant(&setup), "device_code", "the-device"));
    project
        .run(["whoami"])
        .succeeds()
        .stdout_is("Ada <ada@example.test>\n");
    let setup = Setup::secure("auth");
    user(&setup, "  authType: DeviceFlow\n")
        .run(["login"])
        .exits(1)
        .fails_with("U0766");
}

#[test]
fn browser_login_uses_the_metadata_of_flyte_1() {
    let free = ReservedPort::new();
    let setup = Setup::secure(&format!("auth,redirect={}", free.port()));
    let project = user(&setup, "  authType: Pkce\n");
    let mut login = project.start(["login"]);
    login.until_stderr_has("to log in");
    let address = LoginAddress::find(&login.stderr());
    assert_eq!(
        address.url,
        format!("https://{}/oauth2/authorize", setup.backend.host())
    );
    for (name, value) in [
        ("client_id", "flytectl"),
        ("scope", "offline all"),
        ("audience", "https://audience.example.test"),
        ("code_challenge_method", "S256"),
    ] {
        assert_eq!(address.field(name), value, "{name}");
    }
    let query = format!("code=the-code&state={}", address.field("state"));
    assert!(redirected(free.port(), &query).contains("You are logged in"));
    login.wait().succeeds().stderr_has("Logged in");
    let grant = grant(&setup);
    assert!(has(&grant, "code", "the-code"), "{grant:?}");
    let verifier = grant.iter().find(|(name, _)| name == "code_verifier");
    assert_eq!(
        challenge(&verifier.unwrap().1),
        address.field("code_challenge")
    );
    project.run(["whoami"]).succeeds();
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
