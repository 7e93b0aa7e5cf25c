//! Attaches documents to images that a registry has, and lists those that are attached.
//!
//! Source: OCI distribution spec 1.1, "Listing Referrers" and "Pushing Manifests with Subject". Where a registry has no
//! referrers API, the list is an image index under a fallback tag, which clients write.

use std::sync::atomic::AtomicU64;

use futures_util::future::try_join_all;
use serde::Deserialize as _;
use serde_json::{Value, json};
use union_build::diag::Code;

use super::Registry;
use super::endpoint::RepositoryEndpoint;
use super::list_tag::{ListTag, foreign_content};
use super::tags::next;
use crate::http::header::LINK;
use crate::http::{Method, same_origin};
use crate::image::artifact::{Artifact, Referrer, empty_config, fallback_tag};
use crate::image::layer::{Blob, Descriptor, media_type};
use crate::image::reference::Repository;
use crate::publish::auth::Scopes;
use crate::publish::failure::RegistryFailure;
use crate::sys::digest::Digest;
use crate::sys::error::Result;
use crate::sys::words;

/// Whether a document is attached where the registry has no referrers API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FallbackTag {
    /// The document is added to the fallback tag.
    Write,
    /// Nothing is sent.
    Never,
}

/// What became of a document that was to be attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttachOutcome {
    /// It was attached before; nothing was sent.
    Present,
    /// The registry lists it in its referrers API.
    Listed,
    /// It was added to the fallback tag.
    Tagged,
    /// Nobody can find it: the registry does not list it, and [`FallbackTag::Never`] was given. Nothing was sent to a
    /// registry without the referrers API. One that has the API but does not list the document has received it.
    Unsupported,
}

impl Registry {
    /// Attaches documents to a manifest or index of a repository, and returns what became of each. A document that is
    /// attached is not sent again.
    ///
    /// Several clients may attach through the fallback tag at once: each reads the tag again some time after it wrote
    /// it. A client that needs longer between reading and writing the tag can still remove an entry of another one,
    /// because registries have no conditional writes.
    ///
    /// # Errors
    /// `RegistryInvalid` when the fallback tag holds something that is no index, `RegistryDenied` when the registry
    /// refuses manifests with a subject, and the other codes of a push.
    pub async fn attach(
        &self,
        repository: &Repository,
        subject: &Descriptor,
        documents: &[Artifact],
        fallback: FallbackTag,
    ) -> Result<Vec<AttachOutcome>> {
        let place = RepositoryEndpoint::of(repository);
        let attached = self.attach_to(&place, subject, documents, fallback).await;
        attached.map_err(|failure| {
            let types = documents.iter().map(|document| &document.artifact_type);
            failure.into_error(format!(
                "could not attach {} to {repository}@{}",
                words::list(types),
                subject.digest
            ))
        })
    }

    /// The referrers of a manifest or index, of one type or of all; empty when it has none or does not exist.
    ///
    /// # Errors
    /// When access is denied, the registry is unreachable, or its response is invalid.
    pub async fn referrers(
        &self,
        repository: &Repository,
        subject: Digest,
        artifact_type: Option<&str>,
    ) -> Result<Vec<Referrer>> {
        let place = RepositoryEndpoint::of(repository);
        let listed = self.list_referrers(&place, subject, artifact_type).await;
        let listed = listed.map_err(|failure: RegistryFailure| {
            failure.into_error(format!(
                "could not list the referrers of {repository}@{subject}"
            ))
        })?;
        // Registries may ignore the filter, and the fallback tag has none.
        let is_asked = |referrer: &Referrer| {
            artifact_type.is_none() || referrer.artifact_type.as_deref() == artifact_type
        };
        Ok(listed.into_iter().filter(is_asked).collect())
    }

    /// The referrers by the API, else those of the fallback tag, which are not filtered.
    pub(super) async fn list_referrers(
        &self,
        place: &RepositoryEndpoint,
        subject: Digest,
        artifact_type: Option<&str>,
    ) -> Result<Vec<Referrer>, RegistryFailure> {
        match self.api_referrers(place, subject, artifact_type).await? {
            Some(referrers) => Ok(referrers),
            None => entries(place, &self.fallback_index(place, subject).await?),
        }
    }

