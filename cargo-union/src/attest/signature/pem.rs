//! PEM blocks (RFC 7468), also those with other blocks or text before them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use p256::elliptic_curve::zeroize::Zeroizing;

/// A PEM block: its label and its content.
pub(super) struct PemBlock {
    /// `EC PRIVATE KEY`
    pub(super) label: String,
    /// The decoded content; `None` if it is not base64, or has headers, as keys that OpenSSL has encrypted.
    pub(super) content: Option<Zeroizing<Vec<u8>>>,
}

/// The blocks of a text. A block without an end is left out.
pub(super) fn blocks(text: &str) -> Vec<PemBlock> {
    let mut blocks = Vec::new();
    let mut rest = text;
    while let Some((_, after)) = rest.split_once("-----BEGIN ") {
        rest = after;
        let Some((label, body)) = after.split_once("-----") else {
            break;
        };
        let Some((body, after)) = body.split_once(&format!("-----END {label}-----")) else {
            continue;
        };
        rest = after;
        let digits: Zeroizing<Vec<u8>> = Zeroizing::new(
            body.bytes()
                .filter(|byte| !byte.is_ascii_whitespace())
                .collect(),
        );
        blocks.push(PemBlock {
            label: label.to_owned(),
            content: STANDARD.decode(&*digits).ok().map(Zeroizing::new),
        });
    }
    blocks
}
