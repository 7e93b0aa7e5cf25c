//! Copies an image with its referrers to another repository, byte by byte: blobs, manifests, referrers, and the tag last.
//!
//! Blobs of the same registry are mounted. Others are downloaded into the cache, which verifies them, and uploaded as by
//! a push. Source: OCI distribution spec 1.1, "Pulling", "Pushing" and "Listing Referrers".

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::future::{BoxFuture, FutureExt as _, try_join_all};
use union_build::diag::Code;

use super::Registry;
use super::endpoint::RepositoryEndpoint;
use super::manifests::mismatch;
use super::push::{TagState, lacks_blobs, may_be_immutable};
use crate::image::RawManifest;
use crate::image::artifact::Referrer;
use crate::image::content::ManifestContent;
use crate::image::layer::{Blob, BlobSource, Descriptor};
use crate::image::reference::{BaseRef, Repository};
use crate::publish::failure::RegistryFailure;
use crate::sys::digest::Digest;
use crate::sys::error::Result;

/// How deep indexes and referrers may be nested.
const DEEPEST: usize = 16;

/// An image that was copied.
#[derive(Clone, Debug)]
pub struct CopiedImage {
    /// Digest of the manifest or index, the same as at the source.
    pub digest: Digest,
    /// The number of bytes that were sent.
    pub sent: u64,
    /// The documents that are attached to the image and its manifests, at the destination as well.
    pub referrers: Vec<Referrer>,
}

/// The source and destination of a copy, and the bytes that were sent.
struct CopyJob<'a> {
    source: &'a Repository,
    from: RepositoryEndpoint,
    to: RepositoryEndpoint,
    sent: AtomicU64,
}

/// The manifests and referrers that were copied so far.
#[derive(Default)]
struct CopyProgress {
    manifests: BTreeSet<Digest>,
    referrers: Vec<Referrer>,
}

impl Registry {
    /// Copies an image to another repository, with all platforms and with all referrers. The tag of `source`, if there
    /// is one, is written last. With `replace`, a tag that refers to another image is moved, and that image gets the
    /// tag `TAG-<12 hex digits of its digest>`.
    ///
    /// Content that exists at the destination is not sent again. Layers that may not be distributed are left out, with
    /// a warning.
    ///
    /// # Errors
    /// `SourceMissing`, `TagTaken` without `replace`, `TagImmutable`, `DigestMismatch` for content that is corrupt,
    /// `RegistryDenied`, `RegistryUnreachable`, and the other codes of a push.
    pub async fn copy(
        &self,
        source: &BaseRef,
        target: &Repository,
        replace: bool,
    ) -> Result<CopiedImage> {
        let job = CopyJob {
            source: &source.repository,
            from: RepositoryEndpoint::of(&source.repository),
            to: RepositoryEndpoint::of(target),
            sent: AtomicU64::new(0),
        };
        let reference = match (&source.digest, &source.tag) {
            (Some(digest), _) => digest.to_string(),
            (None, tag) => tag.clone().unwrap_or_default(),
        };
        let read = self.source_manifest(&job, &reference).await;
        let top = read.map_err(|failure| failure.into_error(format!("could not read {source}")))?;
        let digest = top.descriptor.digest;
        let copied = self.copy_tagged(&job, top, source.tag.as_deref(), replace);
        let referrers = copied.await.map_err(|failure| {
            failure.into_error(format!("could not push {source} to {target}"))
        })?;
        Ok(CopiedImage {
            digest,
            sent: job.sent.into_inner(),
            referrers,
        })
    }

    async fn copy_tagged(
        &self,
        job: &CopyJob<'_>,
        top: RawManifest,
        tag: Option<&str>,
        replace: bool,
    ) -> Result<Vec<Referrer>, RegistryFailure> {
        let digest = top.descriptor.digest;
        let manifest = blob_of(&top);
        // Nothing is sent when the tag may not be written.
        if let Some(tag) = tag {
            self.check_tag(job, tag, digest, replace).await?;
        }
        let mut progress = CopyProgress::default();
        self.copy_manifest(job, top, 0, &mut progress).await?;
        if let Some(tag) = tag
            && let Some(other) = self.check_tag(job, tag, digest, replace).await?
        {
            if let TagState::Holds(other) = other {
                self.keep_alive(&job.to, tag, other).await?;
            }
            self.write_tag(job, tag, &manifest).await?;
        }
        Ok(progress.referrers)
    }

