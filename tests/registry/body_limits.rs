//! Reverse proxies that refuse requests: bodies without a length, and bodies above a limit.

use cargo_union::image::BaseSource as _;
use cargo_union::publish::{Existence, Publisher as _, TransferKind};
use union_build::diag::Code;
use union_tests::faulty_registry::{FaultyRegistry, Reaction, Reply};
use union_tests::front_end::{FrontEnd, Refusal};
use union_tests::registry::Registry;

use crate::images;
use crate::setup::{Setup, assert_error, repository, target};

const MIB: usize = 1 << 20;

#[tokio::test]
async fn upload_requests_have_a_content_length() {
    let registry = Registry::open();
    let front = FrontEnd::before(registry.host(), usize::MAX);
    let (setup, key) = (Setup::new(), images::key("a"));
    let (client, target) = (setup.client(), target(&front.host(), "acme/app", &key));
    assert_eq!(client.existence(&target).await.unwrap(), Existence::Missing);
    client.prepare(&target).await.unwrap();
    let image = images::single(
        &key,
        "linux/amd64",
        vec![
            images::layer("small"),
            images::file_layer(setup.directory.path(), 3 * MIB),
        ],
    );
    let published = client.publish(&target, &image, false).await.unwrap();
    assert_eq!(
        client.existence(&target).await.unwrap(),
        Existence::Found(published.digest)
    );
    assert_eq!(front.refused(), [""; 0]);
}

#[tokio::test]
async fn mount_resume_and_cancel_have_a_content_length() {
    let cut = FaultyRegistry::start(|request, memory| {
        let large = request.content_length() == Some(3 * MIB);
        let first = large && request.method == "PUT" && memory.times("PATCH", "/uploads/") == 0;
        first.then_some(Reaction::CutUpload {
            after: 2 * MIB,
            keep: true,
        })
    });
    let (setup, key) = (Setup::new(), images::key("a"));
    let image = images::of_file(&key, setup.directory.path(), 3 * MIB);
    let client = setup.client();
    for path in ["acme/app", "acme/other"] {
        let target = target(&cut.host(), path, &key);
        client.prepare(&target).await.unwrap();
        client.publish(&target, &image, false).await.unwrap();
    }
    assert!(cut.count("PATCH", "/uploads/") > 0 && cut.count("DELETE", "/uploads/") > 0);
    assert!(
        cut.seen()
            .iter()
            .any(|seen| seen.request.asks("mount").is_some()),
        "nothing was mounted"
    );
    for seen in cut
        .seen()
        .iter()
        .filter(|seen| ["POST", "PUT", "PATCH", "DELETE"].contains(&seen.request.method.as_str()))
    {
        assert!(
            seen.request.header("content-length").is_some(),
            "{} {}",
            seen.request.method,
            seen.request.path
        );
    }
}

#[tokio::test]
async fn blob_above_the_proxy_limit_is_uploaded_in_chunks() {
    let registry = Registry::open();
    let front = FrontEnd::before(registry.host(), 2 * MIB);
    let (setup, key) = (Setup::new(), images::key("a"));
    let layers = vec![
        images::file_layer(setup.directory.path(), 5 * MIB + 1),
        images::file_layer(setup.directory.path(), 3 * MIB),
    ];
    let image = images::single(&key, "linux/amd64", layers.clone());
    setup
        .client()
        .publish(&target(&front.host(), "acme/app", &key), &image, false)
        .await
        .unwrap();
    let reader = Setup::new();
    for layer in &layers {
        assert!(
            setup
                .reports
                .has(TransferKind::Upload, layer.blob.descriptor.digest)
        );
        reader
            .client()
            .blob(
                &repository(registry.host(), "acme/app"),
                &layer.blob.descriptor,
            )
            .await
            .unwrap();
    }
    assert!(
        !front.refused().is_empty() && front.refused().len() <= 4,
        "{:?}",
        front.refused()
    );
    assert!(
        setup
            .reports
            .lines()
            .iter()
            .all(|line| !line.starts_with("again")),
        "{:?}",
        setup.reports.lines()
    );
}

#[tokio::test]
async fn body_limit_of_a_host_is_remembered() {
    let registry = Registry::open();
    let front = FrontEnd::before(registry.host(), 2 * MIB);
    let (setup, client) = (Setup::new(), Setup::new().client());
    for (name, size) in [("one", 3 * MIB), ("two", 3 * MIB + 1)] {
        let key = images::key(name);
        let image = images::of_file(&key, setup.directory.path(), size);
        client
            .publish(&target(&front.host(), name, &key), &image, false)
            .await
            .unwrap();
    }
    let refused = front.refused();
    assert!(
        matches!(&refused[..], [one] if one.starts_with("413 PUT") && one.contains(&format!("{} bytes", 3 * MIB))),
        "{refused:?}"
    );
}

