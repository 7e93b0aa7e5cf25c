#![allow(clippy::unwrap_used)]

use super::*;

fn url(text: &str) -> Url {
    Url::parse(text).unwrap()
}

#[test]
fn is_loopback_accepts_only_loopback_addresses() {
    for host in [
        "localhost",
        "localhost:5000",
        "127.0.0.1:80",
        "127.3.2.1",
        "[::1]:5000",
    ] {
        assert!(is_loopback(host), "{host}");
    }
    for host in [
        "localhost.example.com",
        "example.com:5000",
        "10.0.0.1",
        "[2001:db8::1]:5000",
        "127.0.0.1.example.com",
    ] {
        assert!(!is_loopback(host), "{host}");
    }
}

#[test]
fn insecure_host_matches_in_every_notation() {
    let hosts = ["lan:80", "[2001:DB8:0::1]:5000", "Registry.lan:5000"].map(str::to_owned);
    let transport = Transport::new(
        BTreeSet::from(hosts),
        Authorities::default(),
        Proxies::default(),
    );
    for host in ["lan", "lan:80", "[2001:db8::1]:5000", "registry.lan:5000"] {
        assert!(transport.may_be_plain(host), "{host}");
        let named = url(&format!("http://{host}/x"));
        assert_eq!(
            transport
                .checked(&url("https://ghcr.io/"), named.clone())
                .unwrap(),
            named
        );
    }
    for host in [
        "lan:5000",
        "[2001:db8::1]",
        "[2001:db8::2]:5000",
        "registry.lan",
        "",
        "[",
        "a b",
    ] {
        assert!(!transport.may_be_plain(host), "{host}");
    }
}

#[test]
fn is_of_host_ignores_the_port() {
    for (named, host) in [
        ("http://[2001:db8::1]:5001/token", "[2001:db8::1]:5000"),
        ("http://[2001:db8:0::1]/token", "[2001:DB8::1]:5000"),
        ("https://reg.lan/token", "REG.lan:443"),
        ("http://10.0.0.1:80/token", "10.0.0.1:5000"),
    ] {
        assert!(is_of_host(&url(named), host), "{named} {host}");
    }
    for (named, host) in [
        ("http://[2001:db8::2]:5000/token", "[2001:db8::1]:5000"),
        ("http://[2001:db8::1]:5000/token", "[2001"),
        ("http://reg.lan.example.com/token", "reg.lan"),
        ("http://reg.lan/token", ""),
    ] {
        assert!(!is_of_host(&url(named), host), "{named} {host}");
    }
}

#[test]
fn redirect_to_an_unencrypted_host_is_refused() {
    let transport = Transport::new(
        BTreeSet::from(["lan:5000".to_owned()]),
        Authorities::default(),
        Proxies::default(),
    );
    let from = url("https://ghcr.io/v2/");
    for (named, becomes) in [
        (
            "https://cdn.example.com/x",
            Some("https://cdn.example.com/x"),
        ),
        ("http://ghcr.io/x", Some("https://ghcr.io/x")),
        ("http://lan:5000/x", Some("http://lan:5000/x")),
        ("http://cdn.example.com/x", None),
        ("http://127.0.0.1:9/x", None),
        ("file:///etc/passwd", None),
    ] {
        assert_eq!(
            transport
                .checked(&from, url(named))
                .ok()
                .map(|url| url.to_string())
                .as_deref(),
            becomes,
            "{named}"
        );
    }
    let loopback = url("http://127.0.0.1:5000/");
    assert!(
        transport
            .checked(&loopback, url("http://localhost:5001/x"))
            .is_ok()
    );
    assert!(
        transport
            .checked(&loopback, url("http://example.com/x"))
            .is_err()
    );
}
