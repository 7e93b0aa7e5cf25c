#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

fn read(text: &str) -> Option<(String, u64)> {
    TokenResponse::read(text.as_bytes()).map(|answer| (answer.bearer, answer.life.as_secs()))
}

#[test]
fn token_responses_of_all_known_forms_are_parsed() {
    for (text, token, seconds) in [
        (r#"{"token":"T"}"#, "T", 60),
        (r#"{"access_token":"T","expires_in":300}"#, "T", 300),
        (r#"{"token":"","access_token":"T"}"#, "T", 60),
        (
            r#"{"token":null,"access_token":"T","expires_in":null}"#,
            "T",
            60,
        ),
        (
            r#"{"token":"T","access_token":"","expires_in":"600"}"#,
            "T",
            600,
        ),
        (r#"{"token":"T","access_token":7}"#, "T", 60),
        (r#"{"Token":"T","Expires_In":120}"#, "T", 120),
        (
            r#"{"token":"T\n","expires_in":3599.9,"issued_at":"once upon a time","scope":[]}"#,
            "T",
            3599,
        ),
        (r#"{"token":"T","expires_in":-1}"#, "T", 60),
        (r#"{"token":"T","expires_in":0}"#, "T", 60),
        (
            r#"{"token":"T","expires_in":18446744073709551615}"#,
            "T",
            86_400,
        ),
        (r#"{"token":"T","expires_in":1e300}"#, "T", 86_400),
        (r#"{"token":"T","expires_in":"NaN"}"#, "T", 60),
        (r#"{"token":"T","expires_in":{"seconds":1}}"#, "T", 60),
        (" \n{\"token\":\"T\"}\n{\"more\":1}", "T", 60),
    ] {
        assert_eq!(read(text), Some((token.to_owned(), seconds)), "{text}");
    }
}

#[test]
fn responses_without_a_token_are_none() {
    for text in [
        "",
        "null",
        "[]",
        "\"T\"",
        "{}",
        r#"{"token":""}"#,
        r#"{"token":7}"#,
        r#"{"token":["T"]}"#,
        "<html>",
        "{\"token\":\"T\"",
    ] {
        assert_eq!(read(text), None, "{text}");
    }
}

proptest! {
    #[test]
    fn parsing_a_token_response_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200), seconds in any::<f64>()) {
        let _ = TokenResponse::read(&bytes);
        let text = serde_json::json!({ "token": "T", "expires_in": seconds }).to_string();
        let life = TokenResponse::read(text.as_bytes()).unwrap().life;
        prop_assert!((60..=86_400).contains(&life.as_secs()));
    }
}
