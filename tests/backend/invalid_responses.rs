//! Invalid responses of a backend.

use cargo_union::flyte::idl::auth::UserInfoRequest;
use cargo_union::flyte::rpc::RpcStatus;
use futures_util::StreamExt as _;
use union_build::diag::Code;
use union_tests::backend::{Backend, Reply, answer, frame, refusal, stream};

use crate::setup::{READ, Setup, WATCH, assert_failure};

async fn read(
    reply: Reply,
) -> (
    Backend,
    Result<cargo_union::flyte::idl::auth::UserInfoResponse, cargo_union::flyte::rpc::RpcFailure>,
) {
    let backend = Backend::plain(move |_, _| Some(reply.clone()));
    let result = Setup::of(&backend)
        .client()
        .unary(READ, &UserInfoRequest {})
        .await;
    (backend, result)
}

#[tokio::test]
async fn web_page_is_not_a_backend() {
    let page = |status| {
        Reply::status(status)
            .with("Content-Type", "text/html; charset=utf-8")
            .body("<html>Sign in</html>")
    };
    let (backend, result) = read(page(200)).await;
    assert_failure(
        result,
        Code::BackendInvalid,
        &[&backend.host(), "a web page", "its console"],
    );
    let (backend, result) = read(page(404)).await;
    assert!(
        result
            .as_ref()
            .is_err_and(|failure| failure.is(RpcStatus::Unimplemented))
    );
    assert_failure(result, Code::BackendInvalid, &[&backend.host(), "404"]);
    let backend = Backend::plain(move |_, _| Some(page(200)));
    let streamed = Setup::of(&backend)
        .client()
        .stream(WATCH, &UserInfoRequest {})
        .await;
    assert_failure(streamed, Code::BackendInvalid, &["a web page"]);
}

#[tokio::test]
async fn redirect_is_not_followed_and_its_target_is_named() {
    let other = Backend::plain(|_, _| None);
    let to = format!("{}/login", other.url());
    let (backend, result) = read(Reply::status(302).with("Location", to)).await;
    assert_failure(
        result,
        Code::BackendInvalid,
        &[&backend.host(), &other.host()],
    );
    assert!(other.order().is_empty(), "nothing goes to another server");
}

#[tokio::test]
async fn unexpected_content_type_and_message_are_refused() {
    let (_, result) = read(
        Reply::status(200)
            .with("Content-Type", "application/json")
            .body("{}"),
    )
    .await;
    assert_failure(result, Code::BackendInvalid, &["`application/json`"]);
    let (_, result) = read(Reply::status(200).body("x")).await;
    assert_failure(result, Code::BackendInvalid, &["something without a kind"]);
    let (_, result) = read(answer(b"\xff\xff\xff".to_vec())).await;
    assert_failure(
        result,
        Code::BackendInvalid,
        &["Service/UserInfo", "an unexpected message"],
    );
    let (_, result) = read(answer(b"plain".to_vec()).with("Content-Encoding", "gzip")).await;
    assert_failure(result, Code::BackendInvalid, &["not gzip"]);
}

#[tokio::test]
async fn non_protocol_errors_are_classified_by_http_status() {
    let (backend, result) = read(
        Reply::status(503)
            .with("Content-Type", "text/plain")
            .body("no healthy\n upstream"),
    )
    .await;
    assert!(
        result
            .as_ref()
            .is_err_and(|failure| failure.is(RpcStatus::Unavailable))
    );
    assert_failure(result, Code::BackendFailed, &["503", "no healthy upstream"]);
    assert_eq!(backend.calls("").len(), 3);
    let (_, result) = read(Reply::status(403)).await;
    assert_failure(result, Code::BackendDenied, &["403"]);
    // The HTTP status takes precedence over a code that the protocol does not have.
    let (backend, result) = read(refusal(403, "rbac_denied", "not your project")).await;
    assert_failure(result, Code::BackendDenied, &["not your project"]);
    assert_eq!(backend.calls("").len(), 1);
    let (_, result) = read(refusal(401, "UNAUTHENTICATED", "who are you")).await;
    assert!(result.is_err_and(|failure| failure.is(RpcStatus::Unauthenticated)));
}

#[tokio::test]
async fn server_text_is_shown_as_one_bounded_line() {
    let (_, result) = read(refusal(
        400,
        "invalid_argument",
        &format!("\u{1b}[2J{}", "x\n".repeat(5000)),
    ))
    .await;
    let text = result.unwrap_err().into_error("x").chain().join(" ");
    assert!(
        text.len() < 1000 && !text.contains(['\u{1b}', '\n']),
        "{}",
        text.len()
    );
}

#[tokio::test]
async fn invalid_frames_end_a_stream() {
    let huge = vec![0, 0xff, 0xff, 0xff, 0xff];
    for (frames, words) in [
        (vec![huge], "4294967295 bytes"),
        (
            vec![frame(0, b"\xff\xff\xff")],
            "another message than expected",
        ),
        (
            vec![frame(2, b"not json")],
            "an invalid end-of-stream frame",
        ),
        (vec![frame(1, b"not gzip")], "not gzip"),
    ] {
        let backend = Backend::plain(move |_, _| Some(stream(&frames)));
        let failed = Setup::of(&backend)
            .client()
            .stream(WATCH, &UserInfoRequest {})
            .await;
        assert_failure(failed, Code::BackendInvalid, &[&backend.host(), words]);
        assert_eq!(backend.calls("").len(), 1, "{words}");
    }
}

#[tokio::test]
async fn frames_after_the_end_are_not_read() {
    let backend =
        Backend::plain(|_, _| Some(stream(&[frame(0, b""), frame(2, b"{}"), frame(0, b"")])));
    let messages = Setup::of(&backend)
        .client()
        .stream(WATCH, &UserInfoRequest {})
        .await
        .unwrap();
    assert_eq!(messages.count().await, 1);
}
