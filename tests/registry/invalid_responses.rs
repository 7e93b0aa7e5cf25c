//! Invalid responses of a registry.

use cargo_union::image::BaseSource as _;
use cargo_union::image::layer::{BlobSource, Descriptor, media_type};
use cargo_union::publish::{Existence, ImageTarget, Publisher as _, TransferKind};
use cargo_union::sys::digest::Digest;
use union_build::diag::Code;
use union_tests::faulty_registry::{FaultyRegistry, Reaction, Reply, Request};

use crate::images;
use crate::setup::{Setup, assert_error, repository, target};

fn is_tag(request: &Request, method: &str) -> bool {
    request.method == method && request.path.ends_with("/manifests/v1")
}

#[tokio::test]
async fn credentials_are_not_sent_to_an_upload_url_of_another_host() {
    for redirect in [false, true] {
        let other = FaultyRegistry::start(|request, _| {
            request
                .path
                .starts_with("/elsewhere")
                .then(|| Reply::status(201).into())
        });
        let elsewhere = format!("http://{}/elsewhere", other.host());
        let registry = FaultyRegistry::start(move |request, memory| {
            if request.header("authorization").is_none() {
                return Some(
                    Reply::status(401)
                        .with("WWW-Authenticate", "Basic realm=x")
                        .into(),
                );
            }
            match (request.method.as_str(), request.path.contains("/uploads/")) {
                ("POST", true) if !redirect => Some(
                    Reply::status(202)
                        .with("Location", elsewhere.clone())
                        .into(),
                ),
                ("PUT", true) if redirect => Some(
                    Reply::status(307)
                        .with("Location", elsewhere.clone())
                        .into(),
                ),
                // Blobs of another repository are not requested here.
                ("PUT", false) => {
                    memory.put_manifest("acme/app", "v1", media_type::OCI_MANIFEST, b"{}");
                    None
                }
                _ => None,
            }
        });
        let setup = Setup::new().login(&registry.host(), "me", "secret");
        let (target, key) = (
            target(&registry.host(), "acme/app", &images::key("a")),
            images::key("a"),
        );
        let _ = setup
            .client()
            .publish(&target, &images::of_text(&key, "x"), false)
            .await;
        let arrived = other.seen();
        assert!(
            arrived.iter().any(|seen| seen.received > 0),
            "the upload did not arrive"
        );
        assert!(
            arrived
                .iter()
                .all(|seen| seen.request.header("authorization").is_none()),
            "{arrived:?}"
        );
    }
}

#[tokio::test]
async fn refused_mount_continues_at_its_upload_url() {
    for refusal in [None, Some(Reply::error(400, "UNSUPPORTED", "no mounts"))] {
        let refusing = refusal.clone();
        let registry = FaultyRegistry::start(move |request, memory| {
            request.asks("mount")?;
            // Without the blob to mount, the registry responds with 202 and an upload URL.
            memory
                .blobs
                .retain(|(repository, _), _| repository != "base");
            refusing.clone().map(Reaction::from)
        });
        let (setup, key, base) = (Setup::new(), images::key("a"), images::layer("base"));
        let BlobSource::Bytes(bytes) = &base.blob.content else {
            unreachable!()
        };
        setup
            .cache()
            .keep(
                {
                    let mut draft = setup.cache().draft().unwrap();
                    std::io::Write::write_all(&mut draft, bytes).unwrap();
                    draft
                },
                &base.blob.descriptor.digest,
            )
            .unwrap();
        let remote = images::in_repository(&base, repository(&registry.host(), "base"));
        let image = images::single(&key, "linux/amd64", vec![remote]);
        setup
            .client()
            .publish(&target(&registry.host(), "acme/app", &key), &image, false)
            .await
            .unwrap();
        assert!(
            setup
                .reports
                .has(TransferKind::Upload, base.blob.descriptor.digest)
        );
        assert_eq!(
            registry.count("POST", "/uploads/"),
            if refusal.is_some() { 3 } else { 2 }
        );
    }
}

