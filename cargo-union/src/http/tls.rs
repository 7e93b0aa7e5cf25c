//! Certificate authorities for TLS: Mozilla's, the machine's and the user's, as for curl and Docker; or only those of one
//! file; or no verification at all, when the user disables it. They are read before the first TLS connection.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use reqwest::Url;
use rustls::crypto::ring;
use rustls::{AlertDescription, CertificateError, ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use union_build::diag::Code;

use super::error::clean;
use super::identity::{self, Identities};
use super::insecure;
use crate::sys::error::Error;
use crate::sys::fs;

/// Bundles of the machine's certificate authorities on Linux distributions and macOS.
const BUNDLES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Where certificate authorities are configured.
#[derive(Clone, Debug, Default)]
pub struct Authorities {
    /// `SSL_CERT_FILE`.
    pub file: Option<PathBuf>,
    /// `SSL_CERT_DIR`: directories.
    pub directories: Vec<PathBuf>,
    /// Directories such as `/etc/docker/certs.d`, with a subdirectory per registry: `*.crt` are authorities, `*.cert` with
    /// `*.key` are client certificates.
    pub registries: Vec<PathBuf>,
    /// A file whose authorities replace all others.
    pub only: Option<PathBuf>,
    /// Disables verification, unless `only` is set.
    pub skip_verify: bool,
}

/// The TLS configuration; authorities are read when they are needed.
#[derive(Debug)]
pub(super) struct TlsConfig {
    named: Authorities,
    common: OnceLock<Arc<RootCertStore>>,
}

impl TlsConfig {
    pub(super) fn new(named: Authorities) -> Self {
        Self {
            named,
            common: OnceLock::new(),
        }
    }

    /// The existing `certs.d` directories of a registry.
    pub(super) fn directories_of(&self, url: &Url) -> Vec<PathBuf> {
        let host = url.host_str().unwrap_or_default();
        let names = match url.port() {
            Some(port) => vec![format!("{host}:{port}")],
            None => vec![host.to_owned(), format!("{host}:443")],
        };
        let is_name = |name: &&String| !name.starts_with('.') && !name.contains('/');
        let directories = self.named.registries.iter().flat_map(|directory| {
            names
                .iter()
                .filter(is_name)
                .map(|name| directory.join(name))
        });
        directories.filter(|directory| directory.is_dir()).collect()
    }

    /// Advice for a failed TLS handshake with a host; `None` when the caller has more specific advice.
    pub(super) fn advice(&self, host: &str, error: &rustls::Error) -> Option<String> {
        match error {
            // Another authority of the same name, as after its key was renewed, has a bad signature.
            rustls::Error::InvalidCertificate(
                CertificateError::UnknownIssuer | CertificateError::BadSignature,
            ) => {
                let directory = self.named.registries.first()?.join(host);
                let place = directory.display();
                Some(format!(
                    "Trust its certificate authority: name a PEM file in SSL_CERT_FILE, or put it into `{place}` as `ca.crt`."
                ))
            }
            rustls::Error::InvalidCertificate(error) => Some(certificate_advice(host, error)),
            rustls::Error::AlertReceived(
                AlertDescription::ProtocolVersion | AlertDescription::InsufficientSecurity,
            )
            | rustls::Error::PeerIncompatible(_) => Some(format!(
                "Let {host} offer TLS 1.2 or 1.3 with a secure cipher suite: ask its operator."
            )),
            rustls::Error::AlertReceived(AlertDescription::UnrecognisedName) => Some(format!(
                "Check the name: the server does not serve `{host}`."
            )),
            rustls::Error::AlertReceived(_) => {
                let directory = self.named.registries.first()?.join(host);
                let place = directory.display();
                Some(format!(
                    "If {host} requires a client certificate, put `client.cert` and `client.key` into `{place}`."
                ))
            }
            _ => None,
        }
    }

    /// A configuration with the common authorities, and the authorities and client certificates of some directories.
    pub(super) fn config(&self, directories: &[PathBuf]) -> Result<ClientConfig, Error> {
        if self.named.skip_verify && self.named.only.is_none() {
            return Ok(insecure::config());
        }
        let mut roots = self.common()?;
        for directory in directories {
            let files = identity::files(directory)?;
            for file in files
                .iter()
                .filter(|file| file.extension().is_some_and(|extension| extension == "crt"))
            {
                // Like Docker, ignores a file without certificates.
                let text = fs::read(file)?;
                add(
                    Arc::make_mut(&mut roots),
                    CertificateDer::pem_slice_iter(&text),
                );
            }
        }
        Ok(config(roots, Identities::of(directories)?))
    }

    fn common(&self) -> Result<Arc<RootCertStore>, Error> {
        if let Some(roots) = self.common.get() {
            return Ok(roots.clone());
        }
        let mut roots = RootCertStore::empty();
        if let Some(only) = &self.named.only {
            add_file(&mut roots, only).map_err(|cause| {
                unusable(only)
                    .because(cause)
                    .help("Name a file of PEM certificates.")
            })?;
            return Ok(self.common.get_or_init(|| Arc::new(roots)).clone());
        }
        roots.add_parsable_certificates(webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().cloned());
        match &self.named.file {
            Some(file) => add_file(&mut roots, file).map_err(|cause| {
                Error::new(
                    Code::FileUnreadable,
                    format!(
                        "could not read `{}`, which SSL_CERT_FILE names",
                        file.display()
                    ),
                )
                .because(cause)
                .help("Let SSL_CERT_FILE name a file of PEM certificates, or unset it.")
            })?,
            // Without a bundle, Mozilla's authorities remain.
            None => drop(
                BUNDLES
                    .iter()
                    .find(|bundle| add_file(&mut roots, Path::new(bundle)).is_ok()),
            ),
        }
        self.named
            .directories
            .iter()
            .for_each(|directory| add_directory(&mut roots, directory));
        Ok(self.common.get_or_init(|| Arc::new(roots)).clone())
    }
}

/// A configuration without authorities, for plain HTTP: it is cheap to build.
pub(super) fn trusting_nobody() -> ClientConfig {
    config(Arc::new(RootCertStore::empty()), None)
}

fn certificate_advice(host: &str, error: &CertificateError) -> String {
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            format!(
                "The certificate of {host} has expired: ask its operator to renew it, or correct this machine's clock."
            )
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            format!(
                "The certificate of {host} is not valid yet: correct this machine's clock, or ask its operator for another one."
            )
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            format!(
                "Use a name that is in the certificate, or ask the operator of {host} for one with this name."
            )
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            format!(
                "Ask the operator of {host} for a certificate for servers (`extendedKeyUsage = serverAuth`)."
            )
        }
        // webpki's text for this error, which has no variant in rustls.
        CertificateError::Other(error) if error.to_string().contains("CaUsedAsEndEntity") => {
            format!(
                "{host} uses a certificate of a certificate authority, which is not accepted for a server: ask for one with `CA:FALSE`."
            )
        }
        _ => format!("The certificate of {host} cannot be used: ask its operator for another one."),
    }
}

