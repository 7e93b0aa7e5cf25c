//! From recipes to images that are at their places, whoever makes them.

use anyhow::Result;

use super::ordering;
use super::ready::Package;
use super::recording::{built, ordered};
use crate::base::error::Error;
use crate::build::native::NativeBuilder;
use crate::build::remote::{Ordered, RemoteBuilder};
use crate::build::{Builder as _, Recipe};
use crate::command::planning::destination::Way;
use crate::command::planning::keys::Keyed;
use crate::command::planning::remote::Standing;
use crate::command::planning::results::Record;
use crate::command::planning::{ImagePlan, PackagePlan};
use crate::image::Image;
use crate::image::reference::PinnedRef;
use crate::publish::Published;
use crate::ui;

/// An image that was just made.
pub(super) struct Fresh {
    pub(super) record: Record,
    pub(super) sent: u64,
    pub(super) adopted: bool,
    /// Why it has no digest.
    pub(super) unpinned: Option<Error>,
}

/// What is ready to leave this machine.
pub(super) enum Content {
    Image(Image),
    Order(Ordered),
}

/// Who makes images.
pub(super) struct Builders {
    native: NativeBuilder,
    remote: RemoteBuilder,
}

impl Builders {
    pub(super) fn new(package: &Package<'_>, plan: &PackagePlan) -> Self {
        let (cache, source, ui) = (&package.work.scope.cache, &plan.destinations.source, package.ui);
        Self {
            native: NativeBuilder::new(cache.clone(), source.clone(), ui.clone()),
            remote: RemoteBuilder::new(cache.clone(), source.clone(), ui.clone()),
        }
    }

    pub(super) async fn pack(&self, keyed: &Keyed, recipe: &Recipe) -> Result<Content> {
        match &keyed.base {
            Some(base) if keyed.is_remote() => Ok(Content::Order(self.remote.order(recipe, base).await?)),
            _ => Ok(Content::Image(self.native.build(recipe).await?)),
        }
    }
}

impl Package<'_> {
    /// Brings an image to its place.
    pub(super) async fn publish<'a>(&self, image: &'a ImagePlan, content: Content) -> Result<(&'a str, Fresh)> {
        let name = image.keyed.name.as_str();
        let fresh = match (content, &image.destination.way) {
            (Content::Order(_), _) if self.work.dry => self.packed(image, None),
            (Content::Image(content), _) if self.work.dry => self.packed(image, Some(&content)),
            (Content::Order(ordered), Way::Remote(backend)) => ordering::order(self, image, backend, ordered).await?,
            (Content::Image(content), Way::Published(publisher)) => {
                let published = publisher.publish(&image.target, &content, self.work.rebuild).await?;
                let verb = if published.adopted { "Adopted" } else { "Published" };
                self.ui.status(verb, format!("{name} {} ({} sent)", published.location, ui::bytes(published.sent)));
                let (sent, adopted) = (published.sent, published.adopted);
                Fresh { record: built(image, &published, &content, self.revision), sent, adopted, unpinned: None }
            }
            (Content::Order(_), Way::Published(_)) | (Content::Image(_), Way::Remote(_)) => {
                unreachable!("whoever makes an image also brings it to its place")
            }
        };
        Ok((name, fresh))
    }

    /// What a dry run knows of an image. The digest of one that the backend would make is not known.
    fn packed(&self, image: &ImagePlan, content: Option<&Image>) -> Fresh {
        let location = image.destination.location.clone();
        self.ui.status("Packed", format!("{} {location}", image.keyed.name));
        let record = match content {
            Some(content) => {
                let published = Published { digest: content.top().descriptor.digest, location, sent: 0, adopted: false };
                built(image, &published, content, self.revision)
            }
            None => {
                let standing = Standing { image: location, pinned: Err("it was not made".to_owned()) };
                ordered(image, &standing, 0, self.revision)
            }
        };
        Fresh { record, sent: 0, adopted: false, unpinned: None }
    }
}

/// Finds out, before anything is compiled, what would keep an image from getting to its place.
pub(super) async fn prepare(image: &ImagePlan) -> Result<()> {
    match &image.destination.way {
        Way::Published(publisher) => Ok(publisher.prepare(&image.target).await?),
        Way::Remote(backend) => backend.task().await.map(drop),
    }
}

/// Where a registry has an image that is there.
pub(super) fn pullable(image: &ImagePlan) -> Option<PinnedRef> {
    if let Some(standing) = &image.standing {
        return standing.pinned.clone().ok();
    }
    let (reference, digest) = (image.keyed.reference()?, image.planned.digest?);
    image.destination.in_registry.then(|| reference.repository.pinned(digest))
}
