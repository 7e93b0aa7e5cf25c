#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn proxies(variables: &[(&str, &str)]) -> Proxies {
    let variables: BTreeMap<String, String> = variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    Proxies::of(|name| variables.get(name).map(String::as_str))
}

fn proxy(variables: &[(&str, &str)], url: &str) -> Option<String> {
    proxies(variables)
        .for_url(&Url::parse(url).unwrap())
        .map(ToString::to_string)
}

fn is_proxied(exceptions: &str, host: &str) -> bool {
    proxy(
        &[("HTTPS_PROXY", "http://proxy:1"), ("NO_PROXY", exceptions)],
        &format!("https://{host}/v2/"),
    )
    .is_some()
}

/// The cases of Go's tests of `httpproxy` and of its documentation.
#[test]
fn exceptions_are_those_of_go() {
    for (exceptions, direct, proxied) in [
        (
            "",
            &[][..],
            &["reg.corp.test", "10.0.0.1", "example.com:8443"][..],
        ),
        (
            "*",
            &["reg.corp.test", "10.0.0.1", "[2001:db8::1]:5000"],
            &[],
        ),
        ("other.test, *", &["reg.corp.test"], &[]),
        (
            "corp.test",
            &[
                "corp.test",
                "reg.corp.test",
                "a.b.corp.test",
                "reg.corp.test:5000",
                "CORP.test",
            ],
            &["notcorp.test", "corp.test.io"],
        ),
        (
            ".corp.test",
            &["reg.corp.test", "a.b.corp.test"],
            &["corp.test", "notcorp.test"],
        ),
        (
            "*.corp.test",
            &["reg.corp.test", "reg.corp.test:5000"],
            &["corp.test", "notcorp.test"],
        ),
        (
            "reg.corp.test:5000",
            &["reg.corp.test:5000", "a.reg.corp.test:5000"],
            &["reg.corp.test", "reg.corp.test:5001"],
        ),
        (
            "reg.corp.test:443",
            &["reg.corp.test"],
            &["reg.corp.test:5000"],
        ),
        (
            "*.corp.test:5000",
            &["reg.corp.test:5000"],
            &["reg.corp.test", "corp.test:5000"],
        ),
        (
            "10.1.2.3",
            &["10.1.2.3", "10.1.2.3:5000"],
            &["10.1.2.4", "reg.10.1.2.3.test"],
        ),
        ("10.1.2.3:5000", &["10.1.2.3:5000"], &["10.1.2.3"]),
        (
            "10.0.0.0/8",
            &["10.1.2.3", "10.255.0.1:5000"],
            &["11.0.0.1", "ten.test"],
        ),
        ("10.1.2.3/0", &["11.0.0.1"], &["[2001:db8::1]", "reg.test"]),
        ("192.168.1.128/25", &["192.168.1.200"], &["192.168.1.100"]),
        (
            "2001:db8::/32",
            &["[2001:db8::1]", "[2001:db8:1::1]:5000"],
            &["[2001:db9::1]", "10.0.0.1"],
        ),
        (
            "2001:db8::1",
            &["[2001:db8::1]:5000"],
            &["[2001:db8::2]:5000"],
        ),
        (
            "[2001:db8::1]:5000",
            &["[2001:db8::1]:5000"],
            &["[2001:db8::1]:5001"],
        ),
        ("[2001:db8::1]", &["[2001:db8::1]:5000"], &[]),
        ("::ffff:10.1.2.3", &["10.1.2.3"], &[]),
        (
            " a.test ,B.test,, c.test",
            &["a.test", "b.test", "c.test"],
            &["d.test"],
        ),
        ("a.test b.test", &["a.test", "b.test"], &["c.test"]),
        (
            "bücher.test",
            &["xn--bcher-kva.test", "reg.xn--bcher-kva.test"],
            &["bucher.test"],
        ),
        (
            ":80,.,*.,10.0.0.0/33,a.test:b",
            &[],
            &["reg.test", "a.test", "10.0.0.1"],
        ),
    ] {
        for host in direct {
            assert!(
                !is_proxied(exceptions, host),
                "`{exceptions}` leaves out {host}"
            );
        }
        for host in proxied {
            assert!(
                is_proxied(exceptions, host),
                "`{exceptions}` does not leave out {host}"
            );
        }
    }
}

