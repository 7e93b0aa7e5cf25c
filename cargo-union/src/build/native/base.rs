//! A base image: its manifest, config and layers, and, only when needed, the files in them.
//!
//! Layers are never unpacked to disk and stay where they are until a publisher has to move them. To
//! know what stands at which path each layer is streamed once in its life, and the list is kept.

use std::collections::BTreeMap;
use std::io::{self, BufReader, Read};
use std::path::PathBuf;

use sha2::{Digest as _, Sha256};
use union_build::diag::Code;

use crate::base::cache::Cache;
use crate::base::error::{Error, Result};
use crate::base::fs;
use crate::build::{LockedBase, Start};
use crate::image::config::BaseConfig;
use crate::image::digest::{DiffId, Digest};
use crate::image::index::{Change, FileIndex, Node, is_read};
use crate::image::layer::{Blob, Content, Descriptor, Layer};
use crate::image::manifest::{self, BaseManifest};
use crate::image::platform::Platform;
use crate::image::{BaseSource, PlatformImage, RawManifest};

/// A base for one platform.
pub(in crate::build) struct Base {
    name: String,
    pub(in crate::build) config_blob: Blob,
    pub(in crate::build) config: BaseConfig,
    pub(in crate::build) layers: Vec<Layer>,
}

impl Base {
    /// Gets at manifest and config, both small.
    pub(in crate::build) async fn open(cache: &Cache, source: &dyn BaseSource, start: &Start, platform: &Platform) -> Result<Self> {
        match start {
            Start::Locked(at) => Self::fetch(cache, source, at, platform).await,
            Start::Made(image) => {
                let name = "the environment".to_owned();
                let Content::Bytes(config) = &image.config.content else { unreachable!("a made config is always in memory") };
                let config = BaseConfig::read(&name, config, image.layers.len())?;
                Ok(Self { name, config_blob: image.config.clone(), config, layers: image.layers.clone() })
            }
        }
    }

    async fn fetch(cache: &Cache, source: &dyn BaseSource, at: &LockedBase, platform: &Platform) -> Result<Self> {
        let name = at.repository.pinned(at.digest).to_string();
        let image = match manifest::read(&name, &manifest(cache, source, at, at.digest).await?)? {
            BaseManifest::Image(image) => image,
            BaseManifest::Index(variants) => {
                let digest = manifest::choose(&name, &variants, platform)?.digest;
                match manifest::read(&name, &manifest(cache, source, at, digest).await?)? {
                    BaseManifest::Image(image) => image,
                    BaseManifest::Index(_) => {
                        return Err(Error::new(Code::BaseUnsupported, format!("cannot build upon base image `{name}`"))
                            .because("its index leads to another index"));
                    }
                }
            }
        };
        let mut config_blob = Blob { descriptor: image.config, content: Content::Remote(at.repository.clone()) };
        let path = file(cache, source, &config_blob).await?;
        let config = BaseConfig::read(&name, &fs::read(&path)?, image.layers.len())?;
        config_blob.content = Content::File(path);
        if config.platform() != *platform {
            return Err(manifest::without_platform(&name, platform, &[&config.platform()]));
        }
        let layers = image.layers.into_iter().zip(config.diff_ids()).map(|(descriptor, diff_id)| {
            let blob = Blob { descriptor, content: Content::Remote(at.repository.clone()) };
            Layer { blob, diff_id: *diff_id }
        });
        Ok(Self { layers: layers.collect(), name, config_blob, config })
    }

    /// What stands where in it.
    pub(in crate::build) async fn files(&self, cache: &Cache, source: &dyn BaseSource) -> Result<FileIndex> {
        let mut index = FileIndex::default();
        for layer in &self.layers {
            let known: Option<Vec<Change>> = cache.note(NOTES, &layer.diff_id.hex());
            let changes = match known {
                Some(changes) => changes,
                None => {
                    let path = file(cache, source, &layer.blob).await?;
                    let (diff_id, corrupt) = (layer.diff_id, self.corrupt(&layer.blob.descriptor));
                    let read = tokio::task::spawn_blocking(move || read_layer(path, diff_id));
                    let changes = read.await.expect("reading a layer does not panic").map_err(|cause| corrupt.because(cause))?;
                    cache.put_note(NOTES, &layer.diff_id.hex(), &changes)?;
                    changes
                }
            };
            index.apply(&changes);
        }
        Ok(index)
    }

    /// It as an image, for whoever takes images.
    pub(in crate::build) fn into_image(self, platform: &Platform) -> PlatformImage {
        let manifest = manifest::manifest(&self.config_blob.descriptor, &self.layers, &BTreeMap::new());
        PlatformImage { platform: platform.clone(), manifest, config: self.config_blob, layers: self.layers }
    }

    /// The name that errors call it by.
    pub(in crate::build) fn name(&self) -> &str {
        &self.name
    }

    fn corrupt(&self, layer: &Descriptor) -> Error {
        Error::new(Code::BaseCorrupt, format!("could not read layer {} of base image `{}`", layer.digest, self.name))
    }
}

const NOTES: &str = "files";

