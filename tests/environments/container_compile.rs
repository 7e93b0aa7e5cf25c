//! Compiles that the host cannot do as the image needs it: in a container, and with zig.
//!
//! The base is older than this machine: what is linked here asks for a C library that is not there.

use std::path::{Path, PathBuf};
use std::process::Command;

use union_tests::Project;
use union_tests::base::{debian_layout_of, layout_for, layout_of, made_once, push};
use union_tests::engine::{Engine, Podman, Setting};
use union_tests::registry::Registry;
use union_tests::tools::{rust, rust_release};

use crate::setup::{in_container, shell};

/// A release of Debian with an older glibc than that of the host.
const OLD: &str = "bullseye";

struct OldDebian {
    registry: Registry,
}

impl OldDebian {
    fn new() -> Self {
        let registry = Registry::open();
        push(
            &debian_layout_of(OLD, &[]),
            &format!("{}/debian:{OLD}", registry.host()),
        );
        push(&rust(OLD), &format!("{}/rust:1", registry.host()));
        Self { registry }
    }

    /// A program of two crates on the old base, with these `build` settings.
    fn project(&self, build: &str, lines: &str) -> Project {
        let host = self.registry.host();
        let project = Project::package("hello")
            .union("[dependencies]\nhelper = { path = \"helper\" }\n[workspace]\n")
            .union(&format!(
                "[package.metadata.union]\nregistry = \"{host}/team\"\n[package.metadata.union.build]\n{build}\n\
                 [package.metadata.union.images.default]\nbase-image = \"{host}/debian:{OLD}\"\n{lines}\n"
            ))
            .file("helper/Cargo.toml", "[package]\nname = \"helper\"\nversion = \"0.1.0\"\nedition = \"2024\"\n")
            .file("helper/src/lib.rs", "pub fn greeting() -> &'static str {\n    \"hello\"\n}\n")
            .file("src/main.rs", "fn main() {\n    println!(\"{}\", helper::greeting());\n}\n");
        project
            .locked()
            .env("DOCKER_HOST", Engine::with_network().address())
    }

    fn in_container(&self) -> String {
        format!(
            "compile = \"container\"\nrust-image = \"{}/rust:1\"",
            self.registry.host()
        )
    }
}

#[test]
fn container_compile_supports_the_older_glibc_of_the_base() {
    let old = OldDebian::new();
    let host = old.project("compile = \"host\"", "");
    host.run(["build"])
        .fails_with("U0605")
        .stderr_has("GLIBC_")
        .stderr_has("compile = \"container\"");
    let project = old.project(&old.in_container(), "");
    let built = project
        .run(["build"])
        .succeeds()
        .stderr_has("Compiling helper v0.1.0")
        .compiles_nothing();
    assert_eq!(in_container(&built, &[]), "hello");
    assert!(
        project.read("Union.lock").contains("/rust:1"),
        "the toolchain is locked"
    );
    // The image contains nothing of the toolchain or the sources.
    assert_eq!(
        shell(
            &built,
            "find / -xdev -name rustc -o -xdev -name cargo -o -xdev -path '*/bin/gcc' -o -xdev -name '*.rs'"
        ),
        ""
    );

    project.append("src/main.rs", "// edited\n");
    let again = project
        .run(["build"])
        .succeeds()
        .stderr_has("Compiling hello v0.1.0")
        .stderr_lacks("Compiling helper");
    again.stderr_lacks("bringing");
    project
        .run(["build"])
        .succeeds()
        .stderr_has("Unchanged default");

    // Written files belong to the user.
    let owner = project
        .shell("find target -user root | wc -l; find target ! -user $(id -u) | wc -l")
        .succeeds();
    assert_eq!(
        owner.stdout().lines().last(),
        Some("0"),
        "{}",
        owner.stdout()
    );
    // An error of the compiler is cargo's own, with its exit code.
    project.write("src/main.rs", "fn main() { missing }\n");
    project
        .run(["build"])
        .fails_with("U0206")
        .exits(101)
        .stderr_has("cannot find value `missing`");
}

