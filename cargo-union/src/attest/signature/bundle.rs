//! Sigstore bundles: a DSSE envelope around an in-toto statement, as cosign 3 writes it for a key without a transparency
//! log.
//!
//! Sources: Sigstore's `sigstore_bundle.proto`, the DSSE protocol v1, in-toto's "Statement layer specification" v1.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::key::{SignatureKey, VerificationKey};
use super::problem::SignatureProblem;
use crate::attest::{IN_TOTO, STATEMENT};
use crate::sys::digest::Digest;

/// The media type of a bundle, which is also the artifact type of its referrer.
pub const MEDIA_TYPE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

const PREDICATE: &str = "https://sigstore.dev/cosign/sign/v1";

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct BundleDocument {
    media_type: String,
    verification_material: VerificationMaterial,
    dsse_envelope: SignedEnvelope,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct VerificationMaterial {
    /// `None` for a certificate.
    public_key: Option<KeyHint>,
}

#[derive(Serialize, Deserialize)]
struct KeyHint {
    #[serde(default)]
    hint: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SignedEnvelope {
    payload: String,
    payload_type: String,
    signatures: Vec<EnvelopeSignature>,
}

#[derive(Serialize, Deserialize)]
struct EnvelopeSignature {
    sig: String,
}

#[derive(Serialize, Deserialize)]
struct ImageStatement {
    #[serde(rename = "_type")]
    kind: String,
    subject: Vec<StatementSubject>,
    #[serde(rename = "predicateType")]
    predicate_type: String,
    #[serde(default)]
    predicate: BTreeMap<String, serde_json::Value>,
}

#[derive(Serialize, Deserialize)]
struct StatementSubject {
    digest: BTreeMap<String, String>,
}

/// Signs an image.
pub fn sign(key: &SignatureKey, image: Digest) -> Vec<u8> {
    let statement = ImageStatement {
        kind: STATEMENT.to_owned(),
        subject: vec![StatementSubject {
            digest: BTreeMap::from([("sha256".to_owned(), image.hex())]),
        }],
        predicate_type: PREDICATE.to_owned(),
        predicate: BTreeMap::new(),
    };
    let payload = serde_json::to_vec(&statement)
        .expect("statements are plain values, which always serialize");
    let signature = key.sign(&signed_bytes(IN_TOTO, &payload));
    let bundle = BundleDocument {
        media_type: MEDIA_TYPE.to_owned(),
        verification_material: VerificationMaterial {
            public_key: Some(KeyHint {
                hint: key.verification_key().hint(),
            }),
        },
        dsse_envelope: SignedEnvelope {
            payload: STANDARD.encode(payload),
            payload_type: IN_TOTO.to_owned(),
            signatures: vec![EnvelopeSignature {
                sig: STANDARD.encode(signature),
            }],
        },
    };
    serde_json::to_vec(&bundle).expect("bundles are plain values, which always serialize")
}

/// The annotations of the manifest of a bundle, as cosign writes them, without the time.
pub fn annotations() -> BTreeMap<String, String> {
    let annotation = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    BTreeMap::from([
        annotation("dev.sigstore.bundle.content", "dsse-envelope"),
        annotation("dev.sigstore.bundle.predicateType", PREDICATE),
    ])
}

/// Checks that a bundle is a signature of the image by the key. Transparency logs and timestamps in it are not read.
///
/// # Errors
/// Why it is none.
pub fn check(key: &VerificationKey, image: Digest, bundle: &[u8]) -> Result<(), SignatureProblem> {
    let malformed = SignatureProblem::Malformed;
    let bundle: BundleDocument = serde_json::from_slice(bundle).map_err(|_| malformed.clone())?;
    let envelope = bundle.dsse_envelope;
    let payload = STANDARD
        .decode(&envelope.payload)
        .map_err(|_| malformed.clone())?;
    let signed = signed_bytes(&envelope.payload_type, &payload);
    let is_valid = |signature: &EnvelopeSignature| {
        let signature = STANDARD.decode(&signature.sig);
        signature.is_ok_and(|signature| key.verifies(&signed, &signature))
    };
    if !envelope.signatures.iter().any(is_valid) {
        let hint = bundle.verification_material.public_key;
        return Err(match hint.is_some_and(|named| named.hint == key.hint()) {
            true => SignatureProblem::Changed,
            false => SignatureProblem::OtherKey,
        });
    }
    let statement: ImageStatement =
        serde_json::from_slice(&payload).map_err(|_| SignatureProblem::OtherStatement)?;
    let is_of_image = envelope.payload_type == IN_TOTO
        && statement.kind == STATEMENT
        && statement.predicate_type == PREDICATE;
    if !is_of_image {
        return Err(SignatureProblem::OtherStatement);
    }
    let is_about = |subject: &StatementSubject| subject.digest.get("sha256") == Some(&image.hex());
    match statement.subject.iter().any(is_about) {
        true => Ok(()),
        false => Err(SignatureProblem::OtherImage),
    }
}

/// The bytes that an envelope signs: the pre-authentication encoding of DSSE.
fn signed_bytes(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let (kind, size) = (payload_type.len(), payload.len());
    let mut bytes = format!("DSSEv1 {kind} {payload_type} {size} ").into_bytes();
    bytes.extend(payload);
    bytes
}
