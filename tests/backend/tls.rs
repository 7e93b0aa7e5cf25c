//! Trusted certificates, and peers of which only one uses TLS.

use std::path::PathBuf;

use cargo_union::flyte::files::{StoreReader, StoreSettings};
use cargo_union::flyte::idl::auth::UserInfoRequest;
use union_build::diag::Code;
use union_tests::backend::{Backend, Reply, answer};
use union_tests::proxy::Proxy;
use union_tests::tls::Authority;

use crate::setup::{READ, Setup, assert_failure};

fn accepting_backend() -> Backend {
    Backend::secure(|_, _| Some(answer(Vec::new())))
}

#[tokio::test]
async fn ca_of_the_config_replaces_all_others() {
    let (backend, other) = (accepting_backend(), accepting_backend());
    Setup::of(&backend)
        .client()
        .unary(READ, &UserInfoRequest {})
        .await
        .unwrap();
    let named =
        Setup::at(&backend.url()).env("SSL_CERT_FILE", backend.certificate().to_str().unwrap());
    named
        .client()
        .unary(READ, &UserInfoRequest {})
        .await
        .unwrap();
    let both = named.env(
        "FLYTE_ADMIN_CACERTFILEPATH",
        other.certificate().to_str().unwrap(),
    );
    assert_failure(
        both.client().unary(READ, &UserInfoRequest {}).await,
        Code::BackendUntrusted,
        &[&backend.host(), "certificate"],
    );
}

#[tokio::test]
async fn untrusted_ca_is_refused_without_retry() {
    let backend = accepting_backend();
    let setup = Setup::at(&backend.url());
    let failed = setup.client().unary(READ, &UserInfoRequest {}).await;
    assert_failure(
        failed,
        Code::BackendUntrusted,
        &[&backend.host(), "UnknownIssuer", "admin.caCertFilePath"],
    );
    assert!(setup.reports.lines().is_empty());
}

#[tokio::test]
async fn skip_verify_applies_unless_a_ca_is_named() {
    let backend = accepting_backend();
    let lax = Setup::at(&backend.url()).env("FLYTE_ADMIN_INSECURESKIPVERIFY", "true");
    lax.client().unary(READ, &UserInfoRequest {}).await.unwrap();
    let other = Authority::new();
    let named = |authority: PathBuf| {
        let lax = Setup::at(&backend.url()).env("FLYTE_ADMIN_INSECURESKIPVERIFY", "true");
        lax.env("FLYTE_ADMIN_CACERTFILEPATH", authority.to_str().unwrap())
            .client()
    };
    assert_failure(
        named(other.certificate())
            .unary(READ, &UserInfoRequest {})
            .await,
        Code::BackendUntrusted,
        &[&backend.host(), "certificate"],
    );
    named(backend.certificate())
        .unary(READ, &UserInfoRequest {})
        .await
        .unwrap();
}

#[tokio::test]
async fn named_ca_verifies_the_store_even_with_skip_verify() {
    let store = Backend::secure(|_, _| Some(Reply::status(200).body("content")));
    let backend = accepting_backend();
    let directory = tempfile::tempdir().unwrap();
    let fetch = async |authority: Option<PathBuf>, name: &str| {
        let mut setup = Setup::at(&backend.url()).env("FLYTE_ADMIN_INSECURESKIPVERIFY", "true");
        if let Some(authority) = authority {
            setup = setup.env("FLYTE_ADMIN_CACERTFILEPATH", authority.to_str().unwrap());
        }
        let settings = StoreSettings::of(&setup.environment).unwrap();
        let client = setup.client();
        let address = format!("{}/bucket/key", store.url());
        let to = directory.path().join(name);
        let fetched = StoreReader::new(&client, settings)
            .fetch_file(&address, &to)
            .await;
        assert_eq!(fetched.is_ok(), to.exists());
        fetched
    };
    fetch(None, "lax").await.unwrap();
    fetch(Some(store.certificate()), "own").await.unwrap();
    let seen = store.calls("").len();
    let refused = fetch(Some(backend.certificate()), "other")
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::BackendUntrusted, "{refused}");
    let chain = refused.chain().join(": ");
    assert!(
        chain.contains(&store.host()) && chain.contains("certificate"),
        "{chain}"
    );
    assert_eq!(store.calls("").len(), seen);
}

#[tokio::test]
async fn unencrypted_backend_is_told_apart_from_tls() {
    let plain = Backend::plain(|_, _| Some(answer(Vec::new())));
    let setup = Setup::at(&format!("https://{}", plain.host()));
    let failed = setup.client().unary(READ, &UserInfoRequest {}).await;
    assert_failure(
        failed,
        Code::BackendUntrusted,
        &[
            "does not use TLS",
            &format!("http://{}", plain.host()),
            "admin.insecure",
        ],
    );
    let secure = accepting_backend();
    let setup = Setup::at(&format!("http://{}", secure.host()));
    let failed = setup.client().unary(READ, &UserInfoRequest {}).await;
    assert_failure(
        failed,
        Code::BackendUnreachable,
        &[&secure.host(), "without `http://`"],
    );
    let reported = "Client sent an HTTP request to an HTTPS server.\n";
    let go = Backend::plain(move |_, _| {
        Some(
            Reply::status(400)
                .with("Content-Type", "text/plain")
                .body(reported),
        )
    });
    let failed = Setup::of(&go)
        .client()
        .unary(READ, &UserInfoRequest {})
        .await;
    assert_failure(
        failed,
        Code::BackendUntrusted,
        &["HTTPS server", "without `http://`"],
    );
    assert_eq!(go.calls("").len(), 1, "it will say the same again");
}

#[tokio::test]
async fn invalid_ca_file_is_named() {
    let backend = accepting_backend();
    let setup = Setup::at(&backend.url()).env("FLYTE_ADMIN_CACERTFILEPATH", "/no/such/ca.pem");
    assert_failure(
        setup.client().unary(READ, &UserInfoRequest {}).await,
        Code::FileUnreadable,
        &["/no/such/ca.pem"],
    );
}

#[test]
fn missing_endpoint_is_an_error() {
    let mut setup = Setup::at("x");
    setup.environment.remove("FLYTE_ADMIN_ENDPOINT");
    let options = cargo_union::flyte::client::ClientOptions::new(
        setup.environment.clone(),
        setup.home.path().to_owned(),
        false,
        setup.reports.clone(),
    );
    let error = cargo_union::flyte::client::Client::new(&setup.config(), options).unwrap_err();
    assert_eq!(error.code(), Code::BackendMissing);
}

#[tokio::test]
async fn proxy_that_may_have_responded_for_the_backend_is_named() {
    let proxy = Proxy::answering("502 Bad Gateway");
    let setup = Setup::at("http://backend.corp.test")
        .env("HTTP_PROXY", &format!("http://{}", proxy.host()));
    let failed = setup.client().unary(READ, &UserInfoRequest {}).await;
    let words = [
        "backend.corp.test responded with 502 Bad Gateway through the proxy",
        &proxy.host(),
        "may be the proxy's own",
        "NO_PROXY",
    ];
    assert_failure(failed, Code::BackendFailed, &words);
}
