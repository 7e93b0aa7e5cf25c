//! The list of crates in packaged binaries, read as scanners read it.

use std::path::PathBuf;
use std::process::Command;

use auditable_info::{Limits, audit_info_from_file};
use serde_json::Value;
use union_tests::Project;

const SCRATCH: &str = "[package.metadata.union.images.default]\nbase-image = \"scratch\"\n";

/// A workspace with a linked crate, an optional one, a build-dependency, a procedural macro and a dev-dependency.
fn project() -> Project {
    let library = |name: &str| {
        format!("[package]\nname = \"{name}\"\nversion = \"0.2.0\"\nedition = \"2021\"\n")
    };
    let needs = "[dependencies]\nlinked = { path = \"linked\" }\nextra = { path = \"extra\", optional = true }\n\
                 derive = { path = \"derive\" }\n[build-dependencies]\nscript = { path = \"script\" }\n\
                 [dev-dependencies]\ntesting = { path = \"testing\" }\n";
    let mut project = Project::package("hello").union(SCRATCH).union(needs);
    for name in ["linked", "extra", "script", "testing"] {
        project = project
            .file(&format!("{name}/Cargo.toml"), library(name))
            .file(&format!("{name}/src/lib.rs"), "");
    }
    project
        .file(
            "derive/Cargo.toml",
            format!("{}[lib]\nproc-macro = true\n", library("derive")),
        )
        .file("derive/src/lib.rs", "")
        .file("build.rs", "fn main() {}\n")
        .locked()
}

/// The binary in the layout of a build, unpacked.
fn packaged(project: &Project) -> PathBuf {
    let layout = project.path("target/union/oci/hello");
    let read = |path: &str| -> Value {
        serde_json::from_slice(&std::fs::read(layout.join(path)).unwrap()).unwrap()
    };
    let blob = |descriptor: &Value| {
        let digest = descriptor["digest"].as_str().unwrap();
        digest.replacen("sha256:", "blobs/sha256/", 1)
    };
    let index = read("index.json");
    let manifest = read(&blob(
        index["manifests"].as_array().unwrap().last().unwrap(),
    ));
    let layer = layout.join(blob(manifest["layers"].as_array().unwrap().last().unwrap()));
    let into = project.temp();
    let unpacked = Command::new("tar")
        .arg("-xzf")
        .arg(&layer)
        .arg("-C")
        .arg(&into)
        .status()
        .unwrap();
    assert!(unpacked.success());
    into.join("union/bin/hello")
}

fn list(project: &Project) -> Vec<String> {
    let info = audit_info_from_file(&packaged(project), Limits::default()).unwrap();
    let packages = info.packages.iter();
    packages
        .map(|one| {
            format!(
                "{} {} {:?} {:?}",
                one.name, one.version, one.source, one.kind
            )
        })
        .collect()
}

#[test]
fn packaged_binary_lists_its_crates_and_the_compiled_one_does_not() {
    let project = project();
    project.run(["build"]).succeeds();
    let expected = [
        "derive 0.2.0 Local Build",
        "hello 0.1.0 Local Runtime",
        "linked 0.2.0 Local Runtime",
        "script 0.2.0 Local Build",
    ];
    assert_eq!(list(&project), expected);
    let output = Command::new(packaged(&project)).output().unwrap();
    assert_eq!(output.stdout, b"hello\n");

    let compiled = project
        .files_below("target")
        .into_iter()
        .find(|path| path.ends_with("/release/hello"))
        .unwrap();
    let compiled = std::fs::read(project.path("target").join(compiled)).unwrap();
    assert!(!compiled.windows(7).any(|window| window == b".dep-v0"));
    project.run(["build"]).succeeds().compiles_nothing();
}

#[test]
fn list_follows_features() {
    let project = project();
    project.append(
        "Cargo.toml",
        "[package.metadata.union.images.default.build]\nfeatures = [\"extra\"]\n",
    );
    project.run(["build"]).succeeds();
    let extra = "extra 0.2.0 Local Runtime".to_owned();
    assert!(list(&project).contains(&extra));
}

#[test]
fn auditable_turns_the_list_off_under_another_tag() {
    let project = project();
    let with = project.run(["build"]).succeeds().stdout().to_owned();
    project.edit(
        "Cargo.toml",
        "base-image = \"scratch\"\n",
        "base-image = \"scratch\"\nauditable = false\n",
    );
    let without = project.run(["build"]).succeeds().stdout().to_owned();
    assert_ne!(with, without);
    assert!(audit_info_from_file(&packaged(&project), Limits::default()).is_err());
}

#[test]
fn crates_that_cargo_does_not_list_are_an_error() {
    let project = project();
    let cargo = project.path("cargo");
    project.write(
        "cargo",
        "#!/bin/sh\n[ \"$1\" = tree ] && { echo 'no tree' >&2; exit 1; }\nexec cargo \"$@\"\n",
    );
    let status = Command::new("chmod").arg("+x").arg(&cargo).status();
    assert!(status.unwrap().success());
    project
        .env("CARGO", cargo.to_str().unwrap())
        .run(["build"])
        .fails_with("U0224")
        .stderr_has("could not list the crates of `hello`")
        .stderr_has("no tree");
}

#[test]
fn bill_of_materials_is_equal_for_a_new_and_an_existing_image() {
    let project = project();
    project.run(["build", "--sbom", "sbom.json"]).succeeds();
    let first = project.read("sbom.json");
    project
        .run(["build", "--sbom", "sbom.json"])
        .succeeds()
        .compiles_nothing()
        .stderr_has("Unchanged default");
    assert_eq!(project.read("sbom.json"), first);
    let bom: Value = serde_json::from_str(&first).unwrap();
    let components = bom["components"].as_array().unwrap();
    let names: Vec<_> = components
        .iter()
        .map(|one| {
            (
                one["name"].as_str().unwrap(),
                one["scope"].as_str().unwrap(),
            )
        })
        .collect();
    let expected = [
        ("derive", "excluded"),
        ("hello", "required"),
        ("linked", "required"),
        ("script", "excluded"),
    ];
    assert_eq!(names, expected);
    assert!(!first.contains(project.directory().to_str().unwrap()));
}

#[test]
fn one_file_for_several_images_is_refused_before_the_compile() {
    let project = Project::package("hello")
        .union(SCRATCH)
        .union(&SCRATCH.replace("default", "other"))
        .locked();
    project
        .run(["build", "--sbom", "sbom-{package}.json"])
        .fails_with("U0001")
        .compiles_nothing()
        .stderr_has("names one file for several images or platforms");
}
