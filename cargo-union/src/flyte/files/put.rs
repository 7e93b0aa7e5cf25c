//! One file to one signed address.

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

/// The longest refusal that is read.
const LONGEST: usize = 1 << 16;

/// What stores write when an address is no longer good: S3 and Google, whatever signs for them, Azure.
const EXPIRED: [&str; 3] = ["request has expired", "expiredtoken", "signature not valid in the specified time frame"];

/// Sends a file, and again when that may help: the same bytes at the same place are the same.
pub(super) async fn put(
    line: &ConnectTransport,
    location: &CreateUploadLocationResponse,
    content: BodySource,
    checksum: &Checksum,
) -> Result<(), RpcFailure> {
    let signed = Url::parse(&location.signed_url).ok().filter(|url| url.has_host());
    let signed =
        signed.ok_or_else(|| RpcFailure::new(Code::BackendInvalid, format!("{} signs an address that is none", authority(&line.base))))?;
    // Whoever speaks to the backend without encryption has chosen that for its store as well.
    let url = if line.base.scheme() == "http" { signed } else { line.transport.checked(&line.base, signed)? };
    let headers = headers(location, checksum)?;
    let store = authority(&url);
    line.persist(&format!("an upload to {store}"), Idempotency::Always, || async {
        let stream = BodyStream { from: content.clone(), start: 0, end: checksum.size, done: AtomicU64::new(0), tell: Box::new(|_| {}) };
        let mut outgoing = HttpRequest::new(Method::PUT, url.clone()).body(RequestBody::Stream(Arc::new(stream)));
        outgoing.headers = headers.clone();
        let answer = line.transport.send_once(&outgoing).await.map_err(|fault| {
            let mut failure = RpcFailure::from(fault);
            // The store is another server than the backend, whose cures do not fit.
            if failure.code == Code::BackendUnreachable {
                failure.code = Code::UploadFailed;
            }
            failure
        })?;
        judge(answer, &store).await
    })
    .await
}

/// All that the backend has signed, as it is, and what the store checks.
fn headers(location: &CreateUploadLocationResponse, checksum: &Checksum) -> Result<HeaderMap, RpcFailure> {
    let mut headers = HeaderMap::new();
    if location.native_url.starts_with("abfs://") {
        headers.insert(HeaderName::from_static("x-ms-blob-type"), HeaderValue::from_static("BlockBlob"));
    }
    for (name, value) in &location.headers {
        let invalid = || RpcFailure::new(Code::BackendInvalid, format!("the backend wants a header that is none: `{}`", clean(name)));
        let name = name.parse::<HeaderName>().map_err(|_| invalid())?;
        // The line itself says how long the file is.
        if name != CONTENT_LENGTH {
            headers.insert(name, HeaderValue::from_str(value).map_err(|_| invalid())?);
        }
    }
    let md5 = HeaderValue::from_str(&STANDARD.encode(checksum.md5)).expect("base64 is made of letters, digits and signs");
    headers.insert(HeaderName::from_static("content-md5"), md5);
    Ok(headers)
}

async fn judge(mut answer: HttpResponse, store: &str) -> Result<(), RpcFailure> {
    let (status, retry_after) = (answer.status(), answer.retry_after());
    if matches!(status.as_u16(), 200 | 201 | 204) {
        return Ok(());
    }
    let body = answer.bytes(LONGEST).await.unwrap_or_default();
    let body = String::from_utf8_lossy(&body);
    let said = store_error_text(&body);
    let cause = format!("{store} answered {status}{}", if said.is_empty() { String::new() } else { format!(": {said}") });
    let lower = body.to_ascii_lowercase();
    let stalled = status == StatusCode::BAD_REQUEST && lower.contains("<code>requesttimeout</code>");
    if stalled || matches!(status.as_u16(), 408 | 429 | 500 | 502..=504) {
        return Err(RpcFailure::transient(Code::UploadFailed, cause, retry_after));
    }
    let refused = matches!(status.as_u16(), 400 | 403);
    let code = if refused && EXPIRED.iter().any(|words| lower.contains(words)) { Code::UploadExpired } else { Code::UploadRefused };
    Err(RpcFailure::new(code, cause))
}

/// The store's code and message. The rest of what it says may hold parts of the signature.
fn store_error_text(body: &str) -> String {
    let between = |tag: &str| Some(body.split_once(&format!("<{tag}>"))?.1.split_once(&format!("</{tag}>"))?.0);
    let parts: Vec<&str> = ["Code", "Message"].into_iter().filter_map(between).collect();
    clean(&parts.join(": "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_refusal_only_code_and_message_are_repeated() {
        let body = "<?xml version=\"1.0\"?><Error><Code>SignatureDoesNotMatch</Code><Message>The signature\n differs.</Message>\
                    <AWSAccessKeyId>AKIA1</AWSAccessKeyId><StringToSign>secret</StringToSign></Error>";
        assert_eq!(store_error_text(body), "SignatureDoesNotMatch: The signature differs.");
        assert_eq!(store_error_text("AKIA1 is not allowed"), "");
    }

    #[test]
    fn every_header_that_was_signed_goes_along_as_it_is() {
        let checksum = Checksum { size: 1, md5: [0; 16] };
        let location = |native: &str, headers: &[(&str, &str)]| CreateUploadLocationResponse {
            signed_url: String::new(),
            native_url: native.to_owned(),
            headers: headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        };
        let signed = [("X-Amz-Meta-FlyteContentMD5", "AA=="), ("Content-Length", "7")];
        let sent = headers(&location("abfs://a/b", &signed), &checksum).unwrap_or_default();
        let mut sent: Vec<String> = sent.iter().map(|(name, value)| format!("{name}: {value:?}")).collect();
        sent.sort();
        assert_eq!(
            sent,
            ["content-md5: \"AAAAAAAAAAAAAAAAAAAAAA==\"", "x-amz-meta-flytecontentmd5: \"AA==\"", "x-ms-blob-type: \"BlockBlob\""]
        );
        assert!(headers(&location("s3://a/b", &[("a b", "c")]), &checksum).is_err());
        assert!(headers(&location("s3://a/b", &[("a", "c\nd")]), &checksum).is_err());
    }
}
