//! The references of an existing manifest or index, of any tool and any kind of artifact.
//!
//! Nothing is converted: a copy of a manifest has the same bytes.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::artifact::Referrer;
use super::layer::{Descriptor, media_type};

/// The references of a manifest or index.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ManifestContent {
    /// Manifests and indexes that an index lists.
    pub manifests: Vec<Descriptor>,
    /// Config and layers, and entries of an index that are no manifests. All have to be in the repository of the
    /// manifest.
    pub blobs: Vec<Descriptor>,
    /// Layers that are fetched from other URLs, and may not be copied (OCI image spec, "Non-Distributable Layers").
    pub foreign: Vec<Descriptor>,
    /// The manifest that this one is attached to, its `subject`.
    pub subject: Option<Descriptor>,
    /// The type in lists of referrers: `artifactType`, else the media type of the config.
    pub artifact_type: Option<String>,
    /// The annotations.
    pub annotations: BTreeMap<String, String>,
}

impl ManifestContent {
    /// Parses a manifest or index; `None` if it is neither, or of schema version 1.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let wire: WireContent = serde_json::from_slice(bytes).ok()?;
        let is_known = wire.manifests.is_some() || wire.config.is_some() || wire.layers.is_some();
        if wire.schema_version != 2 || !is_known {
            return None;
        }
        let config_type = wire.config.as_ref().map(|config| config.media_type.clone());
        let entries = wire.manifests.into_iter().flatten();
        let (manifests, others): (Vec<_>, Vec<_>) =
            entries.partition(|entry| media_type::MANIFESTS.contains(&entry.media_type.as_str()));
        let blobs = wire.config.into_iter();
        let blobs = blobs.chain(wire.layers.into_iter().flatten()).chain(others);
        let (foreign, blobs) = blobs.partition(|blob| is_foreign(&blob.media_type));
        let annotations = wire.annotations.into_iter().flatten();
        Some(Self {
            manifests,
            blobs,
            foreign,
            subject: wire.subject,
            artifact_type: wire.artifact_type.or(config_type),
            annotations: annotations
                .filter_map(|(name, value)| Some((name, value?)))
                .collect(),
        })
    }

    /// The entry of this manifest in the list of its subject's referrers.
    pub fn referrer(&self, descriptor: &Descriptor) -> Referrer {
        Referrer {
            descriptor: descriptor.clone(),
            artifact_type: self.artifact_type.clone(),
            annotations: Some(self.annotations.clone())
                .filter(|annotations| !annotations.is_empty()),
        }
    }
}

/// Whether a layer may not be copied to another registry.
fn is_foreign(media_type: &str) -> bool {
    media_type.starts_with("application/vnd.docker.image.rootfs.foreign.")
        || media_type.starts_with("application/vnd.oci.image.layer.nondistributable.")
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireContent {
    schema_version: u32,
    artifact_type: Option<String>,
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
    manifests: Option<Vec<Descriptor>>,
    subject: Option<Descriptor>,
    /// Some tools write `null` for a value.
    annotations: Option<BTreeMap<String, Option<String>>>,
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::sys::digest::Digest;

    fn descriptor(media_type: &str) -> String {
        let digest = Digest::of(media_type);
        format!(
            r#"{{"mediaType":"{media_type}","digest":"{digest}","size":5,"urls":["https://a.io"]}}"#
        )
    }

    fn types(descriptors: &[Descriptor]) -> Vec<&str> {
        let types = descriptors.iter();
        types.map(|found| found.media_type.as_str()).collect()
    }

    #[test]
    fn entries_of_an_index_that_are_no_manifests_are_blobs() {
        let (manifest, list) = (
            descriptor(media_type::OCI_MANIFEST),
            descriptor(media_type::DOCKER_INDEX),
        );
        let cache = descriptor("application/vnd.buildkit.cacheconfig.v0");
        let text = format!(r#"{{"schemaVersion":2,"manifests":[{manifest},{cache},{list}]}}"#);
        let content = ManifestContent::parse(text.as_bytes()).unwrap();
        assert_eq!(
            types(&content.manifests),
            [media_type::OCI_MANIFEST, media_type::DOCKER_INDEX]
        );
        assert_eq!(
            types(&content.blobs),
            ["application/vnd.buildkit.cacheconfig.v0"]
        );
    }

    #[test]
    fn foreign_layers_are_no_blobs_to_copy() {
        let layers = [
            "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
            "application/vnd.oci.image.layer.nondistributable.v1.tar",
            "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
        ];
        let config = descriptor(media_type::OCI_CONFIG);
        let list = layers.map(descriptor).join(",");
        let plain = descriptor(media_type::DOCKER_LAYER_GZIP);
        let text = format!(r#"{{"schemaVersion":2,"config":{config},"layers":[{list},{plain}]}}"#);
        let content = ManifestContent::parse(text.as_bytes()).unwrap();
        assert_eq!(types(&content.foreign), layers);
        assert_eq!(
            types(&content.blobs),
            [media_type::OCI_CONFIG, media_type::DOCKER_LAYER_GZIP]
        );
    }

    #[test]
    fn a_referrer_without_a_type_has_that_of_its_config() {
        let config = descriptor("application/vnd.example.config");
        let annotations = r#""annotations":{"a":"b","c":null}"#;
        for (field, expected) in [
            ("", "application/vnd.example.config"),
            (r#""artifactType":"application/x","#, "application/x"),
        ] {
            let text = format!(r#"{{"schemaVersion":2,{field}"config":{config},{annotations}}}"#);
            let content = ManifestContent::parse(text.as_bytes()).unwrap();
            let referrer = content.referrer(&content.blobs[0]);
            assert_eq!(referrer.artifact_type.as_deref(), Some(expected));
            assert_eq!(
                referrer.annotations,
                Some(BTreeMap::from([("a".to_owned(), "b".to_owned())]))
            );
        }
    }

    #[test]
    fn documents_that_are_no_manifests_are_refused() {
        for text in [
            "",
            "[]",
            "{}",
            r#"{"schemaVersion":2}"#,
            r#"{"schemaVersion":1,"layers":[]}"#,
            r#"{"schemaVersion":2,"layers":[{"mediaType":"x","digest":"sha512:00","size":1}]}"#,
        ] {
            assert_eq!(ManifestContent::parse(text.as_bytes()), None, "{text}");
        }
    }
}
