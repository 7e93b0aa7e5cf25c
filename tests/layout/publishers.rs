//! Layouts and archives, read by skopeo, umoci, podman and the tool itself.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use cargo_union::build::BuildRequest;
use cargo_union::image::Image;
use cargo_union::publish::layout::{Layout, TagPolicy};
use cargo_union::publish::tar::TarFile;
use cargo_union::publish::{Existence, Publisher, Silent};
use serde_json::{Value, json};
use union_build::diag::Code;
use union_tests::base::{TAG, debian_layout};

use crate::fixture::{Fixture, key, platform, program, reference, run, scratch, spec, target};

async fn hello(fixture: &Fixture) -> (BuildRequest, Image) {
    let recipe = fixture.recipe(vec![spec("default", scratch())], &[("hello", program())]);
    let image = fixture.build(&recipe).await.unwrap();
    (recipe, image)
}

/// Another image: another key, another binary.
async fn other(fixture: &Fixture) -> (BuildRequest, Image) {
    let binary = fixture.write("other", "other", 0o755);
    let recipe = BuildRequest {
        key: key("b"),
        ..fixture.recipe(vec![spec("default", scratch())], &[("other", &binary)])
    };
    let image = fixture.build(&recipe).await.unwrap();
    (recipe, image)
}

fn layout(fixture: &Fixture, directory: &Path, tags: TagPolicy) -> Layout {
    Layout::new(directory, tags, fixture.source.clone(), Arc::new(Silent))
}

fn tar_file(fixture: &Fixture, path: &Path) -> TarFile {
    TarFile::new(path, fixture.source.clone(), Arc::new(Silent))
}

fn blobs(directory: &Path) -> usize {
    std::fs::read_dir(directory.join("blobs/sha256"))
        .unwrap()
        .count()
}

#[tokio::test]
async fn skopeo_copies_a_layout() {
    let fixture = Fixture::new();
    let (recipe, image) = hello(&fixture).await;
    let directory = fixture.path("layout");
    let published = layout(&fixture, &directory, TagPolicy::One)
        .publish(&target(&recipe, "v1"), &image, false)
        .await
        .unwrap();
    assert_eq!(
        published.location,
        format!("oci:{}:v1", directory.display())
    );
    let at = format!("oci:{}:v1", directory.display());
    let seen: Value =
        serde_json::from_str(&run(Command::new("skopeo").args(["inspect", &at]))).unwrap();
    assert_eq!(seen["Digest"], published.digest.to_string());
    assert_eq!(seen["Labels"]["union.key"], recipe.key.to_string());
    let copy = format!("dir:{}", fixture.path("copy").display());
    run(Command::new("skopeo").args([
        "copy",
        "--quiet",
        "--insecure-policy",
        "--preserve-digests",
        &at,
        &copy,
    ]));
}

#[tokio::test]
async fn skopeo_copies_an_index_with_all_its_platforms() {
    let fixture = Fixture::new();
    let mut recipe = fixture.recipe(vec![spec("default", scratch())], &[("hello", program())]);
    let mut arm = recipe.platforms[0].clone();
    arm.platform = platform("linux/arm64");
    recipe.platforms.push(arm);
    let image = fixture.build(&recipe).await.unwrap();
    let (directory, copy) = (fixture.path("layout"), fixture.path("copy"));
    let place = layout(&fixture, &directory, TagPolicy::One);
    place
        .publish(&target(&recipe, "v1"), &image, false)
        .await
        .unwrap();
    assert_eq!(
        place.existence(&target(&recipe, "v1")).await.unwrap(),
        Existence::Found(image.top().descriptor.digest)
    );
    let mut skopeo = Command::new("skopeo");
    skopeo.args([
        "copy",
        "--quiet",
        "--insecure-policy",
        "--all",
        "--preserve-digests",
    ]);
    run(skopeo
        .arg(format!("oci:{}:v1", directory.display()))
        .arg(format!("oci:{}:v1", copy.display())));
    let index: Value =
        serde_json::from_slice(&std::fs::read(copy.join("index.json")).unwrap()).unwrap();
    assert_eq!(
        index["manifests"][0]["digest"],
        image.top().descriptor.digest.to_string()
    );
}

