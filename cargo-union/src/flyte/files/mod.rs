//! Uploads of files to the backend's object store, through addresses that the backend signs.
//!
//! A signed address grants write access while it is valid, so it is never shown, not even in errors. Uploads send
//! no other credentials. An expired address is requested again.

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

/// The requested validity of an address, in seconds. The open-source backend refuses more than an hour.
const SECONDS: i64 = 900;
/// How often an expired address is requested again.
const RENEWALS: u32 = 2;

// Idempotent: the same file has the same location.
const LOCATION: Unary<CreateUploadLocationRequest, CreateUploadLocationResponse> =
    Unary::repeatable(
        "flyteidl2.dataproxy.DataProxyService",
        "CreateUploadLocation",
    );

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
    let mut renewed = 0;
    loop {
        let location = locate(client, scope, name, &checksum).await;
        let location = location.map_err(|failure| {
            failure.into_error(format!("could not get an address to send `{name}` to"))
        })?;
        match put::put(client.storage(), &location, content.clone(), &checksum).await {
            Ok(()) => return Ok(location.native_url),
            Err(failure) if failure.code == Code::UploadExpired && renewed < RENEWALS => {
                renewed += 1
            }
            Err(failure) => {
                return Err(
                    failure.into_error(format!("could not send `{name}` to the backend's store"))
                );
            }
        }
    }
}

/// Uploads a local file under its own name.
///
/// # Errors
/// U0004 (`FileUnreadable`), and the errors of [`upload`].
pub(crate) async fn upload_file(
    client: &Client,
    scope: &ProjectDomain,
    path: &Path,
) -> Result<String> {
    let name = path
        .file_name()
        .unwrap_or(path.as_os_str())
        .to_string_lossy();
    upload(client, scope, &name, BodySource::File(path.to_owned())).await
}

async fn locate(
    client: &Client,
    scope: &ProjectDomain,
    name: &str,
    checksum: &Checksum,
) -> Result<CreateUploadLocationResponse, RpcFailure> {
    let ProjectDomain {
        org,
        project,
        domain,
    } = scope.clone();
    let request = CreateUploadLocationRequest {
        project,
        domain,
        org,
        filename: name.to_owned(),
        expires_in: Some(Duration {
            seconds: SECONDS,
            nanos: 0,
        }),
        content_md5: checksum.md5.to_vec(),
        add_content_md5_metadata: true,
    };
    client
        .at(
            Operation::CreateUploadLocation,
            Resource::ProjectId(scope.id()),
        )
        .await?
        .unary(LOCATION, &request)
        .await
}
