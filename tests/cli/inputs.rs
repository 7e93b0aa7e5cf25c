//! Sources as real crates have them: whatever reaches the program changes the tag, and nothing else does.
//!
//! Every image is taken out of its layout and run: a new tag with the old program is as wrong as the old tag.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use union_tests::Project;

const SCRATCH: &str = "[package.metadata.union.images.default]\nbase-image = \"scratch\"\n";

/// An image with its program, which was run.
#[derive(Debug, PartialEq)]
pub(crate) struct BuiltProgram {
    pub(crate) tag: String,
    digest: String,
    /// A hash of its program.
    pub(crate) program: u64,
    /// What the program prints.
    pub(crate) prints: String,
}

pub(crate) fn hello(main: &str) -> Project {
    Project::package("hello")
        .union(SCRATCH)
        .file("src/main.rs", main)
        .locked()
}

/// Builds, builds again without work, and runs the program of the layout.
#[track_caller]
pub(crate) fn build_and_run(project: &Project, directory: &str) -> BuiltProgram {
    let first = project
        .run_in(directory, ["build", "--format", "json"])
        .succeeds();
    let second = project
        .run_in(directory, ["build", "--format", "json", "--locked"])
        .succeeds()
        .compiles_nothing();
    let images = |outcome: &union_tests::Outcome| outcome.json()["images"][0].clone();
    assert_eq!(
        images(&first)["tag"],
        images(&second)["tag"],
        "the second run has another tag: {}",
        first.stderr()
    );
    assert_eq!(images(&second)["action"], "reuse", "{}", second.stderr());
    let text = |name: &str| images(&first)[name].as_str().unwrap().to_owned();
    let layout = project.path(directory).join(format!(
        "target/union/oci/{}",
        text("image").replace("default", "hello")
    ));
    let (program, prints) = run_program(&layout, project);
    BuiltProgram {
        tag: text("tag"),
        digest: text("digest"),
        program,
        prints,
    }
}

/// A hash of the program in a layout, and what it prints.
fn run_program(layout: &Path, project: &Project) -> (u64, String) {
    let read = |path: &str| -> Value {
        serde_json::from_slice(&std::fs::read(layout.join(path)).unwrap()).unwrap()
    };
    let blob = |descriptor: &Value| {
        descriptor["digest"]
            .as_str()
            .unwrap()
            .replacen("sha256:", "blobs/sha256/", 1)
    };
    let index = read("index.json");
    let newest = index["manifests"]
        .as_array()
        .unwrap()
        .last()
        .unwrap()
        .clone();
    let manifest = read(&blob(&newest));
    let layer = manifest["layers"]
        .as_array()
        .unwrap()
        .last()
        .unwrap()
        .clone();
    let into = tempfile::tempdir_in(project.temp()).unwrap();
    let layer = layout.join(blob(&layer));
    let unpacked = Command::new("tar")
        .arg("-xzf")
        .arg(&layer)
        .arg("-C")
        .arg(into.path())
        .status()
        .unwrap();
    assert!(unpacked.success());
    let program = into.path().join("union/bin/hello");
    let output = Command::new(&program).output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let prints = String::from_utf8(output.stdout).unwrap();
    let mut hasher = DefaultHasher::new();
    std::fs::read(&program).unwrap().hash(&mut hasher);
    (hasher.finish(), prints.trim().to_owned())
}

/// Sets an old modification time, as restored caches do.
pub(crate) fn age(project: &Project, path: &str) {
    let status = Command::new("touch")
        .args(["-d", "2020-01-01"])
        .arg(project.path(path))
        .status()
        .unwrap();
    assert!(status.success());
}

