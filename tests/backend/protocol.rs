//! Unary calls and streams: headers, responses and retries.

use std::io::Write as _;
use std::sync::mpsc::channel;

use cargo_union::flyte::idl::auth::UserInfoRequest;
use cargo_union::flyte::rpc::RpcStatus;
use futures_util::StreamExt as _;
use union_build::diag::Code;
use union_tests::backend::{Backend, Reply, answer, frame, message, refusal, stream};
use union_tests::http::ReservedPort;

use crate::setup::{READ, Setup, WATCH, WRITE, assert_failure};

fn named(name: &str) -> Vec<u8> {
    message(&[(2, name)])
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn call_has_the_headers_of_the_protocol() {
    let backend = Backend::plain(|_, _| Some(answer(named("Ada"))));
    let setup = Setup::of(&backend);
    assert_eq!(
        setup
            .client()
            .unary(READ, &UserInfoRequest {})
            .await
            .unwrap()
            .name,
        "Ada"
    );
    let calls = backend.calls("");
    let [call] = &calls[..] else {
        panic!("{calls:?}")
    };
    assert_eq!(
        (call.request.method.as_str(), call.request.path.as_str()),
        ("POST", "/test.Service/UserInfo")
    );
    for (name, value) in [
        ("content-type", "application/proto"),
        ("connect-protocol-version", "1"),
        ("accept-encoding", "gzip"),
    ] {
        assert_eq!(call.request.header(name), Some(value), "{name}");
    }
    assert_eq!(call.request.header("x-request-id").map(str::len), Some(36));
    assert_eq!(
        call.request.header("authorization"),
        None,
        "there is no login without encryption"
    );
}

#[tokio::test]
async fn compressed_response_is_read() {
    let backend =
        Backend::plain(|_, _| Some(answer(gzip(&named("Ada"))).with("Content-Encoding", "gzip")));
    assert_eq!(
        Setup::of(&backend)
            .client()
            .unary(READ, &UserInfoRequest {})
            .await
            .unwrap()
            .name,
        "Ada"
    );
}

#[tokio::test]
async fn retryable_call_reuses_request_id() {
    let backend = Backend::plain(|_, memory| match memory.seen.len() {
        1 => Some(refusal(503, "unavailable", "starting")),
        2 => Some(Reply::cut()),
        _ => Some(answer(named("Ada"))),
    });
    let setup = Setup::of(&backend);
    assert_eq!(
        setup
            .client()
            .unary(READ, &UserInfoRequest {})
            .await
            .unwrap()
            .name,
        "Ada"
    );
    let numbers: Vec<_> = backend
        .calls("")
        .iter()
        .map(|call| call.request.header("x-request-id").unwrap().to_owned())
        .collect();
    assert!(
        numbers.len() == 3 && numbers.iter().all(|number| *number == numbers[0]),
        "{numbers:?}"
    );
    assert!(
        setup.reports.lines()[0].contains("Service/UserInfo")
            && setup.reports.lines()[0].contains("starting"),
        "{:?}",
        setup.reports.lines()
    );
}

#[tokio::test]
async fn retries_are_limited() {
    let backend = Backend::plain(|_, _| Some(refusal(503, "unavailable", "down for today")));
    let failed = Setup::of(&backend)
        .client()
        .unary(READ, &UserInfoRequest {})
        .await;
    assert_failure(
        failed,
        Code::BackendFailed,
        &[&backend.host(), "unavailable", "down for today"],
    );
    assert_eq!(backend.calls("").len(), 3);
}

#[tokio::test]
async fn non_idempotent_call_is_not_retried() {
    for reply in [
        refusal(503, "unavailable", "perhaps"),
        refusal(500, "internal", "perhaps"),
        Reply::cut(),
    ] {
        let backend = Backend::plain(move |_, _| Some(reply.clone()));
        Setup::of(&backend)
            .client()
            .unary(WRITE, &UserInfoRequest {})
            .await
            .unwrap_err();
        assert_eq!(backend.calls("").len(), 1);
    }
    let backend = Backend::plain(|_, _| Some(Reply::cut()));
    Setup::of(&backend)
        .client()
        .unary(WRITE.idempotent(), &UserInfoRequest {})
        .await
        .unwrap_err();
    assert_eq!(backend.calls("").len(), 3);
}

#[tokio::test]
async fn unprocessed_call_is_retried_even_if_not_idempotent() {
    let reserved = ReservedPort::new();
    let free = reserved.host();
    let setup = Setup::at(&format!("http://{free}"));
    let failed = setup.client().unary(WRITE, &UserInfoRequest {}).await;
    assert_failure(failed, Code::BackendUnreachable, &[&free, "refused"]);
    assert_eq!(
        setup.reports.lines().len(),
        2,
        "{:?}",
        setup.reports.lines()
    );
    // A request that was refused with 429 was not processed either.
    let backend = Backend::plain(|_, memory| match memory.seen.len() {
        1 => Some(Reply::status(429).with("Retry-After", "0")),
        _ => Some(answer(named("Ada"))),
    });
    Setup::of(&backend)
        .client()
        .unary(WRITE, &UserInfoRequest {})
        .await
        .unwrap();
}

#[tokio::test]
async fn refusal_is_final_and_shows_the_backend_message() {
    for (http, word, status, code) in [
        (404, "not_found", RpcStatus::NotFound, Code::BackendNotFound),
        (
            400,
            "invalid_argument",
            RpcStatus::InvalidArgument,
            Code::BackendRefused,
        ),
        (
            403,
            "permission_denied",
            RpcStatus::PermissionDenied,
            Code::BackendDenied,
        ),
        (
            501,
            "unimplemented",
            RpcStatus::Unimplemented,
            Code::BackendLacks,
        ),
        (
            409,
            "already_exists",
            RpcStatus::AlreadyExists,
            Code::BackendRefused,
        ),
        (
            429,
            "resource_exhausted",
            RpcStatus::ResourceExhausted,
            Code::BackendFailed,
        ),
    ] {
        let backend = Backend::plain(move |_, memory| {
            (memory.seen.len() == 1).then(|| refusal(http, word, "project \"x\"\nis none"))
        });
        let failure = Setup::of(&backend)
            .client()
            .unary(WRITE, &UserInfoRequest {})
            .await;
        // 429 is retried; the others are not.
        let expected = if http == 429 { 2 } else { 1 };
        assert_eq!(backend.calls("").len(), expected, "{word}");
        if http != 429 {
            assert!(
                failure.as_ref().is_err_and(|failure| failure.is(status)),
                "{word}"
            );
            assert_failure(
                failure,
                code,
                &[&backend.host(), word, "project \"x\" is none"],
            );
        }
    }
}

#[tokio::test]
async fn stream_messages_arrive_as_they_are_sent() {
    let (send, pieces) = channel();
    let pieces = std::sync::Mutex::new(Some(pieces));
    let backend =
        Backend::plain(move |_, _| Some(stream(&[]).live(pieces.lock().unwrap().take()?)));
    let client = Setup::of(&backend).client();
    send.send(frame(0, &named("one"))).unwrap();
    let mut messages = client.stream(WATCH, &UserInfoRequest {}).await.unwrap();
    assert_eq!(messages.next().await.unwrap().unwrap().name, "one");
    let second = frame(1, &gzip(&named("two")));
    send.send(second[..3].to_vec()).unwrap();
    assert!(
        futures_util::FutureExt::now_or_never(messages.next()).is_none(),
        "half a frame is no message"
    );
    send.send(second[3..].to_vec()).unwrap();
    assert_eq!(messages.next().await.unwrap().unwrap().name, "two");
    send.send(frame(2, b"{}")).unwrap();
    assert!(messages.next().await.is_none());
    let calls = backend.calls("");
    assert_eq!(
        calls[0].request.header("content-type"),
        Some("application/connect+proto")
    );
    assert_eq!(calls[0].body, frame(0, &[]), "the request is one frame");
}

#[tokio::test]
async fn stream_error_follows_the_earlier_messages() {
    let backend = Backend::plain(|_, _| {
        let end = br#"{"error":{"code":"aborted","message":"another writer was faster"}}"#;
        Some(stream(&[frame(0, &named("one")), frame(2, end)]))
    });
    let mut messages = Setup::of(&backend)
        .client()
        .stream(WATCH, &UserInfoRequest {})
        .await
        .unwrap();
    assert_eq!(messages.next().await.unwrap().unwrap().name, "one");
    assert_failure(
        messages.next().await.unwrap(),
        Code::BackendRefused,
        &[&backend.host(), "aborted", "another writer was faster"],
    );
    assert!(messages.next().await.is_none());
}

#[tokio::test]
async fn stream_that_begins_with_an_error_fails() {
    let end = br#"{"error":{"code":"not_found","message":"no such run"}}"#;
    let backend = Backend::plain(move |_, _| Some(stream(&[frame(2, end)])));
    let failed = Setup::of(&backend)
        .client()
        .stream(WATCH, &UserInfoRequest {})
        .await;
    assert_failure(failed, Code::BackendNotFound, &["no such run"]);
}

#[tokio::test]
async fn stream_without_an_end_frame_is_truncated() {
    let one = frame(0, &named("one"));
    for (bytes, words) in [
        (one.clone(), "before its end"),
        ([&one[..], &one[..7]].concat(), "in the middle of a message"),
    ] {
        let backend = Backend::plain(move |_, _| Some(stream(std::slice::from_ref(&bytes))));
        let mut messages = Setup::of(&backend)
            .client()
            .stream(WATCH, &UserInfoRequest {})
            .await
            .unwrap();
        messages.next().await.unwrap().unwrap();
        let cut = messages.next().await.unwrap();
        assert!(
            cut.as_ref()
                .is_err_and(cargo_union::flyte::rpc::RpcFailure::is_transient),
            "it could be watched again"
        );
        assert_failure(cut, Code::BackendUnreachable, &[&backend.host(), words]);
    }
}

#[tokio::test]
async fn stream_cut_before_its_first_message_is_retried() {
    let backend = Backend::plain(|_, memory| match memory.seen.len() {
        1 => Some(stream(&[])),
        _ => Some(stream(&[frame(0, &named("one")), frame(2, b"{}")])),
    });
    let messages = Setup::of(&backend)
        .client()
        .stream(WATCH, &UserInfoRequest {})
        .await
        .unwrap();
    assert_eq!(messages.count().await, 1);
    assert_eq!(backend.calls("").len(), 2);
}
