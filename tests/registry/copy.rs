//! Copies of images with their referrers, between two of Debian's registries and to a registry with the referrers API.

use std::path::Path;
use std::process::Command;
use std::slice;

use cargo_union::image::Image;
use cargo_union::image::artifact::Artifact;
use cargo_union::image::layer::{BlobSource, Descriptor, media_type};
use cargo_union::image::reference::BaseRef;
use cargo_union::publish::registry::{CopiedImage, FallbackTag};
use cargo_union::publish::{ImageTarget, Publisher as _, TransferKind};
use cargo_union::sys::digest::Digest;
use cargo_union::sys::error::Result;
use serde_json::{Value, json};
use union_tests::Project;
use union_tests::faulty_registry::{FaultyRegistry, digest};
use union_tests::registry::Registry;

use crate::images;
use crate::setup::{Setup, repository, target};

const PLATFORMS: [&str; 2] = ["linux/amd64", "linux/arm64"];

/// Copies `acme/app` at a host to `prod/app` at another.
pub(crate) async fn copy(
    setup: &Setup,
    from: &str,
    suffix: &str,
    to: &str,
    replace: bool,
) -> Result<CopiedImage> {
    let source: BaseRef = format!("{from}/acme/app{suffix}").parse().unwrap();
    let target = repository(to, "prod/app");
    setup.client().copy(&source, &target, replace).await
}

/// Pushes an image as `acme/app:v1`.
pub(crate) async fn push(setup: &Setup, host: &str, image: &Image) {
    let target = ImageTarget {
        platforms: Vec::new(),
        ..target(host, "acme/app", &images::key("a"))
    };
    let client = setup.client();
    client.publish(&target, image, false).await.unwrap();
}

/// An index for two platforms, with a layer that both have.
fn two_platforms() -> Image {
    let key = images::key("a");
    let parts = PLATFORMS.map(|platform| {
        let layers = vec![images::layer("same"), images::layer(platform)];
        images::single(&key, platform, layers)
    });
    images::index(&key, parts.into())
}

/// Attaches a document to a manifest of `acme/app`, and returns the descriptor of the document's manifest.
pub(crate) async fn attach(
    setup: &Setup,
    host: &str,
    subject: &Descriptor,
    text: &str,
) -> Descriptor {
    let artifact = Artifact {
        artifact_type: "application/x".to_owned(),
        media_type: "text/plain".to_owned(),
        bytes: text.to_owned().into(),
        annotations: [("text".to_owned(), text.to_owned())].into(),
    };
    let (client, repository) = (setup.client(), repository(host, "acme/app"));
    let attached = client.attach(
        &repository,
        subject,
        slice::from_ref(&artifact),
        FallbackTag::Write,
    );
    attached.await.unwrap();
    artifact.manifest(subject).descriptor
}

/// The annotations `text` of the referrers at the destination.
pub(crate) async fn listed(setup: &Setup, host: &str, subject: Digest) -> Vec<String> {
    let repository = repository(host, "prod/app");
    let listed = setup.client().referrers(&repository, subject, None).await;
    let listed = listed.unwrap().into_iter();
    let text = |referrer: cargo_union::image::artifact::Referrer| {
        referrer.annotations.unwrap()["text"].clone()
    };
    listed.map(text).collect()
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {stderr}");
}

/// Copies an image with all its platforms from a registry to an OCI layout.
fn skopeo_copy(host: &str, layout: &Path) {
    let options = [
        "--quiet",
        "--insecure-policy",
        "--all",
        "--preserve-digests",
    ];
    run(Command::new("skopeo")
        .arg("copy")
        .args(options)
        .arg("--src-tls-verify=false")
        .arg(format!("docker://{host}/prod/app:v1"))
        .arg(format!("oci:{}:v1", layout.display())));
}

