//! Blobs on their way to a repository: found there, mounted from another repository, or sent.
//!
//! A blob is sent in one request. When the line is cut, the registry is asked how far it got; where
//! it does not say, the blob starts again. Each blob is sent once per registry by this process:
//! images that need one which is on its way wait for it.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::http::header::{CONTENT_RANGE, CONTENT_TYPE, RANGE};
use crate::http::{Method, Url};
use tokio::sync::Mutex as AsyncMutex;
use union_build::diag::Code;

use super::Registry;
use super::place::Place;
use super::pull::PROGRESS;
use super::wire::{Answer, Refusal};
use crate::http::body::{Body, Source, Stream};
use crate::image::BaseSource as _;
use crate::image::digest::Digest;
use crate::image::layer::{Blob, Content, Descriptor};
use crate::publish::auth::Scopes;
use crate::publish::failure::Failure;
use crate::publish::{Transfer, Way};

const OCTETS: &str = "application/octet-stream";

/// Which repositories of a host are known to have a blob; locked while the blob is on its way.
#[derive(Default)]
pub(super) struct Holders(Mutex<HashMap<(String, Digest), Paths>>);

type Paths = Arc<AsyncMutex<BTreeSet<String>>>;

/// How an upload begins.
enum Start {
    /// The registry took the blob from another repository.
    Mounted,
    /// Send it there.
    At(Url),
}

impl Holders {
    fn of(&self, place: &Place, digest: Digest) -> Paths {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).entry((place.host.clone(), digest)).or_default().clone()
    }
}

impl Registry {
    /// Gets a blob into a repository. With `force` it is sent although the registry claims to have it.
    pub(super) async fn ensure_blob(&self, place: &Place, blob: &Blob, force: bool, sent: &AtomicU64) -> Result<(), Failure> {
        let descriptor = &blob.descriptor;
        let holders = self.holders.of(place, descriptor.digest);
        let mut paths = holders.lock().await;
        if !force && (paths.contains(&place.path) || self.has_blob(place, descriptor.digest).await?) {
            paths.insert(place.path.clone());
            self.told(place, descriptor, Way::Present, descriptor.size);
            return Ok(());
        }
        let from = paths.iter().find(|path| **path != place.path).cloned().or_else(|| self.source_on(place, &blob.content));
        let mounted = match from.filter(|_| !force) {
            Some(from) => self.mount(place, descriptor.digest, &from).await,
            None => None,
        };
        let start = match mounted {
            Some(start) => start,
            None => Start::At(self.start_upload(place).await?),
        };
        match start {
            Start::Mounted => self.told(place, descriptor, Way::Mount, descriptor.size),
            Start::At(url) => self.upload(place, blob, url, sent).await.map_err(|failure| of_blob(failure, descriptor))?,
        }
        paths.insert(place.path.clone());
        Ok(())
    }

    /// Starts an upload, and says where it goes.
    pub(super) async fn start_upload(&self, place: &Place) -> Result<Url, Failure> {
        let call = self.wire.call(place, Scopes::push(&place.path), Method::POST, "blobs/uploads/").await?;
        let answer = self.wire.send(&call).await?;
        if answer.status().as_u16() == 202 {
            return answer.location(&self.wire.transport);
        }
        let refusal = self.wire.refusal(place, answer).await;
        Err(if refusal.has(&["NAME_UNKNOWN", "NAME_INVALID"]) { must_create(place, refusal) } else { refusal.failure })
    }

    async fn has_blob(&self, place: &Place, digest: Digest) -> Result<bool, Failure> {
        let call = self.wire.call(place, Scopes::push(&place.path), Method::HEAD, &format!("blobs/{digest}")).await?;
        let answer = self.wire.send(&call).await?;
        // Whatever else is wrong is told better by the upload.
        Ok(answer.status().as_u16() == 200 && !answer.is_web_page())
    }

