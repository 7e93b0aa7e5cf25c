#![allow(clippy::unwrap_used)]

use super::*;
use crate::image::reference::Repository;
use union_build::key::{Inputs, Value};

fn pinned(name: &str) -> PinnedRef {
    Repository::below("ghcr.io/acme", name).pinned(Digest::of(name))
}

fn document(revision: Option<&str>) -> (ImageDocument, BTreeMap<String, Value>) {
    let inputs = BTreeMap::from([
        ("env TOKEN".to_owned(), Value::hash_of("secret")),
        ("features".to_owned(), Value::texts(["a", "b"])),
        ("user".to_owned(), Value::from("nobody")),
    ]);
    let document = provenance(&ProvenanceSubject {
        image: &pinned("app"),
        package: "hello",
        name: "default",
        platforms: &[Platform::new("linux", "amd64", None)],
        revision,
        base: Some(&pinned("base")),
        key: Inputs::new().key("image"),
        inputs: &inputs,
    });
    (document, inputs)
}

#[test]
fn provenance_has_the_fields_of_slsa() {
    let (document, _) = document(Some("abc"));
    let value: serde_json::Value = serde_json::from_slice(&document.bytes).unwrap();
    assert_eq!(value["_type"], STATEMENT);
    assert_eq!(value["predicateType"], PREDICATE);
    assert_eq!(
        value["subject"][0]["digest"]["sha256"],
        Digest::of("app").hex()
    );
    let definition = &value["predicate"]["buildDefinition"];
    assert_eq!(definition["externalParameters"]["image"], "default");
    assert_eq!(
        definition["externalParameters"]["platforms"][0],
        "linux/amd64"
    );
    assert_eq!(
        definition["resolvedDependencies"][0]["digest"]["gitCommit"],
        "abc"
    );
    assert_eq!(
        definition["resolvedDependencies"][1]["digest"]["sha256"],
        Digest::of("base").hex()
    );
    let inputs = &definition["internalParameters"]["inputs"];
    assert_eq!(inputs["env TOKEN"], Digest::of("secret").to_string());
    assert_eq!(inputs["features"][1], "b");
    let builder = &value["predicate"]["runDetails"]["builder"];
    assert_eq!(builder["version"]["cargo-union"], env!("CARGO_PKG_VERSION"));
    assert!(
        !String::from_utf8(document.bytes)
            .unwrap()
            .contains("secret")
    );
}

#[test]
fn inputs_are_read_only_from_a_statement_about_the_image() {
    let (document, inputs) = document(None);
    let read = inputs_of(&document.bytes, Digest::of("app")).unwrap();
    assert_eq!(read.inputs, input_values(&inputs));
    assert_eq!(
        (read.package.as_str(), read.name.as_str()),
        ("hello", "default")
    );
    assert_eq!(inputs_of(&document.bytes, Digest::of("other")), None);
    let text = String::from_utf8(document.bytes).unwrap();
    let foreign = text.replace(BUILD_TYPE, "https://example.com/build");
    assert_eq!(inputs_of(foreign.as_bytes(), Digest::of("app")), None);
    assert_eq!(inputs_of(b"{}", Digest::of("app")), None);
}
