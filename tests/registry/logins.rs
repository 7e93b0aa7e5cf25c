//! Who the user is: passwords, tokens, helpers, and that nothing of them shows.

use cargo_union::image::layer::{Blob, Content, Layer};
use cargo_union::publish::{Existence, Publisher as _, Way};
use union_build::diag::Code;
use union_tests::hostile::{Hostile, Reply};
use union_tests::registry::Registry;
use union_tests::token::IDENTITY;

use crate::images;
use crate::world::{World, assert_error, repository, target};

const PASSWORD: &str = "correct-horse-battery";

#[tokio::test]
async fn the_right_password_is_taken_from_dockers_file_and_the_file_is_told() {
    let registry = Registry::htpasswd("me", PASSWORD);
    let (world, key) = (World::new().login(registry.host(), "me", PASSWORD), images::key("a"));
    let (client, target) = (world.client(), target(registry.host(), "acme/app", &key));
    assert_eq!(client.existence(&target).await.unwrap(), Existence::Missing);
    client.publish(&target, &images::of_text(&key, "hello"), false).await.unwrap();
    let told = world.told.lines();
    let sources: Vec<&String> = told.iter().filter(|line| line.starts_with(registry.host())).collect();
    assert!(matches!(sources[..], [one] if one.contains(".docker/config.json")), "{told:?}");
}

#[tokio::test]
async fn a_wrong_password_and_none_are_denied_with_the_cure() {
    let registry = Registry::htpasswd("me", PASSWORD);
    let target = target(registry.host(), "acme/app", &images::key("a"));
    let cure = format!("docker login {}", registry.host());
    let wrong = World::new().login(registry.host(), "me", "hunter2");
    assert_error(
        wrong.client().existence(&target).await,
        Code::RegistryDenied,
        &[registry.host(), "acme/app:v1", "401", &cure, "config.json"],
    );
    assert_error(wrong.client().prepare(&target).await, Code::RegistryDenied, &[registry.host(), "acme/app", &cure]);
    let none = World::new().client().existence(&target).await;
    assert_error(none, Code::RegistryDenied, &[registry.host(), "UNAUTHORIZED", "No login", &cure]);
}

#[tokio::test]
async fn a_token_is_asked_for_with_the_password() {
    let registry = Registry::token("me", PASSWORD);
    let (world, key) = (World::new().login(registry.host(), "me", PASSWORD), images::key("a"));
    let (client, target) = (world.client(), target(registry.host(), "acme/app", &key));
    assert_eq!(client.existence(&target).await.unwrap(), Existence::Missing);
    let published = client.publish(&target, &images::of_text(&key, "hello"), false).await.unwrap();
    assert_eq!(client.existence(&target).await.unwrap(), Existence::Found(published.digest));
    // One to read and one to write, however many requests there were.
    assert_eq!(registry.tokens().asked(), [["repository:acme/app:pull"], ["repository:acme/app:pull,push"]]);
}

#[tokio::test]
async fn an_identity_token_is_exchanged() {
    let registry = Registry::token("me", PASSWORD);
    let config = serde_json::json!({ "auths": { registry.host(): { "identitytoken": IDENTITY } } });
    let (world, key) = (World::new().config(&config.to_string()), images::key("a"));
    let target = target(registry.host(), "acme/app", &key);
    world.client().publish(&target, &images::of_text(&key, "hello"), false).await.unwrap();
}

#[tokio::test]
async fn without_a_login_a_token_allows_nothing_and_a_wrong_one_is_refused() {
    let registry = Registry::token("me", PASSWORD);
    let target = target(registry.host(), "acme/app", &images::key("a"));
    assert_error(World::new().client().existence(&target).await, Code::RegistryDenied, &[registry.host(), "acme/app:v1", "No login"]);
    let wrong = World::new().login(registry.host(), "me", "hunter2").client().existence(&target).await;
    assert_error(wrong, Code::RegistryDenied, &[&registry.tokens().host(), "acme/app:v1", "config.json"]);
}

#[tokio::test]
async fn a_mount_asks_for_both_repositories_and_nothing_else_does() {
    let registry = Registry::token("me", PASSWORD);
    let (world, key) = (World::new().login(registry.host(), "me", PASSWORD), images::key("a"));
    let base = images::layer("base");
    let pushed = images::single(&key, "linux/amd64", vec![base.clone()]);
    world.client().publish(&target(registry.host(), "base", &key), &pushed, false).await.unwrap();
    let remote = Blob { content: Content::Remote(repository(registry.host(), "base")), ..base.blob.clone() };
    let image = images::single(&key, "linux/amd64", vec![Layer { blob: remote, ..base.clone() }]);
    world.client().publish(&target(registry.host(), "acme/app", &key), &image, false).await.unwrap();
    assert!(world.told.has(Way::Mount, base.blob.descriptor.digest), "{:?}", world.told.lines());
    let asked = registry.tokens().asked();
    let mounts: Vec<_> = asked.iter().filter(|scopes| scopes.len() > 1).collect();
    assert_eq!(mounts, [&["repository:acme/app:pull,push".to_owned(), "repository:base:pull".to_owned()]]);
}

