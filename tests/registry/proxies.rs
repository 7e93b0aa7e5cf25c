//! Proxies: which one is used for which host, and which one is named in errors.

use cargo_union::http::Proxies;
use cargo_union::publish::{Existence, Publisher as _};
use union_build::diag::Code;
use union_tests::faulty_registry::{FaultyRegistry, Reply};
use union_tests::http::ReservedPort;
use union_tests::proxy::Proxy;
use union_tests::registry::Registry;

use crate::images;
use crate::setup::{Setup, assert_error, target};

/// A registry's host under a name that only proxies know.
fn named(registry: &Registry) -> String {
    registry.host().replace("127.0.0.1", "registry.corp.test")
}

/// A registry's host under an address of this machine that is not recognized as loopback.
fn disguised(registry: &Registry) -> String {
    registry.host().replace("127.0.0.1", "0.0.0.0")
}

fn proxies(variables: &[(&str, &str)]) -> Proxies {
    Proxies::of(|name| {
        variables
            .iter()
            .find(|(variable, _)| *variable == name)
            .map(|(_, value)| *value)
    })
}

/// A client that takes a registry for insecure, with some variables.
fn setup(host: &str, variables: &[(&str, &str)]) -> Setup {
    let mut setup = Setup::new();
    setup.settings.insecure.insert(host.to_owned());
    setup.settings.options.proxies = proxies(variables);
    setup
}

#[tokio::test]
async fn push_works_through_http_and_socks_proxies() {
    let (proxy, key) = (Proxy::open(), images::key("a"));
    let (plain, secure) = (Registry::open(), Registry::tls());
    for (variables, word) in [
        (
            &[
                ("HTTPS_PROXY", format!("http://{}", proxy.host())),
                ("http_proxy", proxy.host()),
            ][..],
            "CONNECT",
        ),
        (
            &[("ALL_PROXY", format!("socks5h://{}", proxy.host()))],
            "SOCKS",
        ),
    ] {
        let variables: Vec<(&str, &str)> = variables
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        for registry in [&plain, &secure] {
            let host = named(registry);
            let mut setup = setup(&host, &variables);
            if host == named(&secure) {
                setup.settings.insecure.clear();
                setup.settings.options.ssl_cert_file = Some(registry.authority());
            }
            let (client, target) = (setup.client(), target(&host, "acme/app", &key));
            let published = client
                .publish(&target, &images::of_text(&key, "hello"), false)
                .await
                .unwrap();
            assert_eq!(
                client.existence(&target).await.unwrap(),
                Existence::Found(published.digest)
            );
            assert!(
                proxy.seen().contains(&format!("{word} {host}")),
                "{:?}",
                proxy.seen()
            );
        }
    }
    let asked = format!("GET http://{}/v2/", named(&plain));
    assert!(proxy.seen().contains(&asked), "{:?}", proxy.seen());
}

#[tokio::test]
async fn no_proxy_hosts_are_reached_directly() {
    let (registry, proxy) = (Registry::open(), Proxy::open());
    let (host, url) = (disguised(&registry), format!("http://{}", proxy.host()));
    let port = host.rsplit(':').next().unwrap();
    let with_port = format!("0.0.0.0:{port}");
    for exceptions in ["0.0.0.0", "0.0.0.0/8", &*with_port, "a.test,*"] {
        for name in ["NO_PROXY", "no_proxy"] {
            let variables = [
                ("HTTP_PROXY", &*url),
                ("HTTPS_PROXY", &url),
                ("NO_PROXY", ""),
                (name, exceptions),
            ];
            let variables = if name == "NO_PROXY" {
                [variables[0], variables[1], variables[3], variables[3]]
            } else {
                variables
            };
            let target = target(&host, "acme/app", &images::key("a"));
            assert_eq!(
                setup(&host, &variables)
                    .client()
                    .existence(&target)
                    .await
                    .unwrap(),
                Existence::Missing
            );
            assert_eq!(proxy.seen(), [""; 0], "{name}={exceptions}");
        }
    }
    let target = target(&host, "acme/app", &images::key("a"));
    setup(&host, &[("HTTP_PROXY", &url), ("NO_PROXY", "0.0.0.1")])
        .client()
        .existence(&target)
        .await
        .unwrap();
    assert!(!proxy.seen().is_empty());
}

#[tokio::test]
async fn unreachable_proxy_is_named_instead_of_the_registry() {
    let (registry, reserved) = (Registry::open(), ReservedPort::new());
    let dead = reserved.host();
    let (http, socks) = (format!("http://{dead}"), format!("socks5h://{dead}"));
    for (name, url) in [
        ("HTTP_PROXY", &http),
        ("HTTPS_PROXY", &http),
        ("ALL_PROXY", &http),
        ("ALL_PROXY", &socks),
    ] {
        // The listed host is used without encryption; the other one only with TLS.
        for (host, variables) in [
            (disguised(&registry), vec![(name, &**url)]),
            (named(&registry), vec![(name, &**url)]),
        ] {
            let mut setup = setup(&host, &variables);
            if host == named(&registry) {
                setup.settings.insecure.clear();
                setup.settings.options.proxies = proxies(&[("HTTPS_PROXY", url)]);
            }
            let failed = setup
                .client()
                .existence(&target(&host, "acme/app", &images::key("a")))
                .await;
            if host == disguised(&registry) && name == "HTTPS_PROXY" {
                assert_eq!(
                    failed.unwrap(),
                    Existence::Missing,
                    "it is reached without encryption and without a proxy"
                );
                continue;
            }
            let text = format!("{failed:?}");
            assert!(!text.contains("does not use TLS"), "{text}");
            assert_error(
                failed,
                Code::RegistryUnreachable,
                &[&host, &dead, "PROXY", "NO_PROXY", "through the proxy"],
            );
        }
    }
}

