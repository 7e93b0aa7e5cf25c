//! The HTTP client: TLS trust, proxies, redirects, retry classification, and bodies that stream from files.
//!
//! Credentials are not sent to another host after a redirect, and plain HTTP is used only for loopback and for the hosts
//! that the user lists. Callers interpret the responses. All connections except those to engines are made here.

use std::collections::{BTreeSet, HashMap};
use std::error::Error as StdError;
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use reqwest::Client;
use union_build::diag::Code;

pub(crate) mod body;
mod clock;
pub(crate) mod error;
pub(crate) mod failure;
mod identity;
mod insecure;
mod proxy;
mod request;
pub(crate) mod response;
pub mod retry;
mod tls;
mod trace;

pub use proxy::Proxies;
pub(crate) use proxy::ProxyHint;
pub(crate) use request::{HttpRequest, credential};
pub(crate) use reqwest::{Method, StatusCode, Url, header};
pub use tls::Authorities;

use crate::sys::error::Error;
use clock::ServerClock;
use error::{TransportError, TransportErrorKind, below, causes};
use header::{CONTENT_LENGTH, LOCATION};
use proxy::Proxy;
use response::HttpResponse;
use tls::TlsConfig;
use trace::RequestSpan;

/// The connect timeout.
const CONNECT: Duration = Duration::from_secs(15);
/// The interval of TCP keepalive probes.
const KEEPALIVE: Duration = Duration::from_secs(30);
/// How long to wait for a response's head, or for the next chunk of its body.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// The maximum number of redirects.
const REDIRECTS: usize = 5;

/// Sends requests, with one pooled client per kind of connection.
pub(crate) struct Transport {
    insecure: BTreeSet<String>,
    trust: TlsConfig,
    proxies: Proxies,
    clients: Mutex<HashMap<ClientKind, Client>>,
    clock: ServerClock,
}

/// The kind of connections that a client makes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct ClientKind {
    secure: bool,
    proxy: Option<Proxy>,
    certificates: Vec<PathBuf>,
}

impl Transport {
    pub(crate) fn new(
        insecure: BTreeSet<String>,
        authorities: Authorities,
        proxies: Proxies,
    ) -> Self {
        let insecure = insecure.iter().map(|host| canonical(host)).collect();
        Self {
            insecure,
            trust: TlsConfig::new(authorities),
            proxies,
            clients: Mutex::default(),
            clock: ServerClock::default(),
        }
    }

    /// Seconds by which this machine's clock is ahead of that of the server that responded last; negative if it is
    /// behind. `None` before a response with a valid `Date` header.
    pub(crate) fn clock_difference(&self) -> Option<i64> {
        self.clock.difference()
    }

    /// Whether plain HTTP is allowed for a host.
    pub(crate) fn may_be_plain(&self, host: &str) -> bool {
        self.insecure.contains(&canonical(host)) || is_loopback(host)
    }

    /// Sends a request and follows redirects. Private headers are sent only to the origin of the request's URL.
    pub(crate) async fn send(
        &self,
        outgoing: &HttpRequest,
    ) -> Result<HttpResponse, TransportError> {
        let mut url = outgoing.url.clone();
        for _ in 0..=REDIRECTS {
            let answer = self.send_to(outgoing, &url).await?;
            let Some(next) = self.redirected(outgoing, &url, &answer)? else {
                return Ok(answer);
            };
            url = next;
        }
        Err(TransportError::misleading(format!(
            "{} redirects without end",
            authority(&outgoing.url)
        )))
    }

    /// Sends a request without following redirects.
    pub(crate) async fn send_once(
        &self,
        outgoing: &HttpRequest,
    ) -> Result<HttpResponse, TransportError> {
        self.send_to(outgoing, &outgoing.url).await
    }

    /// Checks a URL that a server has returned; `from` is the URL that returned it. May change `http` to `https`.
    pub(crate) fn checked(&self, from: &Url, named: Url) -> Result<Url, TransportError> {
        match named.scheme() {
            "https" => Ok(named),
            "http"
                if self.may_be_plain(&authority(&named))
                    && (!is_loopback(&authority(&named)) || is_loopback(&authority(from))) =>
            {
                Ok(named)
            }
            // A server behind a reverse proxy that terminates TLS often returns `http` URLs.
            "http" if from.scheme() == "https" && from.host() == named.host() => {
                let mut secure = named;
                let port = secure
                    .port()
                    .filter(|port| Some(*port) == from.port())
                    .or(from.port());
                let changed = secure
                    .set_scheme("https")
                    .and_then(|()| secure.set_port(port));
                changed.map(|()| secure).map_err(|()| {
                    TransportError::misleading(format!(
                        "{} names an address that is none",
                        authority(from)
                    ))
                })
            }
            _ => {
                let (from, named) = (authority(from), authority(&named));
                Err(TransportError::misleading(format!(
                    "{from} redirects to {named}, which is not encrypted"
                )))
            }
        }
    }