    async fn attach_to(
        &self,
        place: &RepositoryEndpoint,
        subject: &Descriptor,
        documents: &[Artifact],
        fallback: FallbackTag,
    ) -> Result<Vec<AttachOutcome>, RegistryFailure> {
        let of_api = self.api_referrers(place, subject.digest, None).await?;
        let has_api = of_api.is_some();
        let listed = match of_api {
            Some(listed) => listed,
            None if fallback == FallbackTag::Never => {
                return Ok(vec![AttachOutcome::Unsupported; documents.len()]);
            }
            // Fails before anything is sent if the tag is not a list of referrers.
            None => entries(place, &self.fallback_index(place, subject.digest).await?)?,
        };
        self.ensure_blob(place, &empty_config(), false, &AtomicU64::new(0))
            .await?;
        let sending = documents
            .iter()
            .map(|document| self.send_document(place, subject, document, &listed));
        let mut outcomes = try_join_all(sending).await?;
        // Some registries list a document without saying so in the response.
        if has_api && outcomes.contains(&None) {
            let listed = self.api_referrers(place, subject.digest, None).await?;
            let listed = listed.unwrap_or_default();
            for (document, outcome) in documents.iter().zip(&mut outcomes) {
                if outcome.is_none() && is_among(&document.referrer(subject), &listed) {
                    *outcome = Some(AttachOutcome::Listed);
                }
            }
        }
        let unlisted: Vec<Referrer> = documents
            .iter()
            .zip(&outcomes)
            .filter(|(_, outcome)| outcome.is_none())
            .map(|(document, _)| document.referrer(subject))
            .collect();
        let of_unlisted = match fallback {
            FallbackTag::Never => AttachOutcome::Unsupported,
            FallbackTag::Write => AttachOutcome::Tagged,
        };
        if of_unlisted == AttachOutcome::Tagged && !unlisted.is_empty() {
            self.add_to_fallback(place, subject.digest, &unlisted)
                .await?;
        }
        let outcomes = outcomes.into_iter();
        Ok(outcomes
            .map(|outcome| outcome.unwrap_or(of_unlisted))
            .collect())
    }

    /// Sends a document that is not among those listed; `None` if the registry does not confirm that it lists it.
    async fn send_document(
        &self,
        place: &RepositoryEndpoint,
        subject: &Descriptor,
        document: &Artifact,
        listed: &[Referrer],
    ) -> Result<Option<AttachOutcome>, RegistryFailure> {
        let referrer = document.referrer(subject);
        if is_among(&referrer, listed) {
            return Ok(Some(AttachOutcome::Present));
        }
        self.ensure_blob(place, &document.layer(), false, &AtomicU64::new(0))
            .await?;
        let digest = referrer.descriptor.digest.to_string();
        let is_listed = self
            .put_with_subject(place, &digest, &document.manifest(subject))
            .await
            .map_err(|refusal| refusal.failure)?;
        Ok(is_listed.then_some(AttachOutcome::Listed))
    }

