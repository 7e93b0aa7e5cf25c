//! An in-memory registry that behaves correctly unless a rule overrides it, to test failures that a real registry
//! rarely has.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sha2::{Digest as _, Sha256};

use crate::http::{Incoming, Server};
pub use crate::http::{Reply, Request};

/// What the registry does because of a rule.
pub enum Reaction {
    /// Read the whole request and send this response.
    Answer(Reply),
    /// Read a part of an upload and close the connection.
    CutUpload {
        /// How many bytes are read.
        after: usize,
        /// Whether the bytes are kept, so that the upload can continue.
        keep: bool,
    },
}

impl From<Reply> for Reaction {
    fn from(reply: Reply) -> Self {
        Self::Answer(reply)
    }
}

/// The state of the registry. Repositories and references are as in URLs.
#[derive(Default)]
pub struct Memory {
    /// Blobs by repository and digest.
    pub blobs: BTreeMap<(String, String), Vec<u8>>,
    /// Media type and bytes by repository and reference.
    pub manifests: BTreeMap<(String, String), (String, Vec<u8>)>,
    /// The value of `OCI-Chunk-Min-Length`; 0 for no header.
    pub least_chunk: usize,
    /// The page size of the referrers API; 0 for a registry without it.
    pub referrers_page: usize,
    /// Whether responses to a manifest with a subject lack `OCI-Subject`, although its referrers are listed.
    pub hides_subject: bool,
    /// Whether lists of referrers have the type of the config instead of that of the artifact, as those of
    /// go-containerregistry.
    pub lists_config_types: bool,
    uploads: BTreeMap<String, Vec<u8>>,
    seen: Vec<SeenRequest>,
}

/// A received request.
#[derive(Clone, Debug)]
pub struct SeenRequest {
    /// The head of the request.
    pub request: Request,
    /// How many bytes of its body were read.
    pub received: usize,
}

type Rule = dyn FnMut(&Request, &mut Memory) -> Option<Reaction> + Send;

/// A running registry.
pub struct FaultyRegistry {
    server: Server,
    memory: Arc<Mutex<Memory>>,
}

impl FaultyRegistry {
    /// A registry that behaves correctly.
    pub fn without_faults() -> Self {
        Self::start(|_, _| None)
    }

    /// A registry that behaves correctly unless the rule overrides it.
    pub fn start(
        rule: impl FnMut(&Request, &mut Memory) -> Option<Reaction> + Send + 'static,
    ) -> Self {
        let memory = Arc::new(Mutex::new(Memory::default()));
        let rule: Mutex<Box<Rule>> = Mutex::new(Box::new(rule));
        let shared = memory.clone();
        let server = Server::start(move |request, body| {
            let reaction = (lock(&rule))(request, &mut lock(&shared));
            let (reply, received) = match reaction {
                Some(Reaction::Answer(reply)) => (reply, body.read(usize::MAX).len()),
                Some(Reaction::CutUpload { after, keep }) => {
                    let part = body.read(after);
                    let received = part.len();
                    if keep {
                        lock(&shared)
                            .uploads
                            .entry(request.path.clone())
                            .or_default()
                            .extend(part);
                    }
                    (Reply::cut(), received)
                }
                None => respond(request, body, &shared),
            };
            lock(&shared).seen.push(SeenRequest {
                request: request.clone(),
                received,
            });
            reply
        });
        Self { server, memory }
    }

    /// `127.0.0.1:port`.
    pub fn host(&self) -> String {
        self.server.host()
    }

    /// The state of the registry.
    pub fn memory(&self) -> MutexGuard<'_, Memory> {
        lock(&self.memory)
    }

    /// Every request so far.
    pub fn seen(&self) -> Vec<SeenRequest> {
        lock(&self.memory).seen.clone()
    }

    /// How many requests had this method and this text in their path.
    pub fn count(&self, method: &str, part: &str) -> usize {
        self.seen()
            .iter()
            .filter(|seen| seen.request.method == method && seen.request.path.contains(part))
            .count()
    }
}

impl Memory {
    /// Adds a manifest under a reference and its digest.
    pub fn put_manifest(
        &mut self,
        repository: &str,
        reference: &str,
        media_type: &str,
        bytes: &[u8],
    ) {
        for reference in [reference, &digest(bytes)] {
            self.manifests.insert(
                (repository.to_owned(), reference.to_owned()),
                (media_type.to_owned(), bytes.to_vec()),
            );
        }
    }

