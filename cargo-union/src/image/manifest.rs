//! Parses manifests and indexes of bases, and creates those of images, always with OCI media types.
//!
//! The blobs of a base with Docker media types are not changed, so that their digests remain; only the media types are
//! converted, because other tools refuse manifests that mix OCI and Docker media types.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use union_build::diag::Code;

use super::layer::{Blob, Descriptor, Layer, media_type};
use super::platform::Platform;
use super::{PlatformImage, RawManifest};
use crate::sys::error::{Error, Result};

/// The annotation and label with an image's content key.
pub const KEY: &str = "union.key";

/// The prefix of the labels with task interfaces; the name of a binary follows.
pub const INTERFACE: &str = "union.interface.";

/// The annotation and label of an image without a start check of its binaries; the value is `skipped`.
pub const START_CHECK: &str = "union.start-check";

/// The manifest that the reference of a base refers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BaseManifest {
    /// The entries of an image index or manifest list, without attestations.
    Index(Vec<Variant>),
    /// The manifest of one image, whose platform is only in its config.
    Image(BaseImageManifest),
}

/// One entry of an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variant {
    /// The platform; `None` if the index does not have it.
    pub platform: Option<Platform>,
    /// A manifest, or a nested index.
    pub descriptor: Descriptor,
}

/// A base's manifest for one platform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseImageManifest {
    /// The config, with its original media type.
    pub config: Descriptor,
    /// The layers, lowest first, with OCI media types.
    pub layers: Vec<Descriptor>,
}

/// Parses the manifest or index of a base; `name` is for error messages.
///
/// # Errors
/// `BaseUnsupported` for schema version 1, artifacts and unsupported layers, `BaseCorrupt` for invalid JSON.
pub fn read(name: &str, raw: &RawManifest) -> Result<BaseManifest> {
    let wire: WireManifest = serde_json::from_slice(&raw.bytes).map_err(|cause| {
        Error::new(
            Code::BaseCorrupt,
            format!("could not read the manifest of base image `{name}`"),
        )
        .because(cause)
    })?;
    if wire.schema_version != 2 {
        return Err(unsupported(
            name,
            &format!(
                "its manifest has schema version {}, only 2 is supported",
                wire.schema_version
            ),
        ));
    }
    match (wire.manifests, wire.config, wire.layers) {
        (Some(manifests), None, None) => Ok(BaseManifest::Index(
            manifests
                .into_iter()
                .filter_map(WireVariant::into_variant)
                .collect(),
        )),
        // Tools in Go write `null` for an empty list.
        (None, Some(config), layers) => {
            read_image(name, config, layers.unwrap_or_default()).map(BaseManifest::Image)
        }
        _ => Err(unsupported(
            name,
            "its manifest is neither an image nor an index",
        )),
    }
}

fn read_image(
    name: &str,
    config: Descriptor,
    layers: Vec<Descriptor>,
) -> Result<BaseImageManifest> {
    if !CONFIGS.contains(&config.media_type.as_str()) {
        return Err(unsupported(
            name,
            &format!(
                "it is an artifact (`{}`), not a container image",
                config.media_type
            ),
        ));
    }
    let layers = layers.into_iter().map(|layer| {
        let media_type = to_oci_layer(&layer.media_type).ok_or_else(|| {
            let foreign = layer.media_type.contains("foreign")
                || layer.media_type.contains("nondistributable");
            let why = if foreign {
                "may not be copied to another registry"
            } else {
                "has an unsupported media type"
            };
            unsupported(
                name,
                &format!("its layer {} {why} (`{}`)", layer.digest, layer.media_type),
            )
        })?;
        Ok(Descriptor {
            media_type: media_type.to_owned(),
            ..layer
        })
    });
    Ok(BaseImageManifest {
        layers: layers.collect::<Result<_>>()?,
        config,
    })
}

/// The entries of an index that may match a platform, best first: the same platform, older variants, and entries
/// without a platform.
pub fn candidates<'a>(variants: &'a [Variant], platform: &Platform) -> Vec<&'a Variant> {
    let rank = |variant: &Variant| {
        variant
            .platform
            .as_ref()
            .map_or(Some(u32::MAX), |other| platform.distance(other))
    };
    let mut candidates: Vec<_> = variants
        .iter()
        .filter_map(|variant| Some((rank(variant)?, variant)))
        .collect();
    candidates.sort_by_key(|(rank, _)| *rank);
    candidates.into_iter().map(|(_, variant)| variant).collect()
}

/// The error for a base that is not available for `platform`, but for the `available` ones.
pub fn without_platform(name: &str, platform: &Platform, available: &[&Platform]) -> Error {
    let available: Vec<_> = available
        .iter()
        .map(|platform| format!("`{platform}`"))
        .collect();
    let available = if available.is_empty() {
        "none".to_owned()
    } else {
        available.join(", ")
    };
    Error::new(
        Code::BaseWithoutPlatform,
        format!("base image `{name}` has no variant for `{platform}`"),
    )
    .because(format!("its platforms: {available}"))
}

