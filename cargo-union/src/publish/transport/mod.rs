//! The only door to HTTP of this room: which scheme a host speaks, whom it must be, redirects, and
//! bodies that stream from files.
//!
//! Credentials never follow a request to another host, and nothing is sent without encryption except
//! to loopback and to the hosts that the user lists.

use std::collections::{BTreeSet, HashMap};
use std::error::Error as StdError;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue, LOCATION};
use reqwest::{Client, Method, Response, StatusCode, Url};
use tokio::sync::OnceCell;
use union_build::diag::Code;

use super::failure::{Failure, causes};
pub use tls::Authorities;
use tls::Trust;

pub(crate) mod body;
mod tls;

use body::Body;

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(15);
/// How long a server may say nothing.
pub(crate) const SILENCE: Duration = Duration::from_secs(60);
/// How many redirects are followed.
const REDIRECTS: usize = 5;

/// Connections to registries.
#[derive(Debug)]
pub(crate) struct Transport {
    insecure: BTreeSet<String>,
    trust: Trust,
    clients: Mutex<HashMap<ClientKind, Client>>,
    origins: Mutex<HashMap<String, Arc<OnceCell<Url>>>>,
}

/// What one client is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct ClientKind {
    loopback: bool,
    secure: bool,
    authorities: Option<PathBuf>,
}

/// A request, ready to be sent more than once.
#[derive(Clone, Debug)]
pub(crate) struct Outgoing {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) authorization: Option<HeaderValue>,
    pub(crate) body: Body,
}

impl Transport {
    pub(crate) fn new(insecure: BTreeSet<String>, authorities: Authorities) -> Self {
        Self { insecure, trust: Trust::new(authorities), clients: Mutex::default(), origins: Mutex::default() }
    }

    /// Whether a host may be spoken to without encryption.
    pub(crate) fn may_be_plain(&self, host: &str) -> bool {
        self.insecure.contains(host) || is_loopback(host)
    }

    /// `https://host/` or, where that is allowed and the host speaks nothing better, `http://host/`.
    pub(crate) async fn origin(&self, host: &str) -> Result<Url, Failure> {
        let cell = self.origins.lock().unwrap_or_else(PoisonError::into_inner).entry(host.to_owned()).or_default().clone();
        cell.get_or_try_init(|| self.find_origin(host)).await.cloned()
    }

    /// Sends a request and follows redirects. Credentials stay with the host that they are for.
    pub(crate) async fn send(&self, outgoing: &Outgoing) -> Result<Response, Failure> {
        let mut url = outgoing.url.clone();
        for _ in 0..=REDIRECTS {
            let response = self.send_once(outgoing, &url).await?;
            let Some(next) = self.redirected(outgoing, &url, &response)? else { return Ok(response) };
            url = next;
        }
        Err(Failure::new(Code::RegistryInvalid, format!("{} redirects without end", authority(&outgoing.url))))
    }

    /// Whether a URL that a server named may be used; `from` is where it was named.
    pub(crate) fn checked(&self, from: &Url, named: Url) -> Result<Url, Failure> {
        match named.scheme() {
            "https" => Ok(named),
            "http" if self.may_be_plain(&authority(&named)) && (!is_loopback(&authority(&named)) || is_loopback(&authority(from))) => {
                Ok(named)
            }
            // A proxy that ends TLS often lets the registry behind it believe that there is none.
            "http" if from.scheme() == "https" && from.host() == named.host() => {
                let mut secure = named;
                let port = secure.port().filter(|port| Some(*port) == from.port()).or(from.port());
                let changed = secure.set_scheme("https").and_then(|()| secure.set_port(port));
                changed
                    .map(|()| secure)
                    .map_err(|()| Failure::new(Code::RegistryInvalid, format!("{} names an address that is none", authority(from))))
            }
            _ => Err(Failure::new(
                Code::RegistryInvalid,
                format!("{} sends on to {}, where nothing would be encrypted", authority(from), authority(&named)),
            )),
        }
    }

    async fn send_once(&self, outgoing: &Outgoing, url: &Url) -> Result<Response, Failure> {
        let client = self.client(url)?;
        let mut request = client.request(outgoing.method.clone(), url.clone()).headers(outgoing.headers.clone());
        if let Some(authorization) = outgoing.authorization.as_ref().filter(|_| same_origin(&outgoing.url, url)) {
            request = request.header(AUTHORIZATION, authorization.clone());
        }
        let response = outgoing.body.send(request).await;
        response.map_err(|error| failed(&authority(url), error))
    }

