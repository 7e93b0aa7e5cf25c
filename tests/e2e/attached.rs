//! Bills of materials and provenance that are attached to pushed images, and `verify`, which reads them.

use std::process::Command;

use serde_json::{Value, json};
use union_tests::Project;
use union_tests::base::debian;
use union_tests::faulty_registry::{FaultyRegistry, Reply, digest};
use union_tests::stub::official_python;

use crate::setup::{Setup, push_base};

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
fn with_api() -> FaultyRegistry {
    let registry = FaultyRegistry::without_faults();
    registry.memory().referrers_page = 10;
    registry
}

/// The attached documents by their type.
fn documents(registry: &FaultyRegistry) -> Vec<(String, Value)> {
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
fn image_digest(registry: &FaultyRegistry) -> String {
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
    assert_eq!(greeting, union_tests::faulty_registry::digest(b"hello"));
    let source = std::fs::read(project.path("src/main.rs")).unwrap();
    assert_eq!(
        inputs["src/main.rs"],
        union_tests::faulty_registry::digest(&source)
    );

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

/// A program on a base, pushed to another registry.
fn on_base(registry: &FaultyRegistry, base: &str, settings: &str) -> Project {
    Project::package("hello")
        .union(&format!(
            "[package.metadata.union]\nregistry = \"{}/team\"\n",
            registry.host()
        ))
        .union(&format!(
            "[package.metadata.union.images.default]\nbase-image = {base:?}\n{settings}"
        ))
        .locked()
}

fn bill(project: &Project) -> Value {
    serde_json::from_str(&project.read("sbom.json")).unwrap()
}

/// Validates a bill of materials by the schema, with a package that is not of this repository.
fn validate(project: &Project) {
    let code = "import sys\n\
                from cyclonedx.schema import SchemaVersion\n\
                from cyclonedx.validation.json import JsonStrictValidator\n\
                print(JsonStrictValidator(SchemaVersion.V1_6).validate_str(open(sys.argv[1]).read()))\n";
    let file = project.path("sbom.json");
    let problem = official_python(code, &[file.to_str().unwrap()]);
    assert_eq!(problem.trim(), "None");
}

#[test]
fn packages_of_a_base_are_attached_and_equal_for_an_existing_image() {
    let bases = Setup::new().with_debian("library/debian:bookworm");
    let registry = with_api();
    let base = bases.reference("library/debian:bookworm");
    let project = on_base(&registry, &base, "");
    project.run(["build"]).succeeds();
    let attached = documents(&registry).remove(0).1;
    project
        .run(["build", "--sbom", "sbom.json"])
        .succeeds()
        .stderr_has("Unchanged")
        .stderr_lacks("note:");
    assert_eq!(bill(&project), attached);
    validate(&project);
    let extracted = Command::new("tar")
        .args(["-xOf", debian("bookworm", &[]).to_str().unwrap()])
        .arg("./var/lib/dpkg/status")
        .output()
        .unwrap();
    let status = String::from_utf8(extracted.stdout).unwrap();
    let (_, libc) = status.split_once("Package: libc6\n").unwrap();
    let (_, version) = libc.split_once("\nVersion: ").unwrap();
    let version = version.lines().next().unwrap();
    let purl = format!(
        "pkg:deb/debian/libc6@{}?arch=amd64&distro=debian-12",
        version.replace('+', "%2B")
    );
    let below = &attached["dependencies"][1];
    assert_eq!(below["ref"], "base");
    let below = below["dependsOn"].as_array().unwrap();
    assert!(below.contains(&json!(purl)), "{purl}: {below:?}");
    assert_eq!(attached["compositions"][0]["aggregate"], "complete");
}

#[test]
fn no_layer_is_downloaded_for_an_attached_bill_and_a_missing_one_is_noted() {
    let registry = with_api();
    let base = format!("{}/library/base:1", registry.host());
    push_base(&base, "one", &[]);
    let static_program = "build = { link = \"static\" }\n";
    let project = on_base(&registry, &base, static_program);
    let layers = |registry: &FaultyRegistry| registry.count("GET", "/library/base/blobs/");
    let own = layers(&registry);
    project
        .run(["build", "-v"])
        .succeeds()
        .stderr_has("their layers are not on this machine")
        .stderr_lacks("note:");
    let incomplete = json!([{"aggregate": "incomplete", "dependencies": ["base"]}]);
    assert_eq!(documents(&registry)[0].1["compositions"], incomplete);
    assert_eq!(layers(&registry) - own, 1, "the config");
    let blobs = registry.memory().blobs.clone();
    registry
        .memory()
        .blobs
        .retain(|(repository, _), _| repository != "library/base");
    project
        .run(["build", "--sbom", "sbom.json"])
        .succeeds()
        .stderr_has("note: the bill of materials of image `default` lists no packages of its base and environment: [U0301]");
    assert_eq!(bill(&project)["compositions"], incomplete);
    validate(&project);
    registry.memory().blobs = blobs;
    project.run(["build", "--sbom", "sbom.json"]).succeeds();
    assert_eq!(bill(&project)["compositions"][0]["aggregate"], "complete");
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
    let registry = FaultyRegistry::start(|request, _| {
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

/// Changes one letter of what the registry holds under a digest: from `s` to `r`, or back.
fn flip(registry: &FaultyRegistry, digest: &str, place: Option<usize>) -> usize {
    let mut memory = registry.memory();
    let key = ("team/hello".to_owned(), digest.to_owned());
    let bytes = match memory.blobs.contains_key(&key) {
        true => memory.blobs.get_mut(&key).unwrap(),
        false => &mut memory.manifests.get_mut(&key).unwrap().1,
    };
    let place = place.unwrap_or_else(|| bytes.iter().rposition(|byte| *byte == b's').unwrap());
    bytes[place] ^= 1;
    place
}

/// The digest of the document of a type, and that of its manifest.
fn document_digests(registry: &FaultyRegistry, kind: &str) -> (String, String) {
    let memory = registry.memory();
    let mut found = memory
        .manifests
        .iter()
        .filter_map(|((_, reference), (_, bytes))| {
            let manifest: Value = serde_json::from_slice(bytes).unwrap();
            let layer = manifest["layers"][0]["digest"].as_str()?.to_owned();
            (manifest["artifactType"] == kind).then(|| (layer, reference.clone()))
        });
    found.next().unwrap()
}

fn pinned(registry: &FaultyRegistry) -> String {
    format!("{}/team/hello@{}", registry.host(), image_digest(registry))
}

#[test]
fn verify_compares_an_image_with_another_checkout() {
    let registry = with_api();
    project(&registry.host(), "").run(["build"]).succeeds();
    let checkout = project(&registry.host(), "");
    let reference = pinned(&registry);
    checkout
        .run(["verify", &reference])
        .succeeds()
        .stdout_has(&format!("identical: {reference} has the key "))
        .compiles_nothing();
    assert!(!checkout.path("Union.lock").exists());
    checkout.edit("src/main.rs", "fn main()", "fn  main()");
    checkout
        .run(["verify", &reference])
        .exits(1)
        .stdout_has("\n  src/main.rs: sha256:");
    let result = checkout
        .run(["verify", &reference, "--format", "json"])
        .exits(1)
        .json();
    assert_eq!(result["identical"], false);
    assert_eq!(result["difference"]["input"], "src/main.rs");
    assert_eq!(result["inputs_from"], "provenance");
}

#[test]
fn verify_rebuild_compares_the_digests_of_equal_keys() {
    let registry = with_api();
    project(&registry.host(), "").run(["build"]).succeeds();
    let checkout = project(&registry.host(), "");
    let reference = pinned(&registry);
    let rebuild = |reference: &str| checkout.run(["verify", reference, "--rebuild"]);
    let writes = registry.count("PUT", "");
    rebuild(&reference)
        .succeeds()
        .stdout_has("identical: ")
        .stdout_has("rebuilt: hello default has the same digest");
    // The manifest with another annotation, under another digest: the key is equal.
    let changed = {
        let mut memory = registry.memory();
        let name = "team/hello".to_owned();
        let (kind, bytes) = memory.manifests[&(name.clone(), image_digest_of(&reference))].clone();
        let mut manifest: Value = serde_json::from_slice(&bytes).unwrap();
        manifest["annotations"]["changed"] = "yes".into();
        let bytes = serde_json::to_vec(&manifest).unwrap();
        let digest = digest(&bytes);
        let key = (name, digest.clone());
        memory.manifests.insert(key, (kind, bytes));
        format!("{}/team/hello@{digest}", registry.host())
    };
    rebuild(&changed)
        .exits(1)
        .stdout_has("identical: ")
        .stdout_has("rebuilt: hello default has another digest, sha256:");
    let document = checkout.run(["verify", &changed, "--rebuild", "--format", "json"]);
    let rebuilt = document.exits(1).json()["rebuilt"].clone();
    assert_eq!(rebuilt["identical"], false);
    assert!(reference.ends_with(rebuilt["digest"].as_str().unwrap()));
    checkout.edit("src/main.rs", "fn main()", "fn  main()");
    rebuild(&reference)
        .exits(1)
        .stdout_lacks("rebuilt")
        .compiles_nothing();
    assert_eq!(registry.count("PUT", ""), writes);
}

/// The digest of a reference by digest.
fn image_digest_of(reference: &str) -> String {
    reference.split_once('@').unwrap().1.to_owned()
}

#[test]
fn verify_knows_inputs_without_provenance_only_from_the_build_record() {
    let setup = Setup::new();
    let builder = project(setup.registry.host(), "");
    let built = builder.run(["build", "--format", "json"]).succeeds().json();
    let reference = built["images"][0]["location"].as_str().unwrap();
    builder.run(["verify", reference]).succeeds();
    builder.edit("src/main.rs", "fn main()", "fn  main()");
    builder
        .run(["verify", reference])
        .exits(1)
        .stdout_has("\n  src/main.rs: ");
    let checkout = project(setup.registry.host(), "");
    checkout.edit("src/main.rs", "fn main()", "fn  main()");
    checkout
        .run(["verify", reference])
        .exits(1)
        .stdout_has("`attest = true`")
        .stdout_lacks("src/main.rs");
}

#[test]
fn verify_refuses_a_flipped_byte() {
    let registry = with_api();
    project(&registry.host(), "").run(["build"]).succeeds();
    let checkout = project(&registry.host(), "");
    let reference = pinned(&registry);
    let image = image_digest(&registry);
    let config = {
        let memory = registry.memory();
        let (_, manifest) = &memory.manifests[&("team/hello".to_owned(), image.clone())];
        let manifest: Value = serde_json::from_slice(manifest).unwrap();
        manifest["config"]["digest"].as_str().unwrap().to_owned()
    };
    let (statement, manifest) = document_digests(&registry, "application/vnd.in-toto+json");
    let (bill, _) = document_digests(&registry, "application/vnd.cyclonedx+json");
    for digest in [image, config, statement, manifest, bill] {
        let place = flip(&registry, &digest, None);
        checkout
            .run(["verify", &reference])
            .fails_with("U0407")
            .stderr_has("could not read");
        flip(&registry, &digest, Some(place));
    }
    checkout.run(["verify", &reference]).succeeds();
}

#[test]
fn verify_names_what_it_cannot_compare() {
    let registry = with_api();
    let project = project(&registry.host(), "");
    let reference = |name: &str| format!("{}/team/{name}", registry.host());
    project
        .run(["verify", &reference("hello:none")])
        .fails_with("U0418")
        .stderr_has("there is no image");
    project
        .run(["verify", &reference("other:none")])
        .fails_with("U0418")
        .stderr_has("`team/other`")
        .stderr_has("`default`");
    project
        .run(["verify", &reference("hello@sha256:0")])
        .fails_with("U0120")
        .stderr_has("the digest is not");
    registry.memory().put_blob("team/hello", b"{}");
    let digest = union_tests::faulty_registry::digest(b"{}");
    let manifest = format!(
        "{{\"schemaVersion\":2,\"config\":{{\"mediaType\":\"a/b\",\"digest\":\"{digest}\",\"size\":2}},\"layers\":[]}}"
    );
    let kind = "application/vnd.oci.image.manifest.v1+json";
    registry
        .memory()
        .put_manifest("team/hello", "foreign", kind, manifest.as_bytes());
    project
        .run(["verify", &reference("hello:foreign")])
        .fails_with("U0418")
        .stderr_has("it has no key");
}