    /// The repository on a place's host that has a base's blob.
    fn source_on(&self, place: &Place, content: &Content) -> Option<String> {
        let Content::Remote(repository) = content else { return None };
        let here = |from: &Place| from.host == place.host;
        let origin = Some(Place::of(repository)).filter(here);
        origin.or_else(|| Place::mirror_of(repository, &self.mirrors).filter(here)).map(|from| from.path)
    }

    /// Asks for a blob of another repository. Any refusal is `None`: it is uploaded then.
    async fn mount(&self, place: &Place, digest: Digest, from: &str) -> Option<Start> {
        let mut call = self.wire.call(place, Scopes::mount(&place.path, from), Method::POST, "blobs/uploads/").await.ok()?;
        call.url.query_pairs_mut().append_pair("mount", &digest.to_string()).append_pair("from", from);
        let answer = self.wire.send_once(&call).await.ok()?;
        match answer.status().as_u16() {
            201 => Some(Start::Mounted),
            202 => answer.location(&self.wire.transport).ok().map(Start::At),
            _ => None,
        }
    }

    async fn upload(&self, place: &Place, blob: &Blob, mut url: Url, sent: &AtomicU64) -> Result<(), Failure> {
        let descriptor = &blob.descriptor;
        let source = match &blob.content {
            Content::Bytes(bytes) => Source::Bytes(bytes.clone()),
            Content::File(path) => Source::File(path.clone()),
            Content::Remote(repository) => Source::File(self.blob(repository, descriptor).await?),
        };
        check_length(&source, descriptor)?;
        self.told(place, descriptor, Way::Upload, 0);
        let (mut start, mut failed) = (0, 0);
        loop {
            let stream = self.stream(place, descriptor, source.clone(), start);
            let refusal = match self.send_rest(place, descriptor, &url, &stream).await {
                Ok(()) => break,
                Err(refusal) => refusal,
            };
            sent.fetch_add(stream.done.load(Ordering::Relaxed).saturating_sub(start), Ordering::Relaxed);
            failed += 1;
            self.wire.pause(place, failed, judged(refusal, descriptor)).await?;
            // The line may have been cut after the last byte.
            if self.has_blob(place, descriptor.digest).await? {
                start = descriptor.size;
                break;
            }
            match self.received(place, &url).await {
                Some((next, received)) if received <= descriptor.size => {
                    failed = if received >= start + PROGRESS { 0 } else { failed };
                    (url, start) = (next, received);
                }
                _ => (url, start) = (self.start_upload(place).await?, 0),
            }
        }
        sent.fetch_add(descriptor.size - start, Ordering::Relaxed);
        self.told(place, descriptor, Way::Upload, descriptor.size);
        Ok(())
    }

    /// Sends a blob from `stream.start` to its end, and closes the upload.
    async fn send_rest(&self, place: &Place, descriptor: &Descriptor, url: &Url, stream: &Arc<Stream>) -> Result<(), Refusal> {
        let scopes = || Scopes::push(&place.path);
        let (mut last, mut body) = (url.clone(), Body::Stream(stream.clone()));
        if stream.start > 0 && stream.start < stream.end {
            let range = format!("{}-{}", stream.start, stream.end - 1);
            let call = self
                .wire
                .call_to(place, scopes(), Method::PATCH, last)
                .header(CONTENT_RANGE, &range)
                .header(CONTENT_TYPE, OCTETS)
                .body(body);
            let answer = self.accepted(place, self.wire.send_once(&call).await?).await?;
            last = answer.location(&self.wire.transport)?;
            body = Body::Empty;
        } else if stream.start > 0 {
            body = Body::Empty;
        }
        last.query_pairs_mut().append_pair("digest", &descriptor.digest.to_string());
        let call = self.wire.call_to(place, scopes(), Method::PUT, last).header(CONTENT_TYPE, OCTETS).body(body);
        self.accepted(place, self.wire.send_once(&call).await?).await.map(drop)
    }

