//! Sends a file to a signed address.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use union_build::diag::Code;

use super::checksum::Checksum;
use crate::flyte::idl::dataproxy::CreateUploadLocationResponse;
use crate::flyte::rpc::{ConnectTransport, Idempotency, RpcFailure};
use crate::http::body::{BodySource, BodyStream, RequestBody};
use crate::http::error::clean;
use crate::http::header::{CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue};
use crate::http::response::HttpResponse;
use crate::http::{HttpRequest, Method, StatusCode, Url, authority};

/// The maximum size of an error response.
const LONGEST: usize = 1 << 16;

/// Texts in responses of object stores to an expired address: S3 and Google, S3 with temporary credentials, Azure.
const EXPIRED: [&str; 3] = [
    "request has expired",
    "expiredtoken",
    "signature not valid in the specified time frame",
];

/// Uploads content with retries. Repeating an upload is safe, because it writes the same bytes to the same object.
pub(super) async fn put(
    connection: &ConnectTransport,
    location: &CreateUploadLocationResponse,
    content: BodySource,
    checksum: &Checksum,
) -> Result<(), RpcFailure> {
    let signed = Url::parse(&location.signed_url)
        .ok()
        .filter(|url| url.has_host());
    let signed = signed.ok_or_else(|| {
        RpcFailure::new(
            Code::BackendInvalid,
            format!(
                "{} signed an address that is not valid",
                authority(&connection.base)
            ),
        )
    })?;
    // If the user allows an unencrypted backend, an unencrypted store is allowed as well.
    let url = if connection.base.scheme() == "http" {
        signed
    } else {
        connection.transport.checked(&connection.base, signed)?
    };
    let headers = headers(location, checksum)?;
    let store = authority(&url);
    connection
        .with_retries(
            &format!("an upload to {store}"),
            Idempotency::Always,
            || async {
                let stream = BodyStream {
                    from: content.clone(),
                    start: 0,
                    end: checksum.size,
                    done: AtomicU64::new(0),
                    tell: Box::new(|_| {}),
                };
                let mut outgoing = HttpRequest::new(Method::PUT, url.clone())
                    .body(RequestBody::Stream(Arc::new(stream)));
                outgoing.headers = headers.clone();
                let answer = connection
                    .transport
                    .send_once(&outgoing)
                    .await
                    .map_err(|fault| {
                        let mut failure = RpcFailure::from(fault);
                        // The advice for an unreachable backend does not apply to the store.
                        if failure.code == Code::BackendUnreachable {
                            failure.code = Code::UploadFailed;
                        }
                        failure
                    })?;
                check_response(answer, &store).await
            },
        )
        .await
}

/// The headers that the backend has signed, and the checksum.
fn headers(
    location: &CreateUploadLocationResponse,
    checksum: &Checksum,
) -> Result<HeaderMap, RpcFailure> {
    let mut headers = HeaderMap::new();
    if location.native_url.starts_with("abfs://") {
        headers.insert(
            HeaderName::from_static("x-ms-blob-type"),
            HeaderValue::from_static("BlockBlob"),
        );
    }
    for (name, value) in &location.headers {
        let invalid = || {
            RpcFailure::new(
                Code::BackendInvalid,
                format!("the backend requires an invalid header: `{}`", clean(name)),
            )
        };
        let name = name.parse::<HeaderName>().map_err(|_| invalid())?;
        // The HTTP client sets the content length itself.
        if name != CONTENT_LENGTH {
            headers.insert(name, HeaderValue::from_str(value).map_err(|_| invalid())?);
        }
    }
    let md5 = HeaderValue::from_str(&STANDARD.encode(checksum.md5))
        .expect("base64 is made of letters, digits and signs");
    headers.insert(HeaderName::from_static("content-md5"), md5);
    Ok(headers)
}

async fn check_response(mut answer: HttpResponse, store: &str) -> Result<(), RpcFailure> {
    let status = answer.status();
    let retry_after = answer.retry_after();
    if matches!(status.as_u16(), 200 | 201 | 204) {
        return Ok(());
    }
    let body = answer.bytes(LONGEST).await.unwrap_or_default();
    let body = String::from_utf8_lossy(&body);
    let message = store_error_text(&body);
    let cause = format!(
        "{store} responded with {status}{}",
        if message.is_empty() {
            String::new()
        } else {
            format!(": {message}")
        }
    );
    let proxy = answer.proxy_hint().filter(|_| message.is_empty());
    let lower = body.to_ascii_lowercase();
    let stalled =
        status == StatusCode::BAD_REQUEST && lower.contains("<code>requesttimeout</code>");
    if stalled || matches!(status.as_u16(), 408 | 429 | 500 | 502..=504) {
        return Err(RpcFailure::transient(Code::UploadFailed, cause, retry_after).through(proxy));
    }
    let refused = matches!(status.as_u16(), 400 | 403);
    let code = if refused && EXPIRED.iter().any(|words| lower.contains(words)) {
        Code::UploadExpired
    } else {
        Code::UploadRefused
    };
    Err(RpcFailure::new(code, cause).through(proxy))
}

/// The code and message of an S3-style error. Other fields may contain parts of the signature.
pub(super) fn store_error_text(body: &str) -> String {
    let between = |tag: &str| {
        Some(
            body.split_once(&format!("<{tag}>"))?
                .1
                .split_once(&format!("</{tag}>"))?
                .0,
        )
    };
    let parts: Vec<&str> = ["Code", "Message"]
        .into_iter()
        .filter_map(between)
        .collect();
    clean(&parts.join(": "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn store_error_shows_only_code_and_message() {
        let body = "<?xml version=\"1.0\"?><Error><Code>SignatureDoesNotMatch</Code><Message>The signature\n differs.</Message>\
                    <AWSAccessKeyId>AKIA1</AWSAccessKeyId><StringToSign>secret</StringToSign></Error>";
        assert_eq!(
            store_error_text(body),
            "SignatureDoesNotMatch: The signature differs."
        );
        assert_eq!(store_error_text("AKIA1 is not allowed"), "");
    }

    #[test]
    fn signed_headers_are_sent_unchanged() {
        let checksum = Checksum {
            size: 1,
            md5: [0; 16],
        };
        let location = |native: &str, headers: &[(&str, &str)]| CreateUploadLocationResponse {
            signed_url: String::new(),
            native_url: native.to_owned(),
            headers: headers
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
        };
        let signed = [
            ("X-Amz-Meta-FlyteContentMD5", "AA=="),
            ("Content-Length", "7"),
        ];
        let sent = headers(&location("abfs://a/b", &signed), &checksum).unwrap_or_default();
        let mut sent: Vec<String> = sent
            .iter()
            .map(|(name, value)| format!("{name}: {value:?}"))
            .collect();
        sent.sort();
        assert_eq!(
            sent,
            [
                "content-md5: \"AAAAAAAAAAAAAAAAAAAAAA==\"",
                "x-amz-meta-flytecontentmd5: \"AA==\"",
                "x-ms-blob-type: \"BlockBlob\""
            ]
        );
        assert!(headers(&location("s3://a/b", &[("a b", "c")]), &checksum).is_err());
        assert!(headers(&location("s3://a/b", &[("a", "c\nd")]), &checksum).is_err());
    }
}
