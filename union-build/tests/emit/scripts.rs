//! Output and files of the build script: a program that calls `emit` in the environment of a build script.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::project::clean_cargo;

/// A build script, compiled by the real cargo. Its directory stays, so that it is compiled once.
fn script() -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("emit-script");
    fs::create_dir_all(&directory).unwrap();
    // The program is the package's build script itself, run as a program: it needs no other package.
    let main = "fn main() {\n    let emitted = union_build::emit();\n    if std::env::args().len() > 1 {\n        emitted.require_resolved();\n    }\n}\n";
    let manifest = format!(
        "[package]\nname = \"script\"\nversion = \"0.1.0\"\nedition = \"2021\"\n\n[workspace]\n\n[dependencies]\nunion-build = {{ path = {:?} }}\n",
        env!("CARGO_MANIFEST_DIR")
    );
    for (path, text) in [("Cargo.toml", manifest.as_str()), ("src/main.rs", main)] {
        let path = directory.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        if fs::read_to_string(&path).ok().as_deref() != Some(text) {
            fs::write(&path, text).unwrap();
        }
    }
    if !directory.join("Cargo.lock").exists() {
        fs::copy(
            concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.lock"),
            directory.join("Cargo.lock"),
        )
        .unwrap();
    }
    let output = clean_cargo()
        .args(["build", "--quiet", "--offline"])
        .current_dir(&directory)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    directory.join("target/debug/script")
}

/// A package where the script runs.
struct Setup {
    root: tempfile::TempDir,
}

impl Setup {
    /// A workspace with one member, `member`.
    fn new() -> Self {
        let setup = Self {
            root: tempfile::tempdir().unwrap(),
        };
        setup.write("Cargo.toml", "[workspace]\nmembers = [\"member\"]\nresolver = \"2\"\n[workspace.metadata.union]\nimages.base = {}\n");
        setup.package("member", "[package.metadata.union.images.gpu]\n");
        setup
    }

    fn package(&self, directory: &str, union: &str) {
        let manifest =
            format!("[package]\nname = \"app\"\nversion = \"0.1.0\"\nedition = \"2021\"\n{union}");
        self.write(&format!("{directory}/Cargo.toml"), &manifest);
        self.write(&format!("{directory}/src/main.rs"), "fn main() {}\n");
        self.write(&format!("{directory}/out/keep"), "");
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root.path().canonicalize().unwrap().join(path)
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn run(&self, directory: &str, arguments: &[&str]) -> ScriptOutput {
        let mut command = Command::new(script());
        let cargo = clean_cargo();
        // The variables of a build script, without those of this test.
        for (name, _) in cargo.get_envs() {
            command.env_remove(name);
        }
        command
            .env("CARGO", cargo.get_program())
            .env("CARGO_PKG_NAME", "app")
            .env("OUT_DIR", self.path(directory).join("out"));
        command
            .env("CARGO_MANIFEST_DIR", self.path(directory))
            .current_dir(self.path(directory))
            .args(arguments);
        ScriptOutput::of(command.output().unwrap())
    }

    fn generated(&self, directory: &str) -> String {
        fs::read_to_string(self.path(directory).join("out/union_images.rs")).unwrap()
    }
}

struct ScriptOutput {
    lines: Vec<String>,
}

impl ScriptOutput {
    fn of(output: Output) -> Self {
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let lines = String::from_utf8(output.stdout)
            .unwrap()
            .lines()
            .map(str::to_owned)
            .collect();
        Self { lines }
    }