#[tokio::test]
async fn limit_below_every_chunk_size_is_an_error() {
    let registry = Registry::open();
    let front = FrontEnd::before(registry.host(), MIB / 2);
    let (setup, key) = (Setup::new(), images::key("a"));
    let image = images::of_file(&key, setup.directory.path(), 3 * MIB);
    let refused = setup
        .client()
        .publish(&target(&front.host(), "acme/app", &key), &image, false)
        .await;
    assert_error(
        refused,
        Code::RegistryFailed,
        &[
            &front.host(),
            "acme/app:v1",
            "413",
            &format!("{MIB} bytes"),
            "client_max_body_size",
        ],
    );
    assert_eq!(
        front.refused().len(),
        2,
        "the whole and the smallest part: {:?}",
        front.refused()
    );
    assert!(
        registry
            .requests()
            .iter()
            .any(|request| request.starts_with("DELETE ")),
        "the upload was not cancelled"
    );
}

#[tokio::test]
async fn manifest_above_the_limit_is_an_error_with_its_size() {
    let registry = Registry::open();
    let front = FrontEnd::before(registry.host(), 300);
    let (setup, key) = (Setup::new(), images::key("a"));
    let image = images::of_text(&key, "x");
    let size = image.top().descriptor.size;
    assert!(size > 300);
    let refused = setup
        .client()
        .publish(&target(&front.host(), "acme/app", &key), &image, false)
        .await;
    assert_error(
        refused,
        Code::RegistryFailed,
        &[&front.host(), "413", &format!("{size} bytes")],
    );
    assert_eq!(front.refused().len(), 1, "{:?}", front.refused());
}

#[tokio::test]
async fn connection_closed_on_a_long_body_switches_to_chunks() {
    let registry = Registry::open();
    let front = FrontEnd::with(registry.host(), 18 * MIB, Refusal::Close);
    let (setup, key) = (Setup::new(), images::key("a"));
    let layer = images::file_layer(setup.directory.path(), 20 * MIB);
    let image = images::single(&key, "linux/amd64", vec![layer.clone()]);
    setup
        .client()
        .publish(&target(&front.host(), "acme/app", &key), &image, false)
        .await
        .unwrap();
    assert_eq!(front.refused().len(), 1, "{:?}", front.refused());
    Setup::new()
        .client()
        .blob(
            &repository(registry.host(), "acme/app"),
            &layer.blob.descriptor,
        )
        .await
        .unwrap();
}

#[tokio::test]
async fn chunk_refused_with_416_is_sent_in_smaller_ones() {
    // GitHub's registry accepts a blob in one PUT, and no PATCH above 4 MiB.
    let registry = FaultyRegistry::start(|request, memory| {
        let length = request.content_length().unwrap_or(0);
        match request.method.as_str() {
            "PUT" if length == 9 * MIB && memory.times("PATCH", "") == 0 => {
                Some(Reaction::CutUpload {
                    after: 2 * MIB,
                    keep: true,
                })
            }
            "PATCH" if length > 4 * MIB => {
                let words = "the request body is too large and exceeds the maximum permissible limit of 4.00MiB";
                Some(Reply::error(416, "RANGE_INVALID", words).into())
            }
            _ => None,
        }
    });
    let (setup, key) = (Setup::new(), images::key("a"));
    let image = images::of_file(&key, setup.directory.path(), 9 * MIB);
    setup
        .client()
        .publish(&target(&registry.host(), "acme/app", &key), &image, false)
        .await
        .unwrap();
    assert_eq!(
        registry.count("PATCH", "/uploads/"),
        3,
        "the refused rest, and two parts of it"
    );
}

#[tokio::test]
async fn chunks_respect_the_minimum_of_the_registry() {
    let least = 2 * MIB;
    let registry = FaultyRegistry::start(|request, _| {
        let whole = request.content_length() == Some(3 * MIB);
        whole.then(|| Reply::status(413).into())
    });
    registry.memory().least_chunk = least;
    let (setup, key) = (Setup::new(), images::key("a"));
    let image = images::of_file(&key, setup.directory.path(), 3 * MIB);
    setup
        .client()
        .publish(&target(&registry.host(), "acme/app", &key), &image, false)
        .await
        .unwrap();
    let parts: Vec<usize> = registry
        .seen()
        .iter()
        .filter(|seen| seen.request.method == "PATCH")
        .map(|seen| seen.received)
        .collect();
    assert_eq!(parts, [least, MIB]);
}

#[tokio::test]
async fn registry_without_chunks_gets_the_whole_blob_again() {
    let registry = FaultyRegistry::start(|request, memory| {
        let length = request.content_length().unwrap_or(0);
        match request.method.as_str() {
            "PUT"
                if length == 20 * MIB
                    && memory.times("PUT", "/uploads/") < 2
                    && memory.times("PATCH", "") == 0 =>
            {
                Some(Reaction::CutUpload {
                    after: 2 * MIB,
                    keep: false,
                })
            }
            "PATCH" => Some(Reply::error(405, "UNSUPPORTED", "no chunks").into()),
            _ => None,
        }
    });
    let (setup, key) = (Setup::new(), images::key("a"));
    let image = images::of_file(&key, setup.directory.path(), 20 * MIB);
    setup
        .client()
        .publish(&target(&registry.host(), "acme/app", &key), &image, false)
        .await
        .unwrap();
    assert_eq!(registry.count("PATCH", "/uploads/"), 1);
}
