//! Passwords, tokens and credential helpers, which are never shown.

use cargo_union::publish::{Existence, Publisher as _, TransferKind};
use cargo_union::sys::secret::Secret;
use union_build::diag::Code;
use union_tests::faulty_registry::{FaultyRegistry, Reply};
use union_tests::registry::Registry;
use union_tests::token::IDENTITY;

use crate::images;
use crate::setup::{Setup, assert_error, repository, target};

const PASSWORD: &str = "correct-horse-battery";

#[tokio::test]
async fn password_of_the_docker_config_is_used_and_reported() {
    let registry = Registry::htpasswd("me", PASSWORD);
    let (setup, key) = (
        Setup::new().login(registry.host(), "me", PASSWORD),
        images::key("a"),
    );
    let (client, target) = (setup.client(), target(registry.host(), "acme/app", &key));
    assert_eq!(client.existence(&target).await.unwrap(), Existence::Missing);
    client
        .publish(&target, &images::of_text(&key, "hello"), false)
        .await
        .unwrap();
    let reported = setup.reports.lines();
    let sources: Vec<&String> = reported
        .iter()
        .filter(|line| line.starts_with(registry.host()))
        .collect();
    assert!(
        matches!(sources[..], [one] if one.contains(".docker/config.json")),
        "{reported:?}"
    );
}

#[tokio::test]
async fn wrong_and_missing_passwords_are_denied_with_advice() {
    let registry = Registry::htpasswd("me", PASSWORD);
    let target = target(registry.host(), "acme/app", &images::key("a"));
    let help = format!("docker login {}", registry.host());
    let wrong = Setup::new().login(registry.host(), "me", "hunter2");
    assert_error(
        wrong.client().existence(&target).await,
        Code::RegistryDenied,
        &[registry.host(), "acme/app:v1", "401", &help, "config.json"],
    );
    assert_error(
        wrong.client().prepare(&target).await,
        Code::RegistryDenied,
        &[registry.host(), "acme/app", &help],
    );
    let none = Setup::new().client().existence(&target).await;
    assert_error(
        none,
        Code::RegistryDenied,
        &[registry.host(), "UNAUTHORIZED", "No login", &help],
    );
}

#[tokio::test]
async fn token_is_requested_with_the_password() {
    let registry = Registry::token("me", PASSWORD);
    let (setup, key) = (
        Setup::new().login(registry.host(), "me", PASSWORD),
        images::key("a"),
    );
    let (client, target) = (setup.client(), target(registry.host(), "acme/app", &key));
    assert_eq!(client.existence(&target).await.unwrap(), Existence::Missing);
    let published = client
        .publish(&target, &images::of_text(&key, "hello"), false)
        .await
        .unwrap();
    assert_eq!(
        client.existence(&target).await.unwrap(),
        Existence::Found(published.digest)
    );
    // One to read and one to write, however many requests there were.
    assert_eq!(
        registry.tokens().asked(),
        [
            ["repository:acme/app:pull"],
            ["repository:acme/app:pull,push"]
        ]
    );
}

#[tokio::test]
async fn identity_token_is_exchanged() {
    let registry = Registry::token("me", PASSWORD);
    let config = serde_json::json!({ "auths": { registry.host(): { "identitytoken": IDENTITY } } });
    let (setup, key) = (Setup::new().config(&config.to_string()), images::key("a"));
    let target = target(registry.host(), "acme/app", &key);
    setup
        .client()
        .publish(&target, &images::of_text(&key, "hello"), false)
        .await
        .unwrap();
}

#[tokio::test]
async fn anonymous_token_and_wrong_password_are_refused() {
    let registry = Registry::token("me", PASSWORD);
    let target = target(registry.host(), "acme/app", &images::key("a"));
    assert_error(
        Setup::new().client().existence(&target).await,
        Code::RegistryDenied,
        &[registry.host(), "acme/app:v1", "No login"],
    );
    let wrong = Setup::new()
        .login(registry.host(), "me", "hunter2")
        .client()
        .existence(&target)
        .await;
    assert_error(
        wrong,
        Code::RegistryDenied,
        &[&registry.tokens().host(), "acme/app:v1", "config.json"],
    );
}

