//! CUDA: the base must have it, and without a base fitting ones are proposed.

use union_tests::Project;

use crate::site::{Site, push_base_of};

const TAGS: [&str; 4] = [
    "12.6.1-runtime-ubuntu22.04",
    "12.6.3-runtime-ubuntu24.04",
    "12.6.3-cudnn-runtime-ubuntu24.04",
    "12.6.3-devel-ubuntu24.04",
];

/// A site that stands for Docker Hub, with images of NVIDIA.
fn site() -> Site {
    let site = Site::new();
    for tag in TAGS {
        let config =
            serde_json::json!({ "Env": ["CUDA_VERSION=12.6.3", "NV_CUDNN_VERSION=9.5.1.17-1"] });
        push_base_of(&site.reference(&format!("nvidia/cuda:{tag}")), &config);
    }
    site
}

fn project(site: &Site, lines: &str) -> Project {
    let host = site.registry.host();
    let union = format!(
        "[package.metadata.union]\nmirrors = {{ \"docker.io\" = \"{host}\" }}\n[package.metadata.union.images.default]\n{lines}\n"
    );
    Project::package("hello").union(&union).locked()
}

#[test]
fn without_a_base_the_fitting_tags_are_proposed() {
    let site = site();
    let outcome = project(&site, "cuda = \"12.6\"")
        .run(["build"])
        .fails_with("U0309")
        .exits(2)
        .compiles_nothing();
    outcome.stderr_has("Cargo.toml:9:8").stderr_has(
        "write one of `base-image = \"nvidia/cuda:12.6.3-runtime-ubuntu24.04\"` and `base-image = \"nvidia/cuda:12.6.1-runtime-ubuntu22.04\"`",
    );
    let outcome = project(&site, "cuda = \"12.6\"\ncudnn = \"9\"")
        .run(["build"])
        .fails_with("U0309");
    outcome.stderr_has("write `base-image = \"nvidia/cuda:12.6.3-cudnn-runtime-ubuntu24.04\"`");
    project(&site, "cuda = \"11.8\"")
        .run(["build"])
        .fails_with("U0309")
        .stderr_has("none of the 4 tags of docker.io/nvidia/cuda fits");
}

#[test]
fn a_base_must_have_what_is_asked_for() {
    let site = site();
    let base = "base-image = \"nvidia/cuda:12.6.3-cudnn-runtime-ubuntu24.04\"";
    project(&site, &format!("{base}\ncuda = \"12.6\"\ncudnn = \"9.5\""))
        .run(["plan"])
        .succeeds();
    let outcome = project(&site, &format!("{base}\ncuda = \"12.4\"\ncudnn = \"8\""))
        .run(["plan"])
        .fails_with("U0309");
    outcome
        .stderr_has("the base image has CUDA 12.6.3, and 12.4 is asked for")
        .stderr_has("has cuDNN 9.5.1.17-1, and 8 is asked for");
    site.push_base("other:1", "x");
    let other = format!(
        "base-image = {:?}\ncuda = \"12.6\"",
        site.reference("other:1")
    );
    project(&site, &other)
        .run(["plan"])
        .fails_with("U0309")
        .stderr_has("does not say that it has CUDA");
}
