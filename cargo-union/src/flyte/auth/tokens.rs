//! Tokens, and how they are kept: in the JSON that the Python SDK writes, so that one login serves both.

use serde::{Deserialize, Serialize};

use crate::sys::secret::Secret;

/// What a login gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tokens {
    /// Goes with every call.
    pub(crate) access: Secret<String>,
    /// Gets a new access token without the user.
    pub(crate) refresh: Option<Secret<String>>,
}

/// No `Debug`: it holds secrets.
#[derive(Deserialize, Serialize)]
struct StoredTokens {
    #[serde(default)]
    access_token: Option<String>,
    #[serde(default)]
    refresh_token: Option<String>,
}

impl Tokens {
    /// Reads what was kept; `None` when it is nothing of use.
    pub(super) fn of_json(text: &str) -> Option<Self> {
        let kept: StoredTokens = serde_json::from_str(text).ok()?;
        let given = |token: Option<String>| token.filter(|token| is_token(token)).map(Secret::new);
        let (access, refresh) = (given(kept.access_token), given(kept.refresh_token));
        // The SDK keeps a refresh token alone; an empty access token is refused like an old one.
        let access = access.or_else(|| refresh.as_ref().map(|_| Secret::new(String::new())))?;
        Some(Self { access, refresh })
    }

    /// As it is kept.
    pub(super) fn to_json(&self) -> Secret<String> {
        let kept = StoredTokens {
            access_token: Some(self.access.reveal().clone()),
            refresh_token: self.refresh.as_ref().map(|token| token.reveal().clone()),
        };
        Secret::new(serde_json::to_string(&kept).expect("two texts always serialize"))
    }
}

/// Whether a text can go as a token: in one piece, in letters that a header can hold.
pub(super) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_the_sdk_keeps_is_read_and_the_other_way_round() {
        let both = Tokens::of_json(r#"{"access_token": "a", "refresh_token": "r"}"#).unwrap();
        assert_eq!((both.access.reveal().as_str(), both.refresh.as_ref().unwrap().reveal().as_str()), ("a", "r"));
        assert_eq!(both.to_json().reveal(), r#"{"access_token":"a","refresh_token":"r"}"#);
        let alone = Tokens::of_json(r#"{"access_token": "a", "refresh_token": null}"#).unwrap();
        assert_eq!(alone.to_json().reveal(), r#"{"access_token":"a","refresh_token":null}"#);
        assert_eq!(Tokens::of_json(r#"{"refresh_token": "r"}"#).unwrap().access.reveal(), "");
        for nothing in ["", "{}", "[]", r#"{"access_token": ""}"#, r#"{"access_token": "a\nb"}"#] {
            assert_eq!(Tokens::of_json(nothing), None, "{nothing}");
        }
    }
}
