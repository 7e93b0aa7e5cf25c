//! Which edits change the key, and the names of the changed inputs.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use cargo_union::workspace::Linkage;
use union_build::diag::Code;

use crate::project::{Project, manifest, triple};

const FILES: &[(&str, &str)] = &[
    (
        "Cargo.toml",
        "[workspace]\nmembers = ['app', 'helper', 'tests-only', 'unrelated']\nresolver = '3'\n[workspace.package]\nversion = '0.1.0'\n",
    ),
    (
        "app/Cargo.toml",
        "# An app.\n[package]\nname = 'app'\nversion.workspace = true\nedition = '2024'\n[features]\nextra = []\n[package.metadata.union]\nregistry = 'ghcr.io/acme'\n[dependencies]\nhelper = { path = '../helper' }\nshared = { path = '../../shared' }\n[dev-dependencies]\ntests-only = { path = '../tests-only' }\n",
    ),
    ("app/build.rs", "fn main() {}"),
    ("app/src/main.rs", "fn main() {}"),
    ("app/src/deep/ignored.rs", ""),
    ("app/.gitignore", "ignored.rs\n"),
    ("app/tests/it.rs", ""),
    ("app/sql/a.sql", ""),
    (
        "helper/Cargo.toml",
        "[package]\nname = 'helper'\nversion = '0.1.0'\nedition = '2024'\n",
    ),
    ("helper/src/lib.rs", ""),
    (
        "tests-only/Cargo.toml",
        "[package]\nname = 'tests-only'\nversion = '0.1.0'\nedition = '2024'\n",
    ),
    ("tests-only/src/lib.rs", ""),
    (
        "unrelated/Cargo.toml",
        "[package]\nname = 'unrelated'\nversion = '0.1.0'\nedition = '2024'\n",
    ),
    ("unrelated/src/lib.rs", ""),
    (
        "../shared/Cargo.toml",
        "[package]\nname = 'shared'\nversion = '0.3.0'\nedition = '2024'\n",
    ),
    ("../shared/src/lib.rs", ""),
];

/// The names of the inputs that an edit moves.
async fn moved(edit: impl FnOnce(&mut Project)) -> Vec<String> {
    let mut project = Project::new(FILES);
    let before = project.named_inputs().await;
    edit(&mut project);
    let after = project.named_inputs().await;
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    names
        .into_iter()
        .filter(|name| before.get(*name) != after.get(*name))
        .cloned()
        .collect()
}

macro_rules! moves {
    ($($name:ident: $edit:expr => $moved:expr;)*) => {
        $(#[tokio::test]
        async fn $name() {
            let expected: &[&str] = &$moved;
            assert_eq!(moved($edit).await, expected);
        })*
    };
}

