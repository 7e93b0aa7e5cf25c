//! The compiler may only read what the key holds.

use union_build::diag::Code;

use crate::project::{Project, manifest};

fn with_helper(lib: &str) -> Project {
    Project::new(&[
        ("Cargo.toml", "[workspace]\nmembers = ['app', 'helper']\nresolver = '3'\n"),
        ("app/Cargo.toml", &manifest("app", "[dependencies]\nhelper = { path = '../helper' }\n")),
        ("app/src/main.rs", "fn main() { println!(\"{}\", helper::text()); }"),
        ("helper/Cargo.toml", &manifest("helper", "")),
        ("helper/src/lib.rs", lib),
        ("my config.txt", "hello"),
    ])
}

const INCLUDES: &str = "pub fn text() -> &'static str { include_str!(\"../../my config.txt\") }";

#[tokio::test]
async fn a_file_that_the_code_includes_must_be_an_input() {
    let mut project = with_helper(INCLUDES);
    let error = project.build().await.unwrap_err();
    assert_eq!(error.code(), Code::InputNotCovered);
    assert!(error.advice().contains("inputs = [\"../my config.txt\"]"), "{}", error.advice());
    // The very line that the advice gives puts it right.
    project.settings.inputs.push(project.pattern("app", "../my config.txt"));
    assert_eq!(project.run().await, "hello");
    assert!(project.named_inputs().await.contains_key("my config.txt"));
    // Excluded again, the advice is another.
    project.settings.exclude.push(project.pattern("app", "../my config.txt"));
    let error = project.build().await.unwrap_err();
    assert!(error.advice().contains("exclude"), "{}", error.advice());
}

#[tokio::test]
async fn a_folder_that_a_build_script_watches_must_be_an_input() {
    let mut project = Project::app("fn main() {}");
    project.write("build.rs", "fn main() { println!(\"cargo::rerun-if-changed=sql\"); println!(\"cargo::rerun-if-changed=absent\"); }");
    project.write("sql/one.sql", "");
    project.write("sql/deep/two.sql", "");
    let error = project.build().await.unwrap_err();
    assert_eq!(error.code(), Code::InputNotCovered);
    assert!(error.advice().contains("inputs = [\"sql/deep/two.sql\", \"sql/one.sql\"]"), "{}", error.advice());
    project.settings.inputs.push(project.pattern("", "sql"));
    project.build().await.unwrap();
}

#[tokio::test]
async fn what_is_generated_and_what_is_watched_of_cargo_s_own_needs_no_input() {
    let project = Project::app("include!(concat!(env!(\"OUT_DIR\"), \"/code.rs\"));");
    let script = "fn main() { println!(\"cargo::rerun-if-changed=Cargo.toml\"); println!(\"cargo::rerun-if-changed=target/union/references/app.json\");\nlet out = std::env::var(\"OUT_DIR\").unwrap(); std::fs::write(format!(\"{out}/code.rs\"), \"fn main() {}\").unwrap(); }";
    project.write("build.rs", script);
    project.write("target/union/references/app.json", "{}");
    let (_, findings) = project.build().await.unwrap();
    assert!(findings.warnings.is_empty() && findings.outside.is_empty(), "{findings:?}");
}

#[tokio::test]
async fn a_source_behind_a_link_is_covered() {
    let project = Project::app("mod shared;\nfn main() { println!(\"{}\", shared::TEXT); }");
    project.write("elsewhere/mod.rs", "pub const TEXT: &str = include_str!(\"text.txt\");");
    project.write("elsewhere/text.txt", "linked");
    std::os::unix::fs::symlink("../elsewhere", project.path("src/shared")).unwrap();
    assert_eq!(project.run().await, "linked");
}

#[tokio::test]
async fn a_file_outside_of_everything_is_only_told() {
    let project = Project::app("fn main() { println!(\"{}\", include_str!(\"../../other.txt\")); }");
    project.write("../other.txt", "outside");
    let (_, findings) = project.build().await.unwrap();
    assert_eq!(findings.outside, [project.path("..").canonicalize().unwrap().join("other.txt")]);
}

#[tokio::test]
async fn a_package_outside_of_the_workspace_is_told_and_checked() {
    let project = Project::app("fn main() { println!(\"{}\", shared::TEXT); }");
    project.write("Cargo.toml", &manifest("app", "[dependencies]\nshared = { path = '../shared' }\n"));
    project.write("../shared/Cargo.toml", &manifest("shared", "[dependencies]\ndeeper = { path = '../deeper' }\n"));
    project.write("../shared/src/lib.rs", "pub const TEXT: &str = deeper::TEXT;");
    project.write("../deeper/Cargo.toml", &manifest("deeper", ""));
    project.write("../deeper/src/lib.rs", "pub const TEXT: &str = \"deep\";");
    assert_eq!(project.run().await, "deep");
    assert!(project.named_inputs().await.contains_key("../deeper/src/lib.rs"));
    let notes = project.notes.take().join("\n");
    assert!(notes.contains("`deeper` at") && notes.contains("`shared` at"), "{notes}");
    project.write("../deeper/text.txt", "hidden");
    project.write("../deeper/src/lib.rs", "pub const TEXT: &str = include_str!(\"../text.txt\");");
    assert_eq!(project.build().await.unwrap_err().code(), Code::InputNotCovered);
}

