//! `--output`: layouts and archives, and what happens when they cannot be written.

use union_tests::Project;

const SCRATCH: &str = "[package.metadata.union.images.default]\nbase-image = \"scratch\"\n";

fn hello() -> Project {
    Project::package("hello").union(SCRATCH).locked()
}

#[test]
fn layout_is_written_to_the_named_directory() {
    let project = hello();
    project
        .run(["build", "--output", "oci:out"])
        .succeeds()
        .stdout_has("oci:out:");
    assert!(project.path("out/index.json").exists());
    project
        .run(["build", "--output", "oci:out"])
        .succeeds()
        .compiles_nothing()
        .stderr_has("Unchanged");
    project.run(["build"]).succeeds().compiles_nothing();
}

#[test]
fn directory_without_a_layout_is_not_changed() {
    let project = hello().file("out/precious.txt", "keep me");
    project
        .run(["build", "--output", "oci:out"])
        .fails_with("U0413")
        .stderr_has("out")
        .compiles_nothing();
    assert_eq!(project.files_below("out"), ["precious.txt"]);
}

#[test]
fn tar_file_is_written_atomically() {
    let project = hello();
    project
        .run(["build", "--output", "tar:out/hello.tar"])
        .succeeds()
        .stdout_is("tar:out/hello.tar\n");
    assert!(project.path("out/hello.tar").exists());
    project
        .run(["build", "--output", "tar:out/hello.tar"])
        .succeeds()
        .compiles_nothing();
    project.write("blocked", "a file where a directory is needed");
    project
        .run(["build", "--output", "tar:blocked/hello.tar"])
        .fails_with("U0005")
        .stderr_has("blocked");
}

#[test]
fn several_images_in_one_tar_file_are_refused() {
    let project = Project::package("hello")
        .union(&format!(
            "{SCRATCH}[package.metadata.union.images.other]\nbase-image = \"scratch\"\n"
        ))
        .locked();
    project
        .run(["build", "--output", "tar:out.tar"])
        .exits(2)
        .fails_with("U0001")
        .stderr_has("--task");
}

#[test]
fn images_of_one_name_have_separate_layouts() {
    let manifest = format!(
        "{SCRATCH}name = \"shop\"\n[package.metadata.union.images.files]\nname = \"shop\"\nbase-image = \"scratch\"\n"
    );
    let project = Project::package("hello").union(&manifest).locked();
    project.run(["build"]).succeeds();
    project
        .run(["build"])
        .succeeds()
        .compiles_nothing()
        .stderr_has("Unchanged default")
        .stderr_has("Unchanged files");
}

#[test]
fn unknown_output_is_refused_with_the_known_ones() {
    hello()
        .run(["build", "--output", "zip:x"])
        .exits(2)
        .fails_with("U0008")
        .stderr_has("oci:DIR");
}

#[test]
fn configured_registry_does_not_affect_a_local_build() {
    let project = hello().env("UNION_REGISTRY", "registry.invalid/acme");
    let outcome = project.run(["build", "--no-push"]).succeeds();
    assert!(outcome.stdout().starts_with("oci:"), "{}", outcome.stdout());
    let references: String = project
        .files_below("target/union/references")
        .iter()
        .map(|file| project.read(&format!("target/union/references/{file}")))
        .collect();
    assert!(
        references.contains("registry.invalid/acme/hello"),
        "{references}"
    );
}

#[test]
fn closed_stdout_is_no_failure() {
    let project = hello();
    project.run(["build"]).succeeds();
    let script = format!(
        "{} images | true; exit ${{PIPESTATUS[0]}}",
        union_tests::project::tool().display()
    );
    project.shell(&script).succeeds();
}

#[test]
fn second_run_waits_for_the_first() {
    let project = build_waiting_for_file();
    let mut first = project.start(["build"]);
    first.until_stderr_has("Compiling hello");
    let mut second = project.start(["build"]);
    second.until_stderr_has("waiting for another `cargo union`");
    project.write("target/go", "");
    let (first, second) = (first.wait().succeeds(), second.wait().succeeds());
    assert_eq!(first.stdout(), second.stdout());
}

/// A project whose compile waits for a file.
fn build_waiting_for_file() -> Project {
    let project = hello();
    let wait = "while !std::path::Path::new(\"target/go\").exists() { std::thread::sleep(std::time::Duration::from_millis(20)); }";
    project.write(
        "build.rs",
        format!("fn main() {{ {wait} println!(\"cargo::rerun-if-changed=build.rs\"); }}"),
    );
    project
}

#[test]
fn steps_have_the_names_of_package_and_image() {
    let run = hello().run(["build", "-v"]).succeeds();
    run.stderr_has("Building hello/default: packing `hello` for linux/");
}

#[test]
fn waiting_run_can_be_interrupted() {
    let project = build_waiting_for_file();
    let mut first = project.start(["build"]);
    first.until_stderr_has("Compiling hello");
    let mut second = project.start(["build"]);
    second.until_stderr_has("waiting for another `cargo union`");
    second.interrupt();
    second.wait().exits(130).stderr_has("U0007");
    project.write("target/go", "");
    first.wait().succeeds();
}

#[test]
fn interrupted_build_leaves_no_files_and_next_one_works() {
    let project = hello();
    project.write(
        "build.rs",
        "fn main() { std::thread::sleep(std::time::Duration::from_secs(10)); println!(\"cargo::rerun-if-changed=build.rs\"); }",
    );
    let mut run = project.start(["build"]);
    run.until_stderr_has("Compiling hello");
    run.interrupt();
    run.wait().exits(130).stderr_has("U0007");
    assert!(!project.path("target/union/oci/hello/index.json").exists());
    assert!(
        project.files_below("target/union/references").is_empty(),
        "the hand-over was put back"
    );
    project.run(["build"]).succeeds();
}

#[test]
fn outputs_of_an_earlier_run_are_no_sources() {
    let project = hello();
    project
        .run(["build", "--output", "tar:made.tar"])
        .succeeds();
    project
        .run(["build", "--output", "oci:made"])
        .succeeds()
        .compiles_nothing();
    project.run(["build"]).succeeds().compiles_nothing();
    let tag = |outcome: union_tests::Outcome| outcome.json()["images"][0]["tag"].clone();
    let before = tag(project.run(["plan", "--format", "json"]).succeeds());
    std::fs::remove_file(project.path("made.tar")).unwrap();
    assert_eq!(
        tag(project.run(["plan", "--format", "json"]).succeeds()),
        before
    );
}
