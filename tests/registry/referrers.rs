//! Documents that are attached to images: through the referrers API, and through the fallback tag of Debian's registry.

use std::collections::BTreeMap;

use cargo_union::image::artifact::Artifact;
use cargo_union::image::layer::Descriptor;
use cargo_union::image::signature_list::DetachedSignature;
use cargo_union::publish::Publisher as _;
use cargo_union::publish::registry::{AttachOutcome, FallbackTag};
use cargo_union::sys::digest::Digest;
use union_build::diag::Code;
use union_tests::faulty_registry::{FaultyRegistry, Reply};
use union_tests::registry::Registry;

use crate::images;
use crate::setup::{Setup, assert_error, repository, target};

fn document(artifact_type: &str, text: &str) -> Artifact {
    Artifact {
        artifact_type: artifact_type.to_owned(),
        media_type: "text/plain".to_owned(),
        bytes: text.to_owned().into(),
        annotations: BTreeMap::from([("text".to_owned(), text.to_owned())]),
    }
}

/// Pushes an image as `acme/app:v1`; its manifest is the subject of the documents.
async fn pushed(setup: &Setup, host: &str) -> Descriptor {
    let key = images::key("a");
    let image = images::of_text(&key, "hello");
    let target = target(host, "acme/app", &key);
    setup
        .client()
        .publish(&target, &image, false)
        .await
        .unwrap();
    image.top().descriptor.clone()
}

async fn attach(
    setup: &Setup,
    host: &str,
    subject: &Descriptor,
    artifact: &Artifact,
    fallback: FallbackTag,
) -> Result<AttachOutcome, cargo_union::sys::error::Error> {
    let repository = repository(host, "acme/app");
    let client = setup.client();
    let documents = std::slice::from_ref(artifact);
    let attached = client.attach(&repository, subject, documents, fallback);
    Ok(attached.await?[0])
}

/// The texts of the documents that are listed, sorted.
async fn listed(setup: &Setup, host: &str, subject: Digest, filter: Option<&str>) -> Vec<String> {
    let listed = setup
        .client()
        .referrers(&repository(host, "acme/app"), subject, filter)
        .await
        .unwrap();
    let text = |annotations: Option<BTreeMap<String, String>>| annotations.unwrap()["text"].clone();
    let mut texts: Vec<String> = listed
        .into_iter()
        .map(|referrer| text(referrer.annotations))
        .collect();
    texts.sort();
    texts
}

fn with_api() -> FaultyRegistry {
    let registry = FaultyRegistry::without_faults();
    registry.memory().referrers_page = 1;
    registry
}

#[tokio::test]
async fn the_referrers_api_lists_documents_on_all_pages_and_by_type() {
    let (registry, setup) = (with_api(), Setup::new());
    let host = registry.host();
    let subject = pushed(&setup, &host).await;
    for (artifact_type, text) in [
        ("application/a", "one"),
        ("application/b", "two"),
        ("application/a", "three"),
    ] {
        let attached = attach(
            &setup,
            &host,
            &subject,
            &document(artifact_type, text),
            FallbackTag::Never,
        )
        .await;
        assert_eq!(attached.unwrap(), AttachOutcome::Listed);
    }
    let all = listed(&setup, &host, subject.digest, None).await;
    assert_eq!(all, ["one", "three", "two"]);
    let some = listed(&setup, &host, subject.digest, Some("application/a")).await;
    assert_eq!(some, ["one", "three"]);
    assert_eq!(registry.count("PUT", "/manifests/sha256-"), 0);
}

#[tokio::test]
async fn documents_of_one_image_share_a_list_and_a_write_of_the_fallback_tag() {
    let (api, plain, setup) = (with_api(), FaultyRegistry::without_faults(), Setup::new());
    let documents = ["one", "two"].map(|text| document("application/a", text));
    for registry in [&api, &plain] {
        let host = registry.host();
        let subject = pushed(&setup, &host).await;
        let place = repository(&host, "acme/app");
        let attached = setup
            .client()
            .attach(&place, &subject, &documents, FallbackTag::Write)
            .await;
        assert_eq!(attached.unwrap().len(), 2);
        assert_eq!(
            listed(&setup, &host, subject.digest, None).await,
            ["one", "two"]
        );
    }
    assert_eq!(api.count("PUT", "/manifests/sha256-"), 0);
    assert_eq!(plain.count("PUT", "/manifests/sha256-"), 1);
}

#[tokio::test]
async fn a_document_that_is_attached_is_not_sent_again() {
    let (api, plain, setup) = (with_api(), Registry::open(), Setup::new());
    let artifact = document("application/a", "one");
    for host in [&api.host(), plain.host()] {
        let subject = pushed(&setup, host).await;
        let first = attach(&setup, host, &subject, &artifact, FallbackTag::Write).await;
        assert_ne!(first.unwrap(), AttachOutcome::Present);
        let before = (plain.writes(), api.count("PUT", ""), api.count("POST", ""));
        let again = attach(&setup, host, &subject, &artifact, FallbackTag::Write).await;
        assert_eq!(again.unwrap(), AttachOutcome::Present);
        let after = (plain.writes(), api.count("PUT", ""), api.count("POST", ""));
        assert_eq!(before, after);
    }
}

