//! The start check says what an engine would: every image here is judged, loaded unchecked, and run.

use std::path::{Path, PathBuf};

use cargo_union::build::BuildRequest;
use union_build::spec;
use union_tests::base::{debian_layout, debian_layout_of, distroless_layout};
use union_tests::c::Workshop;

use crate::scene::{Scene, map, reference, scratch, spec};
use crate::{Dockerd, RUN, load};

const MAIN: &str =
    "#include <stdio.h>\nint one(void);\nint main(void) { puts(\"started\"); return one(); }\n";

/// A program that needs a library, which is in an image where the case says.
struct Case {
    name: &'static str,
    /// How the program is linked, beside its library.
    link: &'static [&'static str],
    /// Where libraries of the workshop are copied to.
    copies: &'static [(&'static str, &'static str)],
    library_path: Option<&'static str>,
    /// The code of the refusal; none when it starts.
    code: Option<&'static str>,
}

const PLAIN: Case = Case {
    name: "",
    link: &[],
    copies: &[],
    library_path: None,
    code: None,
};

const CASES: &[Case] = &[
    Case {
        name: "absent",
        code: Some("U0604"),
        ..PLAIN
    },
    Case {
        name: "in-debian-s-folder",
        copies: &[("libmine.so.1", "/usr/lib/x86_64-linux-gnu/")],
        ..PLAIN
    },
    Case {
        name: "through-a-link",
        copies: &[("libmine.so.1", "/lib/")],
        ..PLAIN
    },
    // In a folder of ld.so.conf, and ldconfig has not been run since.
    Case {
        name: "not-in-the-cache",
        copies: &[("libmine.so.1", "/usr/local/lib/")],
        code: Some("U0604"),
        ..PLAIN
    },
    Case {
        name: "on-the-path",
        copies: &[("libmine.so.1", "/usr/local/lib/")],
        library_path: Some("/nowhere:/usr/local/lib"),
        ..PLAIN
    },
    Case {
        name: "by-runpath",
        link: &["-Wl,-rpath,$ORIGIN/../lib"],
        copies: &[("libmine.so.1", "/union/lib/")],
        ..PLAIN
    },
    Case {
        name: "too-old",
        copies: &[("old/libmine.so.1", "/usr/lib/")],
        code: Some("U0605"),
        ..PLAIN
    },
    Case {
        name: "without-versions",
        copies: &[("bare/libmine.so.1", "/usr/lib/")],
        code: Some("U0605"),
        ..PLAIN
    },
    Case {
        name: "needs-more",
        copies: &[("deep/libmine.so.1", "/usr/lib/")],
        code: Some("U0604"),
        ..PLAIN
    },
    Case {
        name: "has-more",
        copies: &[
            ("deep/libmine.so.1", "/usr/lib/"),
            ("deep/libdeep.so.1", "/usr/lib/"),
        ],
        ..PLAIN
    },
    // Only the program's own path leads to what its library needs.
    Case {
        name: "runpath-is-not-inherited",
        link: &["-Wl,--enable-new-dtags,-rpath,/opt"],
        copies: &[
            ("deep/libmine.so.1", "/opt/"),
            ("deep/libdeep.so.1", "/opt/"),
        ],
        code: Some("U0604"),
        ..PLAIN
    },
    Case {
        name: "rpath-is-inherited",
        link: &["-Wl,--disable-new-dtags,-rpath,/opt"],
        copies: &[
            ("deep/libmine.so.1", "/opt/"),
            ("deep/libdeep.so.1", "/opt/"),
        ],
        ..PLAIN
    },
];

/// The library in the shapes that the cases need.
fn libraries(workshop: &Workshop) {
    let mine = |folder: &str, functions: &[(&str, &str)], words: &[&str]| {
        workshop.library(
            &format!("{folder}libmine.so.1"),
            "libmine.so.1",
            functions,
            words,
        );
    };
    mine("", &[("MINE_1", "zero"), ("MINE_2", "one")], &[]);
    mine("old/", &[("MINE_1", "one")], &[]);
    workshop.library(
        "deep/libdeep.so.1",
        "libdeep.so.1",
        &[("DEEP_1", "deep")],
        &[],
    );
    mine(
        "deep/",
        &[("MINE_2", "one")],
        &["-Wl,--no-as-needed", "-Ldeep", "-l:libdeep.so.1"],
    );
    let bare = ["-shared", "-fPIC", "-nostdlib", "-Wl,-soname,libmine.so.1"];
    workshop.cc("bare/libmine.so.1", "int one(void) { return 0; }\n", &bare);
}

