//! Large files are read again only when they may have changed.

use std::fs::File;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use union_tests::Project;

const SIZE: usize = 200_000;

fn project() -> Project {
    Project::package("hello")
        .union("[package.metadata.union.images.default]\nbase-image = \"scratch\"\ncopy = [\"weights\"]\n")
        .file("weights", vec![b'a'; SIZE])
        .locked()
}

/// Changes the hash of a file in the cache: a plan shows whether the cache was used.
fn forge(project: &Project) {
    let directory = project.cache().join("notes/files-1");
    let mut forged = 0;
    for file in std::fs::read_dir(directory).unwrap() {
        let path = file.unwrap().path();
        let mut entries: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        if let Some(entry) = entries.get_mut("weights") {
            entry["hash"] = json!(vec![7; 32]);
            forged += 1;
        }
        std::fs::write(path, entries.to_string()).unwrap();
    }
    assert_eq!(forged, 1);
}

#[test]
fn unchanged_large_file_is_read_only_on_request() {
    let project = project();
    project.run(["build"]).succeeds();
    project.run(["plan"]).succeeds().stdout_has("unchanged");
    forge(&project);
    project.run(["plan"]).succeeds().stdout_has("copy weights");
    project
        .run(["plan", "--rehash"])
        .succeeds()
        .stdout_has("unchanged");
    // The new hash is cached.
    project.run(["plan"]).succeeds().stdout_has("unchanged");
    forge(&project);
    project
        .run(["build", "--rehash"])
        .succeeds()
        .stderr_has("Unchanged");
}

#[test]
fn edit_with_old_mtime_and_same_size_is_noticed() {
    let project = project();
    let old = SystemTime::now() - Duration::from_secs(86_400 * 1000);
    let set_back = || {
        File::options()
            .append(true)
            .open(project.path("weights"))
            .unwrap()
            .set_modified(old)
            .unwrap()
    };
    set_back();
    project.run(["build"]).succeeds();
    project.write("weights", vec![b'b'; SIZE]);
    set_back();
    project.run(["plan"]).succeeds().stdout_has("copy weights");
    project.run(["build"]).succeeds();
    project.run(["plan"]).succeeds().stdout_has("unchanged");
}
