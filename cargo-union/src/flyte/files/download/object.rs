//! Downloads one object, and verifies it by the metadata of the store.

use std::io::SeekFrom;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest as _, Md5};
use tokio::io::{AsyncSeekExt as _, AsyncWriteExt as _};
use union_build::diag::Code;

use super::settings::StoreSettings;
use super::sign;
use crate::flyte::files::put::store_error_text;
use crate::flyte::rpc::{ConnectTransport, Idempotency, RpcFailure};
use crate::http::error::clean;
use crate::http::header::{CONTENT_LENGTH, ETAG, HeaderMap};
use crate::http::response::HttpResponse;
use crate::http::{HttpRequest, Method, Url, authority};
use crate::sys::fs;

/// The maximum size of an error response.
const LONGEST_ERROR: usize = 1 << 16;
/// The maximum size of a page of a list, which has at most 1 000 objects with keys of at most 1 024 bytes.
const LONGEST_PAGE: usize = 16 << 20;

/// A request to a store: the same for each attempt, and signed again for each.
pub(super) struct StoreRequest<'a> {
    pub(super) connection: &'a ConnectTransport,
    /// `None` for an address that needs no signature.
    pub(super) settings: Option<&'a StoreSettings>,
    pub(super) url: Url,
    pub(super) query: Vec<(&'static str, String)>,
}

impl StoreRequest<'_> {
    /// Downloads a small response, as text.
    pub(super) async fn text(&self) -> Result<String, RpcFailure> {
        self.with_retries("a list", || async {
            let mut answer = self.answer().await?;
            let bytes = answer.bytes(LONGEST_PAGE).await.map_err(of_store)?;
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        })
        .await
    }

    /// Fetches an object into an open file, from its beginning after each failure. Returns its size. `expected` is the size
    /// from a list.
    pub(super) async fn save(
        &self,
        file: &std::fs::File,
        expected: Option<u64>,
    ) -> Result<u64, RpcFailure> {
        self.with_retries("a file", || async {
            let mut answer = self.answer().await?;
            let facts = ObjectFacts::of(answer.headers());
            let unwritable = |cause| RpcFailure::from(fs::unwritable(&std::env::temp_dir(), cause));
            let mut file = tokio::fs::File::from_std(file.try_clone().map_err(unwritable)?);
            file.set_len(0).await.map_err(unwritable)?;
            file.seek(SeekFrom::Start(0)).await.map_err(unwritable)?;
            let (mut size, mut md5) = (0, Md5::new());
            while let Some(chunk) = answer.chunk().await.map_err(of_store)? {
                size += chunk.len() as u64;
                md5.update(&chunk);
                file.write_all(&chunk).await.map_err(unwritable)?;
            }
            file.flush().await.map_err(unwritable)?;
            facts
                .check(size, &md5.finalize().into(), expected)
                .map_err(|why| {
                    RpcFailure::new(
                        Code::DownloadCorrupt,
                        format!("{} {why}", authority(&self.url)),
                    )
                })?;
            Ok(size)
        })
        .await
    }

    async fn with_retries<T, F: Future<Output = Result<T, RpcFailure>>>(
        &self,
        what: &str,
        call: impl Fn() -> F,
    ) -> Result<T, RpcFailure> {
        let what = format!("the fetch of {what} from {}", authority(&self.url));
        self.connection
            .with_retries(&what, Idempotency::Always, call)
            .await
    }

    /// The response, if it is successful.
    async fn answer(&self) -> Result<HttpResponse, RpcFailure> {
        let query: Vec<(&str, &str)> = self
            .query
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let login = self
            .settings
            .and_then(|settings| Some((settings, settings.login.as_ref()?)));
        let url = match (login, self.settings) {
            (Some((settings, login)), _) => sign::signed_get(
                &self.url,
                &query,
                &settings.region,
                login,
                SystemTime::now(),
            ),
            (None, Some(_)) => sign::unsigned_get(&self.url, &query),
            (None, None) => self.url.clone(),
        };
        let request = HttpRequest::new(Method::GET, url);
        let sent = if self.settings.is_some() {
            self.connection.transport.send_once(&request).await
        } else {
            self.connection.transport.send(&request).await
        };
        let answer = sent.map_err(of_store)?;
        if answer.status().as_u16() == 200 {
            return Ok(answer);
        }
        Err(self.failure(answer, login.is_some()).await)
    }

    async fn failure(&self, mut answer: HttpResponse, is_signed: bool) -> RpcFailure {
        let status = answer.status();
        let retry_after = answer.retry_after();
        let region = answer.header("x-amz-bucket-region").map(clean);
        let body = answer.bytes(LONGEST_ERROR).await.unwrap_or_default();
        let said = store_error_text(&String::from_utf8_lossy(&body));
        let said = if said.is_empty() {
            said
        } else {
            format!(": {said}")
        };
        let cause = format!("{} responded with {status}{said}", authority(&self.url));
        let proxy = answer.proxy_hint();
        let other_region = region.filter(|region| {
            self.settings
                .is_some_and(|settings| settings.region != *region)
        });
        match (status.as_u16(), other_region) {
            (301 | 307 | 400, Some(region)) => RpcFailure::new(Code::DownloadRefused, cause)
                .help(format!("The bucket is in another region: set AWS_REGION={region}.")),
            (401 | 403, _) if self.settings.is_some() && !is_signed => {
                RpcFailure::new(Code::DownloadRefused, cause).help(
                    "No login was sent: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, for example with `aws configure export-credentials --format env`, and FLYTE_AWS_ENDPOINT when the store is not that of AWS.",
                )
            }
            (408 | 429 | 500 | 502..=504, _) => {
                RpcFailure::transient(Code::DownloadFailed, cause, retry_after).through(proxy)
            }
            (404, _) => RpcFailure::new(Code::DownloadFailed, cause)
                .help("It is not there, or the store is another one: FLYTE_AWS_ENDPOINT names a store that is not that of AWS."),
            _ => RpcFailure::new(Code::DownloadRefused, cause).through(proxy),
        }
    }
}

