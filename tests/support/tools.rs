//! Images of the tools that builds ask for, made of what this machine and the package indexes have.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use crate::base::{debian, layout_of, made_once};

/// A layout with this machine's own Rust and a C compiler upon a release of Debian, as the images of Rust
/// have it.
///
/// # Panics
/// When there is no `rustc`, or as [`debian`].
pub fn rust(release: &str) -> PathBuf {
    made_once(&format!("rust-{release}"), |draft| {
        let sysroot = run(Path::new("."), "rustc", &["--print", "sysroot"]);
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let tar = folder.path().join("rust.tar");
        let left_out = ["share", "lib/rustlib/src", "bin/rust-analyzer", "bin/clippy*"].map(|path| format!("--exclude={path}"));
        let mut words = vec!["-C", sysroot.trim()];
        words.extend(left_out.iter().map(String::as_str));
        words.extend(["--transform", "s,^\\.,usr/local,", "--owner=0", "--group=0", "-cf", tar.to_str().expect("UTF-8"), "."]);
        run(folder.path(), "tar", &words);
        let config = json!({ "Env": ["PATH=/usr/local/bin:/usr/bin:/bin"] });
        layout_of(&[&debian(release, &["gcc", "libc6-dev"]), &tar], &config, draft);
    })
}

/// The release of [`rust`], such as `1.95.0`.
///
/// # Panics
/// When there is no `rustc`.
pub fn rust_release() -> String {
    let said = run(Path::new("."), "rustc", &["-vV"]);
    said.lines().find_map(|line| line.strip_prefix("release: ")).expect("rustc says its release").to_owned()
}

/// A layout with `/uv` in it, out of the package that the Python index has.
///
/// # Panics
/// When the index cannot be reached.
pub fn uv() -> PathBuf {
    made_once("uv", |draft| {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        run(folder.path(), "python3", &["-m", "pip", "download", "--quiet", "--no-deps", "--dest", "wheel", "uv"]);
        let unpack =
            "python3 -m zipfile -e wheel/uv-*.whl unpacked && mkdir root && mv unpacked/uv-*.data/scripts/uv root/uv && chmod 755 root/uv";
        run(folder.path(), "/bin/sh", &["-c", unpack]);
        run(folder.path(), "tar", &["-C", "root", "-cf", "root.tar", "."]);
        layout_of(&[&folder.path().join("root.tar")], &json!({}), draft);
    })
}

/// What a program prints, in a folder.
fn run(folder: &Path, program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).current_dir(folder).output();
    let output = output.unwrap_or_else(|cause| panic!("{program} does not start: {cause}"));
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}
