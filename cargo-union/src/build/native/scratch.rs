//! What an image from scratch needs beside the binary: authorities for TLS, users, a home and /tmp.
//!
//! All of it is compiled in: nothing is taken from the host, so every machine makes the same layer.

use std::path::Path;
use std::sync::LazyLock;

use base64::Engine as _;
use sha2::{Digest as _, Sha256};

use super::pack::{EntryKind, LayerEntry};
use crate::build::measured_files::MeasuredFiles;
use crate::sys::error::Result;

/// Where TLS clients look for the authorities they trust.
pub(super) const CA_CERTIFICATES: &str = "etc/ssl/certs/ca-certificates.crt";

/// The user of an image from scratch, who is not root: `user:group`.
pub(super) const USER: &str = "65532:65532";

/// Users of an image from scratch.
pub(super) const PASSWD: &str = "root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n";

/// Groups of an image from scratch.
pub(super) const GROUP: &str = "root:x:0:\nnonroot:x:65532:\n";

/// The entries of the layer; `bundle` replaces the compiled-in authorities.
pub(super) fn entries(bundle: Option<&Path>, files: &MeasuredFiles) -> Result<Vec<LayerEntry>> {
    let authorities = match bundle {
        Some(path) => EntryKind::File(path.to_owned(), files.measure(path)?),
        None => EntryKind::Bytes(ca_bundle().into_bytes()),
    };
    let file = |path: &str, what| LayerEntry { path: path.to_owned(), mode: 0o644, owner: 0, group: 0, what };
    let text = |path, text: &str| file(path, EntryKind::Bytes(text.as_bytes().to_vec()));
    Ok(vec![
        LayerEntry::folder("etc"),
        text("etc/group", GROUP),
        // Without it a C library may ask DNS before /etc/hosts.
        text("etc/nsswitch.conf", "hosts: files dns\n"),
        text("etc/passwd", PASSWD),
        LayerEntry::folder("etc/ssl"),
        LayerEntry::folder("etc/ssl/certs"),
        file(CA_CERTIFICATES, authorities),
        LayerEntry::folder("home"),
        LayerEntry { owner: 65532, group: 65532, ..LayerEntry::folder("home/nonroot") },
        LayerEntry { mode: 0o700, ..LayerEntry::folder("root") },
        LayerEntry { mode: 0o1777, ..LayerEntry::folder("tmp") },
    ])
}

/// What [`ca_bundle`] holds, for the keys of however many images.
pub(in crate::build) fn ca_bundle_hash() -> [u8; 32] {
    static HASH: LazyLock<[u8; 32]> = LazyLock::new(|| Sha256::digest(ca_bundle()).into());
    *HASH
}

/// Mozilla's authorities as PEM, in the order of their bytes.
fn ca_bundle() -> String {
    let mut certificates: Vec<&[u8]> = webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().map(AsRef::as_ref).collect();
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
    fn the_bundle_is_read_back_whole_by_a_tls_library() {
        let pem = ca_bundle();
        let read: Vec<_> = CertificateDer::pem_slice_iter(pem.as_bytes()).map(|certificate| certificate.unwrap()).collect();
        assert_eq!(read.len(), webpki_root_certs::TLS_SERVER_ROOT_CERTS.len());
        assert!(read.is_sorted_by_key(|certificate| certificate.to_vec()));
        assert!(pem.lines().all(|line| line.len() <= 64));
    }

    #[test]
    fn the_users_of_scratch_have_the_number_that_the_config_gets() {
        assert_eq!(crate::image::user::numeric("nonroot", Some(PASSWD), Some(GROUP)).unwrap(), USER);
    }
}
