//! Login flows: when a token is requested, how often, with which credentials, and that no secret is shown.

use cargo_union::flyte::idl::auth::UserInfoRequest;
use futures_util::StreamExt as _;
use futures_util::future::join_all;
use union_build::diag::Code;
use union_tests::backend::{
    Backend, CLIENT, Reply, SECRET, answer, denial, frame, message, refusal, stream,
};

use crate::setup::{Setup, WATCH, assert_failure};

/// A client with a secret in a variable.
fn robot(backend: &Backend) -> Setup {
    Setup::of(backend)
        .env("FLYTE_ADMIN_CLIENTID", CLIENT)
        .env("FLYTE_ADMIN_CLIENTSECRETENVVAR", "MY_SECRET")
        .env("MY_SECRET", SECRET)
}

#[tokio::test]
async fn client_secret_gives_a_token_on_demand() {
    let backend = Backend::without_faults();
    let client = robot(&backend).client();
    assert_eq!(
        client.user().await.unwrap().subject.as_deref(),
        Some("0oa1")
    );
    client.user().await.unwrap();
    let mut order = backend.order();
    order[1..3].sort();
    assert_eq!(
        order,
        [
            "UserInfo",
            "GetOAuth2Metadata",
            "GetPublicClientConfig",
            "token",
            "UserInfo",
            "UserInfo"
        ]
    );
    let form = &backend.calls("/token")[0];
    let fields = ["grant_type", "scope", "audience", "client_id"].map(|name| form.field(name));
    assert_eq!(
        fields,
        [
            Some("client_credentials".to_owned()),
            Some("all offline".to_owned()),
            Some("aud".to_owned()),
            None
        ]
    );
    let anonymous = backend.calls("GetOAuth2Metadata");
    assert_eq!(anonymous[0].request.header("authorization"), None);
}

#[tokio::test]
async fn client_secret_file_drops_its_last_newline() {
    let backend = Backend::without_faults();
    let setup = Setup::of(&backend)
        .env("FLYTE_ADMIN_CLIENTID", CLIENT)
        .env("FLYTE_ADMIN_CLIENTSECRETLOCATION", "secret");
    assert_failure(
        setup.client().user().await,
        Code::FileUnreadable,
        &["secret"],
    );
    std::fs::write(setup.home.path().join("secret"), format!("{SECRET}\n")).unwrap();
    setup.client().user().await.unwrap();
}

#[tokio::test]
async fn concurrent_calls_share_one_login_and_one_failure() {
    let backend = Backend::without_faults();
    let client = robot(&backend).client();
    for result in join_all((0..20).map(|_| client.user())).await {
        result.unwrap();
    }
    assert_eq!(backend.calls("/token").len(), 1);
    // Calls are possible on any thread.
    let spawned =
        tokio::spawn(async move { client.stream(WATCH, &UserInfoRequest {}).await.map(drop) });
    spawned.await.unwrap().unwrap_err();
    let backend = Backend::without_faults();
    let client = robot(&backend).env("MY_SECRET", "hunter2").client();
    for result in join_all((0..20).map(|_| client.user())).await {
        assert_failure(
            result,
            Code::LoginFailed,
            &["invalid_client", CLIENT, "FLYTE_ADMIN_CLIENTID"],
        );
    }
    assert_eq!(backend.calls("/token").len(), 1);
}

#[tokio::test]
async fn refused_token_is_replaced_once() {
    let backend = Backend::without_faults();
    let client = robot(&backend).client();
    client.user().await.unwrap();
    backend.memory().revoke();
    client.user().await.unwrap();
    assert_eq!(backend.calls("/token").len(), 2);
    // It issues tokens and does not require them.
    let backend = Backend::secure(|call, _| {
        call.is("UserInfo")
            .then(|| refusal(401, "unauthenticated", "token expired"))
    });
    let failed = robot(&backend).client().user().await;
    assert_failure(
        failed,
        Code::LoginRefused,
        &[&backend.host(), "token expired", "cargo union login"],
    );
    assert_eq!(backend.calls("UserInfo").len(), 2);
    assert_eq!(backend.calls("/token").len(), 1);
}