fn git(project: &Project, directory: &str, arguments: &[&str]) {
    let output = Command::new("git")
        .args([
            "-c",
            "user.name=t",
            "-c",
            "user.email=t@example.com",
            "-c",
            "commit.gpgsign=false",
            "-c",
            "init.defaultBranch=main",
        ])
        .args(arguments)
        .current_dir(project.path(directory))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "git {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn embedded_files_outside_of_src_are_inputs() {
    let main = "fn main() { println!(\"{} {} {}\", include_str!(\"../assets/index.html\"), include_str!(\"../CHANGELOG.md\"), include_str!(\"../tests/t.txt\")); }";
    let project = hello(main)
        .file("assets/index.html", "one")
        .file("CHANGELOG.md", "log")
        .file("tests/t.txt", "t");
    let one = build_and_run(&project, "");
    assert_eq!(one.prints, "one log t");
    assert!(
        project
            .read("Union.lock")
            .contains("inputs = [\"CHANGELOG.md\", \"tests/t.txt\"]"),
        "{}",
        project.read("Union.lock")
    );
    project.write("assets/index.html", "two");
    let two = build_and_run(&project, "");
    project.write("CHANGELOG.md", "more");
    let three = build_and_run(&project, "");
    assert_eq!(
        (two.prints.as_str(), three.prints.as_str()),
        ("two log t", "two more t")
    );
    assert!(one.tag != two.tag && two.tag != three.tag);
}

#[test]
fn fresh_clone_with_the_lock_has_the_same_key() {
    let main = "fn main() { println!(\"{} {:?}\", include_str!(\"../CHANGELOG.md\"), option_env!(\"SOME_FLAG\")); }";
    // The tests' own wrapper stands in the temporary directory, and wrappers are inputs.
    let hello = |main| hello(main).without_env("RUSTC_WRAPPER");
    let project = hello(main).file("CHANGELOG.md", "log");
    let one = build_and_run(&project, "");
    let clone = hello(main)
        .file("CHANGELOG.md", "log")
        .file("Union.lock", project.read("Union.lock"))
        .file("Cargo.lock", project.read("Cargo.lock"));
    let planned = clone
        .run(["plan", "--locked", "--format", "json"])
        .succeeds()
        .compiles_nothing()
        .json()["images"][0]["tag"]
        .clone();
    assert_eq!(planned, one.tag.as_str());
    clone.run(["build", "--locked"]).succeeds();
    assert_eq!(build_and_run(&clone, ""), one);
}

#[test]
fn locked_build_with_an_incomplete_lock_is_an_error() {
    let project =
        hello("fn main() { println!(\"{} {:?}\", include_str!(\"../README.md\"), option_env!(\"SOME_FLAG\")); }").file("README.md", "x");
    let outcome = project.run(["build", "--locked"]).fails_with("U0211");
    outcome
        .stderr_has("`README.md` of `hello`")
        .stderr_has("the variable `SOME_FLAG` of `hello`");
    assert!(
        !project.path("Union.lock").exists()
            && !project.path("target/union/oci/hello/index.json").exists()
    );
}

#[test]
fn build_script_without_watches_depends_on_its_package() {
    let script = "fn main() { println!(\"cargo::rustc-env=TEXT={}\", std::fs::read_to_string(\"data/t.txt\").unwrap() + &std::fs::read_to_string(\"notes.md\").unwrap()); }";
    let project = hello("fn main() { println!(\"{}\", env!(\"TEXT\")); }")
        .file("build.rs", script)
        .file("data/t.txt", "one")
        .file("notes.md", "");
    let one = build_and_run(&project, "");
    project.write("data/t.txt", "two");
    let two = build_and_run(&project, "");
    project.write("notes.md", "!");
    let three = build_and_run(&project, "");
    assert_eq!(
        [&one.prints, &two.prints, &three.prints],
        ["one", "two", "two!"]
    );
    assert!(one.tag != two.tag && two.tag != three.tag);
    assert!(
        project.read("Union.lock").contains("whole = true"),
        "{}",
        project.read("Union.lock")
    );
}

#[test]
fn build_script_reruns_for_unwatched_inputs() {
    let script = "fn main() { println!(\"cargo::rerun-if-changed=build.rs\"); println!(\"cargo::rustc-env=TEXT={}\", std::fs::read_to_string(\"data/t.txt\").unwrap()); }";
    let project = hello("fn main() { println!(\"{}\", env!(\"TEXT\")); }")
        .file("build.rs", script)
        .file("data/t.txt", "one");
    let one = build_and_run(&project, "");
    project.write("data/t.txt", "two");
    let two = build_and_run(&project, "");
    assert_eq!((one.prints.as_str(), two.prints.as_str()), ("one", "two"));
    assert_ne!(one.tag, two.tag);
    // An edit of a source runs no script again, and compiles the program once.
    project.append("src/main.rs", "// more\n");
    project.run(["build"]).succeeds().compiles(["hello"]);
}