    /// What follows an instruction, in the order printed.
    fn all(&self, instruction: &str) -> Vec<&str> {
        let start = format!("cargo::{instruction}=");
        self.lines
            .iter()
            .filter_map(|line| line.strip_prefix(start.as_str()))
            .collect()
    }
}

#[test]
fn manifests_and_references_file_are_watched() {
    let setup = Setup::new();
    let printed = setup.run("member", &[]);
    let watched = printed.all("rerun-if-changed");
    let handover = union_build::handover::path(&setup.path("target"), "app", &setup.path("member"));
    let paths = [
        setup.path("member/Cargo.toml"),
        setup.path("Cargo.toml"),
        handover.clone(),
    ];
    assert_eq!(
        watched,
        paths
            .iter()
            .map(|path| path.to_str().unwrap())
            .collect::<Vec<_>>()
    );
    assert_eq!(
        printed.lines.len(),
        4,
        "three watched files and one warning: {:?}",
        printed.lines
    );
    let modified = handover.metadata().unwrap().modified().unwrap();
    assert_eq!(
        modified,
        std::time::SystemTime::UNIX_EPOCH,
        "older than any build"
    );
    let generated = setup.generated("member");
    assert!(
        generated.contains("pub const GPU: Image") && generated.contains("pub const BASE: Image"),
        "{generated}"
    );
}

#[test]
fn vendored_package_watches_no_file_and_is_unresolved() {
    let setup = Setup::new();
    // A vendor directory inside of a workspace that knows nothing of it.
    setup.package("vendor/app", "[package.metadata.union.images.gpu]\n[package.metadata.union.tasks.train]\nimage = \"gpu\"\n");
    setup.write("vendor/app/.cargo-checksum.json", "{\"files\":{}}");
    // A package in a directory of its own, as in cargo's home; and one below a git checkout's root.
    setup.package(
        "registry/app",
        "[workspace]\n[package.metadata.union.images.gpu]\n",
    );
    setup.write("registry/app/.cargo-ok", "");
    setup.package(
        "checkout/crates/app",
        "[workspace]\n[package.metadata.union.images.gpu]\n",
    );
    setup.write("checkout/.cargo-ok", "");
    for directory in ["vendor/app", "registry/app", "checkout/crates/app"] {
        let printed = setup.run(directory, &[]);
        assert_eq!(printed.lines, [""; 0], "{directory}");
        assert!(
            setup.generated(directory).contains("pub const GPU: Image = Image { name: \"app-gpu\", repository: ::core::option::Option::None")
        );
        assert!(
            !setup.path(directory).join("target").exists(),
            "{directory}"
        );
        assert!(
            setup.run(directory, &["require"]).all("error")[0]
                .contains("cargo has unpacked this package"),
            "{directory}"
        );
    }
    assert!(
        setup
            .generated("vendor/app")
            .contains("\"train\" => ::core::option::Option::Some(&GPU)")
    );
    assert!(
        !setup.path("target").exists(),
        "nothing was left in the surrounding workspace"
    );
}

#[test]
fn package_without_table_gets_an_error_naming_the_table() {
    let setup = Setup::new();
    setup.package("member", "");
    let printed = setup.run("member", &[]);
    let warning = printed.all("warning")[0];
    assert!(
        warning.ends_with(&format!(
            "add `[package.metadata.union]` to {}",
            setup.path("member/Cargo.toml").display()
        )),
        "{warning}"
    );
}

#[test]
fn unwritable_target_directory_does_not_fail_the_build() {
    let setup = Setup::new();
    // A file stands where the directory should be: even root cannot write below it.
    setup.write("target", "");
    let printed = setup.run("member", &[]);
    assert_eq!(printed.all("error"), [""; 0]);
    assert_eq!(
        printed.all("rerun-if-changed").len(),
        2,
        "a file that is not there must not be watched"
    );
    assert!(setup.generated("member").contains("pub const GPU: Image"));
}

#[test]
fn invalid_constant_name_fails_the_build_with_one_line() {
    let setup = Setup::new();
    setup.package("member", "[package.metadata.union.images.\"a.b\"]\n");
    let printed = setup.run("member", &[]);
    assert_eq!(
        printed.all("error"),
        ["`a.b` is not a name of an image: use a letter first, then letters, digits, `-` or `_`"]
    );
}

#[test]
fn use_outside_of_a_build_script_has_a_reason() {
    let printed = ScriptOutput::of(
        Command::new(script())
            .env_remove("CARGO_PKG_NAME")
            .output()
            .unwrap(),
    );
    assert!(
        printed.all("error")[0].starts_with("union_build::emit() is for build.rs: "),
        "{:?}",
        printed.lines
    );
}

#[test]
fn generated_file_compiles_in_every_edition_and_under_strict_lints() {
    let setup = Setup::new();
    setup.package("member", "[package.metadata.union.images.my-gpu]\n[package.metadata.union.images.image]\n[package.metadata.union.tasks.a]\nimage = \"my-gpu\"\n");
    let target = setup.path("target");
    let handover = union_build::handover::path(&target, "app", &setup.path("member"));
    fs::create_dir_all(handover.parent().unwrap()).unwrap();
    let mut versions = Vec::new();
    for (nothing, tasks) in [(true, true), (false, true), (false, false)] {
        let image = union_build::handover::Reference {
            key: "my-gpu".into(),
            name: "x".into(),
            tag: Some("t".into()),
            ..Default::default()
        };
        let references = union_build::handover::References {
            package: "app".into(),
            images: vec![image],
            ..Default::default()
        };
        fs::write(
            &handover,
            if nothing {
                String::new()
            } else {
                references.to_json()
            },
        )
        .unwrap();
        if !tasks {
            setup.write(
                "member/Cargo.toml",
                "[package]\nname = \"app\"\nversion = \"0.1.0\"\nautobins = false\n[lib]\npath = \"src/main.rs\"\n[package.metadata.union]\n",
            );
        }
        setup.run("member", &[]);
        versions.push(setup.generated("member"));
    }
    assert!(
        versions[0] != versions[1] && versions[2].contains("match task {\n        _ =>"),
        "three kinds of files"
    );
    let strict = "#![deny(missing_docs, warnings, unsafe_code, unreachable_pub, missing_debug_implementations, missing_copy_implementations)]\n//! A crate.\n";
    for (number, version) in versions.iter().enumerate() {
        setup.write("images.rs", version);
        for (name, include) in [
            ("top", "include!(\"images.rs\");"),
            ("module", "mod images { include!(\"images.rs\"); }"),
            (
                "public",
                "/// Images.\npub mod images { include!(\"images.rs\"); }",
            ),
        ] {
            setup.write("crate.rs", &format!("{strict}{include}\n"));
            for edition in ["2018", "2021", "2024"] {
                let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
                let mut command = Command::new(rustc);
                command
                    .args([
                        "--edition",
                        edition,
                        "--crate-type",
                        "lib",
                        "--emit",
                        "metadata",
                        "--out-dir",
                    ])
                    .arg(setup.path("rlib"));
                let output = command.arg(setup.path("crate.rs")).output().unwrap();
                assert!(
                    output.status.success(),
                    "{number} {name} {edition}: {}",
                    String::from_utf8_lossy(&output.stderr)
                );
            }
        }
    }
}
