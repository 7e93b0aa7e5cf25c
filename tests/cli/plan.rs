//! `plan`: actions and their reasons, without changes.

use union_tests::Project;

fn workspace() -> Project {
    Project::workspace()
        .member("helper", "\n[lib]\n")
        .file("members/helper/src/lib.rs", "pub fn hi() {}\n")
        .member(
            "app",
            "[dependencies]\nhelper = { path = \"../helper\" }\n[package.metadata.union.images.default]\nbase-image = \"scratch\"\n",
        )
        .locked()
}

#[test]
fn plan_names_an_edit_in_a_path_dependency() {
    let project = workspace();
    project
        .run(["plan"])
        .succeeds()
        .stdout_has("no earlier build is recorded");
    project.run(["build"]).succeeds();
    project
        .run(["plan"])
        .succeeds()
        .stdout_has("app default: unchanged");
    project.append("members/helper/src/lib.rs", "// a comment\n");
    let outcome = project.run(["plan"]).succeeds().compiles_nothing();
    outcome
        .stdout_has("append code to its environment")
        .stdout_has("members/helper/src/lib.rs: ")
        .stdout_has(" → ")
        .stdout_has("of code");
}

#[test]
fn plan_changes_nothing() {
    let project = workspace();
    project.run(["plan"]).succeeds();
    assert!(
        !project.path("target").exists(),
        "{:?}",
        project.files_below("target")
    );
    assert!(!project.path("Union.lock").exists());
}

#[test]
fn plan_separates_environment_and_code_changes() {
    let project = workspace().file("members/app/data.txt", "1");
    project.edit(
        "members/app/Cargo.toml",
        "base-image",
        "copy = [\"data.txt\"]\nexclude = [\"data.txt\"]\nbase-image",
    );
    project.run(["build"]).succeeds();
    project.write("members/app/data.txt", "2");
    let plan = project.run(["plan", "--format", "json"]).succeeds().json();
    let image = &plan["images"][0];
    assert_eq!(image["action"], "build-environment");
    let changes = image["changes"].as_array().unwrap();
    assert_eq!(changes.len(), 1, "{changes:?}");
    assert!(
        changes[0]["input"].as_str().unwrap().starts_with("copy "),
        "{changes:?}"
    );
}

#[test]
fn plan_names_another_image_as_the_reason() {
    let project = workspace();
    project.append(
        "members/app/Cargo.toml",
        "[package.metadata.union.images.gpu]\nbase-image = \"scratch\"\nenv = { A = \"1\" }\n\
         [package.metadata.union.tasks]\napp = { bin = \"app\" }\ngpu = { image = \"gpu\", bin = \"app\" }\n",
    );
    project.run(["build"]).succeeds();
    project.edit("members/app/Cargo.toml", "A = \"1\"", "A = \"2\"");
    project
        .run(["plan"])
        .succeeds()
        .stdout_has("app default: append")
        .stdout_has("reference to image `gpu`: ");
}

#[test]
fn missing_image_is_published_again() {
    let project = workspace();
    project.run(["build"]).succeeds();
    std::fs::remove_dir_all(project.path("target/union/oci")).unwrap();
    project
        .run(["plan"])
        .succeeds()
        .stdout_has("nothing changed, but it is not at");
    project.run(["build"]).succeeds().compiles_nothing();
    assert!(project.path("target/union/oci/app/index.json").exists());
}

#[test]
fn plan_shows_manifest_values_unchanged() {
    let project = Project::package("hello")
        .union(
            "[package.metadata.union.build]\nenv = { LEVEL = \"low\" }\n[package.metadata.union.images.default]\nbase-image = \"scratch\"\n\
             env = { A = \"1\", COST = \"5$$\" }\nlabels = { note = \"a, b\" }\nentrypoint = [\"one\", \"two\", \"three\", \"four\", \"five\"]\n",
        )
        .locked();
    project.run(["build"]).succeeds();
    project.edit("Cargo.toml", "A = \"1\"", "A = \"2\"");
    project.edit("Cargo.toml", "LEVEL = \"low\"", "LEVEL = \"high\"");
    project.edit("Cargo.toml", "\"five\"", "\"5, six\"");
    let planned = project
        .run(["plan"])
        .succeeds()
        .stdout_has("  env A: 1 → 2\n")
        .stdout_has("  build.env.LEVEL: low → high\n");
    let planned = planned.stdout_has(
        "  entrypoint: one, two, three, four, five → one, two, three, four, \"5, six\"\n",
    );
    planned.stdout_lacks("COST");
}
