//! Selection of the server of an operation, and that credentials are sent only to permitted servers.

use cargo_union::flyte::client::{Operation, Resource};
use cargo_union::flyte::idl::auth::UserInfoRequest;
use cargo_union::flyte::idl::common::ProjectIdentifier;
use union_build::diag::Code;
use union_tests::backend::{Backend, CLIENT, SECRET, answer, message, refusal};

use crate::setup::{READ, Setup, assert_failure};

fn project(name: &str) -> Resource {
    Resource::ProjectId(ProjectIdentifier {
        organization: "acme".to_owned(),
        domain: "development".to_owned(),
        name: name.to_owned(),
    })
}

/// A backend that selects this server for every operation.
fn naming(endpoint: &str) -> Backend {
    let named = message(&[(1, endpoint)]);
    Backend::secure(move |call, memory| {
        let known = call.request.header("authorization").is_some_and(|token| {
            memory
                .accepted
                .contains(token.trim_start_matches("Bearer "))
        });
        (call.is("SelectCluster") && known).then(|| answer(named.clone()))
    })
}

fn robot(backend: &Backend) -> Setup {
    let setup = Setup::at(&backend.url()).env("FLYTE_ADMIN_INSECURESKIPVERIFY", "true");
    setup
        .env("FLYTE_ADMIN_CLIENTID", CLIENT)
        .env("FLYTE_ADMIN_CLIENTSECRETENVVAR", "MY_SECRET")
        .env("MY_SECRET", SECRET)
}

#[tokio::test]
async fn cluster_is_selected_once_per_operation_and_resource() {
    let cluster = Backend::secure(|_, _| Some(answer(message(&[(2, "cluster")]))));
    let backend = naming(&format!("dns:///{}", cluster.host()));
    let client = robot(&backend).client();
    for (operation, name) in [
        (Operation::GetImage, "a"),
        (Operation::GetImage, "a"),
        (Operation::GetImage, "b"),
        (Operation::TailLogs, "a"),
    ] {
        let there = client.at(operation, project(name)).await.unwrap();
        assert_eq!(
            there.unary(READ, &UserInfoRequest {}).await.unwrap().name,
            "cluster"
        );
    }
    // One more for the refusal that led to the login.
    assert_eq!(backend.calls("SelectCluster").len(), 1 + 3);
    assert_eq!(cluster.calls("UserInfo").len(), 4);
    let token = cluster.calls("UserInfo")[0]
        .request
        .header("authorization")
        .map(str::to_owned);
    assert_eq!(
        token.as_deref(),
        Some("Bearer access-token-1"),
        "the login of the backend goes along"
    );
    assert!(cluster.calls("token").is_empty());
}

#[tokio::test]
async fn empty_or_own_cluster_name_selects_the_backend() {
    let backend = naming("");
    let client = robot(&backend).client();
    client
        .at(Operation::GetImage, project("a"))
        .await
        .unwrap()
        .user()
        .await
        .unwrap();
    assert_eq!(backend.calls("UserInfo").len(), 1);
}

#[tokio::test]
async fn token_is_not_sent_to_an_unencrypted_cluster() {
    for (named, code) in [
        ("http://cluster.example.test", Code::BackendInvalid),
        ("https://cluster.example.test/path", Code::BackendInvalid),
        ("ftp://cluster.example.test", Code::BackendInvalid),
    ] {
        let backend = naming(named);
        let failed = robot(&backend)
            .client()
            .at(Operation::GetImage, project("a"))
            .await;
        assert_failure(failed, code, &[&backend.host(), "cluster.example.test"]);
    }
}

#[tokio::test]
async fn failed_cluster_selection_fails_the_call() {
    let backend = Backend::secure(|call, _| {
        call.is("SelectCluster")
            .then(|| refusal(404, "not_found", "no such project"))
    });
    let failed = robot(&backend)
        .client()
        .at(Operation::UploadInputs, project("a"))
        .await;
    assert_failure(failed, Code::BackendNotFound, &["no such project"]);
}
