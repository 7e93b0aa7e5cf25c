//! Chooses the proxy of a request by the variables and rules of Go's `httpproxy`, which Docker, podman and cluster tools
//! use, and curl's ALL_PROXY for SOCKS.

use std::fmt;
use std::net::IpAddr;

use reqwest::Url;
use union_build::diag::Code;

use crate::sys::error::Error;

/// The supported schemes of proxies.
const SCHEMES: [&str; 6] = ["http", "https", "socks5", "socks5h", "socks4", "socks4a"];

/// The proxies in the user's environment variables. By default there are none.
#[derive(Clone, Debug, Default)]
pub struct Proxies {
    http: Option<Proxy>,
    https: Option<Proxy>,
    exceptions: Vec<Exception>,
}

/// A proxy and the variable that configures it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Proxy {
    variable: String,
    /// The URL, which may contain credentials, or why it is invalid.
    address: Result<Url, String>,
}

/// Texts for the error of a response that a proxy may have sent itself.
#[derive(Debug)]
pub(crate) struct ProxyHint {
    cause: String,
    help: String,
}

impl ProxyHint {
    /// Adds the proxy to the cause and to the advice of an error.
    pub(crate) fn add_to(&self, cause: &mut String, help: &mut Option<String>) {
        cause.push_str(&self.cause);
        *help = Some(match help.take() {
            Some(help) => format!("{help} {}", self.help),
            None => format!(
                "{} Else try again later, or ask the operator of the server.",
                self.help
            ),
        });
    }
}

/// An entry of NO_PROXY.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Exception {
    Everybody,
    Network {
        address: IpAddr,
        bits: u8,
    },
    Address {
        address: IpAddr,
        port: Option<String>,
    },
    /// `suffix` starts with a dot; `itself` is whether the name without the dot matches as well.
    Domain {
        suffix: String,
        itself: bool,
        port: Option<String>,
    },
}

impl Proxies {
    /// Reads the variables. An empty variable counts as not set; upper-case names take precedence.
    pub fn of<'a>(variable: impl Fn(&str) -> Option<&'a str>) -> Self {
        // In CGI programs HTTP_PROXY is the `Proxy` header of the request.
        let is_cgi = variable("REQUEST_METHOD").is_some();
        let is_taken = |name: &str| is_cgi && name == "HTTP_PROXY";
        let set = |name: &str| {
            variable(name)
                .map(str::trim)
                .filter(|value| !value.is_empty() && !is_taken(name))
        };
        let first = |names: [&str; 4]| {
            names
                .into_iter()
                .find_map(|name| Some(Proxy::read(name, set(name)?)))
        };
        let exceptions = set("NO_PROXY")
            .or_else(|| set("no_proxy"))
            .unwrap_or_default();
        Self {
            http: first(["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"]),
            https: first(["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"]),
            exceptions: exceptions
                .split([',', ' ', '\t', '\n'])
                .filter_map(|entry| Exception::read(entry.trim()))
                .collect(),
        }
    }

    /// The proxy for a URL, unless its host is this machine or an exception.
    pub(super) fn for_url(&self, url: &Url) -> Option<&Proxy> {
        let proxy = if url.scheme() == "https" {
            &self.https
        } else {
            &self.http
        };
        let proxy = proxy.as_ref()?;
        let host = url
            .host_str()?
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_ascii_lowercase();
        let address = host
            .parse()
            .ok()
            .map(|address: IpAddr| address.to_canonical());
        let port = url
            .port_or_known_default()
            .map(|port| port.to_string())
            .unwrap_or_default();
        let direct = host == "localhost"
            || address.is_some_and(|address| address.is_loopback())
            || self
                .exceptions
                .iter()
                .any(|exception| exception.holds_for(&host, address, &port));
        (!direct).then_some(proxy)
    }
}

impl Proxy {
    fn read(variable: &str, text: &str) -> Self {
        let with_host = |text: &str| {
            Url::parse(text)
                .ok()
                .filter(|url| url.host_str().is_some_and(|host| !host.is_empty()))
        };
        // In `proxy.corp:3128`, `proxy.corp` would be parsed as the scheme.
        let url = if text.contains("://") {
            with_host(text)
        } else {
            with_host(&format!("http://{text}"))
        };
        let address = match url {
            Some(url) if SCHEMES.contains(&url.scheme()) => Ok(url),
            Some(url) => Err(format!(
                "`{}` is none of the kinds {}",
                url.scheme(),
                SCHEMES.join(", ")
            )),
            None => Err("it is not an address".to_owned()),
        };
        Self {
            variable: variable.to_owned(),
            address,
        }
    }

    /// The URL, including credentials.
    ///
    /// # Errors
    /// `SettingInvalid`. The value is not repeated, since it may contain a password.
    pub(super) fn address(&self) -> Result<&Url, Error> {
        self.address.as_ref().map_err(|why| {
            Error::new(
                Code::SettingInvalid,
                format!("{} does not name a proxy that can be used", self.variable),
            )
            .because(why.clone())
            .help(format!(
                "Set {} to `http://host:port` or `socks5h://host:port`, or unset it.",
                self.variable
            ))
        })
    }

