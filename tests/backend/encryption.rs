//! Whom a connection trusts, and what happens when the two sides do not agree on encryption.

use cargo_union::flyte::idl::auth::UserInfoRequest;
use union_build::diag::Code;
use union_tests::backend::{Backend, Reply, answer};
use union_tests::proxy::Proxy;
use union_tests::tls::Authority;

use crate::world::{READ, World, assert_failure};

fn anybody() -> Backend {
    Backend::secure(|_, _| Some(answer(Vec::new())))
}

#[tokio::test]
async fn the_authority_of_the_config_stands_in_for_all_others() {
    let (backend, other) = (anybody(), anybody());
    World::of(&backend)
        .client()
        .unary(READ, &UserInfoRequest {})
        .await
        .unwrap();
    let named =
        World::at(&backend.url()).env("SSL_CERT_FILE", backend.certificate().to_str().unwrap());
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
async fn a_private_authority_is_not_trusted_by_itself_and_trying_again_does_not_help() {
    let backend = anybody();
    let world = World::at(&backend.url());
    let failed = world.client().unary(READ, &UserInfoRequest {}).await;
    assert_failure(
        failed,
        Code::BackendUntrusted,
        &[&backend.host(), "UnknownIssuer", "admin.caCertFilePath"],
    );
    assert!(world.told.lines().is_empty());
}

#[tokio::test]
async fn who_wants_no_verification_gets_none_unless_an_authority_is_named() {
    let backend = anybody();
    let lax = World::at(&backend.url()).env("FLYTE_ADMIN_INSECURESKIPVERIFY", "true");
    lax.client().unary(READ, &UserInfoRequest {}).await.unwrap();
    let strict = lax.env(
        "FLYTE_ADMIN_CACERTFILEPATH",
        Authority::new().certificate().to_str().unwrap(),
    );
    assert_failure(
        strict.client().unary(READ, &UserInfoRequest {}).await,
        Code::FileUnreadable,
        &["ca.crt"],
    );
}

#[tokio::test]
async fn a_backend_without_encryption_is_told_from_one_with() {
    let plain = Backend::plain(|_, _| Some(answer(Vec::new())));
    let world = World::at(&format!("https://{}", plain.host()));
    let failed = world.client().unary(READ, &UserInfoRequest {}).await;
    assert_failure(
        failed,
        Code::BackendUntrusted,
        &[
            "does not speak TLS",
            &format!("http://{}", plain.host()),
            "admin.insecure",
        ],
    );
    let secure = anybody();
    let world = World::at(&format!("http://{}", secure.host()));
    let failed = world.client().unary(READ, &UserInfoRequest {}).await;
    assert_failure(
        failed,
        Code::BackendUnreachable,
        &[&secure.host(), "without `http://`"],
    );
    let told = "Client sent an HTTP request to an HTTPS server.\n";
    let go = Backend::plain(move |_, _| {
        Some(
            Reply::status(400)
                .with("Content-Type", "text/plain")
                .body(told),
        )
    });
    let failed = World::of(&go)
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
async fn a_file_of_authorities_that_is_none_is_named() {
    let backend = anybody();
    let world = World::at(&backend.url()).env("FLYTE_ADMIN_CACERTFILEPATH", "/no/such/ca.pem");
    assert_failure(
        world.client().unary(READ, &UserInfoRequest {}).await,
        Code::FileUnreadable,
        &["/no/such/ca.pem"],
    );
}

#[test]
fn a_backend_has_to_be_known() {
    let mut world = World::at("x");
    world.environment.remove("FLYTE_ADMIN_ENDPOINT");
    let options = cargo_union::flyte::client::ClientOptions::new(
        world.environment.clone(),
        world.home.path().to_owned(),
        false,
        world.told.clone(),
    );
    let error = cargo_union::flyte::client::Client::new(&world.config(), options).unwrap_err();
    assert_eq!(error.code(), Code::BackendMissing);
}

#[tokio::test]
async fn a_proxy_that_may_have_answered_for_the_backend_is_named() {
    let proxy = Proxy::answering("502 Bad Gateway");
    let world = World::at("http://backend.corp.test")
        .env("HTTP_PROXY", &format!("http://{}", proxy.host()));
    let failed = world.client().unary(READ, &UserInfoRequest {}).await;
    let words = [
        "backend.corp.test answered 502 Bad Gateway through the proxy",
        &proxy.host(),
        "may be the proxy's own",
        "NO_PROXY",
    ];
    assert_failure(failed, Code::BackendFailed, &words);
}
