//! From recipes to images that are at their places, whoever makes them.

use anyhow::Result;

use super::context::PackageContext;
use super::outcome::PublishedImage;
use super::record::{from_published, from_remote};
use super::remote_build;
use crate::build::native::NativeBuilder;
use crate::build::remote::{RemoteBuildRequest, RemoteBuilder};
use crate::build::{BuildRequest, Builder as _};
use crate::image::Image;
use crate::image::reference::PinnedRef;
use crate::pipeline::plan::{ImagePlan, PackagePlan};
use crate::pipeline::remote::RemoteImage;
use crate::pipeline::resolve::ResolvedImage;
use crate::pipeline::target::ImageRoute;
use crate::publish::Published;
use crate::sys::words;

/// What is ready to leave this machine.
pub(super) enum BuildArtifact {
    Image(Image),
    Order(RemoteBuildRequest),
}

/// Who makes images.
pub(super) struct ImageBuilders {
    native: NativeBuilder,
    remote: RemoteBuilder,
}

impl ImageBuilders {
    pub(super) fn new(package: &PackageContext<'_>, plan: &PackagePlan) -> Self {
        let (cache, source, reporter) = (&package.work.scope.cache, &plan.destinations.source, package.reporter);
        Self {
            native: NativeBuilder::new(cache.clone(), source.clone(), reporter.clone()),
            remote: RemoteBuilder::new(cache.clone(), source.clone(), reporter.clone()),
        }
    }

    pub(super) async fn pack(&self, resolved: &ResolvedImage, recipe: &BuildRequest) -> Result<BuildArtifact> {
        match &resolved.base {
            Some(base) if resolved.is_remote() => Ok(BuildArtifact::Order(self.remote.order(recipe, base).await?)),
            _ => Ok(BuildArtifact::Image(self.native.build(recipe).await?)),
        }
    }
}

impl PackageContext<'_> {
    /// Brings an image to its place.
    pub(super) async fn publish<'a>(&self, image: &'a ImagePlan, content: BuildArtifact) -> Result<(&'a str, PublishedImage)> {
        let name = image.resolved.name.as_str();
        let fresh = match (content, &image.destination.way) {
            (BuildArtifact::Order(_), _) if self.work.dry => self.dry_run_result(image, None),
            (BuildArtifact::Image(content), _) if self.work.dry => self.dry_run_result(image, Some(&content)),
            (BuildArtifact::Order(ordered), ImageRoute::Remote(backend)) => remote_build::order(self, image, backend, ordered).await?,
            (BuildArtifact::Image(content), ImageRoute::Published(publisher)) => {
                let published = publisher.publish(&image.target, &content, self.work.rebuild).await?;
                let verb = if published.adopted { "Adopted" } else { "Published" };
                self.reporter.status(verb, &format!("{name} {} ({} sent)", published.location, words::bytes(published.sent)));
                let (sent, adopted) = (published.sent, published.adopted);
                PublishedImage { record: from_published(image, &published, &content, self.revision), sent, adopted, unpinned: None }
            }
            (BuildArtifact::Order(_), ImageRoute::Published(_)) | (BuildArtifact::Image(_), ImageRoute::Remote(_)) => {
                unreachable!("whoever makes an image also brings it to its place")
            }
        };
        Ok((name, fresh))
    }

    /// What a dry run knows of an image. The digest of one that the backend would make is not known.
    fn dry_run_result(&self, image: &ImagePlan, content: Option<&Image>) -> PublishedImage {
        let location = image.destination.location.clone();
        self.reporter.status("Packed", &format!("{} {location}", image.resolved.name));
        let record = match content {
            Some(content) => {
                let published = Published { digest: content.top().descriptor.digest, location, sent: 0, adopted: false };
                from_published(image, &published, content, self.revision)
            }
            None => {
                let standing = RemoteImage { image: location, pinned: Err("it was not made".to_owned()) };
                from_remote(image, &standing, 0, self.revision)
            }
        };
        PublishedImage { record, sent: 0, adopted: false, unpinned: None }
    }
}

/// Finds out, before anything is compiled, what would keep an image from getting to its place.
pub(super) async fn prepare(image: &ImagePlan) -> Result<()> {
    match &image.destination.way {
        ImageRoute::Published(publisher) => Ok(publisher.prepare(&image.target).await?),
        ImageRoute::Remote(backend) => backend.task().await.map(drop),
    }
}

/// Where a registry has an image that is there.
pub(super) fn pinned_reference(image: &ImagePlan) -> Option<PinnedRef> {
    if let Some(standing) = &image.standing {
        return standing.pinned.clone().ok();
    }
    let (reference, digest) = (image.resolved.reference()?, image.planned.digest?);
    image.destination.in_registry.then(|| reference.repository.pinned(digest))
}