#[tokio::test]
async fn refused_token_is_renewed_once() {
    let token = |request: &Request| request.path == "/token";
    for (refusals, code) in [(1, None), (usize::MAX, Some(Code::RegistryDenied))] {
        let registry = FaultyRegistry::start(move |request, memory| {
            if token(request) {
                return Some(
                    Reply::status(200)
                        .body(format!(
                            r#"{{"token":"t{}"}}"#,
                            memory.times("GET", "/token")
                        ))
                        .into(),
                );
            }
            if !request.path.contains("/manifests/") {
                return None;
            }
            let refused = request
                .header("authorization")
                .is_none_or(|header| header == "Bearer t0")
                || refusals == usize::MAX;
            let challenge = format!(
                r#"Bearer realm="http://{}/token",service="x""#,
                request.header("host").unwrap_or_default()
            );
            refused.then(|| {
                Reply::status(401)
                    .with("WWW-Authenticate", challenge)
                    .into()
            })
        });
        let target = target(&registry.host(), "acme/app", &images::key("a"));
        match (Setup::new().client().existence(&target).await, code) {
            (Ok(existence), None) => {
                assert_eq!(existence, Existence::Missing);
                assert_eq!(
                    registry.count("GET", "/manifests/"),
                    0,
                    "it was not the first question that was answered"
                );
            }
            (failed, Some(code)) => assert_error(
                failed,
                code,
                &[&registry.host(), "acme/app:v1", "docker login"],
            ),
            (failed, None) => panic!("{failed:?}"),
        }
        assert!(
            registry.count("GET", "/token") <= 4,
            "{}",
            registry.count("GET", "/token")
        );
    }
}

#[tokio::test]
async fn wrong_digest_header_of_a_tag_is_a_mismatch() {
    let lie = Digest::of("a lie").to_string();
    let (lying, key) = (lie.clone(), images::key("a"));
    let registry = FaultyRegistry::start(move |request, memory| {
        let after = is_tag(request, "HEAD") && memory.times("PUT", "/manifests/v1") > 0;
        after.then(|| {
            Reply::status(200)
                .with("Docker-Content-Digest", lying.clone())
                .into()
        })
    });
    let lied = Setup::new()
        .client()
        .publish(
            &target(&registry.host(), "acme/app", &key),
            &images::of_text(&key, "x"),
            false,
        )
        .await;
    assert_error(
        lied,
        Code::DigestMismatch,
        &[&registry.host(), "acme/app:v1", &lie],
    );
}

#[tokio::test]
async fn manifest_changed_by_the_registry_is_an_error() {
    let key = images::key("a");
    let registry = FaultyRegistry::start(|request, memory| {
        is_tag(request, "PUT").then(|| {
            let changed = br#"{"layers":[],"annotations":{}}"#;
            memory.put_manifest("acme/app", "v1", media_type::OCI_MANIFEST, changed);
            Reply::status(201).into()
        })
    });
    let changed = Setup::new()
        .client()
        .publish(
            &target(&registry.host(), "acme/app", &key),
            &images::of_text(&key, "x"),
            false,
        )
        .await;
    assert_error(
        changed,
        Code::DigestMismatch,
        &[&registry.host(), "acme/app:v1"],
    );
}

#[tokio::test]
async fn found_image_with_wrong_bytes_is_refused() {
    let key = images::key("a");
    let lie = Digest::of("a lie").to_string();
    let registry = FaultyRegistry::start(move |request, _| {
        let manifest = r#"{"layers":[]}"#;
        let reply = || {
            Reply::status(200)
                .with("Docker-Content-Digest", lie.clone())
                .with("Content-Type", media_type::OCI_MANIFEST)
                .body(manifest)
        };
        request.path.contains("/manifests/").then(|| reply().into())
    });
    let found = Setup::new()
        .client()
        .existence(&target(&registry.host(), "acme/app", &key))
        .await;
    assert_error(
        found,
        Code::DigestMismatch,
        &[&registry.host(), "acme/app:v1"],
    );
}

#[tokio::test]
async fn oversized_blob_is_not_cached() {
    let descriptor = Descriptor {
        media_type: media_type::OCI_LAYER.to_owned(),
        digest: Digest::of("short"),
        size: 5,
    };
    for (body, words) in [
        ("short and then some", "sends more than the 5 bytes"),
        ("wrong", "instead of"),
    ] {
        let registry = FaultyRegistry::start(move |request, _| {
            request
                .path
                .contains("/blobs/")
                .then(|| Reply::status(200).body(body).into())
        });
        let setup = Setup::new();
        let long = setup
            .client()
            .blob(&repository(&registry.host(), "debian"), &descriptor)
            .await;
        assert_error(
            long,
            Code::BaseCorrupt,
            &[
                &registry.host(),
                "debian",
                &descriptor.digest.to_string(),
                words,
            ],
        );
        assert_eq!(setup.cache().blob(&descriptor.digest), None);
    }
}

/// A registry with immutable tags, and one that also hides existing tags until it refuses a push.
fn immutable(hidden: usize) -> FaultyRegistry {
    FaultyRegistry::start(move |request, memory| {
        let there = memory
            .manifests
            .contains_key(&("acme/app".to_owned(), "v1".to_owned()));
        if is_tag(request, "HEAD") && there && memory.times("HEAD", "/manifests/v1") == hidden {
            return Some(Reply::error(404, "MANIFEST_UNKNOWN", "not yet").into());
        }
        (is_tag(request, "PUT") && there).then(|| {
            Reply::error(
                400,
                "TAG_INVALID",
                "The tag v1 cannot be overwritten because it is immutable",
            )
            .into()
        })
    })
}