#[test]
fn ignored_file_written_by_a_build_script_is_an_output() {
    let script = "fn main() { std::fs::write(\"src/generated.rs\", \"pub const TEXT: &str = \\\"made\\\";\").unwrap(); println!(\"cargo::rerun-if-changed=build.rs\"); }";
    let project = || {
        hello("mod generated;\nfn main() { println!(\"{}\", generated::TEXT); }")
            .file("build.rs", script)
            .file(".gitignore", "/target\n/src/generated.rs\n")
            .without_env("RUSTC_WRAPPER")
    };
    let one = project();
    let first = build_and_run(&one, "");
    assert_eq!(first.prints, "made");
    assert!(
        one.read("Union.lock")
            .contains("outputs = [\"src/generated.rs\"]"),
        "{}",
        one.read("Union.lock")
    );
    let clone = project().file("Union.lock", one.read("Union.lock"));
    clone.run(["build", "--locked"]).succeeds();
    assert_eq!(build_and_run(&clone, ""), first);
    // It may be excluded as well.
    let excluded = project();
    excluded.append("Cargo.toml", "exclude = [\"src/generated.rs\"]\n");
    assert_eq!(build_and_run(&excluded, "").prints, "made");
    // Without ignore rules it is an output because it did not exist before.
    let unruled = project();
    std::fs::remove_file(unruled.path(".gitignore")).unwrap();
    assert_eq!(build_and_run(&unruled, "").prints, "made");
}

#[test]
fn watched_git_head_is_an_input_by_value() {
    let script = "fn main() {\n    println!(\"cargo::rerun-if-changed=.git/HEAD\");\n    println!(\"cargo::rerun-if-changed=.git/refs/heads/main\");\n    let output = std::process::Command::new(\"git\").args([\"rev-parse\", \"HEAD\"]).output().unwrap();\n    println!(\"cargo::rustc-env=REVISION={}\", String::from_utf8(output.stdout).unwrap().trim());\n}\n";
    let project = hello("fn main() { println!(\"{}\", env!(\"REVISION\")); }")
        .file("build.rs", script)
        .file(".gitignore", "/target\nUnion.lock\n");
    git(&project, "", &["init", "-q"]);
    git(&project, "", &["add", "."]);
    git(&project, "", &["commit", "-qm", "one"]);
    let one = build_and_run(&project, "");
    git(
        &project,
        "",
        &["commit", "-q", "--allow-empty", "-m", "two"],
    );
    let two = build_and_run(&project, "");
    assert!(one.tag != two.tag && one.prints != two.prints);
    git(&project, "", &["pack-refs", "--all"]);
    assert_eq!(build_and_run(&project, ""), two);
    git(&project, "", &["checkout", "-q", "--detach"]);
    assert_eq!(build_and_run(&project, ""), two);
    assert!(
        project.read("Union.lock").contains("revision = true")
            && !project.read("Union.lock").contains(".git")
    );
}

#[test]
fn repository_file_outside_of_the_workspace_is_an_input() {
    let project = Project::empty()
        .file(
            "ws/app/Cargo.toml",
            format!(
                "[package]\nname = \"hello\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n{SCRATCH}"
            ),
        )
        .file(
            "ws/app/src/main.rs",
            "fn main() { println!(\"{}\", include_str!(\"../../../shared/s.txt\")); }",
        )
        .file("shared/s.txt", "one")
        .file("shared/other.txt", "");
    git(&project, "", &["init", "-q"]);
    let one = build_and_run(&project, "ws/app");
    project.write("shared/s.txt", "two");
    let two = build_and_run(&project, "ws/app");
    assert_eq!((one.prints.as_str(), two.prints.as_str()), ("one", "two"));
    // A file with the same ending that is added beside it may be one that a macro reads.
    project.write("shared/new.txt", "");
    assert_ne!(build_and_run(&project, "ws/app").tag, two.tag);
    project.write("shared/new.json", "");
    project
        .run_in("ws/app", ["build"])
        .succeeds()
        .compiles_nothing()
        .stderr_has("Unchanged");
}

