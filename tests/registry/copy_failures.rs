//! Copies of images that fail, or that have to try again.

use cargo_union::image::layer::{Descriptor, media_type};
use serde_json::json;
use union_build::diag::Code;
use union_tests::Project;
use union_tests::faulty_registry::{FaultyRegistry, Reaction, Reply, digest};
use union_tests::registry::Registry;

use crate::copy::{attach, copy, listed, push};
use crate::images;
use crate::setup::{Setup, assert_error, repository};

const PASSWORD: &str = "correct-horse-battery";
/// Larger than what connections buffer.
const SIZE: usize = 3 << 20;

async fn pushed(setup: &Setup, host: &str) -> Descriptor {
    let image = images::of_text(&images::key("a"), "hello");
    push(setup, host, &image).await;
    image.top().descriptor.clone()
}

#[tokio::test]
async fn missing_source_is_an_error_that_names_it() {
    let (from, to, setup) = (Registry::open(), Registry::open(), Setup::new());
    pushed(&setup, from.host()).await;
    let none = format!("@sha256:{}", "0".repeat(64));
    for suffix in [":v2", &none] {
        let copied = copy(&setup, from.host(), suffix, to.host(), false).await;
        let source = format!("could not read {}/acme/app{suffix}", from.host());
        assert_error(copied, Code::SourceMissing, &[&source]);
    }
    assert!(to.requests().is_empty());
}

#[tokio::test]
async fn missing_platform_or_blob_of_the_source_leaves_no_tag() {
    let (to, setup) = (FaultyRegistry::without_faults(), Setup::new());
    for part in ["/blobs/", "/manifests/sha256:"] {
        let from = FaultyRegistry::start(move |request, _| {
            let is_lost = request.method == "GET" && request.path.contains(part);
            is_lost.then(|| Reply::error(404, "UNKNOWN", "lost").into())
        });
        let key = images::key("a");
        let image = images::index(&key, vec![images::of_text(&key, part)]);
        push(&setup, &from.host(), &image).await;
        let copied = copy(&setup, &from.host(), ":v1", &to.host(), false).await;
        assert_error(
            copied,
            Code::SourceMissing,
            &["could not push", &from.host(), "sha256:"],
        );
        assert!(to.memory().manifests.is_empty());
    }
}

#[tokio::test]
async fn blobs_that_the_source_denies_or_cannot_send_name_the_source() {
    let (to, setup) = (FaultyRegistry::without_faults(), Setup::new());
    for (status, code) in [
        (403, Code::RegistryDenied),
        (503, Code::RegistryUnreachable),
    ] {
        let from = FaultyRegistry::start(move |request, _| {
            let is_blob = request.method == "GET" && request.path.contains("/blobs/");
            is_blob.then(|| Reply::error(status, "UNKNOWN", "not now").into())
        });
        pushed(&setup, &from.host()).await;
        let copied = copy(&setup, &from.host(), ":v1", &to.host(), false).await;
        assert_error(copied, code, &["at the source", &from.host()]);
    }
    assert!(to.memory().manifests.is_empty());
}

#[tokio::test]
async fn denied_source_and_denied_destination_are_told_apart() {
    let (open, closed) = (Registry::open(), Registry::htpasswd("me", PASSWORD));
    let setup = Setup::new();
    pushed(&setup, open.host()).await;
    let copied = copy(&setup, closed.host(), ":v1", open.host(), false).await;
    let source = format!("could not read {}/acme/app:v1", closed.host());
    assert_error(copied, Code::RegistryDenied, &[&source, "docker login"]);
    let copied = copy(&setup, open.host(), ":v1", closed.host(), false).await;
    let target = format!("to {}/prod/app", closed.host());
    assert_error(copied, Code::RegistryDenied, &["could not push", &target]);
    let setup = setup.login(closed.host(), "me", PASSWORD);
    copy(&setup, open.host(), ":v1", closed.host(), false)
        .await
        .unwrap();
}

#[tokio::test]
async fn tag_of_another_image_is_not_moved_and_nothing_is_sent() {
    let (one, two, to, setup) = (
        Registry::open(),
        Registry::open(),
        Registry::open(),
        Setup::new(),
    );
    let first = pushed(&setup, one.host()).await;
    push(
        &setup,
        two.host(),
        &images::of_text(&images::key("a"), "other"),
    )
    .await;
    copy(&setup, one.host(), ":v1", to.host(), false)
        .await
        .unwrap();
    let before = to.writes();
    let copied = copy(&setup, two.host(), ":v1", to.host(), false).await;
    assert_error(
        copied,
        Code::TagTaken,
        &["`v1`", &first.digest.to_string(), "--rebuild"],
    );
    assert_eq!(to.writes(), before);
}