fn unusable(file: &Path) -> Error {
    Error::new(
        Code::FileUnreadable,
        format!("could not read the authorities in `{}`", file.display()),
    )
}

fn config(roots: Arc<RootCertStore>, identities: Option<Arc<Identities>>) -> ClientConfig {
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring supports the protocol versions that rustls has")
        .with_root_certificates(roots);
    let mut config = match identities {
        Some(identities) => config.with_client_cert_resolver(identities),
        None => config.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config
}

fn add_file(roots: &mut RootCertStore, file: &Path) -> Result<(), String> {
    let certificates =
        CertificateDer::pem_file_iter(file).map_err(|cause| clean(&cause.to_string()))?;
    if add(roots, certificates) == 0 {
        Err("it holds no certificate".to_owned())
    } else {
        Ok(())
    }
}

/// Adds the valid certificates, and returns their number.
fn add<E>(
    roots: &mut RootCertStore,
    certificates: impl Iterator<Item = Result<CertificateDer<'static>, E>>,
) -> usize {
    roots
        .add_parsable_certificates(certificates.filter_map(Result::ok))
        .0
}

/// Adds the certificates of a directory. Other files, and those that cannot be read, are ignored.
fn add_directory(roots: &mut RootCertStore, directory: &Path) {
    let Ok(entries) = std::fs::read_dir(directory) else {
        return;
    };
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| is_certificate(path))
        .collect();
    files.sort();
    // Names such as `4a6481c9.0` are symbolic links to another file in the directory, or the only name of a file.
    files.dedup_by_key(|path| path.canonicalize().unwrap_or_else(|_| path.clone()));
    for file in files {
        let _ = add_file(roots, &file);
    }
}

fn is_certificate(path: &Path) -> bool {
    path.extension().is_some_and(|extension| {
        extension == "crt"
            || extension == "pem"
            || extension.as_encoded_bytes().iter().all(u8::is_ascii_digit)
    })
}

#[cfg(test)]
mod tests;
