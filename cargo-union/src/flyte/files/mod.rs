//! Files for the backend: it signs an address in its store, and they go there with a checksum.
//!
//! The address is a key to the store for as long as it holds: it is shown nowhere, not even in errors. No
//! login goes along. One that has expired is asked for anew.

mod checksum;
mod put;

use std::path::Path;

use union_build::diag::Code;

use super::client::{Client, Operation, Resource};
use super::convert::ProjectDomain;
use super::idl::Duration;
use super::idl::dataproxy::{CreateUploadLocationRequest, CreateUploadLocationResponse};
use super::rpc::{RpcFailure, Unary};
use crate::http::body::BodySource;
use crate::sys::error::Result;
use checksum::Checksum;

/// How long an address shall hold. The open-source backend refuses more than an hour.
const SECONDS: i64 = 900;
/// How often an address that has expired is asked for anew.
const RENEWALS: u32 = 2;

// The same file has the same place.
const LOCATION: Unary<CreateUploadLocationRequest, CreateUploadLocationResponse> =
    Unary::repeatable("flyteidl2.dataproxy.DataProxyService", "CreateUploadLocation");

/// Sends a file to the store of a project, under a name, and says where tasks find it.
///
/// # Errors
/// `UploadRefused`, `UploadExpired`, `UploadFailed`; what the backend says.
pub(crate) async fn upload(client: &Client, scope: &ProjectDomain, name: &str, content: BodySource) -> Result<String> {
    let checksum = Checksum::of(content.clone()).await?;
    let mut renewed = 0;
    loop {
        let location = locate(client, scope, name, &checksum).await;
        let location = location.map_err(|failure| failure.into_error(format!("could not get an address to send `{name}` to")))?;
        match put::put(client.storage(), &location, content.clone(), &checksum).await {
            Ok(()) => return Ok(location.native_url),
            Err(failure) if failure.code == Code::UploadExpired && renewed < RENEWALS => renewed += 1,
            Err(failure) => return Err(failure.into_error(format!("could not send `{name}` to the backend's store"))),
        }
    }
}

/// Sends a file of this machine under its own name.
///
/// # Errors
/// `FileUnreadable`, and those of [`upload`].
pub(crate) async fn upload_file(client: &Client, scope: &ProjectDomain, path: &Path) -> Result<String> {
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
    upload(client, scope, &name, BodySource::File(path.to_owned())).await
}

async fn locate(
    client: &Client,
    scope: &ProjectDomain,
    name: &str,
    checksum: &Checksum,
) -> Result<CreateUploadLocationResponse, RpcFailure> {
    let ProjectDomain { org, project, domain } = scope.clone();
    let request = CreateUploadLocationRequest {
        project,
        domain,
        org,
        filename: name.to_owned(),
        expires_in: Some(Duration { seconds: SECONDS, nanos: 0 }),
        content_md5: checksum.md5.to_vec(),
        add_content_md5_metadata: true,
    };
    client.at(Operation::CreateUploadLocation, Resource::ProjectId(scope.id())).await?.unary(LOCATION, &request).await
}