moves! {
    an_edited_source_is_named: |p| p.edit("app/src/main.rs", "{}", "{ }") => ["app/src/main.rs"];
    a_dependency_by_path_is_a_source: |p| p.write("helper/src/lib.rs", "// a comment") => ["helper/src/lib.rs"];
    a_dependency_outside_of_the_workspace_is_a_source: |p| p.write("../shared/src/lib.rs", "//") => ["../shared/src/lib.rs"];
    a_build_script_is_a_source: |p| p.edit("app/build.rs", "{}", "{ }") => ["app/build.rs"];
    an_ignored_file_is_nothing: |p| p.write("app/src/deep/ignored.rs", "//") => [];
    a_file_beside_src_is_a_source: |p| p.write("app/assets/logo.svg", "") => ["app/assets/logo.svg"];
    a_hidden_file_of_data_is_a_source: |p| p.write("app/.sqlx/query.json", "") => ["app/.sqlx/query.json"];
    what_serves_tests_in_a_manifest_is_nothing: |p| p.edit("app/Cargo.toml", "tests-only = { path = '../tests-only' }", "tests-only = { path = '../tests-only', features = [] }") => [];
    a_new_file_is_a_source: |p| p.write("app/src/new.rs", "") => ["app/src/new.rs"];
    a_comment_in_a_manifest_is_nothing: |p| p.edit("app/Cargo.toml", "# An app.", "# Our app.") => [];
    our_own_tables_are_nothing: |p| p.edit("app/Cargo.toml", "ghcr.io/acme", "ghcr.io/other") => [];
    a_manifest_s_words_are_an_input: |p| p.edit("app/Cargo.toml", "extra = []", "extra = []\nmore = []") => ["app/Cargo.toml"];
    a_profile_is_an_input_of_all: |p| p.edit("Cargo.toml", "[workspace]", "[profile.release]\nlto = true\n[workspace]") => ["Cargo.toml: profile"];
    a_test_s_source_is_nothing: |p| p.write("app/tests/it.rs", "//") => [];
    a_leftover_of_an_editor_is_nothing: |p| p.write("app/src/.main.rs.swp", "") => [];
    another_member_is_nothing: |p| p.write("unrelated/src/lib.rs", "//") => [];
    a_package_for_tests_is_nothing: |p| p.write("tests-only/src/lib.rs", "//") => [];
    a_new_member_is_nothing: |p| {
        p.edit("Cargo.toml", "'unrelated'", "'unrelated', 'newer'");
        p.write("newer/Cargo.toml", &manifest("newer", ""));
        p.write("newer/src/lib.rs", "");
    } => [];
    flags_in_a_file_are_an_input: |p| p.write(".cargo/config.toml", "build.rustflags = ['-Copt-level=1']") => ["rustflags"];
    flags_in_the_environment_are_an_input: |p| p.environment.set("RUSTFLAGS", "-Copt-level=1") => ["rustflags"];
    flags_in_the_manifest_are_an_input: |p| p.settings.compile.env.extend([("RUSTFLAGS".to_owned(), "-Copt-level=1".to_owned())]) => ["build.env.RUSTFLAGS", "rustflags"];
    a_wrapper_is_an_input: |p| p.environment.set("RUSTC_WRAPPER", "/opt/wrap") => ["rustc-wrapper"];
    an_empty_wrapper_is_nothing: |p| p.environment.set("RUSTC_WRAPPER", "") => [];
    a_compile_cache_is_nothing: |p| p.environment.set("RUSTC_WRAPPER", "/opt/kache") => [];
    asking_for_incremental_compilation_is_nothing: |p| p.environment.set("CARGO_INCREMENTAL", "1") => [];
    overridden_packages_are_an_input: |p| {
        p.write("../fork/Cargo.toml", &manifest("fork", ""));
        p.write("../fork/src/lib.rs", "");
        p.write(".cargo/config.toml", "paths = ['../fork']");
    } => ["cargo config: paths"];
    what_cargo_sets_for_the_compile_is_an_input: |p| p.write(".cargo/config.toml", "[env]\nA = 'b'\n[alias]\nb = 'build'\n") => ["cargo config: env"];
    a_profile_s_variable_is_an_input: |p| p.environment.set("CARGO_PROFILE_RELEASE_LTO", "true") => ["CARGO_PROFILE_RELEASE_LTO"];
    other_variables_are_nothing: |p| p.environment.set("EDITOR", "vi") => [];
    a_variable_of_the_build_is_an_input: |p| p.settings.compile.env.extend([("A".to_owned(), "b".to_owned())]) => ["build.env.A"];
    features_are_an_input: |p| p.settings.compile.features.extend(["extra".to_owned()]) => ["features"];
    the_linkage_is_an_input: |p| p.settings.compile.linkage = Linkage::Static => ["link"];
    a_glob_adds_sources: |p| p.settings.inputs.push(p.pattern("app", "tests/*.rs")) => ["app/tests/it.rs"];
    what_is_named_counts_although_it_is_ignored: |p| p.settings.inputs.push(p.pattern("app", "src/deep")) => ["app/src/deep/ignored.rs"];
    what_is_excluded_is_nothing: |p| p.settings.exclude.push(p.pattern("app", "sql")) => ["app/sql/a.sql"];
}

