//! CUDA: the base must have the requested version, and without a base matching tags are proposed.

use std::process::Command;

use serde_json::{Value, json};
use union_tests::Project;

use crate::setup::{Setup, push_base_of};

const TAGS: [&str; 4] = [
    "12.6.1-runtime-ubuntu22.04",
    "12.6.3-runtime-ubuntu24.04",
    "12.6.3-cudnn-runtime-ubuntu24.04",
    "12.6.3-devel-ubuntu24.04",
];

/// A registry that is a mirror of Docker Hub, with images of NVIDIA.
fn setup() -> Setup {
    let setup = Setup::new();
    for tag in TAGS {
        let config = json!({ "Env": ["CUDA_VERSION=12.6.3", "NV_CUDNN_VERSION=9.5.1.17-1"] });
        push_base_of(&setup.reference(&format!("nvidia/cuda:{tag}")), &config);
    }
    setup
}

fn project(setup: &Setup, lines: &str) -> Project {
    let host = setup.registry.host();
    let union = format!(
        "[package.metadata.union]\nmirrors = {{ \"docker.io\" = \"{host}\" }}\n[package.metadata.union.images.default]\n{lines}\n"
    );
    Project::package("hello").union(&union).locked()
}

#[test]
fn cuda_without_a_base_proposes_matching_tags() {
    let setup = setup();
    let outcome = project(&setup, "cuda = \"12.6\"")
        .run(["build"])
        .fails_with("U0309")
        .exits(2)
        .compiles_nothing();
    outcome.stderr_has("Cargo.toml:9:8").stderr_has(
        "write one of `base-image = \"nvidia/cuda:12.6.3-runtime-ubuntu24.04\"` and `base-image = \"nvidia/cuda:12.6.1-runtime-ubuntu22.04\"`",
    );
    let outcome = project(&setup, "cuda = \"12.6\"\ncudnn = \"9\"")
        .run(["build"])
        .fails_with("U0309");
    outcome.stderr_has("write `base-image = \"nvidia/cuda:12.6.3-cudnn-runtime-ubuntu24.04\"`");
    project(&setup, "cuda = \"11.8\"")
        .run(["build"])
        .fails_with("U0309")
        .stderr_has("none of the 4 tags of docker.io/nvidia/cuda fits");
}

#[test]
fn base_must_have_the_requested_cuda_version() {
    let setup = setup();
    let base = "base-image = \"nvidia/cuda:12.6.3-cudnn-runtime-ubuntu24.04\"";
    project(&setup, &format!("{base}\ncuda = \"12.6\"\ncudnn = \"9.5\""))
        .run(["plan"])
        .succeeds();
    let outcome = project(&setup, &format!("{base}\ncuda = \"12.4\"\ncudnn = \"8\""))
        .run(["plan"])
        .fails_with("U0309");
    outcome
        .stderr_has("the base image has CUDA 12.6.3, and 12.4 is requested")
        .stderr_has("has cuDNN 9.5.1.17-1, and 8 is requested");
    setup.push_base("other:1", "x");
    let other = format!(
        "base-image = {:?}\ncuda = \"12.6\"",
        setup.reference("other:1")
    );
    project(&setup, &other)
        .run(["plan"])
        .fails_with("U0309")
        .stderr_has("declares no CUDA");
}

const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// The descriptor of a manifest in a registry.
fn descriptor(setup: &Setup, tag: &str, kind: &str) -> Value {
    let url = format!(
        "http://{}/v2/nvidia/cuda/manifests/{tag}",
        setup.registry.host()
    );
    let accepted = format!("Accept: {kind}");
    let manifest = curl(&["-H", &accepted, &url]);
    let digest = union_tests::faulty_registry::digest(&manifest);
    json!({ "mediaType": kind, "digest": digest, "size": manifest.len() })
}

/// Puts an index of one entry into the repository. Returns its descriptor.
fn put_index(setup: &Setup, tag: &str, entry: &Value) -> Value {
    let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [entry] });
    let url = format!(
        "http://{}/v2/nvidia/cuda/manifests/{tag}",
        setup.registry.host()
    );
    let (kind, text) = (format!("Content-Type: {INDEX}"), index.to_string());
    curl(&["-X", "PUT", "-H", &kind, "--data-binary", &text, &url]);
    descriptor(setup, tag, INDEX)
}

fn curl(arguments: &[&str]) -> Vec<u8> {
    let output = Command::new("curl")
        .args(["-sS", "--fail"])
        .args(arguments)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}

#[test]
fn locked_index_must_have_the_platform() {
    let setup = setup();
    let image = "application/vnd.oci.image.manifest.v1+json";
    let mut entry = descriptor(&setup, TAGS[1], image);
    let for_platform = |entry: &Value, architecture: &str| {
        let mut entry = entry.clone();
        entry["platform"] = json!({ "os": "linux", "architecture": architecture });
        entry
    };
    let other = put_index(&setup, "other", &for_platform(&entry, "arm64"));
    entry = put_index(&setup, "inner", &for_platform(&entry, "amd64"));
    let inner = entry.clone();
    put_index(&setup, "nested", &for_platform(&entry, "amd64"));

    let lines = |cuda: &str| {
        format!(
            "build = {{ link = \"static\" }}\nbase-image = \"nvidia/cuda:nested\"\ncuda = \"{cuda}\""
        )
    };
    let project = project(&setup, &lines("12.6"));
    project.run(["plan"]).succeeds();
    project.run(["build"]).succeeds();
    let lock = project.read("Union.lock");
    let (before, manifest) = lock.split_once("\"linux/amd64\" = \"").unwrap();
    let with = |digest: &Value| {
        let rest = manifest.split_once('"').unwrap().1;
        let digest = digest["digest"].as_str().unwrap();
        project.write(
            "Union.lock",
            format!("{before}\"linux/amd64\" = \"{digest}\"{rest}"),
        );
    };
    with(&inner);
    project.run(["plan", "--locked"]).succeeds();
    project.run(["build", "--locked"]).succeeds();
    project.edit("Cargo.toml", "cuda = \"12.6\"", "cuda = \"11.8\"");
    project.run(["plan", "--locked"]).fails_with("U0309");
    with(&other);
    project
        .run(["plan", "--locked"])
        .exits(1)
        .fails_with("U0304")
        .stderr_has("linux/amd64");
}
