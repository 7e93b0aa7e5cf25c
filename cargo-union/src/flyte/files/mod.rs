//! Files in the backend's object store: uploads through addresses that the backend signs, and downloads.
//!
//! A signed address grants write access while it is valid, so it is never shown, not even in errors. Uploads send
//! no other credentials. An expired address is requested again.

mod checksum;
mod directory;
mod download;
mod put;
mod scan;
mod send;

pub use directory::DirectoryProgress;
pub(crate) use directory::upload_directory;
pub use download::{StoreReader, StoreSettings};
pub use scan::FileTotals;
pub(crate) use scan::has_files;

use std::path::Path;

use super::client::Client;
use super::convert::ProjectDomain;
use crate::http::body::BodySource;
use crate::sys::error::Result;
use checksum::Checksum;
use scan::ReadStamp;
use send::UploadPlace;

/// Uploads content as `name` to the store of a project. Returns the address at which tasks find it.
///
/// # Errors
/// U0770 (`UploadFailed`), U0771 (`UploadRefused`), U0772 (`UploadExpired`); failures of the call.
pub(crate) async fn upload(
    client: &Client,
    scope: &ProjectDomain,
    name: &str,
    content: BodySource,
) -> Result<String> {
    let checksum = Checksum::of(content.clone()).await?;
    let place = UploadPlace {
        scope,
        root: "",
        name,
    };
    send::send(client, &place, content, &checksum).await
}

/// Uploads a local file under its own name.
///
/// # Errors
/// U0004 (`FileUnreadable`), U0780 (`UploadChanged`), and the errors of [`upload`].
pub(crate) async fn upload_file(
    client: &Client,
    scope: &ProjectDomain,
    path: &Path,
) -> Result<String> {
    let name = path
        .file_name()
        .unwrap_or(path.as_os_str())
        .to_string_lossy();
    let stamp = ReadStamp::of(path)?;
    let sent = upload(client, scope, &name, BodySource::File(path.to_owned())).await;
    // If the file has changed, the store rejects its checksum with an unrelated error, so the stamp is checked first.
    stamp.check(path)?;
    sent
}
