use super::*;
use crate::diag::Severity;

/// Which texts a rule takes and which it refuses.
fn judge(rule: &GrammarRule, good: &[&str], bad: &[&str]) {
    let problem = |text: &str| rule.problem(text, &Origin::Default);
    for text in good {
        assert_eq!(problem(text), None, "{text}");
    }
    for text in bad {
        let problem = problem(text).unwrap_or_else(|| panic!("`{text}` was taken for {}", rule.what));
        assert_eq!((problem.code, problem.severity), (rule.code, Severity::Error));
        assert!(problem.help.is_some(), "{text}");
    }
}

/// What a rule proposes instead.
fn instead(rule: &GrammarRule, text: &str) -> Option<String> {
    (rule.check)(text).err()?.instead
}

#[test]
fn registries() {
    let good = ["ghcr.io", "ghcr.io/my-org", "localhost:5000", "localhost/a", "127.0.0.1:5000/a/b", "[::1]:5000/a", "a.b/c_d/e--f"];
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
    judge(&REGISTRY, &good, &bad);
    assert_eq!(instead(&REGISTRY, "https://ghcr.io/a/").as_deref(), Some("ghcr.io/a"));
    assert_eq!(instead(&REGISTRY, "ghcr.io/My-Org").as_deref(), Some("ghcr.io/my-org"));
    judge(&HOST, &["ghcr.io", "localhost:5000", "registry"], &["ghcr.io/a", "http://a.b", "", "a:b"]);
}

#[test]
fn image_names_and_their_nearest_legal_form() {
    judge(&IMAGE_NAME, &["app", "a/b", "a__b", "a-b.c", "0"], &["", "App", "-a", "a-", "a..b", "a___b", "a/", "a b", "ä"]);
    assert_eq!(instead(&IMAGE_NAME, "My App").as_deref(), Some("my-app"));
    judge(&IMAGE_KEY, &["gpu", "my-gpu", "My_2"], &["", "1", "a.b", "-a", "ä"]);
}

#[test]
fn tag_formats() {
    let long = format!("{}{{spec-hash}}", "a".repeat(103));
    judge(
        &TAG_FORMAT,
        &["{spec-hash}", "{spec-hash}-dev", "v1.{spec-hash}", &format!("{}{{spec-hash}}", "a".repeat(102))],
        &["", "latest", "{spec_hash}", "{spec-hash}-{date}", "-{spec-hash}", "{spec-hash}/x", "{spec-hash} ", "{spec-hash", &long],
    );
    assert_eq!(instead(&TAG_FORMAT, "{spec_hash}-dev").as_deref(), Some("{spec-hash}-dev"));
}

#[test]
fn references() {
    let digest = format!("debian@sha256:{}", "a".repeat(64));
    judge(
        &REFERENCE,
        &["debian", "nvidia/cuda:12.6.1-runtime", "localhost:5000/base:v1", "gcr.io/distroless/cc-debian13", &digest],
        &["", "Debian", "debian:", "debian@sha256:12", "a//b", "https://ghcr.io/a", "debian:a b", "ghcr.io:x/a"],
    );
}

#[test]
fn platforms() {
    judge(
        &PLATFORM,
        &["linux/amd64", "linux/arm64/v8", "linux/arm/v7", "linux/riscv64"],
        &["", "linux", "amd64", "linux/x86_64", "windows/amd64", "linux/amd64/", "linux/arm/7", "linux/arm/v7/x", "Linux/amd64"],
    );
    for (typed, meant) in [("linux/x86_64", "linux/amd64"), ("linux/aarch64", "linux/arm64"), ("linux/amd46", "linux/amd64")] {
        assert_eq!(instead(&PLATFORM, typed).as_deref(), Some(meant));
    }
}

#[test]
fn environment_variables_and_labels() {
    judge(&ENV_NAME, &["A", "_a", "RUST_LOG", "a.b-c"], &["", "1A", "A=B", "A B", "ä"]);
    judge(&IMAGE_ENV_NAME, &["RUST_LOG"], &["UNION_IMAGE_ID", "1A"]);
    judge(&LABEL_NAME, &["org.opencontainers.image.source", "a"], &["", "a b", "a=b", "union.key", "a\n"]);
}