#[tokio::test]
async fn permission_denied_starts_a_login_only_without_a_token() {
    let backend = Backend::secure(|call, memory| {
        let anonymous = call.request.header("authorization").is_none();
        (call.is("UserInfo") && (anonymous || memory.seen.len() > 6))
            .then(|| refusal(403, "permission_denied", "not for you"))
    });
    let client = robot(&backend).client();
    client.user().await.unwrap();
    client.user().await.unwrap();
    assert_failure(client.user().await, Code::BackendDenied, &["not for you"]);
    assert_eq!(backend.calls("/token").len(), 1);
}

#[tokio::test]
async fn other_errors_start_no_login() {
    let backend = Backend::secure(|_, _| Some(refusal(500, "unknown", "task not found")));
    assert_failure(
        robot(&backend).client().user().await,
        Code::BackendFailed,
        &["task not found"],
    );
    assert_eq!(backend.order(), ["UserInfo"]);
}

#[tokio::test]
async fn stream_is_reopened_after_the_login() {
    let backend = Backend::secure(|call, _| {
        let token = call.request.header("authorization").is_some();
        call.is("Watch").then(|| match token {
            true => stream(&[frame(0, b""), frame(2, b"{}")]),
            false => stream(&[frame(
                2,
                br#"{"error":{"code":"unauthenticated","message":"no token"}}"#,
            )]),
        })
    });
    let messages = robot(&backend)
        .client()
        .stream(WATCH, &UserInfoRequest {})
        .await
        .unwrap();
    assert_eq!(messages.count().await, 1);
    let watched = backend.calls("Watch");
    assert_eq!(watched.len(), 2);
    assert_eq!(
        watched[0].request.header("x-request-id"),
        watched[1].request.header("x-request-id")
    );
}

#[tokio::test]
async fn token_header_is_set_by_the_backend() {
    let backend = Backend::without_faults();
    backend.memory().header = "flyte-authorization".to_owned();
    robot(&backend).client().user().await.unwrap();
    let last = backend.calls("UserInfo").pop().unwrap();
    assert_eq!(
        last.request.header("flyte-authorization"),
        Some("Bearer access-token-1")
    );
    assert_eq!(last.request.header("authorization"), None);
}

#[tokio::test]
async fn scopes_of_the_config_precede_those_of_the_backend() {
    let backend = Backend::without_faults();
    robot(&backend)
        .env("FLYTE_ADMIN_SCOPES", "openid,offline_access")
        .client()
        .user()
        .await
        .unwrap();
    assert_eq!(
        backend.calls("/token")[0].field("scope").as_deref(),
        Some("openid offline_access")
    );
}

#[tokio::test]
async fn token_command_needs_no_auth_metadata() {
    let backend = Backend::without_faults();
    let (token, _) = backend.memory().issue();
    let command = format!("/bin/sh -c 'echo {token}'");
    let setup = Setup::of(&backend)
        .env("FLYTE_AUTH_TYPE", "ExternalCommand")
        .env("FLYTE_AUTH_COMMAND", &command);
    setup.client().user().await.unwrap();
    assert_eq!(backend.order(), ["UserInfo", "UserInfo"]);
    let failing = setup.env(
        "FLYTE_AUTH_COMMAND",
        "/bin/sh -c 'echo the vault is sealed >&2; exit 1'",
    );
    assert_failure(
        failing.client().user().await,
        Code::TokenCommandFailed,
        &["admin.command", "the vault is sealed"],
    );
}

