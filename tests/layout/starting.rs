//! The start check in the native builder: when it looks at a base, what it sees there, what it says.

use std::path::{Path, PathBuf};
use std::process::Command;

use cargo_union::build::BuildRequest;
use union_build::diag::Code;
use union_build::spec;
use union_tests::base::{debian_layout, distroless, layout_of};
use union_tests::c::Workshop;

use crate::scene::{Scene, json, program, reference, run, scratch, spec};

/// A program that needs the C library of its base.
fn dynamic(workshop: &Workshop, says: &str) -> PathBuf {
    workshop.cc(
        "dynamic",
        &format!("#include <stdio.h>\nint main(void) {{ puts(\"{says}\"); return 0; }}\n"),
        &[],
    )
}

fn checked(scene: &Scene, base: spec::Base, program: &Path) -> BuildRequest {
    BuildRequest {
        check: true,
        ..scene.recipe(vec![spec("default", base)], &[("program", program)])
    }
}

#[tokio::test]
async fn base_is_indexed_once_and_never_for_static_programs() {
    let (workshop, scene) = (Workshop::default(), Scene::upon(&debian_layout()));
    scene
        .build(&checked(&scene, reference(), program()))
        .await
        .unwrap();
    assert_eq!(scene.source.fetched(), 1, "the config");
    scene
        .build(&checked(&scene, reference(), &dynamic(&workshop, "one")))
        .await
        .unwrap();
    assert_eq!(scene.source.fetched(), 2, "the one layer");
    std::fs::remove_dir_all(scene.cache.folder().join("blobs")).unwrap();
    scene
        .build(&checked(
            &scene,
            reference(),
            &dynamic(&workshop, "an edit"),
        ))
        .await
        .unwrap();
    assert_eq!(
        scene.source.fetched(),
        3,
        "the config again, and not the layer"
    );
}

#[tokio::test]
async fn removed_and_hidden_files_are_missing() {
    let workshop = Workshop::default();
    let folder = workshop.folder();
    let upper = |name: &str, path: &str| {
        let tar = folder.join(format!("{name}.tar"));
        let file = folder.join(name).join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, "").unwrap();
        run(Command::new("tar")
            .arg("-C")
            .arg(folder.join(name))
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
        // A folder in place of a link.
        (
            "folder",
            "lib64/ld-linux-x86-64.so.2/file",
            Some(Code::LoaderMissing),
        ),
    ] {
        let layout = folder.join(format!("{name}.layout"));
        layout_of(
            &[&base, &upper(name, path)],
            &serde_json::json!({}),
            &layout,
        );
        let scene = Scene::upon(&layout);
        let built = scene
            .build(&checked(&scene, reference(), &dynamic(&workshop, "hello")))
            .await;
        assert_eq!(built.err().map(|error| error.code()), code, "{name}");
    }
}

#[tokio::test]
async fn static_program_for_another_machine_is_refused() {
    let scene = Scene::new();
    let mut bytes = std::fs::read(program()).unwrap();
    // AArch64.
    bytes[18] = 183;
    let arm = scene.write("arm", bytes, 0o755);
    let error = scene
        .build(&checked(&scene, scratch(), &arm))
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
    let scene = Scene::new();
    let script = scene.write("script", "#!/bin/sh\n", 0o755);
    assert_eq!(
        scene
            .build(&checked(&scene, scratch(), &script))
            .await
            .unwrap_err()
            .code(),
        Code::NotExecutable
    );
    assert!(!scene.cache.folder().join("blobs").exists());
}

#[tokio::test]
async fn unchecked_label_is_set_only_without_the_check() {
    let scene = Scene::new();
    for (check, value) in [(true, None), (false, Some("skipped"))] {
        let recipe = BuildRequest {
            check,
            ..checked(&scene, scratch(), program())
        };
        let image = scene.build(&recipe).await.unwrap().platforms.remove(0);
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
    let environment = scene
        .build(&scene.recipe(vec![spec("files", scratch())], &[]))
        .await
        .unwrap();
    assert_eq!(
        json(environment.top())["annotations"].get("union.start-check"),
        None,
        "there is nothing to check"
    );
}