#[tokio::test]
async fn a_helper_serves_its_host() {
    let registry = Registry::htpasswd("me", PASSWORD);
    let config = serde_json::json!({ "credHelpers": { registry.host(): "test" } });
    let mut world = World::new().config(&config.to_string());
    let helper = world.folder.path().join("docker-credential-test");
    let script =
        format!(r#"printf '#!/bin/sh\necho "{{\\"Username\\":\\"me\\",\\"Secret\\":\\"{PASSWORD}\\"}}"\n' > "$1" && chmod +x "$1""#);
    let written = tokio::process::Command::new("sh").args(["-c", &script, "sh"]).arg(&helper).status().await.unwrap();
    assert!(written.success());
    world.settings.surroundings.helper_path = Some(format!("{}:/usr/bin:/bin", world.folder.path().display()).into());
    let target = target(registry.host(), "acme/app", &images::key("a"));
    assert_eq!(world.client().existence(&target).await.unwrap(), Existence::Missing);
    assert!(world.told.lines()[0].contains("docker-credential-test"), "{:?}", world.told.lines());
}

#[tokio::test]
async fn another_config_comes_before_the_usual_ones_and_has_to_be_there() {
    let registry = Registry::htpasswd("me", PASSWORD);
    let mut world = World::new().login(registry.host(), "me", PASSWORD);
    let target = target(registry.host(), "acme/app", &images::key("a"));
    let other = world.folder.path().join("other.json");
    world.settings.registry_config = Some(other.clone());
    assert_error(world.client().existence(&target).await, Code::CredentialsInvalid, &["other.json", "registry-config"]);
    std::fs::rename(world.folder.path().join(".docker/config.json"), &other).unwrap();
    world = World { settings: world.settings.clone(), ..world }.config("{}");
    assert_eq!(world.client().existence(&target).await.unwrap(), Existence::Missing);
}

#[tokio::test]
async fn a_login_is_not_sent_without_encryption_to_another_machine() {
    let registry = Hostile::start(|request, _| {
        let challenge = r#"Bearer realm="http://token.example.com/token",service="x""#;
        request.path.contains("/manifests/").then(|| Reply::status(401).with("WWW-Authenticate", challenge).into())
    });
    let world = World::new().login(&registry.host(), "me", PASSWORD);
    let target = target(&registry.host(), "acme/app", &images::key("a"));
    let refused = world.client().existence(&target).await;
    assert_error(refused, Code::InsecureRealm, &[&registry.host(), "acme/app:v1", "token.example.com", "insecure-registries"]);
}

#[tokio::test]
async fn no_secret_is_in_any_error_any_report_or_any_debug_print() {
    let encoded = {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.encode(format!("me:{PASSWORD}"))
    };
    // It repeats what it is sent, wherever a careless client would print it.
    let registry = Hostile::start(|request, _| {
        let login = request.header("authorization").unwrap_or_default().to_owned();
        match (request.path.as_str(), login.is_empty()) {
            ("/v2/", _) => None,
            (_, true) => Some(Reply::status(401).with("WWW-Authenticate", "Basic realm=x").into()),
            _ => Some(Reply::status(500).into()),
        }
    });
    let world = World::new().login(&registry.host(), "me", PASSWORD);
    let (client, target) = (world.client(), target(&registry.host(), "acme/app", &images::key("a")));
    let error = client.existence(&target).await.unwrap_err();
    let printed =
        format!("{error:?} {error} {:?} {} {client:?} {:?} {:?}", error.chain(), error.advice(), world.told.lines(), world.settings);
    for secret in [PASSWORD, &encoded] {
        assert!(!printed.contains(secret), "{printed}");
    }
    assert!(
        registry.seen().iter().any(|seen| seen.request.header("authorization") == Some(&format!("Basic {encoded}"))),
        "it was never sent"
    );
}

/// A registry behind a token server that always gives this answer.
fn with_token_answer(status: u16, body: &'static str) -> Hostile {
    Hostile::start(move |request, _| {
        if request.path == "/token" {
            return Some(Reply::status(status).body(body).into());
        }
        let challenge = format!(r#"Bearer realm="http://{}/token",service="",scope="""#, request.header("host").unwrap_or_default());
        let allowed = request.header("authorization") == Some("Bearer T");
        (request.path != "/v2/" && !allowed).then(|| Reply::status(401).with("WWW-Authenticate", challenge).into())
    })
}

#[tokio::test]
async fn a_token_is_taken_from_every_form_of_answer_that_docker_takes() {
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
        assert_eq!(World::new().client().existence(&target).await.unwrap(), Existence::Missing, "{body}");
    }
}

#[tokio::test]
async fn an_answer_without_a_usable_token_is_an_error_that_shows_nothing_of_it() {
    for (status, body, code) in [
        (200, r#"{"token":"","access_token":""}"#, Code::RegistryInvalid),
        (200, r#"{"token":7,"password":"correct-horse-battery"}"#, Code::RegistryInvalid),
        (200, r#"{"token":"correct-horse-battery\u0000"}"#, Code::RegistryInvalid),
        (200, r#"["correct-horse-battery"]"#, Code::RegistryInvalid),
        (200, r#"{"token":"correct-horse-battery"#, Code::RegistryInvalid),
        (200, "<html>correct-horse-battery</html>", Code::RegistryInvalid),
        (200, "", Code::RegistryInvalid),
        (204, "", Code::RegistryInvalid),
        (404, r#"{"token":"T"}"#, Code::RegistryInvalid),
        (401, r#"{"details":"correct-horse-battery"}"#, Code::RegistryDenied),
        (500, "correct-horse-battery", Code::RegistryFailed),
    ] {
        let registry = with_token_answer(status, body);
        let world = World::new().login(&registry.host(), "me", PASSWORD);
        let target = target(&registry.host(), "acme/app", &images::key("a"));
        let error = world.client().existence(&target).await.unwrap_err();
        let text = format!("{error:?} {} {} {:?}", error.chain().join(": "), error.advice(), world.told.lines());
        assert_eq!(error.code(), code, "{status} {body}: {text}");
        assert!(text.contains(&registry.host()) && text.contains("token server"), "{status} {body}: {text}");
        assert!(!text.contains(PASSWORD), "{text}");
    }
}