    /// Adds a blob to a repository.
    pub fn put_blob(&mut self, repository: &str, bytes: &[u8]) {
        self.blobs
            .insert((repository.to_owned(), digest(bytes)), bytes.to_vec());
    }

    /// How many earlier requests had this method and this text in their path.
    pub fn times(&self, method: &str, part: &str) -> usize {
        self.seen
            .iter()
            .filter(|seen| seen.request.method == method && seen.request.path.contains(part))
            .count()
    }
}

/// The digest of bytes: `sha256:…`.
pub fn digest(bytes: &[u8]) -> String {
    let hex: Vec<String> = Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("sha256:{}", hex.concat())
}

fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The correct response to a request.
fn respond(request: &Request, body: &mut Incoming<'_>, memory: &Mutex<Memory>) -> (Reply, usize) {
    let bytes = body.read(usize::MAX);
    let received = bytes.len();
    let memory = &mut *lock(memory);
    let path = request.path.strip_prefix("/v2/").unwrap_or_default();
    let reply = if path.is_empty() {
        Reply::status(200)
    } else if let Some((repository, _)) = path.split_once("/blobs/uploads/") {
        upload(request, repository, bytes, memory)
    } else if let Some((repository, digest)) = path.split_once("/blobs/") {
        blob(
            request,
            memory
                .blobs
                .get(&(repository.to_owned(), digest.to_owned())),
        )
    } else if let Some((repository, reference)) = path.split_once("/manifests/") {
        manifest(request, repository, reference, bytes, memory)
    } else if let Some((repository, subject)) = path.split_once("/referrers/")
        && memory.referrers_page > 0
    {
        referrers(request, repository, subject, memory)
    } else {
        Reply::status(404)
    };
    (reply, received)
}

fn upload(request: &Request, repository: &str, bytes: Vec<u8>, memory: &mut Memory) -> Reply {
    let id = request.path.clone();
    let is_new = id.ends_with("/uploads/");
    if let (true, Some(digest), Some(from)) = (is_new, request.asks("mount"), request.asks("from"))
        && let Some(blob) = memory
            .blobs
            .get(&(from.to_owned(), digest.to_owned()))
            .cloned()
    {
        memory
            .blobs
            .insert((repository.to_owned(), digest.to_owned()), blob);
        return Reply::status(201);
    }
    match request.method.as_str() {
        "POST" if is_new => {
            let id = format!("{id}{}", memory.uploads.len());
            memory.uploads.insert(id.clone(), Vec::new());
            let reply = Reply::status(202).with("Location", id);
            if memory.least_chunk > 0 {
                reply.with("OCI-Chunk-Min-Length", memory.least_chunk.to_string())
            } else {
                reply
            }
        }
        _ if !memory.uploads.contains_key(&id) => {
            Reply::error(404, "BLOB_UPLOAD_UNKNOWN", "no such upload")
        }
        "GET" => {
            let last = memory.uploads[&id].len().saturating_sub(1);
            Reply::status(204)
                .with("Location", id)
                .with("Range", format!("0-{last}"))
        }
        "DELETE" => {
            memory.uploads.remove(&id);
            Reply::status(204)
        }
        method => {
            let upload = memory.uploads.entry(id.clone()).or_default();
            let start = request
                .header("content-range")
                .and_then(|range| range.split('-').next()?.parse().ok());
            if start.is_some_and(|start: usize| start != upload.len()) {
                return Reply::error(
                    416,
                    "RANGE_INVALID",
                    "the range does not continue the upload",
                );
            }
            upload.extend(bytes);
            if method == "PATCH" {
                return Reply::status(202).with("Location", id);
            }
            let blob = memory.uploads.remove(&id).unwrap_or_default();
            if request.asks("digest") != Some(&digest(&blob)) {
                return Reply::error(400, "DIGEST_INVALID", "the digest does not match");
            }
            memory.put_blob(repository, &blob);
            Reply::status(201)
        }
    }
}

