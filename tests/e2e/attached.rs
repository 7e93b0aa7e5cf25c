//! Bills of materials and provenance that are attached to pushed images, and `verify`, which reads them.

use serde_json::Value;
use union_tests::Project;
use union_tests::hostile::{Hostile, Reply};

use crate::setup::Setup;

const SCRATCH: &str = "[package.metadata.union.images.default]\nbase-image = \"scratch\"\nenv = { GREETING = \"hello\" }\n";

fn project(host: &str, settings: &str) -> Project {
    Project::package("hello")
        .union(&format!(
            "[package.metadata.union]\nregistry = \"{host}/team\"\n{settings}"
        ))
        .union(SCRATCH)
        .locked()
}

/// A registry with the referrers API.
fn with_api() -> Hostile {
    let registry = Hostile::obedient();
    registry.memory().referrers_page = 10;
    registry
}

/// The attached documents by their type.
fn documents(registry: &Hostile) -> Vec<(String, Value)> {
    let memory = registry.memory();
    let documents = memory.manifests.values().filter_map(|(_, bytes)| {
        let manifest: Value = serde_json::from_slice(bytes).unwrap();
        let kind = manifest["artifactType"].as_str()?.to_owned();
        let digest = manifest["layers"][0]["digest"].as_str()?.to_owned();
        let blob = &memory.blobs[&("team/hello".to_owned(), digest)];
        Some((kind, serde_json::from_slice(blob).unwrap()))
    });
    let mut documents: Vec<(String, Value)> = documents.collect();
    documents.sort_by(|(one, _), (other, _)| one.cmp(other));
    documents.dedup();
    documents
}

/// The digest of the only image.
fn image_digest(registry: &Hostile) -> String {
    let memory = registry.memory();
    let mut images = memory
        .manifests
        .iter()
        .filter(|((_, reference), (_, bytes))| {
            let manifest: Value = serde_json::from_slice(bytes).unwrap();
            reference.starts_with("sha256:") && manifest["artifactType"].is_null()
        });
    images.next().unwrap().0.1.clone()
}

#[test]
fn documents_are_attached_after_the_push_and_not_again() {
    let registry = with_api();
    let project = project(&registry.host(), "");
    project.run(["build"]).succeeds();
    let documents = documents(&registry);
    let kinds: Vec<&str> = documents.iter().map(|(kind, _)| kind.as_str()).collect();
    assert_eq!(
        kinds,
        [
            "application/vnd.cyclonedx+json",
            "application/vnd.in-toto+json"
        ]
    );
    let statement = &documents[1].1;
    let subject = &statement["subject"][0];
    assert_eq!(subject["name"], format!("{}/team/hello", registry.host()));
    let digest = image_digest(&registry);
    assert_eq!(
        format!("sha256:{}", subject["digest"]["sha256"].as_str().unwrap()),
        digest
    );
    let inputs = &statement["predicate"]["buildDefinition"]["internalParameters"]["inputs"];
    let greeting = inputs["env GREETING"].as_str().unwrap();
    assert_eq!(greeting, union_tests::hostile::digest(b"hello"));
    let source = std::fs::read(project.path("src/main.rs")).unwrap();
    assert_eq!(inputs["src/main.rs"], union_tests::hostile::digest(&source));

    let before = (
        registry.count("PUT", ""),
        registry.count("GET", "/referrers/"),
    );
    project.run(["build"]).succeeds().stderr_has("Unchanged");
    let after = (
        registry.count("PUT", ""),
        registry.count("GET", "/referrers/"),
    );
    assert_eq!(before, after);
}

#[test]
fn nothing_is_asked_with_attest_off() {
    let registry = with_api();
    let project = project(&registry.host(), "attest = false\n");
    project.run(["build"]).succeeds();
    assert_eq!(registry.count("GET", "/referrers/"), 0);
    assert!(documents(&registry).is_empty());
}

/// The number of tags that hold lists of documents.
fn fallback_tags(setup: &Setup) -> usize {
    let tags = setup.tags("team/hello");
    tags.iter().filter(|tag| tag.starts_with("sha256-")).count()
}

#[test]
fn registry_without_the_api_gets_a_fallback_tag_only_with_attest() {
    let setup = Setup::new();
    let silent = project(setup.registry.host(), "");
    silent.run(["build"]).succeeds().stderr_lacks("warning");
    assert_eq!(fallback_tags(&setup), 0);
    let asked = project(setup.registry.host(), "attest = true\n");
    asked.run(["build", "--rebuild"]).succeeds();
    assert_eq!(fallback_tags(&setup), 1);
}

#[test]
fn refused_document_is_a_warning() {
    let registry = Hostile::start(|request, _| {
        let is_document = request.method == "PUT" && request.path.contains("/manifests/sha256:");
        is_document.then(|| Reply::error(403, "DENIED", "no \u{1b}[31msubjects").into())
    });
    registry.memory().referrers_page = 10;
    let outcome = project(&registry.host(), "").run(["build"]).succeeds();
    outcome
        .stderr_has("could be attached")
        .stderr_has("U0402")
        .stderr_has("subjects")
        .stderr_has("`attest = false`");
}
