//! `copy` with cargo alone: which files of a workspace are copied into an image.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;
use union_tests::{Outcome, Project};

fn hello(copy: &str) -> Project {
    Project::package("hello")
        .union(&format!(
            "[package.metadata.union.images.default]\nbase-image = \"scratch\"\ncopy = {copy}\n"
        ))
        .locked()
}

/// The entries of the layer of copies of a layout's image: `path owner:group`, without directories.
fn copied(layout: &Path) -> Vec<String> {
    let read = |path: &str| -> Value {
        serde_json::from_slice(&std::fs::read(layout.join(path)).unwrap()).unwrap()
    };
    let blob = |descriptor: &Value| {
        descriptor["digest"]
            .as_str()
            .unwrap()
            .replacen("sha256:", "blobs/sha256/", 1)
    };
    let manifest = read(&blob(&read("index.json")["manifests"][0]));
    let config = read(&blob(&manifest["config"]));
    let made_by = |made_by: &str| {
        config["history"]
            .as_array()
            .unwrap()
            .iter()
            .position(|step| step["created_by"] == made_by)
            .unwrap()
    };
    let layer = layout.join(blob(&manifest["layers"][made_by("cargo union: copy")]));
    let mut archive = tar::Archive::new(flate2::read::MultiGzDecoder::new(
        std::fs::File::open(layer).unwrap(),
    ));
    let entries = archive
        .entries()
        .unwrap()
        .map(Result::unwrap)
        .filter(|entry| !entry.header().entry_type().is_dir());
    entries
        .map(|entry| entry.path().unwrap().display().to_string())
        .collect()
}

#[track_caller]
fn unchanged(outcome: Outcome) {
    outcome
        .succeeds()
        .compiles_nothing()
        .stderr_has("Unchanged default");
}

#[test]
fn package_copy_excludes_outputs_of_cargo_and_the_tool() {
    let project = hello("[{ from = \".\", to = \"/app\" }]")
        .file(".gitignore", "/target\nlocal/\n")
        .file(".dockerignore", "**/*.log\n")
        .file("conf/app.toml", "a = 1")
        .file("conf/trace.log", "x")
        .file("local/secret", "x")
        .file(".git/HEAD", "ref: refs/heads/main\n");
    project.run(["build"]).succeeds().compiles(["hello"]);
    let layout = project.path("target/union/oci/hello");
    let expected = [
        "app/.dockerignore",
        "app/.gitignore",
        "app/Cargo.lock",
        "app/Cargo.toml",
        "app/conf/app.toml",
        "app/src/main.rs",
    ];
    assert_eq!(copied(&layout), expected);
    unchanged(project.run(["build"]));
    project.write("local/secret", "y");
    project.write(".git/HEAD", "other");
    unchanged(project.run(["build"]));
    project.write("conf/app.toml", "a = 2");
    project.run(["plan"]).succeeds().stdout_has("copy . → /app");
    project.run(["build"]).succeeds();
}

#[test]
fn dot_copies_the_package() {
    let project = hello("[\".\"]")
        .file(".gitignore", "/target\n")
        .file("conf/app.toml", "a = 1")
        .file(".git/HEAD", "ref: refs/heads/main\n");
    project.run(["build"]).succeeds().compiles(["hello"]);
    let expected = [
        ".gitignore",
        "Cargo.lock",
        "Cargo.toml",
        "conf/app.toml",
        "src/main.rs",
    ];
    assert_eq!(copied(&project.path("target/union/oci/hello")), expected);
    unchanged(project.run(["build"]));
    project.write(".git/HEAD", "other");
    unchanged(project.run(["build"]));
}

#[test]
fn cargo_directories_are_excluded_at_any_path() {
    let project = hello("[{ from = \".\", to = \"/app\" }]").file(
        ".cargo/config.toml",
        "[build]\ntarget-dir = \"made\"\nbuild-dir = \"between\"\n",
    );
    project.run(["build"]).succeeds();
    unchanged(project.run(["build"]));
    let files = copied(&project.path("made/union/oci/hello"));
    assert!(
        files
            .iter()
            .all(|file| !file.starts_with("app/made") && !file.starts_with("app/between")),
        "{files:?}"
    );
    project.run(["build", "--target-dir", "third"]).succeeds();
    unchanged(project.run(["build", "--target-dir", "third"]));
}

#[test]
fn excluded_files_are_neither_copied_nor_inputs() {
    let project = hello("[{ from = \"conf\", to = \"/etc/app\", exclude = [\"**/*.bak\"] }]")
        .file("conf/a", "1")
        .file("conf/deep/a.bak", "1")
        .file("conf/deep/b", "1");
    // Files of the package are sources as well, unless the image excludes them.
    project.append("Cargo.toml", "exclude = [\"conf\"]\n");
    project.run(["build"]).succeeds();
    assert_eq!(
        copied(&project.path("target/union/oci/hello")),
        ["etc/app/a", "etc/app/deep/b"]
    );
    project.write("conf/deep/a.bak", "2");
    unchanged(project.run(["build"]));
    project.edit("Cargo.toml", "**/*.bak", "[a");
    project
        .run(["check"])
        .exits(2)
        .fails_with("U0104")
        .stderr_has("Cargo.toml:8:18")
        .stderr_has("`[a`");
    project.edit("Cargo.toml", "[a", "**");
    project
        .run(["check"])
        .exits(2)
        .fails_with("U0112")
        .stderr_has("all its files are excluded");
}

