//! Encrypted lines: the engine's authority and our own certificate, as the docker CLI keeps them.

use std::fmt::Display;
use std::path::Path;
use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};

use super::http_client::EngineEndpoint;

/// The way to `host:port`; the folder has `ca.pem`, and `cert.pem` with `key.pem` when the engine
/// wants to know who asks. Without an authority of its own the public ones are trusted.
pub(super) fn way(address: &str, certificates: Option<&Path>) -> Result<EngineEndpoint, String> {
    let file = |name| certificates.map(|folder| folder.join(name)).filter(|path| path.is_file());
    let mut roots = RootCertStore::empty();
    match file("ca.pem") {
        Some(path) => drop(roots.add_parsable_certificates(read(&path)?)),
        None => drop(roots.add_parsable_certificates(webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().cloned())),
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().map_err(|cause| cause.to_string())?.with_root_certificates(roots);
    let config = match file("cert.pem").zip(file("key.pem")) {
        Some((certificate, key)) => {
            let private = PrivateKeyDer::from_pem_file(&key).map_err(|cause| certificate_error(&key, &cause))?;
            builder.with_client_auth_cert(read(&certificate)?, private).map_err(|cause| certificate_error(&key, &cause))?
        }
        None => builder.with_no_client_auth(),
    };
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host).trim_matches(['[', ']']).to_owned();
    let name = ServerName::try_from(host).map_err(|cause| cause.to_string())?;
    Ok(EngineEndpoint::Tls { address: address.to_owned(), name, config: Arc::new(config) })
}

/// What went wrong on a line, and what helps when that is plain.
pub(super) fn advise(way: &EngineEndpoint, why: String) -> String {
    let has = |signs: &[&str]| signs.iter().any(|sign| why.contains(sign));
    let advice = match way {
        EngineEndpoint::Tcp(_) if why.contains("HTTPS server") => {
            "it speaks TLS only: set DOCKER_TLS_VERIFY=1, and DOCKER_CERT_PATH to the folder of its `ca.pem`"
        }
        EngineEndpoint::Tls { .. } if has(&["CertificateRequired", "BadCertificate", "UnknownCA"]) => {
            "it wants to know who asks: `cert.pem` and `key.pem` beside `ca.pem`, of an authority that it trusts"
        }
        // In TLS 1.3 the engine judges our certificate after our side of the handshake has ended: what reaches us first, its
        // alert or the end of the line, is chance.
        EngineEndpoint::Tls { .. } if has(&["was not ready", "closed before", "reset by peer", "Broken pipe"]) => {
            "it ended the connection before it was asked anything, as an engine does that wants to know who asks: `cert.pem` \
             and `key.pem` beside `ca.pem`, of an authority that it trusts"
        }
        EngineEndpoint::Tls { .. } if has(&["UnknownIssuer", "BadSignature"]) => "its certificate is of another authority than `ca.pem`",
        _ => return why,
    };
    format!("{why} ({advice})")
}

fn read(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    read.map_err(|cause| certificate_error(path, &cause))
}

fn certificate_error(path: &Path, cause: &dyn Display) -> String {
    format!("`{}`: {cause}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_ends_without_an_alert_is_explained_as_one_with_it() {
        let encrypted = way("127.0.0.1:2376", None).expect("the public authorities are there");
        for why in [
            "received fatal alert: CertificateRequired",
            "connection was not ready",
            "connection closed before message completed",
            "Connection reset by peer (os error 104)",
            "Broken pipe (os error 32)",
        ] {
            let advice = advise(&encrypted, why.to_owned());
            assert!(advice.starts_with(why) && advice.contains("`cert.pem` and `key.pem` beside `ca.pem`"), "{advice}");
            let plain = EngineEndpoint::Tcp("127.0.0.1:2375".to_owned());
            assert_eq!(advise(&plain, why.to_owned()), why);
        }
    }
}
