//! TLS: private certificate authorities, and hosts without encryption.

use std::path::{Path, PathBuf};

use cargo_union::publish::{Existence, Publisher as _};
use union_build::diag::Code;
use union_tests::registry::Registry;
use union_tests::tls::{Authority, Defect};

use crate::images;
use crate::setup::{Setup, assert_error, target};

#[tokio::test]
async fn named_private_ca_is_trusted() {
    let (registry, mut setup, key) = (Registry::tls(), Setup::new(), images::key("a"));
    setup.settings.options.ssl_cert_file = Some(registry.authority());
    let (client, target) = (setup.client(), target(registry.host(), "acme/app", &key));
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
    let (registry, mut setup, key) = (Registry::self_signed_tls(), Setup::new(), images::key("a"));
    let target = target(registry.host(), "acme/app", &key);
    assert_error(
        setup.client().existence(&target).await,
        Code::TlsFailed,
        &["UnknownIssuer", "SSL_CERT_FILE"],
    );
    setup.settings.options.ssl_cert_file = Some(registry.authority());
    assert_eq!(
        setup.client().existence(&target).await.unwrap(),
        Existence::Missing
    );
}

#[tokio::test]
async fn unnamed_private_ca_is_not_trusted() {
    let (registry, setup, key) = (Registry::tls(), Setup::new(), images::key("a"));
    let target = target(registry.host(), "acme/app", &key);
    assert_error(
        setup.client().existence(&target).await,
        Code::TlsFailed,
        &[
            registry.host(),
            "acme/app:v1",
            "UnknownIssuer",
            "SSL_CERT_FILE",
        ],
    );
    assert!(
        setup.reports.lines().is_empty(),
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
        let (authority, mut setup) = (Authority::new(), Setup::new());
        setup.settings.options.ssl_cert_file = Some(authority.certificate());
        let registry = Registry::defective_tls(&authority, defect);
        let error = setup
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
            setup.reports.lines().is_empty(),
            "a certificate does not get better by trying again"
        );
    }
}

#[tokio::test]
async fn unknown_ca_advice_lists_the_directories() {
    let (registry, mut setup, key) = (Registry::tls(), Setup::new(), images::key("a"));
    let certs = setup.directory.path().join(".config/containers/certs.d");
    setup.settings.options.certs = vec![certs.clone()];
    let target = target(registry.host(), "acme/app", &key);
    let directory = certs.join(registry.host()).display().to_string();
    let error = setup.client().existence(&target).await.unwrap_err();
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
        setup.client().existence(&target).await.unwrap(),
        Existence::Missing
    );
}

#[tokio::test]
async fn ca_in_docker_certs_d_is_for_its_registry_only() {
    let (registry, mut setup, key) = (Registry::tls(), Setup::new(), images::key("a"));
    let certs = setup.directory.path().join("certs.d");
    let directory = certs.join(registry.host());
    std::fs::create_dir_all(&directory).unwrap();
    std::fs::copy(registry.authority(), directory.join("ca.crt")).unwrap();
    setup.settings.options.certs = vec![certs.clone()];
    let target = target(registry.host(), "acme/app", &key);
    assert_eq!(
        setup.client().existence(&target).await.unwrap(),
        Existence::Missing
    );
    std::fs::rename(directory, certs.join("127.0.0.1:1")).unwrap();
    assert_error(
        setup.client().existence(&target).await,
        Code::TlsFailed,
        &[registry.host()],
    );
}

#[tokio::test]
async fn ca_in_a_named_directory_is_trusted() {
    let (registry, mut setup, key) = (Registry::tls(), Setup::new(), images::key("a"));
    setup.settings.options.ssl_cert_directories =
        vec![registry.authority().parent().unwrap().to_owned()];
    let target = target(registry.host(), "acme/app", &key);
    assert_eq!(
        setup.client().existence(&target).await.unwrap(),
        Existence::Missing
    );
}

#[tokio::test]
async fn missing_ca_file_is_named() {
    let (registry, mut setup, key) = (Registry::tls(), Setup::new(), images::key("a"));
    setup.settings.options.ssl_cert_file = Some("/no/such/file".into());
    let target = target(registry.host(), "acme/app", &key);
    assert_error(
        setup.client().existence(&target).await,
        Code::FileUnreadable,
        &["/no/such/file", "SSL_CERT_FILE"],
    );
}

