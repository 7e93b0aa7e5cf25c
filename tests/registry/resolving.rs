//! From a base's name to the image of a platform: indexes in indexes, entries and configs that name no platform or another
//! one, and indexes that lead nowhere.

use cargo_union::build::Lookup;
use cargo_union::image::BaseSource as _;
use cargo_union::image::layer::media_type;
use cargo_union::sys::digest::Digest;
use cargo_union::sys::error::Result;
use serde_json::{Value, json};
use union_build::diag::Code;
use union_tests::hostile::{Hostile, digest};

use crate::world::{World, assert_error, repository};

/// A registry in which the repository `base` is filled.
struct Shelf {
    registry: Hostile,
    world: World,
}

impl Shelf {
    fn new() -> Self {
        Self {
            registry: Hostile::obedient(),
            world: World::new(),
        }
    }

    /// An image without layers, whose config says so much of its platform. Its descriptor.
    fn image(&self, config: &Value) -> Value {
        let mut config = config.clone();
        config["rootfs"] = json!({ "type": "layers", "diff_ids": [] });
        let config = config.to_string();
        self.registry.memory().put_blob("base", config.as_bytes());
        let config = json!({ "mediaType": media_type::OCI_CONFIG, "digest": digest(config.as_bytes()), "size": config.len() });
        self.put(
            media_type::OCI_MANIFEST,
            &json!({ "schemaVersion": 2, "config": config, "layers": [] }),
        )
    }

    fn index(&self, entries: &[Value]) -> Value {
        self.put(media_type::OCI_INDEX, &json!({ "schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": entries }))
    }

    fn put(&self, kind: &str, document: &Value) -> Value {
        let text = document.to_string();
        self.registry
            .memory()
            .put_manifest("base", "1", kind, text.as_bytes());
        json!({ "mediaType": kind, "digest": digest(text.as_bytes()), "size": text.len() })
    }

    /// What the tag, under which the last document was put, leads to.
    async fn resolve(&self, platform: &str) -> Result<Digest> {
        let (client, repository) = (
            self.world.client(),
            repository(&self.registry.host(), "base"),
        );
        let platform = platform.parse().unwrap();
        let raw = client.manifest(&repository, "1").await?;
        let lookup = Lookup {
            source: &client,
            name: "base:1",
            repository: &repository,
            platform: &platform,
        };
        Ok(lookup.resolve(&raw).await?.digest)
    }

    #[track_caller]
    fn is(found: Result<Digest>, expected: &Value) {
        assert_eq!(
            found.unwrap().to_string(),
            expected["digest"].as_str().unwrap()
        );
    }
}

fn of(descriptor: &Value, platform: &str) -> Value {
    let mut parts = platform.split('/');
    let mut entry = descriptor.clone();
    entry["platform"] = json!({ "os": parts.next(), "architecture": parts.next() });
    if let Some(variant) = parts.next() {
        entry["platform"]["variant"] = json!(variant);
    }
    entry
}

fn config(platform: &str) -> Value {
    of(&json!({}), platform)["platform"].clone()
}

#[tokio::test]
async fn platform_of_the_index_precedes_the_config() {
    let shelf = Shelf::new();
    for config in [
        config("linux/amd64"),
        json!({}),
        json!({ "architecture": "", "os": null }),
        config("linux/arm64"),
    ] {
        let image = shelf.image(&config);
        shelf.index(&[
            of(&shelf.image(&config_of_another()), "linux/amd64"),
            of(&image, "linux/arm64/v8"),
        ]);
        Shelf::is(shelf.resolve("linux/arm64").await, &image);
    }
}

fn config_of_another() -> Value {
    json!({ "os": "linux", "architecture": "amd64", "author": "another" })
}

