//! `cargo union login`, `logout` and `whoami`.

use std::os::unix::fs::PermissionsExt as _;

use union_tests::backend::{Backend, CLIENT, Reply, SECRET, denial};
use union_tests::browser::{LoginAddress, challenge, redirected};
use union_tests::http::ReservedPort;
use union_tests::{Outcome, Project};

/// A user whose home has a config for a backend.
fn user(backend: &Backend, more: &str) -> Project {
    let project = Project::empty();
    std::fs::create_dir(project.home().join(".flyte")).unwrap();
    let config = format!(
        "admin:\n  endpoint: dns:///{}\n  caCertFilePath: {}\n{more}task:\n  org: acme\n",
        backend.host(),
        backend.certificate().display()
    );
    std::fs::write(project.home().join(".flyte/config.yaml"), config).unwrap();
    project
}

/// Requires that no secret of a test was printed.
#[track_caller]
fn discreet(outcome: Outcome) -> Outcome {
    let mut outcome = outcome;
    for secret in [
        SECRET,
        "access-token-",
        "refresh-token-",
        "device-secret",
        "the-code",
    ] {
        outcome = outcome.stdout_lacks(secret).stderr_lacks(secret);
    }
    outcome
}

fn file_of_tokens(project: &Project) -> Option<std::path::PathBuf> {
    let entries = std::fs::read_dir(project.home().join(".local/state/cargo-union/logins")).ok()?;
    entries
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|end| end == "json"))
}

