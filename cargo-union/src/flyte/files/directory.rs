//! Uploads a directory file by file, below a prefix with a fingerprint of its content.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use union_build::diag::Code;

use super::scan::{DirectoryScan, FileTotals, ScannedFile};
use super::send::{UploadPlace, send};
use crate::flyte::client::Client;
use crate::flyte::convert::ProjectDomain;
use crate::http::body::BodySource;
use crate::http::error::clean;
use crate::sys::error::{Error, Result};

/// How many files are sent at once.
const AT_ONCE: usize = 16;

/// How much of a directory was transferred.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DirectoryProgress {
    /// What was transferred so far.
    pub done: FileTotals,
    /// Everything.
    pub total: FileTotals,
}

/// Uploads the files of a local directory. Returns the address of the directory, without a slash at its end, and what was sent.
/// The same names with the same contents have the same address. Links are followed, except those to a directory that contains
/// them; directories without files do not exist in the store. Memory does not grow with the number of files.
///
/// `progress` is called after each file.
///
/// # Errors
/// U0004 (`FileUnreadable`), also for a directory without files and for special files; U0780 (`UploadChanged`); U0757
/// (`BackendInvalid`) when the backend names addresses without a common prefix; those of [`super::upload`].
pub(crate) async fn upload_directory(
    client: &Client,
    scope: &ProjectDomain,
    directory: &Path,
    progress: &(dyn Fn(DirectoryProgress) + Send + Sync),
) -> Result<(String, FileTotals)> {
    let scan = Arc::new(
        blocking({
            let directory = directory.to_owned();
            move || DirectoryScan::read(&directory)
        })
        .await?,
    );
    let total = scan.totals;
    if total.files == 0 {
        let why =
            std::io::Error::other("it has no files, and the backend's store has no directories");
        return Err(crate::sys::fs::unreadable(directory, why));
    }
    let (files, bytes) = (AtomicU64::new(0), AtomicU64::new(0));
    let upload = |file: Result<ScannedFile>| {
        let (scan, files, bytes) = (&scan, &files, &bytes);
        async move {
            let file = file?;
            let address = upload_scanned(client, scope, scan, &file).await?;
            let size = file.checksum.size;
            let done = FileTotals {
                files: files.fetch_add(1, Ordering::Relaxed) + 1,
                bytes: bytes.fetch_add(size, Ordering::Relaxed) + size,
            };
            progress(DirectoryProgress { done, total });
            Ok(address)
        }
    };
    let address = stream::iter(scan.files()?)
        .map(upload)
        .buffer_unordered(AT_ONCE)
        .try_fold(None, |known: Option<String>, address| async move {
            match known {
                Some(known) if known != address => Err(scattered(&known, &address)),
                _ => Ok(Some(address)),
            }
        })
        .await?;
    blocking(move || scan.check_unchanged()).await?;
    Ok((address.unwrap_or_default(), total))
}

/// Uploads one file, and returns the address of the directory, derived from the address of the file.
async fn upload_scanned(
    client: &Client,
    scope: &ProjectDomain,
    scan: &DirectoryScan,
    file: &ScannedFile,
) -> Result<String> {
    let path = scan.path(&file.name);
    let place = UploadPlace {
        scope,
        root: &scan.fingerprint,
        name: &file.name,
    };
    let sent = send(
        client,
        &place,
        BodySource::File(path.clone()),
        &file.checksum,
    )
    .await;
    // If the file has changed, the store rejects its checksum with an unrelated error, so the stamp is checked first.
    file.stamp.check(&path)?;
    let address = sent?;
    directory_address(&address, &scan.fingerprint, &file.name).ok_or_else(|| {
        let tried = format!("could not send `{}` to the backend's store", file.name);
        let why = format!(
            "the backend keeps it at `{}`, under another name",
            clean(&address)
        );
        Error::new(Code::BackendInvalid, tried).because(why).help(
            "Rename the file: its name should have no `?`, `#` and `%`, and no `:` in its first part.",
        )
    })
}

/// The address of a directory, from that of one of its files; `None` when the address does not end with the file's
/// name.
fn directory_address(address: &str, root: &str, name: &str) -> Option<String> {
    let end = address.rfind(&format!("/{root}/"))? + 1 + root.len();
    let (directory, rest) = address.split_at_checked(end)?;
    let found = rest.strip_prefix('/')?;
    (found == name || percent_decoded(found).as_deref() == Some(name.as_bytes()))
        .then(|| directory.to_owned())
}

/// Backends write names into addresses with or without encoding. `None` when a `%` is not followed by two digits.
fn percent_decoded(text: &str) -> Option<Vec<u8>> {
    let mut parts = text.split('%');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at_checked(2)?;
        // The conversion accepts a sign too.
        if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    Some(bytes)
}

fn scattered(one: &str, other: &str) -> Error {
    Error::new(
        Code::BackendInvalid,
        "could not send a directory to the backend's store",
    )
    .because(format!(
        "the backend keeps its files at `{}` and at `{}`",
        clean(one),
        clean(other)
    ))
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .expect("reading does not panic")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directory_address_is_the_common_prefix_of_its_files() {
        let address = |address: &str, name: &str| directory_address(address, "ab12", name);
        let directory = Some("s3://b/uploads/p/d/ab12".to_owned());
        assert_eq!(
            address("s3://b/uploads/p/d/ab12/x/y.csv", "x/y.csv"),
            directory
        );
        assert_eq!(address("s3://b/uploads/p/d/ab12/a%20b", "a b"), directory);
        assert_eq!(address("s3://b/uploads/p/d/ab12/a b", "a b"), directory);
        assert_eq!(address("s3://b/uploads/p/d/ab12/%41", "%41"), directory);
        for (kept, name) in [
            ("s3://b/uploads/p/d/ab12/a", "a?b"),
            ("s3://b/uploads/p/d/cd34/a", "a"),
            ("s3://b/uploads/p/d/ab12/%4", "a"),
            ("s3://b/ab12", "a"),
            ("", "a"),
        ] {
            assert_eq!(address(kept, name), None, "{kept}");
        }
    }
}
