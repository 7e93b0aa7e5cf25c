//! `new` and `init`: packages that build at once, and refusals that leave every file as it was.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use union_tests::Project;
use union_tests::project::repository;
use union_tests::run::Outcome;

/// The commands that the tool names as the next ones, as one line for a shell.
fn next(outcome: &Outcome) -> String {
    let document = outcome.json();
    let commands = document["next"].as_array().unwrap().iter();
    let commands: Vec<&str> = commands.map(|command| command.as_str().unwrap()).collect();
    commands.join(" && ")
}

#[test]
fn new_package_builds_with_the_commands_that_are_shown() {
    let project = Project::empty();
    let created = project.run(["new", "hello", "--format", "json"]).succeeds();
    let next = next(&created);
    assert_eq!(next, "cd hello && cargo union build");
    project
        .shell(&next)
        .succeeds()
        .stderr_has("Published default");
    let again = project.shell(&next).succeeds();
    again.compiles_nothing().stderr_has("Unchanged default");
    assert!(!project.path("hello/src/lib.rs").exists());
    project.run_in("hello", ["check"]).succeeds();
}

#[test]
fn new_package_with_a_task_runs_it() {
    let project = Project::empty();
    let created = project
        .run([
            "new",
            "apps/my hello",
            "--name",
            "hello",
            "--task",
            "--format",
            "json",
        ])
        .succeeds();
    let next = next(&created);
    assert_eq!(
        next,
        "cd 'apps/my hello' && cargo union build && cargo union run hello -- --x 21"
    );
    // There is no engine here.
    let on_host = next.replace("union run", "union run --host");
    project.shell(&on_host).succeeds().stdout_has("twice = 42");
}

#[test]
fn new_package_with_a_rust_task_depends_on_the_crate() {
    let project = Project::empty();
    project
        .run([
            "new",
            "hello",
            "--rust-task=double-it",
            "--registry",
            "ghcr.io/acme",
        ])
        .succeeds()
        .stderr_has("cargo union run double-it -- --x 21");
    project.run_in("hello", ["check"]).succeeds();
    let manifest: toml::Table = project.read("hello/Cargo.toml").parse().unwrap();
    assert_eq!(manifest["dependencies"]["flyte"].as_str(), Some("0.1"));
    let union = &manifest["package"]["metadata"]["union"];
    assert_eq!(union["registry"].as_str(), Some("ghcr.io/acme"));
    assert_eq!(union["tasks"]["double-it"]["kind"].as_str(), Some("rust"));
    assert!(
        project
            .read("hello/src/main.rs")
            .contains("async fn double_it(x: i64)")
    );
}

#[test]
fn references_are_constants_of_the_new_package() {
    let project = Project::empty();
    project.run(["new", "hello", "--references"]).succeeds();
    let patch = format!(
        "[patch.crates-io]\nunion-build = {{ path = {:?} }}\n",
        repository().join("union-build")
    );
    project.write("hello/.cargo/config.toml", patch);
    project.write(
        "hello/Cargo.lock",
        fs::read(repository().join("Cargo.lock")).unwrap(),
    );
    project.edit(
        "hello/src/main.rs",
        "println!(\"Hello, world!\");",
        "println!(\"{:?}\", DEFAULT.is_current());",
    );
    project
        .shell("cd hello && cargo metadata --format-version=1 --offline --quiet > metadata && cargo run --quiet --offline")
        .succeeds()
        .stdout_has("false");
}

#[test]
fn directory_that_exists_is_not_touched() {
    let project = Project::package("hello").file("taken/mine", "mine");
    project
        .run(["new", "taken"])
        .fails_with("U0223")
        .stderr_has("exists already")
        .stderr_has("cargo union init");
    assert_eq!(project.files_below("taken"), ["mine"]);
}

#[test]
fn failed_new_leaves_nothing() {
    let project = Project::workspace().member("one", "");
    // No glob: cargo adds new members to the list.
    project.edit("Cargo.toml", "members/*", "members/one");
    let before = project.read("Cargo.toml");
    for (words, code) in [
        (&["new", "deep/er/2fast"][..], "U0222"),
        (&["new", "deep/er/fine", "--registry", "https://x"], "U0109"),
        (&["new", "deep/er/fine", "--task=not a name"], "U0001"),
        (&["new", "deep/er/fine", "--rust-task=loop"], "U0001"),
    ] {
        project.run(words.iter().copied()).fails_with(code);
        assert!(!project.path("deep").exists(), "{words:?}");
        assert_eq!(project.read("Cargo.toml"), before, "{words:?}");
    }
    project.run(["new", "deep/er/fine"]).succeeds();
    assert!(project.read("Cargo.toml").contains("deep/er/fine"));
}

#[test]
fn missing_cargo_is_an_error_of_new() {
    let project = Project::empty().env("CARGO", "/no/such/cargo");
    project.run(["new", "hello"]).fails_with("U0003");
    assert!(!project.path("hello").exists());
}

