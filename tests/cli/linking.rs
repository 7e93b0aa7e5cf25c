//! Linkers: which one is selected, and the errors when it is missing or fails.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use union_tests::Project;

const SCRATCH: &str = "[package.metadata.union.images.default]\nbase-image = \"scratch\"\n";
const ARM: &str = "aarch64-unknown-linux-gnu";

/// A program of a project.
fn program(project: &Project, path: &str, script: &str) {
    project.write(path, script);
    fs::set_permissions(project.path(path), fs::Permissions::from_mode(0o755)).unwrap();
}

/// zig and cargo-zigbuild in `../tools`, for the PATH. The arguments of a compile are recorded in `../zigbuild`, and it fails.
fn zig(project: &Project) {
    let asked = project.path("../zigbuild").display().to_string();
    program(
        project,
        "../tools/cargo-zigbuild",
        &format!(
            "#!/bin/sh\n[ \"$1\" != --version ] || exec echo cargo-zigbuild 0.1.0\necho \"$*\" >{asked}\nexit 1\n"
        ),
    );
    program(project, "../tools/zig", "#!/bin/sh\necho 0.15.0\n");
    program(project, "../tools/python3", "#!/bin/sh\nexit 1\n");
}

/// A project for arm64, and a compiler that has the standard library for it, or reports so: a compile for it is
/// recorded, and fails.
fn for_arm(build: &str) -> Project {
    let tables = format!(
        "{SCRATCH}platforms = [\"linux/arm64\"]\nlauncher = false\n[package.metadata.union.build]\n{build}\n"
    );
    let project = Project::package("hello").union(&tables).locked();
    fs::create_dir_all(project.path(&format!("../sysroot/lib/rustlib/{ARM}/lib"))).unwrap();
    let sysroot = project.path("../sysroot").display().to_string();
    let script = format!(
        "#!/bin/sh\ncase \"$*\" in\n'--print sysroot') echo {sysroot}; exit;;\n*--crate-name\\ hello*) echo \"$*\" >{sysroot}/asked; exit 1;;\nesac\n\
         exec rustc \"$@\"\n"
    );
    program(&project, "../rustc", &script);
    let compiler = project.path("../rustc").display().to_string();
    project
        .env("RUSTC", compiler)
        .env("DOCKER_HOST", "unix:///nowhere.sock")
}

#[test]
fn target_without_a_linker_names_the_missing_tool() {
    for build in ["", "compile = \"host\""] {
        let refused = for_arm(build)
            .run(["build"])
            .exits(1)
            .fails_with("U0207")
            .compiles_nothing();
        let refused = refused
            .stderr_has(&format!("has no linker for `{ARM}`"))
            .stderr_has("`aarch64-linux-gnu-gcc`");
        refused
            .stderr_has("`gcc-aarch64-linux-gnu`")
            .stderr_has("zig and cargo-zigbuild")
            .stderr_has("in a container");
    }
}