    /// The pages of the referrers API; `None` if the registry does not have it.
    pub(super) async fn api_referrers(
        &self,
        place: &RepositoryEndpoint,
        subject: Digest,
        artifact_type: Option<&str>,
    ) -> Result<Option<Vec<Referrer>>, RegistryFailure> {
        // Limits registries that always return a next page.
        const PAGES: usize = 100;
        let scopes = || Scopes::pull(&place.path);
        let path = format!("referrers/{subject}");
        let mut call = self
            .transport
            .call(place, scopes(), Method::GET, &path)
            .await?;
        if let Some(artifact_type) = artifact_type {
            call.url
                .query_pairs_mut()
                .append_pair("artifactType", artifact_type);
        }
        let mut referrers = Vec::new();
        for _ in 0..PAGES {
            let answer = self.transport.send(&call).await?;
            match answer.status().as_u16() {
                200 if answer.media_type() == media_type::OCI_INDEX => {}
                // Registries without the API answer so, some with a web page and status 200.
                200 | 400 | 404 | 405 | 406 => return Ok(None),
                _ => return Err(self.transport.refusal(place, answer).await.failure),
            }
            let following = answer
                .header(LINK)
                .and_then(next)
                .and_then(|link| call.url.join(link).ok());
            let page: Value = serde_json::from_slice(&answer.bytes().await?)
                .map_err(|_| invalid(place, "with something that is no list of referrers"))?;
            referrers.extend(entries(place, &page)?);
            let ended = page["manifests"].as_array().is_none_or(Vec::is_empty);
            match following.filter(|url| !ended && same_origin(url, &call.url)) {
                Some(url) => call = self.transport.call_to(place, scopes(), Method::GET, url),
                None => return Ok(Some(referrers)),
            }
        }
        Err(invalid(
            place,
            &format!("with a list of referrers that does not end after {PAGES} pages"),
        ))
    }

    /// The index under the fallback tag, with all its fields; an empty one if the tag does not exist.
    async fn fallback_index(
        &self,
        place: &RepositoryEndpoint,
        subject: Digest,
    ) -> Result<Value, RegistryFailure> {
        let tag = fallback_tag(subject);
        let found = self
            .get_manifest(place, &tag)
            .await
            .map_err(|refusal| refusal.failure)?;
        let Some(found) = found else {
            return Ok(
                json!({ "schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": [] }),
            );
        };
        let index: Value = serde_json::from_slice(&found.bytes).unwrap_or_default();
        if found.descriptor.media_type == media_type::OCI_INDEX && index["manifests"].is_array() {
            return Ok(index);
        }
        Err(foreign_content(place, &tag, "referrers"))
    }

    /// Adds the entries that the fallback tag of a subject does not have.
    pub(super) async fn add_to_fallback(
        &self,
        place: &RepositoryEndpoint,
        subject: Digest,
        referrers: &[Referrer],
    ) -> Result<(), RegistryFailure> {
        let mut tag = ListTag::new(place, fallback_tag(subject));
        loop {
            tag.start_round();
            let mut index = self.fallback_index(place, subject).await?;
            let existing = entries(place, &index)?;
            let missing: Vec<Value> = referrers
                .iter()
                .filter(|referrer| !is_among(referrer, &existing))
                .map(|referrer| json!(referrer))
                .collect();
            if missing.is_empty() {
                return Ok(());
            }
            tag.check_writes()?;
            if let Some(manifests) = index["manifests"].as_array_mut() {
                manifests.extend(missing);
            }
            let index = Blob::of_bytes(media_type::OCI_INDEX, index.to_string());
            self.put_manifest(place, &tag.name, &index)
                .await
                .map_err(|refusal| refusal.failure)?;
            tag.settle().await;
        }
    }
}

fn is_among(referrer: &Referrer, listed: &[Referrer]) -> bool {
    listed
        .iter()
        .any(|other| other.descriptor.digest == referrer.descriptor.digest)
}

/// The entries of an index of referrers. Tools in Go write `null` for an empty list. Entries with digests of other
/// algorithms than sha256 are left out: nothing here can verify them.
fn entries(place: &RepositoryEndpoint, index: &Value) -> Result<Vec<Referrer>, RegistryFailure> {
    let invalid_entries = || invalid(place, "with a list of referrers whose entries are invalid");
    let entries = match index.get("manifests") {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(entries) => entries.as_array().ok_or_else(invalid_entries)?,
    };
    let is_verifiable = |entry: &&Value| {
        let digest = entry["digest"].as_str();
        digest.is_none_or(|digest| digest.starts_with("sha256:") || !digest.contains(':'))
    };
    entries
        .iter()
        .filter(is_verifiable)
        .map(|entry| Referrer::deserialize(entry).map_err(|_| invalid_entries()))
        .collect()
}

fn invalid(place: &RepositoryEndpoint, what: &str) -> RegistryFailure {
    RegistryFailure::new(
        Code::RegistryInvalid,
        format!("{} answered {what}", place.registry),
    )
}