#[tokio::test]
async fn key_depends_on_the_tree_and_not_on_path_or_user() {
    let [here, mut there] =
        ["ws", "another directory/deeper/../there"].map(|name| Project::at(name, &FILES[..14]));
    for project in [&here, &there] {
        project.edit("app/Cargo.toml", "shared = { path = '../../shared' }\n", "");
        project.write(
            ".cargo/config.toml",
            "[env]\nHERE = { value = 'x', relative = true }\n",
        );
    }
    there
        .environment
        .set("CARGO_HOME", there.path("../cargo-home"));
    there.environment.set("USER", "somebody else");
    let flags = |project: &Project| {
        format!(
            "-L{}",
            project
                .path("native")
                .display()
                .to_string()
                .replace(' ', "")
        )
    };
    let mut here = here;
    here.environment.set("RUSTFLAGS", flags(&here));
    assert_ne!(
        here.inputs().await.unwrap().inputs.key("code"),
        there.inputs().await.unwrap().inputs.key("code")
    );
    here.environment.remove("RUSTFLAGS");
    let (a, b) = (
        here.inputs().await.unwrap().inputs,
        there.inputs().await.unwrap().inputs,
    );
    assert_eq!(a, b);
    assert_eq!(a.key("code"), b.key("code"));
    let text = format!("{a:?}");
    let (root, user) = (here.path(""), std::env::var("HOME").unwrap());
    assert!(
        !text.contains(root.to_str().unwrap()) && !text.contains(&user),
        "{text}"
    );
}

#[tokio::test]
async fn flags_with_workspace_paths_have_one_key_in_every_checkout() {
    let mut keys = Vec::new();
    for name in ["a", "b/c"] {
        let mut project = Project::at(name, &FILES[..14]);
        project.edit("app/Cargo.toml", "shared = { path = '../../shared' }\n", "");
        project.environment.set(
            "RUSTFLAGS",
            format!("-L{}/native", project.path("").display()),
        );
        keys.push(project.inputs().await.unwrap().inputs.key("code"));
    }
    assert_eq!(keys[0], keys[1]);
}

#[tokio::test]
async fn file_named_like_a_setting_is_a_separate_input() {
    let mut project = Project::app("fn main() {}");
    project.write("profile", "x");
    let plain = project.named_inputs().await;
    project.settings.inputs = ["profile", "Cargo.lock", "Cargo.toml"]
        .map(|name| project.pattern("", name))
        .into();
    let named = project.named_inputs().await;
    let added: Vec<&str> = named
        .keys()
        .filter(|name| !plain.contains_key(*name))
        .map(String::as_str)
        .collect();
    assert_eq!(added, ["./Cargo.lock", "./Cargo.toml"]);
    assert!(plain.contains_key("profile") && plain.contains_key("./profile"));
}

#[tokio::test]
async fn missing_lock_file_is_created_and_reported_unless_locked() {
    let mut project = Project::app("fn main() {}");
    project.locked = true;
    assert_eq!(
        project.inputs().await.unwrap_err().code(),
        Code::LockfileMissing
    );
    assert!(!project.path("Cargo.lock").exists());
    project.locked = false;
    project.inputs().await.unwrap();
    assert!(project.path("Cargo.lock").exists());
    assert_eq!(project.notes.take(), ["created Cargo.lock; commit it"]);
    project.inputs().await.unwrap();
    assert!(project.notes.take().is_empty());
}

#[tokio::test]
async fn outdated_lock_file_is_updated() {
    let project = Project::new(FILES);
    project.inputs().await.unwrap();
    project.notes.take();
    project.edit(
        "app/Cargo.toml",
        "[dev-dependencies]\ntests-only = { path = '../tests-only' }\n",
        "",
    );
    project.inputs().await.unwrap();
    assert_eq!(
        project.notes.take(),
        ["Cargo.lock was updated: `app` no longer needs `tests-only 0.1.0`"]
    );
    project.inputs().await.unwrap();
    assert!(project.notes.take().is_empty());
}

