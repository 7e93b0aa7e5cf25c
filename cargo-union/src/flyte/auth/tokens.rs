//! Tokens, and the JSON in which they are stored: that of the Python SDK, so that both share a login.

use serde::{Deserialize, Serialize};

use crate::sys::secret::Secret;

/// The tokens of a login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tokens {
    /// The access token, sent with every call.
    pub(crate) access: Secret<String>,
    /// The refresh token, which gets new tokens without the user.
    pub(crate) refresh: Option<Secret<String>>,
}

// No `Debug`: it contains secrets.
#[derive(Deserialize, Serialize)]
struct StoredTokens {
    #[serde(default)]
    access_token: Option<String>,
    #[serde(default)]
    refresh_token: Option<String>,
}

impl Tokens {
    /// Parses stored tokens; `None` when there is none in the text.
    pub(super) fn of_json(text: &str) -> Option<Self> {
        let stored: StoredTokens = serde_json::from_str(text).ok()?;
        let secret = |token: Option<String>| token.filter(|token| is_token(token)).map(Secret::new);
        let access = secret(stored.access_token);
        let refresh = secret(stored.refresh_token);
        // The SDK may store only a refresh token; the backend refuses an empty access token like an expired one.
        let access = access.or_else(|| refresh.as_ref().map(|_| Secret::new(String::new())))?;
        Some(Self { access, refresh })
    }

    /// The JSON in which tokens are stored.
    pub(super) fn to_json(&self) -> Secret<String> {
        let stored = StoredTokens {
            access_token: Some(self.access.reveal().clone()),
            refresh_token: self.refresh.as_ref().map(|token| token.reveal().clone()),
        };
        Secret::new(serde_json::to_string(&stored).expect("two texts always serialize"))
    }
}

/// Whether a text is a token: a single word that a header can contain.
pub(super) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn tokens_have_the_json_of_the_python_sdk() {
        let tokens = Tokens::of_json(r#"{"access_token": "a", "refresh_token": "r"}"#).unwrap();
        assert_eq!(
            (
                tokens.access.reveal().as_str(),
                tokens.refresh.as_ref().unwrap().reveal().as_str()
            ),
            ("a", "r")
        );
        assert_eq!(
            tokens.to_json().reveal(),
            r#"{"access_token":"a","refresh_token":"r"}"#
        );
        let access_only =
            Tokens::of_json(r#"{"access_token": "a", "refresh_token": null}"#).unwrap();
        assert_eq!(
            access_only.to_json().reveal(),
            r#"{"access_token":"a","refresh_token":null}"#
        );
        assert_eq!(
            Tokens::of_json(r#"{"refresh_token": "r"}"#)
                .unwrap()
                .access
                .reveal(),
            ""
        );
        for invalid in [
            "",
            "{}",
            "[]",
            r#"{"access_token": ""}"#,
            r#"{"access_token": "a\nb"}"#,
        ] {
            assert_eq!(Tokens::of_json(invalid), None, "{invalid}");
        }
    }
}