#[tokio::test]
async fn umoci_unpacks_a_layout() {
    let fixture = Fixture::new();
    let (recipe, image) = hello(&fixture).await;
    let directory = fixture.path("layout");
    layout(&fixture, &directory, TagPolicy::One)
        .publish(&target(&recipe, "v1"), &image, false)
        .await
        .unwrap();
    let bundle = fixture.path("bundle");
    run(Command::new("umoci")
        .args(["unpack", "--rootless", "--image"])
        .arg(format!("{}:v1", directory.display()))
        .arg(&bundle));
    let rootfs = bundle.join("rootfs");
    assert_eq!(
        std::fs::read(rootfs.join("union/bin/hello")).unwrap(),
        std::fs::read(program()).unwrap()
    );
    assert_eq!(
        std::fs::metadata(rootfs.join("tmp"))
            .unwrap()
            .permissions()
            .mode()
            & 0o7777,
        0o1777
    );
    let config: Value =
        serde_json::from_slice(&std::fs::read(bundle.join("config.json")).unwrap()).unwrap();
    assert_eq!(config["process"]["args"], json!(["/union/bin/hello"]));
}

#[tokio::test]
async fn image_on_debian_is_valid_for_other_tools() {
    let fixture = Fixture::with_base(&debian_layout());
    let recipe = fixture.recipe(vec![spec("default", reference())], &[("hello", program())]);
    let image = fixture.build(&recipe).await.unwrap();
    let directory = fixture.path("layout");
    layout(&fixture, &directory, TagPolicy::One)
        .publish(&target(&recipe, "v1"), &image, false)
        .await
        .unwrap();
    let copy = format!("dir:{}", fixture.path("copy").display());
    run(Command::new("skopeo").args([
        "copy",
        "--quiet",
        "--insecure-policy",
        &format!("oci:{}:v1", directory.display()),
        &copy,
    ]));
    let base = std::fs::read_dir(debian_layout().join("blobs/sha256"))
        .unwrap()
        .count();
    assert_eq!(
        (base, blobs(&directory)),
        (3, 4),
        "the base's layer, the code, a config and a manifest"
    );
    assert_eq!(TAG, "base");
}

#[tokio::test]
async fn podman_loads_an_archive_and_knows_its_name() {
    let fixture = Fixture::new();
    let (recipe, image) = hello(&fixture).await;
    let path = fixture.path("image.tar");
    tar_file(&fixture, &path)
        .publish(&target(&recipe, "v1"), &image, false)
        .await
        .unwrap();
    let podman = || {
        let mut podman = Command::new("podman");
        podman
            .arg("--root")
            .arg(fixture.path("podman"))
            .arg("--runroot")
            .arg(fixture.path("podman-run"))
            .args(["--storage-driver", "vfs"]);
        podman
    };
    run(podman().args(["load", "--quiet", "--input"]).arg(&path));
    let name = run(podman().args(["images", "--format", "{{.Repository}}:{{.Tag}}"]));
    assert_eq!(name.trim(), "docker.io/library/app:v1");
    let label = run(podman().args([
        "image",
        "inspect",
        "app:v1",
        "--format",
        "{{index .Labels \"union.key\"}}",
    ]));
    assert_eq!(label.trim(), recipe.key.to_string());
}

#[tokio::test]
async fn skopeo_reads_an_archive_in_both_of_its_formats() {
    let fixture = Fixture::new();
    let (recipe, image) = hello(&fixture).await;
    let path = fixture.path("image.tar");
    let place = tar_file(&fixture, &path);
    assert_eq!(
        place.existence(&target(&recipe, "v1")).await.unwrap(),
        Existence::Missing
    );
    let published = place
        .publish(&target(&recipe, "v1"), &image, false)
        .await
        .unwrap();
    assert_eq!(
        place.existence(&target(&recipe, "v1")).await.unwrap(),
        Existence::Found(published.digest)
    );
    let changed = BuildRequest {
        key: key("b"),
        ..recipe
    };
    assert_eq!(
        place.existence(&target(&changed, "v1")).await.unwrap(),
        Existence::Missing
    );
    for format in ["oci-archive", "docker-archive"] {
        let at = format!("{format}:{}", path.display());
        let seen: Value = serde_json::from_str(&run(
            Command::new("skopeo").args(["inspect", "--config", &at])
        ))
        .unwrap();
        assert_eq!(
            seen["config"]["Cmd"],
            json!(["/union/bin/hello"]),
            "{format}"
        );
    }
}