/// Builds unchecked, loads and runs; and builds checked. Both must agree.
#[track_caller]
fn agree(name: &str, checked: Result<(), String>, ran: bool) {
    assert_eq!(
        checked.is_ok(),
        ran,
        "{name}: the check says {checked:?}, and the engine the contrary"
    );
}

fn starts(name: &str) -> bool {
    let output = Dockerd::shared().try_docker(&[&RUN[..], &[&format!("{name}:v1")]].concat());
    assert!(
        !output.status.success() || output.stdout.starts_with(b"started"),
        "{name}: {output:?}"
    );
    output.status.success()
}

async fn judge(scene: &Scene, recipe: &BuildRequest, name: &str) -> (Result<(), String>, bool) {
    let checked = scene
        .build(&BuildRequest {
            check: true,
            ..recipe.clone()
        })
        .await;
    let checked = checked
        .map(drop)
        .map_err(|error| format!("{} {}", error.code(), error.chain().join(": ")));
    load(scene, recipe, name).await;
    (checked, starts(name))
}

#[tokio::test]
async fn start_check_agrees_with_the_debian_loader() {
    let workshop = Workshop::default();
    libraries(&workshop);
    let scene = Scene::upon(&debian_layout());
    for case in CASES {
        let program = workshop.cc(
            "program",
            MAIN,
            &[&["-L.", "-l:libmine.so.1"], case.link].concat(),
        );
        let copies = case.copies.iter().map(|(from, to)| {
            scene.write(
                from,
                std::fs::read(workshop.folder().join(from)).unwrap(),
                0o644,
            );
            scene.copy(from, to)
        });
        let env = case
            .library_path
            .map(|path| map(&[("LD_LIBRARY_PATH", path)]))
            .unwrap_or_default();
        let image = spec::ImageSpec {
            copy: copies.collect(),
            env,
            ..spec("default", reference())
        };
        let recipe = scene.recipe(vec![image], &[("program", &program)]);
        let (checked, started) = judge(&scene, &recipe, &format!("case-{}", case.name)).await;
        assert_eq!(
            checked.as_ref().err().map(|told| &told[..5]),
            case.code,
            "{}: {checked:?}",
            case.name
        );
        agree(case.name, checked, started);
    }
}

/// A program of the host's Rust, which needs its C library and libgcc_s.
fn rust_program(workshop: &Workshop) -> PathBuf {
    let (source, program) = (
        workshop.folder().join("main.rs"),
        workshop.folder().join("rust"),
    );
    std::fs::write(&source, "fn main() { println!(\"started\") }").unwrap();
    crate::scene::run(
        std::process::Command::new("rustc")
            .arg("-o")
            .arg(&program)
            .arg(&source),
    );
    program
}

async fn judge_rust(layout: &Path, name: &str) -> Result<(), String> {
    let workshop = Workshop::default();
    let scene = Scene::upon(layout);
    let recipe = scene.recipe(
        vec![spec("default", reference())],
        &[("rust", &rust_program(&workshop))],
    );
    let (checked, started) = judge(&scene, &recipe, name).await;
    agree(name, checked.clone(), started);
    checked
}

#[tokio::test]
async fn host_program_starts_on_its_release_and_on_distroless() {
    judge_rust(&debian_layout(), "rust-on-debian")
        .await
        .unwrap();
    judge_rust(&distroless_layout(), "rust-on-distroless")
        .await
        .unwrap();
}

#[tokio::test]
async fn host_program_is_too_new_for_an_older_release() {
    let told = judge_rust(&debian_layout_of("bullseye", &[]), "rust-on-bullseye")
        .await
        .unwrap_err();
    assert!(
        told.starts_with("U0605") && told.contains("Debian 11 (bullseye)"),
        "{told}"
    );
    assert!(
        told.contains(" of `libc.so.6`, which has at most GLIBC_2.30"),
        "{told}"
    );
}

#[tokio::test]
async fn dynamic_program_does_not_start_on_scratch() {
    let workshop = Workshop::default();
    let scene = Scene::new();
    let recipe = scene.recipe(
        vec![spec("default", scratch())],
        &[("rust", &rust_program(&workshop))],
    );
    let checked = scene
        .build(&BuildRequest {
            check: true,
            ..recipe.clone()
        })
        .await
        .unwrap_err();
    assert_eq!(checked.code(), union_build::diag::Code::LoaderMissing);
    load(&scene, &recipe, "rust-on-scratch").await;
    assert!(!starts("rust-on-scratch"));
}
