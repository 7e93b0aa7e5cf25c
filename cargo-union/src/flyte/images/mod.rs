//! Images built by a hosted backend: checking for the image builder, looking up images, and building them.
//!
//! The builder is a task, `build-image`, which the backend itself registers; images are identified by
//! `name:tag`. The input is a [`RemoteImageSpec`](crate::image::remote_spec::RemoteImageSpec).

mod build;
mod guard;
mod listener;
mod spec;
mod task;

use union_build::diag::Code;

use super::client::{Client, Operation, Resource};
use super::convert::ProjectDomain;
use super::idl::imagebuilder::{GetImageRequest, GetImageResponse, ImageIdentifier};
use super::rpc::{RpcStatus, Unary};
use crate::sys::error::Result;

pub use build::{RemoteBuild, RemoteBuildResult, build};
pub use listener::RemoteBuildListener;
pub use task::{BuildTask, task};

const GET: Unary<GetImageRequest, GetImageResponse> =
    Unary::repeatable("flyteidl2.imagebuilder.ImageService", "GetImage");

/// The reference of an image of the backend, as a node pulls it; `None` when there is no image `name`, a `name:tag`.
///
/// # Errors
/// U0769 (`BuilderMissing`) when the backend has no image service; failures of the call.
pub async fn find(client: &Client, scope: &ProjectDomain, name: &str) -> Result<Option<String>> {
    let request = GetImageRequest {
        id: Some(ImageIdentifier {
            name: name.to_owned(),
        }),
        organization: scope.org.clone(),
        project_id: Some(scope.id()),
    };
    let call = async {
        let client = client
            .at(Operation::GetImage, Resource::ProjectId(scope.id()))
            .await?;
        client.unary(GET, &request).await
    };
    let mut failure = match call.await {
        Ok(response) => {
            return Ok(response
                .image
                .map(|image| image.fqin)
                .filter(|fqin| !fqin.is_empty()));
        }
        Err(failure) if failure.is(RpcStatus::NotFound) => return Ok(None),
        Err(failure) => failure,
    };
    if failure.is(RpcStatus::Unimplemented) {
        failure.code = Code::BuilderMissing;
    }
    Err(failure.into_error(format!(
        "could not find out whether the backend has the image `{name}`"
    )))
}