#[tokio::test]
async fn only_a_mount_requests_two_repository_scopes() {
    let registry = Registry::token("me", PASSWORD);
    let (setup, key) = (
        Setup::new().login(registry.host(), "me", PASSWORD),
        images::key("a"),
    );
    let base = images::layer("base");
    let pushed = images::single(&key, "linux/amd64", vec![base.clone()]);
    setup
        .client()
        .publish(&target(registry.host(), "base", &key), &pushed, false)
        .await
        .unwrap();
    let remote = images::in_repository(&base, repository(registry.host(), "base"));
    let image = images::single(&key, "linux/amd64", vec![remote]);
    setup
        .client()
        .publish(&target(registry.host(), "acme/app", &key), &image, false)
        .await
        .unwrap();
    assert!(
        setup
            .reports
            .has(TransferKind::Mount, base.blob.descriptor.digest),
        "{:?}",
        setup.reports.lines()
    );
    let asked = registry.tokens().asked();
    let mounts: Vec<_> = asked.iter().filter(|scopes| scopes.len() > 1).collect();
    assert_eq!(
        mounts,
        [&[
            "repository:acme/app:pull,push".to_owned(),
            "repository:base:pull".to_owned()
        ]]
    );
}

#[tokio::test]
async fn helper_is_used_for_its_host() {
    let registry = Registry::htpasswd("me", PASSWORD);
    let config = serde_json::json!({ "credHelpers": { registry.host(): "test" } });
    let answer = format!(r#"echo '{{"Username":"me","Secret":"{PASSWORD}"}}'"#);
    let setup = Setup::new()
        .config(&config.to_string())
        .helper("test", &answer)
        .await;
    let target = target(registry.host(), "acme/app", &images::key("a"));
    assert_eq!(
        setup.client().existence(&target).await.unwrap(),
        Existence::Missing
    );
    assert!(
        setup.reports.lines()[0].contains("docker-credential-test"),
        "{:?}",
        setup.reports.lines()
    );
}

/// A registry that requires a token even for public repositories, and gives it without a login.
fn public() -> FaultyRegistry {
    FaultyRegistry::start(|request, _| {
        match (request.path.as_str(), request.header("authorization")) {
            ("/v2/", _) => None,
            ("/token", None) => Some(
                Reply::status(200)
                    .body(r#"{"token":"for-everybody"}"#)
                    .into(),
            ),
            ("/token", Some(_)) => Some(Reply::status(401).into()),
            (_, Some("Bearer for-everybody")) => None,
            _ => {
                let realm = format!(
                    r#"Bearer realm="http://{}/token""#,
                    request.header("host").unwrap_or_default()
                );
                Some(Reply::status(401).with("WWW-Authenticate", realm).into())
            }
        }
    })
}

/// Configs that give no login for a host, and a word of the warning about each, when there is one.
fn without_login(host: &str) -> Vec<(String, Option<&'static str>)> {
    vec![
        (
            format!(r#"{{"credHelpers": {{"{host}": "absent"}}}}"#),
            Some("docker-credential-absent"),
        ),
        (
            format!(r#"{{"credHelpers": {{"{host}": "locked"}}}}"#),
            Some("log in with gcloud first"),
        ),
        (
            format!(r#"{{"credHelpers": {{"{host}": "../sh"}}}}"#),
            Some("has an invalid name"),
        ),
        (
            r#"{"credsStore": "desktop.exe"}"#.to_owned(),
            Some("docker-credential-desktop.exe"),
        ),
        (
            format!(r#"{{"auths": {{"{host}": {{"auth": "?"}}}}}}"#),
            Some("is not base64"),
        ),
        (
            r#"{"auths": []}"#.to_owned(),
            Some("`auths` is not an object"),
        ),
        ("{".to_owned(), Some("is not a Docker config.json")),
        (
            r#"{"auths": null, "credHelpers": null, "credsStore": null}"#.to_owned(),
            None,
        ),
        (format!(r#"{{"auths": {{"{host}": null}}}}"#), None),
        (format!(r#"{{"credHelpers": {{"{host}": "empty"}}}}"#), None),
    ]
}

async fn world_with(config: &str) -> Setup {
    let setup = Setup::new()
        .config(config)
        .helper("locked", "echo log in with gcloud first; exit 1")
        .await;
    setup
        .helper(
            "empty",
            "echo credentials not found in native keychain; exit 1",
        )
        .await
}

#[tokio::test]
async fn public_repository_needs_no_helper_and_no_valid_config() {
    let registry = public();
    for (config, warning) in without_login(&registry.host()) {
        let setup = world_with(&config).await;
        let client = setup.client();
        for repository in ["acme/app", "acme/other"] {
            let target = target(&registry.host(), repository, &images::key("a"));
            assert_eq!(
                client.existence(&target).await.unwrap(),
                Existence::Missing,
                "{config}"
            );
        }
        let warnings = setup.reports.warnings();
        assert_eq!(
            warnings.len(),
            usize::from(warning.is_some()),
            "{config}: {warnings:?}"
        );
        for warned in &warnings {
            assert!(
                warned.contains(warning.unwrap()) && warned.contains(".docker/config.json"),
                "{config}: {warned}"
            );
        }
    }
}

#[tokio::test]
async fn required_login_error_has_the_reason() {
    let (registry, tokens) = (
        Registry::htpasswd("me", PASSWORD),
        Registry::token("me", PASSWORD),
    );
    for host in [registry.host(), tokens.host()] {
        for (config, warning) in without_login(host) {
            let setup = world_with(&config).await;
            let target = target(host, "acme/app", &images::key("a"));
            let words = [
                warning.unwrap_or("No login"),
                if warning.is_some() {
                    ".docker/config.json"
                } else {
                    host
                },
                "docker login",
            ];
            assert_error(
                setup.client().existence(&target).await,
                Code::RegistryDenied,
                &words,
            );
        }
    }
}

#[tokio::test]
async fn missing_helper_is_reported_once() {
    let registries = [public(), public(), public()];
    let setup = Setup::new().config(r#"{"credsStore": "desktop.exe"}"#);
    let client = setup.client();
    for registry in &registries {
        let target = target(&registry.host(), "acme/app", &images::key("a"));
        assert_eq!(client.existence(&target).await.unwrap(), Existence::Missing);
    }
    assert_eq!(
        setup.reports.warnings().len(),
        1,
        "{:?}",
        setup.reports.lines()
    );
}

#[tokio::test]
async fn login_besides_a_broken_helper_is_used() {
    let registry = Registry::htpasswd("me", PASSWORD);
    let setup = Setup::new().login(registry.host(), "me", PASSWORD);
    let home = setup.directory.path().join("config");
    std::fs::create_dir_all(home.join("containers")).unwrap();
    let broken = serde_json::json!({ "credHelpers": { registry.host(): "absent" } });
    std::fs::write(home.join("containers/auth.json"), broken.to_string()).unwrap();
    let mut settings = setup.settings.clone();
    settings.options.xdg_config = Some(home);
    let setup = Setup { settings, ..setup };
    let target = target(registry.host(), "acme/app", &images::key("a"));
    assert_eq!(
        setup.client().existence(&target).await.unwrap(),
        Existence::Missing
    );
    assert!(
        matches!(&setup.reports.warnings()[..], [one] if one.contains("containers/auth.json")),
        "{:?}",
        setup.reports.lines()
    );
}

#[tokio::test]
async fn helper_is_run_once_per_host() {
    let registry = Registry::htpasswd("me", PASSWORD);
    let setup = Setup::new().config(r#"{"credsStore": "test"}"#);
    let asked = setup.directory.path().join("asked");
    let script = format!(
        r#"cat >>'{}'; echo '{{"Username":"me","Secret":"{PASSWORD}"}}'"#,
        asked.display()
    );
    let setup = setup.helper("test", &script).await;
    let client = setup.client();
    for repository in ["acme/app", "acme/other", "third"] {
        client
            .existence(&target(registry.host(), repository, &images::key("a")))
            .await
            .unwrap();
    }
    assert_eq!(std::fs::read_to_string(asked).unwrap(), registry.host());
}

#[tokio::test]
async fn docker_auth_config_variable_is_read() {
    let registry = Registry::htpasswd("me", PASSWORD);
    let target = target(registry.host(), "acme/app", &images::key("a"));
    let other = Setup::new().login(registry.host(), "me", PASSWORD);
    let text = std::fs::read_to_string(other.directory.path().join(".docker/config.json")).unwrap();
    // It comes before the files.
    let mut setup = Setup::new().login(registry.host(), "me", "hunter2");
    setup.settings.options.docker_auth_config = Some(Secret::new(text));
    assert_eq!(
        setup.client().existence(&target).await.unwrap(),
        Existence::Missing
    );
    assert!(
        setup.reports.lines()[0].contains("DOCKER_AUTH_CONFIG"),
        "{:?}",
        setup.reports.lines()
    );
    assert!(!format!("{:?}", setup.settings).contains("auths"));
    // Hosts that it does not have are looked up in the files, also when it cannot be read.
    for text in [r#"{"auths": {"other.io": {"auth": "dTpw"}}}"#, "{hunter2"] {
        let mut setup = Setup::new().login(registry.host(), "me", PASSWORD);
        setup.settings.options.docker_auth_config = Some(Secret::new(text.to_owned()));
        assert_eq!(
            setup.client().existence(&target).await.unwrap(),
            Existence::Missing,
            "{text}"
        );
        assert_eq!(
            setup.reports.warnings().len(),
            usize::from(text.starts_with("{h")),
            "{:?}",
            setup.reports.lines()
        );
        assert!(!setup.reports.lines().concat().contains("hunter2"));
    }
}

#[tokio::test]
async fn named_podman_auth_file_must_be_valid_if_it_exists() {
    let registry = Registry::htpasswd("me", PASSWORD);
    let target = target(registry.host(), "acme/app", &images::key("a"));
    let mut setup = Setup::new().login(registry.host(), "me", PASSWORD);
    let named = setup.directory.path().join("auth.json");
    setup.settings.options.registry_auth_file = Some(named.clone());
    assert_eq!(
        setup.client().existence(&target).await.unwrap(),
        Existence::Missing
    );
    assert!(
        matches!(&setup.reports.warnings()[..], [one] if one.contains("REGISTRY_AUTH_FILE")),
        "{:?}",
        setup.reports.lines()
    );
    std::fs::write(&named, "{").unwrap();
    assert_error(
        setup.client().existence(&target).await,
        Code::CredentialsInvalid,
        &["auth.json", "is not a Docker config.json"],
    );
    std::fs::write(
        &named,
        serde_json::json!({ "auths": { registry.host(): { "auth": "?" } } }).to_string(),
    )
    .unwrap();
    assert_error(
        setup.client().existence(&target).await,
        Code::CredentialsInvalid,
        &["auth.json", "is not base64", registry.host()],
    );
}

#[tokio::test]
async fn registry_token_is_sent_unchanged() {
    let registry = FaultyRegistry::start(|request, _| {
        match (request.path.as_str(), request.header("authorization")) {
            ("/v2/", _) | (_, Some("Bearer from-the-file")) => None,
            _ => Some(
                Reply::status(401)
                    .with(
                        "WWW-Authenticate",
                        r#"Bearer realm="http://127.0.0.1:1/token""#,
                    )
                    .into(),
            ),
        }
    });
    let config =
        serde_json::json!({ "auths": { registry.host(): { "registrytoken": "from-the-file" } } });
    let setup = Setup::new().config(&config.to_string());
    let target = target(&registry.host(), "acme/app", &images::key("a"));
    assert_eq!(
        setup.client().existence(&target).await.unwrap(),
        Existence::Missing
    );
}

#[tokio::test]
async fn named_config_precedes_the_default_ones_and_must_exist() {
    let registry = Registry::htpasswd("me", PASSWORD);
    let mut setup = Setup::new().login(registry.host(), "me", PASSWORD);
    let target = target(registry.host(), "acme/app", &images::key("a"));
    let other = setup.directory.path().join("other.json");
    setup.settings.registry_config = Some(other.clone());
    assert_error(
        setup.client().existence(&target).await,
        Code::CredentialsInvalid,
        &["other.json", "registry-config"],
    );
    std::fs::rename(setup.directory.path().join(".docker/config.json"), &other).unwrap();
    setup = Setup {
        settings: setup.settings.clone(),
        ..setup
    }
    .config("{}");
    assert_eq!(
        setup.client().existence(&target).await.unwrap(),
        Existence::Missing
    );
}

#[tokio::test]
async fn credentials_are_not_sent_unencrypted_to_another_host() {
    let registry = FaultyRegistry::start(|request, _| {
        let challenge = r#"Bearer realm="http://token.example.com/token",service="x""#;
        request.path.contains("/manifests/").then(|| {
            Reply::status(401)
                .with("WWW-Authenticate", challenge)
                .into()
        })
    });
    let setup = Setup::new().login(&registry.host(), "me", PASSWORD);
    let target = target(&registry.host(), "acme/app", &images::key("a"));
    let refused = setup.client().existence(&target).await;
    assert_error(
        refused,
        Code::InsecureRealm,
        &[
            &registry.host(),
            "acme/app:v1",
            "token.example.com",
            "insecure-registries",
        ],
    );
}

#[tokio::test]
async fn errors_reports_and_debug_output_contain_no_password() {
    let encoded = {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.encode(format!("me:{PASSWORD}"))
    };
    // It repeats the request in every place that a client might print.
    let registry = FaultyRegistry::start(|request, _| {
        let login = request
            .header("authorization")
            .unwrap_or_default()
            .to_owned();
        match (request.path.as_str(), login.is_empty()) {
            ("/v2/", _) => None,
            (_, true) => Some(
                Reply::status(401)
                    .with("WWW-Authenticate", "Basic realm=x")
                    .into(),
            ),
            _ => Some(Reply::status(500).into()),
        }
    });
    let setup = Setup::new().login(&registry.host(), "me", PASSWORD);
    let (client, target) = (
        setup.client(),
        target(&registry.host(), "acme/app", &images::key("a")),
    );
    let error = client.existence(&target).await.unwrap_err();
    let printed = format!(
        "{error:?} {error} {:?} {} {client:?} {:?} {:?}",
        error.chain(),
        error.advice(),
        setup.reports.lines(),
        setup.settings
    );
    for secret in [PASSWORD, &encoded] {
        assert!(!printed.contains(secret), "{printed}");
    }
    assert!(
        registry
            .seen()
            .iter()
            .any(|seen| seen.request.header("authorization") == Some(&format!("Basic {encoded}"))),
        "it was never sent"
    );
}

/// A registry behind a token server that always gives this response.
fn with_token_answer(status: u16, body: &'static str) -> FaultyRegistry {
    FaultyRegistry::start(move |request, _| {
        if request.path == "/token" {
            return Some(Reply::status(status).body(body).into());
        }
        let challenge = format!(
            r#"Bearer realm="http://{}/token",service="",scope="""#,
            request.header("host").unwrap_or_default()
        );
        let allowed = request.header("authorization") == Some("Bearer T");
        (request.path != "/v2/" && !allowed).then(|| {
            Reply::status(401)
                .with("WWW-Authenticate", challenge)
                .into()
        })
    })
}

#[tokio::test]
async fn token_is_read_from_every_response_form_of_docker() {
    for body in [
        r#"{"token":"","access_token":"T"}"#,
        r#"{"token":null,"access_token":"T","expires_in":null,"issued_at":null}"#,
        r#"{"token":"T","expires_in":-5}"#,
        r#"{"token":"T","expires_in":"300"}"#,
        r#"{"token":"T","expires_in":299.5,"refresh_token":7}"#,
        "{\"Token\":\"T\\n\"}\n",
    ] {
        let registry = with_token_answer(200, body);
        let target = target(&registry.host(), "acme/app", &images::key("a"));
        assert_eq!(
            Setup::new().client().existence(&target).await.unwrap(),
            Existence::Missing,
            "{body}"
        );
    }
}

#[tokio::test]
async fn token_response_without_a_token_is_an_error_without_its_text() {
    for (status, body, code) in [
        (
            200,
            r#"{"token":"","access_token":""}"#,
            Code::RegistryInvalid,
        ),
        (
            200,
            r#"{"token":7,"password":"correct-horse-battery"}"#,
            Code::RegistryInvalid,
        ),
        (
            200,
            r#"{"token":"correct-horse-battery\u0000"}"#,
            Code::RegistryInvalid,
        ),
        (200, r#"["correct-horse-battery"]"#, Code::RegistryInvalid),
        (
            200,
            r#"{"token":"correct-horse-battery"#,
            Code::RegistryInvalid,
        ),
        (
            200,
            "<html>correct-horse-battery</html>",
            Code::RegistryInvalid,
        ),
        (200, "", Code::RegistryInvalid),
        (204, "", Code::RegistryInvalid),
        (404, r#"{"token":"T"}"#, Code::RegistryInvalid),
        (
            401,
            r#"{"details":"correct-horse-battery"}"#,
            Code::RegistryDenied,
        ),
        (500, "correct-horse-battery", Code::RegistryFailed),
    ] {
        let registry = with_token_answer(status, body);
        let setup = Setup::new().login(&registry.host(), "me", PASSWORD);
        let target = target(&registry.host(), "acme/app", &images::key("a"));
        let error = setup.client().existence(&target).await.unwrap_err();
        let text = format!(
            "{error:?} {} {} {:?}",
            error.chain().join(": "),
            error.advice(),
            setup.reports.lines()
        );
        assert_eq!(error.code(), code, "{status} {body}: {text}");
        assert!(
            text.contains(&registry.host()) && text.contains("token server"),
            "{status} {body}: {text}"
        );
        assert!(!text.contains(PASSWORD), "{text}");
    }
}