#[tokio::test]
async fn proxy_has_its_own_token() {
    let backend = Backend::secure(|call, _| {
        let shown = call.request.header("proxy-authorization") == Some("Bearer proxy-token");
        (!shown).then(|| Reply::status(407))
    });
    let setup = robot(&backend).env("FLYTE_AUTH_PROXY_COMMAND", "echo proxy-token");
    setup.client().user().await.unwrap();
    // A proxy before the backend requires it for every request.
    assert_eq!(backend.order().len(), 5, "{:?}", backend.order());
}

#[tokio::test]
async fn proxy_token_is_sent_to_no_other_server() {
    let tokens = Backend::without_faults();
    let metadata = message(&[(3, &format!("{}/oauth/token", tokens.url()))]);
    let backend = Backend::secure(move |call, _| {
        call.is("GetOAuth2Metadata")
            .then(|| answer(metadata.clone()))
    });
    let setup = Setup::at(&backend.url())
        .env("FLYTE_ADMIN_INSECURESKIPVERIFY", "true")
        .env("MY_SECRET", SECRET);
    let setup = setup
        .env("FLYTE_ADMIN_CLIENTID", CLIENT)
        .env("FLYTE_ADMIN_CLIENTSECRETENVVAR", "MY_SECRET");
    setup
        .env("FLYTE_AUTH_PROXY_COMMAND", "echo proxy-token")
        .client()
        .user()
        .await
        .unwrap_err();
    assert_eq!(
        tokens.calls("/token")[0]
            .request
            .header("proxy-authorization"),
        None
    );
    assert_eq!(
        backend.calls("GetOAuth2Metadata")[0]
            .request
            .header("proxy-authorization"),
        Some("Bearer proxy-token")
    );
}

#[tokio::test]
async fn login_uses_only_the_configured_token_server() {
    let other = Backend::without_faults();
    let to = format!("{}/oauth/token", other.url());
    let backend = Backend::secure(move |call, _| {
        call.is("token")
            .then(|| Reply::status(307).with("Location", to.clone()))
    });
    let setup = robot(&backend).env("FLYTE_ADMIN_INSECURESKIPVERIFY", "true");
    assert_failure(
        setup.client().user().await,
        Code::LoginFailed,
        &[&backend.host(), "307"],
    );
    assert!(other.order().is_empty(), "the secret went on");
}

#[tokio::test]
async fn stored_token_is_used_and_refreshed_without_the_user() {
    let backend = Backend::without_faults();
    let (access, refresh) = backend.memory().issue();
    let mut setup = Setup::of(&backend).with_tokens(&backend, &access, &refresh);
    setup.interactive = false;
    setup.client().user().await.unwrap();
    assert_eq!(
        backend.order(),
        ["UserInfo"],
        "the token that was kept still counts"
    );
    backend.memory().accepted.clear();
    setup.client().user().await.unwrap();
    let form = &backend.calls("/token")[0];
    assert_eq!(
        (
            form.field("grant_type").as_deref(),
            form.field("client_id").as_deref()
        ),
        (Some("refresh_token"), Some("cli"))
    );
    // The new ones are stored.
    setup.client().user().await.unwrap();
    assert_eq!(backend.calls("/token").len(), 1);
}

#[tokio::test]
async fn client_secret_leaves_the_stored_login_unchanged() {
    let backend = Backend::without_faults();
    let (access, refresh) = backend.memory().issue();
    robot(&backend)
        .with_tokens(&backend, &access, &refresh)
        .client()
        .user()
        .await
        .unwrap();
    assert_eq!(
        backend.calls("UserInfo")[0].request.header("authorization"),
        None
    );
    assert_eq!(
        backend.calls("/token")[0].field("grant_type").as_deref(),
        Some("client_credentials")
    );
}

#[tokio::test]
async fn unrefreshable_token_is_deleted_and_a_login_required() {
    let backend = Backend::without_faults();
    let mut setup = Setup::of(&backend).with_tokens(&backend, "old", "revoked");
    setup.interactive = false;
    let failed = setup.client().user().await;
    assert_failure(
        failed,
        Code::LoginNeeded,
        &[
            &backend.host(),
            "cargo union login",
            "no token, or none that is known",
        ],
    );
    assert!(
        !setup.client().log_out().await.unwrap(),
        "there is still something"
    );
}

