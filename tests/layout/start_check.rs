//! The start check of the native builder: when it reads a base, and its results.

use std::path::{Path, PathBuf};
use std::process::Command;

use cargo_union::build::BuildRequest;
use union_build::diag::Code;
use union_build::spec;
use union_tests::base::{debian_layout, distroless, layout_of};
use union_tests::c::CCompiler;

use crate::fixture::{Fixture, json, program, reference, run, scratch, spec};

/// A program that needs the C library of its base.
fn dynamic(compiler: &CCompiler, says: &str) -> PathBuf {
    compiler.cc(
        "dynamic",
        &format!("#include <stdio.h>\nint main(void) {{ puts(\"{says}\"); return 0; }}\n"),
        &[],
    )
}

fn checked(fixture: &Fixture, base: spec::Base, program: &Path) -> BuildRequest {
    BuildRequest {
        check: true,
        ..fixture.recipe(vec![spec("default", base)], &[("program", program)])
    }
}

#[tokio::test]
async fn base_is_indexed_once_and_never_for_static_programs() {
    let (compiler, fixture) = (CCompiler::default(), Fixture::with_base(&debian_layout()));
    fixture
        .build(&checked(&fixture, reference(), program()))
        .await
        .unwrap();
    assert_eq!(fixture.source.fetched(), 1, "the config");
    fixture
        .build(&checked(&fixture, reference(), &dynamic(&compiler, "one")))
        .await
        .unwrap();
    assert_eq!(fixture.source.fetched(), 2, "the one layer");
    std::fs::remove_dir_all(fixture.cache.directory().join("blobs")).unwrap();
    fixture
        .build(&checked(
            &fixture,
            reference(),
            &dynamic(&compiler, "an edit"),
        ))
        .await
        .unwrap();
    assert_eq!(
        fixture.source.fetched(),
        3,
        "the config again, and not the layer"
    );
}

#[tokio::test]
async fn removed_and_hidden_files_are_missing() {
    let compiler = CCompiler::default();
    let directory = compiler.directory();
    let upper = |name: &str, path: &str| {
        let tar = directory.join(format!("{name}.tar"));
        let file = directory.join(name).join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, "").unwrap();
        run(Command::new("tar")
            .arg("-C")
            .arg(directory.join(name))
            .arg("-cf")
            .arg(&tar)
            .arg("."));
        tar
    };
    let base = distroless();
    for (name, path, code) in [
        ("nothing", "srv/file", None),
        (
            "whiteout",
            "lib/x86_64-linux-gnu/.wh.libc.so.6",
            Some(Code::LibraryMissing),
        ),
        (
            "opaque",
            "lib/x86_64-linux-gnu/.wh..wh..opq",
            Some(Code::LoaderMissing),
        ),
        // A directory in place of a link.
        (
            "directory",
            "lib64/ld-linux-x86-64.so.2/file",
            Some(Code::LoaderMissing),
        ),
    ] {
        let layout = directory.join(format!("{name}.layout"));
        layout_of(
            &[&base, &upper(name, path)],
            &serde_json::json!({}),
            &layout,
        );
        let fixture = Fixture::with_base(&layout);
        let built = fixture
            .build(&checked(
                &fixture,
                reference(),
                &dynamic(&compiler, "hello"),
            ))
            .await;
        assert_eq!(built.err().map(|error| error.code()), code, "{name}");
    }
}

#[tokio::test]
async fn static_program_for_another_machine_is_refused() {
    let fixture = Fixture::new();
    let mut bytes = std::fs::read(program()).unwrap();
    // AArch64.
    bytes[18] = 183;
    let arm = fixture.write("arm", bytes, 0o755);
    let error = fixture
        .build(&checked(&fixture, scratch(), &arm))
        .await
        .unwrap_err();
    assert_eq!(error.code(), Code::MachineMismatch);
    assert_eq!(
        error.chain()[1],
        "`program` is built for arm64, but the image is for linux/amd64"
    );
}

#[tokio::test]
async fn refused_image_packs_no_layer() {
    let fixture = Fixture::new();
    let script = fixture.write("script", "#!/bin/sh\n", 0o755);
    assert_eq!(
        fixture
            .build(&checked(&fixture, scratch(), &script))
            .await
            .unwrap_err()
            .code(),
        Code::NotExecutable
    );
    assert!(!fixture.cache.directory().join("blobs").exists());
}

#[tokio::test]
async fn unchecked_label_is_set_only_without_the_check() {
    let fixture = Fixture::new();
    for (check, value) in [(true, None), (false, Some("skipped"))] {
        let recipe = BuildRequest {
            check,
            ..checked(&fixture, scratch(), program())
        };
        let image = fixture.build(&recipe).await.unwrap().platforms.remove(0);
        let manifest = json(&image.manifest)["annotations"].clone();
        let labels = json(&image.config)["config"]["Labels"].clone();
        assert_eq!(
            (
                manifest["union.start-check"].as_str(),
                labels["union.start-check"].as_str()
            ),
            (value, value)
        );
    }
    let environment = fixture
        .build(&fixture.recipe(vec![spec("files", scratch())], &[]))
        .await
        .unwrap();
    assert_eq!(
        json(environment.top())["annotations"].get("union.start-check"),
        None,
        "there is nothing to check"
    );
}