/// A program that records its arguments, and calls the compiler.
fn asked_compiler(project: &Project, name: &str, release: &str) -> (PathBuf, PathBuf) {
    let (source, program, log) = (
        project.path(&format!("../{name}.rs")),
        project.path(&format!("../{name}")),
        project.path("../log"),
    );
    let code = format!(
        "use std::io::Write as _;\nfn main() {{\n let words: Vec<String> = std::env::args().skip(1).collect();\n \
         let mut log = std::fs::File::options().append(true).create(true).open({log:?}).unwrap();\n log.write_all((words.join(\" \") + \"\\n\").as_bytes()).unwrap();\n \
         let output = std::process::Command::new(\"rustc\").args(words).output().unwrap();\n \
         print!(\"{{}}\", String::from_utf8_lossy(&output.stdout).replace(\"release: 1.\", \"release: {release}.\"));\n}}\n"
    );
    std::fs::write(&source, code).unwrap();
    let mut rustc = std::process::Command::new("rustc");
    assert!(
        rustc
            .arg(&source)
            .arg("-o")
            .arg(&program)
            .status()
            .unwrap()
            .success()
    );
    (program, log)
}

fn times_asked(log: &Path) -> usize {
    std::fs::read_to_string(log)
        .unwrap()
        .lines()
        .filter(|line| *line == "-vV")
        .count()
}

#[tokio::test]
async fn compiler_version_is_cached_until_the_toolchain_may_change() {
    let mut project = Project::app("fn main() {}");
    let (rustc, log) = asked_compiler(&project, "my-rustc", "1");
    project.environment.set("RUSTC", &rustc);
    project.inputs().await.unwrap();
    // cargo may ask as well, when it makes Cargo.lock.
    let first = times_asked(&log);
    let before = project.named_inputs().await;
    assert_eq!(times_asked(&log), first);
    project.write("rust-toolchain.toml", "# another choice\n[toolchain]\n");
    project.inputs().await.unwrap();
    assert_eq!(times_asked(&log), first + 1);

    // Another program in its place, as old as the first.
    let modified = std::fs::metadata(&rustc).unwrap().modified().unwrap();
    let (other, _) = asked_compiler(&project, "other-rustc", "7");
    std::fs::File::options()
        .write(true)
        .open(&other)
        .unwrap()
        .set_modified(modified)
        .unwrap();
    std::fs::rename(&other, &rustc).unwrap();
    assert_ne!(project.named_inputs().await["rustc"], before["rustc"]);
}

#[tokio::test]
async fn compiler_script_is_queried_every_time() {
    let mut project = Project::app("fn main() {}");
    let choice = project.path("../choice");
    let script = format!(
        "rustc \"$@\" | sed \"s/^release: 1\\./release: $(cat '{}')./\"",
        choice.display()
    );
    let rustc = project.program("my-rustc", &script);
    project.environment.set("RUSTC", &rustc);
    std::fs::write(&choice, "1").unwrap();
    let before = project.named_inputs().await;
    std::fs::write(&choice, "7").unwrap();
    assert_ne!(project.named_inputs().await["rustc"], before["rustc"]);
}