/// Creates the manifest of one platform.
pub fn manifest(
    config: &Descriptor,
    layers: &[Layer],
    annotations: &BTreeMap<String, String>,
) -> Blob {
    let layers = layers.iter().map(|layer| &layer.blob.descriptor).collect();
    let manifest = Manifest {
        schema_version: 2,
        media_type: media_type::OCI_MANIFEST,
        config,
        layers,
        annotations,
    };
    Blob::of_bytes(media_type::OCI_MANIFEST, json(&manifest))
}

/// Creates the index of the manifests of several platforms.
pub fn index(platforms: &[PlatformImage], annotations: &BTreeMap<String, String>) -> Blob {
    let manifests = platforms
        .iter()
        .map(|image| IndexEntry {
            descriptor: image.manifest.descriptor.clone(),
            platform: image.platform.clone(),
        })
        .collect();
    Blob::of_bytes(
        media_type::OCI_INDEX,
        json(&Index {
            schema_version: 2,
            media_type: media_type::OCI_INDEX,
            manifests,
            annotations,
        }),
    )
}

/// The relevant content of an existing manifest or index.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// The annotation [`KEY`]; `None` if another tool created the image.
    pub key: Option<String>,
    /// The manifests of an index that have a platform.
    pub manifests: Vec<(Descriptor, Platform)>,
    /// The config and the layers of a manifest.
    pub blobs: Vec<Descriptor>,
}

/// Parses an existing manifest or index; `None` if it is neither.
pub fn summary(bytes: &[u8]) -> Option<Summary> {
    let wire: WireManifest = serde_json::from_slice(bytes).ok()?;
    let key = wire
        .annotations
        .and_then(|annotations| annotations.get(KEY)?.as_str().map(str::to_owned));
    let manifests = wire
        .manifests
        .into_iter()
        .flatten()
        .filter_map(WireVariant::into_variant);
    Some(Summary {
        key,
        manifests: manifests
            .filter_map(|variant| Some((variant.descriptor, variant.platform?)))
            .collect(),
        blobs: wire
            .config
            .into_iter()
            .chain(wire.layers.into_iter().flatten())
            .collect(),
    })
}

const CONFIGS: [&str; 2] = [
    media_type::OCI_CONFIG,
    "application/vnd.docker.container.image.v1+json",
];

/// The OCI media type of a layer, if it is supported.
fn to_oci_layer(layer: &str) -> Option<&'static str> {
    match layer {
        media_type::OCI_LAYER_GZIP | media_type::DOCKER_LAYER_GZIP => {
            Some(media_type::OCI_LAYER_GZIP)
        }
        media_type::OCI_LAYER_ZSTD | media_type::DOCKER_LAYER_ZSTD => {
            Some(media_type::OCI_LAYER_ZSTD)
        }
        media_type::OCI_LAYER | "application/vnd.docker.image.rootfs.diff.tar" => {
            Some(media_type::OCI_LAYER)
        }
        _ => None,
    }
}

fn unsupported(name: &str, why: &str) -> Error {
    Error::new(
        Code::BaseUnsupported,
        format!("cannot build on base image `{name}`"),
    )
    .because(why)
}

fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("manifests are plain values, which always serialize")
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Manifest<'a> {
    schema_version: u32,
    media_type: &'static str,
    config: &'a Descriptor,
    layers: Vec<&'a Descriptor>,
    annotations: &'a BTreeMap<String, String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Index<'a> {
    schema_version: u32,
    media_type: &'static str,
    manifests: Vec<IndexEntry>,
    annotations: &'a BTreeMap<String, String>,
}

#[derive(Serialize)]
struct IndexEntry {
    #[serde(flatten)]
    descriptor: Descriptor,
    platform: Platform,
}

/// Manifest, manifest list or index. They are distinguished by their fields, because the media types that registries
/// announce are not reliable.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireManifest {
    schema_version: u32,
    manifests: Option<Vec<WireVariant>>,
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
    annotations: Option<BTreeMap<String, serde_json::Value>>,
}

#[derive(Deserialize)]
struct WireVariant {
    #[serde(flatten)]
    descriptor: Descriptor,
    platform: Option<WirePlatform>,
}

/// A platform as other tools write it: any field may be missing or null.
#[derive(Deserialize)]
struct WirePlatform {
    os: Option<String>,
    architecture: Option<String>,
    variant: Option<String>,
}

impl WireVariant {
    /// Skips attestations, which have the platform `unknown/unknown`.
    fn into_variant(self) -> Option<Variant> {
        let platform = self.platform.map(|platform| {
            let text = |text: &Option<String>| text.clone().unwrap_or_default();
            Platform::new(
                &text(&platform.os),
                &text(&platform.architecture),
                platform.variant.as_deref(),
            )
        });
        if platform
            .as_ref()
            .is_some_and(|platform| platform.os == "unknown" || platform.architecture == "unknown")
        {
            return None;
        }
        Some(Variant {
            platform: platform.filter(Platform::is_complete),
            descriptor: self.descriptor,
        })
    }
}

#[cfg(test)]
mod tests;