/// A failure of the connection, with a code of the store: the advice for an unreachable backend does not apply to it.
fn of_store(error: crate::http::error::TransportError) -> RpcFailure {
    let mut failure = RpcFailure::from(error);
    if failure.code == Code::BackendUnreachable {
        failure.code = Code::DownloadFailed;
    }
    failure
}

/// The metadata of an object, from the headers of the response.
#[derive(Debug, Default, PartialEq, Eq)]
struct ObjectFacts {
    size: Option<u64>,
    /// The MD5 sums in the headers; they are equal unless the object is corrupt.
    md5: Vec<[u8; 16]>,
}

impl ObjectFacts {
    /// An entity tag is the MD5 sum of an object that was written in one request, and not encrypted with a key of the
    /// user (Amazon S3, "Checking object integrity"). The other sum is in the metadata that Flyte's uploads set.
    fn of(headers: &HeaderMap) -> Self {
        let text = |name: &str| headers.get(name)?.to_str().ok();
        let is_encrypted = text("x-amz-server-side-encryption")
            .is_some_and(|kind| kind.starts_with("aws:kms"))
            || text("x-amz-server-side-encryption-customer-algorithm").is_some();
        let tag = text(ETAG.as_str())
            .filter(|_| !is_encrypted)
            .and_then(|tag| hex_md5(tag.trim_matches('"')));
        let uploaded = text("x-amz-meta-flytecontentmd5")
            .and_then(|md5| STANDARD.decode(md5).ok()?.try_into().ok());
        Self {
            size: text(CONTENT_LENGTH.as_str()).and_then(|size| size.parse().ok()),
            md5: tag.into_iter().chain(uploaded).collect(),
        }
    }

    /// Compares the metadata with what was received; the reason is the end of a sentence.
    fn check(&self, size: u64, md5: &[u8; 16], listed: Option<u64>) -> Result<(), String> {
        if let Some(expected) = listed
            .into_iter()
            .chain(self.size)
            .find(|told| *told != size)
        {
            return Err(format!("sent {size} of the {expected} bytes of the file"));
        }
        if self.md5.iter().any(|expected| expected != md5) {
            return Err("sent a file whose MD5 checksum differs from its metadata".to_owned());
        }
        Ok(())
    }
}

fn hex_md5(text: &str) -> Option<[u8; 16]> {
    if text.len() != 32 || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let mut md5 = [0; 16];
    for (byte, digits) in md5.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(md5)
}

#[cfg(test)]
mod tests;