/// A registry that requires client certificates, its certificate authority, and its `certs.d` directory.
fn mutual(setup: &mut Setup) -> (Registry, Authority, PathBuf) {
    let authority = Authority::named("Clients");
    let registry = Registry::mutual_tls(&authority);
    let certs = setup.directory.path().join(".config/containers/certs.d");
    let directory = certs.join(registry.host());
    std::fs::create_dir_all(&directory).unwrap();
    std::fs::copy(authority.certificate(), directory.join("ca.crt")).unwrap();
    // The other one does not exist, as on most machines.
    setup.settings.options.certs = vec![certs, setup.directory.path().join("etc/docker/certs.d")];
    (registry, authority, directory)
}

fn write_pair(directory: &Path, name: &str, (certificate, key): (String, String)) {
    std::fs::write(directory.join(format!("{name}.cert")), certificate).unwrap();
    std::fs::write(directory.join(format!("{name}.key")), key).unwrap();
}

#[tokio::test]
async fn client_certificate_of_the_directory_is_used() {
    let (mut setup, key) = (Setup::new(), images::key("a"));
    let (registry, authority, directory) = mutual(&mut setup);
    let target = target(registry.host(), "acme/app", &key);
    let words = [registry.host(), "certs.d", "client.cert"];
    assert_error(
        setup.client().existence(&target).await,
        Code::TlsFailed,
        &words,
    );
    write_pair(&directory, "client", authority.client());
    let client = setup.client();
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
    let (mut setup, key) = (Setup::new(), images::key("a"));
    let (registry, authority, directory) = mutual(&mut setup);
    write_pair(&directory, "a", Authority::named("Somebody else").client());
    write_pair(&directory, "b", authority.client());
    let target = target(registry.host(), "acme/app", &key);
    assert_eq!(
        setup.client().existence(&target).await.unwrap(),
        Existence::Missing
    );
    std::fs::remove_file(directory.join("b.cert")).unwrap();
    std::fs::remove_file(directory.join("b.key")).unwrap();
    assert_error(
        setup.client().existence(&target).await,
        Code::TlsFailed,
        &[registry.host()],
    );
}

#[tokio::test]
async fn unusable_client_certificate_is_named() {
    let (mut setup, key) = (Setup::new(), images::key("a"));
    let (registry, authority, directory) = mutual(&mut setup);
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
                Some(text) => std::fs::write(directory.join(name), text).unwrap(),
                None => drop(std::fs::remove_file(directory.join(name))),
            }
        }
        let failed = setup.client().existence(&target).await;
        assert!(!format!("{failed:?}").contains("hunter2"), "{failed:?}");
        assert_error(failed, Code::CredentialsInvalid, &words);
    }
}

/// A registry's host under a name that is not recognized as loopback.
fn disguised(registry: &Registry) -> String {
    registry.host().replace("127.0.0.1", "127.1")
}

#[tokio::test]
async fn insecure_registry_is_used_without_encryption() {
    let (registry, mut setup, key) = (Registry::open(), Setup::new(), images::key("a"));
    let target = target(&disguised(&registry), "acme/app", &key);
    assert_error(
        setup.client().existence(&target).await,
        Code::TlsFailed,
        &[&disguised(&registry), "acme/app:v1", "insecure-registries"],
    );
    setup.settings.insecure.insert(disguised(&registry));
    let published = setup
        .client()
        .publish(&target, &images::of_text(&key, "hello"), false)
        .await
        .unwrap();
    assert_eq!(
        setup.client().existence(&target).await.unwrap(),
        Existence::Found(published.digest)
    );
}

#[tokio::test]
async fn insecure_registry_with_tls_is_verified() {
    let (registry, mut setup, key) = (Registry::tls(), Setup::new(), images::key("a"));
    setup.settings.insecure.insert(disguised(&registry));
    let target = target(&disguised(&registry), "acme/app", &key);
    assert_error(
        setup.client().existence(&target).await,
        Code::TlsFailed,
        &["UnknownIssuer"],
    );
    setup.settings.options.ssl_cert_file = Some(registry.authority());
    assert_eq!(
        setup.client().existence(&target).await.unwrap(),
        Existence::Missing
    );
}