    async fn send_to(
        &self,
        outgoing: &HttpRequest,
        url: &Url,
    ) -> Result<HttpResponse, TransportError> {
        let mut span = RequestSpan::begin(outgoing, url);
        let response = self.exchange(outgoing, url).await;
        span.answered(outgoing, response.as_ref().map(HttpResponse::status));
        response.map(|response| response.traced_by(span))
    }

    async fn exchange(
        &self,
        outgoing: &HttpRequest,
        url: &Url,
    ) -> Result<HttpResponse, TransportError> {
        let proxy = self.proxies.for_url(url);
        let client = self.client(url, proxy)?;
        let mut request = client
            .request(outgoing.method.clone(), url.clone())
            .headers(outgoing.headers.clone());
        if same_origin(&outgoing.url, url) {
            request = request.headers(outgoing.private.clone());
        }
        // Strict front ends respond with 411 to a request that may have a body but has no Content-Length (RFC 9110,
        // section 8.6), and hyper sends none for an empty body.
        if outgoing.body.is_empty() && !matches!(outgoing.method, Method::GET | Method::HEAD) {
            request = request.header(CONTENT_LENGTH, 0);
        }
        let timeout = if outgoing.is_stream {
            None
        } else {
            Some(IDLE_TIMEOUT)
        };
        let sent = SystemTime::now();
        let response = outgoing.body.send(request, timeout).await;
        let response = response.map_err(|error| {
            let help =
                tls_cause_of(&error).and_then(|cause| self.trust.advice(&authority(url), cause));
            let fault = failed(&authority(url), proxy, error);
            TransportError {
                help: fault.help.or(help),
                ..fault
            }
        })?;
        self.clock
            .observe(response.headers(), sent, SystemTime::now());
        match proxy {
            // For plain HTTP the proxy itself sends this response.
            Some(proxy) if response.status() == StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
                Err(login_wanted(&authority(url), proxy))
            }
            Some(proxy) if url.scheme() == "http" => {
                Ok(HttpResponse::new(response, proxy.hint(&authority(url))))
            }
            // A response through a tunnel was sent by the server itself.
            _ => Ok(HttpResponse::new(response, None)),
        }
    }

    fn redirected(
        &self,
        outgoing: &HttpRequest,
        url: &Url,
        answer: &HttpResponse,
    ) -> Result<Option<Url>, TransportError> {
        if !matches!(answer.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
            return Ok(None);
        }
        let Some(location) = answer.header(LOCATION) else {
            return Ok(None);
        };
        let invalid = |_| {
            TransportError::misleading(format!(
                "{} redirects to an address that is none",
                authority(url)
            ))
        };
        let next = self.checked(url, url.join(location).map_err(invalid)?)?;
        // The body of a POST may contain a token, and registries do not redirect the start of an upload.
        let follow = outgoing.method != Method::POST || same_origin(url, &next);
        Ok(follow.then_some(next))
    }

    fn client(&self, url: &Url, proxy: Option<&Proxy>) -> Result<Client, TransportError> {
        let secure = url.scheme() == "https";
        let certificates = if secure {
            self.trust.directories_of(url)
        } else {
            Vec::new()
        };
        let kind = ClientKind {
            secure,
            proxy: proxy.cloned(),
            certificates,
        };
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&kind) {
            return Ok(client.clone());
        }
        let tls = if secure {
            self.trust.config(&kind.certificates)?
        } else {
            tls::trusting_nobody()
        };
        let unusable = |cause: reqwest::Error| {
            Error::new(Code::SettingInvalid, "could not create an HTTP client")
                .because(causes(&cause.without_url()))
        };
        let mut builder = Client::builder()
            .user_agent(concat!("cargo-union/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT)
            // Requests that wait for hours have to detect a lost connection.
            .tcp_keepalive(KEEPALIVE)
            .http1_only()
            .tls_backend_preconfigured(tls)
            // The proxy is chosen by `Proxies`.
            .no_proxy();
        if let Some(proxy) = &kind.proxy {
            builder =
                builder.proxy(reqwest::Proxy::all(proxy.address()?.clone()).map_err(unusable)?);
        }
        let client = builder.build().map_err(unusable)?;
        clients.insert(kind, client.clone());
        Ok(client)
    }
}

impl fmt::Debug for Transport {
    /// Leaves out the clients, whose Debug shows the credentials of proxies.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport")
            .field("insecure", &self.insecure)
            .field("proxies", &self.proxies)
            .finish_non_exhaustive()
    }
}

