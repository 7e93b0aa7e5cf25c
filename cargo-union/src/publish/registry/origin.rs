//! Selects https or, where allowed, http for the host of a registry.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;
use union_build::diag::Code;

use crate::http::error::{TransportError, TransportErrorKind};
use crate::http::{HttpRequest, Method, StatusCode, Transport, Url, is_loopback};
use crate::publish::failure::RegistryFailure;

/// The size limit of a response to a probe, in bytes.
const LONGEST: usize = 64 << 10;

/// The origin of each host; probed only once.
#[derive(Debug, Default)]
pub(super) struct Origins(Mutex<HashMap<String, Arc<OnceCell<Url>>>>);

impl Origins {
    /// `https://host/` or, if that is allowed and the host does not support TLS, `http://host/`.
    pub(super) async fn of(
        &self,
        transport: &Transport,
        host: &str,
    ) -> Result<Url, RegistryFailure> {
        let cell = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(host.to_owned())
            .or_default()
            .clone();
        cell.get_or_try_init(|| find(transport, host))
            .await
            .cloned()
    }
}

/// Probes a host that may be insecure. Loopback is probed with http first, because registries there rarely support TLS,
/// and other hosts with https first.
async fn find(transport: &Transport, host: &str) -> Result<Url, RegistryFailure> {
    let secure = origin("https", host)?;
    if !transport.may_be_plain(host) {
        return Ok(secure);
    }
    let plain = origin("http", host)?;
    if is_loopback(host) {
        return match probe(transport, &plain).await {
            Ok(true) => Ok(plain),
            Ok(false) => Ok(secure),
            Err(fault) => {
                let asked = probe(transport, &secure).await.map(|_| secure);
                asked.map_err(|other| {
                    if matches!(
                        other.kind,
                        TransportErrorKind::Plain(_) | TransportErrorKind::Untrusted
                    ) {
                        other
                    } else {
                        fault
                    }
                    .into()
                })
            }
        };
    }
    match probe(transport, &secure).await {
        Ok(_) => Ok(secure),
        Err(fault) => match probe(transport, &plain).await {
            Ok(true) => Ok(plain),
            // The user has configured that it does not support TLS.
            Err(other) if matches!(fault.kind, TransportErrorKind::Plain(_)) => Err(other.into()),
            Err(other)
                if fault.kind == TransportErrorKind::NoConnection && fault.cause != other.cause =>
            {
                let cause = format!("{}; without encryption: {}", fault.cause, other.cause);
                Err(TransportError {
                    cause,
                    help: fault.help.or(other.help),
                    ..fault
                }
                .into())
            }
            _ => Err(fault.into()),
        },
    }
}

/// Whether the host responds at this URL; `false` if its response requires TLS.
async fn probe(transport: &Transport, origin: &Url) -> Result<bool, TransportError> {
    let url = origin.join("v2/").expect("`v2/` is a relative URL");
    let mut answer = transport
        .send_once(&HttpRequest::new(Method::GET, url))
        .await?;
    if origin.scheme() == "https" || answer.status() != StatusCode::BAD_REQUEST {
        return Ok(true);
    }
    // Go: "Client sent an HTTP request to an HTTPS server."; nginx: "The plain HTTP request was sent to HTTPS port".
    let text = answer.bytes(LONGEST).await.unwrap_or_default();
    Ok(!String::from_utf8_lossy(&text).contains("HTTPS"))
}

fn origin(scheme: &str, host: &str) -> Result<Url, RegistryFailure> {
    Url::parse(&format!("{scheme}://{host}/")).map_err(|cause| {
        RegistryFailure::new(
            Code::InvalidRegistry,
            format!("`{host}` is not a registry: {cause}"),
        )
    })
}
