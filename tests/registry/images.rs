//! Small images.

use std::io::Write as _;
use std::path::Path;

use cargo_union::image::layer::{Blob, BlobSource, Descriptor, Layer, media_type};
use cargo_union::image::platform::Platform;
use cargo_union::image::reference::Repository;
use cargo_union::image::{Image, PlatformImage};
use cargo_union::sys::digest::{DiffId, Digest};
use serde_json::json;
use union_build::key::{Inputs, Key};

/// A key that differs from text to text.
pub(crate) fn key(text: &str) -> Key {
    let mut inputs = Inputs::new();
    inputs.insert("text", text);
    inputs.key("test")
}

/// A layer with one file, in memory.
pub(crate) fn layer(text: &str) -> Layer {
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.set_size(text.len() as u64);
    header.set_mode(0o644);
    header.set_cksum();
    tar.append_data(&mut header, "file", text.as_bytes())
        .unwrap();
    let tar = tar.into_inner().unwrap();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&tar).unwrap();
    Layer {
        blob: Blob::of_bytes(media_type::OCI_LAYER_GZIP, gzip.finish().unwrap()),
        diff_id: DiffId::of(&tar),
    }
}

/// A layer of this size in a file. It is no archive, which registries do not check.
pub(crate) fn file_layer(directory: &Path, size: usize) -> Layer {
    let bytes: Vec<u8> = (0..size as u64)
        .map(|at| (at.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) as u8)
        .collect();
    let descriptor = Descriptor {
        media_type: media_type::OCI_LAYER.to_owned(),
        digest: Digest::of(&bytes),
        size: bytes.len() as u64,
    };
    let path = directory.join(descriptor.digest.hex());
    std::fs::write(&path, &bytes).unwrap();
    Layer {
        diff_id: DiffId::of(&bytes),
        blob: Blob {
            descriptor,
            content: BlobSource::File(path),
        },
    }
}

/// An image of these layers for one platform.
pub(crate) fn single(key: &Key, platform: &str, layers: Vec<Layer>) -> Image {
    let platform: Platform = platform.parse().unwrap();
    let config = json!({
        "os": platform.os, "architecture": platform.architecture,
        "rootfs": { "type": "layers", "diff_ids": layers.iter().map(|layer| layer.diff_id.to_string()).collect::<Vec<_>>() },
    });
    let config = Blob::of_bytes(media_type::OCI_CONFIG, config.to_string());
    let manifest = json!({
        "schemaVersion": 2, "mediaType": media_type::OCI_MANIFEST,
        "config": config.descriptor, "layers": layers.iter().map(|layer| &layer.blob.descriptor).collect::<Vec<_>>(),
        "annotations": { "union.key": key.to_string() },
    });
    let manifest = Blob::of_bytes(media_type::OCI_MANIFEST, manifest.to_string());
    Image {
        platforms: vec![PlatformImage {
            platform,
            manifest,
            config,
            layers,
        }],
        index: None,
    }
}

/// An image of one layer with a text in it.
pub(crate) fn of_text(key: &Key, text: &str) -> Image {
    single(key, "linux/amd64", vec![layer(text)])
}

/// An image of one layer of so many bytes in a file.
pub(crate) fn of_file(key: &Key, directory: &Path, size: usize) -> Image {
    single(key, "linux/amd64", vec![file_layer(directory, size)])
}

/// The same layer, whose bytes are in a repository.
pub(crate) fn in_repository(layer: &Layer, repository: Repository) -> Layer {
    let mut layer = layer.clone();
    layer.blob.content = BlobSource::Remote(repository);
    layer
}

/// An index over images for one platform each.
pub(crate) fn index(key: &Key, images: Vec<Image>) -> Image {
    let platforms: Vec<PlatformImage> = images
        .into_iter()
        .flat_map(|image| image.platforms)
        .collect();
    let entries: Vec<_> = platforms
        .iter()
        .map(|image| {
            let Descriptor { media_type, digest, size } = &image.manifest.descriptor;
            json!({ "mediaType": media_type, "digest": digest, "size": size, "platform": image.platform })
        })
        .collect();
    let index = json!({
        "schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": entries, "annotations": { "union.key": key.to_string() },
    });
    Image {
        platforms,
        index: Some(Blob::of_bytes(media_type::OCI_INDEX, index.to_string())),
    }
}
