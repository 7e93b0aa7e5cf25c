//! Concurrent publishers.

use cargo_union::image::BaseSource as _;
use cargo_union::image::layer::Layer;
use cargo_union::publish::{Publisher as _, TransferKind};
use union_tests::faulty_registry::{FaultyRegistry, Reply};
use union_tests::registry::Registry;

use crate::images;
use crate::setup::{Setup, repository, target};

#[tokio::test]
async fn concurrent_publishes_of_one_key_both_have_an_image() {
    let (registry, key) = (Registry::open(), images::key("a"));
    let target = target(registry.host(), "acme/app", &key);
    let (one, other) = (Setup::new(), Setup::new());
    let (first, second) = (one.client(), other.client());
    let (image, another) = (images::of_text(&key, "one"), images::of_text(&key, "other"));
    let (first, second) = tokio::join!(
        first.publish(&target, &image, false),
        second.publish(&target, &another, false)
    );
    let (first, second) = (first.unwrap(), second.unwrap());
    let tagged = one
        .client()
        .manifest(&repository(registry.host(), "acme/app"), "v1")
        .await
        .unwrap()
        .descriptor
        .digest;
    assert!([first.digest, second.digest].contains(&tagged));
    for digest in [first.digest, second.digest] {
        one.client()
            .manifest(
                &repository(registry.host(), "acme/app"),
                &digest.to_string(),
            )
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn image_published_during_the_upload_is_adopted() {
    let key = images::key("a");
    let theirs = images::of_text(&key, "theirs");
    let digest = theirs.top().descriptor.digest;
    let registry = FaultyRegistry::without_faults();
    let (target, setup) = (target(&registry.host(), "acme/app", &key), Setup::new());
    setup
        .client()
        .publish(&target, &theirs, false)
        .await
        .unwrap();
    let ours = Setup::new()
        .client()
        .publish(&target, &images::of_text(&key, "ours"), false)
        .await
        .unwrap();
    assert_eq!((ours.digest, ours.adopted), (digest, true));
}

#[tokio::test]
async fn tag_overwritten_by_another_machine_is_adopted() {
    let key = images::key("a");
    let theirs = images::of_text(&key, "theirs");
    let source = FaultyRegistry::without_faults();
    Setup::new()
        .client()
        .publish(&target(&source.host(), "acme/app", &key), &theirs, false)
        .await
        .unwrap();
    let blobs = source.memory().blobs.clone();
    let manifests = source.memory().manifests.clone();
    // The other machine writes the tag right after this one.
    let registry = FaultyRegistry::start(move |request, memory| {
        if request.method == "HEAD"
            && request.path.ends_with("/manifests/v1")
            && memory.times("PUT", "/manifests/v1") == 1
        {
            memory.blobs.extend(blobs.clone());
            memory.manifests.extend(manifests.clone());
        }
        None
    });
    let ours = Setup::new()
        .client()
        .publish(
            &target(&registry.host(), "acme/app", &key),
            &images::of_text(&key, "ours"),
            false,
        )
        .await
        .unwrap();
    assert_eq!(
        (ours.digest, ours.adopted),
        (theirs.top().descriptor.digest, true)
    );
}

#[tokio::test]
async fn shared_layer_is_uploaded_once_and_mounted() {
    let (registry, setup) = (Registry::open(), Setup::new());
    let client = setup.client();
    let shared = images::file_layer(setup.directory.path(), 1_000_000);
    let push = |name: &'static str| {
        let (key, layers) = (images::key(name), vec![shared.clone(), images::layer(name)]);
        let (client, target) = (
            &client,
            target(registry.host(), &format!("acme/{name}"), &key),
        );
        async move {
            client
                .publish(&target, &images::single(&key, "linux/amd64", layers), false)
                .await
                .unwrap()
                .sent
        }
    };
    let (one, two, three) = tokio::join!(push("one"), push("two"), push("three"));
    assert!(
        (1_000_000..1_010_000).contains(&(one + two + three)),
        "{one} + {two} + {three}"
    );
    assert!(
        setup
            .reports
            .has(TransferKind::Mount, shared.blob.descriptor.digest)
    );
}

#[tokio::test]
async fn push_works_with_one_request_at_a_time() {
    let (registry, mut setup, key) = (Registry::open(), Setup::new(), images::key("a"));
    setup.settings.max_parallel = 1;
    let layers: Vec<Layer> = (0..8)
        .map(|number| images::layer(&number.to_string()))
        .collect();
    let image = images::single(&key, "linux/amd64", layers);
    setup
        .client()
        .publish(&target(registry.host(), "acme/app", &key), &image, false)
        .await
        .unwrap();
}

#[tokio::test]
async fn interrupted_push_leaves_no_tag_and_is_resumed() {
    let key = images::key("a");
    let registry = FaultyRegistry::start(|request, memory| {
        let first_tag = request.method == "PUT"
            && request.path.ends_with("/manifests/v1")
            && memory.times("PUT", "/manifests/") < 3;
        first_tag.then(|| Reply::cut().into())
    });
    let (target, image) = (
        target(&registry.host(), "acme/app", &key),
        images::of_text(&key, "hello"),
    );
    Setup::new()
        .client()
        .publish(&target, &image, false)
        .await
        .unwrap_err();
    assert!(registry.memory().manifests.is_empty());
    let before = registry.count("PUT", "/blobs/uploads/");
    Setup::new()
        .client()
        .publish(&target, &image, false)
        .await
        .unwrap();
    assert_eq!(
        registry.count("PUT", "/blobs/uploads/"),
        before,
        "a blob was sent again"
    );
}
