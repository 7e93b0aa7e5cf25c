//! Unreachable registries, servers that are no registries, and interrupted runs.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use union_tests::Project;
use union_tests::faulty_registry::{FaultyRegistry, Reply};
use union_tests::front_end::FrontEnd;
use union_tests::http::ReservedPort;
use union_tests::registry::Registry;
use union_tests::run::until_ended;

const SCRATCH: &str = "[package.metadata.union.images.default]\nbase-image = \"scratch\"\n";

fn project(host: &str) -> Project {
    Project::package("hello")
        .union(SCRATCH)
        .locked()
        .env("UNION_REGISTRY", format!("{host}/team"))
}

#[test]
fn unreachable_registry_is_reported_before_the_compile() {
    let free = ReservedPort::new();
    let host = free.host();
    let project = project(&host);
    project
        .run(["build"])
        .fails_with("U0403")
        .stderr_has(&format!("{host}/team/hello"))
        .compiles_nothing();
    assert!(!project.path("target/union/oci").exists());
}

/// A build script that notes its process and its end, and takes longer than any limit of these tests.
const SLOW_BUILD_SCRIPT: &str = r#"fn main() {
    std::fs::write("started.tmp", std::process::id().to_string()).unwrap();
    std::fs::rename("started.tmp", "started").unwrap();
    std::thread::sleep(std::time::Duration::from_secs(600));
    std::fs::write("ended", "").unwrap();
}
"#;

/// Waits for a condition, and returns whether it came true within ten seconds.
fn comes_true(condition: impl Fn() -> bool) -> bool {
    let begin = Instant::now();
    while !condition() && begin.elapsed() < Duration::from_secs(10) {
        std::thread::sleep(Duration::from_millis(5));
    }
    condition()
}

#[test]
fn a_denied_push_ends_the_compile() {
    let started = Arc::new(OnceLock::<PathBuf>::new());
    let marker = started.clone();
    // The answer waits until the compile is under way.
    let registry = FaultyRegistry::start(move |request, _| {
        if request.method != "POST" {
            return None;
        }
        comes_true(|| marker.get().is_some_and(|marker| marker.exists()));
        Some(Reply::error(403, "DENIED", "read-only").into())
    });
    let project = project(&registry.host()).file("build.rs", SLOW_BUILD_SCRIPT);
    started.set(project.path("started")).unwrap();
    project
        .run(["build"])
        .fails_with("U0402")
        .stderr_has("could not start an upload to")
        .stderr_lacks("U0301");
    assert!(
        project.path("started").exists(),
        "the compile was not tried"
    );
    assert!(!project.path("ended").exists(), "the compile was not ended");
    until_ended(&project.read("started"));
    assert!(registry.memory().manifests.is_empty());
}

#[test]
fn a_compile_error_does_not_wait_for_the_registry() {
    let over = Arc::new(AtomicBool::new(false));
    let held = over.clone();
    let registry = FaultyRegistry::start(move |request, _| {
        if request.method == "POST" {
            comes_true(|| held.load(Ordering::SeqCst));
        }
        None
    });
    let outcome = project(&registry.host())
        .file("src/main.rs", "fn main() { nothing }\n")
        .run(["build"]);
    assert_eq!(registry.count("DELETE", "/uploads/"), 0, "it was answered");
    over.store(true, Ordering::SeqCst);
    outcome.exits(101).stderr_has("cannot find value `nothing`");
}

#[test]
fn web_server_is_not_a_registry() {
    let server = FaultyRegistry::start(|_, _| {
        Some(
            Reply::status(200)
                .with("Content-Type", "text/html")
                .body("<h1>Welcome</h1>")
                .into(),
        )
    });
    project(&server.host())
        .run(["build"])
        .fails_with("U0404")
        .stderr_has(&server.host())
        .compiles_nothing();
}

#[test]
fn interrupted_upload_leaves_no_tag_and_next_run_finishes() {
    let stuck = Arc::new(AtomicBool::new(true));
    let held = stuck.clone();
    let registry = FaultyRegistry::start(move |request, _| {
        // The registry reads nothing of a blob while it is paused.
        while request.method == "PUT"
            && request.path.contains("/blobs/")
            && held.load(Ordering::SeqCst)
        {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        None
    });
    let project = project(&registry.host());
    let mut run = project.start(["build", "-v"]);
    run.until_stderr_has("Pushing");
    run.interrupt();
    run.wait().exits(130).stderr_has("U0007").stdout_is("");
    stuck.store(false, Ordering::SeqCst);
    assert!(registry.memory().manifests.is_empty(), "a tag was written");
    assert!(
        project.files_below("target/union/references").is_empty(),
        "the hand-over was put back"
    );
    assert!(
        project.files_below("target/union/results").is_empty(),
        "nothing is known of an image that is not there"
    );
    project
        .run(["build"])
        .succeeds()
        .compiles_nothing()
        .stderr_has("Published");
    project.run(["build"]).succeeds().stderr_has("Unchanged");
}

#[test]
fn image_is_pushed_through_a_body_size_limit() {
    const MIB: usize = 1 << 20;
    let registry = Registry::open();
    let front = FrontEnd::before(registry.host(), MIB);
    let project = project(&front.host());
    project.append("Cargo.toml", "copy = [\"weights\"]\n");
    // Numbers of a simple generator, which cannot be compressed.
    let weights: Vec<u8> = (0..3 * MIB as u64)
        .scan(1_u64, |state, _| {
            *state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            Some((*state >> 56) as u8)
        })
        .collect();
    project.write("weights", weights);
    project.run(["build"]).succeeds();
    let refused = front.refused();
    assert!(
        refused.iter().all(|line| line.starts_with("413 ")) && refused.len() <= 1,
        "{refused:?}"
    );
    project.run(["build"]).succeeds().stderr_has("Unchanged");
}