#[test]
fn cross_linker_on_the_path_is_passed_to_cargo() {
    let project = for_arm("");
    program(&project, "../tools/aarch64-linux-gnu-gcc", "#!/bin/sh\n");
    let path = format!(
        "{}:{}",
        project.path("../tools").display(),
        std::env::var("PATH").unwrap()
    );
    let project = project.env("PATH", path);
    project.run(["build"]).fails_with("U0206").exits(101);
    let asked = project.read("../sysroot/asked");
    assert!(asked.contains("linker=aarch64-linux-gnu-gcc"), "{asked}");
    // One that a variable names is part of the key.
    let tag = |project: &Project| {
        project.run(["plan", "--format", "json"]).succeeds().json()["images"][0]["tag"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let usual = tag(&project);
    program(&project, "../tools/my-gcc", "#!/bin/sh\n");
    let project = project.env(&format!("CC_{}", ARM.replace('-', "_")), "my-gcc");
    assert_ne!(tag(&project), usual);
    project.run(["build"]).fails_with("U0206");
    assert!(project.read("../sysroot/asked").contains("linker=my-gcc"));
    // The user's cargo configuration takes precedence.
    let project = project.env(
        &format!(
            "CARGO_TARGET_{}_LINKER",
            ARM.to_uppercase().replace('-', "_")
        ),
        "my-linker",
    );
    project.run(["build"]).fails_with("U0206");
    let asked = project.read("../sysroot/asked");
    assert!(
        asked.contains("linker=my-linker") && !asked.contains("gcc"),
        "{asked}"
    );
}

#[test]
fn zig_replaces_a_missing_linker() {
    let project = for_arm("");
    zig(&project);
    let path = format!(
        "{}:{}",
        project.path("../tools").display(),
        std::env::var("PATH").unwrap()
    );
    let project = project.env("PATH", path);
    let key = |project: &Project| {
        project.run(["plan", "--format", "json"]).succeeds().json()["images"][0]["tag"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let by_zig = key(&project);
    project.run(["build"]).fails_with("U0206");
    let asked = project.read("../zigbuild");
    assert!(asked.contains("zigbuild") && asked.contains(ARM), "{asked}");
    // The release of zig is part of the key.
    program(&project, "../tools/zig", "#!/bin/sh\necho 0.16.0\n");
    assert_ne!(key(&project), by_zig);
    // The linker comes first when there is one.
    std::fs::remove_file(project.path("../zigbuild")).unwrap();
    program(&project, "../tools/aarch64-linux-gnu-gcc", "#!/bin/sh\n");
    project.run(["build"]).fails_with("U0206");
    assert!(!project.path("../zigbuild").exists());
    assert!(project.path("../sysroot/asked").exists());
}

#[test]
fn linker_of_another_system_is_not_used() {
    const TARGET: &str = "x86_64-unknown-linux-gnu";
    for host in ["x86_64-alpine-linux-musl", "x86_64-apple-darwin"] {
        let tables = format!("{SCRATCH}launcher = false\n");
        let project = Project::package("hello").union(&tables).locked();
        let compiled = project.path("../compiled").display().to_string();
        // A compiler for that host, which has the standard library for the target.
        let script = format!(
            "#!/bin/sh\ncase \"$*\" in\n-vV) rustc -vV | sed 's/^host: .*/host: {host}/'; exit;;\n\
             *--crate-name\\ hello*) echo \"$*\" >{compiled}; exit 1;;\nesac\nexec rustc \"$@\"\n"
        );
        program(&project, "../rustc", &script);
        let compiler = project.path("../rustc").display().to_string();
        // A PATH with the compiler of that host, and without Debian's compiler for the target.
        let tools = project.path("../tools");
        fs::create_dir_all(&tools).unwrap();
        for name in ["cargo", "rustc", "cc", "sh", "sed", "git", "echo"] {
            let path = std::env::var_os("PATH").unwrap();
            let mut found = std::env::split_paths(&path).map(|directory| directory.join(name));
            let program = found.find(|path| path.is_file()).unwrap();
            symlink(program, tools.join(name)).unwrap();
        }
        let project = project
            .env("RUSTC", compiler)
            .env("PATH", tools.display().to_string())
            .env("DOCKER_HOST", "unix:///nowhere.sock");
        // Neither a linker nor zig is there, so it has to be a container.
        project
            .run(["build"])
            .exits(1)
            .fails_with("U0207")
            .stderr_has(&format!(
                "this machine ({host}) has no linker for `{TARGET}`"
            ))
            .stderr_has("start Docker or podman")
            .compiles_nothing();
        zig(&project);
        project.run(["build"]).fails_with("U0206");
        assert!(project.read("../zigbuild").contains(TARGET), "{host}");
        assert!(!Path::new(&compiled).exists(), "{host}");
    }
}

#[test]
fn linker_advice_requires_a_linker_failure() {
    let project = Project::package("hello").union(SCRATCH).locked();
    project.write(
        "src/main.rs",
        "#[link(name = \"nowhere\")]\nunsafe extern \"C\" {\n    safe fn nothing();\n}\nfn main() {\n    nothing()\n}\n",
    );
    project
        .run(["build"])
        .exits(101)
        .fails_with("U0206")
        .stderr_has("a library that has no static form needs `link = \"dynamic\"`");
    project.write(
        "src/main.rs",
        "fn main() {\n    let number: i32 = \"text\";\n}\n",
    );
    project
        .run(["build"])
        .exits(101)
        .fails_with("U0206")
        .stderr_has("mismatched types")
        .stderr_lacks("static form");
    // Nor when cargo itself fails after an earlier linker failure.
    project.write(
        "src/main.rs",
        "#[link(name = \"nowhere\")]\nunsafe extern \"C\" {\n    safe fn nothing();\n}\nfn main() {\n    nothing()\n}\n",
    );
    project
        .run(["build"])
        .fails_with("U0206")
        .stderr_has("static form");
    project.append(
        "Cargo.toml",
        "\n[profile.release]\ninherits = \"nothing\"\n",
    );
    project.run(["build"]).stderr_lacks("static form");
}

#[test]
fn library_missing_at_link_time_is_named() {
    let tables = format!("{SCRATCH}[package.metadata.union.build]\nlink = \"dynamic\"\n");
    let project = Project::package("hello").union(&tables).locked();
    project.write(
        "src/main.rs",
        "#[link(name = \"nowhere\")]\nunsafe extern \"C\" {\n    safe fn nothing();\n}\nfn main() {\n    nothing()\n}\n",
    );
    let failed = project
        .run(["build"])
        .exits(101)
        .fails_with("U0206")
        .stderr_has("The linker did not find `libnowhere`");
    failed
        .stderr_has("build.apt-packages")
        .stderr_lacks("static form");
}

#[test]
fn launcher_for_a_target_without_core_names_the_rustup_command() {
    let manifest = format!(
        "{SCRATCH}copy = [{{ from = \"tool\", to = \"/tool\" }}]\nplatforms = [\"linux/arm64\"]\n\
         [package.metadata.union.tasks.one]\ncommand = [\"/tool\"]\n"
    );
    let project = Project::package("hello")
        .union(&manifest)
        .file("tool", "")
        .locked();
    fs::create_dir_all(project.path("../sysroot")).unwrap();
    let sysroot = project.path("../sysroot").display().to_string();
    let script = format!(
        "#!/bin/sh\ncase \"$*\" in\n'--print sysroot') echo {sysroot}; exit;;\n\
         *--crate-name=launcher*) echo \"error[E0463]: can't find crate for core\" >&2; exit 1;;\nesac\nexec rustc \"$@\"\n"
    );
    program(&project, "../rustc", &script);
    let compiler = project.path("../rustc").display().to_string();
    let project = project.env("RUSTC", compiler);
    let outcome = project
        .run(["build"])
        .fails_with("U0221")
        .stderr_has("can't find crate for core");
    outcome
        .stderr_has(&format!("Run `rustup target add {ARM}`"))
        .stderr_has("launcher = false");
    assert!(!project.path("target/union/oci/hello/index.json").exists());
}

#[test]
fn launcher_is_linked_by_cc_when_rustc_brings_no_linker() {
    let project = Project::package("hello").union(SCRATCH).locked();
    let script = "#!/bin/sh\ncase \"$*\" in\n\
         *-Clinker=rust-lld*) echo \"error: linker \\`rust-lld\\` not found\" >&2; exit 1;;\nesac\nexec rustc \"$@\"\n";
    program(&project, "../rustc", script);
    // The program of the script is called, not the one of the toolchain that it belongs to.
    let sysroot = project.path("../sysroot").display().to_string();
    fs::create_dir_all(&sysroot).unwrap();
    let script = script.replacen(
        "in\n",
        &format!("in\n'--print sysroot') echo {sysroot}; exit;;\n"),
        1,
    );
    program(&project, "../rustc", &script);
    let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    fs::create_dir_all(format!("{sysroot}/lib/rustlib/{target}/lib")).unwrap();
    let compiler = project.path("../rustc").display().to_string();
    let project = project.env("RUSTC", compiler);
    project.run(["build"]).succeeds();
    let launcher = fs::read_dir(project.path("target/union/launcher"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap();
    let launcher = launcher.path().join("launcher");
    let ended = std::process::Command::new(launcher)
        .args(["--", "sh", "-c", "exit 7"])
        .status()
        .unwrap();
    assert_eq!(ended.code(), Some(7));
}
