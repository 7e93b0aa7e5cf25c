//! Bad days: each ends in an error that says what to do, and leaves nothing half-made.

use union_tests::Project;
use union_tests::hostile::Hostile;
use union_tests::http::{Reply, Server};
use union_tests::registry::Registry;

use crate::world::{SmallDisk, tags};

fn scratch(registry: &str) -> Project {
    let table = format!(
        "[package.metadata.union]\nregistry = \"{registry}/acme\"\n\n[package.metadata.union.images.default]\nbase-image = \"scratch\"\n"
    );
    Project::package("hello").union(&table).locked()
}

#[test]
fn a_registry_that_is_down_is_found_before_the_compile() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    scratch(&nobody).run(["build"]).fails_with("U0403").stderr_has(&nobody).stderr_has("acme/hello").compiles_nothing();
}

#[test]
fn a_web_page_is_not_taken_for_a_registry() {
    let page = Server::start(|_, _| Reply::status(200).with("content-type", "text/html").body("<html>welcome</html>"));
    scratch(&page.host()).run(["build"]).fails_with("U0404").stderr_has(&page.host()).compiles_nothing();
}

#[test]
fn a_full_disk_leaves_nothing_and_the_next_run_goes_on() {
    let (registry, disk) = (Registry::open(), SmallDisk::new("64k"));
    let project = scratch(registry.host()).env("UNION_CACHE_DIR", disk.path().display().to_string());
    project.run(["build"]).fails_with("U0006").stderr_has(&disk.path().display().to_string()).stderr_has("Free some space");
    assert!(tags(&registry, "acme/hello").is_empty());
    disk.grow("64m");
    project.run(["build"]).succeeds();
    assert_eq!(tags(&registry, "acme/hello").len(), 1);
}

#[test]
fn a_target_folder_that_cannot_be_written_is_named() {
    let registry = Registry::open();
    let project = scratch(registry.host()).file("target/union", "a file where a folder is needed");
    project.run(["build"]).fails_with("U0005").stderr_has("target/union");
    assert!(tags(&registry, "acme/hello").is_empty());
}

#[test]
fn an_engine_that_is_away_is_an_error_that_says_what_was_tried() {
    let registry = Registry::open();
    let project = scratch(registry.host()).env("DOCKER_HOST", "unix:///nowhere/docker.sock");
    project.run(["build", "--output", "docker:"]).fails_with("U0414").stderr_has("unix:///nowhere/docker.sock").stderr_has("--output");
}

#[test]
fn an_interrupted_upload_leaves_no_tag_and_the_next_run_continues() {
    let (arrived, arrival) = std::sync::mpsc::channel();
    let mut stalled = false;
    let registry = Hostile::start(move |request, _| {
        if request.method == "PUT" && request.path.contains("/blobs/uploads/") && !stalled {
            stalled = true;
            arrived.send(()).unwrap();
            std::thread::sleep(std::time::Duration::from_secs(3));
        }
        None
    });
    let project = scratch(&registry.host());
    let run = project.start(["build"]);
    arrival.recv().unwrap();
    run.interrupt();
    run.wait().exits(130).stderr_has("U0007").stderr_has("Run it again");
    assert!(registry.memory().manifests.is_empty(), "a tag was written");
    assert!(project.files_below("target/union/references").is_empty(), "the hand-over was put back");
    project.run(["build"]).succeeds().compiles_nothing();
    assert!(!registry.memory().manifests.is_empty());
}