#[tokio::test]
async fn relinked_toolchain_is_another_toolchain() {
    let mut project = Project::app("fn main() {}");
    let (rustc, log) = asked_compiler(&project, "my-rustc", "1");
    project.environment.set("RUSTC", &rustc);
    let home = PathBuf::from(project.environment.get("RUSTUP_HOME").unwrap());
    let own = project.path("../rustup");
    std::fs::create_dir_all(own.join("toolchains")).unwrap();
    for entry in std::fs::read_dir(&home)
        .unwrap()
        .flatten()
        .filter(|entry| entry.file_name() != "toolchains")
    {
        std::os::unix::fs::symlink(entry.path(), own.join(entry.file_name())).unwrap();
    }
    for entry in std::fs::read_dir(home.join("toolchains"))
        .unwrap()
        .flatten()
    {
        std::os::unix::fs::symlink(entry.path(), own.join("toolchains").join(entry.file_name()))
            .unwrap();
    }
    project.environment.set("RUSTUP_HOME", &own);
    project.inputs().await.unwrap();
    let first = times_asked(&log);
    project.inputs().await.unwrap();
    assert_eq!(times_asked(&log), first);
    std::os::unix::fs::symlink(project.path("nowhere"), own.join("toolchains/mine")).unwrap();
    project.inputs().await.unwrap();
    assert_eq!(times_asked(&log), first + 1);
}

#[tokio::test]
async fn files_named_by_flags_are_inputs_except_outside_programs() {
    let project = Project::app("fn main() {}");
    project.write(
        "native/link.args",
        "-Wl,--version-script=native/symbols.map\n",
    );
    project.write("native/symbols.map", "{ local: *; };\n");
    project.write("tools/link.sh", "exec cc \"$@\"\n");
    let flags = "build.rustflags = ['-Clink-arg=@native/link.args', '-Clinker=tools/link.sh']\n";
    project.write(
        ".cargo/config.toml",
        &format!("{flags}[target.{}]\nlinker = '/usr/bin/cc'\n", triple()),
    );
    let before = project.named_inputs().await;
    let names = [
        "file of rustflags: native/link.args",
        "file of rustflags: native/symbols.map",
        "program: tools/link.sh",
    ];
    assert!(
        names.iter().all(|name| before.contains_key(*name)),
        "{:?}",
        before.keys()
    );
    assert!(
        !before.keys().any(|name| name.contains("/usr/bin/cc")),
        "{:?}",
        before.keys()
    );
    for (name, file) in
        names
            .iter()
            .zip(["native/link.args", "native/symbols.map", "tools/link.sh"])
    {
        let (before, text) = (
            project.named_inputs().await,
            std::fs::read_to_string(project.path(file)).unwrap(),
        );
        project.write(file, &format!("{text}\n"));
        let after = project.named_inputs().await;
        let moved: Vec<&String> = after
            .keys()
            .filter(|name| before.get(*name) != after.get(*name))
            .collect();
        // They lie in the package as well.
        assert_eq!(moved, [name, file]);
    }
}

/// An app that needs `shared` of a registry, and a fork of that beside the workspace.
fn forked() -> Project {
    let project = Project::app("fn main() { println!(\"{}\", shared::TEXT); }");
    project.write(
        "Cargo.toml",
        &manifest("app", "[dependencies]\nshared = '0.1'\n"),
    );
    project.write("../fork/Cargo.toml", &manifest("shared", ""));
    project.write("../fork/src/lib.rs", "pub const TEXT: &str = \"forked\";");
    project.write("../vendor/.keep", "");
    project.write(
        "../.cargo/config.toml",
        "include = ['more.toml']\n[source.crates-io]\nreplace-with = 'vendor'\n[source.vendor]\ndirectory = 'vendor'\n",
    );
    project
}

/// An edit of the fork is an edit of the image.
async fn check_fork(project: &Project) {
    assert_eq!(project.run().await, "forked");
    let before = project.named_inputs().await;
    project.write("../fork/src/lib.rs", "pub const TEXT: &str = \"edited\";");
    assert_ne!(
        before["../fork/src/lib.rs"],
        project.named_inputs().await["../fork/src/lib.rs"]
    );
    assert_eq!(project.run().await, "edited");
}

#[tokio::test]
async fn package_patched_by_cargo_config_is_a_source() {
    let project = forked();
    project.write(
        "../.cargo/more.toml",
        "[patch.crates-io]\nshared = { path = 'fork' }\n",
    );
    check_fork(&project).await;
}