#[test]
fn container_compile_uses_the_cargo_config_of_the_key() {
    let old = OldDebian::new();
    let project = old.project(&old.in_container(), "");
    project.write("src/main.rs", "fn main() {\n    println!(\"{} {} {}\", env!(\"ABOVE\"), cfg!(above), helper::greeting());\n}\n");
    project.write(
        "../.cargo/config.toml",
        "include = ['more.toml']\nbuild.rustflags = ['--cfg', 'above', '@../above.args']\n",
    );
    project.write("../.cargo/more.toml", "[env]\nABOVE = 'one'\n");
    project.write("../above.args", "-Aunexpected_cfgs\n");
    let first = project.run(["build", "--format", "json"]).succeeds().json();
    let printed = |built: &serde_json::Value| {
        Engine::with_network().docker(&[
            "run",
            "--rm",
            "--network",
            "none",
            built["images"][0]["pinned"].as_str().unwrap(),
        ])
    };
    assert_eq!(printed(&first), "one true hello");
    project.write("../.cargo/more.toml", "[env]\nABOVE = 'two'\n");
    let second = project.run(["build", "--format", "json"]).succeeds().json();
    assert_eq!(printed(&second), "two true hello");
    assert_ne!(first["images"][0]["tag"], second["images"][0]["tag"]);
}

#[test]
fn container_compile_has_the_variables_of_the_code() {
    let old = OldDebian::new();
    let project = old.project(&old.in_container(), "");
    project.write(
        "src/main.rs",
        "fn main() {\n    println!(\"{:?} {}\", option_env!(\"WORD\"), helper::greeting());\n}\n",
    );
    let mut tags = Vec::new();
    let mut project = project;
    for word in ["one", "two"] {
        project = project.env("WORD", word);
        let built = project.run(["build"]).succeeds();
        assert_eq!(in_container(&built, &[]), format!("Some({word:?}) hello"));
        tags.push(built.stdout().to_owned());
    }
    assert_ne!(tags[0], tags[1]);
}

#[test]
fn container_compile_error_names_an_existing_file() {
    let old = OldDebian::new();
    let project = old.project(&old.in_container(), "");
    project.write("helper/build.rs", "fn main() {\n    let out = std::env::var(\"OUT_DIR\").unwrap();\n    std::fs::write(format!(\"{out}/gen.rs\"), \"fn f() { missing }\").unwrap();\n}\n");
    project.write(
        "helper/src/lib.rs",
        "include!(concat!(env!(\"OUT_DIR\"), \"/gen.rs\"));\n",
    );
    let failed = project.run(["build"]).fails_with("U0206");
    let named = failed
        .stderr()
        .lines()
        .filter_map(|line| line.trim().strip_prefix("--> "))
        .find(|line| line.contains("gen.rs"));
    let path = named
        .and_then(|named| named.split(':').next())
        .unwrap_or_default()
        .to_owned();
    assert!(Path::new(&path).is_file(), "{path}: {}", failed.stderr());
}

