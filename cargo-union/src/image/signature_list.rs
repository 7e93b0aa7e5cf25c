//! The signatures of an image by simple signing: an image manifest under the tag `sha256-….sig`, with a layer for each
//! signature.
//!
//! Source: cosign's `SIGNATURE_SPEC.md`.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use super::layer::{Blob, Descriptor, media_type};
use crate::sys::digest::Digest;

/// The media type of a payload.
const PAYLOAD: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
/// The annotation of a layer with the signature of its payload.
const SIGNATURE: &str = "dev.cosignproject.cosign/signature";

/// A payload with its signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DetachedSignature {
    /// What is signed.
    pub payload: Bytes,
    /// The signature, in base64.
    pub signature: String,
}

/// The manifest with the signatures of an image. What it holds besides the signatures is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct SignatureList(Value);

/// A signature in a list, whose payload is a blob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedSignature {
    /// The blob with the payload.
    pub payload: Descriptor,
    /// The signature, in base64.
    pub signature: String,
}

#[derive(Deserialize)]
struct SignatureLayer {
    #[serde(flatten)]
    descriptor: Descriptor,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

impl Default for SignatureList {
    fn default() -> Self {
        Self(json!({
            "schemaVersion": 2,
            "mediaType": media_type::OCI_MANIFEST,
            "config": null,
            "layers": [],
        }))
    }
}

impl SignatureList {
    /// Parses a manifest; `None` if it is no list of signatures.
    pub fn parse(manifest: &[u8]) -> Option<Self> {
        let list = Self(serde_json::from_slice(manifest).ok()?);
        let layers = list.layers()?;
        let is_of_signatures = layers
            .iter()
            .all(|layer| layer.descriptor.media_type == PAYLOAD);
        is_of_signatures.then_some(list)
    }

    /// The signatures, oldest first.
    pub fn signatures(&self) -> Vec<ListedSignature> {
        let signature = |mut layer: SignatureLayer| {
            Some(ListedSignature {
                signature: layer.annotations.remove(SIGNATURE)?,
                payload: layer.descriptor,
            })
        };
        let layers = self.layers().unwrap_or_default();
        layers.into_iter().filter_map(signature).collect()
    }

    /// The list with one signature more, its config, and the payload: the blobs that the manifest needs.
    pub fn with(&self, signature: &DetachedSignature) -> (Blob, [Blob; 2]) {
        let payload = Blob::of_bytes(PAYLOAD, signature.payload.clone());
        let mut manifest = self.0.clone();
        let mut layer = json!(payload.descriptor);
        layer["annotations"] = json!({ SIGNATURE: signature.signature });
        let mut digests: Vec<Digest> = self
            .layers()
            .unwrap_or_default()
            .into_iter()
            .map(|layer| layer.descriptor.digest)
            .collect();
        digests.push(payload.descriptor.digest);
        // Payloads are not compressed, so their digests are those of their content.
        let config = json!({
            "architecture": "",
            "os": "",
            "config": {},
            "rootfs": { "type": "layers", "diff_ids": digests },
        });
        let config = Blob::of_bytes(media_type::OCI_CONFIG, config.to_string());
        manifest["config"] = json!(config.descriptor);
        if let Some(layers) = manifest["layers"].as_array_mut() {
            layers.push(layer);
        }
        let kind = manifest["mediaType"]
            .as_str()
            .unwrap_or(media_type::OCI_MANIFEST);
        (
            Blob::of_bytes(kind, manifest.to_string()),
            [config, payload],
        )
    }

    fn layers(&self) -> Option<Vec<SignatureLayer>> {
        Deserialize::deserialize(self.0.get("layers")?).ok()
    }
}

/// The tag that holds the signatures of an image.
pub fn signature_tag(image: Digest) -> String {
    format!("sha256-{}.sig", image.hex())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::image::layer::BlobSource;

    fn signature(text: &str) -> DetachedSignature {
        DetachedSignature {
            payload: text.to_owned().into(),
            signature: format!("signature of {text}"),
        }
    }

    fn bytes(blob: &Blob) -> Bytes {
        match &blob.content {
            BlobSource::Bytes(bytes) => bytes.clone(),
            _ => panic!("the blob is in memory"),
        }
    }

    #[test]
    fn a_signature_is_added_to_those_of_another_tool() {
        let other = json!({
            "schemaVersion": 2,
            "mediaType": media_type::OCI_MANIFEST,
            "config": { "mediaType": media_type::OCI_CONFIG, "digest": Digest::of("config"), "size": 6 },
            "layers": [{
                "mediaType": PAYLOAD, "digest": Digest::of("one"), "size": 3,
                "annotations": { SIGNATURE: "signature of one", "dev.sigstore.cosign/bundle": "log" },
            }],
            "annotations": { "kept": "yes" },
        });
        let list = SignatureList::parse(other.to_string().as_bytes()).unwrap();
        let (manifest, [config, payload]) = list.with(&signature("two"));
        assert_eq!(payload.descriptor.digest, Digest::of("two"));
        let written: Value = serde_json::from_slice(&bytes(&manifest)).unwrap();
        assert_eq!(written["annotations"], other["annotations"]);
        assert_eq!(written["layers"][0], other["layers"][0]);
        assert_eq!(written["config"], json!(config.descriptor));
        let config: Value = serde_json::from_slice(&bytes(&config)).unwrap();
        assert_eq!(
            config["rootfs"]["diff_ids"],
            json!([Digest::of("one"), Digest::of("two")])
        );
        let listed = SignatureList::parse(&bytes(&manifest))
            .unwrap()
            .signatures();
        let texts: Vec<&str> = listed.iter().map(|listed| &*listed.signature).collect();
        assert_eq!(texts, ["signature of one", "signature of two"]);
    }

    #[test]
    fn other_manifests_are_no_lists() {
        let (manifest, _) = SignatureList::default().with(&signature("one"));
        assert!(SignatureList::parse(&bytes(&manifest)).is_some());
        for text in [
            "",
            "[]",
            r#"{"manifests":[]}"#,
            r#"{"layers":7}"#,
            r#"{"layers":[{"mediaType":"a/b"}]}"#,
            &bytes(&manifest).escape_ascii().to_string(),
            &String::from_utf8_lossy(&bytes(&manifest)).replace(PAYLOAD, "a/b"),
        ] {
            assert_eq!(SignatureList::parse(text.as_bytes()), None, "{text}");
        }
    }
}
