//! What all destinations of images have in common: a registry and a layout, which this machine builds for, and the remote
//! builder.

use std::fs;

use serde_json::Value;
use union_tests::Project;
use union_tests::registry::Registry;
use union_tests::stub::Stub;

use crate::remote_build::base;
use crate::setup::{Setup, TYPED};

/// Where the images of a project go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Destination {
    Registry,
    Layout,
    Remote,
}

/// The only image of a command that prints documents.
fn image(project: &Project, words: &[&str]) -> Value {
    let words = [words, &["--format", "json"]].concat();
    let document = project.run(words).succeeds().json();
    document["images"][0].clone()
}

fn keeps_the_contract(destination: Destination) {
    let registry = Registry::open();
    base(&registry);
    let backend = Stub::building(registry.host(), "");
    let setup = Setup { registry, backend };
    let place = match destination {
        Destination::Registry => format!("registry = \"{}/team\"\n", setup.registry.host()),
        Destination::Layout => String::new(),
        Destination::Remote => "builder = \"remote\"\n".to_owned(),
    };
    let manifest = format!(
        "[package.metadata.union]\nproject = \"flytesnacks\"\ndomain = \"development\"\n{place}\
         [package.metadata.union.build]\nlink = \"static\"\n\
         [package.metadata.union.images.default]\nbase-image = \"{}/library/base:1\"\n",
        setup.registry.host()
    );
    let project = Project::package("hello")
        .union(&manifest)
        .union(TYPED)
        .locked();
    let project = setup.with_backend(project);
    let layout = project.path("target/union/oci/hello/blobs/sha256");
    let sent = || {
        let files = fs::read_dir(&layout).map_or(0, Iterator::count);
        let backend = (setup.backend.puts().len(), setup.backend.runs().len());
        (setup.registry.writes().len(), backend, files)
    };

    // Plans and dry runs send nothing, and the image is still missing.
    let before = sent();
    let planned = image(&project, &["plan"]);
    assert_ne!(planned["action"], "reuse", "{destination:?}: {planned}");
    if destination != Destination::Layout {
        // A cluster cannot pull from a layout.
        project.run(["register", "--dry-run"]).succeeds();
    }
    assert_ne!(image(&project, &["plan"])["action"], "reuse");
    assert_eq!(sent(), before, "{destination:?}");

    let built = image(&project, &["build"]);
    assert_eq!(built["tag"], planned["tag"]);
    let digest = built["digest"].as_str().expect("a digest").to_owned();
    let after = sent();
    assert_ne!(after, before, "{destination:?}");

    // It is found again, also by a machine without a record of the build.
    assert_eq!(image(&project, &["plan"])["action"], "reuse");
    let again = project.run(["build"]).succeeds().compiles_nothing();
    again.stderr_has("Unchanged default");
    fs::remove_dir_all(project.path("target/union/results")).unwrap();
    let found = image(&project, &["build"]);
    assert_eq!(found["action"], "reuse", "{destination:?}: {found}");
    assert_eq!(found["digest"], *digest, "{destination:?}");
    assert_eq!(sent(), after, "{destination:?}");

    // Built again on request, under the same tag.
    let rebuilt = image(&project, &["build", "--rebuild"]);
    assert_eq!(rebuilt["tag"], built["tag"]);
    assert_ne!(rebuilt["action"], "reuse", "{destination:?}");
}

#[test]
fn registry_keeps_the_contract_of_image_backends() {
    keeps_the_contract(Destination::Registry);
}

#[test]
fn layout_keeps_the_contract_of_image_backends() {
    keeps_the_contract(Destination::Layout);
}

#[test]
fn remote_builder_keeps_the_contract_of_image_backends() {
    keeps_the_contract(Destination::Remote);
}
