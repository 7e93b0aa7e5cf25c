//! One source tree gives one executable in every directory and for every user.

use cargo_union::workspace::Linkage;

use crate::project::{Project, has_interpreter, manifest};

/// A program whose panics name a file of the package, of a dependency and of OUT_DIR.
fn panicking(name: &str) -> Project {
    let script = r#"fn main() {
    let out = std::env::var("OUT_DIR").unwrap();
    let code = "pub fn boom(at: usize) -> u8 { let bytes: Vec<u8> = std::env::args().map(|_| 1).collect(); bytes[at] }";
    std::fs::write(format!("{out}/code.rs"), code).unwrap();
}"#;
    Project::at(
        name,
        &[
            (
                "Cargo.toml",
                "[workspace]\nmembers = ['app', 'helper']\nresolver = '3'\n[profile.release]\ndebug = 'limited'\n",
            ),
            (
                "app/Cargo.toml",
                &manifest("app", "[dependencies]\nhelper = { path = '../helper' }\n"),
            ),
            ("app/build.rs", script),
            (
                "app/src/main.rs",
                "mod code { include!(concat!(env!(\"OUT_DIR\"), \"/code.rs\")); }\nfn main() { println!(\"{} {}\", code::boom(9), helper::boom(9)); }",
            ),
            ("helper/Cargo.toml", &manifest("helper", "")),
            (
                "helper/src/lib.rs",
                "#[track_caller]\npub fn boom(at: usize) -> u8 { std::env::args().nth(at).expect(\"there is one\").as_bytes()[at] }",
            ),
        ],
    )
}

async fn executable(project: &Project) -> Vec<u8> {
    let (compiled, _) = project.build().await.unwrap();
    std::fs::read(project.executable(&compiled, "app").await).unwrap()
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|window| window == text.as_bytes())
}

#[tokio::test]
async fn executable_does_not_depend_on_directories_home_and_umask() {
    let here = panicking("ws");
    let mut there = panicking("another directory/deeper/ws");
    there
        .environment
        .set("CARGO_HOME", there.path("cargo-home"));
    there
        .environment
        .set("CARGO_TARGET_DIR", there.path("../made here"));
    there.cargo_program = Some(there.program("cargo", "umask 077\nexec cargo \"$@\""));
    let (a, b) = (executable(&here).await, executable(&there).await);
    assert!(
        holds(&a, "/target/") && holds(&a, "/code.rs"),
        "the panic in OUT_DIR names its file"
    );
    for project in [&here, &there] {
        let directory = project.path("");
        assert!(!holds(&a, directory.to_str().unwrap()) && !holds(&b, directory.to_str().unwrap()));
    }
    assert!(a == b, "the executables differ");
}

#[tokio::test]
async fn exported_rustflags_do_not_hide_ours() {
    let mut executables = Vec::new();
    for name in ["ws", "deeper/ws"] {
        let mut project = panicking(name);
        project.environment.set("RUSTFLAGS", "-Copt-level=1");
        project.settings.compile.linkage = Linkage::Static;
        let bytes = executable(&project).await;
        assert!(!holds(&bytes, project.path("").to_str().unwrap()) && !has_interpreter(&bytes));
        executables.push(bytes);
    }
    assert!(executables[0] == executables[1], "the executables differ");
}

#[tokio::test]
async fn unstripped_debuginfo_has_no_machine_paths() {
    let mut executables = Vec::new();
    for name in ["ws", "deeper/ws"] {
        let project = panicking(name);
        project.edit(
            "Cargo.toml",
            "debug = 'limited'",
            "debug = 'full'\nstrip = 'none'",
        );
        let bytes = executable(&project).await;
        assert!(!holds(&bytes, project.path("").to_str().unwrap()));
        executables.push(bytes);
    }
    assert!(executables[0] == executables[1], "the executables differ");
}

#[tokio::test]
async fn line_tables_have_no_machine_paths() {
    for debug in ["none", "line-tables-only"] {
        let mut executables = Vec::new();
        for name in ["ws", "deeper/ws"] {
            let project = panicking(name);
            project.edit(
                "Cargo.toml",
                "debug = 'limited'",
                &format!("debug = '{debug}'"),
            );
            let bytes = executable(&project).await;
            assert!(
                !holds(&bytes, project.path("").to_str().unwrap()),
                "{debug}"
            );
            executables.push(bytes);
        }
        assert!(
            executables[0] == executables[1],
            "{debug}: the executables differ"
        );
    }
}