    fn redirected(&self, outgoing: &Outgoing, url: &Url, response: &Response) -> Result<Option<Url>, Failure> {
        if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
            return Ok(None);
        }
        let Some(location) = response.headers().get(LOCATION).and_then(|value| value.to_str().ok()) else { return Ok(None) };
        let invalid = |_| Failure::new(Code::RegistryInvalid, format!("{} redirects to an address that is none", authority(url)));
        let next = self.checked(url, url.join(location).map_err(invalid)?)?;
        // The body of a POST may hold a token, and nobody redirects the start of an upload.
        let follow = outgoing.method != Method::POST || same_origin(url, &next);
        Ok(follow.then_some(next))
    }

    fn client(&self, url: &Url) -> Result<Client, Failure> {
        let host = authority(url);
        let secure = url.scheme() == "https";
        let authorities = if secure { self.trust.folder_of(&host) } else { None };
        let kind = ClientKind { loopback: is_loopback(&host), secure, authorities };
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&kind) {
            return Ok(client.clone());
        }
        let tls = if secure { self.trust.config(kind.authorities.as_deref())? } else { tls::trusting_nobody() };
        let mut builder = Client::builder()
            .user_agent(concat!("cargo-union/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT)
            .http1_only()
            .tls_backend_preconfigured(tls);
        if kind.loopback {
            builder = builder.no_proxy();
        }
        let client = builder
            .build()
            .map_err(|error| Failure::new(Code::SettingInvalid, format!("no HTTP client could be made: {}", causes(&error))))?;
        clients.insert(kind, client.clone());
        Ok(client)
    }

    /// Asks a host that may go without encryption what it speaks: loopback is asked without first,
    /// for that is what it nearly always speaks, and any other host with encryption first.
    async fn find_origin(&self, host: &str) -> Result<Url, Failure> {
        let secure = origin_url("https", host)?;
        if !self.may_be_plain(host) {
            return Ok(secure);
        }
        let plain = origin_url("http", host)?;
        if is_loopback(host) {
            return match self.probe(&plain).await {
                Ok(true) => Ok(plain),
                Ok(false) => Ok(secure),
                // Nobody listens: asking a second time would not find anybody.
                Err(failure) if failure.cause.contains("refused") => Err(failure),
                Err(failure) => {
                    self.probe(&secure).await.map(|_| secure).map_err(|other| if other.code == Code::TlsFailed { other } else { failure })
                }
            };
        }
        match self.probe(&secure).await {
            Ok(_) => Ok(secure),
            Err(failure) => match self.probe(&plain).await {
                Ok(true) => Ok(plain),
                _ => Err(failure),
            },
        }
    }

    /// Whether the host answers at this URL; `false` when it says that it wants encryption.
    async fn probe(&self, origin: &Url) -> Result<bool, Failure> {
        let url = origin.join("v2/").expect("`v2/` is a relative URL");
        let outgoing = Outgoing { method: Method::GET, url, headers: HeaderMap::new(), authorization: None, body: Body::Empty };
        let response = self.send_once(&outgoing, &outgoing.url).await?;
        if origin.scheme() == "https" || response.status() != StatusCode::BAD_REQUEST {
            return Ok(true);
        }
        // Go: "Client sent an HTTP request to an HTTPS server."; nginx: "The plain HTTP request was sent to HTTPS port".
        let text = response.text().await.unwrap_or_default();
        Ok(!text.contains("HTTPS"))
    }
}

/// `host[:port]` of a URL, as a user would write it.
pub(crate) fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// Whether two URLs lead to the same server.
pub(crate) fn same_origin(one: &Url, other: &Url) -> bool {
    one.scheme() == other.scheme() && one.host() == other.host() && one.port_or_known_default() == other.port_or_known_default()
}

/// Whether `host[:port]` is this machine.
pub(crate) fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(rest),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name == "localhost" || name.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

fn origin_url(scheme: &str, host: &str) -> Result<Url, Failure> {
    Url::parse(&format!("{scheme}://{host}/"))
        .map_err(|cause| Failure::new(Code::InvalidRegistry, format!("`{host}` is not a registry: {cause}")))
}

/// What it means that no answer came.
fn failed(host: &str, error: body::SendError) -> Failure {
    let error = match error {
        body::SendError::Silent(silence) => {
            return Failure::passing(Code::RegistryUnreachable, format!("{host} said nothing for {} seconds", silence.as_secs()));
        }
        body::SendError::Http(error) => error.without_url(),
    };
    let why = causes(&error);
    match tls_cause(&error) {
        Some(rustls::Error::InvalidMessage(_)) => Failure::new(Code::TlsFailed, format!("{host} does not speak TLS: {why}"))
            .help(format!("If it is meant to go without encryption, list `{host}` under `insecure-registries`.")),
        Some(_) => Failure::new(Code::TlsFailed, format!("{host}: {why}")),
        None if error.is_timeout() => Failure::passing(Code::RegistryUnreachable, format!("{host} did not answer in time")),
        None => Failure::passing(Code::RegistryUnreachable, format!("{host}: {why}")),
    }
}

fn tls_cause<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a rustls::Error> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        if let Some(found) = error.downcast_ref().or_else(|| inner?.downcast_ref()) {
            return Some(found);
        }
        cause = error.source();
    }
    None
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn loopback_is_told_from_the_rest() {
        for host in ["localhost", "localhost:5000", "127.0.0.1:80", "127.3.2.1", "[::1]:5000"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["localhost.example.com", "example.com:5000", "10.0.0.1", "[2001:db8::1]:5000", "127.0.0.1.example.com"] {
            assert!(!is_loopback(host), "{host}");
        }
    }

    #[test]
    fn nobody_is_sent_on_to_a_host_without_encryption() {
        let transport = Transport::new(BTreeSet::from(["lan:5000".to_owned()]), Authorities::default());
        let from = url("https://ghcr.io/v2/");
        for (named, becomes) in [
            ("https://cdn.example.com/x", Some("https://cdn.example.com/x")),
            ("http://ghcr.io/x", Some("https://ghcr.io/x")),
            ("http://lan:5000/x", Some("http://lan:5000/x")),
            ("http://cdn.example.com/x", None),
            ("http://127.0.0.1:9/x", None),
            ("file:///etc/passwd", None),
        ] {
            assert_eq!(transport.checked(&from, url(named)).ok().map(|url| url.to_string()).as_deref(), becomes, "{named}");
        }
        let loopback = url("http://127.0.0.1:5000/");
        assert!(transport.checked(&loopback, url("http://localhost:5001/x")).is_ok());
        assert!(transport.checked(&loopback, url("http://example.com/x")).is_err());
    }
}
