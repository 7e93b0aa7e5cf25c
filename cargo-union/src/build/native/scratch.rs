//! The files that an image from scratch needs besides the binary: CA certificates, users, a home directory and /tmp.
//!
//! They are compiled in and not taken from the host, so that the layer is the same on every machine.

use std::path::Path;
use std::sync::LazyLock;

use base64::Engine as _;
use sha2::{Digest as _, Sha256};

use super::pack::{EntryKind, LayerEntry};
use crate::build::measured_files::MeasuredFiles;
use crate::sys::error::Result;

/// The CA bundle that TLS clients read by default.
pub(super) const CA_CERTIFICATES: &str = "etc/ssl/certs/ca-certificates.crt";

/// The default, unprivileged `user:group` of an image from scratch; the IDs are those of distroless images.
pub(super) const USER: &str = "65532:65532";

/// `/etc/passwd`.
pub(super) const PASSWD: &str = "root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n";

/// `/etc/group`.
pub(super) const GROUP: &str = "root:x:0:\nnonroot:x:65532:\n";

/// The entries of the layer; `bundle` replaces the compiled-in CA certificates.
pub(super) fn entries(bundle: Option<&Path>, files: &MeasuredFiles) -> Result<Vec<LayerEntry>> {
    let certificates = match bundle {
        Some(path) => EntryKind::File(path.to_owned(), files.measure(path)?),
        None => EntryKind::Bytes(ca_bundle().into_bytes()),
    };
    let file = |path: &str, kind| LayerEntry {
        path: path.to_owned(),
        mode: 0o644,
        owner: 0,
        group: 0,
        kind,
    };
    let text = |path, text: &str| file(path, EntryKind::Bytes(text.as_bytes().to_vec()));
    Ok(vec![
        LayerEntry::directory("etc"),
        text("etc/group", GROUP),
        // Without it, a C library may query DNS before /etc/hosts.
        text("etc/nsswitch.conf", "hosts: files dns\n"),
        text("etc/passwd", PASSWD),
        LayerEntry::directory("etc/ssl"),
        LayerEntry::directory("etc/ssl/certs"),
        file(CA_CERTIFICATES, certificates),
        LayerEntry::directory("home"),
        LayerEntry {
            owner: 65532,
            group: 65532,
            ..LayerEntry::directory("home/nonroot")
        },
        LayerEntry {
            mode: 0o700,
            ..LayerEntry::directory("root")
        },
        LayerEntry {
            mode: 0o1777,
            ..LayerEntry::directory("tmp")
        },
    ])
}

/// The SHA-256 of the compiled-in CA bundle, computed once.
pub(in crate::build) fn ca_bundle_hash() -> [u8; 32] {
    static HASH: LazyLock<[u8; 32]> = LazyLock::new(|| Sha256::digest(ca_bundle()).into());
    *HASH
}

/// Mozilla's CA certificates as PEM, sorted by their DER bytes.
fn ca_bundle() -> String {
    let mut certificates: Vec<&[u8]> = webpki_root_certs::TLS_SERVER_ROOT_CERTS
        .iter()
        .map(AsRef::as_ref)
        .collect();
    certificates.sort_unstable();
    let mut pem = String::new();
    for certificate in certificates {
        pem.push_str("-----BEGIN CERTIFICATE-----\n");
        let text = base64::engine::general_purpose::STANDARD.encode(certificate);
        for line in text.as_bytes().chunks(64) {
            pem.extend(line.iter().map(|byte| char::from(*byte)));
            pem.push('\n');
        }
        pem.push_str("-----END CERTIFICATE-----\n");
    }
    pem
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use rustls_pki_types::CertificateDer;
    use rustls_pki_types::pem::PemObject as _;

    use super::*;

    #[test]
    fn ca_bundle_is_parsed_by_a_tls_library() {
        let pem = ca_bundle();
        let parsed: Vec<_> = CertificateDer::pem_slice_iter(pem.as_bytes())
            .map(|certificate| certificate.unwrap())
            .collect();
        assert_eq!(parsed.len(), webpki_root_certs::TLS_SERVER_ROOT_CERTS.len());
        assert!(parsed.is_sorted_by_key(|certificate| certificate.to_vec()));
        assert!(pem.lines().all(|line| line.len() <= 64));
    }

    #[test]
    fn nonroot_user_of_scratch_has_the_ids_of_the_config() {
        assert_eq!(
            crate::image::user::numeric("nonroot", Some(PASSWD), Some(GROUP)).unwrap(),
            USER
        );
    }
}
