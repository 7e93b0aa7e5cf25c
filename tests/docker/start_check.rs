//! The start check agrees with the engine: each image is checked, loaded without the check, and run.

use std::path::{Path, PathBuf};

use cargo_union::build::BuildRequest;
use union_build::spec;
use union_tests::base::{debian_layout, debian_layout_of, distroless_layout};
use union_tests::c::CCompiler;

use crate::fixture::{Fixture, map, reference, scratch, spec};
use crate::{Dockerd, RUN, load};

const MAIN: &str =
    "#include <stdio.h>\nint one(void);\nint main(void) { puts(\"started\"); return one(); }\n";

/// A program that needs a library, which is in the image at the path of the case.
struct Case {
    name: &'static str,
    /// How the program is linked, beside its library.
    link: &'static [&'static str],
    /// Where libraries are copied to.
    copies: &'static [(&'static str, &'static str)],
    library_path: Option<&'static str>,
    /// The error code; `None` when it starts.
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
        name: "in-debian-s-directory",
        copies: &[("libmine.so.1", "/usr/lib/x86_64-linux-gnu/")],
        ..PLAIN
    },
    Case {
        name: "through-a-link",
        copies: &[("libmine.so.1", "/lib/")],
        ..PLAIN
    },
    // In a directory of ld.so.conf, and ldconfig has not been run since.
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
    // Only the runpath of the program contains the dependency of its library.
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

/// The variants of the library.
fn libraries(compiler: &CCompiler) {
    let mine = |directory: &str, functions: &[(&str, &str)], words: &[&str]| {
        compiler.library(
            &format!("{directory}libmine.so.1"),
            "libmine.so.1",
            functions,
            words,
        );
    };
    mine("", &[("MINE_1", "zero"), ("MINE_2", "one")], &[]);
    mine("old/", &[("MINE_1", "one")], &[]);
    compiler.library(
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
    compiler.cc("bare/libmine.so.1", "int one(void) { return 0; }\n", &bare);
}

/// Builds without the check and runs the image, then builds with the check. Both must agree.
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

async fn judge(fixture: &Fixture, recipe: &BuildRequest, name: &str) -> (Result<(), String>, bool) {
    let checked = fixture
        .build(&BuildRequest {
            check: true,
            ..recipe.clone()
        })
        .await;
    let checked = checked
        .map(drop)
        .map_err(|error| format!("{} {}", error.code(), error.chain().join(": ")));
    load(fixture, recipe, name).await;
    (checked, starts(name))
}

#[tokio::test]
async fn start_check_agrees_with_the_debian_loader() {
    let compiler = CCompiler::default();
    libraries(&compiler);
    let fixture = Fixture::with_base(&debian_layout());
    for case in CASES {
        let program = compiler.cc(
            "program",
            MAIN,
            &[&["-L.", "-l:libmine.so.1"], case.link].concat(),
        );
        let copies = case.copies.iter().map(|(from, to)| {
            fixture.write(
                from,
                std::fs::read(compiler.directory().join(from)).unwrap(),
                0o644,
            );
            fixture.copy(from, to)
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
        let recipe = fixture.recipe(vec![image], &[("program", &program)]);
        let (checked, started) = judge(&fixture, &recipe, &format!("case-{}", case.name)).await;
        assert_eq!(
            checked.as_ref().err().map(|reported| &reported[..5]),
            case.code,
            "{}: {checked:?}",
            case.name
        );
        agree(case.name, checked, started);
    }
}

/// A program of the host's Rust, which needs its C library and libgcc_s.
fn rust_program(compiler: &CCompiler) -> PathBuf {
    let (source, program) = (
        compiler.directory().join("main.rs"),
        compiler.directory().join("rust"),
    );
    std::fs::write(&source, "fn main() { println!(\"started\") }").unwrap();
    crate::fixture::run(
        std::process::Command::new("rustc")
            .arg("-o")
            .arg(&program)
            .arg(&source),
    );
    program
}

async fn judge_rust(layout: &Path, name: &str) -> Result<(), String> {
    let compiler = CCompiler::default();
    let fixture = Fixture::with_base(layout);
    let recipe = fixture.recipe(
        vec![spec("default", reference())],
        &[("rust", &rust_program(&compiler))],
    );
    let (checked, started) = judge(&fixture, &recipe, name).await;
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
    let reported = judge_rust(&debian_layout_of("bullseye", &[]), "rust-on-bullseye")
        .await
        .unwrap_err();
    assert!(
        reported.starts_with("U0605") && reported.contains("Debian 11 (bullseye)"),
        "{reported}"
    );
    assert!(
        reported.contains(" of `libc.so.6`, which has at most GLIBC_2.30"),
        "{reported}"
    );
}

#[tokio::test]
async fn dynamic_program_does_not_start_on_scratch() {
    let compiler = CCompiler::default();
    let fixture = Fixture::new();
    let recipe = fixture.recipe(
        vec![spec("default", scratch())],
        &[("rust", &rust_program(&compiler))],
    );
    let checked = fixture
        .build(&BuildRequest {
            check: true,
            ..recipe.clone()
        })
        .await
        .unwrap_err();
    assert_eq!(checked.code(), union_build::diag::Code::LoaderMissing);
    load(&fixture, &recipe, "rust-on-scratch").await;
    assert!(!starts("rust-on-scratch"));
}
