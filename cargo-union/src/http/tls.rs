//! Whom a secure connection trusts: Mozilla's authorities, the machine's, and those that the user
//! names as curl and Docker let them be named; or only those of one file; or anybody, when the user
//! wants that. Nothing is read before a secure connection is made.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use union_build::diag::Code;

use super::anybody;
use super::fault::clean;
use crate::base::error::Error;

/// Where Linux distributions and macOS keep the machine's authorities.
const BUNDLES: [&str; 4] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem"];

/// Where authorities are named.
#[derive(Clone, Debug, Default)]
pub struct Authorities {
    /// `SSL_CERT_FILE`.
    pub file: Option<PathBuf>,
    /// `SSL_CERT_DIR`: folders.
    pub folders: Vec<PathBuf>,
    /// Docker's `/etc/docker/certs.d`, with a folder of `*.crt` per registry.
    pub docker: Option<PathBuf>,
    /// A file whose authorities stand in for all others.
    pub only: Option<PathBuf>,
    /// Whether every certificate will do, when no file stands in.
    pub anybody: bool,
}

/// The authorities, read when they are needed.
#[derive(Debug)]
pub(super) struct Trust {
    named: Authorities,
    common: OnceLock<Arc<RootCertStore>>,
}

impl Trust {
    pub(super) fn new(named: Authorities) -> Self {
        Self { named, common: OnceLock::new() }
    }

    /// The folder of authorities for one registry, when there is one.
    pub(super) fn folder_of(&self, host: &str) -> Option<PathBuf> {
        self.named.docker.as_ref().map(|folder| folder.join(host)).filter(|folder| folder.is_dir())
    }

    /// A configuration that trusts the common authorities and those of one folder.
    pub(super) fn config(&self, folder: Option<&Path>) -> Result<ClientConfig, Error> {
        if self.named.anybody && self.named.only.is_none() {
            return Ok(anybody::config());
        }
        let mut roots = self.common()?;
        if let Some(folder) = folder {
            add_folder(Arc::make_mut(&mut roots), folder);
        }
        Ok(config(roots))
    }

    fn common(&self) -> Result<Arc<RootCertStore>, Error> {
        if let Some(roots) = self.common.get() {
            return Ok(roots.clone());
        }
        let mut roots = RootCertStore::empty();
        if let Some(only) = &self.named.only {
            add_file(&mut roots, only).map_err(|cause| unusable(only).because(cause).help("Name a file of PEM certificates."))?;
            return Ok(self.common.get_or_init(|| Arc::new(roots)).clone());
        }
        roots.add_parsable_certificates(webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().cloned());
        match &self.named.file {
            Some(file) => add_file(&mut roots, file).map_err(|cause| {
                Error::new(Code::FileUnreadable, format!("could not read `{}`, which SSL_CERT_FILE names", file.display()))
                    .because(cause)
                    .help("Let SSL_CERT_FILE name a file of PEM certificates, or unset it.")
            })?,
            // A machine without a bundle still has Mozilla's authorities.
            None => drop(BUNDLES.iter().find(|bundle| add_file(&mut roots, Path::new(bundle)).is_ok())),
        }
        self.named.folders.iter().for_each(|folder| add_folder(&mut roots, folder));
        Ok(self.common.get_or_init(|| Arc::new(roots)).clone())
    }
}

/// A configuration that trusts nobody, for connections without encryption: it costs nothing.
pub(super) fn trusting_nobody() -> ClientConfig {
    config(Arc::new(RootCertStore::empty()))
}

fn unusable(file: &Path) -> Error {
    Error::new(Code::FileUnreadable, format!("could not read the authorities in `{}`", file.display()))
}

fn config(roots: Arc<RootCertStore>) -> ClientConfig {
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring supports the protocol versions that rustls has")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config
}

fn add_file(roots: &mut RootCertStore, file: &Path) -> Result<(), String> {
    let certificates = CertificateDer::pem_file_iter(file).map_err(|cause| clean(&cause.to_string()))?;
    let (added, _) = roots.add_parsable_certificates(certificates.filter_map(Result::ok));
    if added == 0 { Err("it holds no certificate".to_owned()) } else { Ok(()) }
}

/// Adds every certificate of a folder. Its other files, and one that cannot be read, have no say.
fn add_folder(roots: &mut RootCertStore, folder: &Path) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| is_certificate(path)).collect();
    files.sort();
    // Names such as `4a6481c9.0` are links to a file with a plain name, or the only name there is.
    files.dedup_by_key(|path| path.canonicalize().unwrap_or_else(|_| path.clone()));
    for file in files {
        let _ = add_file(roots, &file);
    }
}

fn is_certificate(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension == "crt" || extension == "pem" || extension.as_encoded_bytes().iter().all(u8::is_ascii_digit))
}
