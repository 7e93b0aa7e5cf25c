//! Images in a real engine: `dockerd` on a private socket, without a network.

#![allow(clippy::unwrap_used, missing_docs)]

#[expect(dead_code, reason = "the layout tests use more of it")]
#[path = "../layout/fixture.rs"]
mod fixture;
mod start_check;

mod containers;
mod properties;

use std::sync::{Arc, Mutex};

use cargo_union::build::BuildRequest;
use cargo_union::engine::EngineLocator;
use cargo_union::image::Image;
use cargo_union::image::layer::BlobSource;
use cargo_union::publish::daemon::Daemon;
use cargo_union::publish::tar::TarFile;
use cargo_union::publish::{
    Existence, ImageTarget, Publisher, Reporter, Silent, Transfer, TransferKind,
};
use cargo_union::sys::digest::Digest;
use fixture::{Fixture, key, platform, program, reference, scratch, spec, target};
use union_build::diag::{Code, Origin};
use union_build::spec::{self, Compression, Sourced};
use union_tests::base::debian_layout;
use union_tests::engine::{Engine as Dockerd, Podman};

const RUN: [&str; 4] = ["run", "--rm", "--network", "none"];

fn engine(fixture: &Fixture, reporter: Arc<dyn Reporter>) -> Daemon {
    Daemon::new(
        Arc::new(EngineLocator::at([Dockerd::shared().address()])),
        fixture.source.clone(),
        reporter,
    )
}

/// A target with a separate name, since all tests share one engine.
fn named(recipe: &BuildRequest, name: &str) -> ImageTarget {
    ImageTarget {
        name: name.to_owned(),
        ..target(recipe, "v1")
    }
}

/// Builds and loads an image under a name.
async fn load(fixture: &Fixture, recipe: &BuildRequest, name: &str) -> Image {
    let image = fixture.build(recipe).await.unwrap();
    engine(fixture, Arc::new(Silent))
        .publish(&named(recipe, name), &image, false)
        .await
        .unwrap();
    image
}

fn run(arguments: &[&str]) -> String {
    Dockerd::shared().docker(&[&RUN[..], arguments].concat())
}

#[tokio::test]
async fn nonroot_image_from_scratch_runs_with_its_key() {
    let fixture = Fixture::new();
    let recipe = fixture.recipe(vec![spec("default", scratch())], &[("hello", program())]);
    let image = load(&fixture, &recipe, "from-scratch").await;
    assert_eq!(
        run(&["from-scratch:v1"]),
        format!("hello [] from 65532 in {}", key("a"))
    );
    let publisher = engine(&fixture, Arc::new(Silent));
    let id = Existence::Found(image.platforms[0].config.descriptor.digest);
    assert_eq!(
        publisher
            .existence(&named(&recipe, "from-scratch"))
            .await
            .unwrap(),
        id
    );
    assert_eq!(
        publisher
            .existence(&named(&recipe, "never-loaded"))
            .await
            .unwrap(),
        Existence::Missing
    );
    let changed = BuildRequest {
        key: key("b"),
        ..recipe
    };
    assert_eq!(
        publisher
            .existence(&named(&changed, "from-scratch"))
            .await
            .unwrap_err()
            .code(),
        Code::TagTaken
    );
}

#[tokio::test]
async fn copy_to_bin_keeps_the_shell_of_the_base() {
    let fixture = Fixture::with_base(&debian_layout());
    fixture.write("tool", "#!/bin/sh\necho tool\n", 0o755);
    let image = spec::ImageSpec {
        copy: vec![fixture.copy("tool", "/bin/tool")],
        ..spec("default", reference())
    };
    let recipe = fixture.recipe(vec![image], &[("hello", program())]);
    load(&fixture, &recipe, "with-tool").await;
    assert_eq!(
        run(&[
            "with-tool:v1",
            "/bin/sh",
            "-c",
            "/bin/tool && /usr/bin/tool"
        ]),
        "tool\ntool"
    );
}