#[test]
fn root_package_and_member_of_another_workspace_are_inputs() {
    let project = Project::empty()
        .file("app/Cargo.toml", format!("[package]\nname = \"hello\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[dependencies]\nlib = {{ path = \"../lib\" }}\n\n{SCRATCH}"))
        .file("app/src/main.rs", "fn main() { println!(\"{}\", lib::text()); }")
        .file("lib/Cargo.toml", "[package]\nname = \"lib\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[workspace]\nmembers = [\"part\"]\n[dependencies]\npart = { path = \"part\" }\n")
        .file("lib/src/lib.rs", "pub fn text() -> &'static str { part::TEXT }")
        .file("lib/part/Cargo.toml", "[package]\nname = \"part\"\nversion = \"0.1.0\"\nedition = \"2024\"\n")
        .file("lib/part/src/lib.rs", "pub const TEXT: &str = \"one\";");
    let one = build_and_run(&project, "app");
    project.edit("lib/part/src/lib.rs", "one", "two");
    let two = build_and_run(&project, "app");
    assert_eq!((one.prints.as_str(), two.prints.as_str()), ("one", "two"));
}

#[test]
fn variables_read_by_code_and_scripts_are_inputs() {
    let main = "fn main() { println!(\"{:?} {:?} {:?}\", option_env!(\"PROFILE\"), option_env!(\"CARGO_X\"), option_env!(\"WORD\")); }";
    let unset = hello(main);
    let none = build_and_run(&unset, "");
    assert_eq!(none.prints, "None None None");
    let lock = unset.read("Union.lock");
    assert!(
        lock.contains("variables = [\"CARGO_X\", \"PROFILE\", \"WORD\"]"),
        "{lock}"
    );
    let set = hello(main)
        .file("Union.lock", &lock)
        .env("WORD", "one")
        .env("CARGO_X", "x")
        .env("PROFILE", "mine");
    set.run(["build", "--locked"])
        .succeeds()
        .stderr_lacks("one");
    let one = build_and_run(&set, "");
    assert_eq!(one.prints, "Some(\"mine\") Some(\"x\") Some(\"one\")");
    assert_ne!(one.tag, none.tag);
    assert!(!set.read("Union.lock").contains("mine"));
}

#[test]
fn editor_backups_and_test_files_keep_the_tag() {
    let project = hello("fn main() { println!(\"x\"); }")
        .file("tests/a.rs", "")
        .file(".github/workflows/ci.yml", "");
    build_and_run(&project, "");
    for path in [
        "src/main.rs~",
        "src/.main.rs.swp",
        "src/#main.rs#",
        "src/4913",
        "tests/a.rs",
        ".github/workflows/ci.yml",
        "README.md",
        "LICENSE",
    ] {
        project.write(path, "changed");
    }
    project.edit(
        "Cargo.toml",
        "edition = \"2024\"",
        "edition = \"2024\"\nkeywords = [\"k\"]",
    );
    project.append("Cargo.toml", "\n[[test]]\nname = \"a\"\n");
    project
        .run(["build"])
        .succeeds()
        .compiles_nothing()
        .stderr_has("Unchanged");
}

#[test]
fn hidden_files_are_inputs() {
    let macro_like = "fn main() { let text = std::fs::read_to_string(\".sqlx/query-1.json\").unwrap(); println!(\"cargo::rerun-if-changed=build.rs\"); println!(\"cargo::rustc-env=TEXT={text}\"); }";
    let project = hello("fn main() { println!(\"{}\", env!(\"TEXT\")); }")
        .file("build.rs", macro_like)
        .file(".sqlx/query-1.json", "one");
    let one = build_and_run(&project, "");
    project.write(".sqlx/query-1.json", "two");
    let two = build_and_run(&project, "");
    assert_eq!((one.prints.as_str(), two.prints.as_str()), ("one", "two"));
    assert_ne!(one.tag, two.tag);
}

