//! Simple signing: the payload that cosign signs, and its check.
//!
//! Source: cosign's `SIGNATURE_SPEC.md`, and `containers-signature(5)`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::key::{SignatureKey, VerificationKey};
use super::problem::SignatureProblem;
use crate::image::reference::PinnedRef;
use crate::image::signature_list::DetachedSignature;
use crate::sys::digest::Digest;

/// The type of a payload, which its signature covers.
const KIND: &str = "cosign container image signature";

#[derive(Serialize, Deserialize)]
struct SimplePayload {
    critical: CriticalClaims,
    // Without `Option`, the field would be required when a payload is read.
    #[serde(default)]
    optional: Option<serde_json::Value>,
}

#[derive(Serialize, Deserialize)]
struct CriticalClaims {
    identity: ClaimedIdentity,
    image: ClaimedImage,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct ClaimedIdentity {
    docker_reference: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct ClaimedImage {
    docker_manifest_digest: String,
}

/// Signs an image.
pub fn sign(key: &SignatureKey, image: &PinnedRef) -> DetachedSignature {
    let payload = payload(image);
    DetachedSignature {
        signature: STANDARD.encode(key.sign(&payload)),
        payload: payload.into(),
    }
}

/// Checks that a signature is one of the image by the key. The repository in it is not compared: an image keeps its
/// signatures when it is copied to another registry.
///
/// # Errors
/// Why it is none.
pub fn check(
    key: &VerificationKey,
    image: Digest,
    signature: &DetachedSignature,
) -> Result<(), SignatureProblem> {
    let bytes = STANDARD
        .decode(&signature.signature)
        .map_err(|_| SignatureProblem::Malformed)?;
    if !key.verifies(&signature.payload, &bytes) {
        return Err(SignatureProblem::Mismatch);
    }
    let payload: SimplePayload =
        serde_json::from_slice(&signature.payload).map_err(|_| SignatureProblem::OtherStatement)?;
    let critical = payload.critical;
    if critical.kind != KIND {
        return Err(SignatureProblem::OtherStatement);
    }
    match critical.image.docker_manifest_digest == image.to_string() {
        true => Ok(()),
        false => Err(SignatureProblem::OtherImage),
    }
}

fn payload(image: &PinnedRef) -> Vec<u8> {
    // The name that tools in Go give Docker Hub.
    let docker_reference = match image.repository.registry.as_str() {
        "docker.io" => format!("index.docker.io/{}", image.repository.path),
        _ => image.repository.to_string(),
    };
    let payload = SimplePayload {
        critical: CriticalClaims {
            identity: ClaimedIdentity { docker_reference },
            image: ClaimedImage {
                docker_manifest_digest: image.digest.to_string(),
            },
            kind: KIND.to_owned(),
        },
        optional: None,
    };
    serde_json::to_vec(&payload).expect("payloads are plain values, which always serialize")
}