#[tokio::test]
async fn layer_with_a_literal_bin_directory_loses_the_shell() {
    let fixture = Fixture::with_base(&debian_layout());
    let naive = fixture.path("naive.Dockerfile");
    // The same entry at its literal path, in a layer that was created without reading the base.
    let recipe = fixture.recipe(vec![spec("default", reference())], &[("hello", program())]);
    let mut image = fixture.build(&recipe).await.unwrap();
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(0);
    header.set_mode(0o755);
    tar.append_data(&mut header, "bin/tool", std::io::empty())
        .unwrap();
    let bytes = tar.into_inner().unwrap();
    std::fs::write(&naive, &bytes).unwrap();
    let layer = image.platforms[0].layers.last_mut().unwrap();
    layer.diff_id = cargo_union::sys::digest::DiffId::of(&bytes);
    layer.blob.descriptor.digest = Digest::of(&bytes);
    layer.blob.descriptor.size = bytes.len() as u64;
    layer.blob.content = BlobSource::File(naive);
    let mut config = fixture::json(&image.platforms[0].config);
    config["rootfs"]["diff_ids"][1] = serde_json::json!(image.platforms[0].layers[1].diff_id);
    let media_type = image.platforms[0].config.descriptor.media_type.clone();
    image.platforms[0].config =
        cargo_union::image::layer::Blob::of_bytes(&media_type, config.to_string());
    engine(&fixture, Arc::new(Silent))
        .publish(&named(&recipe, "naive"), &image, true)
        .await
        .unwrap();
    let output =
        Dockerd::shared().try_docker(&[&RUN[..], &["naive:v1", "/bin/sh", "-c", "true"]].concat());
    assert!(
        !output.status.success(),
        "an engine that follows the link itself needs no care of ours"
    );
}

#[derive(Default)]
struct RecordedTransfers(Mutex<Vec<(Digest, TransferKind)>>);

impl Reporter for RecordedTransfers {
    fn transfer(&self, transfer: &Transfer<'_>) {
        self.0
            .lock()
            .unwrap()
            .push((transfer.digest, transfer.kind));
    }
}

#[tokio::test]
async fn layers_known_to_the_engine_are_not_sent() {
    let fixture = Fixture::with_base(&debian_layout());
    let recipe = fixture.recipe(vec![spec("default", reference())], &[("hello", program())]);
    load(&fixture, &recipe, "first").await;
    let binary = fixture.write("other", "#!/bin/sh\necho other\n", 0o755);
    let edited = BuildRequest {
        key: key("b"),
        ..fixture.recipe(vec![spec("default", reference())], &[("other", &binary)])
    };
    let image = fixture.build(&edited).await.unwrap();
    let transfers = Arc::new(RecordedTransfers::default());
    let published = engine(&fixture, transfers.clone())
        .publish(&named(&edited, "second"), &image, false)
        .await
        .unwrap();
    let base = image.platforms[0].layers[0].blob.descriptor.digest;
    assert!(
        transfers
            .0
            .lock()
            .unwrap()
            .contains(&(base, TransferKind::Present))
    );
    assert!(published.sent < 10_000, "{published:?}");
    assert_eq!(run(&["second:v1"]), "other");
}

#[tokio::test]
async fn image_with_zstd_layers_runs() {
    let fixture = Fixture::new();
    let compression = Sourced {
        value: Compression::Zstd,
        origin: Origin::Flag("--compression"),
    };
    let recipe = fixture.recipe(
        vec![spec::ImageSpec {
            compression,
            ..spec("default", scratch())
        }],
        &[("hello", program())],
    );
    load(&fixture, &recipe, "zstd").await;
    assert_eq!(
        run(&["zstd:v1", "/union/bin/hello", "x"]),
        format!("hello [\"x\"] from 65532 in {}", key("a"))
    );
}

#[tokio::test]
async fn docker_loads_an_archive() {
    let fixture = Fixture::new();
    let recipe = fixture.recipe(vec![spec("default", scratch())], &[("hello", program())]);
    let image = fixture.build(&recipe).await.unwrap();
    let path = fixture.path("image.tar");
    TarFile::new(&path, fixture.source.clone(), Arc::new(Silent))
        .publish(&named(&recipe, "archived"), &image, false)
        .await
        .unwrap();
    Dockerd::shared().docker(&["load", "--quiet", "--input", path.to_str().unwrap()]);
    assert_eq!(
        run(&["archived:v1"]),
        format!("hello [] from 65532 in {}", key("a"))
    );
}

