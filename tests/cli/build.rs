//! `build` with cargo alone: into a local layout, and without work the second time.

use std::path::Path;

use serde_json::Value;
use union_tests::Project;

const SCRATCH: &str = "[package.metadata.union.images.default]\nbase-image = \"scratch\"\n";

fn hello() -> Project {
    Project::package("hello").union(SCRATCH).locked()
}

/// The manifest that a layout's only tag points at.
fn manifest(layout: &Path) -> Value {
    let read = |path: &str| -> Value {
        serde_json::from_slice(&std::fs::read(layout.join(path)).unwrap()).unwrap()
    };
    let index = read("index.json");
    assert_eq!(
        index["manifests"].as_array().map(Vec::len),
        Some(1),
        "{index}"
    );
    read(&blob(&index["manifests"][0]))
}

fn blob(descriptor: &Value) -> String {
    descriptor["digest"]
        .as_str()
        .unwrap()
        .replacen("sha256:", "blobs/sha256/", 1)
}

#[test]
fn first_build_writes_a_layout_and_second_does_nothing() {
    let project = hello();
    let first = project.run(["build"]).succeeds().compiles(["hello"]);
    let layout = project.path("target/union/oci/hello");
    assert!(
        first.stdout().starts_with("oci:") && first.stdout().lines().count() == 1,
        "{}",
        first.stdout()
    );
    let before = std::fs::read(layout.join("index.json")).unwrap();
    let second = project
        .run(["build"])
        .succeeds()
        .compiles_nothing()
        .stderr_has("Unchanged default");
    assert_eq!(second.stdout(), first.stdout());
    assert_eq!(std::fs::read(layout.join("index.json")).unwrap(), before);
    let config: Value = serde_json::from_slice(
        &std::fs::read(layout.join(blob(&manifest(&layout)["config"]))).unwrap(),
    )
    .unwrap();
    assert_eq!(
        config["config"]["Cmd"],
        serde_json::json!(["/union/bin/hello"])
    );
    assert_eq!(config["config"]["User"], "65532:65532");
}

#[test]
fn edit_of_a_backend_only_key_rebuilds_nothing() {
    let project = hello();
    project.run(["build"]).succeeds();
    project.append(
        "Cargo.toml",
        "\n# a comment\n[package.metadata.union.tasks.hello]\nretries = 3\n",
    );
    project
        .run(["build"])
        .succeeds()
        .compiles_nothing()
        .stderr_has("Unchanged default");
}

#[test]
fn compile_error_has_the_output_and_exit_code_of_cargo() {
    let project = hello();
    project.write("src/main.rs", "fn main() { nothing() }");
    project
        .run(["build"])
        .exits(101)
        .stderr_has("cannot find function `nothing`")
        .stderr_has("error[U0206]");
    assert!(!project.path("target/union/oci/hello/index.json").exists());
}

#[test]
fn tasks_share_an_image_or_have_their_own() {
    let manifest = "[package.metadata.union.images.default]\nbase-image = \"scratch\"\n[package.metadata.union.images.batch]\nbase-image = \"scratch\"\nbuild = { features = [\"fast\"] }\n\
                    [package.metadata.union.tasks]\none = { image = \"default\", bin = \"one\" }\ntwo = { image = \"default\", bin = \"two\" }\nslow = { image = \"batch\", bin = \"one\" }\n\n[features]\nfast = []\n";
    let program = "fn main() { println!(\"{}\", cfg!(feature = \"fast\")); }";
    let project = Project::package("jobs")
        .union(manifest)
        .file("src/bin/one.rs", program)
        .file("src/bin/two.rs", program)
        .locked();
    std::fs::remove_file(project.path("src/main.rs")).unwrap();
    let made = project.run(["build", "--format", "json"]).succeeds().json();
    let binaries: Vec<_> = made["images"]
        .as_array()
        .unwrap()
        .iter()
        .map(|image| (image["image"].clone(), image["binaries"].clone()))
        .collect();
    let expected = serde_json::json!([["batch", ["one"]], ["default", ["one", "two"]]]);
    assert_eq!(serde_json::json!(binaries), expected);
    // The same binary with and without the feature: the one compile must not overwrite the other.
    let code = |name: &str| {
        let manifest = self::manifest(&project.path(&format!("target/union/oci/{name}")));
        manifest["layers"].as_array().unwrap().last().unwrap()["digest"].clone()
    };
    assert_ne!(code("jobs"), code("jobs-batch"));
}

