use super::*;

#[test]
fn short_references_are_expanded_to_docker_hub() {
    for (text, expected) in [
        ("debian", "docker.io/library/debian:latest"),
        (
            "nvidia/cuda:12.6.1-runtime",
            "docker.io/nvidia/cuda:12.6.1-runtime",
        ),
        (
            "gcr.io/distroless/cc-debian13",
            "gcr.io/distroless/cc-debian13:latest",
        ),
        ("localhost:5000/base:v1", "localhost:5000/base:v1"),
        ("localhost/base", "localhost/base:latest"),
        ("[2001:db8::1]:5000/base", "[2001:db8::1]:5000/base:latest"),
        ("[::1]/team/base:v1", "[::1]/team/base:v1"),
    ] {
        assert_eq!(
            text.parse::<BaseRef>()
                .map(|reference| reference.to_string())
                .ok()
                .as_deref(),
            Some(expected)
        );
    }
}

#[test]
fn invalid_references_are_refused() {
    for text in [
        "",
        "Debian",
        "debian:",
        "debian@sha256:12",
        "a//b",
        "a/-b",
        "https://ghcr.io/a",
        "debian:a b",
        "a.io?x/b",
        "a.io#x/b",
        "a.io:99999/b",
        "a.io:+5/b",
        "a b.io/c",
        "u:p.io/c",
        "[::1]5/b",
        "[::g]:5/b",
        "[a.io]/b",
        "a.io\\b/c",
        ".io/\u{e9}",
        ":5000/a",
    ] {
        assert!(text.parse::<BaseRef>().is_err(), "{text}");
    }
}

proptest::proptest! {
    #[test]
    fn reference_round_trips_through_its_text(text in "[a-z0-9.:/@_\\[\\]-]{0,40}|\\PC{0,20}") {
        if let Ok(reference) = text.parse::<BaseRef>() {
            let written = reference.to_string();
            let parsed = written.parse::<BaseRef>().expect("a formatted reference is valid");
            proptest::prop_assert_eq!(parsed.to_string(), written);
            let url = format!("https://{}/v2/", reference.repository.registry);
            proptest::prop_assert!(url::Url::parse(&url).is_ok(), "{}", url);
        }
    }
}
