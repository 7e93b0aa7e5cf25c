//! The documents that go with a pushed image: its provenance, and a bill of materials for each platform. They are attached
//! to the image as OCI referrers.
//!
//! Only images that this process has pushed get documents, so an unchanged image costs no request. A document that the
//! registry rejects is a warning, because the image itself is complete.

use std::collections::BTreeMap;

use futures_util::stream::{self, StreamExt as _};

use super::package::{PackageBuild, PublishedPackage};
use super::route::{AttachmentSubjects, PublishedImage};
use super::sbom;
use crate::attest::ImageDocument;
use crate::attest::provenance::{ProvenanceSubject, provenance};
use crate::image::artifact::Artifact;
use crate::image::layer::Descriptor;
use crate::image::reference::PinnedRef;
use crate::pipeline::plan::ImagePlan;
use crate::pipeline::problems::{PipelineError, Result};
use crate::publish::registry::{AttachOutcome, FallbackTag};
use crate::sys::words;

/// The largest number of characters of a warning.
const LONGEST: usize = 2000;

/// Attaches the documents of all images that were pushed to a registry, `jobs` images at a time.
pub(super) async fn attach_documents(
    builds: &[PackageBuild<'_>],
    published: &[PublishedPackage],
    jobs: usize,
) {
    let mut pushed = Vec::new();
    for (build, published) in builds.iter().zip(published) {
        for image in build.plan.missing() {
            if let Some(published) = published.images.get(&image.resolved.name)
                && let Some(fallback) = fallback_tag(build)
                && let (Some(subjects), Some(pinned)) =
                    (&published.subjects, &published.existing.pinned)
            {
                pushed.push(AttachmentJob {
                    build,
                    image,
                    published,
                    subjects,
                    pinned,
                    fallback,
                });
            }
        }
    }
    let attaching = pushed.iter().map(AttachmentJob::attach_or_warn);
    stream::iter(attaching)
        .buffer_unordered(jobs)
        .collect::<()>()
        .await;
}

/// What the key `attest` sets for registries without the referrers API; `None` if it is `false` and nothing is
/// attached.
fn fallback_tag(build: &PackageBuild<'_>) -> Option<FallbackTag> {
    match build.context.package.spec.attest.as_deref() {
        None => Some(FallbackTag::Never),
        Some(true) => Some(FallbackTag::Write),
        Some(false) => None,
    }
}

/// An image that this process has pushed.
struct AttachmentJob<'a> {
    build: &'a PackageBuild<'a>,
    image: &'a ImagePlan,
    published: &'a PublishedImage,
    subjects: &'a AttachmentSubjects,
    pinned: &'a PinnedRef,
    fallback: FallbackTag,
}

impl AttachmentJob<'_> {
    async fn attach_or_warn(&self) {
        let Err(error) = self.attach().await else {
            return;
        };
        let location = &self.published.existing.location;
        let cause = match &error {
            PipelineError::Failed(error) => {
                format!("[{}] {}", error.code(), error.chain().join(": "))
            }
            PipelineError::Invalid(problems) => problems.to_string(),
        };
        let text = format!(
            "{location} was pushed, but no bill of materials and provenance could be attached to it: {cause}\n  \
             = help: allow it and run `cargo union build --rebuild`, or set `attest = false`"
        );
        self.build
            .context
            .reporter
            .warning(&words::printable(&text, LONGEST));
    }

    /// Attaches the documents one after the other, because they share a fallback tag.
    async fn attach(&self) -> Result<()> {
        let context = &self.build.context;
        let top = &self.subjects.top;
        if !self.attach_document(top, self.provenance()).await? {
            return Ok(());
        }
        for (platform, subject) in self.subjects.platforms.iter() {
            let resolved = (&self.image.resolved, Some(subject.digest));
            let document = sbom::document(
                context.options,
                context.snapshot,
                context.package,
                resolved,
                platform,
            );
            self.attach_document(subject, document.await?).await?;
        }
        context.reporter.detail(
            "Attached",
            &format!("provenance and bill of materials to {}", self.pinned),
        );
        Ok(())
    }

    fn provenance(&self) -> ImageDocument {
        let resolved = &self.image.resolved;
        let revision = self.build.context.revision.as_deref();
        provenance(&ProvenanceSubject {
            image: self.pinned,
            package: self.build.context.package.name(),
            name: &resolved.name,
            platforms: &self.image.target.platforms,
            revision,
            base: resolved.base.as_ref(),
            key: resolved.key,
            inputs: &resolved.key_inputs(),
        })
    }

    /// Attaches a document; returns false if clients cannot find it in the registry ([`AttachOutcome::Unsupported`]).
    async fn attach_document(&self, subject: &Descriptor, document: ImageDocument) -> Result<bool> {
        let artifact = Artifact {
            artifact_type: document.media_type.to_owned(),
            media_type: document.media_type.to_owned(),
            bytes: document.bytes.into(),
            annotations: BTreeMap::new(),
        };
        let registry = &self.build.plan.destinations.registry;
        let outcome = registry
            .attach(&self.pinned.repository, subject, &artifact, self.fallback)
            .await?;
        Ok(outcome != AttachOutcome::Unsupported)
    }
}