#[tokio::test]
async fn token_stored_by_another_process_is_used() {
    let backend = Backend::without_faults();
    backend.memory().accepted.insert("old".to_owned());
    let mut setup = Setup::of(&backend).with_tokens(&backend, "old", "revoked");
    setup.interactive = false;
    let client = setup.client();
    client.user().await.unwrap();
    backend.memory().accepted.clear();
    let (access, refresh) = backend.memory().issue();
    let _setup = setup.with_tokens(&backend, &access, &refresh);
    client.user().await.unwrap();
    assert!(
        backend.calls("/token").is_empty(),
        "nothing had to be renewed"
    );
}

#[tokio::test]
async fn two_processes_refresh_a_token_once() {
    let backend = Backend::without_faults();
    let (access, refresh) = backend.memory().issue();
    let mut setup = Setup::of(&backend).with_tokens(&backend, &access, &refresh);
    setup.interactive = false;
    let (one, other) = (setup.client(), setup.client());
    backend.memory().accepted.clear();
    let (first, second) = tokio::join!(one.user(), other.user());
    assert!(first.is_ok() && second.is_ok(), "{first:?} {second:?}");
    assert_eq!(backend.calls("/token").len(), 1);
    setup.client().user().await.unwrap();
    assert_eq!(backend.calls("/token").len(), 1, "the new login is kept");
}

#[tokio::test]
async fn token_stored_during_a_refused_refresh_is_used_and_kept() {
    // The Python SDK takes no lock: it has used the refresh token just before.
    let other = std::sync::Arc::new(std::sync::Mutex::new(None::<std::path::PathBuf>));
    let theirs = other.clone();
    let backend = Backend::secure(move |call, memory| {
        let file = call.is("token").then(|| theirs.lock().unwrap().take())??;
        let (access, refresh) = memory.issue();
        std::fs::write(
            file,
            serde_json::json!({ "access_token": access, "refresh_token": refresh }).to_string(),
        )
        .unwrap();
        Some(denial("invalid_grant"))
    });
    let mut setup = Setup::of(&backend).with_tokens(&backend, "old", "used");
    setup.interactive = false;
    let client = setup.client();
    let file = setup
        .home
        .path()
        .join(".local/state/cargo-union/logins")
        .join(format!("{}.json", backend.host().replace(':', "_")));
    *other.lock().unwrap() = Some(file);
    client.user().await.unwrap();
    assert!(
        setup.client().log_out().await.unwrap(),
        "the login of the other process was forgotten"
    );
}

#[tokio::test]
async fn failed_refresh_deletes_no_token_unless_it_is_final() {
    for error in [
        "temporarily_unavailable",
        "invalid_client",
        "unauthorized_client",
        "anything",
    ] {
        let backend = Backend::secure(move |call, _| call.is("token").then(|| denial(error)));
        let mut setup = Setup::of(&backend).with_tokens(&backend, "old", "good");
        setup.interactive = false;
        assert_failure(setup.client().user().await, Code::LoginFailed, &[error]);
        assert!(
            setup.client().log_out().await.unwrap(),
            "{error}: the login was forgotten"
        );
    }
    let backend =
        Backend::secure(|call, _| call.is("token").then(|| Reply::status(404).body("<html>")));
    let mut setup = Setup::of(&backend).with_tokens(&backend, "old", "good");
    setup.interactive = false;
    assert_failure(setup.client().user().await, Code::LoginFailed, &["404"]);
    assert!(
        setup.client().log_out().await.unwrap(),
        "the login was forgotten"
    );
}

