//! Pushes to Debian's registry.

use std::process::Command;

use cargo_union::image::BaseSource as _;
use cargo_union::image::layer::{BlobSource, Layer};
use cargo_union::publish::{Existence, ImageTarget, Publisher as _, TransferKind};
use union_build::diag::Code;
use union_tests::http::ReservedPort;
use union_tests::registry::Registry;

use crate::images;
use crate::setup::{Setup, assert_error, repository, target};

#[tokio::test]
async fn pushed_image_is_found() {
    let (registry, setup, key) = (Registry::open(), Setup::new(), images::key("a"));
    let (client, target, image) = (
        setup.client(),
        target(registry.host(), "acme/app", &key),
        images::of_text(&key, "hello"),
    );
    assert_eq!(client.existence(&target).await.unwrap(), Existence::Missing);
    client.prepare(&target).await.unwrap();
    let published = client.publish(&target, &image, false).await.unwrap();
    assert_eq!(published.digest, image.top().descriptor.digest);
    assert_eq!(
        published.location,
        format!("{}/acme/app:v1", registry.host())
    );
    assert!(!published.adopted);
    let platform = &image.platforms[0];
    let sizes = [
        &platform.manifest,
        &platform.config,
        &platform.layers[0].blob,
    ]
    .map(|blob| blob.descriptor.size);
    assert_eq!(published.sent, sizes.iter().sum::<u64>());
    assert_eq!(
        client.existence(&target).await.unwrap(),
        Existence::Found(published.digest)
    );
}

#[tokio::test]
async fn skopeo_reads_a_pushed_index() {
    let (registry, setup, key) = (Registry::open(), Setup::new(), images::key("a"));
    let platforms = ["linux/amd64", "linux/arm64"];
    let parts = platforms.map(|platform| {
        images::single(
            &key,
            platform,
            vec![images::layer("same"), images::layer(platform)],
        )
    });
    let image = images::index(&key, parts.into());
    let target = ImageTarget {
        platforms: platforms.map(|text| text.parse().unwrap()).into(),
        ..target(registry.host(), "acme/app", &key)
    };
    let digest = setup
        .client()
        .publish(&target, &image, false)
        .await
        .unwrap()
        .digest;
    assert_eq!(
        setup.client().existence(&target).await.unwrap(),
        Existence::Found(digest)
    );
    for (architecture, platform) in [
        ("amd64", &image.platforms[0]),
        ("arm64", &image.platforms[1]),
    ] {
        let output = Command::new("skopeo")
            .args([
                "--override-os",
                "linux",
                "--override-arch",
                architecture,
                "copy",
                "--quiet",
                "--src-tls-verify=false",
            ])
            .arg(format!("docker://{}/acme/app@{digest}", registry.host()))
            .arg(format!(
                "dir:{}",
                setup.directory.path().join(architecture).display()
            ))
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let copied = std::fs::read(
            setup
                .directory
                .path()
                .join(architecture)
                .join("manifest.json"),
        )
        .unwrap();
        assert!(matches!(&platform.manifest.content, BlobSource::Bytes(bytes) if *bytes == copied));
    }
}

#[tokio::test]
async fn second_push_uploads_only_new_blobs() {
    let (registry, setup, key) = (Registry::open(), Setup::new(), images::key("a"));
    let target = target(registry.host(), "acme/app", &key);
    setup
        .client()
        .publish(&target, &images::of_text(&key, "hello"), false)
        .await
        .unwrap();
    let again = setup
        .client()
        .publish(&target, &images::of_text(&key, "hello"), false)
        .await
        .unwrap();
    assert_eq!((again.sent, again.adopted), (0, false));
}

#[tokio::test]
async fn large_layer_is_streamed_from_its_file() {
    let (registry, setup, key) = (Registry::open(), Setup::new(), images::key("a"));
    let layer = images::file_layer(setup.directory.path(), 5_000_001);
    let image = images::single(&key, "linux/amd64", vec![layer.clone()]);
    setup
        .client()
        .publish(&target(registry.host(), "acme/app", &key), &image, false)
        .await
        .unwrap();
    assert!(
        setup
            .reports
            .has(TransferKind::Upload, layer.blob.descriptor.digest)
    );
    let path = setup
        .client()
        .blob(
            &repository(registry.host(), "acme/app"),
            &layer.blob.descriptor,
        )
        .await
        .unwrap();
    assert_eq!(std::fs::metadata(path).unwrap().len(), 5_000_001);
}

/// A base in one repository, and an image on it for another one.
async fn on_a_base(
    registry: &Registry,
    named: &str,
    setup: &Setup,
) -> (Layer, cargo_union::publish::Published) {
    let (base_key, key) = (images::key("base"), images::key("a"));
    let base = images::file_layer(setup.directory.path(), 300_000);
    let pushed = images::single(&base_key, "linux/amd64", vec![base.clone()]);
    Setup::new()
        .client()
        .publish(
            &target(registry.host(), "bases/debian", &base_key),
            &pushed,
            false,
        )
        .await
        .unwrap();
    let (named, path) = named.split_once('/').unwrap();
    let remote = images::in_repository(&base, repository(named, path));
    let image = images::single(&key, "linux/amd64", vec![remote, images::layer("code")]);
    let published = setup
        .client()
        .publish(&target(registry.host(), "acme/app", &key), &image, false)
        .await
        .unwrap();
    (base, published)
}