#[tokio::test]
async fn tag_that_another_client_takes_meanwhile_is_not_moved() {
    let (from, setup) = (Registry::open(), Setup::new());
    pushed(&setup, from.host()).await;
    let other = br#"{"schemaVersion":2,"layers":[]}"#;
    let to = FaultyRegistry::start(move |request, memory| {
        if request.method == "POST" {
            memory.put_manifest("prod/app", "v1", media_type::OCI_MANIFEST, other);
        }
        None
    });
    let copied = copy(&setup, from.host(), ":v1", &to.host(), false).await;
    assert_error(copied, Code::TagTaken, &[&digest(other)]);
    assert_eq!(to.count("PUT", "/manifests/v1"), 0);
}

#[tokio::test]
async fn immutable_tag_is_an_error_with_its_own_code() {
    let (from, setup) = (Registry::open(), Setup::new());
    pushed(&setup, from.host()).await;
    let to = FaultyRegistry::start(|request, _| {
        let is_tag = request.method == "PUT" && request.path.ends_with("/manifests/v1");
        is_tag.then(|| Reply::error(409, "DENIED", "tag is immutable").into())
    });
    let copied = copy(&setup, from.host(), ":v1", &to.host(), false).await;
    assert_error(
        copied,
        Code::TagImmutable,
        &["tag is immutable", "another tag"],
    );
}

#[tokio::test]
async fn corrupt_blob_of_the_source_is_not_copied() {
    let from = FaultyRegistry::start(|request, _| {
        let is_blob = request.method == "GET" && request.path.contains("/blobs/");
        is_blob.then(|| Reply::status(200).body("x".repeat(SIZE)).into())
    });
    let (to, setup) = (Registry::open(), Setup::new());
    let image = images::of_file(&images::key("a"), setup.directory.path(), SIZE);
    push(&setup, &from.host(), &image).await;
    let copied = copy(&setup, &from.host(), ":v1", to.host(), false).await;
    assert_error(
        copied,
        Code::DigestMismatch,
        &["at the source", &from.host(), "damaged"],
    );
    assert!(
        !to.writes()
            .iter()
            .any(|write| write.contains("/manifests/"))
    );
}

#[tokio::test]
async fn corrupt_manifest_of_the_source_is_not_copied() {
    let from = FaultyRegistry::start(|request, _| {
        let is_manifest = request.method == "GET" && request.path.contains("/manifests/sha256:");
        let other = r#"{"schemaVersion":2,"layers":[]}"#;
        let reply = || Reply::status(200).with("Content-Type", media_type::OCI_MANIFEST);
        is_manifest.then(|| reply().body(other).into())
    });
    let (to, setup) = (FaultyRegistry::without_faults(), Setup::new());
    let key = images::key("a");
    let image = images::index(&key, vec![images::of_text(&key, "hello")]);
    push(&setup, &from.host(), &image).await;
    let copied = copy(&setup, &from.host(), ":v1", &to.host(), false).await;
    assert_error(copied, Code::DigestMismatch, &[&from.host()]);
    assert!(to.memory().manifests.is_empty());
}

#[tokio::test]
async fn connections_that_are_cut_are_resumed() {
    let setup = Setup::new();
    let image = images::of_file(&images::key("a"), setup.directory.path(), SIZE);
    let layer = image.platforms[0].layers[0]
        .blob
        .descriptor
        .digest
        .to_string();
    let bytes = std::fs::read(
        setup
            .directory
            .path()
            .join(layer.trim_start_matches("sha256:")),
    );
    let bytes = bytes.unwrap();
    let path = format!("/blobs/{layer}");
    let from = FaultyRegistry::start(move |request, memory| {
        let is_first = request.path.ends_with(&path) && memory.times("GET", &path) == 0;
        (request.method == "GET" && is_first).then(|| {
            Reply {
                announced: Some(SIZE),
                ..Reply::status(200).body(&bytes[..SIZE / 2])
            }
            .into()
        })
    });
    let to = FaultyRegistry::start(|request, memory| {
        let is_large = request.method == "PUT" && request.content_length() > Some(SIZE / 2);
        let after = SIZE / 4;
        (is_large && memory.times("PUT", "/uploads/") < 2)
            .then_some(Reaction::CutUpload { after, keep: true })
    });
    push(&setup, &from.host(), &image).await;
    copy(&setup, &from.host(), ":v1", &to.host(), false)
        .await
        .unwrap();
    let copied = to.memory().blobs[&("prod/app".to_owned(), layer.clone())].clone();
    assert_eq!(digest(&copied), layer);
    let seen = from.seen();
    let resumed = seen
        .iter()
        .filter(|seen| seen.request.header("range").is_some());
    assert_eq!(resumed.count(), 1);
    let retries = setup.reports.lines();
    let retries = retries.iter().filter(|line| line.starts_with("again"));
    assert!(retries.count() >= 2);
}