#[test]
fn single_task_is_built_alone_but_compiled_with_all() {
    let manifest = "[package.metadata.union.images.default]\nbase-image = \"scratch\"\n[package.metadata.union.images.other]\nbase-image = \"scratch\"\nenv = { A = \"1\" }\n\
                    [package.metadata.union.tasks]\none = { image = \"default\", bin = \"one\" }\ntwo = { image = \"other\", bin = \"two\" }\n";
    let program = "fn main() { println!(\"hi\"); }";
    let project = Project::package("jobs")
        .union(manifest)
        .file("src/bin/one.rs", program)
        .file("src/bin/two.rs", program)
        .locked();
    std::fs::remove_file(project.path("src/main.rs")).unwrap();
    let alone = project.run(["build", "--task", "one"]).succeeds();
    assert!(
        project.path("target/union/oci/jobs").exists()
            && !project.path("target/union/oci/jobs-other").exists()
    );
    let all = project.run(["build"]).succeeds().compiles_nothing();
    assert!(
        all.stdout().contains(alone.stdout()),
        "the tag is the same however images were chosen"
    );
    project
        .run(["build", "--task", "three"])
        .exits(2)
        .fails_with("U0204")
        .stderr_has("`one` and `two`");
}

#[test]
fn image_without_tasks_is_built_for_all_platforms() {
    let manifest = "[package.metadata.union.images.default]\nbase-image = \"scratch\"\n[package.metadata.union.images.files]\nbase-image = \"scratch\"\n\
                    copy = [{ from = \"conf\", to = \"/etc/app\" }]\nplatforms = [\"linux/amd64\", \"linux/arm64\"]\n";
    let project = Project::package("hello")
        .union(manifest)
        .file("conf/app.toml", "a = 1")
        .locked();
    project.run(["build"]).succeeds();
    let index = self::manifest(&project.path("target/union/oci/hello-files"));
    let platforms: Vec<_> = index["manifests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["platform"]["architecture"].clone())
        .collect();
    assert_eq!(
        serde_json::json!(platforms),
        serde_json::json!(["amd64", "arm64"])
    );
}

#[test]
fn missing_target_names_the_rustup_command() {
    let project = Project::package("hello")
        .union(&format!("{SCRATCH}platforms = [\"linux/s390x\"]\n"))
        .locked();
    project
        .run(["build"])
        .fails_with("U0213")
        .stderr_has("rustup target add s390x-unknown-linux-gnu")
        .compiles_nothing();
}

#[test]
fn missing_lock_file_is_created_unless_locked() {
    let project = Project::package("hello").union(SCRATCH);
    project
        .run(["build", "--locked"])
        .fails_with("U0205")
        .stderr_has("cargo generate-lockfile");
    project.run(["build"]).succeeds().stderr_has("Cargo.lock");
    assert!(project.path("Cargo.lock").exists());
}

#[test]
fn sources_changed_during_the_compile_stop_the_build() {
    // The build script edits a source after the key was computed.
    let script = "fn main() { std::fs::write(\"src/late.rs\", \"// late\").unwrap(); println!(\"cargo::rerun-if-changed=build.rs\"); }";
    let project = hello()
        .file("build.rs", script)
        .file("src/late.rs", "// early");
    project
        .run(["build"])
        .fails_with("U0209")
        .stderr_has("`src/late.rs`");
    assert!(!project.path("target/union/oci/hello/index.json").exists());
    project.run(["build"]).succeeds();
}

#[test]
fn program_includes_references_and_its_own_image() {
    let main = "include!(concat!(env!(\"OUT_DIR\"), \"/union_images.rs\"));\n\
                fn main() { println!(\"{:?} {}\", DEFAULT.tag, DEFAULT.is_current()); }";
    let project = Project::package("hello")
        .union(SCRATCH)
        .file("src/main.rs", main)
        .with_union_build("");
    let made = project.run(["build", "--format", "json"]).succeeds().json();
    let (tag, key) = (
        made["images"][0]["tag"].as_str().unwrap(),
        made["images"][0]["key"].as_str().unwrap(),
    );
    project
        .cargo(["run", "--offline"])
        .succeeds()
        .stdout_has(&format!("Some(\"{tag}\") false"));
    let there = project.path("target/debug/hello");
    let output = std::process::Command::new(there)
        .env("UNION_IMAGE_ID", key)
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        format!("Some(\"{tag}\") true\n")
    );
}