    /// The hint for a response to a request without encryption; `None` for a proxy that only forwards bytes, so that
    /// the response is the server's.
    pub(super) fn hint(&self, host: &str) -> Option<ProxyHint> {
        self.address
            .as_ref()
            .ok()
            .filter(|address| address.scheme().starts_with("http"))?;
        let cause = format!(" through the proxy {self}, and the response may be the proxy's own");
        let help = format!(
            "If the proxy in {} has responded, correct it, or list `{host}` in NO_PROXY if it is reached without one.",
            self.variable
        );
        Some(ProxyHint { cause, help })
    }

    /// Advice for a failure on the way to a host.
    pub(super) fn help(&self, host: &str) -> String {
        format!(
            "Correct the proxy in {}, or list `{host}` in NO_PROXY if it is reached without one.",
            self.variable
        )
    }
}

impl fmt::Display for Proxy {
    /// Leaves out the credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.address {
            Ok(url) => {
                write!(
                    f,
                    "{}://{}",
                    url.scheme(),
                    url.host_str().unwrap_or_default()
                )?;
                url.port().map_or(Ok(()), |port| write!(f, ":{port}"))?;
                write!(f, " of {}", self.variable)
            }
            Err(_) => write!(f, "of {}", self.variable),
        }
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({self})")
    }
}

impl Exception {
    fn read(entry: &str) -> Option<Self> {
        let entry = entry.to_lowercase();
        if entry == "*" {
            return Some(Self::Everybody);
        }
        if let Some(network) = network(&entry) {
            return Some(network);
        }
        let (host, port) = match split(&entry) {
            Some((host, port)) => (host, Some(port.to_owned()).filter(|port| !port.is_empty())),
            None => (entry.trim_start_matches('[').trim_end_matches(']'), None),
        };
        if let Ok(address) = host.parse::<IpAddr>() {
            return Some(Self::Address {
                address: address.to_canonical(),
                port,
            });
        }
        let host = host
            .strip_prefix('*')
            .filter(|rest| rest.starts_with('.'))
            .unwrap_or(host);
        let (name, itself) = host
            .strip_prefix('.')
            .map_or((host, true), |name| (name, false));
        if name.is_empty() {
            return None;
        }
        let ascii = match url::Host::parse(name) {
            Ok(url::Host::Domain(ascii)) => ascii,
            _ => name.to_owned(),
        };
        Some(Self::Domain {
            suffix: format!(".{ascii}"),
            itself,
            port,
        })
    }

    fn holds_for(&self, host: &str, address: Option<IpAddr>, port: &str) -> bool {
        let any_or = |wanted: &Option<String>| wanted.as_ref().is_none_or(|wanted| wanted == port);
        match (self, address) {
            (Self::Everybody, _) => true,
            (
                Self::Network {
                    address: network,
                    bits,
                },
                Some(address),
            ) => is_in(address, *network, *bits),
            (
                Self::Address {
                    address: meant,
                    port,
                },
                Some(address),
            ) => *meant == address && any_or(port),
            (
                Self::Domain {
                    suffix,
                    itself,
                    port,
                },
                None,
            ) => {
                (host.ends_with(suffix.as_str())
                    || (*itself && suffix.strip_prefix('.') == Some(host)))
                    && any_or(port)
            }
            _ => false,
        }
    }
}

/// Parses a network: `10.0.0.0/8`, `2001:db8::/32`.
fn network(entry: &str) -> Option<Exception> {
    let (address, bits) = entry.split_once('/')?;
    let (address, bits): (IpAddr, u8) = (address.parse().ok()?, bits.parse().ok()?);
    let most = if address.is_ipv4() { 32 } else { 128 };
    (bits <= most).then_some(Exception::Network { address, bits })
}

/// Host and port of `host:port` and `[address]:port`; `None` when there is no port.
fn split(entry: &str) -> Option<(&str, &str)> {
    if let Some(rest) = entry.strip_prefix('[') {
        let (address, port) = rest.split_once(']')?;
        return Some((address, port.strip_prefix(':')?));
    }
    entry
        .split_once(':')
        .filter(|(_, port)| !port.contains(':'))
}

fn is_in(address: IpAddr, network: IpAddr, bits: u8) -> bool {
    let bits = u32::from(bits);
    match (address, network) {
        (IpAddr::V4(address), IpAddr::V4(network)) => {
            (address.to_bits() ^ network.to_bits())
                .checked_shr(32 - bits.min(32))
                .unwrap_or(0)
                == 0
        }
        (IpAddr::V6(address), IpAddr::V6(network)) => {
            (address.to_bits() ^ network.to_bits())
                .checked_shr(128 - bits.min(128))
                .unwrap_or(0)
                == 0
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests;
