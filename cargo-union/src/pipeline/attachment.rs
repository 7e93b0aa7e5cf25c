//! The documents that go with a pushed image: its provenance, and a bill of materials for each platform. They are attached
//! to the image as OCI referrers.
//!
//! Only images that this process has just pushed are asked about: an unchanged image costs no request. What the registry
//! refuses is a warning, because the image itself is complete. No layer is downloaded for the packages of a base.

use std::collections::BTreeMap;

use futures_util::future::try_join_all;
use futures_util::stream::{self, StreamExt as _};

use super::environment::PlatformBases;
use super::inventory::InventoryReader;
use super::package::{CompiledPackage, PackageBuild, PublishedPackage};
use super::route::{AttachmentSubjects, PublishedImage};
use super::sbom;
use crate::attest::ImageDocument;
use crate::attest::provenance::{ProvenanceSubject, provenance};
use crate::image::artifact::Artifact;
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
    compiled: &[CompiledPackage],
    published: &[PublishedPackage],
    jobs: usize,
) {
    let mut pushed = Vec::new();
    for ((build, compiled), published) in builds.iter().zip(compiled).zip(published) {
        for (image, environment) in build.plan.missing().zip(&compiled.environments) {
            if let Some(published) = published.images.get(&image.resolved.name)
                && let Some(fallback) = fallback_tag(build)
                && let (Some(subjects), Some(pinned)) =
                    (&published.subjects, &published.existing.pinned)
            {
                pushed.push(AttachmentJob {
                    build,
                    image,
                    environment: environment.as_ref(),
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

/// What `attest` says about registries without the referrers API; `None` if nothing is attached anywhere.
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
    environment: Option<&'a PlatformBases>,
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
            PipelineError::Failed(error) => error.line(),
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

    /// Attaches the provenance to what was pushed, and a bill of materials to the manifest of each platform.
    async fn attach(&self) -> Result<()> {
        let context = &self.build.context;
        let top = &self.subjects.top;
        // The manifest of the only platform may be what was pushed.
        let mut subjects = vec![(top, vec![artifact(self.provenance())])];
        let reader = InventoryReader {
            context,
            source: &self.build.plan.destinations.source,
            downloads: false,
        };
        for (platform, subject) in self.subjects.platforms.iter() {
            let resolved = (&self.image.resolved, Some(subject.digest));
            let document = sbom::document(&reader, resolved, self.environment, platform);
            let document = artifact(document.await?);
            match subjects
                .iter_mut()
                .find(|(known, _)| known.digest == subject.digest)
            {
                Some((_, documents)) => documents.push(document),
                None => subjects.push((subject, vec![document])),
            }
        }
        let registry = &self.build.plan.destinations.registry;
        let repository = &self.pinned.repository;
        let attaching = subjects.iter().map(|(subject, documents)| {
            registry.attach(repository, subject, documents, self.fallback)
        });
        let outcomes = try_join_all(attaching).await?;
        let is_attached = |outcome: &AttachOutcome| *outcome != AttachOutcome::Unsupported;
        if outcomes.iter().flatten().all(is_attached) {
            context.reporter.detail(
                "Attached",
                &format!("provenance and bill of materials to {}", self.pinned),
            );
        }
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
}

fn artifact(document: ImageDocument) -> Artifact {
    Artifact {
        artifact_type: document.media_type.to_owned(),
        media_type: document.media_type.to_owned(),
        bytes: document.bytes.into(),
        annotations: BTreeMap::new(),
    }
}
