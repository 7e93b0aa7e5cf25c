//! Interrupted, slow and rate-limited connections.

use cargo_union::image::BaseSource as _;
use cargo_union::image::layer::{Descriptor, media_type};
use cargo_union::publish::Publisher as _;
use cargo_union::sys::digest::Digest;
use union_build::diag::Code;
use union_tests::faulty_registry::{FaultyRegistry, Memory, Reaction, Reply, Request};

use crate::images;
use crate::setup::{Setup, assert_error, repository, target};

const SIZE: usize = 3_000_000;
const CUT: usize = 2_000_000;

/// Whether this is the first time that the large layer is sent.
fn is_first_upload(request: &Request, memory: &Memory) -> bool {
    let large = request.content_length() == Some(SIZE);
    request.method == "PUT"
        && request.path.contains("/uploads/")
        && large
        && !memory.blobs.keys().any(|(_, digest)| digest == "cut")
}

/// Interrupts the first upload of a large layer. Returns the number of upload requests by kind, and the received bytes.
async fn push_cut(keep: bool) -> (usize, usize, usize) {
    let registry = FaultyRegistry::start(move |request, memory| {
        is_first_upload(request, memory).then(|| {
            memory
                .blobs
                .insert((String::new(), "cut".to_owned()), Vec::new());
            Reaction::CutUpload { after: CUT, keep }
        })
    });
    let (setup, key) = (Setup::new(), images::key("a"));
    let image = images::of_file(&key, setup.directory.path(), SIZE);
    let published = setup
        .client()
        .publish(&target(&registry.host(), "acme/app", &key), &image, false)
        .await
        .unwrap();
    assert_eq!(published.digest, image.top().descriptor.digest);
    let received = registry
        .seen()
        .iter()
        .filter(|seen| seen.request.path.contains("/uploads/"))
        .map(|seen| seen.received)
        .sum();
    (
        registry.count("PATCH", "/uploads/"),
        registry.count("POST", "/uploads/"),
        received,
    )
}

#[tokio::test]
async fn interrupted_upload_is_resumed() {
    let (patches, posts, received) = push_cut(true).await;
    assert_eq!(
        (patches, posts),
        (1, 2),
        "one upload of the layer and one of the config"
    );
    assert!(
        (SIZE..SIZE + 1000).contains(&received),
        "{received} bytes were received"
    );
}

#[tokio::test]
async fn lost_upload_is_restarted() {
    let (patches, posts, received) = push_cut(false).await;
    assert_eq!((patches, posts), (0, 3));
    assert!(
        (SIZE + CUT..SIZE + CUT + 1000).contains(&received),
        "{received} bytes were received"
    );
}

#[tokio::test]
async fn repeatedly_interrupted_upload_is_an_error() {
    let registry = FaultyRegistry::start(|request, _| {
        (request.method == "PUT" && request.path.contains("/uploads/")).then_some(
            Reaction::CutUpload {
                after: 10,
                keep: false,
            },
        )
    });
    let (setup, key) = (Setup::new(), images::key("a"));
    let image = images::of_file(&key, setup.directory.path(), SIZE);
    let cut = setup
        .client()
        .publish(&target(&registry.host(), "acme/app", &key), &image, false)
        .await;
    assert_error(
        cut,
        Code::RegistryUnreachable,
        &[&registry.host(), "acme/app:v1", "blob sha256:"],
    );
    assert!(registry.memory().manifests.is_empty());
}

fn large() -> (Vec<u8>, Descriptor) {
    let bytes: Vec<u8> = (0..SIZE).map(|at| (at % 251) as u8).collect();
    let descriptor = Descriptor {
        media_type: media_type::OCI_LAYER.to_owned(),
        digest: Digest::of(&bytes),
        size: SIZE as u64,
    };
    (bytes, descriptor)
}

/// Interrupts the first download. Returns the ranges that were requested afterwards.
async fn pull_cut(ranges: bool) -> Vec<Option<String>> {
    let (bytes, descriptor) = large();
    let served = bytes.clone();
    let registry = FaultyRegistry::start(move |request, memory| {
        let whole = || Reply::status(200).body(served.clone());
        match (
            request.path.contains("/blobs/"),
            memory.times("GET", "/blobs/"),
        ) {
            (true, 0) => Some(
                Reply {
                    announced: Some(SIZE),
                    ..Reply::status(200).body(&served[..CUT])
                }
                .into(),
            ),
            (true, _) if !ranges => Some(whole().into()),
            _ => None,
        }
    });
    registry.memory().put_blob("debian", &bytes);
    let setup = Setup::new();
    let path = setup
        .client()
        .blob(&repository(&registry.host(), "debian"), &descriptor)
        .await
        .unwrap();
    assert_eq!(std::fs::read(path).unwrap(), bytes);
    registry
        .seen()
        .iter()
        .filter(|seen| seen.request.path.contains("/blobs/"))
        .map(|seen| seen.request.header("range").map(str::to_owned))
        .collect()
}

#[tokio::test]
async fn interrupted_download_is_resumed_or_restarted() {
    let continued = vec![None, Some(format!("bytes={CUT}-"))];
    assert_eq!(pull_cut(true).await, continued);
    assert_eq!(pull_cut(false).await, continued);
}

#[tokio::test]
async fn repeatedly_interrupted_download_leaves_no_files() {
    let (bytes, descriptor) = large();
    let registry = FaultyRegistry::start(move |request, _| {
        request.path.contains("/blobs/").then(|| {
            Reply {
                announced: Some(SIZE),
                ..Reply::status(200).body(&bytes[..10])
            }
            .into()
        })
    });
    let setup = Setup::new();
    let cut = setup
        .client()
        .blob(&repository(&registry.host(), "debian"), &descriptor)
        .await;
    assert_error(
        cut,
        Code::BaseUnreachable,
        &[&registry.host(), "debian", &descriptor.digest.to_string()],
    );
    assert_eq!(setup.cache().blob(&descriptor.digest), None);
    let left = std::fs::read_dir(setup.directory.path().join("cache/blobs/sha256"))
        .unwrap()
        .count();
    assert_eq!(left, 0, "a draft was left");
}

#[tokio::test]
async fn retry_after_is_honoured_but_not_an_hour() {
    let registry = FaultyRegistry::start(|request, memory| {
        let crowded =
            request.path.contains("/manifests/") && memory.times("HEAD", "/manifests/") == 0;
        crowded.then(|| Reply::status(429).with("Retry-After", "3600").into())
    });
    let (setup, key) = (Setup::new(), images::key("a"));
    setup
        .client()
        .publish(
            &target(&registry.host(), "acme/app", &key),
            &images::of_text(&key, "x"),
            false,
        )
        .await
        .unwrap();
    let reported = setup.reports.lines();
    assert!(
        reported
            .iter()
            .any(|line| line.starts_with("again in 0.02 s") && line.contains("429")),
        "{reported:?}"
    );
}

#[tokio::test]
async fn server_error_is_neither_found_nor_missing() {
    let registry = FaultyRegistry::start(|request, _| {
        request
            .path
            .contains("/manifests/")
            .then(|| Reply::error(500, "UNKNOWN", "oops").into())
    });
    let (setup, key) = (Setup::new(), images::key("a"));
    let failed = setup
        .client()
        .existence(&target(&registry.host(), "acme/app", &key))
        .await;
    assert_error(
        failed,
        Code::RegistryFailed,
        &[&registry.host(), "acme/app:v1", "500"],
    );
    assert_eq!(registry.count("HEAD", "/manifests/"), 3);
}
