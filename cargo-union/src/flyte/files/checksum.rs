//! Checksums of uploaded files.

use std::io::Read as _;
use std::path::Path;

use md5::{Digest as _, Md5};
use serde::{Deserialize, Serialize};

use crate::http::body::BodySource;
use crate::sys::error::Result;
use crate::sys::fs;

/// Size and MD5 of a file; MD5 is the only checksum that all object stores verify.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Checksum {
    pub(super) size: u64,
    pub(super) md5: [u8; 16],
}

impl Checksum {
    /// Reads the content once.
    pub(super) async fn of(content: BodySource) -> Result<Self> {
        let read = tokio::task::spawn_blocking(move || match &content {
            BodySource::Bytes(bytes) => Ok(Self {
                size: bytes.len() as u64,
                md5: Md5::digest(bytes).into(),
            }),
            BodySource::File(path) => Self::of_file(path),
        });
        read.await.expect("reading does not panic")
    }

    /// Reads a file once. Blocks.
    pub(super) fn of_file(path: &Path) -> Result<Self> {
        let read = || -> std::io::Result<Self> {
            let mut file = std::fs::File::open(path)?;
            let (mut md5, mut size, mut buffer) = (Md5::new(), 0, vec![0; 1 << 16]);
            loop {
                match file.read(&mut buffer)? {
                    0 => {
                        return Ok(Self {
                            size,
                            md5: md5.finalize().into(),
                        });
                    }
                    count => {
                        md5.update(&buffer[..count]);
                        size += count as u64;
                    }
                }
            }
        };
        read().map_err(|cause| fs::unreadable(path, cause))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn file_and_bytes_have_the_same_checksum() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "hello\n").unwrap();
        let checksum = Checksum::of(BodySource::File(file.path().to_owned()))
            .await
            .unwrap();
        assert_eq!(
            checksum,
            Checksum::of(BodySource::Bytes("hello\n".into()))
                .await
                .unwrap()
        );
        assert_eq!(
            (checksum.size, checksum.md5[..4].to_vec()),
            (6, vec![0xb1, 0x94, 0x6a, 0xc9])
        );
    }
}