#[test]
fn excluded_file_read_by_the_compiler_stops_the_build() {
    let project = hello("fn main() { println!(\"{}\", include_str!(\"../data/words.txt\")); }")
        .file("data/words.txt", "one");
    project.append("Cargo.toml", "exclude = [\"data\"]\n");
    project
        .run(["build"])
        .fails_with("U0208")
        .stderr_has("data/words.txt")
        .stderr_has("exclude");
    assert!(
        !project.path("target/union/oci/hello/index.json").exists(),
        "nothing was published"
    );
}

#[test]
fn unmatched_pattern_and_missing_learned_file_are_no_errors() {
    let project = hello("fn main() { println!(\"{}\", include_str!(\"../notes.md\")); }")
        .file("notes.md", "one");
    project.append("Cargo.toml", "inputs = [\"sql/*.sql\"]\n");
    let built = project.run(["build"]).succeeds();
    let warning = format!(
        "warning: `sql/*.sql` of `inputs` at {}:8:11 matches no file",
        project.path("Cargo.toml").display()
    );
    assert_eq!(
        built.stderr().matches(&warning).count(),
        1,
        "{}",
        built.stderr()
    );
    std::fs::remove_file(project.path("notes.md")).unwrap();
    project.write("src/main.rs", "fn main() { println!(\"none\"); }");
    assert_eq!(build_and_run(&project, "").prints, "none");
}

/// A package that prints `notes.md`, which Union.lock names after the first build.
fn prints_notes() -> Project {
    let project = hello("fn main() { println!(\"{}\", include_str!(\"../notes.md\")); }")
        .file("notes.md", "one");
    assert_eq!(build_and_run(&project, "").prints, "one");
    let lock = project.read("Union.lock");
    assert!(lock.contains("inputs = [\"notes.md\"]"), "{lock}");
    project
}

#[test]
fn learned_file_replaced_by_a_directory_counts_its_files() {
    let project = prints_notes();
    std::fs::remove_file(project.path("notes.md")).unwrap();
    project.write("notes.md/inside.txt", "two");
    project.run(["build"]).fails_with("U0206");
    project.edit("src/main.rs", "notes.md", "notes.md/inside.txt");
    let two = build_and_run(&project, "");
    project.write("notes.md/inside.txt", "three");
    let three = build_and_run(&project, "");
    assert_eq!(
        (two.prints.as_str(), three.prints.as_str()),
        ("two", "three")
    );
    // All of its files count, as those of a directory that a build script watches.
    project.write("notes.md/beside.md", "");
    let four = build_and_run(&project, "");
    assert!(two.tag != three.tag && three.tag != four.tag);
}

#[test]
fn learned_file_replaced_by_an_outside_link_counts_its_content() {
    let project = prints_notes();
    std::fs::remove_file(project.path("notes.md")).unwrap();
    project.write("../outside.md", "two");
    std::os::unix::fs::symlink("../outside.md", project.path("notes.md")).unwrap();
    let two = build_and_run(&project, "");
    project.write("../outside.md", "three");
    let three = build_and_run(&project, "");
    assert_eq!(
        (two.prints.as_str(), three.prints.as_str()),
        ("two", "three")
    );
    assert_ne!(two.tag, three.tag);
}

#[test]
fn unreadable_learned_file_is_named() {
    let project = prints_notes().without_read_override();
    let notes = project.path("notes.md");
    std::fs::set_permissions(&notes, std::fs::Permissions::from_mode(0o000)).unwrap();
    let refused = project.run(["build"]).fails_with("U0004").exits(1);
    refused
        .stderr_has("notes.md")
        .stderr_has("Permission denied")
        .compiles_nothing();
    // A path that is no longer a file is not read.
    for special in ["ln -s notes.md notes.md", "mkfifo notes.md"] {
        std::fs::remove_file(&notes).unwrap();
        project.shell(special).succeeds();
        project.write("src/main.rs", "fn main() { println!(\"none\"); }");
        assert_eq!(build_and_run(&project, "").prints, "none");
    }
}