#[test]
fn device_flow_stores_the_token() {
    let backend = Backend::without_faults();
    backend.memory().pending = 2;
    let project = user(&backend, "  authType: DeviceFlow\n");
    project
        .run(["whoami"])
        .exits(1)
        .fails_with("U0764")
        .stderr_has("cargo union login");
    let login = discreet(project.run(["login", "-vv"]).succeeds());
    let login = login
        .stderr_has(&format!("trace: http method=POST url={}", backend.url()))
        .stderr_has("trace: rpc method=");
    login
        .stderr_has("/oauth/activate to log in with the code ABCD-EFGH")
        .stderr_has("as Ada Lovelace <ada@example.test>")
        .stdout_is("");
    assert_eq!(backend.calls("/token").len(), 3);
    let kept = file_of_tokens(&project).expect("the login is kept");
    assert_eq!(kept.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    discreet(project.run(["whoami"]).succeeds()).stdout_is("Ada Lovelace <ada@example.test>\n");
    project.run(["logout"]).succeeds().stderr_has("Logged out");
    assert!(!kept.exists());
    project
        .run(["logout"])
        .succeeds()
        .stderr_has("there is no login");
    project.run(["whoami"]).fails_with("U0764");
}

#[test]
fn json_documents_have_user_and_endpoint() {
    let backend = Backend::without_faults();
    let project = user(&backend, "  authType: DeviceFlow\n");
    let login = discreet(project.run(["login", "--format", "json"]).succeeds()).json();
    assert_eq!(
        (&login["command"], &login["endpoint"], &login["org"]),
        (&"login".into(), &backend.url().into(), &"acme".into())
    );
    assert_eq!(
        (&login["auth_type"], &login["user"]["email"]),
        (&"DeviceFlow".into(), &"ada@example.test".into())
    );
    let who = project
        .run(["whoami", "--format", "json", "--org", "other"])
        .succeeds()
        .json();
    assert_eq!(
        (&who["command"], &who["org"], &who["user"]["subject"]),
        (&"whoami".into(), &"other".into(), &"0oa1".into())
    );
    let logout = project
        .run(["logout", "--format", "json"])
        .succeeds()
        .json();
    assert_eq!(
        (&logout["command"], &logout["removed"]),
        (&"logout".into(), &true.into())
    );
    let failed = project.run(["whoami", "--format", "json"]).exits(1).json();
    assert_eq!(failed["problems"][0]["code"], "U0764");
}

#[test]
fn denied_and_expired_device_codes_end_the_login() {
    for error in ["access_denied", "expired_token"] {
        let backend = Backend::secure(move |call, _| call.is("token").then(|| denial(error)));
        let project = user(&backend, "  authType: DeviceFlow\n");
        project
            .run(["login"])
            .exits(1)
            .fails_with("U0766")
            .stderr_has(error)
            .stderr_has("as the token server says");
        assert_eq!(file_of_tokens(&project), None);
    }
}

#[test]
fn invalid_device_flow_intervals_do_not_stop_the_login() {
    for (expires, interval) in [
        ("18446744073709551615", "0"),
        ("600.5", "0.01"),
        ("-1", "0"),
        ("1e300", "\"0\""),
    ] {
        let backend = Backend::secure(move |call, _| {
            let code = r#""device_code": "device-secret", "user_code": "ABCD-EFGH", "verification_uri": "https://127.0.0.1/activate""#;
            let body = format!("{{{code}, \"expires_in\": {expires}, \"interval\": {interval}}}");
            call.is("device").then(|| {
                Reply::status(200)
                    .with("Content-Type", "application/json")
                    .body(body)
            })
        });
        let project = user(&backend, "  authType: DeviceFlow\n");
        project
            .run(["login"])
            .succeeds()
            .stderr_has("with the code ABCD-EFGH");
    }
}

#[test]
fn browser_redirect_requires_the_matching_state() {
    let (backend, free) = (Backend::without_faults(), ReservedPort::new());
    let port = free.port();
    backend.memory().redirect = format!("http://localhost:{port}/callback");
    let project = user(&backend, "");
    let mut login = project.start(["login"]);
    login.until_stderr_has("to log in");
    let address = LoginAddress::find(&login.stderr());
    assert_eq!(address.url, format!("{}/oauth/authorize", backend.url()));
    for (name, value) in [
        ("client_id", "cli"),
        ("response_type", "code"),
        ("scope", "all offline"),
        ("code_challenge_method", "S256"),
        ("audience", "aud"),
        ("redirect_uri", &format!("http://localhost:{port}/callback")),
    ] {
        assert_eq!(address.field(name), value, "{name}");
    }
    assert!(redirected(port, "code=the-code&state=guessed").starts_with("HTTP/1.1 400"));
    assert!(backend.calls("/token").is_empty(), "a guess was redeemed");
    assert!(
        redirected(
            port,
            &format!("code=the-code&state={}", address.field("state"))
        )
        .contains("You are logged in")
    );
    discreet(login.wait().succeeds()).stderr_has("Logged in");
    let form = &backend.calls("/token")[0];
    for (name, value) in [
        ("grant_type", "authorization_code"),
        ("client_id", "cli"),
        ("code_challenge_method", "S256"),
    ] {
        assert_eq!(form.field(name).as_deref(), Some(value), "{name}");
    }
    assert_eq!(
        challenge(&form.field("code_verifier").unwrap()),
        address.field("code_challenge")
    );
    project.run(["whoami"]).succeeds();
}

#[test]
fn login_denied_in_the_browser_fails() {
    let (backend, free) = (Backend::without_faults(), ReservedPort::new());
    let port = free.port();
    backend.memory().redirect = format!("http://localhost:{port}/callback");
    let project = user(&backend, "");
    let mut login = project.start(["login"]);
    login.until_stderr_has("to log in");
    let address = LoginAddress::find(&login.stderr());
    redirected(
        port,
        &format!("error=access_denied&state={}", address.field("state")),
    );
    login
        .wait()
        .exits(1)
        .fails_with("U0766")
        .stderr_has("access_denied");
}

#[test]
fn available_browser_is_opened() {
    let (backend, free) = (Backend::without_faults(), ReservedPort::new());
    let port = free.port();
    backend.memory().redirect = format!("http://localhost:{port}/callback");
    let project = user(&backend, "")
        .file("browser", "#!/bin/sh\nprintf %s \"$1\" > \"$HOME/visited.part\" && mv \"$HOME/visited.part\" \"$HOME/visited\"\n");
    std::fs::set_permissions(
        project.path("browser"),
        std::fs::Permissions::from_mode(0o755),
    )
    .unwrap();
    let browser = project.path("browser").display().to_string();
    let project = project.env("BROWSER", browser);
    let mut login = project.start(["login"]);
    login.until_stderr_has("Opened");
    let visited = project.home().join("visited");
    while !visited.exists() {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let address = LoginAddress::find(&std::fs::read_to_string(visited).unwrap());
    redirected(
        port,
        &format!("code=the-code&state={}", address.field("state")),
    );
    login.wait().succeeds();
}

#[test]
fn redirect_uri_of_another_host_is_refused() {
    let backend = Backend::without_faults();
    backend.memory().redirect = "https://evil.example.test/callback".to_owned();
    user(&backend, "")
        .run(["login"])
        .exits(1)
        .fails_with("U0766")
        .stderr_has("not a port of this machine");
}

#[test]
fn api_key_sets_backend_and_credentials() {
    use base64::Engine as _;
    let backend = Backend::without_faults();
    let key = base64::engine::general_purpose::STANDARD
        .encode(format!("{}:{CLIENT}:{SECRET}:tenant", backend.host()));
    let project = Project::empty()
        .env("SSL_CERT_FILE", backend.certificate().to_str().unwrap())
        .env("FLYTE_API_KEY", key.clone());
    let who = discreet(project.run(["whoami", "--format", "json"]).succeeds())
        .stdout_lacks(&key)
        .json();
    assert_eq!(
        (&who["org"], &who["auth_type"]),
        (&"tenant".into(), &"ClientSecret".into())
    );
    assert_eq!(
        file_of_tokens(&project),
        None,
        "tokens of a secret are not kept"
    );
}

#[test]
fn wrong_client_secret_names_the_client() {
    let backend = Backend::without_faults();
    let project = user(
        &backend,
        "  clientId: robot\n  clientSecretEnvVar: MY_SECRET\n",
    )
    .env("MY_SECRET", "hunter2");
    project
        .run(["login"])
        .exits(1)
        .fails_with("U0766")
        .stderr_has("invalid_client")
        .stderr_has("`robot`")
        .stderr_lacks("hunter2");
    discreet(
        project
            .env("MY_SECRET", SECRET)
            .run(["login", "-vv"])
            .succeeds(),
    )
    .stderr_has("trace: rpc method=");
}

#[test]
fn disable_keyring_stores_no_token() {
    let backend = Backend::without_faults();
    let project = user(&backend, "  authType: DeviceFlow\n  disableKeyring: true\n");
    project.run(["login"]).succeeds();
    assert_eq!(file_of_tokens(&project), None);
}

#[test]
fn unencrypted_backend_gets_no_login() {
    let backend = Backend::plain(|call, _| {
        assert_eq!(call.request.header("authorization"), None);
        Some(union_tests::backend::answer(Vec::new()))
    });
    let project = Project::empty().env("FLYTE_ADMIN_ENDPOINT", backend.url());
    project
        .run(["login"])
        .succeeds()
        .stderr_has("without a login");
    project.run(["whoami"]).succeeds().stdout_is("anonymous\n");
}

#[test]
fn backend_is_required_and_must_respond() {
    Project::empty()
        .run(["whoami"])
        .exits(1)
        .fails_with("U0754")
        .stderr_has("--endpoint");
    let free = ReservedPort::new();
    let unreachable = format!("http://{}", free.host());
    let project = Project::empty();
    project
        .run(["whoami", "--endpoint", &unreachable])
        .exits(1)
        .fails_with("U0755")
        .stderr_has("Retrying");
    project
        .run(["whoami", "--endpoint", "https://acme.example.test/console"])
        .exits(2)
        .fails_with("U0752");
}
