//! The address of the backend: its syntax, and the properties derived from it.

use std::fmt;

use union_build::diag::{Code, Diagnostic, Origin};
use union_build::spec::Sourced;

use super::api_key::ApiKey;
use super::keys;
use super::reader::ConfigReader;

/// The address of a backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackendEndpoint {
    /// `host[:port]`, as written.
    host: String,
    /// Whether the connection is not encrypted, so that no login is possible.
    plain: bool,
}

impl BackendEndpoint {
    /// Parses `host[:port]`, `dns:///host[:port]`, `https://host[:port]` or `http://host[:port]`.
    ///
    /// # Errors
    /// The reason, phrased to follow "the endpoint `…`".
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let (scheme, rest) = match text.split_once("://") {
            None => ("", text),
            Some(("dns", rest)) => (
                "dns",
                rest.strip_prefix('/')
                    .ok_or("has two slashes after `dns:` instead of three")?,
            ),
            Some((scheme @ ("http" | "https"), rest)) => (scheme, rest),
            Some(_) => return Err("has an unsupported scheme"),
        };
        let host = rest.strip_suffix('/').unwrap_or(rest);
        if host.contains(['/', '?', '#']) {
            return Err("is the address of a page; a backend is a host without a path");
        }
        if host.contains('@') {
            return Err("has a user in it");
        }
        match url::Url::parse(&format!("https://{host}/")) {
            Ok(url) if url.host_str().is_some_and(|known| !known.is_empty()) => Ok(Self {
                host: host.to_owned(),
                plain: scheme == "http",
            }),
            _ => Err("is not `host` or `host:port`"),
        }
    }

    /// `host[:port]`, as written: the service name under which Flyte's tools store tokens.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Whether the connection is not encrypted.
    pub fn is_plain(&self) -> bool {
        self.plain
    }

    /// The organization in the name of a hosted backend: the first of more than two labels.
    pub fn org(&self) -> Option<&str> {
        let name = self.host.split(':').next().unwrap_or_default();
        let is_address = name.starts_with('[') || name.parse::<std::net::IpAddr>().is_ok();
        let (first, rest) = name.split_once('.')?;
        (rest.contains('.') && !is_address && !first.is_empty()).then_some(first)
    }
}

impl fmt::Display for BackendEndpoint {
    /// The URL without a slash at its end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}://{}",
            if self.plain { "http" } else { "https" },
            self.host
        )
    }
}

/// The endpoint: flag, API key, variable or file, with `admin.insecure` applied.
pub(super) fn resolve(
    flag: Option<&str>,
    key: Option<&ApiKey>,
    reader: &mut ConfigReader<'_>,
) -> Option<Sourced<BackendEndpoint>> {
    let configured = reader.text(&keys::ENDPOINT);
    let flag = flag.map(|text| Sourced {
        value: text.to_owned(),
        origin: Origin::Flag("--endpoint"),
    });
    let from_key = key.map(|key| Sourced {
        value: key.endpoint.clone(),
        origin: ApiKey::ORIGIN,
    });
    let Sourced {
        value: text,
        origin,
    } = flag.or(from_key).or(configured)?;
    let mut endpoint = match BackendEndpoint::parse(text.trim()) {
        Ok(endpoint) => endpoint,
        Err(why) => {
            let problem = Diagnostic::error(
                Code::EndpointInvalid,
                format!("the endpoint `{text}` {why}"),
                &origin,
                "",
            );
            reader.problems.push(problem);
            return None;
        }
    };
    let insecure = reader
        .switch(&keys::INSECURE)
        .filter(|insecure| insecure.value && !endpoint.plain);
    // An API key is a login, which an unencrypted connection does not allow.
    if let Some(insecure) = insecure.filter(|_| origin != ApiKey::ORIGIN) {
        if text.starts_with("https://") {
            let problem = Diagnostic::error(
                Code::EndpointInvalid,
                "the endpoint is `https`, and `admin.insecure` is true",
                &origin,
                "",
            );
            reader.problems.push(
                problem
                    .also(&insecure.origin, "without encryption")
                    .help("Remove one of the two."),
            );
            return None;
        }
        endpoint.plain = true;
    }
    Some(Sourced {
        value: endpoint,
        origin,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn endpoint_accepts_all_forms() {
        for (text, shown) in [
            ("acme.example.test", "https://acme.example.test"),
            ("localhost:8090", "https://localhost:8090"),
            ("dns:///acme.example.test", "https://acme.example.test"),
            ("dns:///localhost:30080", "https://localhost:30080"),
            ("https://acme.example.test/", "https://acme.example.test"),
            ("http://localhost:8090", "http://localhost:8090"),
            ("[::1]:8090", "https://[::1]:8090"),
        ] {
            assert_eq!(
                BackendEndpoint::parse(text).unwrap().to_string(),
                shown,
                "{text}"
            );
        }
    }

    #[test]
    fn invalid_endpoint_has_a_reason() {
        for (text, why) in [
            ("dns://acme.example.test", "instead of three"),
            ("ftp://acme.example.test", "unsupported scheme"),
            (
                "https://acme.example.test/console/projects",
                "is the address of a page",
            ),
            ("https://me@acme.example.test", "a user"),
            ("host:port", "is not `host`"),
            ("", "is not `host`"),
            ("dns:///", "is not `host`"),
        ] {
            assert!(
                BackendEndpoint::parse(text).unwrap_err().contains(why),
                "{text}: {:?}",
                BackendEndpoint::parse(text)
            );
        }
    }

    #[test]
    fn endpoint_org_is_the_first_of_more_than_two_labels() {
        for (text, org) in [
            ("acme.example.test", Some("acme")),
            ("acme.eu.example.test:443", Some("acme")),
            ("example.test", None),
            ("localhost:8090", None),
            ("127.0.0.1:8090", None),
            ("[2001:db8::1]:8090", None),
        ] {
            assert_eq!(BackendEndpoint::parse(text).unwrap().org(), org, "{text}");
        }
    }
}