#[tokio::test]
async fn unencrypted_token_server_is_refused() {
    let metadata = message(&[(3, "http://token.example.test/token")]);
    let backend = Backend::secure(move |call, _| {
        call.is("GetOAuth2Metadata")
            .then(|| answer(metadata.clone()))
    });
    let failed = robot(&backend).client().user().await;
    assert_failure(
        failed,
        Code::LoginUnencrypted,
        &[&backend.host(), "token.example.test"],
    );
}

#[tokio::test]
async fn missing_auth_metadata_is_reported() {
    let backend = Backend::secure(|call, _| {
        let metadata = call.is("GetOAuth2Metadata") || call.is("GetPublicClientConfig");
        metadata.then(|| refusal(501, "unimplemented", "not here"))
    });
    assert_failure(
        robot(&backend).client().user().await,
        Code::LoginFailed,
        &[&backend.host(), "does not name an authorization server"],
    );
}

#[tokio::test]
async fn incomplete_auth_config_names_the_missing_key() {
    let backend = Backend::without_faults();
    let kind = |kind: &str| Setup::of(&backend).env("FLYTE_AUTH_TYPE", kind);
    for (setup, words) in [
        (kind("ClientSecret"), "admin.clientId"),
        (
            kind("ClientSecret").env("FLYTE_ADMIN_CLIENTID", "x"),
            "admin.clientSecretEnvVar",
        ),
        (
            kind("ClientSecret")
                .env("FLYTE_ADMIN_CLIENTID", "x")
                .env("FLYTE_ADMIN_CLIENTSECRETENVVAR", "MY_SECRET"),
            "MY_SECRET",
        ),
        (kind("ExternalCommand"), "admin.command"),
        (kind("Passthrough"), "DeviceFlow"),
    ] {
        assert_failure(setup.client().user().await, Code::LoginIncomplete, &[words]);
    }
}

#[tokio::test]
async fn token_request_is_retried_and_invalid_tokens_are_refused() {
    let backend = Backend::secure(|call, memory| {
        let first = memory.seen.iter().filter(|call| call.is("token")).count() == 1;
        (call.is("token") && first).then(|| Reply::status(502))
    });
    robot(&backend).client().user().await.unwrap();
    assert_eq!(backend.calls("/token").len(), 2);
    for lie in [
        r#"{"access_token": 5, "x": "hunter2"}"#,
        r#"{"access_token": "two words"}"#,
        "<html>",
    ] {
        let backend =
            Backend::secure(move |call, _| call.is("token").then(|| Reply::status(200).body(lie)));
        let failed = robot(&backend).client().user().await;
        assert_failure(
            failed,
            Code::BackendInvalid,
            &["a response without a token"],
        );
    }
}

#[tokio::test]
async fn later_call_logs_in_after_a_failed_login() {
    let backend = Backend::secure(|call, memory| {
        let asked = memory.seen.iter().filter(|call| call.is("token")).count();
        (call.is("token") && asked <= 3).then(|| Reply::status(503))
    });
    let client = robot(&backend).client();
    assert_failure(client.user().await, Code::LoginFailed, &["503"]);
    client.user().await.unwrap();
}

#[tokio::test]
async fn errors_reports_and_debug_output_contain_no_secret() {
    // It repeats the request in every place that a client might print.
    let backend = Backend::secure(|call, _| {
        let reported = format!(
            "{} {}",
            call.request.header("authorization").unwrap_or_default(),
            String::from_utf8_lossy(&call.body)
        );
        call.is("token").then(|| Reply::status(400).body(reported))
    });
    let setup = robot(&backend);
    let client = setup.client();
    let failure = client.user().await.unwrap_err();
    let printed = format!(
        "{failure:?} {client:?} {:?} {:?}",
        setup.reports.lines(),
        setup.config()
    );
    let sent = backend.calls("/token")[0]
        .request
        .header("authorization")
        .unwrap()
        .to_owned();
    for secret in [SECRET, sent.trim_start_matches("Basic ")] {
        assert!(!printed.contains(secret), "{printed}");
    }
}