#[tokio::test]
async fn immutable_tag_with_the_same_key_is_adopted() {
    let (registry, key) = (immutable(2), images::key("a"));
    let target = target(&registry.host(), "acme/app", &key);
    let first = Setup::new()
        .client()
        .publish(&target, &images::of_text(&key, "one"), false)
        .await
        .unwrap();
    let second = Setup::new()
        .client()
        .publish(&target, &images::of_text(&key, "two"), false)
        .await
        .unwrap();
    assert_eq!((second.digest, second.adopted), (first.digest, true));
    assert_eq!(
        registry.count("PUT", "/manifests/v1"),
        2,
        "the tag was never refused"
    );
}

#[tokio::test]
async fn immutable_tag_is_not_replaced() {
    let (registry, key) = (immutable(usize::MAX), images::key("a"));
    let owned = target(&registry.host(), "acme/app", &key);
    Setup::new()
        .client()
        .publish(&owned, &images::of_text(&key, "one"), false)
        .await
        .unwrap();
    let rebuilt = Setup::new()
        .client()
        .publish(&owned, &images::of_text(&key, "two"), true)
        .await;
    assert_error(
        rebuilt,
        Code::TagImmutable,
        &[&registry.host(), "acme/app:v1", "TAG_INVALID", "tag-format"],
    );
    let (registry, other) = (immutable(2), images::key("b"));
    let first = ImageTarget {
        reference: Some(repository(&registry.host(), "acme/app").tagged("v1")),
        ..owned
    };
    Setup::new()
        .client()
        .publish(&first, &images::of_text(&key, "one"), false)
        .await
        .unwrap();
    let second = ImageTarget {
        key: other,
        ..first
    };
    let taken = Setup::new()
        .client()
        .publish(&second, &images::of_text(&other, "two"), false)
        .await;
    assert_error(
        taken,
        Code::TagImmutable,
        &[&registry.host(), "acme/app:v1"],
    );
}

#[tokio::test]
async fn web_page_is_not_a_registry() {
    let page = |status| {
        move |request: &Request| {
            (request.path != "/v2/").then(|| {
                Reply::status(status)
                    .with("Content-Type", "text/html; charset=utf-8")
                    .body("<h1>Bad</h1>")
                    .into()
            })
        }
    };
    for (status, code) in [
        (502, Code::RegistryFailed),
        (404, Code::RegistryInvalid),
        (200, Code::RegistryInvalid),
    ] {
        let page = page(status);
        let registry = FaultyRegistry::start(move |request, _| page(request));
        let found = Setup::new()
            .client()
            .existence(&target(&registry.host(), "acme/app", &images::key("a")))
            .await;
        let status = status.to_string();
        let words = if code == Code::RegistryFailed {
            vec!["web page", status.as_str()]
        } else {
            vec![]
        };
        assert_error(
            found,
            code,
            &[&[registry.host().as_str(), "acme/app:v1"], &words[..]].concat(),
        );
    }
}

#[tokio::test]
async fn registry_message_is_bounded_without_control_characters() {
    let long = format!("no\u{1b}[31m\r\n{}", "x".repeat(10_000));
    let registry = FaultyRegistry::start(move |request, _| {
        request
            .path
            .contains("/uploads/")
            .then(|| Reply::error(403, "DENIED", &long).into())
    });
    let error = Setup::new()
        .client()
        .prepare(&target(&registry.host(), "acme/app", &images::key("a")))
        .await
        .unwrap_err();
    let text = error.chain().join(": ");
    assert!(
        text.contains("DENIED: no") && text.len() < 1000 && !text.contains(char::is_control),
        "{text}"
    );
}

#[tokio::test]
async fn missing_repository_has_advice_to_create_it() {
    let registry = FaultyRegistry::start(|request, _| {
        request.path.contains("/uploads/").then(|| {
            Reply::error(
                404,
                "NAME_UNKNOWN",
                "The repository with name 'acme/app' does not exist",
            )
            .into()
        })
    });
    let (client, target) = (
        Setup::new().client(),
        target(&registry.host(), "acme/app", &images::key("a")),
    );
    assert_eq!(client.existence(&target).await.unwrap(), Existence::Missing);
    assert_error(
        client.prepare(&target).await,
        Code::RegistryMustCreate,
        &[&registry.host(), "acme/app", "does not exist"],
    );
}

