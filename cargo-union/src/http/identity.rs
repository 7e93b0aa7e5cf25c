//! TLS client certificates with their keys, from the `certs.d` directories of Docker and podman.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::ResolvesClientCert;
use rustls::crypto::ring;
use rustls::sign::CertifiedKey;
use rustls::{InconsistentKeys, SignatureScheme};
use rustls_pki_types::pem::{Error as PemError, PemObject as _};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use union_build::diag::Code;

use super::error::clean;
use crate::sys::error::{Error, Result};
use crate::sys::fs::unreadable;

/// Client certificates with their keys. The first one that the server accepts is used.
#[derive(Debug)]
pub(super) struct Identities(Vec<Arc<CertifiedKey>>);

impl Identities {
    /// Reads the pairs `*.cert` and `*.key` of directories; `None` when there are none.
    ///
    /// # Errors
    /// `CredentialsInvalid` for an incomplete or invalid pair, `FileUnreadable`; the message names the files.
    pub(super) fn of(directories: &[PathBuf]) -> Result<Option<Arc<Self>>> {
        let mut pairs = Vec::new();
        for directory in directories {
            for file in files(directory)? {
                let (certificate, key) = (file.with_extension("cert"), file.with_extension("key"));
                match file.extension().and_then(|extension| extension.to_str()) {
                    Some("cert") if !key.exists() => {
                        let cause = "Certificates of authorities have the ending `.crt`, those of clients a key beside them.";
                        return Err(invalid(
                            &certificate,
                            &format!("its key `{}` does not exist", key.display()),
                        )
                        .help(cause));
                    }
                    Some("cert") => pairs.push(Arc::new(pair(&certificate, &key)?)),
                    Some("key") if !certificate.exists() => {
                        return Err(invalid(
                            &key,
                            &format!("its certificate `{}` does not exist", certificate.display()),
                        ));
                    }
                    _ => {}
                }
            }
        }
        Ok((!pairs.is_empty()).then(|| Arc::new(Self(pairs))))
    }
}

impl ResolvesClientCert for Identities {
    /// The first pair that one of the server's accepted authorities has signed. An empty list accepts any authority.
    fn resolve(
        &self,
        authorities: &[&[u8]],
        schemes: &[SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        let is_signed_by = |pair: &CertifiedKey, authority: &[u8]| {
            // A certificate contains its issuer's name in the DER encoding that the server sends.
            !authority.is_empty()
                && pair.cert.iter().any(|certificate| {
                    certificate
                        .windows(authority.len())
                        .any(|part| part == authority)
                })
        };
        let fits = |pair: &&Arc<CertifiedKey>| {
            let known = authorities.is_empty()
                || authorities
                    .iter()
                    .any(|authority| is_signed_by(pair, authority));
            known && pair.key.choose_scheme(schemes).is_some()
        };
        self.0.iter().find(fits).cloned()
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// The files of a directory, sorted. A directory without read permission counts as empty, as for podman.
pub(super) fn files(directory: &Path) -> Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(cause)
            if matches!(
                cause.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied
            ) =>
        {
            return Ok(Vec::new());
        }
        Err(cause) => return Err(unreadable(directory, cause)),
    };
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    files.sort();
    Ok(files)
}

fn pair(certificate: &Path, key: &Path) -> Result<CertifiedKey> {
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(|chain| chain.collect::<Result<Vec<_>, _>>());
    let chain = chain.map_err(|cause| unusable(certificate, cause))?;
    if chain.is_empty() {
        return Err(invalid(certificate, "it holds no certificate"));
    }
    let secret = PrivateKeyDer::from_pem_file(key).map_err(|cause| match cause {
        PemError::NoItemsFound => invalid(key, "it holds no key that is not encrypted"),
        cause => unusable(key, cause),
    })?;
    let secret = ring::sign::any_supported_type(&secret)
        .map_err(|_| invalid(key, "it is of a kind that is not supported"))?;
    let pair = CertifiedKey::new(chain, secret);
    match pair.keys_match() {
        Ok(()) | Err(rustls::Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(pair),
        Err(_) => Err(invalid(
            key,
            &format!("it does not belong to `{}`", certificate.display()),
        )),
    }
}

fn unusable(file: &Path, cause: PemError) -> Error {
    match cause {
        PemError::Io(cause) => unreadable(file, cause),
        // The content is not repeated, since it may contain a key.
        PemError::NoItemsFound => invalid(file, "it contains no PEM block"),
        other => invalid(file, &clean(&format!("it is not PEM: {}", kind(&other)))),
    }
}

fn kind(error: &PemError) -> &'static str {
    match error {
        PemError::MissingSectionEnd { .. } => "a section has no end",
        PemError::IllegalSectionStart { .. } => "a section has no proper start",
        PemError::Base64Decode(_) => "a section is not base64",
        _ => "it cannot be parsed",
    }
}

fn invalid(file: &Path, cause: &str) -> Error {
    Error::new(
        Code::CredentialsInvalid,
        format!(
            "could not use the client's certificate of `{}`",
            file.display()
        ),
    )
    .because(cause.to_owned())
}
