//! What cargo compiles, and when.

use std::fs;

use crate::project::Project;

#[test]
fn fresh_clone_builds_with_cargo_alone_and_only_once() {
    // A path with a space and a letter beyond ASCII has to survive the instructions to cargo.
    let directory = tempfile::Builder::new()
        .prefix("a clöne ")
        .tempdir()
        .unwrap();
    let project = Project::printing(
        directory.path(),
        "images.gpu.name = \"training\"\nimages.default = {}",
    );
    let first = project.builds(&["build"]);
    assert!(first.compiled().contains(&"app"));
    assert!(
        first.talk.contains("the images of `app` are not resolved yet: `default`, `gpu`; run `cargo union build -p app`"),
        "{}",
        first.talk
    );
    assert_eq!(
        first.prints(""),
        "app unresolved false\ntraining unresolved false\n"
    );
    let second = project.builds(&["build"]);
    assert_eq!(second.compiled(), [""; 0]);
    assert_eq!(
        fs::read(project.handover(&project.target())).unwrap(),
        b"",
        "the watched file is there, and empty"
    );
}

#[test]
fn references_survive_alternating_commands_without_recompiling() {
    let directory = tempfile::tempdir().unwrap();
    let project = Project::printing(directory.path(), "images.gpu = {}");
    project.builds(&["build"]);
    project.resolve(&project.target(), "gpu", "abc");
    let resolved = project.builds(&["build"]);
    assert_eq!(
        resolved.compiled(),
        ["app"],
        "only the crate itself, and not its build script"
    );
    assert_eq!(
        resolved.prints("id-abc"),
        "resolved-gpu ghcr.io/acme/gpu:abc true\n"
    );
    assert_eq!(
        resolved.prints("id-of-another"),
        "resolved-gpu ghcr.io/acme/gpu:abc false\n"
    );
    assert!(!resolved.talk.contains("not resolved"), "{}", resolved.talk);

    assert_eq!(project.builds(&["check"]).compiled().last(), Some(&"app"));
    let elsewhere = project.builds(&["build", "--target-dir", "elsewhere"]);
    assert_eq!(
        elsewhere.prints("id-abc"),
        "resolved-gpu ghcr.io/acme/gpu:abc true\n"
    );
    for arguments in [
        &["build"][..],
        &["check"],
        &["build", "--target-dir", "elsewhere"],
        &["build"],
    ] {
        assert_eq!(
            project.builds(arguments).compiled(),
            [""; 0],
            "{arguments:?}"
        );
    }

    // An image that is declared later has its constant at once; what was resolved stays.
    project.write(
        "Cargo.toml",
        &format!("{}images.late = {{}}\n", project.read("Cargo.toml")),
    );
    let later = project.builds(&["build"]);
    assert_eq!(
        later.prints("id-abc"),
        "resolved-gpu ghcr.io/acme/gpu:abc true\napp-late unresolved false\n"
    );
    assert!(
        later.talk.contains("not resolved yet: `late`"),
        "{}",
        later.talk
    );
}

#[test]
fn packages_of_one_name_share_a_target_directory_but_no_references() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().canonicalize().unwrap();
    fs::create_dir_all(root.join(".cargo")).unwrap();
    fs::write(
        root.join(".cargo/config.toml"),
        "[build]\ntarget-dir = \"shared\"\n",
    )
    .unwrap();
    let [one, two] = ["one", "two"].map(|name| {
        fs::create_dir(root.join(name)).unwrap();
        Project::printing(&root.join(name), "")
    });
    one.resolve(&root.join("shared"), "default", "abc");
    assert_eq!(
        one.builds(&["build"]).prints(""),
        "resolved-default ghcr.io/acme/default:abc false\n"
    );
    assert_eq!(two.builds(&["build"]).prints(""), "app unresolved false\n");
    assert_eq!(
        one.builds(&["build"]).prints(""),
        "resolved-default ghcr.io/acme/default:abc false\n"
    );
}

#[test]
fn build_that_requires_references_fails_without_them() {
    let directory = tempfile::tempdir().unwrap();
    let project = Project::new(
        directory.path(),
        "",
        "fn main() { union_build::emit().require_resolved(); }\n",
        "fn main() {}\n",
    );
    let failed = project.cargo(&["build"]);
    assert!(!failed.success);
    assert!(
        failed.talk.contains("error: app@0.1.0: the images of `app` are not resolved yet: `default`; run `cargo union build -p app`"),
        "{}",
        failed.talk
    );
    project.resolve(&project.target(), "default", "abc");
    project.builds(&["build"]);
    fs::write(project.handover(&project.target()), "{ broken").unwrap();
    let corrupt = project.cargo(&["build"]);
    let path = project.handover(&project.target());
    assert!(!corrupt.success);
    assert!(
        corrupt.talk.contains(&format!(
            "error: app@0.1.0: the hand-over file {} is not valid",
            path.display()
        )),
        "{}",
        corrupt.talk
    );
    assert!(
        corrupt.talk.contains("run `cargo union build -p app`"),
        "{}",
        corrupt.talk
    );
}
