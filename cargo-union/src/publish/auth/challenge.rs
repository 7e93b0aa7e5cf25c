//! What a registry says it wants to see: the `WWW-Authenticate` header.

use std::collections::BTreeMap;

use crate::http::header::{HeaderMap, WWW_AUTHENTICATE};

/// How a registry wants to be convinced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Challenge {
    /// User and password with every request.
    Basic,
    /// A token from another server.
    Bearer {
        /// Address of the token server, as named.
        realm: String,
        /// The name by which the token server knows the registry.
        service: Option<String>,
        /// What the registry itself thinks that the token must allow.
        scopes: Vec<String>,
    },
}

impl Challenge {
    /// The strongest challenge of an answer that this client can meet.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let offered: Vec<_> = headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok()).flat_map(parse).collect();
        let bearer = offered.iter().find(|(scheme, _)| scheme == "bearer").and_then(|(_, parameters)| {
            let scopes = parameters.get("scope").map(|scopes| scopes.split_whitespace().map(str::to_owned).collect()).unwrap_or_default();
            Some(Self::Bearer { realm: parameters.get("realm")?.clone(), service: parameters.get("service").cloned(), scopes })
        });
        bearer.or_else(|| offered.iter().any(|(scheme, _)| scheme == "basic").then_some(Self::Basic))
    }
}

type Parsed = (String, BTreeMap<String, String>);

/// Reads `Scheme name=value, name="value", Scheme …`; names and schemes become lower-case.
fn parse(text: &str) -> Vec<Parsed> {
    let mut challenges: Vec<Parsed> = Vec::new();
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

/// A value, quoted or not, and what stands behind it.
fn value_of(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([' ', '\t', ',']).unwrap_or(text.len());
        return (text[..end].to_owned(), &text[end..]);
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return (value, &quoted[at + 1..]),
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            other => value.push(other),
        }
    }
    (value, "")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {

    use super::*;

    fn of(values: &[&str]) -> Option<Challenge> {
        Challenge::of(&values.iter().map(|value| (WWW_AUTHENTICATE, value.parse().unwrap())).collect())
    }

    fn bearer(realm: &str, service: Option<&str>, scopes: &[&str]) -> Option<Challenge> {
        let scopes = scopes.iter().map(|&scope| scope.to_owned()).collect();
        Some(Challenge::Bearer { realm: realm.to_owned(), service: service.map(str::to_owned), scopes })
    }

    #[test]
    fn commas_inside_of_quotes_do_not_end_a_value() {
        let header = r#"Bearer realm="https://auth.example.com/token",service="registry",scope="repository:a/b:pull,push""#;
        assert_eq!(of(&[header]), bearer("https://auth.example.com/token", Some("registry"), &["repository:a/b:pull,push"]));
    }

    #[test]
    fn a_token_is_preferred_to_a_password_wherever_it_is_offered() {
        assert_eq!(of(&[r#"Basic realm="x", Bearer realm="https://a/t""#]), bearer("https://a/t", None, &[]));
        assert_eq!(of(&["Basic realm=x", "bearer realm = https://a/t"]), bearer("https://a/t", None, &[]));
        assert_eq!(of(&[r#"BASIC realm="Registry \"Realm\"""#]), Some(Challenge::Basic));
    }

    #[test]
    fn what_cannot_be_met_is_no_challenge() {
        for header in ["", "Negotiate", r#"Bearer service="x""#, ",,,=", r#"Bearer realm"#] {
            assert_eq!(of(&[header]), None, "{header}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_challenge_is_a_panic(text in "\\PC{0,60}", parts in proptest::collection::vec(0..PIECES.len(), 0..12)) {
            parse(&text);
            let text: String = parts.into_iter().map(|part| PIECES[part]).collect();
            for (scheme, parameters) in parse(&text) {
                proptest::prop_assert!(!scheme.is_empty() && !parameters.contains_key(""));
            }
        }
    }

    const PIECES: &[&str] = &["Bearer", "basic", " ", ",", "=", "\"", "\\", "realm", "scope=", "\u{e9}", "\"a\"", "\t"];
}