#[test]
fn learned_file_changed_during_the_compile_stops_the_build() {
    let script = "fn main() { println!(\"cargo::rerun-if-changed=text.txt\"); \
                  let text = std::fs::read_to_string(\"text.txt\").unwrap(); \
                  if !text.is_empty() { std::fs::write(\"notes.md\", text).unwrap(); } }";
    let project = hello("fn main() { println!(\"{}\", include_str!(\"../notes.md\")); }")
        .file("build.rs", script)
        .file("notes.md", "one")
        .file("text.txt", "");
    assert_eq!(build_and_run(&project, "").prints, "one");
    project.write("text.txt", "two");
    let layout = project.read("target/union/oci/hello/index.json");
    project
        .run(["build"])
        .fails_with("U0209")
        .stderr_has("`notes.md` changed while the code was compiled");
    assert_eq!(project.read("target/union/oci/hello/index.json"), layout);
    assert_eq!(build_and_run(&project, "").prints, "two");
}

#[test]
fn dev_dependency_features_are_inputs_with_resolver_1_only() {
    for (resolver, counts) in [("1", true), ("2", false)] {
        let project = hello("fn main() { println!(\"{}\", helper::EXTRA); }")
            .file(
                "helper/Cargo.toml",
                "[package]\nname = \"helper\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[features]\nextra = []\n",
            )
            .file(
                "helper/src/lib.rs",
                "pub const EXTRA: bool = cfg!(feature = \"extra\");\n",
            );
        project.edit(
            "Cargo.toml",
            "edition = \"2024\"\n",
            &format!("edition = \"2024\"\nresolver = \"{resolver}\"\n"),
        );
        project.append(
            "Cargo.toml",
            "[dependencies]\nhelper = { path = \"helper\" }\n",
        );
        let project = project.locked();
        let before = build_and_run(&project, "");
        assert_eq!(before.prints, "false");
        project.append(
            "Cargo.toml",
            "[dev-dependencies]\nhelper = { path = \"helper\", features = [\"extra\"] }\n",
        );
        let after = build_and_run(&project, "");
        assert_eq!(after.prints, counts.to_string(), "resolver {resolver}");
        assert_eq!(after.tag != before.tag, counts, "resolver {resolver}");
    }
}

#[test]
fn lock_with_conflict_markers_or_newer_version_is_refused() {
    let project = hello("fn main() {}");
    for (text, words) in [
        (
            "version = 1\n<<<<<<< HEAD\n[packages.a]\n=======\n>>>>>>> other\n",
            "conflict markers",
        ),
        ("version = 9\nnews = true\n", "it has the format 9"),
    ] {
        project.write("Union.lock", text);
        project.run(["build"]).fails_with("U0212").stderr_has(words);
        assert_eq!(project.read("Union.lock"), text);
    }
}

#[test]
fn file_changed_during_the_compile_stops_the_build() {
    let script = "fn main() { std::fs::write(\"data.txt\", \"moved\").unwrap(); println!(\"cargo::rerun-if-changed=build.rs\"); }";
    let project = hello("fn main() {}")
        .file("build.rs", script)
        .file("data.txt", "before");
    project
        .run(["build"])
        .fails_with("U0209")
        .stderr_has("data.txt");
    assert_eq!(build_and_run(&project, "").prints, "");
}

#[test]
fn concurrent_builds_keep_all_learned_inputs() {
    let member = |name: &str| {
        let image = format!(
            "[package.metadata.union.images.default]\nbase-image = \"scratch\"\nname = \"{name}\"\n"
        );
        (
            name.to_owned(),
            image,
            format!(
                "fn main() {{ println!(\"{{:?}}\", option_env!(\"OF_{}\")); }}",
                name.to_uppercase()
            ),
        )
    };
    let mut project = Project::workspace();
    for (name, image, main) in [member("a"), member("b")] {
        project = project
            .member(&name, &image)
            .file(&format!("members/{name}/src/main.rs"), main);
    }
    let project = project.locked();
    let runs = ["a", "b"].map(|name| project.start(["build", "-p", name]));
    for run in runs {
        run.wait().succeeds();
    }
    let lock = project.read("Union.lock");
    assert!(lock.contains("OF_A") && lock.contains("OF_B"), "{lock}");
}
