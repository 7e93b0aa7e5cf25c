//! Base images: mirrors, digests, and registries with wrong content.

use cargo_union::image::BaseSource as _;
use cargo_union::image::layer::{Descriptor, media_type};
use cargo_union::image::reference::BaseRef;
use cargo_union::publish::Publisher as _;
use cargo_union::sys::digest::Digest;
use union_build::diag::Code;
use union_tests::faulty_registry::{FaultyRegistry, Reply};
use union_tests::http::ReservedPort;
use union_tests::registry::Registry;

use crate::images;
use crate::setup::{Setup, assert_error, repository, target};

async fn push_base(host: &str, path: &str, text: &str) -> Digest {
    let key = images::key(text);
    Setup::new()
        .client()
        .publish(
            &target(host, path, &key),
            &images::of_text(&key, text),
            false,
        )
        .await
        .unwrap()
        .digest
}

#[tokio::test]
async fn docker_hub_mirror_is_used() {
    let registry = Registry::open();
    let digest = push_base(registry.host(), "hub/library/debian", "debian").await;
    let setup = Setup::new().mirror("docker.io", &format!("{}/hub", registry.host()));
    let base: BaseRef = "debian:v1".parse().unwrap();
    let manifest = setup
        .client()
        .manifest(&base.repository, "v1")
        .await
        .unwrap();
    assert_eq!(manifest.descriptor.digest, digest);
}

#[tokio::test]
async fn registry_is_the_fallback_of_its_mirror() {
    let (registry, empty) = (Registry::open(), Registry::open());
    let digest = push_base(registry.host(), "debian", "debian").await;
    let reserved = ReservedPort::new();
    let away = reserved.host();
    for mirror in [empty.host(), &away] {
        let setup = Setup::new().mirror(registry.host(), mirror);
        let manifest = setup
            .client()
            .manifest(&repository(registry.host(), "debian"), "v1")
            .await
            .unwrap();
        assert_eq!(manifest.descriptor.digest, digest);
    }
}

#[tokio::test]
async fn mirror_denial_and_wrong_digest_are_errors() {
    let registry = Registry::open();
    push_base(registry.host(), "debian", "debian").await;
    let denying = FaultyRegistry::start(|request, _| {
        request
            .path
            .contains("/manifests/")
            .then(|| Reply::error(403, "DENIED", "not you").into())
    });
    let setup = Setup::new().mirror(registry.host(), &denying.host());
    let denied = setup
        .client()
        .manifest(&repository(registry.host(), "debian"), "v1")
        .await;
    assert_error(
        denied,
        Code::BaseDenied,
        &[&denying.host(), "debian", "DENIED: not you", "docker login"],
    );
    let lying = FaultyRegistry::start(|request, _| {
        request.path.contains("/manifests/").then(|| {
            let promised = format!("sha256:{}", "0".repeat(64));
            Reply::status(200)
                .with("Docker-Content-Digest", promised)
                .with("Content-Type", media_type::OCI_MANIFEST)
                .body("{}")
                .into()
        })
    });
    let setup = Setup::new().mirror(registry.host(), &lying.host());
    let lied = setup
        .client()
        .manifest(&repository(registry.host(), "debian"), "v1")
        .await;
    assert_error(lied, Code::BaseCorrupt, &[&lying.host(), "debian", "0000"]);
}

#[tokio::test]
async fn missing_base_names_mirror_and_registry() {
    let (registry, mirror) = (Registry::open(), Registry::open());
    let setup = Setup::new().mirror(registry.host(), mirror.host());
    let missing = setup
        .client()
        .manifest(&repository(registry.host(), "debian"), "v9")
        .await;
    assert_error(
        missing,
        Code::BaseMissing,
        &[registry.host(), mirror.host(), "debian", "v9"],
    );
}

#[tokio::test]
async fn manifest_by_digest_is_requested_once() {
    let registry = FaultyRegistry::without_faults();
    let digest = push_base(&registry.host(), "debian", "debian")
        .await
        .to_string();
    let setup = Setup::new();
    let first = setup
        .client()
        .manifest(&repository(&registry.host(), "debian"), &digest)
        .await
        .unwrap();
    let asked = registry.seen().len();
    let second = setup
        .client()
        .manifest(&repository(&registry.host(), "debian"), &digest)
        .await
        .unwrap();
    assert_eq!(
        (first.descriptor, first.bytes),
        (second.descriptor, second.bytes)
    );
    assert_eq!(registry.seen().len(), asked);
}

#[tokio::test]
async fn wrong_bytes_under_a_digest_are_refused() {
    let registry = FaultyRegistry::without_faults();
    let digest = Digest::of("what was asked for");
    let path = ("debian".to_owned(), digest.to_string());
    registry.memory().manifests.insert(
        path,
        (
            media_type::OCI_MANIFEST.to_owned(),
            br#"{"layers":[]}"#.to_vec(),
        ),
    );
    let setup = Setup::new();
    let wrong = setup
        .client()
        .manifest(&repository(&registry.host(), "debian"), &digest.to_string())
        .await;
    assert_error(
        wrong,
        Code::BaseCorrupt,
        &[&registry.host(), "debian", &digest.to_string()],
    );
}