#[test]
fn loopback_is_never_proxied() {
    for host in [
        "localhost",
        "localhost:5000",
        "LOCALHOST",
        "127.0.0.1",
        "127.3.2.1:80",
        "[::1]:5000",
        "[::ffff:127.0.0.1]",
    ] {
        assert!(!is_proxied("", host), "{host}");
    }
    for host in ["localhost.test", "my-localhost", "128.0.0.1"] {
        assert!(is_proxied("", host), "{host}");
    }
}

#[test]
fn proxy_variable_of_the_scheme_precedes_all_proxy() {
    for (variables, http, https) in [
        (
            &[("HTTPS_PROXY", "http://a:1")][..],
            None,
            Some("http://a:1 of HTTPS_PROXY"),
        ),
        (
            &[("http_proxy", "http://a:1")],
            Some("http://a:1 of http_proxy"),
            None,
        ),
        (
            &[("ALL_PROXY", "socks5h://a")],
            Some("socks5h://a of ALL_PROXY"),
            Some("socks5h://a of ALL_PROXY"),
        ),
        (
            &[("all_proxy", "http://a:1"), ("HTTPS_PROXY", "https://b:2")],
            Some("http://a:1 of all_proxy"),
            Some("https://b:2 of HTTPS_PROXY"),
        ),
        (
            &[("HTTPS_PROXY", ""), ("https_proxy", "b:2")],
            None,
            Some("http://b:2 of https_proxy"),
        ),
        (
            &[("HTTP_PROXY", "a:1"), ("REQUEST_METHOD", "GET")],
            None,
            None,
        ),
        (
            &[
                ("HTTPS_PROXY", "a:1"),
                ("NO_PROXY", ""),
                ("no_proxy", "reg.test"),
            ],
            None,
            None,
        ),
        (
            &[
                ("HTTPS_PROXY", "a:1"),
                ("NO_PROXY", "reg.test"),
                ("no_proxy", "x"),
            ],
            None,
            None,
        ),
    ] {
        assert_eq!(
            proxy(variables, "http://reg.test/").as_deref(),
            http,
            "{variables:?}"
        );
        assert_eq!(
            proxy(variables, "https://reg.test/").as_deref(),
            https,
            "{variables:?}"
        );
    }
}

#[test]
fn invalid_proxy_is_refused_without_showing_it() {
    for text in [
        "ftp://me:hunter2@proxy",
        "socks://hunter2",
        "http://:hunter2@",
        "http://hunter2:x:y",
    ] {
        let proxies = proxies(&[("ALL_PROXY", text)]);
        let error = proxies
            .for_url(&Url::parse("https://reg.test").unwrap())
            .unwrap()
            .address()
            .unwrap_err();
        assert_eq!(error.code(), Code::SettingInvalid);
        let printed = format!(
            "{proxies:?} {error:?} {} {}",
            error.chain().join(": "),
            error.advice()
        );
        assert!(
            printed.contains("ALL_PROXY") && !printed.contains("hunter2"),
            "{printed}"
        );
    }
    let shown = proxy(
        &[("HTTPS_PROXY", "http://me:hunter2@proxy:3128")],
        "https://reg.test",
    )
    .unwrap();
    assert_eq!(shown, "http://proxy:3128 of HTTPS_PROXY");
}

proptest! {
    #[test]
    fn any_variables_and_any_host_are_understood(
        proxy in "\\PC{0,20}", exceptions in "([*.:/\\[\\], ]|[a-z0-9]{1,3}|ä){0,12}", host in "[a-z0-9.:\\[\\]-]{1,20}",
    ) {
        let proxies = proxies(&[("ALL_PROXY", &proxy), ("no_proxy", &exceptions)]);
        if let Ok(url) = Url::parse(&format!("https://{host}/")) {
            let _ = proxies.for_url(&url).map(Proxy::address);
        }
    }

    /// A name is matched by itself and by each of its parents, but not by other names.
    #[test]
    fn no_proxy_matches_a_name_and_its_parents(labels in prop::collection::vec("[a-w][a-z0-9]{0,5}", 1..5), other in "[a-z]{1,6}") {
        let host = format!("{}.test", labels.join("."));
        for from in 0..labels.len() {
            let parent = format!("{}.test", labels[from..].join("."));
            prop_assert!(!is_proxied(&parent, &host));
            prop_assert_eq!(is_proxied(&format!(".{parent}"), &host), from == 0);
            let longer = format!("x{parent}");
            prop_assert!(is_proxied(&longer, &host));
        }
        let below = format!("{other}.{host}");
        prop_assert!(is_proxied(&below, &host));
    }
}