#[tokio::test]
async fn blob_that_the_destination_reports_falsely_is_sent_again() {
    let (from, setup) = (Registry::open(), Setup::new());
    pushed(&setup, from.host()).await;
    let to = FaultyRegistry::start(|request, memory| {
        let is_asked = request.method == "HEAD" && request.path.contains("/blobs/");
        (is_asked && memory.blobs.is_empty()).then(|| Reply::status(200).into())
    });
    copy(&setup, from.host(), ":v1", &to.host(), false)
        .await
        .unwrap();
    assert_eq!(to.memory().blobs.len(), 2);
}

#[tokio::test]
async fn listed_referrers_that_are_none_are_left_out_with_a_warning() {
    let (from, to, setup) = (
        FaultyRegistry::without_faults(),
        FaultyRegistry::without_faults(),
        Setup::new(),
    );
    let subject = pushed(&setup, &from.host()).await;
    attach(&setup, &from.host(), &subject, "one").await;
    let tag = (
        "acme/app".to_owned(),
        format!("sha256-{}", subject.digest.hex()),
    );
    let image = digest(b"nothing has this digest");
    {
        let mut memory = from.memory();
        let (_, bytes) = &memory.manifests[&tag];
        let mut index: serde_json::Value = serde_json::from_slice(bytes).unwrap();
        let entries = index["manifests"].as_array_mut().unwrap();
        entries.push(json!({ "mediaType": media_type::OCI_MANIFEST, "digest": image, "size": 5 }));
        entries.push(json!(subject));
        let text = index.to_string();
        memory.put_manifest("acme/app", &tag.1, media_type::OCI_INDEX, text.as_bytes());
    }
    let copied = copy(&setup, &from.host(), ":v1", &to.host(), false)
        .await
        .unwrap();
    assert_eq!(copied.referrers.len(), 1);
    assert_eq!(listed(&setup, &to.host(), subject.digest).await, ["one"]);
    let mut warnings = setup.reports.warnings();
    warnings.sort_by_key(|warning| warning.contains("does not exist"));
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(
        warnings[0].contains("is no document about it"),
        "{warnings:?}"
    );
    assert!(warnings[1].contains(&image), "{warnings:?}");
}

#[tokio::test]
async fn manifests_that_cannot_be_copied_are_errors() {
    let (to, setup) = (FaultyRegistry::without_faults(), Setup::new());
    let old = r#"{"schemaVersion":1,"layers":[]}"#.to_owned();
    let sha512 = format!(
        r#"{{"schemaVersion":2,"config":{{"mediaType":"a","size":1,"digest":"sha512:{}"}}}}"#,
        "0".repeat(128)
    );
    for text in [old, sha512, r#"{"schemaVersion":2}"#.to_owned()] {
        let from = FaultyRegistry::without_faults();
        from.memory()
            .put_manifest("acme/app", "v1", media_type::OCI_MANIFEST, text.as_bytes());
        let copied = copy(&setup, &from.host(), ":v1", &to.host(), false).await;
        assert_error(copied, Code::RegistryInvalid, &["cannot be copied"]);
    }
    let from = FaultyRegistry::without_faults();
    let mut inner = r#"{"schemaVersion":2,"manifests":[]}"#.to_owned();
    for _ in 0..20 {
        let entry = json!({ "mediaType": media_type::OCI_INDEX, "size": inner.len(), "digest": digest(inner.as_bytes()) });
        from.memory()
            .put_manifest("acme/app", "v1", media_type::OCI_INDEX, inner.as_bytes());
        inner = json!({ "schemaVersion": 2, "manifests": [entry] }).to_string();
    }
    let copied = copy(&setup, &from.host(), ":v1", &to.host(), false).await;
    assert_error(copied, Code::RegistryInvalid, &["levels deep"]);
    assert!(to.memory().manifests.is_empty());
}

#[tokio::test]
async fn fallback_tag_that_holds_an_image_is_not_overwritten_by_a_copy() {
    let (from, to, setup) = (
        Registry::open(),
        FaultyRegistry::without_faults(),
        Setup::new(),
    );
    let subject = pushed(&setup, from.host()).await;
    attach(&setup, from.host(), &subject, "one").await;
    let tag = format!("sha256-{}", subject.digest.hex());
    let other = br#"{"schemaVersion":2,"layers":[]}"#;
    to.memory()
        .put_manifest("prod/app", &tag, media_type::OCI_MANIFEST, other);
    let copied = copy(&setup, from.host(), ":v1", &to.host(), false).await;
    assert_error(
        copied,
        Code::RegistryInvalid,
        &["no list of referrers", &tag],
    );
    let tagged = repository(&to.host(), "prod/app").tagged("v1");
    assert_eq!(setup.client().digest(&tagged).await.unwrap(), None);
}

#[test]
fn command_refuses_what_is_no_reference_or_registry() {
    let project = Project::empty();
    project
        .run(["push", "https://ghcr.io/app:v1", "--to", "localhost:5000"])
        .fails_with("U0008")
        .stderr_has("could not read the image to push");
    project
        .run(["push", "ghcr.io/acme/app:v1", "--to", "https://localhost"])
        .fails_with("U0109")
        .stderr_has("--to");
}