#[tokio::test]
async fn copied_index_has_its_platforms_and_referrers_and_its_tag_last() {
    let (from, to, setup) = (Registry::open(), Registry::open(), Setup::new());
    let image = two_platforms();
    push(&setup, from.host(), &image).await;
    let top = image.top().descriptor.clone();
    let arm = image.platforms[1].manifest.descriptor.clone();
    let first = attach(&setup, from.host(), &top, "of the index").await;
    attach(&setup, from.host(), &top, "also of the index").await;
    attach(&setup, from.host(), &arm, "of a platform").await;
    attach(&setup, from.host(), &first, "of a document").await;

    let copied = copy(&setup, from.host(), ":v1", to.host(), false).await;
    let copied = copied.unwrap();
    assert_eq!((copied.digest, copied.referrers.len()), (top.digest, 4));
    for (subject, texts) in [
        (top.digest, vec!["also of the index", "of the index"]),
        (arm.digest, vec!["of a platform"]),
        (first.digest, vec!["of a document"]),
    ] {
        let mut listed = listed(&setup, to.host(), subject).await;
        listed.sort();
        assert_eq!(listed, texts);
    }
    let last = to.writes().pop();
    assert_eq!(last.as_deref(), Some("PUT /v2/prod/app/manifests/v1"));

    let layout = setup.directory.path().join("layout");
    skopeo_copy(to.host(), &layout);
    let index = std::fs::read(layout.join("index.json")).unwrap();
    let index: Value = serde_json::from_slice(&index).unwrap();
    assert_eq!(index["manifests"][0]["digest"], top.digest.to_string());
    for platform in &image.platforms {
        for blob in [&platform.config, &platform.layers[1].blob] {
            let path = layout
                .join("blobs/sha256")
                .join(blob.descriptor.digest.hex());
            assert_eq!(
                Digest::of(std::fs::read(path).unwrap()),
                blob.descriptor.digest
            );
        }
    }
}

#[tokio::test]
async fn umoci_unpacks_a_copied_image() {
    let (from, to, setup) = (Registry::open(), Registry::open(), Setup::new());
    push(
        &setup,
        from.host(),
        &images::of_text(&images::key("a"), "hello"),
    )
    .await;
    copy(&setup, from.host(), ":v1", to.host(), false)
        .await
        .unwrap();
    let (layout, bundle) = (
        setup.directory.path().join("layout"),
        setup.directory.path().join("bundle"),
    );
    skopeo_copy(to.host(), &layout);
    run(Command::new("umoci")
        .args(["unpack", "--rootless", "--image"])
        .arg(format!("{}:v1", layout.display()))
        .arg(&bundle));
    let text = std::fs::read_to_string(bundle.join("rootfs/file")).unwrap();
    assert_eq!(text, "hello");
}

#[tokio::test]
async fn second_copy_sends_nothing() {
    let (from, plain, setup) = (Registry::open(), Registry::open(), Setup::new());
    let api = FaultyRegistry::without_faults();
    api.memory().referrers_page = 1;
    let image = two_platforms();
    push(&setup, from.host(), &image).await;
    attach(&setup, from.host(), &image.top().descriptor, "one").await;
    for to in [plain.host(), &api.host()] {
        let first = copy(&setup, from.host(), ":v1", to, false).await.unwrap();
        assert!(first.sent > 0);
        let writes = || (plain.writes(), api.count("PUT", ""), api.count("POST", ""));
        let before = writes();
        let second = copy(&setup, from.host(), ":v1", to, false).await.unwrap();
        assert_eq!((second.sent, second.referrers.len()), (0, 1));
        assert_eq!(writes(), before);
    }
}

#[tokio::test]
async fn registry_with_the_referrers_api_gets_no_fallback_tag() {
    let (from, to, setup) = (
        Registry::open(),
        FaultyRegistry::without_faults(),
        Setup::new(),
    );
    to.memory().referrers_page = 1;
    let image = images::of_text(&images::key("a"), "hello");
    push(&setup, from.host(), &image).await;
    let top = image.top().descriptor.clone();
    for text in ["one", "two"] {
        attach(&setup, from.host(), &top, text).await;
    }
    copy(&setup, from.host(), ":v1", &to.host(), false)
        .await
        .unwrap();
    let mut texts = listed(&setup, &to.host(), top.digest).await;
    texts.sort();
    assert_eq!(texts, ["one", "two"]);
    assert_eq!(to.count("PUT", "/manifests/sha256-"), 0);
}

#[tokio::test]
async fn referrers_of_the_api_get_a_fallback_tag_where_there_is_no_api() {
    let (from, to, setup) = (
        FaultyRegistry::without_faults(),
        Registry::open(),
        Setup::new(),
    );
    from.memory().referrers_page = 1;
    let image = images::of_text(&images::key("a"), "hello");
    push(&setup, &from.host(), &image).await;
    let top = image.top().descriptor.clone();
    attach(&setup, &from.host(), &top, "one").await;
    copy(&setup, &from.host(), ":v1", to.host(), false)
        .await
        .unwrap();
    assert_eq!(listed(&setup, to.host(), top.digest).await, ["one"]);
}

#[tokio::test]
async fn blobs_of_the_same_registry_are_mounted() {
    let (registry, setup) = (Registry::open(), Setup::new());
    let image = two_platforms();
    push(&setup, registry.host(), &image).await;
    copy(&setup, registry.host(), ":v1", registry.host(), false)
        .await
        .unwrap();
    for platform in &image.platforms {
        let layers = platform.layers.iter().map(|layer| &layer.blob);
        for blob in layers.chain([&platform.config]) {
            let digest = blob.descriptor.digest;
            assert!(setup.reports.has(TransferKind::Mount, digest), "{digest}");
            assert!(!setup.reports.has(TransferKind::Download, digest));
        }
    }
}