#[test]
fn packages_features_and_words_cannot_become_options() {
    let pins =
        ["curl=7.88.1-10+deb12u5", "libpq5=17.*", "libssl3:arm64=3.?.*", "tree=1:2.1~rc1-1", "curl/trixie-backports", "a:amd64/stable"];
    judge(&APT_PACKAGE, &[&["libpq5", "g++", "libc6:arm64"][..], &pins].concat(), &[]);
    let refused =
        ["", "-y", "a b", "Curl", "a;b", "a=", "a/", "a/-t", "a=1/b", "a/b=1", "a=$(x)", "a=[0-9]", "lib*", "a-", "a=1 b", "a/b c"];
    judge(&APT_PACKAGE, &[], &refused);
    judge(&WORD, &["numpy==2.0", "python>=3,<4"], &["", " ", "-r", "a\nb"]);
    judge(&FEATURE, &["cuda", "dep/feature"], &["", "a,b", "a b", "--all"]);
    judge(&SONAME, &["libpq.so.5"], &["", "/usr/lib/libpq.so.5", "-l"]);
    judge(&GLOB, &["a/**/*.sql", "../shared/*"], &["", "/etc/*"]);
}

#[test]
fn users_and_paths_inside_of_an_image() {
    judge(&USER, &["0", "1000:1000", "app", "app:1000", "_apt"], &["", ":", "1000:", "a b", "99999999999", "1a", "a:b:c"]);
    judge(&DESTINATION, &["/app/", "app", "./", "a..b"], &["", "a/..", "/..", "a\nb"]);
    judge(&IMAGE_ENV, &["", "a", "$A", "/b:${PATH}", "5$$"], &["$", "5$ each", "${A", "${A:-b}", "$1", "a\0"]);
    judge(&ABSOLUTE, &["/", "/app/", "/a..b"], &["", "app", "/a/../b", "/..", "/a\nb"]);
}

#[test]
fn file_modes() {
    for (text, bits) in [("0644", 0o644), ("644", 0o644), ("0o755", 0o755), ("07777", 0o7777), ("0", 0)] {
        assert_eq!(mode(text), Some(bits), "{text}");
    }
    judge(&MODE, &["0644"], &["", "0888", "10000", "rw", "-1", "+644", "0o"]);
}

#[test]
fn quantities_and_accelerators() {
    judge(&QUANTITY, &["4", "500m", "1.5", "8Gi", "0", "100k"], &["", "8GB", "-1", "1 Gi", "Gi", "1e3x", "1..2", "inf", "nan", "+1"]);
    assert_eq!(instead(&QUANTITY, "8GB").as_deref(), Some("8G"));
    assert_eq!(instead(&QUANTITY, "8GiB").as_deref(), Some("8Gi"));
    judge(&GPU, &["1", "A100:1", "A100 80G:8"], &["", "0", "A100", "A100:", ":1", "A100:x", "-1", "+1"]);
    judge(&SHARED_MEMORY, &["auto", "1Gi"], &["automatic"]);
}

#[test]
fn words_of_a_task() {
    judge(&TASK_NAME, &["my_task", "team.my-task", "_a", "9"], &["", "a b", "-a", "a/b"]);
    judge(&VARIABLE, &["x", "_x1"], &["", "1x", "a-b", "ä"]);
    judge(&SECRET_ENV, &["A", "_A1"], &["", "a", "1A", "A-B"]);
    judge(&OBJECT, &["default", "sa-1", "a.b"], &["", "A", "a_b", "-a", "a-"]);
    judge(&ADDRESS, &["https://a.b/{{.runName}}", "http://a"], &["", "a.b", "https://", "https:///a", "ftp://a", "https://a b"]);
    judge(&DURATION, &["90s", "1h30m"], &["", "90", "1y"]);
    judge(&TIMEZONE, &["UTC", "Europe/Berlin", "Etc/GMT+8", "America/Argentina/Salta"], &["", "utc", "Europe/", "Europe Berlin"]);
    assert_eq!(instead(&SECRET_ENV, "my-key").as_deref(), Some("MY_KEY"));
}

#[test]
fn schedules_have_five_fields_within_their_bounds() {
    let fitting = ["* * * * *", "*/15 0-6,22 1,15 jan-MAR mon", "0 0 31 12 6", "? ? ? ? ?", "5-10/2 * * * *"];
    judge(&CRON, &fitting, &["", "@daily", "* * * *", "* * * * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "* * * * 7"]);
    judge(&CRON, &[], &["*/0 * * * *", "5-1 * * * *", "a * * * *", "1,, * * * *", "1/ * * * *"]);
}
