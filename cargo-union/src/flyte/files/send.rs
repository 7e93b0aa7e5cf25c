//! Sends content to an address that the backend signs, and requests an expired address again.

use union_build::diag::Code;

use super::checksum::Checksum;
use super::put;
use crate::flyte::backend::Backend as _;
use crate::flyte::client::Client;
use crate::flyte::convert::ProjectDomain;
use crate::flyte::idl::Duration;
use crate::flyte::idl::dataproxy::{CreateUploadLocationRequest, CreateUploadLocationResponse};
use crate::flyte::rpc::RpcFailure;
use crate::http::body::BodySource;
use crate::sys::error::Result;

/// The requested validity of an address, in seconds. The open-source backend refuses more than an hour.
const SECONDS: i64 = 900;
/// How often an expired address is requested again.
const RENEWALS: u32 = 2;

/// The destination of an upload.
#[derive(Clone, Copy)]
pub(super) struct UploadPlace<'a> {
    pub(super) scope: &'a ProjectDomain,
    /// The part of the address that the files of a directory share; empty for the hash of the content.
    pub(super) root: &'a str,
    /// The name below it, with `/` between its parts.
    pub(super) name: &'a str,
}

/// Sends content and returns its address in the store. It is sent in one request, because the backend signs only one:
/// content of any size is streamed, and is sent again from its beginning after a failure.
///
/// # Errors
/// U0770 (`UploadFailed`), U0771 (`UploadRefused`), U0772 (`UploadExpired`); failures of the call.
pub(super) async fn send(
    client: &Client,
    place: &UploadPlace<'_>,
    content: BodySource,
    checksum: &Checksum,
) -> Result<String> {
    let name = place.name;
    let mut renewed = 0;
    loop {
        let location = locate(client, place, checksum).await;
        let location = location.map_err(|failure| {
            failure.into_error(format!("could not get an address to send `{name}` to"))
        })?;
        match put::put(client.storage(), &location, content.clone(), checksum).await {
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

async fn locate(
    client: &Client,
    place: &UploadPlace<'_>,
    checksum: &Checksum,
) -> Result<CreateUploadLocationResponse, RpcFailure> {
    let ProjectDomain {
        org,
        project,
        domain,
    } = place.scope.clone();
    let request = CreateUploadLocationRequest {
        project,
        domain,
        org,
        filename: place.name.to_owned(),
        filename_root: place.root.to_owned(),
        expires_in: Some(Duration {
            seconds: SECONDS,
            nanos: 0,
        }),
        content_md5: checksum.md5.to_vec(),
        add_content_md5_metadata: true,
    };
    client.upload_location(&request).await
}