#[tokio::test]
async fn denied_manifest_is_missing_with_write_access() {
    for writable in [true, false] {
        let registry = FaultyRegistry::start(move |request, _| {
            if request.header("authorization").is_none() {
                return Some(
                    Reply::status(401)
                        .with("WWW-Authenticate", "Basic realm=x")
                        .into(),
                );
            }
            let denied =
                (request.path.contains("/manifests/") && request.method != "PUT") || !writable;
            denied.then(|| Reply::error(403, "DENIED", "no access").into())
        });
        let (setup, key) = (
            Setup::new().login(&registry.host(), "me", "secret"),
            images::key("a"),
        );
        let target = target(&registry.host(), "acme/app", &key);
        let existence = setup.client().existence(&target).await;
        if !writable {
            assert_error(
                existence,
                Code::RegistryDenied,
                &[
                    &registry.host(),
                    "acme/app:v1",
                    "DENIED: no access",
                    "docker login",
                ],
            );
            continue;
        }
        assert_eq!(existence.unwrap(), Existence::Missing);
        assert_eq!(
            registry.count("DELETE", "/uploads/"),
            1,
            "the upload was not cancelled"
        );
        // A user who may write and not read can still publish.
        let image = images::of_text(&key, "x");
        assert_eq!(
            setup
                .client()
                .publish(&target, &image, false)
                .await
                .unwrap()
                .digest,
            image.top().descriptor.digest
        );
    }
}

#[tokio::test]
async fn falsely_reported_blob_is_uploaded_again() {
    let registry = FaultyRegistry::start(|request, memory| {
        let claim = request.method == "HEAD"
            && request.path.contains("/blobs/")
            && memory.times("PUT", "/manifests/") == 0;
        claim.then(|| Reply::status(200).into())
    });
    let (key, setup) = (images::key("a"), Setup::new());
    setup
        .client()
        .publish(
            &target(&registry.host(), "acme/app", &key),
            &images::of_text(&key, "x"),
            false,
        )
        .await
        .unwrap();
    assert_eq!(registry.count("PUT", "/manifests/v1"), 2);
}

#[tokio::test]
async fn known_digest_is_checked_with_one_request() {
    let (registry, setup, key) = (
        FaultyRegistry::without_faults(),
        Setup::new(),
        images::key("a"),
    );
    let target = target(&registry.host(), "acme/app", &key);
    let digest = setup
        .client()
        .publish(&target, &images::of_text(&key, "x"), false)
        .await
        .unwrap()
        .digest;
    let before = registry.seen().len();
    let known = ImageTarget {
        known: Some(digest),
        ..target
    };
    assert_eq!(
        Setup::new().client().existence(&known).await.unwrap(),
        Existence::Found(digest)
    );
    let asked: Vec<_> = registry.seen()[before..]
        .iter()
        .map(|seen| format!("{} {}", seen.request.method, seen.request.path))
        .collect();
    assert_eq!(asked, ["GET /v2/", "HEAD /v2/acme/app/manifests/v1"]);
}

#[tokio::test]
async fn missing_head_digest_is_computed_from_the_manifest() {
    let key = images::key("a");
    let image = images::of_text(&key, "x");
    let registry = FaultyRegistry::start(|request, memory| {
        let reference = request
            .path
            .strip_prefix("/v2/acme/app/manifests/")
            .filter(|_| request.method != "PUT")?;
        let (kind, bytes) = memory
            .manifests
            .get(&("acme/app".to_owned(), reference.to_owned()))?;
        let reply = Reply::status(200)
            .with("Content-Type", format!("{kind}; charset=utf-8"))
            .body(bytes.clone());
        Some(
            reply
                .with(
                    "Docker-Content-Digest",
                    format!("sha512:{}", "0".repeat(128)),
                )
                .into(),
        )
    });
    let (setup, target) = (Setup::new(), target(&registry.host(), "acme/app", &key));
    setup
        .client()
        .publish(&target, &image, false)
        .await
        .unwrap();
    assert_eq!(
        setup.client().existence(&target).await.unwrap(),
        Existence::Found(image.top().descriptor.digest)
    );
}

#[tokio::test]
async fn incomplete_error_document_is_parsed() {
    for body in [
        r#"{"errors":[{"code":"NAME_UNKNOWN","message":null,"detail":7}]}"#,
        r#"{"errors":[null,{"message":"first"},{"code":"NAME_UNKNOWN"}]}"#,
        r#"{"errors":[{"code":"NAME_UNKNOWN","message":{"text":"x"}}],"more":[]}"#,
    ] {
        let registry = FaultyRegistry::start(move |request, _| {
            request
                .path
                .contains("/uploads/")
                .then(|| Reply::status(404).body(body).into())
        });
        let prepared = Setup::new()
            .client()
            .prepare(&target(&registry.host(), "acme/app", &images::key("a")))
            .await;
        assert_error(
            prepared,
            Code::RegistryMustCreate,
            &["acme/app", "NAME_UNKNOWN"],
        );
    }
}