#[tokio::test]
async fn proxy_login_is_taken_from_its_url() {
    let (registry, proxy) = (Registry::open(), Proxy::with_login("me", "hunter2"));
    let host = disguised(&registry);
    let target = target(&host, "acme/app", &images::key("a"));
    for login in ["", "me:hunter3@"] {
        let url = format!("http://{login}{}", proxy.host());
        for variables in [
            &[("HTTP_PROXY", &*url)][..],
            &[("HTTP_PROXY", &url), ("HTTPS_PROXY", &url)],
        ] {
            let setup = setup(&host, variables);
            let refused = setup.client().existence(&target).await;
            assert!(!format!("{refused:?}").contains("hunter3"), "{refused:?}");
            assert_error(
                refused,
                Code::RegistryUnreachable,
                &[&host, &proxy.host(), "407", "_PROXY"],
            );
            assert_eq!(
                setup.reports.lines(),
                [""; 0],
                "it does not help to try again"
            );
        }
    }
    let url = format!("http://me:hunter2@{}", proxy.host());
    let setup = setup(&host, &[("HTTP_PROXY", &url), ("HTTPS_PROXY", &url)]);
    assert_eq!(
        setup.client().existence(&target).await.unwrap(),
        Existence::Missing
    );
}

#[tokio::test]
async fn proxy_that_refuses_connect_is_named() {
    let proxy = Proxy::refusing();
    let target = target("registry.corp.test", "acme/app", &images::key("a"));
    for scheme in ["http", "socks5h"] {
        let mut setup = Setup::new();
        setup.settings.options.proxies =
            proxies(&[("https_proxy", &format!("{scheme}://{}", proxy.host()))]);
        let refused = setup.client().existence(&target).await;
        assert_error(
            refused,
            Code::RegistryUnreachable,
            &["registry.corp.test", &proxy.host(), "https_proxy"],
        );
    }
}

#[tokio::test]
async fn proxy_that_may_have_responded_is_named() {
    let registry = Registry::open();
    let host = disguised(&registry);
    let target = target(&host, "acme/app", &images::key("a"));
    for (status, code) in [
        ("502 Bad Gateway", Code::RegistryFailed),
        ("503 Service Unavailable", Code::RegistryFailed),
        ("504 Gateway Timeout", Code::RegistryFailed),
        ("403 Forbidden", Code::RegistryDenied),
    ] {
        let proxy = Proxy::answering(status);
        let failed = setup(
            &host,
            &[("HTTP_PROXY", &format!("http://{}", proxy.host()))],
        )
        .client()
        .existence(&target)
        .await;
        let shown = format!("{host} responded with {status}");
        let words = [
            &*shown,
            "through the proxy",
            &proxy.host(),
            "of HTTP_PROXY",
            "may be the proxy's own",
            "NO_PROXY",
        ];
        assert_error(failed, code, &words);
    }
}

#[tokio::test]
async fn proxy_is_not_named_for_registry_errors() {
    // The registry itself responds, or through a tunnel that the proxy cannot read.
    let registry = FaultyRegistry::start(|request, _| {
        let own = Reply::status(503).with("Docker-Distribution-Api-Version", "registry/2.0");
        (request.path != "/v2/").then(|| own.into())
    });
    let proxy = Proxy::open();
    let (http, socks) = (
        format!("http://{}", proxy.host()),
        format!("socks5h://{}", proxy.host()),
    );
    let host = registry.host().replace("127.0.0.1", "0.0.0.0");
    for variable in [("HTTP_PROXY", &*http), ("ALL_PROXY", &socks)] {
        let failed = setup(&host, &[variable])
            .client()
            .existence(&target(&host, "acme/app", &images::key("a")))
            .await;
        assert!(!format!("{failed:?}").contains("proxy"), "{failed:?}");
        assert_error(failed, Code::RegistryFailed, &[&host, "503"]);
    }
    assert!(!proxy.seen().is_empty());
}

#[tokio::test]
async fn https_proxy_without_tls_is_named() {
    let proxy = Proxy::open();
    let mut setup = Setup::new();
    setup.settings.options.proxies =
        proxies(&[("HTTPS_PROXY", &format!("https://{}", proxy.host()))]);
    let failed = setup
        .client()
        .existence(&target("registry.corp.test", "acme/app", &images::key("a")))
        .await;
    assert_error(
        failed,
        Code::RegistryUnreachable,
        &["registry.corp.test", &proxy.host(), "HTTPS_PROXY"],
    );
}

#[tokio::test]
async fn registry_without_tls_is_named_with_its_proxy() {
    let (registry, proxy) = (Registry::open(), Proxy::open());
    let mut setup = Setup::new();
    setup.settings.options.proxies =
        proxies(&[("HTTPS_PROXY", &format!("http://{}", proxy.host()))]);
    let failed = setup
        .client()
        .existence(&target(&named(&registry), "acme/app", &images::key("a")))
        .await;
    assert_error(
        failed,
        Code::TlsFailed,
        &[
            &named(&registry),
            "does not use TLS",
            &proxy.host(),
            "insecure-registries",
        ],
    );
}

#[tokio::test]
async fn invalid_proxy_variable_is_named() {
    let mut setup = Setup::new();
    setup.settings.options.proxies = proxies(&[("ALL_PROXY", "gopher://me:hunter2@proxy")]);
    let failed = setup
        .client()
        .existence(&target("registry.corp.test", "acme/app", &images::key("a")))
        .await;
    assert!(!format!("{failed:?}").contains("hunter2"), "{failed:?}");
    assert_error(
        failed,
        Code::SettingInvalid,
        &["ALL_PROXY", "gopher", "socks5h"],
    );
}