    /// The state of a tag that has to be written; `None` if it holds the image.
    async fn check_tag(
        &self,
        job: &CopyJob<'_>,
        tag: &str,
        digest: Digest,
        replace: bool,
    ) -> Result<Option<TagState>, RegistryFailure> {
        match self.tagged(&job.to, tag).await? {
            TagState::Holds(other) if other == digest => Ok(None),
            TagState::Holds(other) if !replace => Err(RegistryFailure::new(
                Code::TagTaken,
                format!("the tag `{tag}` of {} holds another image, {other}", job.to),
            )
            .help("Give `--rebuild` to replace it; the other image then keeps a tag of its own.")),
            state => Ok(Some(state)),
        }
    }

    async fn write_tag(
        &self,
        job: &CopyJob<'_>,
        tag: &str,
        manifest: &Blob,
    ) -> Result<(), RegistryFailure> {
        let digest = manifest.descriptor.digest;
        let put = self.put_counted(&job.to, tag, manifest, &job.sent).await;
        put.map_err(|refusal| match may_be_immutable(&refusal) {
            true => RegistryFailure {
                code: Code::TagImmutable,
                ..refusal.failure
            }
            .help("Push the image by its digest, without a tag, or under another tag."),
            false => refusal.failure,
        })?;
        match self.tagged(&job.to, tag).await? {
            TagState::Holds(there) if there != digest => Err(mismatch(&job.to, tag, digest, there)),
            TagState::Nothing => Err(RegistryFailure::new(
                Code::RegistryFailed,
                format!(
                    "{} accepted the manifest `{tag}`, but returns 404 for it",
                    job.to
                ),
            )),
            _ => Ok(()),
        }
    }

    async fn source_manifest(
        &self,
        job: &CopyJob<'_>,
        reference: &str,
    ) -> Result<RawManifest, RegistryFailure> {
        let found = self.get_manifest(&job.from, reference).await;
        found
            .map_err(|refusal| refusal.failure)?
            .ok_or_else(|| missing(job, &format!("has no `{reference}`")))
    }

