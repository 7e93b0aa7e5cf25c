//! TLS: private authorities, and which hosts go without.

use std::path::{Path, PathBuf};

use cargo_union::publish::{Existence, Publisher as _};
use union_build::diag::Code;
use union_tests::registry::Registry;
use union_tests::tls::{Authority, Defect};

use crate::images;
use crate::world::{World, assert_error, target};

#[tokio::test]
async fn named_private_ca_is_trusted() {
    let (registry, mut world, key) = (Registry::tls(), World::new(), images::key("a"));
    world.settings.options.ssl_cert_file = Some(registry.authority());
    let (client, target) = (world.client(), target(registry.host(), "acme/app", &key));
    assert_eq!(client.existence(&target).await.unwrap(), Existence::Missing);
    let published = client
        .publish(&target, &images::of_text(&key, "hello"), false)
        .await
        .unwrap();
    assert_eq!(
        client.existence(&target).await.unwrap(),
        Existence::Found(published.digest)
    );
}

#[tokio::test]
async fn named_self_signed_certificate_is_trusted() {
    let (registry, mut world, key) = (Registry::self_signed_tls(), World::new(), images::key("a"));
    let target = target(registry.host(), "acme/app", &key);
    assert_error(
        world.client().existence(&target).await,
        Code::TlsFailed,
        &["UnknownIssuer", "SSL_CERT_FILE"],
    );
    world.settings.options.ssl_cert_file = Some(registry.authority());
    assert_eq!(
        world.client().existence(&target).await.unwrap(),
        Existence::Missing
    );
}

#[tokio::test]
async fn unnamed_private_ca_is_not_trusted() {
    let (registry, world, key) = (Registry::tls(), World::new(), images::key("a"));
    let target = target(registry.host(), "acme/app", &key);
    assert_error(
        world.client().existence(&target).await,
        Code::TlsFailed,
        &[
            registry.host(),
            "acme/app:v1",
            "UnknownIssuer",
            "SSL_CERT_FILE",
        ],
    );
    assert!(
        world.told.lines().is_empty(),
        "a certificate does not get better by trying again"
    );
}

#[tokio::test]
async fn certificate_advice_matches_the_defect() {
    let key = images::key("a");
    for (defect, cause, advice) in [
        (
            Defect::Expired,
            "expired",
            &["has expired", "renew", "clock"][..],
        ),
        (
            Defect::NotYetValid,
            "not valid yet",
            &["is not valid yet", "clock"],
        ),
        (Defect::OtherName, "elsewhere.test", &["HOST", "name"]),
        (
            Defect::ForClients,
            "client authentication",
            &["for servers", "serverAuth"],
        ),
        (
            Defect::OfAuthority,
            "CaUsedAsEndEntity",
            &["authority", "CA:FALSE"],
        ),
    ] {
        let (authority, mut world) = (Authority::new(), World::new());
        world.settings.options.ssl_cert_file = Some(authority.certificate());
        let registry = Registry::defective_tls(&authority, defect);
        let error = world
            .client()
            .existence(&target(registry.host(), "acme/app", &key))
            .await
            .unwrap_err();
        assert_eq!(error.code(), Code::TlsFailed);
        let text = error.chain().join(": ");
        assert!(
            text.contains(registry.host()) && text.contains(cause),
            "{defect:?}: {text}"
        );
        for word in advice {
            assert!(
                error
                    .advice()
                    .contains(&word.replace("HOST", registry.host())),
                "{defect:?}: {}",
                error.advice()
            );
        }
        assert!(
            !error.advice().contains("SSL_CERT_FILE"),
            "{defect:?}: {}",
            error.advice()
        );
        assert!(
            world.told.lines().is_empty(),
            "a certificate does not get better by trying again"
        );
    }
}