#[tokio::test]
async fn layout_blobs_are_linked_from_the_cache_and_sent_once() {
    let fixture = Fixture::new();
    let (recipe, image) = hello(&fixture).await;
    let directory = fixture.path("layout");
    let place = layout(&fixture, &directory, TagPolicy::One);
    let first = place
        .publish(&target(&recipe, "v1"), &image, false)
        .await
        .unwrap();
    let digest = image.platforms[0].layers[1].blob.descriptor.digest;
    let inode = |path: &Path| std::fs::metadata(path).unwrap().ino();
    assert_eq!(
        inode(&directory.join("blobs/sha256").join(digest.hex())),
        inode(&fixture.cache.blob_path(&digest))
    );
    let second = place
        .publish(&target(&recipe, "v1"), &image, false)
        .await
        .unwrap();
    assert!(
        first.sent > 0 && second.sent == 0 && !second.adopted,
        "{first:?} {second:?}"
    );
}

#[tokio::test]
async fn default_layout_has_only_the_current_image() {
    let fixture = Fixture::new();
    let ((first, first_image), (second, second_image)) =
        (hello(&fixture).await, other(&fixture).await);
    let directory = fixture.path("layout");
    let place = layout(&fixture, &directory, TagPolicy::One);
    place
        .publish(&target(&first, "v1"), &first_image, false)
        .await
        .unwrap();
    place
        .publish(&target(&second, "v2"), &second_image, false)
        .await
        .unwrap();
    assert_eq!(
        place.existence(&target(&first, "v1")).await.unwrap(),
        Existence::Missing
    );
    assert_eq!(
        place.existence(&target(&second, "v2")).await.unwrap(),
        Existence::Found(second_image.top().descriptor.digest)
    );
    assert_eq!(blobs(&directory), 4, "scratch, code, config, manifest");
}

#[tokio::test]
async fn user_layout_keeps_its_other_images() {
    let fixture = Fixture::new();
    let ((first, first_image), (second, second_image)) =
        (hello(&fixture).await, other(&fixture).await);
    let place = layout(&fixture, &fixture.path("layout"), TagPolicy::Many);
    place
        .publish(&target(&first, "v1"), &first_image, false)
        .await
        .unwrap();
    place
        .publish(&target(&second, "v2"), &second_image, false)
        .await
        .unwrap();
    assert_eq!(
        place.existence(&target(&first, "v1")).await.unwrap(),
        Existence::Found(first_image.top().descriptor.digest)
    );
    assert_eq!(
        place.existence(&target(&second, "v2")).await.unwrap(),
        Existence::Found(second_image.top().descriptor.digest)
    );
}

#[tokio::test]
async fn layout_tag_with_another_key_is_taken_until_replaced() {
    let fixture = Fixture::new();
    let ((first, first_image), (second, second_image)) =
        (hello(&fixture).await, other(&fixture).await);
    let place = layout(&fixture, &fixture.path("layout"), TagPolicy::Many);
    place
        .publish(&target(&first, "v1"), &first_image, false)
        .await
        .unwrap();
    let target = target(&second, "v1");
    assert_eq!(
        place.existence(&target).await.unwrap_err().code(),
        Code::TagTaken
    );
    assert_eq!(
        place
            .publish(&target, &second_image, false)
            .await
            .unwrap_err()
            .code(),
        Code::TagTaken
    );
    place.publish(&target, &second_image, true).await.unwrap();
    assert_eq!(
        place.existence(&target).await.unwrap(),
        Existence::Found(second_image.top().descriptor.digest)
    );
}