#[test]
fn failed_build_leaves_the_references_unchanged() {
    let main = "include!(concat!(env!(\"OUT_DIR\"), \"/union_images.rs\"));\nfn main() { println!(\"{:?}\", DEFAULT.tag); }";
    let project = Project::package("hello")
        .union(SCRATCH)
        .file("src/main.rs", main)
        .with_union_build("");
    project.run(["build"]).succeeds();
    let references = || {
        project
            .files_below("target/union/references")
            .iter()
            .map(|file| project.read(&format!("target/union/references/{file}")))
            .collect::<String>()
    };
    let before = references();
    project.append("src/main.rs", "\nbroken");
    project.run(["build"]).exits(101);
    assert_eq!(references(), before);
}

#[test]
fn unexpected_references_stop_the_build() {
    let script = "fn main() {\n    union_build::emit();\n    let out = std::env::var(\"OUT_DIR\").unwrap();\n    \
                  std::fs::write(out + \"/union_images.rs\", \"// something else\").unwrap();\n}\n";
    let project = Project::package("hello")
        .union(SCRATCH)
        .with_union_build("");
    project.write("build.rs", script);
    // U0214 is HandoverMismatch.
    project
        .run(["build"])
        .fails_with("U0214")
        .stderr_has("union_images.rs");
    assert!(!project.path("target/union/oci/hello/index.json").exists());
}

#[test]
fn compile_without_an_artifact_is_an_error() {
    let project = hello();
    project.write(
        "cargo",
        "#!/bin/sh\ncase \"$1\" in build) exit 0 ;; *) exec cargo \"$@\" ;; esac\n",
    );
    project.shell("chmod +x cargo").succeeds();
    let cargo = project.path("cargo").display().to_string();
    // U0215 is ArtifactMissing.
    project
        .env("CARGO", cargo)
        .run(["build"])
        .fails_with("U0215")
        .stderr_has("`hello`");
}

#[test]
fn launcher_is_a_layer_and_key_part_of_task_images() {
    let images = "[package.metadata.union.images.default]\nbase-image = \"scratch\"\n\
                  [package.metadata.union.images.off]\nbase-image = \"scratch\"\nlauncher = false\n\
                  [package.metadata.union.images.other]\nbase-image = \"scratch\"\n\
                  [package.metadata.union.tasks.one]\nimage = \"default\"\n[package.metadata.union.tasks.two]\nimage = \"off\"\n";
    let project = Project::package("hello").union(images).locked();
    let built = project
        .run(["build", "--output", "oci:out", "--format", "json"])
        .succeeds()
        .json();
    let layers = |name: &str| {
        let layout = project.path(&format!(
            "out/{}",
            if name == "default" {
                "hello".to_owned()
            } else {
                format!("hello-{name}")
            }
        ));
        let config: Value = serde_json::from_slice(
            &std::fs::read(layout.join(blob(&manifest(&layout)["config"]))).unwrap(),
        )
        .unwrap();
        let history = config["history"]
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| entry["created_by"].as_str().unwrap().to_owned());
        history.collect::<Vec<_>>()
    };
    assert_eq!(
        layers("default"),
        [
            "cargo union: scratch",
            "cargo union: launcher",
            "cargo union: binaries"
        ],
        "{built}"
    );
    assert_eq!(
        layers("off"),
        ["cargo union: scratch", "cargo union: binaries"]
    );
    assert_eq!(layers("other"), ["cargo union: scratch"]);
    let record = std::fs::read_dir(project.path("target/union/results"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap();
    let record: Value = serde_json::from_slice(&std::fs::read(record.path()).unwrap()).unwrap();
    assert!(
        record["images"]["default"]["inputs"]["launcher"].is_string(),
        "{record}"
    );
    assert!(
        record["images"]["off"]["inputs"]["launcher"].is_null(),
        "{record}"
    );
}
