//! A client of container registries (OCI distribution spec), for reading bases and publishing images.
//!
//! One client does both, so that logins, tokens and connections are shared. It verifies all content: blobs are hashed
//! while they are streamed, and a tag is read again after it was written. It must never leave an incomplete image under
//! a tag: the tag is always written last.
//!
//! `manifests` reads and writes manifests, `pull` fetches bases, `existence` checks whether an image exists, `upload`
//! transfers blobs, `push` publishes images, `referrers` attaches documents to them, `signatures` signs them, and `copy`
//! copies them to another repository. All of them send requests through `transport`, which uses `origin` to select https or
//! http.

use async_trait::async_trait;
use union_build::diag::Code;

use super::failure::RegistryFailure;
use super::{Existence, ImageTarget, Published, Publisher};
use crate::image::Image;
use crate::image::reference::{ImageRef, Repository};
use crate::sys::error::{Error, Result};

mod client;
mod contents;
mod copy;
mod endpoint;
mod existence;
mod list_tag;
mod logins;
mod manifests;
mod origin;
mod parts;
mod presence;
mod pull;
mod push;
mod referrers;
mod settings;
mod signatures;
mod tags;
mod transport;
mod upload;
mod upload_session;

pub use client::Registry;
pub use contents::ImageContents;
pub use copy::CopiedImage;
pub use referrers::{AttachOutcome, FallbackTag};
pub use settings::{RegistryOptions, RegistrySettings};

use endpoint::RepositoryEndpoint;

impl Registry {
    /// Checks that a repository accepts uploads: one is started and cancelled.
    ///
    /// # Errors
    /// When the registry denies it, is unreachable, or its response is invalid.
    pub async fn check_push(&self, repository: &Repository) -> Result<()> {
        let accepted = self.try_upload(&RepositoryEndpoint::of(repository)).await;
        accepted.map_err(|failure| {
            failure.into_error(format!("could not start an upload to {repository}"))
        })
    }

    /// Seconds by which this machine's clock is ahead of the clock of the registry that responded last; negative if it
    /// is behind. `None` before a response with a valid `Date` header.
    pub fn clock_difference(&self) -> Option<i64> {
        self.transport.transport.clock_difference()
    }
}

#[async_trait]
impl Publisher for Registry {
    async fn existence(&self, target: &ImageTarget) -> Result<Existence> {
        let reference = reference(target)?;
        let found = self
            .find(&RepositoryEndpoint::of(&reference.repository), target)
            .await;
        found.map_err(|failure| {
            failure.into_error(format!("could not find out whether {reference} exists"))
        })
    }

    async fn prepare(&self, target: &ImageTarget) -> Result<()> {
        self.check_push(&reference(target)?.repository).await
    }

    async fn publish(
        &self,
        target: &ImageTarget,
        image: &Image,
        replace: bool,
    ) -> Result<Published> {
        let reference = reference(target)?;
        let pushed = self
            .push(
                &RepositoryEndpoint::of(&reference.repository),
                target,
                image,
                replace,
            )
            .await;
        pushed.map_err(|failure: RegistryFailure| {
            failure.into_error(format!("could not push {reference}"))
        })
    }
}

fn reference(target: &ImageTarget) -> Result<&ImageRef> {
    target.reference.as_ref().ok_or_else(|| {
        Error::new(
            Code::RegistryMissing,
            format!("could not push `{}`: no registry is set", target.name),
        )
    })
}
