//! Documents about an image, as OCI artifacts that name the image as their subject.
//!
//! Source: OCI image spec 1.1, "Guidelines for Artifact Usage", and OCI distribution spec 1.1, "Referrers Tag Schema".

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::layer::{Blob, Descriptor, media_type};
use crate::sys::digest::Digest;

/// The media type of the config `{}` of an artifact.
pub const EMPTY_CONFIG: &str = "application/vnd.oci.empty.v1+json";

/// A document about an image. The same document always gives the same manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artifact {
    /// What the document is, as a media type: `application/vnd.cyclonedx+json`. Referrers are filtered by it.
    pub artifact_type: String,
    /// The media type of `bytes`.
    pub media_type: String,
    /// The document.
    pub bytes: Bytes,
    /// Annotations of the manifest, which lists of referrers repeat.
    pub annotations: BTreeMap<String, String>,
}

/// An entry in the list of an image's referrers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Referrer {
    /// The manifest that has the image as its subject.
    #[serde(flatten)]
    pub descriptor: Descriptor,
    /// The type of the artifact; `None` when the registry does not return it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// The annotations of the manifest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub annotations: Option<BTreeMap<String, String>>,
}

impl Artifact {
    /// The only layer: the document.
    pub fn layer(&self) -> Blob {
        Blob::of_bytes(&self.media_type, self.bytes.clone())
    }

    /// The manifest of the document, with the manifest or index of an image as its subject.
    pub fn manifest(&self, subject: &Descriptor) -> Blob {
        let manifest = ArtifactManifest {
            schema_version: 2,
            media_type: media_type::OCI_MANIFEST,
            artifact_type: &self.artifact_type,
            config: empty_config().descriptor,
            layers: [self.layer().descriptor],
            subject,
            annotations: &self.annotations,
        };
        let json = serde_json::to_vec(&manifest)
            .expect("manifests are plain values, which always serialize");
        Blob::of_bytes(media_type::OCI_MANIFEST, json)
    }

    /// The entry of the document in the list of its subject's referrers.
    pub fn referrer(&self, subject: &Descriptor) -> Referrer {
        Referrer {
            descriptor: self.manifest(subject).descriptor,
            artifact_type: Some(self.artifact_type.clone()),
            annotations: Some(self.annotations.clone())
                .filter(|annotations| !annotations.is_empty()),
        }
    }
}

/// The config of all artifacts.
pub fn empty_config() -> Blob {
    Blob::of_bytes(EMPTY_CONFIG, "{}")
}

/// The tag that holds the referrers of an image where the registry has no API for them.
pub fn fallback_tag(subject: Digest) -> String {
    format!("sha256-{}", subject.hex())
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ArtifactManifest<'a> {
    schema_version: u32,
    media_type: &'static str,
    artifact_type: &'a str,
    config: Descriptor,
    layers: [Descriptor; 1],
    subject: &'a Descriptor,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: &'a BTreeMap<String, String>,
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::image::layer::BlobSource;

    #[test]
    fn the_manifest_of_a_document_has_the_fields_of_the_specification() {
        let subject = Blob::of_bytes(media_type::OCI_MANIFEST, "image").descriptor;
        let artifact = Artifact {
            artifact_type: "application/x".to_owned(),
            media_type: "text/plain".to_owned(),
            bytes: "document".into(),
            annotations: BTreeMap::new(),
        };
        let BlobSource::Bytes(bytes) = artifact.manifest(&subject).content else {
            panic!("a manifest is in memory")
        };
        let text = format!(
            r#"{{"schemaVersion":2,"mediaType":"{}","artifactType":"application/x","config":{{"mediaType":"{EMPTY_CONFIG}","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2}},"layers":[{{"mediaType":"text/plain","digest":"{}","size":8}}],"subject":{{"mediaType":"{}","digest":"{}","size":5}}}}"#,
            media_type::OCI_MANIFEST,
            Digest::of("document"),
            media_type::OCI_MANIFEST,
            Digest::of("image"),
        );
        assert_eq!(std::str::from_utf8(&bytes).unwrap(), text);
    }
}