#[tokio::test]
async fn variables_that_reach_the_code_are_warned_about_unless_the_key_holds_them() {
    let mut project = with_helper("pub fn text() -> &'static str { option_env!(\"IN_LIBRARY\").unwrap_or(\"none\") }");
    project.write(
        "app/src/main.rs",
        "fn main() { println!(\"{} {:?} {}\", helper::text(), option_env!(\"IN_BINARY\"), env!(\"CARGO_PKG_NAME\")); }",
    );
    project.write(
        "app/build.rs",
        "fn main() { for name in [\"IN_SCRIPT\", \"UNSET\", \"PATH\"] { println!(\"cargo::rerun-if-env-changed={name}\"); } }",
    );
    for name in ["IN_LIBRARY", "IN_BINARY", "IN_SCRIPT", "UNUSED"] {
        project.environment.set(name, "x");
    }
    let (_, findings) = project.build().await.unwrap();
    let warnings: Vec<String> = findings.warnings.iter().map(|warning| format!("{} {warning}", warning.code())).collect();
    let depends = "which is set and which the key does not hold";
    assert_eq!(
        warnings,
        [
            format!("U0210 the code of `app` depends on the variable `IN_BINARY`, {depends}"),
            format!("U0210 the code of `helper` depends on the variable `IN_LIBRARY`, {depends}"),
            format!("U0210 the build script of `app` depends on the variable `IN_SCRIPT`, {depends}"),
        ]
    );
    for name in ["IN_LIBRARY", "IN_BINARY"] {
        project.settings.compile.env.insert(name.to_owned(), "x".to_owned());
    }
    project.write(".cargo/config.toml", "[env]\nIN_SCRIPT = 'y'\n");
    assert!(project.build().await.unwrap().1.warnings.is_empty());
}

#[tokio::test]
async fn sources_that_move_during_the_compile_stop_the_build() {
    let project = Project::app("fn main() {}");
    project
        .write("build.rs", "fn main() { std::fs::write(\"src/late.rs\", \"\").unwrap(); println!(\"cargo::rerun-if-changed=build.rs\"); }");
    let error = project.build().await.unwrap_err();
    assert_eq!((error.code(), error.to_string().as_str()), (Code::InputsMoved, "`src/late.rs` changed while the code was compiled"));
    project.build().await.unwrap();
}

#[tokio::test]
async fn a_manifest_that_moves_during_the_compile_stops_the_build() {
    let project = Project::app("fn main() {}");
    let script = "fn main() { let text = std::fs::read_to_string(\"Cargo.toml\").unwrap(); std::fs::write(\"Cargo.toml\", text + \"[features]\\nx = []\\n\").unwrap(); }";
    project.write("build.rs", script);
    let error = project.build().await.unwrap_err();
    assert_eq!((error.code(), error.to_string().as_str()), (Code::InputsMoved, "`Cargo.toml` changed while the code was compiled"));
}

#[tokio::test]
async fn a_binary_that_another_image_carries_is_not_checked_for_this_one() {
    let mut project = Project::app("fn main() {}");
    project.write("src/bin/other.rs", "fn main() { println!(\"{}\", include_str!(\"../../other.txt\")); }");
    project.write("other.txt", "");
    project.compiled_too.insert("other".to_owned());
    project.build().await.unwrap();
    project.settings.binaries.insert("other".to_owned());
    assert_eq!(project.build().await.unwrap_err().code(), Code::InputNotCovered);
}

#[tokio::test]
async fn variables_are_noticed_wherever_cargo_builds() {
    for (config, variable) in [
        ("build.build-dir = 'elsewhere'", None),
        ("build.build-dir = '{workspace-root}/made/{workspace-path-hash}'", None),
        ("build.build-dir = '{cargo-cache-home}/made/{workspace-path-hash}'", None),
        ("", Some("from-a-variable")),
    ] {
        let mut project = Project::app("fn main() { println!(\"{:?}\", option_env!(\"IN_BINARY\")); }");
        project.write(".cargo/config.toml", config);
        variable.into_iter().for_each(|folder| project.environment.set("CARGO_BUILD_BUILD_DIR", folder));
        project.environment.set("IN_BINARY", "x");
        let (_, findings) = project.build().await.unwrap();
        assert_eq!(findings.warnings.len(), 1, "{config}: {findings:?}");
    }
}

#[tokio::test]
async fn only_the_toolchain_s_own_files_are_exempt() {
    let mut project = Project::app("fn main() { println!(\"{}\", include_str!(\"../text.txt\")); }");
    project.write("text.txt", "hello");
    // A toolchain whose root everything lies in, as a distribution's does in `/usr`.
    let root = project.path("..").canonicalize().unwrap();
    let script = format!("case \"$*\" in '--print sysroot') echo '{}' ;; *) exec rustc \"$@\" ;; esac", root.display());
    let rustc = project.program("my-rustc", &script);
    project.environment.set("RUSTC", &rustc);
    assert_eq!(project.build().await.unwrap_err().code(), Code::InputNotCovered);
}
