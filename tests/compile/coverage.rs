//! Files that the compiler reads outside of a package's own files are learned.

use union_build::diag::Code;

use crate::project::{Project, manifest};

fn with_helper(lib: &str) -> Project {
    Project::new(&[
        (
            "Cargo.toml",
            "[workspace]\nmembers = ['app', 'helper']\nresolver = '3'\n",
        ),
        (
            "app/Cargo.toml",
            &manifest("app", "[dependencies]\nhelper = { path = '../helper' }\n"),
        ),
        (
            "app/src/main.rs",
            "fn main() { println!(\"{}\", helper::text()); }",
        ),
        ("helper/Cargo.toml", &manifest("helper", "")),
        ("helper/src/lib.rs", lib),
        ("my config.txt", "hello"),
    ])
}

const INCLUDES: &str = "pub fn text() -> &'static str { include_str!(\"../../my config.txt\") }";

#[tokio::test]
async fn file_included_by_a_dependency_is_learned_for_it() {
    let mut project = with_helper(INCLUDES);
    assert_eq!(project.run().await, "hello");
    assert_eq!(
        (
            project.learned("helper").as_str(),
            project.learned("app").as_str()
        ),
        ("{\"inputs\":[\"../my config.txt\"]}", "{}")
    );
    assert!(project.named_inputs().await.contains_key("my config.txt"));
    project.write("my config.txt", "changed");
    assert_eq!(project.run().await, "changed");
    project
        .settings
        .exclude
        .push(project.pattern("app", "../my config.txt"));
    let error = project.build().await.unwrap_err();
    assert_eq!(error.code(), Code::InputNotCovered);
    assert!(error.advice().contains("exclude"), "{}", error.advice());
}

#[tokio::test]
async fn watched_outside_directory_is_learned() {
    let project = with_helper("pub fn text() -> &'static str { \"\" }");
    let watch = |paths: &[&str]| {
        let lines: String = paths
            .iter()
            .map(|path| format!("println!(\"cargo::rerun-if-changed={path}\");"))
            .collect();
        format!("fn main() {{ {lines} }}")
    };
    project.write("app/build.rs", &watch(&["sql", "absent", "../schema"]));
    project.write("app/sql/one.sql", "");
    project.write("schema/deep/two.sql", "");
    project.build().await.unwrap();
    assert_eq!(project.learned("app"), "{\"inputs\":[\"../schema\"]}");
    let inputs = project.named_inputs().await;
    assert!(
        inputs.contains_key("app/sql/one.sql") && inputs.contains_key("schema/deep/two.sql"),
        "{inputs:?}"
    );
}

#[tokio::test]
async fn stale_learned_files_are_dropped_with_the_next_update() {
    let project = Project::app("fn main() { println!(\"{}\", include_str!(\"../a.md\")); }");
    project.write("a.md", "a");
    project.write("b.md", "b");
    assert_eq!(project.run().await, "a");
    project.write("src/main.rs", "fn main() { println!(\"none\"); }");
    assert_eq!(project.run().await, "none");
    assert_eq!(project.learned("app"), "{\"inputs\":[\"a.md\"]}");
    project.write(
        "src/main.rs",
        "fn main() { println!(\"{}\", include_str!(\"../b.md\")); }",
    );
    assert_eq!(project.run().await, "b");
    assert_eq!(project.learned("app"), "{\"inputs\":[\"b.md\"]}");
}

#[tokio::test]
async fn generated_files_and_cargo_files_are_no_inputs() {
    let project = Project::app("include!(concat!(env!(\"OUT_DIR\"), \"/code.rs\"));");
    let script = "fn main() { println!(\"cargo::rerun-if-changed=Cargo.toml\"); println!(\"cargo::rerun-if-changed=target/union/references/app.json\");\nlet out = std::env::var(\"OUT_DIR\").unwrap(); std::fs::write(format!(\"{out}/code.rs\"), \"fn main() {}\").unwrap(); }";
    project.write("build.rs", script);
    project.write("target/union/references/app.json", "{}");
    let (_, findings) = project.build().await.unwrap();
    assert!(findings.outside.is_empty(), "{findings:?}");
    assert_eq!(project.learned("app"), "{}");
}