#[tokio::test]
async fn unknown_ca_advice_lists_the_directories() {
    let (registry, mut world, key) = (Registry::tls(), World::new(), images::key("a"));
    let certs = world.folder.path().join(".config/containers/certs.d");
    world.settings.options.certs = vec![certs.clone()];
    let target = target(registry.host(), "acme/app", &key);
    let directory = certs.join(registry.host()).display().to_string();
    let error = world.client().existence(&target).await.unwrap_err();
    assert!(
        error.advice().contains("SSL_CERT_FILE") && error.advice().contains(&directory),
        "{}",
        error.advice()
    );
    assert!(error.advice().contains("ca.crt"), "{}", error.advice());
    // Following it helps.
    std::fs::create_dir_all(&directory).unwrap();
    std::fs::copy(registry.authority(), format!("{directory}/ca.crt")).unwrap();
    assert_eq!(
        world.client().existence(&target).await.unwrap(),
        Existence::Missing
    );
}

#[tokio::test]
async fn ca_in_docker_certs_d_is_for_its_registry_only() {
    let (registry, mut world, key) = (Registry::tls(), World::new(), images::key("a"));
    let certs = world.folder.path().join("certs.d");
    let folder = certs.join(registry.host());
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::copy(registry.authority(), folder.join("ca.crt")).unwrap();
    world.settings.options.certs = vec![certs.clone()];
    let target = target(registry.host(), "acme/app", &key);
    assert_eq!(
        world.client().existence(&target).await.unwrap(),
        Existence::Missing
    );
    std::fs::rename(folder, certs.join("127.0.0.1:1")).unwrap();
    assert_error(
        world.client().existence(&target).await,
        Code::TlsFailed,
        &[registry.host()],
    );
}

#[tokio::test]
async fn ca_in_a_named_directory_is_trusted() {
    let (registry, mut world, key) = (Registry::tls(), World::new(), images::key("a"));
    world.settings.options.ssl_cert_folders =
        vec![registry.authority().parent().unwrap().to_owned()];
    let target = target(registry.host(), "acme/app", &key);
    assert_eq!(
        world.client().existence(&target).await.unwrap(),
        Existence::Missing
    );
}

#[tokio::test]
async fn missing_ca_file_is_named() {
    let (registry, mut world, key) = (Registry::tls(), World::new(), images::key("a"));
    world.settings.options.ssl_cert_file = Some("/no/such/file".into());
    let target = target(registry.host(), "acme/app", &key);
    assert_error(
        world.client().existence(&target).await,
        Code::FileUnreadable,
        &["/no/such/file", "SSL_CERT_FILE"],
    );
}

/// A registry that wants to know its clients, its authority, and the folder for it in a list of such folders.
fn mutual(world: &mut World) -> (Registry, Authority, PathBuf) {
    let authority = Authority::named("Clients");
    let registry = Registry::mutual_tls(&authority);
    let certs = world.folder.path().join(".config/containers/certs.d");
    let folder = certs.join(registry.host());
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::copy(authority.certificate(), folder.join("ca.crt")).unwrap();
    // The other one is not there, as on most machines.
    world.settings.options.certs = vec![certs, world.folder.path().join("etc/docker/certs.d")];
    (registry, authority, folder)
}

fn write_pair(folder: &Path, name: &str, (certificate, key): (String, String)) {
    std::fs::write(folder.join(format!("{name}.cert")), certificate).unwrap();
    std::fs::write(folder.join(format!("{name}.key")), key).unwrap();
}

#[tokio::test]
async fn client_certificate_of_the_directory_is_used() {
    let (mut world, key) = (World::new(), images::key("a"));
    let (registry, authority, folder) = mutual(&mut world);
    let target = target(registry.host(), "acme/app", &key);
    let words = [registry.host(), "certs.d", "client.cert"];
    assert_error(
        world.client().existence(&target).await,
        Code::TlsFailed,
        &words,
    );
    write_pair(&folder, "client", authority.client());
    let client = world.client();
    let published = client
        .publish(&target, &images::of_text(&key, "hello"), false)
        .await
        .unwrap();
    assert_eq!(
        client.existence(&target).await.unwrap(),
        Existence::Found(published.digest)
    );
}