#[tokio::test]
async fn base_on_the_same_registry_is_mounted() {
    let (registry, setup) = (Registry::open(), Setup::new());
    let (base, published) = on_a_base(
        &registry,
        &format!("{}/bases/debian", registry.host()),
        &setup,
    )
    .await;
    assert!(
        setup
            .reports
            .has(TransferKind::Mount, base.blob.descriptor.digest),
        "{:?}",
        setup.reports.lines()
    );
    assert!(published.sent < 2_000, "{} bytes were sent", published.sent);
    assert!(
        setup.cache().blob(&base.blob.descriptor.digest).is_none(),
        "the base was downloaded"
    );
}

#[tokio::test]
async fn base_of_a_mirror_on_the_same_registry_is_mounted() {
    let registry = Registry::open();
    let setup = Setup::new().mirror("docker.io", &format!("{}/bases", registry.host()));
    let (base, _) = on_a_base(&registry, "docker.io/debian", &setup).await;
    assert!(
        setup
            .reports
            .has(TransferKind::Mount, base.blob.descriptor.digest),
        "{:?}",
        setup.reports.lines()
    );
}

#[tokio::test]
async fn base_on_another_registry_is_copied() {
    let (registry, other, setup) = (Registry::open(), Registry::open(), Setup::new());
    let key = images::key("a");
    let base = images::file_layer(setup.directory.path(), 300_000);
    let pushed = images::single(&key, "linux/amd64", vec![base.clone()]);
    Setup::new()
        .client()
        .publish(&target(other.host(), "debian", &key), &pushed, false)
        .await
        .unwrap();
    let remote = images::in_repository(&base, repository(other.host(), "debian"));
    let image = images::single(&key, "linux/amd64", vec![remote]);
    let published = setup
        .client()
        .publish(&target(registry.host(), "acme/app", &key), &image, false)
        .await
        .unwrap();
    assert!(published.sent > 300_000);
    assert!(
        setup
            .reports
            .has(TransferKind::Download, base.blob.descriptor.digest)
    );
}

#[tokio::test]
async fn tag_with_another_key_or_without_a_platform_is_taken() {
    let (registry, setup, key) = (Registry::open(), Setup::new(), images::key("a"));
    let target = target(registry.host(), "acme/app", &key);
    setup
        .client()
        .publish(&target, &images::of_text(&key, "hello"), false)
        .await
        .unwrap();
    let other = ImageTarget {
        key: images::key("b"),
        ..target.clone()
    };
    assert_error(
        setup.client().existence(&other).await,
        Code::TagTaken,
        &[registry.host(), "acme/app:v1", "another key"],
    );
    let image = images::of_text(&other.key, "other");
    assert_error(
        setup.client().publish(&other, &image, false).await,
        Code::TagTaken,
        &["another key"],
    );
    let arm = ImageTarget {
        platforms: vec!["linux/arm64".parse().unwrap()],
        ..target.clone()
    };
    assert_error(
        setup.client().existence(&arm).await,
        Code::TagTaken,
        &["not for linux/arm64"],
    );
    assert!(
        matches!(
            setup.client().existence(&target).await.unwrap(),
            Existence::Found(_)
        ),
        "the tag has moved"
    );
}

#[tokio::test]
async fn rebuild_moves_the_tag_and_keeps_the_old_image() {
    let (registry, setup, key) = (Registry::open(), Setup::new(), images::key("a"));
    let target = target(registry.host(), "acme/app", &key);
    let old = setup
        .client()
        .publish(&target, &images::of_text(&key, "old"), false)
        .await
        .unwrap()
        .digest;
    let new = setup
        .client()
        .publish(&target, &images::of_text(&key, "new"), true)
        .await
        .unwrap();
    assert!(new.digest != old && !new.adopted);
    assert_eq!(
        setup.client().existence(&target).await.unwrap(),
        Existence::Found(new.digest)
    );
    let kept = setup
        .client()
        .manifest(
            &repository(registry.host(), "acme/app"),
            &format!("v1-{}", &old.hex()[..12]),
        )
        .await
        .unwrap();
    assert_eq!(kept.descriptor.digest, old);
}

#[tokio::test]
async fn unreachable_registry_names_the_host() {
    let reserved = ReservedPort::new();
    let free = reserved.host();
    let (setup, key) = (Setup::new(), images::key("a"));
    let target = target(&free, "acme/app", &key);
    assert_error(
        setup.client().existence(&target).await,
        Code::RegistryUnreachable,
        &[&free, "acme/app:v1", "refused"],
    );
    assert_eq!(setup.reports.lines().len(), 2, "it was tried three times");
}

#[tokio::test]
async fn missing_registry_is_an_error() {
    let target = ImageTarget {
        reference: None,
        ..target("127.0.0.1:1", "acme/app", &images::key("a"))
    };
    assert_error(
        Setup::new().client().existence(&target).await,
        Code::RegistryMissing,
        &["app"],
    );
}