#[tokio::test]
async fn arm_entry_without_variant_is_v7() {
    let shelf = Shelf::new();
    let (v6, v7) = (
        shelf.image(&json!({ "author": "6" })),
        shelf.image(&json!({ "author": "7" })),
    );
    shelf.index(&[of(&v6, "linux/arm/v6"), of(&v7, "linux/arm")]);
    for (platform, image) in [
        ("linux/arm/v7", &v7),
        ("linux/arm", &v7),
        ("linux/arm/v6", &v6),
        ("linux/arm/v8", &v7),
    ] {
        Shelf::is(shelf.resolve(platform).await, image);
    }
    assert_error(
        shelf.resolve("linux/arm/v5").await,
        Code::BaseWithoutPlatform,
        &["linux/arm/v5", "`linux/arm/v6`", "`linux/arm/v7`"],
    );
}

#[tokio::test]
async fn nested_index_is_followed() {
    let shelf = Shelf::new();
    let (amd, arm) = (
        shelf.image(&config("linux/amd64")),
        shelf.image(&config("linux/arm64")),
    );
    let inner = shelf.index(&[of(&amd, "linux/amd64"), of(&arm, "linux/arm64")]);
    let other = shelf.index(&[of(&shelf.image(&config_of_another()), "linux/riscv64")]);
    shelf.index(&[other.clone(), of(&inner, "linux/arm64"), inner.clone()]);
    for (platform, image) in [("linux/amd64", &amd), ("linux/arm64", &arm)] {
        Shelf::is(shelf.resolve(platform).await, image);
    }
    assert_error(
        shelf.resolve("linux/s390x").await,
        Code::BaseWithoutPlatform,
        &["base:1", "linux/s390x"],
    );
}

#[tokio::test]
async fn locked_index_digest_is_followed() {
    let shelf = Shelf::new();
    let image = shelf.image(&json!({}));
    let inner = shelf.index(&[of(&image, "linux/amd64")]);
    let outer = shelf.index(&[inner]);
    let (client, repository) = (
        shelf.world.client(),
        repository(&shelf.registry.host(), "base"),
    );
    let platform = "linux/amd64".parse().unwrap();
    let lookup = Lookup {
        source: &client,
        name: "base:1",
        repository: &repository,
        platform: &platform,
    };
    let locked = lookup
        .locked(outer["digest"].as_str().unwrap().parse().unwrap())
        .await;
    Shelf::is(locked.map(|found| found.digest), &image);
}

#[tokio::test]
async fn entry_without_platform_uses_its_config() {
    let shelf = Shelf::new();
    let (amd, arm) = (
        shelf.image(&config("linux/amd64")),
        shelf.image(&config("linux/arm64")),
    );
    let artifact = json!({ "mediaType": "application/vnd.example.config+json", "digest": digest(b"{}"), "size": 2 });
    let artifact = shelf.put(
        media_type::OCI_MANIFEST,
        &json!({ "schemaVersion": 2, "config": artifact, "layers": [] }),
    );
    let nothing = shelf.image(&json!({}));
    shelf.index(&[artifact, nothing, amd, arm.clone()]);
    Shelf::is(shelf.resolve("linux/arm64").await, &arm);
    assert_error(
        shelf.resolve("linux/s390x").await,
        Code::BaseWithoutPlatform,
        &["linux/s390x"],
    );
}

#[tokio::test]
async fn single_image_has_the_platform_of_its_config_or_any() {
    let shelf = Shelf::new();
    let image = shelf.image(&json!({ "os": "linux" }));
    Shelf::is(shelf.resolve("linux/arm64").await, &image);
    let image = shelf.image(&config("linux/aarch64"));
    Shelf::is(shelf.resolve("linux/arm64").await, &image);
    assert_error(
        shelf.resolve("linux/amd64").await,
        Code::BaseWithoutPlatform,
        &["`linux/arm64`"],
    );
}

#[tokio::test]
async fn cyclic_indexes_are_refused() {
    let shelf = Shelf::new();
    let mut entry = shelf.image(&config("linux/amd64"));
    for _ in 0..6 {
        entry = shelf.index(&[of(&entry, "linux/amd64")]);
    }
    assert_error(
        shelf.resolve("linux/amd64").await,
        Code::BaseUnsupported,
        &["base:1", "4 indexes"],
    );
}