#[tokio::test]
async fn podman_loads_an_image_through_its_socket() {
    let fixture = Fixture::with_base(&debian_layout());
    let recipe = fixture.recipe(vec![spec("default", reference())], &[("hello", program())]);
    let image = fixture.build(&recipe).await.unwrap();
    let podman = Podman::start();
    let publisher = Daemon::new(
        Arc::new(EngineLocator::at([podman.address()])),
        fixture.source.clone(),
        Arc::new(Silent),
    );
    let target = named(&recipe, "app");
    publisher.prepare(&target).await.unwrap();
    let published = publisher.publish(&target, &image, false).await.unwrap();
    assert_eq!(
        publisher.existence(&target).await.unwrap(),
        Existence::Found(published.digest)
    );
    let binary = fixture.write("other", "other", 0o755);
    let edited = BuildRequest {
        key: key("b"),
        ..fixture.recipe(vec![spec("default", reference())], &[("other", &binary)])
    };
    let image = fixture.build(&edited).await.unwrap();
    let target = ImageTarget {
        tag: "v2".to_owned(),
        ..named(&edited, "app")
    };
    let published = publisher.publish(&target, &image, false).await.unwrap();
    assert_eq!(
        publisher.existence(&target).await.unwrap(),
        Existence::Found(published.digest)
    );
}

#[tokio::test]
async fn engine_refusal_shows_the_message_of_the_engine() {
    let fixture = Fixture::new();
    let recipe = fixture.recipe(vec![spec("default", scratch())], &[("hello", program())]);
    let mut image = fixture.build(&recipe).await.unwrap();
    let mut config = fixture::json(&image.platforms[0].config);
    // Its config names a layer that the archive does not have.
    config["rootfs"]["diff_ids"][1] = serde_json::json!(Digest::of("another"));
    let media_type = image.platforms[0].config.descriptor.media_type.clone();
    image.platforms[0].config =
        cargo_union::image::layer::Blob::of_bytes(&media_type, config.to_string());
    let error = engine(&fixture, Arc::new(Silent))
        .publish(&named(&recipe, "broken"), &image, false)
        .await
        .unwrap_err();
    assert_eq!(error.code(), Code::EngineFailed);
    assert!(
        error.chain().join(": ").contains("invalid diffID"),
        "{:?}",
        error.chain()
    );
    assert!(
        !Dockerd::shared()
            .try_docker(&["image", "inspect", "broken:v1"])
            .status
            .success(),
        "nothing is left under the name"
    );
}

#[tokio::test]
async fn image_for_another_platform_is_refused_before_sending() {
    let fixture = Fixture::new();
    let mut recipe = fixture.recipe(vec![spec("default", scratch())], &[("hello", program())]);
    recipe.platforms[0].platform = platform("linux/s390x");
    let error = engine(&fixture, Arc::new(Silent))
        .prepare(&named(&recipe, "mainframe"))
        .await
        .unwrap_err();
    assert_eq!(error.code(), Code::EngineWithoutPlatform);
    assert!(
        error.chain().join(": ").contains("`linux/s390x`"),
        "{:?}",
        error.chain()
    );
}

#[tokio::test]
async fn missing_engine_lists_the_tried_addresses() {
    let fixture = Fixture::new();
    let recipe = fixture.recipe(vec![spec("default", scratch())], &[]);
    let addresses = vec![
        format!("unix://{}", fixture.path("none").display()),
        "ssh://somewhere".to_owned(),
    ];
    let publisher = Daemon::new(
        Arc::new(EngineLocator::at(addresses.clone())),
        fixture.source.clone(),
        Arc::new(Silent),
    );
    let error = publisher.existence(&named(&recipe, "x")).await.unwrap_err();
    assert_eq!(error.code(), Code::EngineUnreachable);
    for address in addresses {
        assert!(
            error.chain().join(": ").contains(&address),
            "{:?}",
            error.chain()
        );
    }
}
