use super::*;
use crate::diag::Severity;

/// Asserts that a rule accepts the good texts and refuses the bad ones.
fn assert_rule(rule: &GrammarRule, good: &[&str], bad: &[&str]) {
    let problem = |text: &str| rule.problem(text, &Origin::Default);
    for text in good {
        assert_eq!(problem(text), None, "{text}");
    }
    for text in bad {
        let problem =
            problem(text).unwrap_or_else(|| panic!("`{text}` was taken for {}", rule.what));
        assert_eq!(
            (problem.code, problem.severity),
            (rule.code, Severity::Error)
        );
        assert!(problem.help.is_some(), "{text}");
    }
}

/// The suggestion of a rule for an invalid text.
fn instead(rule: &GrammarRule, text: &str) -> Option<String> {
    (rule.check)(text).err()?.instead
}

#[test]
fn registries() {
    let good = [
        "ghcr.io",
        "ghcr.io/my-org",
        "localhost:5000",
        "localhost/a",
        "127.0.0.1:5000/a/b",
        "[::1]:5000/a",
        "a.b/c_d/e--f",
    ];
    let bad = [
        "",
        "my-org",
        "https://ghcr.io",
        "ghcr.io/",
        "ghcr.io/My-Org",
        "GHCR.io/a",
        "ghcr.io//a",
        "ghcr.io/a:tag",
        "ghcr.io:0",
        "ghcr.io:66000",
        "ghcr.io:+5",
        "-a.b",
        "[::1",
        "[::1]5000",
        "a..b",
        "ghcr.io/a b",
    ];
    assert_rule(&REGISTRY, &good, &bad);
    assert_eq!(
        instead(&REGISTRY, "https://ghcr.io/a/").as_deref(),
        Some("ghcr.io/a")
    );
    assert_eq!(
        instead(&REGISTRY, "ghcr.io/My-Org").as_deref(),
        Some("ghcr.io/my-org")
    );
    assert_rule(
        &HOST,
        &["ghcr.io", "localhost:5000", "registry"],
        &["ghcr.io/a", "http://a.b", "", "a:b"],
    );
}

#[test]
fn invalid_image_names_have_a_valid_suggestion() {
    assert_rule(
        &IMAGE_NAME,
        &["app", "a/b", "a__b", "a-b.c", "0"],
        &["", "App", "-a", "a-", "a..b", "a___b", "a/", "a b", "ä"],
    );
    assert_eq!(instead(&IMAGE_NAME, "My App").as_deref(), Some("my-app"));
    assert_rule(
        &IMAGE_KEY,
        &["gpu", "my-gpu", "My_2"],
        &["", "1", "a.b", "-a", "ä"],
    );
}

#[test]
fn tag_formats() {
    let long = format!("{}{{spec-hash}}", "a".repeat(103));
    assert_rule(
        &TAG_FORMAT,
        &[
            "{spec-hash}",
            "{spec-hash}-dev",
            "v1.{spec-hash}",
            &format!("{}{{spec-hash}}", "a".repeat(102)),
        ],
        &[
            "",
            "latest",
            "{spec_hash}",
            "{spec-hash}-{date}",
            "-{spec-hash}",
            "{spec-hash}/x",
            "{spec-hash} ",
            "{spec-hash",
            &long,
        ],
    );
    assert_eq!(
        instead(&TAG_FORMAT, "{spec_hash}-dev").as_deref(),
        Some("{spec-hash}-dev")
    );
}

#[test]
fn references() {
    let digest = format!("debian@sha256:{}", "a".repeat(64));
    assert_rule(
        &REFERENCE,
        &[
            "debian",
            "nvidia/cuda:12.6.1-runtime",
            "localhost:5000/base:v1",
            "gcr.io/distroless/cc-debian13",
            &digest,
        ],
        &[
            "",
            "Debian",
            "debian:",
            "debian@sha256:12",
            "a//b",
            "https://ghcr.io/a",
            "debian:a b",
            "ghcr.io:x/a",
        ],
    );
}

#[test]
fn platforms() {
    assert_rule(
        &PLATFORM,
        &[
            "linux/amd64",
            "linux/arm64/v8",
            "linux/arm/v7",
            "linux/riscv64",
        ],
        &[
            "",
            "linux",
            "amd64",
            "linux/x86_64",
            "windows/amd64",
            "linux/amd64/",
            "linux/arm/7",
            "linux/arm/v7/x",
            "Linux/amd64",
        ],
    );
    for (typed, meant) in [
        ("linux/x86_64", "linux/amd64"),
        ("linux/aarch64", "linux/arm64"),
        ("linux/amd46", "linux/amd64"),
    ] {
        assert_eq!(instead(&PLATFORM, typed).as_deref(), Some(meant));
    }
}

#[test]
fn environment_variables_and_labels() {
    assert_rule(
        &ENV_NAME,
        &["A", "_a", "RUST_LOG", "a.b-c"],
        &["", "1A", "A=B", "A B", "ä"],
    );
    assert_rule(&IMAGE_ENV_NAME, &["RUST_LOG"], &["UNION_IMAGE_ID", "1A"]);
    assert_rule(
        &LABEL_NAME,
        &["org.opencontainers.image.source", "a"],
        &["", "a b", "a=b", "union.key", "a\n"],
    );
}

