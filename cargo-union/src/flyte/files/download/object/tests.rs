#![allow(clippy::unwrap_used)]

use super::*;
use crate::http::header::{HeaderName, HeaderValue};

fn facts(headers: &[(&'static str, &str)]) -> ObjectFacts {
    let headers = headers.iter().map(|(name, value)| {
        (
            HeaderName::from_static(name),
            HeaderValue::from_str(value).unwrap(),
        )
    });
    ObjectFacts::of(&headers.collect())
}

#[test]
fn object_is_checked_against_size_etag_and_md5() {
    let hello: [u8; 16] = Md5::digest("hello").into();
    let tag = ("etag", "\"5d41402abc4b2a76b9719d911017c592\"");
    let uploaded = ("x-amz-meta-flytecontentmd5", "XUFAKrxLKna5cZ2REBfFkg==");
    for right in [
        facts(&[tag, uploaded, ("content-length", "5")]),
        facts(&[]),
        // Written in parts, or encrypted: it is no MD5 sum.
        facts(&[("etag", "\"0041402abc4b2a76b9719d911017c592-2\"")]),
        facts(&[
            ("etag", "\"0041402abc4b2a76b9719d911017c592\""),
            ("x-amz-server-side-encryption", "aws:kms"),
        ]),
    ] {
        assert_eq!(right.check(5, &hello, Some(5)), Ok(()), "{right:?}");
    }
    for wrong in [
        facts(&[("etag", "\"0041402abc4b2a76b9719d911017c592\"")]),
        facts(&[
            tag,
            ("x-amz-meta-flytecontentmd5", "AAAAKrxLKna5cZ2REBfFkg=="),
        ]),
        facts(&[("content-length", "6")]),
    ] {
        assert!(wrong.check(5, &hello, None).is_err(), "{wrong:?}");
    }
    assert!(facts(&[]).check(5, &hello, Some(6)).is_err());
}