#[tokio::test]
async fn digest_is_pushed_without_a_tag_and_takes_precedence_over_one() {
    let (from, to, setup) = (Registry::open(), Registry::open(), Setup::new());
    let image = two_platforms();
    push(&setup, from.host(), &image).await;
    let arm = image.platforms[1].manifest.descriptor.digest;
    let tags = |registry: &Registry| {
        let data = "docker/registry/v2/repositories/prod/app/_manifests/tags";
        let entries = std::fs::read_dir(registry.data().join(data));
        entries.map_or(0, Iterator::count)
    };
    let copied = copy(&setup, from.host(), &format!("@{arm}"), to.host(), false).await;
    assert_eq!((copied.unwrap().digest, tags(&to)), (arm, 0));
    let copied = copy(&setup, from.host(), &format!(":v7@{arm}"), to.host(), false).await;
    assert_eq!((copied.unwrap().digest, tags(&to)), (arm, 1));
    let tagged = repository(to.host(), "prod/app").tagged("v7");
    assert_eq!(setup.client().digest(&tagged).await.unwrap(), Some(arm));
}

/// A manifest of schema 2 as Docker writes it, with a space that a serializer would not write.
fn docker_manifest(config: &[u8], layer: &[u8]) -> String {
    format!(
        r#"{{ "schemaVersion": 2, "mediaType": "{}", "config": {{"mediaType": "application/vnd.docker.container.image.v1+json", "size": {}, "digest": "{}"}}, "layers": [{{"mediaType": "{}", "size": {}, "digest": "{}"}}]}}"#,
        media_type::DOCKER_MANIFEST,
        config.len(),
        digest(config),
        media_type::DOCKER_LAYER_GZIP,
        layer.len(),
        digest(layer),
    )
}

#[tokio::test]
async fn docker_media_types_and_nested_indexes_are_copied_byte_by_byte() {
    let (from, to, setup) = (
        FaultyRegistry::without_faults(),
        FaultyRegistry::without_faults(),
        Setup::new(),
    );
    let manifest = docker_manifest(b"{}", b"layer");
    let entry = |media_type: &str, text: &str| json!({ "mediaType": media_type, "size": text.len(), "digest": digest(text.as_bytes()) });
    let list = json!({
        "schemaVersion": 2, "mediaType": media_type::DOCKER_INDEX,
        "manifests": [entry(media_type::DOCKER_MANIFEST, &manifest)],
    });
    let list = format!("{list:#}\n");
    // Without a media type of its own, as the OCI specification allows.
    let nested = [
        entry(media_type::DOCKER_INDEX, &list),
        entry(media_type::DOCKER_MANIFEST, &manifest),
    ];
    let index = json!({ "schemaVersion": 2, "manifests": nested }).to_string();
    {
        let mut memory = from.memory();
        memory.put_blob("acme/app", b"{}");
        memory.put_blob("acme/app", b"layer");
        for (media_type, text) in [
            (media_type::DOCKER_MANIFEST, &manifest),
            (media_type::DOCKER_INDEX, &list),
            (media_type::OCI_INDEX, &index),
        ] {
            memory.put_manifest("acme/app", "v1", media_type, text.as_bytes());
        }
    }
    copy(&setup, &from.host(), ":v1", &to.host(), false)
        .await
        .unwrap();
    let memory = to.memory();
    for (reference, media_type, text) in [
        ("v1", media_type::OCI_INDEX, &index),
        (&digest(list.as_bytes()), media_type::DOCKER_INDEX, &list),
        (
            &digest(manifest.as_bytes()),
            media_type::DOCKER_MANIFEST,
            &manifest,
        ),
    ] {
        let stored = &memory.manifests[&("prod/app".to_owned(), reference.to_owned())];
        assert_eq!(stored, &(media_type.to_owned(), text.clone().into_bytes()));
    }
    drop(memory);
    let manifest = format!("/manifests/{}", digest(manifest.as_bytes()));
    assert_eq!(
        (from.count("GET", &manifest), to.count("PUT", &manifest)),
        (1, 1)
    );
}