#[tokio::test]
async fn client_certificate_is_selected_by_the_registry_ca() {
    let (mut world, key) = (World::new(), images::key("a"));
    let (registry, authority, folder) = mutual(&mut world);
    write_pair(&folder, "a", Authority::named("Somebody else").client());
    write_pair(&folder, "b", authority.client());
    let target = target(registry.host(), "acme/app", &key);
    assert_eq!(
        world.client().existence(&target).await.unwrap(),
        Existence::Missing
    );
    std::fs::remove_file(folder.join("b.cert")).unwrap();
    std::fs::remove_file(folder.join("b.key")).unwrap();
    assert_error(
        world.client().existence(&target).await,
        Code::TlsFailed,
        &[registry.host()],
    );
}

#[tokio::test]
async fn unusable_client_certificate_is_named() {
    let (mut world, key) = (World::new(), images::key("a"));
    let (registry, authority, folder) = mutual(&mut world);
    let target = target(registry.host(), "acme/app", &key);
    let (certificate, secret) = authority.client();
    let (_, other) = authority.client();
    for (certificate, key, words) in [
        (
            Some(&*certificate),
            None,
            ["client.cert", "client.key", "does not exist"],
        ),
        (
            None,
            Some(&*secret),
            ["client.key", "client.cert", "does not exist"],
        ),
        (
            Some(&*certificate),
            Some(&*other),
            ["client.key", "client.cert", "does not belong to"],
        ),
        (
            Some(&*certificate),
            Some("hunter2"),
            ["client.key", "no key", "encrypted"],
        ),
        (
            Some("hunter2"),
            Some(&*secret),
            ["client.cert", "no certificate", "client"],
        ),
        (
            Some(&*certificate),
            Some("-----BEGIN PRIVATE KEY-----\nhunter2"),
            ["client.key", "is not PEM", "no end"],
        ),
        (
            Some(&*certificate),
            Some("-----BEGIN PRIVATE KEY-----\naHVudGVyMg==\n-----END PRIVATE KEY-----\n"),
            ["client.key", "kind", "supported"],
        ),
    ] {
        for (name, text) in [("client.cert", certificate), ("client.key", key)] {
            match text {
                Some(text) => std::fs::write(folder.join(name), text).unwrap(),
                None => drop(std::fs::remove_file(folder.join(name))),
            }
        }
        let failed = world.client().existence(&target).await;
        assert!(!format!("{failed:?}").contains("hunter2"), "{failed:?}");
        assert_error(failed, Code::CredentialsInvalid, &words);
    }
}

/// A registry's host under a name that is not seen to be loopback, although it is.
fn disguised(registry: &Registry) -> String {
    registry.host().replace("127.0.0.1", "127.1")
}

#[tokio::test]
async fn insecure_registry_is_used_without_encryption() {
    let (registry, mut world, key) = (Registry::open(), World::new(), images::key("a"));
    let target = target(&disguised(&registry), "acme/app", &key);
    assert_error(
        world.client().existence(&target).await,
        Code::TlsFailed,
        &[&disguised(&registry), "acme/app:v1", "insecure-registries"],
    );
    world.settings.insecure.insert(disguised(&registry));
    let published = world
        .client()
        .publish(&target, &images::of_text(&key, "hello"), false)
        .await
        .unwrap();
    assert_eq!(
        world.client().existence(&target).await.unwrap(),
        Existence::Found(published.digest)
    );
}

#[tokio::test]
async fn insecure_registry_with_tls_is_verified() {
    let (registry, mut world, key) = (Registry::tls(), World::new(), images::key("a"));
    world.settings.insecure.insert(disguised(&registry));
    let target = target(&disguised(&registry), "acme/app", &key);
    assert_error(
        world.client().existence(&target).await,
        Code::TlsFailed,
        &["UnknownIssuer"],
    );
    world.settings.options.ssl_cert_file = Some(registry.authority());
    assert_eq!(
        world.client().existence(&target).await.unwrap(),
        Existence::Missing
    );
}