#[tokio::test]
async fn a_registry_without_the_api_gets_a_fallback_tag_only_when_it_may() {
    let (registry, setup) = (Registry::open(), Setup::new());
    let subject = pushed(&setup, registry.host()).await;
    let artifact = document("application/a", "one");
    let before = registry.writes();
    let never = attach(
        &setup,
        registry.host(),
        &subject,
        &artifact,
        FallbackTag::Never,
    )
    .await;
    assert_eq!(never.unwrap(), AttachOutcome::Unsupported);
    assert_eq!(registry.writes(), before);
    let written = attach(
        &setup,
        registry.host(),
        &subject,
        &artifact,
        FallbackTag::Write,
    )
    .await;
    assert_eq!(written.unwrap(), AttachOutcome::Tagged);
    let filter = Some("application/a");
    assert_eq!(
        listed(&setup, registry.host(), subject.digest, filter).await,
        ["one"]
    );
    let other = Some("application/b");
    assert!(
        listed(&setup, registry.host(), subject.digest, other)
            .await
            .is_empty()
    );
}

#[tokio::test]
async fn two_machines_that_attach_at_once_lose_nothing() {
    let (registry, one, two) = (Registry::open(), Setup::new(), Setup::new());
    let host = registry.host();
    let subject = pushed(&one, host).await;
    let (first, second) = (
        document("application/a", "one"),
        document("application/a", "two"),
    );
    let (first, second) = tokio::join!(
        attach(&one, host, &subject, &first, FallbackTag::Write),
        attach(&two, host, &subject, &second, FallbackTag::Write),
    );
    assert_eq!(
        (first.unwrap(), second.unwrap()),
        (AttachOutcome::Tagged, AttachOutcome::Tagged)
    );
    assert_eq!(
        listed(&one, host, subject.digest, None).await,
        ["one", "two"]
    );
}

fn signature(text: &str) -> DetachedSignature {
    DetachedSignature {
        payload: "payload".into(),
        signature: text.to_owned(),
    }
}

/// Adds a signature to the image of [`pushed`], and returns all of them, sorted.
async fn sign(setup: &Setup, host: &str, subject: Digest, text: &str) -> Vec<String> {
    let image = repository(host, "acme/app").pinned(subject);
    let client = setup.client();
    client
        .add_signature(&image, &signature(text))
        .await
        .unwrap();
    let signatures = client.signatures(&image).await.unwrap();
    let mut texts: Vec<String> = signatures
        .into_iter()
        .map(|found| found.signature)
        .collect();
    texts.sort();
    texts
}

#[tokio::test]
async fn two_machines_that_sign_at_once_lose_nothing() {
    let (registry, one, two) = (Registry::open(), Setup::new(), Setup::new());
    let host = registry.host();
    let subject = pushed(&one, host).await.digest;
    tokio::join!(
        sign(&one, host, subject, "one"),
        sign(&two, host, subject, "two"),
    );
    assert_eq!(sign(&one, host, subject, "one").await, ["one", "two"]);
}

#[tokio::test]
async fn a_signature_that_another_client_overwrites_is_written_again() {
    let mut lost = false;
    let registry = FaultyRegistry::start(move |request, memory| {
        let is_signature = request.method == "GET" && request.path.ends_with(".sig");
        if is_signature && !lost && memory.times("PUT", ".sig") == 1 {
            lost = true;
            memory
                .manifests
                .retain(|(_, reference), _| !reference.ends_with(".sig"));
        }
        None
    });
    let setup = Setup::new();
    let subject = pushed(&setup, &registry.host()).await.digest;
    let signed = sign(&setup, &registry.host(), subject, "one").await;
    assert_eq!(signed, ["one"]);
    assert_eq!(registry.count("PUT", ".sig"), 2);
}

#[tokio::test]
async fn a_fallback_tag_that_another_client_overwrites_is_written_again() {
    let mut lost = false;
    let registry = FaultyRegistry::start(move |request, memory| {
        let is_tag = request.path.contains("/manifests/sha256-");
        if request.method == "GET"
            && is_tag
            && !lost
            && memory.times("PUT", "/manifests/sha256-") == 1
        {
            lost = true;
            memory
                .manifests
                .retain(|(_, reference), _| !reference.starts_with("sha256-"));
        }
        None
    });
    let setup = Setup::new();
    let subject = pushed(&setup, &registry.host()).await;
    let artifact = document("application/a", "one");
    let attached = attach(
        &setup,
        &registry.host(),
        &subject,
        &artifact,
        FallbackTag::Write,
    )
    .await;
    assert_eq!(attached.unwrap(), AttachOutcome::Tagged);
    assert_eq!(registry.count("PUT", "/manifests/sha256-"), 2);
    assert_eq!(
        listed(&setup, &registry.host(), subject.digest, None).await,
        ["one"]
    );
}