#[tokio::test]
async fn source_behind_a_link_is_covered() {
    let project = Project::app("mod shared;\nfn main() { println!(\"{}\", shared::TEXT); }");
    project.write(
        "elsewhere/mod.rs",
        "pub const TEXT: &str = include_str!(\"text.txt\");",
    );
    project.write("elsewhere/text.txt", "linked");
    std::os::unix::fs::symlink("../elsewhere", project.path("src/shared")).unwrap();
    assert_eq!(project.run().await, "linked");
}

#[tokio::test]
async fn file_outside_of_the_repository_is_reported_and_not_learned() {
    let project =
        Project::app("fn main() { println!(\"{}\", include_str!(\"../../other.txt\")); }");
    project.write("../other.txt", "outside");
    let (_, findings) = project.build().await.unwrap();
    assert_eq!(
        findings.outside,
        [project.path("..").canonicalize().unwrap().join("other.txt")].into()
    );
    assert_eq!(project.learned("app"), "{}");
}

#[tokio::test]
async fn outside_package_is_reported_and_checked() {
    let project = Project::app("fn main() { println!(\"{}\", shared::TEXT); }");
    project.write(
        "Cargo.toml",
        &manifest("app", "[dependencies]\nshared = { path = '../shared' }\n"),
    );
    project.write(
        "../shared/Cargo.toml",
        &manifest(
            "shared",
            "[dependencies]\ndeeper = { path = '../deeper' }\n",
        ),
    );
    project.write(
        "../shared/src/lib.rs",
        "pub const TEXT: &str = deeper::TEXT;",
    );
    project.write("../deeper/Cargo.toml", &manifest("deeper", ""));
    project.write("../deeper/src/lib.rs", "pub const TEXT: &str = \"deep\";");
    assert_eq!(project.run().await, "deep");
    assert!(
        project
            .named_inputs()
            .await
            .contains_key("../deeper/src/lib.rs")
    );
    let notes = project.notes.take().join("\n");
    assert!(
        notes.contains("`deeper` at") && notes.contains("`shared` at"),
        "{notes}"
    );
    project.write("../deeper/text.txt", "hidden");
    project.write(
        "../deeper/src/lib.rs",
        "pub const TEXT: &str = include_str!(\"../text.txt\");",
    );
    assert_eq!(project.run().await, "hidden");
    assert!(
        project
            .named_inputs()
            .await
            .contains_key("../deeper/text.txt")
    );
}

#[tokio::test]
async fn variables_of_code_and_scripts_are_learned_even_if_unset() {
    let mut project = with_helper(
        "pub fn text() -> &'static str { option_env!(\"IN_LIBRARY\").unwrap_or(\"none\") }",
    );
    project.write(
        "app/src/main.rs",
        "fn main() { println!(\"{} {:?} {} {}\", helper::text(), option_env!(\"IN_BINARY\"), env!(\"CARGO_PKG_NAME\"), env!(\"BY_SCRIPT\")); }",
    );
    project.write(
        "app/build.rs",
        "fn main() { println!(\"cargo::rerun-if-changed=build.rs\"); println!(\"cargo::rustc-env=BY_SCRIPT=x\"); for name in [\"IN_SCRIPT\", \"UNSET\", \"PATH\"] { println!(\"cargo::rerun-if-env-changed={name}\"); } }",
    );
    project.build().await.unwrap();
    assert_eq!(
        project.learned("app"),
        "{\"variables\":[\"IN_BINARY\",\"IN_SCRIPT\",\"UNSET\"]}"
    );
    assert_eq!(
        project.learned("helper"),
        "{\"variables\":[\"IN_LIBRARY\"]}"
    );
    let before = project.named_inputs().await;
    assert_eq!(before["variable IN_LIBRARY"], "Text(\"unset\")");
    project.environment.set("IN_LIBRARY", "secret");
    project.environment.set("UNUSED", "x");
    let after = project.named_inputs().await;
    let changed: Vec<_> = after
        .iter()
        .filter(|(name, value)| before.get(*name) != Some(value))
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(changed, ["variable IN_LIBRARY"]);
    assert!(!format!("{after:?}").contains("secret"));
    assert!(project.run().await.starts_with("secret"));
}