#[test]
fn interface_is_read_in_the_compile_container() {
    let old = OldDebian::new();
    let project = old
        .project(&old.in_container(), "")
        .union("[dependencies.flyte]\npath = \"flyte\"\n");
    let manifest = "[package]\nname = \"flyte\"\nversion = \"0.1.0\"\nedition = \"2024\"\n";
    let project = project
        .file("flyte/Cargo.toml", manifest)
        .file("flyte/src/lib.rs", "")
        .locked();
    let main = "fn main() {\n    let release = std::fs::read_to_string(\"/etc/os-release\").unwrap();\n    \
                let name = release.lines().find_map(|line| line.strip_prefix(\"VERSION_CODENAME=\")).unwrap();\n    \
                println!(\"{{\\\"flyte_interface_version\\\":1,\\\"task\\\":\\\"in_{name}\\\",\\\"inputs\\\":[],\\\"outputs\\\":[]}}\");\n}\n";
    project.write("src/main.rs", main);
    project.run(["build"]).succeeds();
    let reported = project
        .run(["images", "--format", "json"])
        .succeeds()
        .json();
    let line = reported["images"][0]["built"]["interfaces"]["hello"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    assert!(line.contains(&format!("in_{OLD}")), "{reported}");

    project.write(
        "src/main.rs",
        "fn main() {\n    eprintln!(\"not today\");\n    std::process::exit(3);\n}\n",
    );
    project
        .run(["build"])
        .exits(1)
        .fails_with("U0704")
        .stderr_has("ended with exit code 3:\n  not today");
    let left =
        Engine::with_network().docker(&["ps", "--all", "--quiet", "--filter", "name=union-ask"]);
    assert_eq!(left, "");
}

#[test]
fn build_packages_are_in_the_container_and_not_in_the_image() {
    let old = OldDebian::new();
    let build = format!("{}\napt-packages = [\"libpq-dev\"]", old.in_container());
    let project = old.project(&build, "apt-packages = [\"libpq5\"]");
    project.write(
        "src/main.rs",
        "#[link(name = \"pq\")]\nunsafe extern \"C\" {\n    fn PQlibVersion() -> i32;\n}\n\
         fn main() {\n    println!(\"{} {}\", helper::greeting(), unsafe { PQlibVersion() } / 10000);\n}\n",
    );
    let built = project.run(["build"]).succeeds();
    assert_eq!(in_container(&built, &[]), "hello 13");
    assert_eq!(
        shell(
            &built,
            "dpkg -l libpq-dev 2>/dev/null | grep -c ^ii || true"
        ),
        "0"
    );
}

#[test]
fn references_reach_a_build_script_in_the_container() {
    let old = OldDebian::new();
    let project = old.project(&old.in_container(), "").with_union_build("");
    project.write("src/main.rs", "include!(concat!(env!(\"OUT_DIR\"), \"/union_images.rs\"));\nfn main() {\n    println!(\"{:?} {}\", DEFAULT.tag, helper::greeting());\n}\n");
    let built = project.run(["build", "--format", "json"]).succeeds().json();
    let image = &built["images"][0];
    let printed = Engine::with_network().docker(&[
        "run",
        "--rm",
        "--network",
        "none",
        image["pinned"].as_str().unwrap(),
    ]);
    assert_eq!(
        printed,
        format!("Some({:?}) hello", image["tag"].as_str().unwrap())
    );
}

#[test]
fn rust_image_is_selected_locked_and_updated() {
    let old = OldDebian::new();
    let tag = format!("rust:{}-{OLD}", rust_release());
    let hub = format!("{}/library/{tag}", old.registry.host());
    push(&rust(OLD), &hub);
    let mirror = format!(
        "[package.metadata.union.mirrors]\n\"docker.io\" = \"{}\"\n",
        old.registry.host()
    );
    let project = old.project("compile = \"container\"", "").union(&mirror);
    project.run(["build"]).succeeds();
    assert!(
        project.read("Union.lock").contains(&format!("\"{tag}\"")),
        "{}",
        project.read("Union.lock")
    );
    let before = project.read("Union.lock");
    project
        .run(["update"])
        .succeeds()
        .stderr_has("Unchanged Union.lock");

    push(&debian_layout_of(OLD, &["gcc"]), &hub);
    project
        .run(["update"])
        .succeeds()
        .stderr_has(&format!("Updating {tag} sha256:"));
    assert_ne!(project.read("Union.lock"), before);
    project.run(["plan", "--locked"]).succeeds();
}

/// A layout of an image for another machine, and without files of Rust.
fn rust_for_s390x(codename: &str, directory: &Path) -> PathBuf {
    std::fs::create_dir_all(directory.join("root/etc")).unwrap();
    std::fs::write(
        directory.join("root/etc/os-release"),
        format!("ID=debian\nVERSION_CODENAME={codename}\n"),
    )
    .unwrap();
    let tar = directory.join("root.tar");
    assert!(
        Command::new("tar")
            .arg("-C")
            .arg(directory.join("root"))
            .arg("-cf")
            .arg(&tar)
            .arg(".")
            .status()
            .unwrap()
            .success()
    );
    let layout = directory.join("layout");
    layout_for("s390x", &[&tar], &serde_json::json!({}), &layout);
    layout
}

#[test]
fn tag_covers_the_toolchain_of_the_compile_container() {
    let old = OldDebian::new();
    let hub = format!(
        "{}/library/rust:{}-trixie",
        old.registry.host(),
        rust_release()
    );
    let directory = tempfile::tempdir().unwrap();
    push(
        &rust_for_s390x("trixie", &directory.path().join("one")),
        &hub,
    );
    let mirror = format!(
        "[package.metadata.union.mirrors]\n\"docker.io\" = \"{}\"\n",
        old.registry.host()
    );
    let project = old
        .project("", "platforms = [\"linux/s390x\"]")
        .union(&mirror)
        .env("DOCKER_HOST", "unix:///nowhere");
    project.edit(
        "Cargo.toml",
        &format!("base-image = \"{}/debian:{OLD}\"", old.registry.host()),
        "base-image = \"scratch\"",
    );
    let planned =
        || project.run(["plan", "--format", "json"]).succeeds().json()["images"][0]["tag"].clone();
    let before = planned();
    project
        .run(["plan", "--locked"])
        .fails_with("U0211")
        .stderr_has("rust:");
    push(
        &rust_for_s390x("bookworm", &directory.path().join("two")),
        &hub,
    );
    assert_ne!(planned(), before);
}

#[test]
fn podman_compiles() {
    let old = OldDebian::new();
    let podman = Podman::start();
    let project = old
        .project(&old.in_container(), "")
        .env("DOCKER_HOST", podman.address());
    let built = project
        .run(["build"])
        .succeeds()
        .stderr_has("Compiling helper");
    assert_eq!(in_container(&built, &[]), "hello");
}

#[test]
fn engine_without_the_directories_is_reported_as_remote() {
    let old = OldDebian::new();
    let project = old.project(&old.in_container(), "");
    let engine = Engine::start_with(&Setting {
        network: true,
        hides: Some(project.directory()),
        ..Setting::default()
    });
    let project = project.env("DOCKER_HOST", engine.address());
    project
        .run(["build"])
        .fails_with("U0415")
        .stderr_has("cannot access this machine's directories")
        .stderr_has("compile = \"host\"");
}

#[test]
fn automatic_container_compile_without_engine_has_a_reason() {
    let old = OldDebian::new();
    let directory = tempfile::tempdir().unwrap();
    let host = old.registry.host();
    push(
        &rust_for_s390x("trixie", directory.path()),
        &format!("{host}/library/rust:{}-trixie", rust_release()),
    );
    let mirror = format!("[package.metadata.union.mirrors]\n\"docker.io\" = \"{host}\"\n");
    let project = old
        .project("", "platforms = [\"linux/s390x\"]")
        .union(&mirror)
        .env("DOCKER_HOST", "unix:///nowhere");
    project.edit(
        "Cargo.toml",
        &format!("base-image = \"{host}/debian:{OLD}\""),
        "base-image = \"scratch\"",
    );
    let outcome = project
        .run(["build"])
        .fails_with("U0213")
        .compiles_nothing();
    outcome
        .stderr_has("s390x-unknown-linux-gnu")
        .stderr_has("unix:///nowhere")
        .stderr_has("rustup target add");
}

#[test]
fn base_without_a_rust_image_requires_a_named_one() {
    let old = OldDebian::new();
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(directory.path().join("root/etc")).unwrap();
    std::fs::write(
        directory.path().join("root/etc/os-release"),
        "ID=alpine\nPRETTY_NAME=\"Alpine Linux v3.22\"\n",
    )
    .unwrap();
    let tar = directory.path().join("root.tar");
    assert!(
        Command::new("tar")
            .arg("-C")
            .arg(directory.path().join("root"))
            .arg("-cf")
            .arg(&tar)
            .arg(".")
            .status()
            .unwrap()
            .success()
    );
    layout_of(
        &[&tar],
        &serde_json::json!({}),
        &directory.path().join("layout"),
    );
    push(
        &directory.path().join("layout"),
        &format!("{}/alpine:1", old.registry.host()),
    );
    let project = old.project("compile = \"container\"", "");
    project.edit("Cargo.toml", &format!("/debian:{OLD}"), "/alpine:1");
    project
        .run(["build"])
        .fails_with("U0218")
        .stderr_has("Alpine Linux v3.22")
        .stderr_has("build.rust-image")
        .compiles_nothing();
}

/// The directory with `cargo-zigbuild` and zig, from the Python index.
fn zig() -> PathBuf {
    made_once("zig", |draft| {
        let run = |program: &Path, arguments: &[&str]| {
            let done = Command::new(program).args(arguments).output().unwrap();
            assert!(
                done.status.success(),
                "{arguments:?}: {}",
                String::from_utf8_lossy(&done.stderr)
            );
        };
        run(
            Path::new("python3"),
            &["-m", "venv", draft.to_str().unwrap()],
        );
        run(
            &draft.join("bin/python"),
            &[
                "-m",
                "pip",
                "install",
                "--quiet",
                "cargo-zigbuild",
                "ziglang",
            ],
        );
    })
    .join("bin")
}

#[test]
fn zig_compiles_for_the_older_glibc() {
    let mut tags = Vec::new();
    for build in ["compile = \"zig\"", ""] {
        let old = OldDebian::new();
        let project = old.project(build, "");
        // Its programs contain the original directory, so it is called through its current interpreter.
        let tools = project.path("tools");
        std::fs::create_dir_all(&tools).unwrap();
        let zig = zig();
        let script = |name: &str, line: String| {
            std::fs::write(tools.join(name), format!("#!/bin/sh\n{line}\n")).unwrap();
            std::fs::set_permissions(
                tools.join(name),
                std::os::unix::fs::PermissionsExt::from_mode(0o755),
            )
            .unwrap();
        };
        script(
            "cargo-zigbuild",
            format!("exec {}/cargo-zigbuild \"$@\"", zig.display()),
        );
        script(
            "zig",
            format!("exec {}/python -m ziglang \"$@\"", zig.display()),
        );
        let path = format!("{}:{}", tools.display(), std::env::var("PATH").unwrap());
        let project = project.env("PATH", path);
        let built = project.run(["build"]).succeeds();
        assert_eq!(in_container(&built, &[]), "hello", "{build}");
        assert!(project.path("target/union/zig").is_dir(), "{build}");
        tags.push(
            project.run(["plan", "--format", "json"]).succeeds().json()["images"][0]["tag"].clone(),
        );
    }
    assert_eq!(
        tags[0], tags[1],
        "what compiles is in the tag, not who chose it"
    );
}

#[test]
fn missing_zig_is_named() {
    let old = OldDebian::new();
    let project = old.project("compile = \"zig\"", "");
    let tools = project.path("tools");
    std::fs::create_dir_all(&tools).unwrap();
    for name in ["cargo", "rustc"] {
        let found = Command::new("sh")
            .args(["-c", &format!("command -v {name}")])
            .output()
            .unwrap();
        std::os::unix::fs::symlink(
            String::from_utf8(found.stdout).unwrap().trim(),
            tools.join(name),
        )
        .unwrap();
    }
    let project = project.env("PATH", format!("{}:/usr/bin:/bin", tools.display()));
    let project = project.env("CARGO_HOME", tools.display().to_string());
    project
        .run(["build"])
        .fails_with("U0003")
        .stderr_has("cargo-zigbuild")
        .stderr_has("pip install ziglang");
}