#[tokio::test]
async fn unknown_manifest_type_is_unsupported() {
    let registry = FaultyRegistry::start(|request, _| {
        let reply = || {
            Reply::status(200)
                .with(
                    "Content-Type",
                    "application/vnd.docker.distribution.manifest.v1+prettyjws",
                )
                .body("{}")
        };
        request.path.contains("/manifests/").then(|| reply().into())
    });
    let old = Setup::new()
        .client()
        .manifest(&repository(&registry.host(), "debian"), "v1")
        .await;
    assert_error(
        old,
        Code::BaseUnsupported,
        &[&registry.host(), "debian", "prettyjws"],
    );
}

#[tokio::test]
async fn missing_pinned_manifest_or_blob_names_the_update_command() {
    let registry = FaultyRegistry::without_faults();
    let digest = push_base(&registry.host(), "debian", "debian").await;
    registry.memory().manifests.clear();
    let (client, repository) = (
        Setup::new().client(),
        repository(&registry.host(), "debian"),
    );
    let gone = client.manifest(&repository, &digest.to_string()).await;
    assert_error(
        gone,
        Code::BaseMissing,
        &[
            &registry.host(),
            &digest.to_string(),
            "removed",
            "cargo union update",
        ],
    );
    let descriptor = Descriptor {
        media_type: media_type::OCI_LAYER.to_owned(),
        digest: Digest::of("gone"),
        size: 4,
    };
    let gone = client.blob(&repository, &descriptor).await;
    assert_error(
        gone,
        Code::BaseMissing,
        &[&descriptor.digest.to_string(), "cargo union update"],
    );
    let missing = client.manifest(&repository, "v2").await.unwrap_err();
    assert!(!missing.advice().contains("update"), "{}", missing.advice());
}

#[tokio::test]
async fn damaged_cached_blob_or_manifest_is_fetched_again() {
    let registry = FaultyRegistry::without_faults();
    let digest = push_base(&registry.host(), "debian", "debian").await;
    registry.memory().put_blob("debian", b"a layer");
    let (setup, repository) = (Setup::new(), repository(&registry.host(), "debian"));
    let layer = Descriptor {
        media_type: media_type::OCI_LAYER.to_owned(),
        digest: Digest::of("a layer"),
        size: 7,
    };
    let manifest = setup
        .client()
        .manifest(&repository, &digest.to_string())
        .await
        .unwrap();
    let path = setup.client().blob(&repository, &layer).await.unwrap();
    for damaged in ["", "a la", "A LAYER", "a layer and more"] {
        for (path, digest) in [
            (&path, layer.digest),
            (&setup.cache().blob_path(&digest), digest),
        ] {
            std::fs::write(path, damaged).unwrap();
            assert!(
                setup.cache().verified_blob(&digest).is_none() && !path.exists(),
                "{damaged}: it is still there"
            );
            std::fs::write(path, damaged).unwrap();
        }
        let before = registry.seen().len();
        assert_eq!(
            std::fs::read(setup.client().blob(&repository, &layer).await.unwrap()).unwrap(),
            b"a layer"
        );
        assert_eq!(
            setup
                .client()
                .manifest(&repository, &digest.to_string())
                .await
                .unwrap()
                .bytes,
            manifest.bytes
        );
        assert!(registry.seen().len() > before, "nothing was fetched");
    }
}

#[tokio::test]
async fn tag_list_pages_are_followed_by_link_headers() {
    let registry = FaultyRegistry::start(|request, _| {
        let page = |tags: &str| {
            Reply::status(200)
                .with("Content-Type", "application/json")
                .body(format!(r#"{{"name":"debian","tags":{tags}}}"#))
        };
        let link = |target: &str| format!("<{target}>; rel=\"next\"");
        match (
            request.path.as_str(),
            request.asks("page"),
            request.asks("last"),
        ) {
            ("/v2/debian/tags/list", None, None) => Some(
                page(r#"["a","b"]"#)
                    .with("Link", link("/v2/debian/tags/list?page=opaque"))
                    .into(),
            ),
            // A page that links to itself, and one of another host.
            ("/v2/debian/tags/list", Some("opaque"), None) => Some(
                page(r#"["c"]"#)
                    .with("Link", link("http://127.0.0.1:1/v2/debian/tags/list"))
                    .into(),
            ),
            _ => None,
        }
    });
    let tags = Setup::new()
        .client()
        .tags(&repository(&registry.host(), "debian"))
        .await
        .unwrap();
    assert_eq!(tags, ["a", "b", "c"]);
}