#[test]
fn model_hub_links_are_copied_with_their_targets() {
    let project = hello("[{ from = \"hub/snapshots/r1\", to = \"/model\" }]")
        .file("hub/blobs/ab12", "weights");
    std::fs::create_dir_all(project.path("hub/snapshots/r1")).unwrap();
    symlink(
        "../../blobs/ab12",
        project.path("hub/snapshots/r1/model.safetensors"),
    )
    .unwrap();
    project.run(["check"]).succeeds();
    project.run(["build"]).succeeds();
    assert_eq!(
        copied(&project.path("target/union/oci/hello")),
        ["model/model.safetensors"]
    );
    project.write("hub/blobs/ab12", "other weights");
    project
        .run(["plan"])
        .succeeds()
        .stdout_has("copy hub/snapshots/r1");
}

#[test]
fn check_and_build_refuse_the_same_links_at_the_copy_line() {
    for (target, why) in [
        ("/etc/passwd", "outside of the workspace"),
        ("../gone", "which does not exist"),
        ("..", "that contains the link"),
    ] {
        let project = hello("[{ from = \"conf\", to = \"/etc/app\" }]").file("conf/a", "1");
        symlink(target, project.path("conf/link")).unwrap();
        for command in ["check", "build"] {
            let outcome = project
                .run([command])
                .exits(2)
                .fails_with("U0114")
                .compiles_nothing();
            outcome
                .stderr_has("Cargo.toml:8:18")
                .stderr_has("conf/link")
                .stderr_has(why);
        }
    }
}

#[test]
fn whiteout_names_are_refused_by_copy() {
    let project = hello("[{ from = \"etc\", to = \"/etc\" }]").file("etc/.wh.passwd", "");
    for command in ["check", "build"] {
        project
            .run([command])
            .exits(2)
            .fails_with("U0121")
            .stderr_has("Cargo.toml:8:18")
            .stderr_has("etc/.wh.passwd")
            .stderr_has("Rename it");
    }
    let project = hello("[{ from = \"etc\", to = \"/.wh.etc\" }]").file("etc/a", "");
    project
        .run(["check"])
        .exits(2)
        .fails_with("U0121")
        .stderr_has("Cargo.toml:8:30")
        .stderr_has("would remove another file");
}

#[test]
fn member_beside_the_root_copies_from_package_and_workspace() {
    let member = "[package]\nname = \"svc\"\nversion = \"0.1.0\"\nedition = \"2024\"\nworkspace = \"../root\"\n\n\
        [package.metadata.union.images.default]\nbase-image = \"scratch\"\n\
        copy = [{ from = \"conf\", to = \"/conf\" }, { from = \"../root/shared.txt\", to = \"/shared.txt\" }]\n";
    let project = Project::empty()
        .file(
            "root/Cargo.toml",
            "[workspace]\nresolver = \"3\"\nmembers = [\"../svc\"]\n",
        )
        .file("root/shared.txt", "shared")
        .file("svc/Cargo.toml", member)
        .file("svc/src/main.rs", "fn main() {}\n")
        .file("svc/conf/a", "1")
        .file("other/b", "1");
    project.run_in("root", ["check"]).succeeds();
    let note =
        "is outside of the workspace's directory: another checkout may compile to different bytes";
    project
        .run_in("svc", ["build"])
        .succeeds()
        .stderr_has("`svc` at `")
        .stderr_has(note);
    assert_eq!(
        copied(&project.path("root/target/union/oci/svc")),
        ["conf/a", "shared.txt"]
    );
    unchanged(project.run_in("root", ["build"]));
    project.write("svc/conf/a", "2");
    project
        .run_in("root", ["plan"])
        .succeeds()
        .stdout_has("copy conf → /conf");
    project.edit("svc/Cargo.toml", "../root/shared.txt", "../other/b");
    project
        .run_in("root", ["check"])
        .exits(2)
        .fails_with("U0113")
        .stderr_has("svc/Cargo.toml:9:51");
}

#[test]
fn tree_that_changes_while_it_is_read_is_an_error_or_complete() {
    const IMAGE: &str =
        "[package.metadata.union.images.default]\nbase-image = \"scratch\"\ncopy = [\".\"]\n";
    let project = Project::package("hello").union(IMAGE).locked();
    project.run(["build"]).succeeds();
    let directory = project.path("changing");
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // Files and directories appear and vanish in the walked directory.
            for round in 0.. {
                if is_over.load(Ordering::Relaxed) {
                    break;
                }
                let inner = directory.join(format!("{}", round % 7));
                fs::create_dir_all(&inner).unwrap();
                for name in 0..20 {
                    fs::write(inner.join(format!("{name}.txt")), format!("{round}")).unwrap();
                }
                fs::remove_dir_all(&inner).unwrap();
            }
        });
        let outcomes: Vec<_> = (0..12).map(|_| project.run(["build"])).collect();
        is_over.store(true, Ordering::Relaxed);
        for outcome in outcomes {
            let outcome = outcome.stderr_lacks("panicked");
            // A vanished file, or one that was otherwise when the key was computed.
            let is_known = ["U0004", "U0209"].map(|code| outcome.stderr().contains(code));
            if is_known.contains(&true) {
                outcome.exits(1);
            } else {
                outcome.succeeds();
            }
        }
    });
    // Nothing is left of the interrupted runs.
    project.run(["build"]).succeeds();
    project.run(["build"]).succeeds().stderr_has("Unchanged");
}