#[test]
fn init_keeps_the_bytes_of_the_manifest() {
    let manifest = "[package]\nname = \"hello\"\nversion = \"0.1.0\"\nedition = \"2024\"\n";
    let cases = [
        manifest.to_owned(),
        manifest.trim_end().to_owned(),
        manifest.replace('\n', "\r\n"),
        format!("\u{feff}{manifest}"),
        format!("{manifest}# the end"),
    ];
    for text in cases {
        let project = Project::package("hello").file("Cargo.toml", &text);
        project
            .run(["init"])
            .succeeds()
            .stderr_has("cargo union build");
        let after = project.read("Cargo.toml");
        assert!(after.starts_with(&text), "{after}");
        let line_ends = after.matches('\n').count();
        let expected = if text.contains('\r') { line_ends } else { 0 };
        assert_eq!(after.matches("\r\n").count(), expected);
        assert!(after.ends_with('\n'));
        project.run(["check"]).succeeds();
    }
}

#[test]
fn init_adds_task_and_references_to_an_existing_package() {
    let project = Project::package("hello").file("Cargo.toml", PACKAGE);
    project
        .run(["init", "--task=count", "--references"])
        .succeeds();
    assert_eq!(
        project.read("build.rs"),
        "fn main() {\n    union_build::emit();\n}\n"
    );
    let manifest = project.read("Cargo.toml");
    assert!(manifest.starts_with(
        "# mine\n[package]\nname = \"hello\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[build-dependencies] # used\nunion-build = \"0.1\"\n"
    ));
    assert!(project.read("src/bin/count.rs").contains("twice"));
    assert!(
        project
            .read("src/main.rs")
            .ends_with("/union_images.rs\"));\n")
    );
    project.run(["check"]).succeeds();
    let before = snapshot(&project);
    project
        .run(["init", "--references"])
        .succeeds()
        .stderr_has("already");
    project
        .run(["init", "--task=count"])
        .fails_with("U0223")
        .stderr_has("a program `count` already");
    project
        .run(["init", "--registry", "ghcr.io/acme"])
        .fails_with("U0223")
        .stderr_has("registry = \"ghcr.io/acme\"");
    assert_eq!(snapshot(&project), before);
}

const PACKAGE: &str = "# mine\n[package]\nname = \"hello\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[build-dependencies] # used\n";

/// The files of a package with their texts.
fn snapshot(project: &Project) -> Vec<(String, String)> {
    let files = project.files_below("").into_iter();
    let sources = files.filter(|file| !file.starts_with("target"));
    sources
        .map(|file| (file.clone(), project.read(&file)))
        .collect()
}

#[test]
fn dry_run_prints_a_diff_that_patch_applies_and_writes_nothing() {
    let words = ["init", "--task=count", "--references"];
    let project = Project::package("hello");
    let before = snapshot(&project);
    let dry = project.run(words.iter().chain(&["--dry-run"])).succeeds();
    assert_eq!(snapshot(&project), before);
    project.write("target/the.diff", dry.stdout());
    project.shell("git apply target/the.diff").succeeds();
    let applied = snapshot(&project);
    let written = Project::package("hello");
    written.run(words).succeeds();
    assert_eq!(applied, snapshot(&written));
}

#[test]
fn init_refuses_what_it_would_overwrite_and_changes_nothing() {
    let package = || Project::package("hello");
    let read_only = package();
    let protect = |file: &str| {
        fs::set_permissions(read_only.path(file), fs::Permissions::from_mode(0o444)).unwrap();
    };
    protect("Cargo.toml");
    let no_bin_directory = package().file("src/bin", "a file");
    let cases: [(Project, &[&str], &str, &str); 8] = [
        (read_only, &["--task=count"], "U0005", "read-only"),
        (no_bin_directory, &["--task=count"], "U0005", "src/bin"),
        (
            package().file("build.rs", "fn main() {}\n"),
            &["--references"],
            "U0223",
            "union_build::emit();",
        ),
        (
            package().file("src/bin/count.rs", "fn main() {}\n"),
            &["--task=count"],
            "U0223",
            "--task=NAME",
        ),
        (
            package().file("Cargo.toml", "[package\n"),
            &[],
            "U0217",
            "Cargo.toml",
        ),
        (
            Project::workspace().member("one", "").member("two", ""),
            &["--task=count"],
            "U0201",
            "a package of its own",
        ),
        (
            package().union("metadata = { docs = 1 }\n"),
            &[],
            "U0223",
            "inline table",
        ),
        (package(), &["--registry", "https://x"], "U0109", "https"),
    ];
    for (project, words, code, text) in cases {
        let before = snapshot(&project);
        project
            .run(["init"].iter().chain(words))
            .fails_with(code)
            .stderr_has(text);
        assert_eq!(snapshot(&project), before, "{words:?} {code}");
    }
}

#[test]
fn json_of_init_has_the_diff_of_each_file() {
    let project = Project::package("hello");
    let document = project
        .run(["init", "--dry-run", "--format", "json"])
        .succeeds()
        .json();
    assert_eq!(document["command"], "init");
    assert_eq!(document["dry_run"], true);
    assert_eq!(document["files"][0]["new"], false);
    assert!(
        document["files"][0]["diff"]
            .as_str()
            .is_some_and(|diff| diff.contains("+[package.metadata.union]\n")),
        "{document}"
    );
}