#[tokio::test]
async fn sources_written_by_a_build_script_are_outputs() {
    let project = Project::app("fn main() {}");
    project
        .write("build.rs", "fn main() { std::fs::write(\"src/late.rs\", \"\").unwrap(); println!(\"cargo::rerun-if-changed=build.rs\"); }");
    project.build().await.unwrap();
    assert_eq!(project.learned("app"), "{\"outputs\":[\"src/late.rs\"]}");
    project.build().await.unwrap();
}

#[tokio::test]
async fn manifest_changed_during_the_compile_stops_the_build() {
    let project = Project::app("fn main() {}");
    let script = "fn main() { println!(\"cargo::rerun-if-changed=build.rs\"); let text = std::fs::read_to_string(\"Cargo.toml\").unwrap(); std::fs::write(\"Cargo.toml\", text + \"[features]\\nx = []\\n\").unwrap(); }";
    project.write("build.rs", script);
    let error = project.build().await.unwrap_err();
    assert_eq!(
        (error.code(), error.to_string().as_str()),
        (
            Code::InputsMoved,
            "`Cargo.toml` changed while the code was compiled"
        )
    );
}

#[tokio::test]
async fn stale_artifact_is_refused() {
    let mut project = with_helper("pub fn text() -> &'static str { \"one\" }");
    project.build().await.unwrap();
    let helper = project.path("helper/src/lib.rs");
    let before = std::fs::metadata(&helper).unwrap().modified().unwrap();
    project.edit("helper/src/lib.rs", "one", "two");
    std::fs::File::options()
        .write(true)
        .open(&helper)
        .unwrap()
        .set_modified(before)
        .unwrap();
    project.cargo_program = Some(project.program(
        "cargo-that-keeps",
        "test \"$1\" = clean || exec cargo \"$@\"",
    ));
    let error = project.build().await.unwrap_err();
    assert_eq!(error.code(), Code::ArtifactStale);
    assert!(error.to_string().contains("helper"), "{error}");
    project.cargo_program = None;
    assert_eq!(project.run().await, "two");
}

#[tokio::test]
async fn variables_are_noticed_in_every_build_directory() {
    for (config, variable) in [
        ("build.build-dir = 'elsewhere'", None),
        (
            "build.build-dir = '{workspace-root}/made/{workspace-path-hash}'",
            None,
        ),
        (
            "build.build-dir = '{cargo-cache-home}/made/{workspace-path-hash}'",
            None,
        ),
        ("", Some("from-a-variable")),
    ] {
        let mut project =
            Project::app("fn main() { println!(\"{:?}\", option_env!(\"IN_BINARY\")); }");
        project.write(".cargo/config.toml", config);
        variable
            .into_iter()
            .for_each(|directory| project.environment.set("CARGO_BUILD_BUILD_DIR", directory));
        project.environment.set("IN_BINARY", "x");
        project.build().await.unwrap();
        assert_eq!(
            project.learned("app"),
            "{\"variables\":[\"IN_BINARY\"]}",
            "{config}"
        );
    }
}

#[tokio::test]
async fn only_toolchain_files_are_exempt() {
    let mut project = Project::app("fn main() { println!(\"{}\", include_str!(\"../text.md\")); }");
    project.write("text.md", "hello");
    // A toolchain whose root everything lies in, as a distribution's does in `/usr`.
    let root = project.path("..").canonicalize().unwrap();
    let script = format!(
        "case \"$*\" in '--print sysroot') echo '{}' ;; *) exec rustc \"$@\" ;; esac",
        root.display()
    );
    let rustc = project.program("my-rustc", &script);
    project.environment.set("RUSTC", &rustc);
    project.build().await.unwrap();
    assert_eq!(project.learned("app"), "{\"inputs\":[\"text.md\"]}");
}