#[tokio::test]
async fn a_fallback_tag_that_holds_an_image_is_not_overwritten() {
    let (registry, setup) = (Registry::open(), Setup::new());
    let subject = pushed(&setup, registry.host()).await;
    let key = images::key("b");
    let mut taken = target(registry.host(), "acme/app", &key);
    taken.tag = format!("sha256-{}", subject.digest.hex());
    taken.reference = Some(repository(registry.host(), "acme/app").tagged(&taken.tag));
    let image = images::of_text(&key, "other");
    setup.client().publish(&taken, &image, false).await.unwrap();
    let before = registry.writes();
    let artifact = document("application/a", "one");
    let attached = attach(
        &setup,
        registry.host(),
        &subject,
        &artifact,
        FallbackTag::Write,
    )
    .await;
    assert_error(
        attached,
        Code::RegistryInvalid,
        &["no list of referrers", &taken.tag],
    );
    assert_eq!(registry.writes(), before);
}

#[tokio::test]
async fn a_registry_that_refuses_manifests_with_a_subject_is_one_error() {
    let setup = Setup::new();
    for status in [400, 403, 404, 405] {
        let registry = FaultyRegistry::start(move |request, memory| {
            let is_document = request.method == "PUT"
                && request.path.contains("/manifests/sha256:")
                && memory.times("PUT", "/manifests/v1") == 1;
            is_document.then(|| Reply::error(status, "UNSUPPORTED", "no subjects").into())
        });
        let subject = pushed(&setup, &registry.host()).await;
        let artifact = document("application/a", "one");
        let attached = attach(
            &setup,
            &registry.host(),
            &subject,
            &artifact,
            FallbackTag::Write,
        )
        .await;
        let code = match status {
            403 | 405 => Code::RegistryDenied,
            _ => Code::RegistryFailed,
        };
        assert_error(attached, code, &["could not attach", "no subjects"]);
        assert_eq!(registry.count("PUT", "/manifests/sha256-"), 0);
    }
}

#[tokio::test]
async fn a_document_is_looked_for_where_the_response_does_not_confirm_its_subject() {
    let (registry, setup) = (with_api(), Setup::new());
    registry.memory().hides_subject = true;
    let host = registry.host();
    let subject = pushed(&setup, &host).await;
    let artifact = document("application/a", "one");
    let attached = attach(&setup, &host, &subject, &artifact, FallbackTag::Write).await;
    assert_eq!(attached.unwrap(), AttachOutcome::Listed);
    assert_eq!(registry.count("PUT", "/manifests/sha256-"), 0);
}

/// A registry whose referrers API answers with these entries, and with a link to the next page.
fn with_entries(entries: serde_json::Value, next: bool) -> FaultyRegistry {
    FaultyRegistry::start(move |request, _| {
        if !request.path.contains("/referrers/") {
            return None;
        }
        let index = serde_json::json!({ "schemaVersion": 2, "manifests": entries });
        let reply = Reply::status(200)
            .with("Content-Type", "application/vnd.oci.image.index.v1+json")
            .body(index.to_string());
        let link = format!("<{}?page=2>; rel=\"next\"", request.path);
        Some(
            if next {
                reply.with("Link", link)
            } else {
                reply
            }
            .into(),
        )
    })
}

#[tokio::test]
async fn a_document_that_the_registry_does_not_list_is_unsupported() {
    let (registry, setup) = (with_entries(serde_json::json!([]), false), Setup::new());
    let subject = pushed(&setup, &registry.host()).await;
    let artifact = document("application/a", "one");
    let attached = attach(
        &setup,
        &registry.host(),
        &subject,
        &artifact,
        FallbackTag::Never,
    )
    .await;
    assert_eq!(attached.unwrap(), AttachOutcome::Unsupported);
    assert_eq!(registry.count("PUT", "/manifests/sha256:"), 1);
    assert_eq!(registry.count("PUT", "/manifests/sha256-"), 0);
}

#[tokio::test]
async fn entries_with_other_digests_than_sha256_are_skipped() {
    let entry = |digest: String| serde_json::json!({ "mediaType": "a/b", "digest": digest, "size": 1, "annotations": { "text": "one" } });
    let entries = serde_json::json!([
        entry(format!("sha512:{}", "a".repeat(128))),
        entry(Digest::of("one").to_string()),
    ]);
    let (registry, setup) = (with_entries(entries, false), Setup::new());
    let all = listed(&setup, &registry.host(), Digest::of("subject"), None).await;
    assert_eq!(all, ["one"]);
}

#[tokio::test]
async fn a_list_of_referrers_without_an_end_is_an_error() {
    let entry = serde_json::json!([{ "mediaType": "a/b", "digest": Digest::of("one"), "size": 1 }]);
    let (registry, setup) = (with_entries(entry, true), Setup::new());
    let host = registry.host();
    let listed = setup
        .client()
        .referrers(&repository(&host, "acme/app"), Digest::of("subject"), None)
        .await;
    assert_error(
        listed,
        Code::RegistryInvalid,
        &["could not list", "100 pages"],
    );
}