/// A manifest by its digest never changes, so it is asked for once.
async fn manifest(cache: &Cache, source: &dyn BaseSource, at: &LockedBase, digest: Digest) -> Result<RawManifest> {
    if let Some(bytes) = cache.blob(&digest).and_then(|path| std::fs::read(path).ok()).filter(|bytes| Digest::of(bytes) == digest) {
        let blob = Blob::of_bytes("", bytes.clone());
        return Ok(RawManifest { descriptor: blob.descriptor, bytes: bytes.into() });
    }
    let manifest = source.manifest(&at.repository, &digest.to_string()).await?;
    let mut draft = cache.draft()?;
    io::Write::write_all(&mut draft, &manifest.bytes).map_err(|cause| fs::unwritable(cache.folder(), cause))?;
    cache.keep(draft, &digest)?;
    Ok(manifest)
}

/// The file that a blob is in on this machine.
async fn file(cache: &Cache, source: &dyn BaseSource, blob: &Blob) -> Result<PathBuf> {
    if let Content::File(path) = &blob.content {
        return Ok(path.clone());
    }
    match (cache.blob(&blob.descriptor.digest), &blob.content) {
        (Some(path), _) => Ok(path),
        (None, Content::Remote(repository)) => source.blob(repository, &blob.descriptor).await,
        (None, Content::Bytes(_) | Content::File(_)) => unreachable!("layers and the configs of registries are never in memory"),
    }
}

/// Streams a layer to its end: the list is kept by its diff id, so that must be the true one.
fn read_layer(path: PathBuf, diff_id: DiffId) -> io::Result<Vec<Change>> {
    let mut plain = Hashing { plain: plain(std::fs::File::open(path)?)?, hash: Sha256::new() };
    let changes = tar::Archive::new(&mut plain).entries()?.filter_map(|entry| change(entry).transpose()).collect::<io::Result<_>>()?;
    io::copy(&mut plain, &mut io::sink())?;
    let found = DiffId::from_hasher(plain.hash);
    if found != diff_id {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("its config promises {diff_id} and it holds {found}")));
    }
    Ok(changes)
}

/// What an entry of a layer says; the root itself says nothing.
fn change(entry: io::Result<tar::Entry<'_, impl Read>>) -> io::Result<Option<Change>> {
    let mut entry = entry?;
    let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
    let path = path.trim_start_matches("./").trim_matches('/');
    if path.is_empty() || path == "." {
        return Ok(None);
    }
    let kind = entry.header().entry_type();
    let node = if kind.is_dir() {
        Node::Folder
    } else if kind.is_symlink() {
        let target = entry.link_name_bytes().unwrap_or_default();
        Node::Link(String::from_utf8_lossy(&target).into_owned())
    } else if kind.is_file() && is_read(path) {
        // A million users would fit; what is larger is no list of users.
        let mut text = Vec::new();
        entry.by_ref().take(64 << 20).read_to_end(&mut text)?;
        Node::File(Some(String::from_utf8_lossy(&text).into_owned()))
    } else {
        Node::File(None)
    };
    Ok(Some(Change::of(path, node)))
}

/// Decompresses by what the bytes are: the media types of old images are not always true.
pub(in crate::build) fn plain<'a>(file: impl Read + 'a) -> io::Result<Box<dyn Read + 'a>> {
    let mut file = BufReader::with_capacity(1 << 18, file);
    let start = io::BufRead::fill_buf(&mut file)?;
    if start.starts_with(&[0x1f, 0x8b]) {
        Ok(Box::new(BufReader::with_capacity(1 << 18, flate2::bufread::MultiGzDecoder::new(file))))
    } else if start.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        Ok(Box::new(zstd::stream::read::Decoder::with_buffer(file)?))
    } else {
        Ok(Box::new(file))
    }
}

struct Hashing {
    plain: Box<dyn Read>,
    hash: Sha256,
}

impl Read for Hashing {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.plain.read(buffer)?;
        self.hash.update(&buffer[..count]);
        Ok(count)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn layer() -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(4);
        tar.append_data(&mut header, "./etc/passwd", &b"text"[..]).unwrap();
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_size(0);
        tar.append_link(&mut header, "./bin", "usr/bin").unwrap();
        tar.into_inner().unwrap()
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        io::Write::write_all(&mut encoder, bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn layers_are_read_plain_in_several_gzip_members_and_in_zstd() {
        let tar = layer();
        let members = [gzip(&tar[..700]), gzip(&tar[700..])].concat();
        let folder = tempfile::tempdir().unwrap();
        for bytes in [&tar, &members, &zstd::bulk::compress(&tar, 1).unwrap()] {
            let path = folder.path().join("blob");
            std::fs::write(&path, bytes).unwrap();
            let changes = read_layer(path, DiffId::of(&tar)).unwrap();
            let text = Node::File(Some("text".to_owned()));
            let expected = [Change::Put("etc/passwd".to_owned(), text), Change::Put("bin".to_owned(), Node::Link("usr/bin".to_owned()))];
            assert_eq!(changes, expected);
        }
    }

    #[test]
    fn a_layer_that_is_not_what_the_config_promises_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("blob");
        std::fs::write(&path, layer()).unwrap();
        assert!(read_layer(path, DiffId::of("another")).unwrap_err().to_string().contains("promises"));
    }
}