#[test]
fn apt_packages_features_and_words_are_not_options() {
    let pins = [
        "curl=7.88.1-10+deb12u5",
        "libpq5=17.*",
        "libssl3:arm64=3.?.*",
        "tree=1:2.1~rc1-1",
        "curl/trixie-backports",
        "a:amd64/stable",
    ];
    assert_rule(
        &APT_PACKAGE,
        &[&["libpq5", "g++", "libc6:arm64"][..], &pins].concat(),
        &[],
    );
    let refused = [
        "", "-y", "a b", "Curl", "a;b", "a=", "a/", "a/-t", "a=1/b", "a/b=1", "a=$(x)", "a=[0-9]",
        "lib*", "a-", "a=1 b", "a/b c",
    ];
    assert_rule(&APT_PACKAGE, &[], &refused);
    assert_rule(
        &WORD,
        &["numpy==2.0", "python>=3,<4"],
        &["", " ", "-r", "a\nb"],
    );
    assert_rule(
        &FEATURE,
        &["cuda", "dep/feature"],
        &["", "a,b", "a b", "--all"],
    );
    assert_rule(&SONAME, &["libpq.so.5"], &["", "/usr/lib/libpq.so.5", "-l"]);
    assert_rule(&GLOB, &["a/**/*.sql", "../shared/*"], &["", "/etc/*"]);
}

#[test]
fn users_and_paths_inside_of_an_image() {
    assert_rule(
        &USER,
        &["0", "1000:1000", "app", "app:1000", "_apt"],
        &["", ":", "1000:", "a b", "99999999999", "1a", "a:b:c"],
    );
    assert_rule(
        &DESTINATION,
        &["/app/", "app", "./", "a..b"],
        &["", "a/..", "/..", "a\nb"],
    );
    assert_rule(
        &IMAGE_ENV,
        &["", "a", "$A", "/b:${PATH}", "5$$"],
        &["$", "5$ each", "${A", "${A:-b}", "$1", "a\0"],
    );
    assert_rule(
        &ABSOLUTE,
        &["/", "/app/", "/a..b"],
        &["", "app", "/a/../b", "/..", "/a\nb"],
    );
}

#[test]
fn file_modes() {
    for (text, bits) in [
        ("0644", 0o644),
        ("644", 0o644),
        ("0o755", 0o755),
        ("07777", 0o7777),
        ("0", 0),
    ] {
        assert_eq!(mode(text), Some(bits), "{text}");
    }
    assert_rule(
        &MODE,
        &["0644"],
        &["", "0888", "10000", "rw", "-1", "+644", "0o"],
    );
}

#[test]
fn quantities_and_accelerators() {
    assert_rule(
        &QUANTITY,
        &["4", "500m", "1.5", "8Gi", "0", "100k"],
        &[
            "", "8GB", "-1", "1 Gi", "Gi", "1e3x", "1..2", "inf", "nan", "+1",
        ],
    );
    assert_eq!(instead(&QUANTITY, "8GB").as_deref(), Some("8G"));
    assert_eq!(instead(&QUANTITY, "8GiB").as_deref(), Some("8Gi"));
    assert_rule(
        &GPU,
        &["1", "A100:1", "A100 80G:8"],
        &["", "0", "A100", "A100:", ":1", "A100:x", "-1", "+1"],
    );
    assert_rule(&SHARED_MEMORY, &["auto", "1Gi"], &["automatic"]);
}

#[test]
fn words_of_a_task() {
    assert_rule(
        &TASK_NAME,
        &["my_task", "team.my-task", "_a", "9"],
        &["", "a b", "-a", "a/b"],
    );
    assert_rule(&VARIABLE, &["x", "_x1"], &["", "1x", "a-b", "ä"]);
    assert_rule(&SECRET_ENV, &["A", "_A1"], &["", "a", "1A", "A-B"]);
    assert_rule(
        &OBJECT,
        &["default", "sa-1", "a.b"],
        &["", "A", "a_b", "-a", "a-"],
    );
    assert_rule(
        &ADDRESS,
        &["https://a.b/{{.runName}}", "http://a"],
        &[
            "",
            "a.b",
            "https://",
            "https:///a",
            "ftp://a",
            "https://a b",
        ],
    );
    assert_rule(&DURATION, &["90s", "1h30m"], &["", "90", "1y"]);
    assert_rule(
        &TIMEZONE,
        &[
            "UTC",
            "Europe/Berlin",
            "Etc/GMT+8",
            "America/Argentina/Salta",
        ],
        &["", "utc", "Europe/", "Europe Berlin"],
    );
    assert_eq!(instead(&SECRET_ENV, "my-key").as_deref(), Some("MY_KEY"));
}

#[test]
fn cron_has_five_fields_within_their_bounds() {
    let fitting = [
        "* * * * *",
        "*/15 0-6,22 1,15 jan-MAR mon",
        "0 0 31 12 6",
        "? ? ? ? ?",
        "5-10/2 * * * *",
    ];
    assert_rule(
        &CRON,
        &fitting,
        &[
            "",
            "@daily",
            "* * * *",
            "* * * * * *",
            "60 * * * *",
            "* 24 * * *",
            "* * 0 * *",
            "* * * 13 *",
            "* * * * 7",
        ],
    );
    assert_rule(
        &CRON,
        &[],
        &[
            "*/0 * * * *",
            "5-1 * * * *",
            "a * * * *",
            "1,, * * * *",
            "1/ * * * *",
        ],
    );
}