fn blob(request: &Request, blob: Option<&Vec<u8>>) -> Reply {
    let Some(blob) = blob else {
        return Reply::error(404, "BLOB_UNKNOWN", "no such blob");
    };
    let start = request.header("range").and_then(|range| {
        range
            .strip_prefix("bytes=")?
            .strip_suffix('-')?
            .parse::<usize>()
            .ok()
    });
    match start {
        Some(start) => {
            let range = format!("bytes {start}-{}/{}", blob.len() - 1, blob.len());
            Reply::status(206)
                .with("Content-Range", range)
                .body(&blob[start..])
        }
        None => Reply::status(200).body(blob.clone()),
    }
}

fn manifest(
    request: &Request,
    repository: &str,
    reference: &str,
    bytes: Vec<u8>,
    memory: &mut Memory,
) -> Reply {
    if request.method == "PUT" {
        let document: serde_json::Value = serde_json::from_slice(&bytes).unwrap_or_default();
        let blobs = document["layers"]
            .as_array()
            .into_iter()
            .flatten()
            .chain([&document["config"]]);
        // Layers that may not be distributed are fetched from elsewhere.
        let is_foreign = |blob: &serde_json::Value| {
            let media_type = blob["mediaType"].as_str().unwrap_or_default();
            media_type.contains("foreign") || media_type.contains("nondistributable")
        };
        let blobs = blobs.filter(|blob| !is_foreign(blob));
        for digest in blobs.filter_map(|blob| blob["digest"].as_str()) {
            if !memory
                .blobs
                .contains_key(&(repository.to_owned(), digest.to_owned()))
            {
                return Reply::error(400, "MANIFEST_BLOB_UNKNOWN", digest);
            }
        }
        memory.put_manifest(
            repository,
            reference,
            request.header("content-type").unwrap_or_default(),
            &bytes,
        );
        let reply = Reply::status(201).with("Docker-Content-Digest", digest(&bytes));
        return match document["subject"]["digest"].as_str() {
            Some(subject) if memory.referrers_page > 0 && !memory.hides_subject => {
                reply.with("OCI-Subject", subject)
            }
            _ => reply,
        };
    }
    // Like real registries, responds with 404 for a media type that the client does not accept.
    let stored = memory
        .manifests
        .get(&(repository.to_owned(), reference.to_owned()));
    match stored.filter(|(kind, _)| {
        request
            .header("accept")
            .is_some_and(|accept| accept.contains(kind.as_str()))
    }) {
        Some((kind, bytes)) => Reply::status(200)
            .with("Content-Type", kind.clone())
            .with("Docker-Content-Digest", digest(bytes))
            .body(bytes.clone()),
        None => Reply::error(404, "MANIFEST_UNKNOWN", "no such manifest"),
    }
}

/// A page of the referrers of a manifest (OCI distribution spec 1.1, "Listing Referrers").
fn referrers(request: &Request, repository: &str, subject: &str, memory: &Memory) -> Reply {
    let wanted = request.asks("artifactType");
    let start: usize = request
        .asks("start")
        .and_then(|start| start.parse().ok())
        .unwrap_or(0);
    let entries: Vec<serde_json::Value> = memory
        .manifests
        .iter()
        .filter(|((other, reference), _)| other == repository && reference.starts_with("sha256:"))
        .filter_map(|((_, digest), (media_type, bytes))| {
            let manifest: serde_json::Value = serde_json::from_slice(bytes).ok()?;
            let is_listed = manifest["subject"]["digest"] == subject
                && wanted.is_none_or(|wanted| manifest["artifactType"] == wanted);
            let kind = match memory.lists_config_types {
                true => &manifest["config"]["mediaType"],
                false => &manifest["artifactType"],
            };
            is_listed.then(|| {
                serde_json::json!({
                    "mediaType": media_type, "digest": digest, "size": bytes.len(),
                    "artifactType": kind, "annotations": manifest["annotations"],
                })
            })
        })
        .collect();
    let end = entries.len().min(start + memory.referrers_page);
    let page = entries.get(start..end).unwrap_or_default();
    let index = serde_json::json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": page,
    });
    let mut reply = Reply::status(200)
        .with("Content-Type", "application/vnd.oci.image.index.v1+json")
        .body(index.to_string());
    if wanted.is_some() {
        reply = reply.with("OCI-Filters-Applied", "artifactType");
    }
    if end < entries.len() {
        let filter = wanted.map_or(String::new(), |wanted| format!("&artifactType={wanted}"));
        let next = format!("<{}?start={end}{filter}>; rel=\"next\"", request.path);
        reply = reply.with("Link", next);
    }
    reply
}