#[tokio::test]
async fn earlier_image_of_the_same_key_is_adopted() {
    let fixture = Fixture::new();
    let ((first, first_image), (_, second_image)) = (hello(&fixture).await, other(&fixture).await);
    let place = layout(&fixture, &fixture.path("layout"), TagPolicy::Many);
    let published = place
        .publish(&target(&first, "v1"), &first_image, false)
        .await
        .unwrap();
    // As if another machine had built other bytes from the same inputs.
    let mut twin = second_image.clone();
    twin.platforms[0].manifest = first_image.platforms[0].config.clone();
    let adopted = place
        .publish(&target(&first, "v1"), &twin, false)
        .await
        .unwrap();
    assert!(adopted.adopted);
    assert_eq!(adopted.digest, published.digest);
}

#[tokio::test]
async fn layout_with_a_missing_blob_lacks_the_image() {
    let fixture = Fixture::new();
    let (recipe, image) = hello(&fixture).await;
    let directory = fixture.path("layout");
    let place = layout(&fixture, &directory, TagPolicy::One);
    let target = target(&recipe, "v1");
    let found = Existence::Found(image.top().descriptor.digest);
    place.publish(&target, &image, false).await.unwrap();
    let layer = image.platforms[0].layers[1].blob.descriptor.digest;
    let blob = |digest: &cargo_union::sys::digest::Digest| {
        directory.join("blobs/sha256").join(digest.hex())
    };
    std::fs::remove_file(blob(&layer)).unwrap();
    assert_eq!(place.existence(&target).await.unwrap(), Existence::Missing);
    place.publish(&target, &image, false).await.unwrap();
    assert_eq!(place.existence(&target).await.unwrap(), found);
    // A short file, as after a crash.
    std::fs::write(blob(&image.platforms[0].manifest.descriptor.digest), "{").unwrap();
    assert_eq!(place.existence(&target).await.unwrap(), Existence::Missing);
    place.publish(&target, &image, false).await.unwrap();
    assert_eq!(place.existence(&target).await.unwrap(), found);
}

#[tokio::test]
async fn directory_with_other_files_is_not_changed() {
    let fixture = Fixture::new();
    let (recipe, image) = hello(&fixture).await;
    let directory = fixture.path("thesis");
    std::fs::create_dir(&directory).unwrap();
    std::fs::write(directory.join("thesis.tex"), "").unwrap();
    let place = layout(&fixture, &directory, TagPolicy::One);
    let target = target(&recipe, "v1");
    assert_eq!(
        place.prepare(&target).await.unwrap_err().code(),
        Code::LayoutInvalid
    );
    assert_eq!(
        place.existence(&target).await.unwrap_err().code(),
        Code::LayoutInvalid
    );
    assert_eq!(
        place
            .publish(&target, &image, true)
            .await
            .unwrap_err()
            .code(),
        Code::LayoutInvalid
    );
    assert_eq!(std::fs::read_dir(&directory).unwrap().count(), 1);
}

#[tokio::test]
async fn concurrent_publishes_keep_both_images() {
    let fixture = Fixture::new();
    let ((first, first_image), (second, second_image)) =
        (hello(&fixture).await, other(&fixture).await);
    let directory = fixture.path("layout");
    let (one, two) = (
        layout(&fixture, &directory, TagPolicy::Many),
        layout(&fixture, &directory, TagPolicy::Many),
    );
    for round in 0..20 {
        let (first, second) = (
            target(&first, &format!("a{round}")),
            target(&second, &format!("b{round}")),
        );
        let (a, b) = tokio::join!(
            one.publish(&first, &first_image, false),
            two.publish(&second, &second_image, false)
        );
        a.unwrap();
        b.unwrap();
    }
    let index: Value =
        serde_json::from_slice(&std::fs::read(directory.join("index.json")).unwrap()).unwrap();
    assert_eq!(index["manifests"].as_array().map(Vec::len), Some(40));
}
