//! FLYTE_API_KEY: an endpoint and client credentials in one variable, base64 of `endpoint:client id:secret:org`.

use base64::Engine as _;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use union_build::diag::{Code, Diagnostic, Origin};

use super::reader::ConfigReader;
use crate::sys::process::Environment;
use crate::sys::secret::Secret;

const NAME: &str = "FLYTE_API_KEY";

/// A decoded key.
#[derive(Clone, Debug)]
pub(super) struct ApiKey {
    pub(super) endpoint: String,
    pub(super) client_id: String,
    pub(super) secret: Secret<String>,
    pub(super) org: Option<String>,
}

impl ApiKey {
    pub(super) const ORIGIN: Origin = Origin::Env(NAME);

    /// The key of the environment. A malformed key is reported without repeating it, because it contains a secret.
    pub(super) fn of(environment: &Environment, reader: &mut ConfigReader<'_>) -> Option<Self> {
        let text = environment
            .get(NAME)
            .map(str::trim)
            .filter(|text| !text.is_empty())?;
        let key = Self::parse(text);
        if key.is_none() {
            let message = format!("{NAME} is not base64 of `endpoint:client id:secret:org`");
            reader.problems.push(Diagnostic::error(
                Code::ApiKeyInvalid,
                message,
                &Self::ORIGIN,
                "",
            ));
        }
        key
    }

    fn parse(text: &str) -> Option<Self> {
        let alphabet = if text.contains(['-', '_']) {
            URL_SAFE
        } else {
            STANDARD
        };
        let padding =
            GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
        let decoded =
            String::from_utf8(GeneralPurpose::new(&alphabet, padding).decode(text).ok()?).ok()?;
        // A scheme contains a colon itself.
        let after = decoded.find("://").map_or(0, |at| at + 3);
        let (host, rest) = decoded[after..].split_once(':')?;
        // An organization has no colon, but a secret may have one.
        let (rest, org) = rest.rsplit_once(':')?;
        let (port, rest) = match rest.split_once(':') {
            Some((port, rest)) if rest.contains(':') && port.parse::<u16>().is_ok() => {
                (format!(":{port}"), rest)
            }
            _ => (String::new(), rest),
        };
        let (client_id, secret) = rest.split_once(':')?;
        if [host, client_id, secret].contains(&"") {
            return None;
        }
        Some(Self {
            endpoint: format!("{}{host}{port}", &decoded[..after]),
            client_id: client_id.to_owned(),
            secret: Secret::new(secret.to_owned()),
            // The SDK writes Python's `None` for a missing organization.
            org: Some(org.to_owned()).filter(|org| !matches!(org.as_str(), "" | "None")),
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

    use super::*;

    fn read(text: &str) -> String {
        let key = ApiKey::parse(text).unwrap();
        format!(
            "{} {} {} {:?}",
            key.endpoint,
            key.client_id,
            key.secret.reveal(),
            key.org
        )
    }

    #[test]
    fn api_key_has_endpoint_credentials_and_organization() {
        for (text, means) in [
            (
                "acme.example.test:id:secret:acme",
                "acme.example.test id secret Some(\"acme\")",
            ),
            (
                "acme.example.test:id:secret:",
                "acme.example.test id secret None",
            ),
            (
                "acme.example.test:id:secret:None",
                "acme.example.test id secret None",
            ),
            (
                "dns:///acme.example.test:id:secret:",
                "dns:///acme.example.test id secret None",
            ),
            (
                "http://localhost:8090:id:secret:",
                "http://localhost:8090 id secret None",
            ),
            (
                "acme.example.test:id:se:cr:et:acme",
                "acme.example.test id se:cr:et Some(\"acme\")",
            ),
        ] {
            assert_eq!(read(&STANDARD.encode(text)), means);
        }
    }

    #[test]
    fn api_key_is_decoded_in_both_alphabets_with_and_without_padding() {
        // The encoding has both characters in which the alphabets differ.
        let text = "acme.example.test:id:s>?~\u{fb}\u{ff}>>???:a";
        let url_safe = URL_SAFE_NO_PAD.encode(text);
        assert!(
            url_safe.contains(['-', '_']) && STANDARD.encode(text).contains(['+', '/']),
            "{url_safe}"
        );
        assert_eq!(read(&url_safe), read(&STANDARD.encode(text)));
        assert_eq!(
            read(STANDARD.encode(text).trim_end_matches('=')),
            read(&url_safe)
        );
    }

    #[test]
    fn malformed_api_key_is_none() {
        for text in [
            "",
            "hunter2",
            &STANDARD.encode("host:id:secret"),
            &STANDARD.encode("host::secret:"),
            &STANDARD.encode(":id:secret:"),
        ] {
            assert!(ApiKey::parse(text).is_none(), "{text}");
        }
    }
}
