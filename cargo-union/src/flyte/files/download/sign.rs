//! Signed addresses of objects in stores with the API of S3.
//!
//! Source: Signature Version 4, "Authenticating requests: using query parameters", in the reference of Amazon S3.

use std::time::{SystemTime, UNIX_EPOCH};

use sha2::{Digest as _, Sha256};
use union_build::key::hex;
use union_build::spec::time;

use crate::http::{Url, authority};
use crate::sys::secret::Secret;

/// How long a signed address is valid, in seconds. The store checks it when the request begins.
const SECONDS: u32 = 900;

/// A login of a store.
#[derive(Clone, Debug)]
pub(super) struct StoreLogin {
    /// The access key's public part.
    pub(super) id: String,
    pub(super) secret: Secret<String>,
    /// The token of a temporary login.
    pub(super) session: Option<Secret<String>>,
}

/// The address of a GET request with its query, signed for a while from `now`. The result is as secret as the login.
pub(super) fn signed_get(
    url: &Url,
    query: &[(&str, &str)],
    region: &str,
    login: &StoreLogin,
    now: SystemTime,
) -> Url {
    signed_get_for(SECONDS, url, query, region, login, now)
}

fn signed_get_for(
    seconds: u32,
    url: &Url,
    query: &[(&str, &str)],
    region: &str,
    login: &StoreLogin,
    now: SystemTime,
) -> Url {
    let time = compact_time(now);
    let date = time.split('T').next().unwrap_or_default();
    let scope = format!("{date}/{region}/s3/aws4_request");
    let credential = format!("{}/{scope}", login.id);
    let seconds = seconds.to_string();
    let mut parameters = vec![
        ("X-Amz-Algorithm", "AWS4-HMAC-SHA256"),
        ("X-Amz-Credential", &*credential),
        ("X-Amz-Date", &*time),
        ("X-Amz-Expires", &*seconds),
        ("X-Amz-SignedHeaders", "host"),
    ];
    parameters.extend(
        login
            .session
            .as_ref()
            .map(|token| ("X-Amz-Security-Token", token.reveal().as_str())),
    );
    parameters.extend_from_slice(query);
    let query = canonical_query(&parameters);
    let request = format!(
        "GET\n{}\n{query}\nhost:{}\n\nhost\nUNSIGNED-PAYLOAD",
        url.path(),
        authority(url)
    );
    let to_sign = format!(
        "AWS4-HMAC-SHA256\n{time}\n{scope}\n{}",
        hex(&Sha256::digest(request))
    );
    let mut key = format!("AWS4{}", login.secret.reveal()).into_bytes();
    for word in [date, region, "s3", "aws4_request"] {
        key = hmac(&key, word.as_bytes()).to_vec();
    }
    let signature = hex(&hmac(&key, to_sign.as_bytes()));
    with_query(url, &format!("{query}&X-Amz-Signature={signature}"))
}

/// The address of a GET request without a signature, for stores with public read access.
pub(super) fn unsigned_get(url: &Url, query: &[(&str, &str)]) -> Url {
    with_query(url, &canonical_query(query))
}

fn with_query(url: &Url, query: &str) -> Url {
    let mut url = url.clone();
    url.set_query(Some(query).filter(|query| !query.is_empty()));
    url
}

fn canonical_query(parameters: &[(&str, &str)]) -> String {
    let mut encoded: Vec<(String, String)> = parameters
        .iter()
        .map(|(name, value)| (encoded(name, false), encoded(value, false)))
        .collect();
    encoded.sort();
    let encoded: Vec<String> = encoded
        .into_iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    encoded.join("&")
}

/// Text with all characters but unreserved ones percent-encoded. The slashes of a path are not encoded.
pub(super) fn encoded(text: &str, is_path: bool) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                encoded.push(char::from(byte));
            }
            b'/' if is_path => encoded.push('/'),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

/// `20130524T000000Z`
fn compact_time(now: SystemTime) -> String {
    let seconds = now
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(0));
    time::datetime(seconds, 0).replace(['-', ':'], "")
}

/// HMAC with SHA-256 (RFC 2104).
fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut block = [0; 64];
    if key.len() > block.len() {
        block[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let inner = Sha256::new()
        .chain_update(block.map(|byte| byte ^ 0x36))
        .chain_update(message)
        .finalize();
    Sha256::new()
        .chain_update(block.map(|byte| byte ^ 0x5c))
        .chain_update(inner)
        .finalize()
        .into()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// RFC 4231, test cases 2 and 6.
    #[test]
    fn hmac_matches_the_standard_vectors() {
        assert_eq!(
            hex(&hmac(b"Jefe", b"what do ya want for nothing?")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
        assert_eq!(
            hex(&hmac(
                &[0xaa; 131],
                b"Test Using Larger Than Block-Size Key - Hash Key First"
            )),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
        );
    }

    fn login() -> StoreLogin {
        StoreLogin {
            id: "AKIAIOSFODNN7EXAMPLE".to_owned(),
            secret: Secret::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned()),
            session: None,
        }
    }

    /// The example of the reference.
    #[test]
    fn signature_matches_the_reference() {
        let url = Url::parse("https://examplebucket.s3.amazonaws.com/test.txt").unwrap();
        let now = UNIX_EPOCH + Duration::from_secs(1_369_353_600);
        let signed = signed_get_for(86_400, &url, &[], "us-east-1", &login(), now);
        assert_eq!(
            signed.as_str(),
            "https://examplebucket.s3.amazonaws.com/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256\
             &X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request\
             &X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host\
             &X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
        );
    }

    #[test]
    fn path_and_query_are_encoded_as_they_are_signed() {
        assert_eq!(encoded("a b/é+%~", true), "a%20b/%C3%A9%2B%25~");
        assert_eq!(encoded("a/b", false), "a%2Fb");
        let url = Url::parse("http://127.0.0.1:9000/bucket").unwrap();
        let query = [("prefix", "a b/"), ("list-type", "2")];
        assert_eq!(
            unsigned_get(&url, &query).as_str(),
            "http://127.0.0.1:9000/bucket?list-type=2&prefix=a%20b%2F"
        );
    }
}