/// `host[:port]` of a URL, without a default port.
pub(crate) fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port()
        .map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// `host[:port]` in canonical form: lower case, IP addresses in their shortest form, no default port. An invalid host is
/// returned unchanged.
fn canonical(host: &str) -> String {
    match Url::parse(&format!("http://{host}/")) {
        Ok(url) if url.port() == Some(443) => url.host_str().unwrap_or(host).to_owned(),
        Ok(url) => authority(&url),
        Err(_) => host.to_owned(),
    }
}

/// Whether the host of a URL is that of `host[:port]`, regardless of the port.
pub(crate) fn is_of_host(url: &Url, host: &str) -> bool {
    Url::parse(&format!("https://{host}/"))
        .is_ok_and(|named| named.host().is_some() && named.host() == url.host())
}

/// Whether two URLs have the same scheme, host and port.
pub(crate) fn same_origin(one: &Url, other: &Url) -> bool {
    one.scheme() == other.scheme()
        && one.host() == other.host()
        && one.port_or_known_default() == other.port_or_known_default()
}

/// Whether `host[:port]` is `localhost` or a loopback address.
pub(crate) fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(rest),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name == "localhost"
        || name
            .parse()
            .is_ok_and(|address: IpAddr| address.is_loopback())
}

/// Converts the error of a request without a response.
fn failed(host: &str, proxy: Option<&Proxy>, error: body::SendError) -> TransportError {
    let through = proxy
        .map(|proxy| format!(" through the proxy {proxy}"))
        .unwrap_or_default();
    let error = match error {
        body::SendError::TimedOut(timeout) => {
            return TransportError::unreachable(format!(
                "{host} sent no data{through} for {} seconds",
                timeout.as_secs()
            ));
        }
        body::SendError::Http(error) => error.without_url(),
    };
    let why = causes(&error);
    if let Some(fault) = proxy.and_then(|proxy| failed_at(proxy, host, &error, &why)) {
        return fault;
    }
    match tls_cause(&error) {
        Some(rustls::Error::InvalidMessage(_)) => TransportError::new(
            TransportErrorKind::Plain(host.to_owned()),
            format!("{host} does not use TLS{through}: {why}"),
        ),
        Some(_) => TransportError::new(
            TransportErrorKind::Untrusted,
            format!("{host}{through}: {why}"),
        ),
        None if error.is_connect() && error.is_timeout() => TransportError::new(
            TransportErrorKind::NoConnection,
            format!("no connection to {host} in {} seconds", CONNECT.as_secs()),
        ),
        None if error.is_connect() => {
            TransportError::new(TransportErrorKind::NoConnection, format!("{host}: {why}"))
        }
        None if error.is_timeout() => {
            TransportError::unreachable(format!("{host} did not answer{through} in time"))
        }
        None => TransportError::unreachable(format!("{host}{through}: {why}")),
    }
}

/// The error of a failed connection to or through a proxy; `None` when the host behind it caused the failure.
fn failed_at(
    proxy: &Proxy,
    host: &str,
    error: &reqwest::Error,
    why: &str,
) -> Option<TransportError> {
    if !error.is_connect() {
        return None;
    }
    // hyper's error types are not public, so their texts are compared.
    if why.contains("proxy authorization required") {
        return Some(login_wanted(host, proxy));
    }
    // The connection to the proxy itself may use TLS.
    if tls_cause(error).is_some() && !why.contains("failed to create underlying connection") {
        return None;
    }
    let why = match why {
        _ if error.is_timeout() => format!("no connection in {} seconds", CONNECT.as_secs()),
        "tunnel error: unsuccessful" => "it refuses to connect".to_owned(),
        // The library does not give the cause.
        why if why.contains("SOCKS error: failed to create underlying connection") => {
            "the proxy does not respond".to_owned()
        }
        why => why.replace("tunnel error: failed to create underlying connection: ", ""),
    };
    Some(TransportError {
        help: Some(proxy.help(host)),
        ..TransportError::new(
            TransportErrorKind::NoConnection,
            format!("{host} through the proxy {proxy}: {why}"),
        )
    })
}

fn login_wanted(host: &str, proxy: &Proxy) -> TransportError {
    let cause = format!(
        "{host} through the proxy {proxy}: the proxy requires a login, or refuses the given one (407)"
    );
    TransportError {
        help: Some(proxy.help(host)),
        ..TransportError::new(TransportErrorKind::Refused, cause)
    }
}

fn tls_cause_of(error: &body::SendError) -> Option<&rustls::Error> {
    match error {
        body::SendError::Http(error) => tls_cause(error),
        body::SendError::TimedOut(_) => None,
    }
}

fn tls_cause<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a rustls::Error> {
    std::iter::successors(Some(error), |error| below(*error)).find_map(|error| error.downcast_ref())
}

#[cfg(test)]
mod tests;
