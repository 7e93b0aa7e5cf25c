//! Registries that are down, that are none, and runs that are cut off.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use union_tests::Project;
use union_tests::hostile::{Hostile, Reply};

const SCRATCH: &str = "[package.metadata.union.images.default]\nbase-image = \"scratch\"\n";

fn project(host: &str) -> Project {
    Project::package("hello")
        .union(SCRATCH)
        .locked()
        .env("UNION_REGISTRY", format!("{host}/team"))
}

#[test]
fn a_registry_that_is_down_is_told_before_anything_is_compiled() {
    // A port that was free a moment ago, and which nobody listens at.
    let host = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .to_string();
    let project = project(&host);
    project
        .run(["build"])
        .fails_with("U0403")
        .stderr_has(&format!("{host}/team/hello"))
        .compiles_nothing();
    assert!(!project.path("target/union/oci").exists());
}

#[test]
fn a_web_server_is_no_registry() {
    let server = Hostile::start(|_, _| {
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
fn an_interrupted_upload_leaves_no_tag_and_the_next_run_finishes() {
    let stuck = Arc::new(AtomicBool::new(true));
    let held = stuck.clone();
    let registry = Hostile::start(move |request, _| {
        // Nothing of a blob is taken while the registry is stuck.
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
