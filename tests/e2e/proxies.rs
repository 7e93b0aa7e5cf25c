//! Proxy variables of the environment apply to registries.

use union_tests::Project;
use union_tests::http::ReservedPort;
use union_tests::proxy::Proxy;
use union_tests::registry::Registry;

/// A project whose images go to a registry without encryption, under a name that only proxies know.
fn project(registry: &Registry) -> (Project, String) {
    let host = registry.host().replace("127.0.0.1", "registry.corp.test");
    let manifest = format!(
        "[package.metadata.union]\ninsecure-registries = [\"{host}\"]\n[package.metadata.union.images.default]\nbase-image = \"scratch\"\n"
    );
    (
        Project::package("hello")
            .union(&manifest)
            .locked()
            .env("UNION_REGISTRY", format!("{host}/team")),
        host,
    )
}

#[test]
fn image_is_pushed_through_all_proxy() {
    let (registry, proxy) = (Registry::open(), Proxy::open());
    let (project, host) = project(&registry);
    let project = project
        .env("ALL_PROXY", format!("socks5h://{}", proxy.host()))
        .env("NO_PROXY", "*.other.test");
    project.run(["build"]).succeeds();
    assert!(
        proxy.seen().contains(&format!("SOCKS {host}")),
        "{:?}",
        proxy.seen()
    );
    assert!(
        registry
            .requests()
            .iter()
            .any(|request| request.starts_with("PUT /v2/team/hello/manifests/"))
    );
}

#[test]
fn unreachable_proxy_is_named_before_the_compile() {
    let (registry, reserved) = (Registry::open(), ReservedPort::new());
    let dead = reserved.host();
    let (project, host) = project(&registry);
    let project = project
        .env("HTTPS_PROXY", format!("http://me:hunter2@{dead}"))
        .env("http_proxy", &dead);
    let outcome = project
        .run(["build"])
        .fails_with("U0403")
        .compiles_nothing()
        .stderr_has(&host)
        .stderr_has(&dead);
    outcome
        .stderr_has("of HTTPS_PROXY")
        .stderr_has("NO_PROXY")
        .stderr_lacks("hunter2")
        .stderr_lacks("does not use TLS");
}
