//! TLS connections to engines, with the certificate files of the docker CLI.

use std::fmt::Display;
use std::path::Path;
use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};

use super::http_client::EngineEndpoint;

/// The TLS endpoint at `host:port`. The directory has `ca.pem`, and `cert.pem` with `key.pem` when the engine requires a
/// client certificate. Without `ca.pem` the public certificate authorities are trusted.
pub(super) fn endpoint(
    address: &str,
    certificates: Option<&Path>,
) -> Result<EngineEndpoint, String> {
    let file = |name| {
        certificates
            .map(|directory| directory.join(name))
            .filter(|path| path.is_file())
    };
    let mut roots = RootCertStore::empty();
    match file("ca.pem") {
        Some(path) => drop(roots.add_parsable_certificates(read_certificates(&path)?)),
        None => {
            let _ = roots.add_parsable_certificates(
                webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().cloned(),
            );
        }
    }
    let builder =
        ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
    let builder = builder
        .with_safe_default_protocol_versions()
        .map_err(|cause| cause.to_string())?
        .with_root_certificates(roots);
    let config = match file("cert.pem").zip(file("key.pem")) {
        Some((certificate, key)) => {
            let private = PrivateKeyDer::from_pem_file(&key)
                .map_err(|cause| certificate_error(&key, &cause))?;
            builder
                .with_client_auth_cert(read_certificates(&certificate)?, private)
                .map_err(|cause| certificate_error(&key, &cause))?
        }
        None => builder.with_no_client_auth(),
    };
    let host = address
        .rsplit_once(':')
        .map_or(address, |(host, _)| host)
        .trim_matches(['[', ']'])
        .to_owned();
    let name = ServerName::try_from(host).map_err(|cause| cause.to_string())?;
    Ok(EngineEndpoint::Tls {
        address: address.to_owned(),
        name,
        config: Arc::new(config),
    })
}

/// Adds advice to the cause of a failed connection, where a known cause allows it.
pub(super) fn with_advice(endpoint: &EngineEndpoint, cause: String) -> String {
    let has = |signs: &[&str]| signs.iter().any(|sign| cause.contains(sign));
    let advice = match endpoint {
        EngineEndpoint::Tcp(_) if cause.contains("HTTPS server") => {
            "the engine requires TLS: set DOCKER_TLS_VERIFY=1, and DOCKER_CERT_PATH to the directory of its `ca.pem`"
        }
        EngineEndpoint::Tls { .. }
            if has(&["CertificateRequired", "BadCertificate", "UnknownCA"]) =>
        {
            "the engine requires a client certificate: `cert.pem` and `key.pem` beside `ca.pem`, issued by an authority that it trusts"
        }
        // In TLS 1.3 the engine verifies the client certificate after the client's handshake is complete, so either the
        // alert or the end of the connection is seen first.
        EngineEndpoint::Tls { .. }
            if has(&[
                "was not ready",
                "closed before",
                "reset by peer",
                "Broken pipe",
            ]) =>
        {
            "the engine closed the connection before any request; it may require a client certificate: `cert.pem` and `key.pem` \
             beside `ca.pem`, issued by an authority that it trusts"
        }
        EngineEndpoint::Tls { .. } if has(&["UnknownIssuer", "BadSignature"]) => {
            "its certificate was not issued by the authority in `ca.pem`"
        }
        _ => return cause,
    };
    format!("{cause} ({advice})")
}

fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let certificates: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    certificates.map_err(|cause| certificate_error(path, &cause))
}

fn certificate_error(path: &Path, cause: &dyn Display) -> String {
    format!("`{}`: {cause}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closed_connection_gets_the_advice_of_a_certificate_alert() {
        let encrypted = endpoint("127.0.0.1:2376", None).expect("public authorities are valid");
        for cause in [
            "received fatal alert: CertificateRequired",
            "connection was not ready",
            "connection closed before message completed",
            "Connection reset by peer (os error 104)",
            "Broken pipe (os error 32)",
        ] {
            let advice = with_advice(&encrypted, cause.to_owned());
            assert!(
                advice.starts_with(cause)
                    && advice.contains("`cert.pem` and `key.pem` beside `ca.pem`"),
                "{advice}"
            );
            let plain = EngineEndpoint::Tcp("127.0.0.1:2375".to_owned());
            assert_eq!(with_advice(&plain, cause.to_owned()), cause);
        }
    }
}