#[tokio::test]
async fn package_that_overrides_a_registry_package_is_a_source() {
    let project = forked();
    project.write("../vendor/shared/Cargo.toml", &manifest("shared", ""));
    project.write(
        "../vendor/shared/src/lib.rs",
        "pub const TEXT: &str = \"vendored\";",
    );
    project.write(
        "../vendor/shared/.cargo-checksum.json",
        "{\"files\":{},\"package\":null}",
    );
    project.write("../.cargo/more.toml", "");
    assert_eq!(project.run().await, "vendored");
    project.write("../.cargo/more.toml", "paths = ['fork']\n");
    check_fork(&project).await;
}

#[tokio::test]
async fn root_package_and_member_of_another_workspace_are_sources() {
    let project = Project::app("fn main() { println!(\"{}\", outer::text()); }");
    project.write(
        "Cargo.toml",
        &manifest("app", "[dependencies]\nouter = { path = '../outer' }\n"),
    );
    let workspace = "[dependencies]\ninner = { path = 'inner' }\nother = { path = 'other' }\n[workspace]\nmembers = ['inner', 'other']\n";
    project.write("../outer/Cargo.toml", &manifest("outer", workspace));
    project.write(
        "../outer/src/lib.rs",
        "pub fn text() -> &'static str { inner::text() }",
    );
    for member in ["inner", "other"] {
        project.write(
            &format!("../outer/{member}/Cargo.toml"),
            &manifest(member, ""),
        );
        project.write(
            &format!("../outer/{member}/src/lib.rs"),
            "pub fn text() -> &'static str { \"inner\" }",
        );
    }
    assert_eq!(project.run().await, "inner");
    assert!(
        project
            .named_inputs()
            .await
            .contains_key("../outer/inner/src/lib.rs")
    );
}

#[tokio::test]
async fn target_cpu_native_adds_the_cpu_to_the_key() {
    let mut project = Project::app("fn main() {}");
    assert_eq!(project.processor().await, None);
    project.environment.set("RUSTFLAGS", "-C target-cpu=native");
    let found = project.processor().await.unwrap();
    assert!(
        found.starts_with("native") && found.contains("target_feature"),
        "{found}"
    );
    project.environment.set("RUSTFLAGS", "@flags");
    assert_eq!(project.processor().await, None);
    project.write("flags", "-Ctarget-cpu=native\n");
    assert_eq!(project.processor().await, Some(found));
}

#[tokio::test]
async fn zig_and_cargo_zigbuild_versions_are_separate_inputs() {
    let mut project = Project::app("fn main() {}");
    let directory = project
        .program("cargo-zigbuild", "echo cargo-zigbuild 0.1.0")
        .parent()
        .unwrap()
        .display()
        .to_string();
    project.environment.set(
        "PATH",
        format!("{directory}:{}", project.environment.get("PATH").unwrap()),
    );
    project.environment.set(
        "CARGO_ZIGBUILD_PYTHON_PATH",
        project.program("python", "exit 1"),
    );
    project.environment.set(
        "CARGO_ZIGBUILD_ZIG_PATH",
        project.program("my-zig", "echo 0.11.0"),
    );
    assert_eq!(project.zig().await.unwrap(), "0.11.0 cargo-zigbuild 0.1.0");
    project.environment.set(
        "CARGO_ZIGBUILD_PYTHON_PATH",
        project.program("python", "echo 0.12.0"),
    );
    assert_eq!(project.zig().await.unwrap(), "0.12.0 cargo-zigbuild 0.1.0");
    project
        .environment
        .set("CARGO_ZIGBUILD_PYTHON_PATH", "nowhere/python");
    project
        .environment
        .set("CARGO_ZIGBUILD_ZIG_PATH", "nowhere/zig");
    assert_eq!(project.zig().await.unwrap_err().code(), Code::ToolMissing);
}