    async fn accepted(&self, place: &Place, answer: Answer) -> Result<Answer, Refusal> {
        if answer.status().is_success() { Ok(answer) } else { Err(self.wire.refusal(place, answer).await) }
    }

    /// How much of an upload has arrived, and where it goes on; `None` when it has to start again.
    async fn received(&self, place: &Place, url: &Url) -> Option<(Url, u64)> {
        let call = self.wire.call_to(place, Scopes::push(&place.path), Method::GET, url.clone());
        let answer = self.wire.send_once(&call).await.ok().filter(|answer| answer.status().is_success())?;
        let last: u64 = answer.header(RANGE)?.trim_start_matches("bytes=").split_once('-')?.1.parse().ok()?;
        // `0-0` is said of one byte and of none.
        let next = answer.location(&self.wire.transport).unwrap_or_else(|_| url.clone());
        (last > 0).then_some((next, last + 1))
    }

    fn stream(&self, place: &Place, descriptor: &Descriptor, from: Source, start: u64) -> Arc<Stream> {
        let (reporter, place, digest, total) = (self.reporter.clone(), place.to_string(), descriptor.digest, descriptor.size);
        let tell = move |done| {
            // The end is told when the registry has confirmed it.
            if done < total {
                reporter.transfer(&Transfer { digest, place: &place, way: Way::Upload, done, total });
            }
        };
        Arc::new(Stream { from, start, end: total, done: AtomicU64::new(start), tell: Box::new(tell) })
    }
}

fn check_length(source: &Source, descriptor: &Descriptor) -> Result<(), Failure> {
    let length = match source {
        Source::Bytes(bytes) => bytes.len() as u64,
        Source::File(path) => path.metadata().map_err(|cause| crate::base::fs::unreadable(path, cause))?.len(),
    };
    if length == descriptor.size {
        return Ok(());
    }
    Err(Failure::new(Code::DigestMismatch, format!("there are {length} bytes of {}, which has {}", descriptor.digest, descriptor.size)))
}

/// What a refused upload means: one that the registry has lost starts again.
fn judged(refusal: Refusal, descriptor: &Descriptor) -> Failure {
    let lost = refusal.status.is_some_and(|status| matches!(status.as_u16(), 404 | 416));
    if refusal.has(&["DIGEST_INVALID"]) {
        let cause = format!("{} (expected {})", refusal.failure.cause, descriptor.digest);
        return Failure { code: Code::DigestMismatch, cause, ..refusal.failure };
    }
    let again = refusal.failure.again || lost || refusal.has(&["BLOB_UPLOAD_UNKNOWN", "BLOB_UPLOAD_INVALID", "RANGE_INVALID"]);
    Failure { again, ..refusal.failure }
}

fn of_blob(failure: Failure, descriptor: &Descriptor) -> Failure {
    Failure { cause: format!("blob {}: {}", descriptor.digest, failure.cause), ..failure }
}

/// The failure of a registry that creates no repository by itself.
fn must_create(place: &Place, refusal: Refusal) -> Failure {
    let help = match place.host.strip_suffix(".amazonaws.com").and_then(|host| host.split_once(".dkr.ecr.")) {
        Some((_, region)) => format!("Run `aws ecr create-repository --repository-name {} --region {region}`.", place.path),
        None => format!("Create the repository `{}` at {} first.", place.path, place.registry),
    };
    Failure { code: Code::RegistryMustCreate, ..refusal.failure }.help(help)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_of_ecr_is_created_with_a_command() {
        let host = "123456789012.dkr.ecr.eu-west-1.amazonaws.com".to_owned();
        let place = Place { host: host.clone(), registry: host, path: "team/app".to_owned() };
        let failure = must_create(&place, Failure::new(Code::RegistryFailed, "x").into());
        assert_eq!(failure.code, Code::RegistryMustCreate);
        assert_eq!(failure.help.as_deref(), Some("Run `aws ecr create-repository --repository-name team/app --region eu-west-1`."));
    }
}
