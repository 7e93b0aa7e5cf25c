//! Images that a hosted backend makes: whether it makes any, which are there, and how one is ordered.
//!
//! Its builder is a task like any other, `build-image`, which the backend itself registers; its images are
//! known by `name:tag`. What is to be made comes as an [`RemoteImageSpec`](crate::image::remote_spec::RemoteImageSpec).

mod build;
mod guard;
mod spec;
mod task;

use union_build::diag::Code;

use super::client::{Client, Operation, Resource};
use super::convert::ProjectDomain;
use super::idl::imagebuilder::{GetImageRequest, GetImageResponse, ImageIdentifier};
use super::rpc::{RpcStatus, Unary};
use crate::sys::error::Result;

pub use build::{RemoteBuild, RemoteBuildListener, RemoteBuildResult, build};
pub use task::{BuildTask, task};

const GET: Unary<GetImageRequest, GetImageResponse> = Unary::repeatable("flyteidl2.imagebuilder.ImageService", "GetImage");

/// Where an image of the backend is, as a node pulls it; `None` when it has none of that name, `name:tag`.
///
/// # Errors
/// `BuilderMissing` when it knows nothing of images; why it cannot say.
pub async fn find(client: &Client, scope: &ProjectDomain, name: &str) -> Result<Option<String>> {
    let request = GetImageRequest {
        id: Some(ImageIdentifier { name: name.to_owned() }),
        organization: scope.org.clone(),
        project_id: Some(scope.id()),
    };
    let asked = async {
        let client = client.at(Operation::GetImage, Resource::ProjectId(scope.id())).await?;
        client.unary(GET, &request).await
    };
    let mut failure = match asked.await {
        Ok(response) => return Ok(response.image.map(|image| image.fqin).filter(|fqin| !fqin.is_empty())),
        Err(failure) if failure.is(RpcStatus::NotFound) => return Ok(None),
        Err(failure) => failure,
    };
    if failure.is(RpcStatus::Unimplemented) {
        failure.code = Code::BuilderMissing;
    }
    Err(failure.into_error(format!("could not find out whether the backend has the image `{name}`")))
}
