//! Parses the `WWW-Authenticate` header of registries (RFC 9110, 11.6.1).

use std::collections::BTreeMap;

use crate::http::header::{HeaderMap, WWW_AUTHENTICATE};

/// The authentication that a registry requires.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Challenge {
    /// User and password with every request.
    Basic,
    /// A token from a token server.
    Bearer {
        /// The URL of the token server, not validated.
        realm: String,
        /// The name of the registry for the token server.
        service: Option<String>,
        /// The scopes that the registry requests.
        scopes: Vec<String>,
    },
}

impl Challenge {
    /// The strongest supported challenge of a response.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let challenges: Vec<_> = headers
            .get_all(WWW_AUTHENTICATE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(parse)
            .collect();
        let bearer = challenges
            .iter()
            .find(|(scheme, _)| scheme == "bearer")
            .and_then(|(_, parameters)| {
                let scopes = parameters
                    .get("scope")
                    .map(|scopes| scopes.split_whitespace().map(str::to_owned).collect())
                    .unwrap_or_default();
                Some(Self::Bearer {
                    realm: parameters.get("realm")?.clone(),
                    service: parameters.get("service").cloned(),
                    scopes,
                })
            });
        bearer.or_else(|| {
            challenges
                .iter()
                .any(|(scheme, _)| scheme == "basic")
                .then_some(Self::Basic)
        })
    }
}

/// A lower-case scheme and its parameters by lower-case name.
type ChallengeParameters = (String, BTreeMap<String, String>);

/// Parses `Scheme name=value, name="value", Scheme …`; names and schemes become lower case.
fn parse(text: &str) -> Vec<ChallengeParameters> {
    let mut challenges: Vec<ChallengeParameters> = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let end = rest.find([' ', '\t', ',', '=']).unwrap_or(rest.len());
        if end == 0 {
            return challenges;
        }
        let word = rest[..end].to_ascii_lowercase();
        rest = &rest[end..];
        let Some(value) = rest.trim_start().strip_prefix('=') else {
            challenges.push((word, BTreeMap::new()));
            continue;
        };
        let (value, after) = value_of(value.trim_start());
        rest = after;
        if let Some((_, parameters)) = challenges.last_mut() {
            parameters.entry(word).or_insert(value);
        }
    }
}

/// A value, quoted or not, and the text after it.
fn value_of(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([' ', '\t', ',']).unwrap_or(text.len());
        return (text[..end].to_owned(), &text[end..]);
    };
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((position, c)) = chars.next() {
        match c {
            '"' => return (value, &quoted[position + 1..]),
            '\\' => value.extend(chars.next().map(|(_, escaped)| escaped)),
            other => value.push(other),
        }
    }
    (value, "")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {

    use super::*;

    fn challenge(values: &[&str]) -> Option<Challenge> {
        Challenge::of(
            &values
                .iter()
                .map(|value| (WWW_AUTHENTICATE, value.parse().unwrap()))
                .collect(),
        )
    }

    fn bearer(realm: &str, service: Option<&str>, scopes: &[&str]) -> Option<Challenge> {
        let scopes = scopes.iter().map(|&scope| scope.to_owned()).collect();
        Some(Challenge::Bearer {
            realm: realm.to_owned(),
            service: service.map(str::to_owned),
            scopes,
        })
    }

    #[test]
    fn quoted_values_may_contain_commas() {
        let header = r#"Bearer realm="https://auth.example.com/token",service="registry",scope="repository:a/b:pull,push""#;
        assert_eq!(
            challenge(&[header]),
            bearer(
                "https://auth.example.com/token",
                Some("registry"),
                &["repository:a/b:pull,push"]
            )
        );
    }

    #[test]
    fn bearer_is_preferred_to_basic() {
        assert_eq!(
            challenge(&[r#"Basic realm="x", Bearer realm="https://a/t""#]),
            bearer("https://a/t", None, &[])
        );
        assert_eq!(
            challenge(&["Basic realm=x", "bearer realm = https://a/t"]),
            bearer("https://a/t", None, &[])
        );
        assert_eq!(
            challenge(&[r#"BASIC realm="Registry \"Realm\"""#]),
            Some(Challenge::Basic)
        );
    }

    #[test]
    fn unsupported_and_incomplete_challenges_are_ignored() {
        for header in [
            "",
            "Negotiate",
            r#"Bearer service="x""#,
            ",,,=",
            r#"Bearer realm"#,
        ] {
            assert_eq!(challenge(&[header]), None, "{header}");
        }
    }

    proptest::proptest! {
        #[test]
        fn parsing_a_challenge_never_panics(text in "\\PC{0,60}", parts in proptest::collection::vec(0..PIECES.len(), 0..12)) {
            parse(&text);
            let text: String = parts.into_iter().map(|part| PIECES[part]).collect();
            for (scheme, parameters) in parse(&text) {
                proptest::prop_assert!(!scheme.is_empty() && !parameters.contains_key(""));
            }
        }
    }

    const PIECES: &[&str] = &[
        "Bearer", "basic", " ", ",", "=", "\"", "\\", "realm", "scope=", "\u{e9}", "\"a\"", "\t",
    ];
}
