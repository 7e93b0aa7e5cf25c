//! Images of tools that builds require, from this machine and from package indexes.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use crate::base::{debian, layout_of, made_once};

/// A layout with this machine's Rust toolchain and a C compiler on a release of Debian, like the official Rust images.
///
/// # Panics
/// When there is no `rustc`, or as [`debian`].
pub fn rust(release: &str) -> PathBuf {
    made_once(&format!("rust-{release}"), |draft| {
        let sysroot = run(Path::new("."), "rustc", &["--print", "sysroot"]);
        let directory = tempfile::tempdir().expect("a temporary directory can be created");
        let tar = directory.path().join("rust.tar");
        let excluded = [
            "share",
            "lib/rustlib/src",
            "bin/rust-analyzer",
            "bin/clippy*",
        ]
        .map(|path| format!("--exclude={path}"));
        let mut words = vec!["-C", sysroot.trim()];
        words.extend(excluded.iter().map(String::as_str));
        words.extend([
            "--transform",
            "s,^\\.,usr/local,",
            "--owner=0",
            "--group=0",
            "-cf",
            tar.to_str().expect("UTF-8"),
            ".",
        ]);
        run(directory.path(), "tar", &words);
        let config = json!({ "Env": ["PATH=/usr/local/bin:/usr/bin:/bin"] });
        layout_of(
            &[&debian(release, &["gcc", "libc6-dev"]), &tar],
            &config,
            draft,
        );
    })
}

/// The release of [`rust`], such as `1.95.0`.
///
/// # Panics
/// When there is no `rustc`.
pub fn rust_release() -> String {
    let version = run(Path::new("."), "rustc", &["-vV"]);
    version
        .lines()
        .find_map(|line| line.strip_prefix("release: "))
        .expect("rustc prints its release")
        .to_owned()
}

/// A layout with `/uv`, from the package in the Python index.
///
/// # Panics
/// When the index cannot be reached.
pub fn uv() -> PathBuf {
    made_once("uv", |draft| {
        let directory = tempfile::tempdir().expect("a temporary directory can be created");
        run(
            directory.path(),
            "python3",
            &[
                "-m",
                "pip",
                "download",
                "--quiet",
                "--no-deps",
                "--dest",
                "wheel",
                "uv",
            ],
        );
        let unpack = "python3 -m zipfile -e wheel/uv-*.whl unpacked && mkdir root && mv unpacked/uv-*.data/scripts/uv root/uv && chmod 755 root/uv";
        run(directory.path(), "/bin/sh", &["-c", unpack]);
        run(
            directory.path(),
            "tar",
            &["-C", "root", "-cf", "root.tar", "."],
        );
        layout_of(&[&directory.path().join("root.tar")], &json!({}), draft);
    })
}

/// The stdout of a program, run in a directory.
fn run(directory: &Path, program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(directory)
        .output();
    let output = output.unwrap_or_else(|cause| panic!("{program} does not start: {cause}"));
    assert!(
        output.status.success(),
        "{program} {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}
