#![allow(clippy::unwrap_used)]

use super::*;

#[test]
fn rpc_status_and_word_round_trip() {
    for (status, word) in RpcStatus::WORDS {
        assert_eq!(
            (status.word(), RpcStatus::of_word(word)),
            (word, Some(status))
        );
    }
    assert_eq!(
        RpcStatus::of_word("UNAUTHENTICATED"),
        Some(RpcStatus::Unauthenticated)
    );
    assert_eq!(RpcStatus::of_word("teapot"), None);
}

#[test]
fn error_response_is_parsed_from_json_only() {
    let read = |body: &[u8]| connect_error("application/json", body);
    let error_text =
        read(br#"{"code":"not_found","message":"project \"x\"\n not found","details":[]}"#)
            .unwrap();
    assert_eq!(
        (error_text.status, error_text.message.as_str()),
        (Some(RpcStatus::NotFound), r#"project "x" not found"#)
    );
    let error_text = read(br#"{"code":"teapot"}"#).unwrap();
    assert_eq!(
        (error_text.status, error_text.message.as_str()),
        (None, "teapot")
    );
    for body in ["", "<html>", "{}", "[]", r#"{"error":"x"}"#] {
        assert!(read(body.as_bytes()).is_none(), "{body}");
    }
    assert!(connect_error("text/plain", br#"{"code":"teapot"}"#).is_none());
}

#[test]
fn gateway_error_is_parsed_from_json_and_protobuf() {
    let json = "application/json";
    let text = "different\n  - a\u{1b}[2J";
    let status = ErrorStatus {
        code: 3,
        message: text.to_owned(),
    };
    for (kind, body) in [
        (
            json,
            serde_json::json!({ "code": 3, "message": text, "details": [] })
                .to_string()
                .into_bytes(),
        ),
        ("application/octet-stream", status.encode_to_vec()),
    ] {
        let error = gateway_error(kind, &body).unwrap();
        assert_eq!(
            (error.status, error.message.as_str(), error.text.as_str()),
            (
                Some(RpcStatus::InvalidArgument),
                "different - a [2J",
                "different\n  - a[2J"
            )
        );
    }
    for (kind, body) in [
        (json, "{\"code\":\"not_found\"}"),
        (json, "{\"code\":0,\"message\":\"\"}"),
        (json, "{\"code\":99}"),
        (json, "<html>"),
        ("application/octet-stream", "<html>"),
        ("application/octet-stream", ""),
        ("text/html", "{\"code\":5}"),
    ] {
        assert!(
            gateway_error(kind, body.as_bytes()).is_none(),
            "{kind} {body}"
        );
    }
}

#[test]
fn end_of_stream_is_success_or_an_error() {
    assert!(end(b"{}").unwrap().is_none());
    assert!(end(br#"{"metadata":{"a":["b"]}}"#).unwrap().is_none());
    assert_eq!(
        end(br#"{"error":{"code":"aborted"}}"#)
            .unwrap()
            .unwrap()
            .status,
        Some(RpcStatus::Aborted)
    );
    assert!(end(b"").is_err());
}

#[test]
fn rpc_status_is_derived_from_the_http_code() {
    for (number, status) in [
        (400, RpcStatus::Internal),
        (401, RpcStatus::Unauthenticated),
        (407, RpcStatus::Unauthenticated),
        (403, RpcStatus::PermissionDenied),
        (404, RpcStatus::Unimplemented),
        (418, RpcStatus::Unknown),
        (429, RpcStatus::Unavailable),
        (500, RpcStatus::Unknown),
        (503, RpcStatus::Unavailable),
    ] {
        assert_eq!(
            RpcStatus::of_http(StatusCode::from_u16(number).unwrap()),
            status,
            "{number}"
        );
    }
}