#[tokio::test]
async fn layers_that_may_not_be_distributed_are_left_out_with_a_warning() {
    let (from, to, setup) = (
        FaultyRegistry::without_faults(),
        FaultyRegistry::without_faults(),
        Setup::new(),
    );
    let foreign = digest(b"foreign");
    let manifest = docker_manifest(b"{}", b"foreign").replace(
        media_type::DOCKER_LAYER_GZIP,
        "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
    );
    {
        let mut memory = from.memory();
        memory.put_blob("acme/app", b"{}");
        memory.put_blob("acme/app", b"foreign");
        memory.put_manifest(
            "acme/app",
            "v1",
            media_type::DOCKER_MANIFEST,
            manifest.as_bytes(),
        );
    }
    copy(&setup, &from.host(), ":v1", &to.host(), false)
        .await
        .unwrap();
    let blobs = to.memory().blobs.clone();
    let blobs: Vec<_> = blobs.into_keys().collect();
    assert_eq!(blobs, [("prod/app".to_owned(), digest(b"{}"))]);
    let warnings = setup.reports.warnings();
    assert!(
        warnings.len() == 1 && warnings[0].contains(&foreign),
        "{warnings:?}"
    );
}

#[tokio::test]
async fn replaced_image_keeps_a_tag_of_its_own() {
    let (from, to, setup) = (Registry::open(), Registry::open(), Setup::new());
    let key = images::key("a");
    let (old, new) = (images::of_text(&key, "old"), images::of_text(&key, "new"));
    let (old_source, new_source) = (&from, Registry::open());
    push(&setup, old_source.host(), &old).await;
    push(&setup, new_source.host(), &new).await;
    copy(&setup, old_source.host(), ":v1", to.host(), false)
        .await
        .unwrap();
    copy(&setup, new_source.host(), ":v1", to.host(), true)
        .await
        .unwrap();
    let (old, new) = (old.top().descriptor.digest, new.top().descriptor.digest);
    for (tag, expected) in [
        ("v1".to_owned(), new),
        (format!("v1-{}", &old.hex()[..12]), old),
    ] {
        let tagged = repository(to.host(), "prod/app").tagged(tag);
        assert_eq!(
            setup.client().digest(&tagged).await.unwrap(),
            Some(expected)
        );
    }
}

#[tokio::test]
async fn command_works_in_an_empty_directory_and_prints_the_pinned_reference() {
    let (from, to, setup) = (Registry::open(), Registry::open(), Setup::new());
    let image = images::of_text(&images::key("a"), "hello");
    push(&setup, from.host(), &image).await;
    let top = image.top().descriptor.clone();
    let document = attach(&setup, from.host(), &top, "one").await;
    let project = Project::empty();
    let source = format!("{}/acme/app:v1", from.host());
    let target = format!("{}/prod", to.host());
    let pinned = format!("{target}/app@{}", top.digest);
    let outcome = project.run(["push", &source, "--to", &target]).succeeds();
    assert_eq!(outcome.stdout(), format!("{pinned}\n"));
    outcome
        .stderr_has("Pushed")
        .stderr_has(&format!("{target}/app:v1 ("))
        .stderr_has("sent, 1 attached document)");
    let outcome = project.run(["push", &source, "--to", &target, "--format", "json"]);
    let shown = outcome.succeeds().stderr_has("Unchanged").json();
    assert_eq!(
        shown,
        json!({
            "schema": 1, "command": "push", "source": source, "location": format!("{target}/app:v1"),
            "pinned": pinned, "digest": top.digest.to_string(), "tag": "v1", "sent": 0,
            "referrers": [{ "digest": document.digest.to_string(), "artifact_type": "application/x" }],
        })
    );
    let by_digest = format!("{}/acme/app@{}", from.host(), top.digest);
    let other = format!("{}/other", to.host());
    let outcome = project.run(["push", &by_digest, "--to", &other]).succeeds();
    assert_eq!(outcome.stdout(), format!("{other}/app@{}\n", top.digest));
    outcome.stderr_has("has no tag");
    let left = project.files_below(".");
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn blob_in_a_referrer_is_copied_with_its_bytes() {
    let (from, to, setup) = (
        Registry::open(),
        FaultyRegistry::without_faults(),
        Setup::new(),
    );
    let image = images::of_text(&images::key("a"), "hello");
    push(&setup, from.host(), &image).await;
    attach(&setup, from.host(), &image.top().descriptor, "the document").await;
    copy(&setup, from.host(), ":v1", &to.host(), false)
        .await
        .unwrap();
    let key = ("prod/app".to_owned(), digest(b"the document"));
    assert_eq!(
        to.memory().blobs.get(&key).map(Vec::as_slice),
        Some(&b"the document"[..])
    );
    let BlobSource::Bytes(config) = &image.platforms[0].config.content else {
        panic!("configs are in memory")
    };
    let key = ("prod/app".to_owned(), digest(config));
    assert!(to.memory().blobs.contains_key(&key));
}