    /// Copies a manifest with all that it refers to, and then its referrers.
    fn copy_manifest<'a>(
        &'a self,
        job: &'a CopyJob<'_>,
        raw: RawManifest,
        depth: usize,
        progress: &'a mut CopyProgress,
    ) -> BoxFuture<'a, Result<(), RegistryFailure>> {
        async move {
            let digest = raw.descriptor.digest;
            if !progress.manifests.insert(digest) {
                return Ok(());
            }
            let invalid = |what: String| {
                let cause = format!("{} has a manifest {digest} {what}", job.from);
                RegistryFailure::new(Code::RegistryInvalid, cause)
                    .help("Push an OCI image, or a Docker image of schema version 2.")
            };
            if depth > DEEPEST {
                return Err(invalid(format!("more than {DEEPEST} levels deep")));
            }
            let content = ManifestContent::parse(&raw.bytes).ok_or_else(|| {
                invalid(format!(
                    "of type `{}`, which cannot be copied",
                    crate::http::error::clean(&raw.descriptor.media_type)
                ))
            })?;
            self.warn_of_foreign(job, &content);
            // One after the other: a manifest that several indexes list is complete when the second one is written.
            for child in &content.manifests {
                if !progress.manifests.contains(&child.digest) {
                    let child = self.source_manifest(job, &child.digest.to_string()).await?;
                    self.copy_manifest(job, child, depth + 1, progress).await?;
                }
            }
            self.copy_blobs(job, &content, false).await?;
            self.put_copy(job, &raw, &content).await?;
            self.copy_referrers(job, digest, depth + 1, progress).await
        }
        .boxed()
    }

    fn warn_of_foreign(&self, job: &CopyJob<'_>, content: &ManifestContent) {
        for layer in &content.foreign {
            self.reporter.warning(&format!(
                "layer {} of {} may not be distributed and is not copied; the manifest says where it is fetched from",
                layer.digest, job.from
            ));
        }
    }

    async fn copy_blobs(
        &self,
        job: &CopyJob<'_>,
        content: &ManifestContent,
        force: bool,
    ) -> Result<(), RegistryFailure> {
        let blobs: BTreeMap<Digest, Blob> = content
            .blobs
            .iter()
            .map(|descriptor| (descriptor.digest, self.remote_blob(job, descriptor)))
            .collect();
        let copies = blobs
            .values()
            .map(|blob| self.ensure_blob(&job.to, blob, force, &job.sent));
        let copied = try_join_all(copies).await;
        copied.map(drop).map_err(|failure| of_source(job, failure))
    }

    fn remote_blob(&self, job: &CopyJob<'_>, descriptor: &Descriptor) -> Blob {
        Blob {
            descriptor: descriptor.clone(),
            content: BlobSource::Remote(job.source.clone()),
        }
    }

    /// Writes a manifest that the destination does not have, and lists it among the referrers of its subject.
    async fn put_copy(
        &self,
        job: &CopyJob<'_>,
        raw: &RawManifest,
        content: &ManifestContent,
    ) -> Result<(), RegistryFailure> {
        let (digest, to) = (raw.descriptor.digest, &job.to);
        let exists = match self.head_manifest(to, &digest.to_string()).await {
            Ok(found) => found.is_some(),
            // The user may write it, but not read it.
            Err(refusal) if self.is_ambiguous(to, &refusal) => false,
            Err(refusal) => return Err(refusal.failure),
        };
        let Some(subject) = &content.subject else {
            if !exists {
                self.put_with_blobs(job, raw, content).await?;
            }
            return Ok(());
        };
        let listed = self.api_referrers(to, subject.digest, None).await?;
        let is_ours = |other: &Referrer| other.descriptor.digest == digest;
        let mut is_listed = listed.iter().flatten().any(is_ours);
        if !exists || (listed.is_some() && !is_listed) {
            is_listed = self.put_with_blobs(job, raw, content).await?;
        }
        if !is_listed {
            let referrer = content.referrer(&raw.descriptor);
            self.add_to_fallback(to, subject.digest, &[referrer])
                .await?;
        }
        Ok(())
    }

    /// Writes a manifest; sends its blobs again if the registry does not have those that it reported. Returns whether the
    /// registry lists it among the referrers of its subject.
    async fn put_with_blobs(
        &self,
        job: &CopyJob<'_>,
        raw: &RawManifest,
        content: &ManifestContent,
    ) -> Result<bool, RegistryFailure> {
        let (reference, manifest) = (raw.descriptor.digest.to_string(), blob_of(raw));
        job.sent
            .fetch_add(manifest.descriptor.size, Ordering::Relaxed);
        let put = match self.put_with_subject(&job.to, &reference, &manifest).await {
            Err(refusal) if lacks_blobs(&refusal) && !content.blobs.is_empty() => {
                self.copy_blobs(job, content, true).await?;
                self.put_with_subject(&job.to, &reference, &manifest).await
            }
            done => done,
        };
        put.map_err(|refusal| refusal.failure)
    }

    /// Copies the documents that are attached to a manifest, with those attached to them.
    async fn copy_referrers(
        &self,
        job: &CopyJob<'_>,
        subject: Digest,
        depth: usize,
        progress: &mut CopyProgress,
    ) -> Result<(), RegistryFailure> {
        let listed = self.list_referrers(&job.from, subject, None).await?;
        let listed: BTreeSet<Digest> = listed
            .into_iter()
            .map(|referrer| referrer.descriptor.digest)
            .collect();
        // One after the other, because they share a fallback tag.
        for digest in listed {
            let found = self.get_manifest(&job.from, &digest.to_string()).await;
            let Some(raw) = found.map_err(|refusal| refusal.failure)? else {
                self.leave_out(job, digest, subject, "does not exist");
                continue;
            };
            let content = ManifestContent::parse(&raw.bytes).unwrap_or_default();
            if content.subject.as_ref().map(|subject| subject.digest) != Some(subject) {
                self.leave_out(job, digest, subject, "is no document about it");
                continue;
            }
            let referrer = content.referrer(&raw.descriptor);
            progress.referrers.push(referrer);
            self.copy_manifest(job, raw, depth, progress).await?;
        }
        Ok(())
    }

    fn leave_out(&self, job: &CopyJob<'_>, digest: Digest, subject: Digest, why: &str) {
        self.reporter.warning(&format!(
            "{} lists {digest} among the referrers of {subject}, but it {why}; it is not copied",
            job.from
        ));
    }
}

fn blob_of(raw: &RawManifest) -> Blob {
    Blob {
        descriptor: raw.descriptor.clone(),
        content: BlobSource::Bytes(raw.bytes.clone()),
    }
}

fn missing(job: &CopyJob<'_>, what: &str) -> RegistryFailure {
    RegistryFailure::new(Code::SourceMissing, format!("{} {what}", job.from))
}

/// A failure to download a blob, which has the code of a base image.
fn of_source(job: &CopyJob<'_>, failure: RegistryFailure) -> RegistryFailure {
    let (code, help) = match failure.code {
        Code::BaseMissing => (
            Code::SourceMissing,
            "The image at the source is incomplete: push it there again.",
        ),
        Code::BaseCorrupt => (
            Code::DigestMismatch,
            "The image at the source is damaged: push it there again, or check for a proxy that rewrites responses.",
        ),
        Code::BaseDenied => (Code::RegistryDenied, Code::RegistryDenied.help()),
        Code::BaseUnreachable => (Code::RegistryUnreachable, Code::RegistryUnreachable.help()),
        _ => return failure,
    };
    let cause = format!("at the source {}: {}", job.from, failure.cause);
    RegistryFailure {
        code,
        cause,
        ..failure
    }
    .help(help)
}
