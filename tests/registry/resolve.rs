//! Resolution of a base to the image of a platform: nested indexes, entries and configs without a platform, and cycles.

use cargo_union::build::Lookup;
use cargo_union::image::BaseSource as _;
use cargo_union::image::layer::media_type;
use cargo_union::sys::digest::Digest;
use cargo_union::sys::error::Result;
use serde_json::{Value, json};
use union_build::diag::Code;
use union_tests::faulty_registry::{FaultyRegistry, digest};

use crate::setup::{Setup, assert_error, repository};

/// A registry with the repository `base`.
struct BaseRepository {
    registry: FaultyRegistry,
    setup: Setup,
}

impl BaseRepository {
    fn new() -> Self {
        Self {
            registry: FaultyRegistry::without_faults(),
            setup: Setup::new(),
        }
    }

    /// Pushes an image without layers with this config. Returns its descriptor.
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

    /// The digest to which the tag of the last pushed document resolves.
    async fn resolve(&self, platform: &str) -> Result<Digest> {
        let (client, repository) = (
            self.setup.client(),
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
    let base = BaseRepository::new();
    for config in [
        config("linux/amd64"),
        json!({}),
        json!({ "architecture": "", "os": null }),
        config("linux/arm64"),
    ] {
        let image = base.image(&config);
        base.index(&[
            of(&base.image(&config_of_another()), "linux/amd64"),
            of(&image, "linux/arm64/v8"),
        ]);
        BaseRepository::is(base.resolve("linux/arm64").await, &image);
    }
}

fn config_of_another() -> Value {
    json!({ "os": "linux", "architecture": "amd64", "author": "another" })
}

#[tokio::test]
async fn arm_entry_without_variant_is_v7() {
    let base = BaseRepository::new();
    let (v6, v7) = (
        base.image(&json!({ "author": "6" })),
        base.image(&json!({ "author": "7" })),
    );
    base.index(&[of(&v6, "linux/arm/v6"), of(&v7, "linux/arm")]);
    for (platform, image) in [
        ("linux/arm/v7", &v7),
        ("linux/arm", &v7),
        ("linux/arm/v6", &v6),
        ("linux/arm/v8", &v7),
    ] {
        BaseRepository::is(base.resolve(platform).await, image);
    }
    assert_error(
        base.resolve("linux/arm/v5").await,
        Code::BaseWithoutPlatform,
        &["linux/arm/v5", "`linux/arm/v6`", "`linux/arm/v7`"],
    );
}

#[tokio::test]
async fn nested_index_is_followed() {
    let base = BaseRepository::new();
    let (amd, arm) = (
        base.image(&config("linux/amd64")),
        base.image(&config("linux/arm64")),
    );
    let inner = base.index(&[of(&amd, "linux/amd64"), of(&arm, "linux/arm64")]);
    let other = base.index(&[of(&base.image(&config_of_another()), "linux/riscv64")]);
    base.index(&[other.clone(), of(&inner, "linux/arm64"), inner.clone()]);
    for (platform, image) in [("linux/amd64", &amd), ("linux/arm64", &arm)] {
        BaseRepository::is(base.resolve(platform).await, image);
    }
    assert_error(
        base.resolve("linux/s390x").await,
        Code::BaseWithoutPlatform,
        &["base:1", "linux/s390x"],
    );
}

#[tokio::test]
async fn locked_index_digest_is_followed() {
    let base = BaseRepository::new();
    let image = base.image(&json!({}));
    let inner = base.index(&[of(&image, "linux/amd64")]);
    let outer = base.index(&[inner]);
    let (client, repository) = (
        base.setup.client(),
        repository(&base.registry.host(), "base"),
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
    BaseRepository::is(locked.map(|found| found.digest), &image);
}

#[tokio::test]
async fn entry_without_platform_uses_its_config() {
    let base = BaseRepository::new();
    let (amd, arm) = (
        base.image(&config("linux/amd64")),
        base.image(&config("linux/arm64")),
    );
    let artifact = json!({ "mediaType": "application/vnd.example.config+json", "digest": digest(b"{}"), "size": 2 });
    let artifact = base.put(
        media_type::OCI_MANIFEST,
        &json!({ "schemaVersion": 2, "config": artifact, "layers": [] }),
    );
    let nothing = base.image(&json!({}));
    base.index(&[artifact, nothing, amd, arm.clone()]);
    BaseRepository::is(base.resolve("linux/arm64").await, &arm);
    assert_error(
        base.resolve("linux/s390x").await,
        Code::BaseWithoutPlatform,
        &["linux/s390x"],
    );
}

#[tokio::test]
async fn single_image_has_the_platform_of_its_config_or_any() {
    let base = BaseRepository::new();
    let image = base.image(&json!({ "os": "linux" }));
    BaseRepository::is(base.resolve("linux/arm64").await, &image);
    let image = base.image(&config("linux/aarch64"));
    BaseRepository::is(base.resolve("linux/arm64").await, &image);
    assert_error(
        base.resolve("linux/amd64").await,
        Code::BaseWithoutPlatform,
        &["`linux/arm64`"],
    );
}

#[tokio::test]
async fn cyclic_indexes_are_refused() {
    let base = BaseRepository::new();
    let mut entry = base.image(&config("linux/amd64"));
    for _ in 0..6 {
        entry = base.index(&[of(&entry, "linux/amd64")]);
    }
    assert_error(
        base.resolve("linux/amd64").await,
        Code::BaseUnsupported,
        &["base:1", "4 indexes"],
    );
}
