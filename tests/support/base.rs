//! Base images for tests: small Debian images, created once per target directory, and OCI layouts of any file system.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// The tag of every base that is created here.
pub const TAG: &str = "base";

/// The root file system of a Debian release with additional packages, as a tar, with merged /usr. Created by the first
/// test that requires it.
///
/// # Panics
/// When `mmdebstrap` is missing or Debian's mirror cannot be reached.
pub fn debian(release: &str, packages: &[&str]) -> PathBuf {
    made_once(&format!("{}.tar", name(release, packages)), |draft| {
        let mut mmdebstrap = Command::new("mmdebstrap");
        mmdebstrap.args(["--variant=minbase", "--format=tar", "--quiet"]);
        for directory in ["doc", "man", "locale", "i18n", "info"] {
            mmdebstrap.arg(format!("--dpkgopt=path-exclude=/usr/share/{directory}/*"));
        }
        if !packages.is_empty() {
            mmdebstrap.arg(format!("--include={}", packages.join(",")));
        }
        run(mmdebstrap.arg(release).arg(draft));
    })
}

/// [`debian`] as an OCI layout, with the config of the official image.
///
/// # Panics
/// As [`debian`].
pub fn debian_layout_of(release: &str, packages: &[&str]) -> PathBuf {
    let rootfs = debian(release, packages);
    made_once(&name(release, packages), |draft| {
        let config = json!({ "Cmd": ["bash"], "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"] });
        layout_of(&[&rootfs], &config, draft);
    })
}

/// Debian bookworm without additional packages.
///
/// # Panics
/// As [`debian`].
pub fn debian_layout() -> PathBuf {
    debian_layout_of("bookworm", &[])
}

/// The minimum of bookworm for a C program, as a tar, with the directories of a distroless image: /usr is not merged,
/// and the loader has no configuration.
///
/// # Panics
/// As [`debian`].
pub fn distroless() -> PathBuf {
    let rootfs = debian("bookworm", &[]);
    made_once("distroless-bookworm.tar", |draft| {
        let directory = draft.with_extension("rootfs");
        let directories =
            ["lib/x86_64-linux-gnu", "lib64", "usr/lib", "etc"].map(|name| directory.join(name));
        directories.iter().for_each(|directory| {
            fs::create_dir_all(directory).expect("a directory can be created")
        });
        let libraries = [
            "libc.so.6",
            "libm.so.6",
            "libgcc_s.so.1",
            "ld-linux-x86-64.so.2",
        ];
        let mut tar = Command::new("tar");
        tar.arg("-C")
            .arg(&directories[0])
            .args(["--strip-components=4", "-xf"])
            .arg(&rootfs);
        run(tar.args(libraries.map(|name| format!("./usr/lib/x86_64-linux-gnu/{name}"))));
        symlink(
            "/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2",
            directories[1].join("ld-linux-x86-64.so.2"),
        )
        .expect("a link can be made");
        let release = "PRETTY_NAME=\"Distroless\"\nID=\"debian\"\nVERSION=\"Debian GNU/Linux 12 (bookworm)\"\n";
        fs::write(directories[2].join("os-release"), release).expect("a file can be written");
        symlink("../usr/lib/os-release", directories[3].join("os-release"))
            .expect("a link can be made");
        run(Command::new("tar")
            .arg("-C")
            .arg(&directory)
            .arg("-cf")
            .arg(draft)
            .arg("."));
    })
}

/// [`distroless`] as an OCI layout.
///
/// # Panics
/// As [`debian`].
pub fn distroless_layout() -> PathBuf {
    let rootfs = distroless();
    made_once("distroless-bookworm", |draft| {
        layout_of(&[&rootfs], &json!({}), draft)
    })
}

fn name(release: &str, packages: &[&str]) -> String {
    [&["debian", release][..], packages].concat().join("-")
}

/// Creates an OCI layout of one image for linux/amd64, with [`TAG`], from the tars of its layers, lowest first.
///
/// # Panics
/// When the directory cannot be written.
pub fn layout_of(tars: &[&Path], config: &Value, directory: &Path) {
    layout_for("amd64", tars, config, directory);
}

/// Like [`layout_of`], for an architecture.
pub fn layout_for(architecture: &str, tars: &[&Path], config: &Value, directory: &Path) {
    let blobs = directory.join("blobs/sha256");
    fs::create_dir_all(&blobs).expect("the directory can be created");
    let pack = |tar: &&Path| {
        let packed = directory.join("layer");
        let to = File::create(&packed).expect("the layer can be written");
        run(Command::new("gzip")
            .args(["-n", "-1", "-c"])
            .arg(tar)
            .stdout(Stdio::from(to)));
        let size = fs::metadata(&packed).expect("the layer is there").len();
        let digest = sha256(&packed);
        fs::rename(&packed, blobs.join(&digest)).expect("the layer can be named");
        json!({ "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": format!("sha256:{digest}"), "size": size })
    };
    let layers: Vec<Value> = tars.iter().map(pack).collect();

    let put = |value: &Value, media_type: &str| {
        let text = value.to_string();
        let digest = hex(&Sha256::digest(&text));
        fs::write(blobs.join(&digest), &text).expect("a blob can be written");
        json!({ "mediaType": media_type, "digest": format!("sha256:{digest}"), "size": text.len() })
    };
    let config = json!({
        "architecture": architecture,
        "os": "linux",
        "config": config,
        "rootfs": { "type": "layers", "diff_ids": tars.iter().map(|tar| format!("sha256:{}", sha256(tar))).collect::<Vec<_>>() },
        "history": tars.iter().map(|_| json!({ "created_by": "a test" })).collect::<Vec<_>>(),
    });
    let config = put(&config, "application/vnd.oci.image.config.v1+json");
    let manifest_type = "application/vnd.oci.image.manifest.v1+json";
    let manifest = json!({ "schemaVersion": 2, "mediaType": manifest_type, "config": config, "layers": layers });
    let mut entry = put(&manifest, manifest_type);
    entry["annotations"] = json!({ "org.opencontainers.image.ref.name": TAG });
    let index = json!({ "schemaVersion": 2, "manifests": [entry] });
    fs::write(directory.join("index.json"), index.to_string()).expect("the index can be written");
    fs::write(
        directory.join("oci-layout"),
        r#"{"imageLayoutVersion":"1.0.0"}"#,
    )
    .expect("the version can be written");
}

/// Pushes a layout that was created here to a registry: `127.0.0.1:5000/library/debian:bookworm`.
///
/// # Panics
/// When the registry refuses it.
pub fn push(layout: &Path, reference: &str) {
    let from = format!("oci:{}:{TAG}", layout.display());
    run(Command::new("skopeo").args([
        "copy",
        "--quiet",
        "--dest-tls-verify=false",
        &from,
        &format!("docker://{reference}"),
    ]));
}

/// The path of something that is cached beside the compiled tests. It may be used while the lock is held.
pub(crate) fn lock_cached(name: &str) -> (PathBuf, File) {
    let program = std::env::current_exe().expect("a program knows its path");
    let target = program
        .ancestors()
        .find(|directory| directory.join("CACHEDIR.TAG").is_file())
        .expect("tests run in cargo's target directory");
    let directory = target.join("union-tests");
    fs::create_dir_all(&directory).expect("the target directory is writable");
    let lock = File::create(directory.join(format!("{name}.lock"))).expect("a lock can be made");
    lock.lock().expect("a lock can be taken");
    (directory.join(name), lock)
}

/// A file or directory that takes long to create, cached beside the compiled tests. When several test programs require
/// it at once, one creates it and the others wait.
///
/// # Panics
/// When it cannot be created.
pub fn made_once(name: &str, make: impl FnOnce(&Path)) -> PathBuf {
    let (path, _lock) = lock_cached(name);
    let directory = path.parent().expect("it is in a directory");
    if !path.exists() {
        let drafts = tempfile::tempdir_in(directory).expect("a temporary directory can be created");
        let draft = drafts.path().join(name);
        make(&draft);
        fs::rename(&draft, &path).expect("what was made can be named");
    }
    path
}

fn run(command: &mut Command) {
    let output = command
        .output()
        .unwrap_or_else(|cause| panic!("{command:?} does not start: {cause}"));
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn sha256(path: &Path) -> String {
    let output = Command::new("sha256sum")
        .arg(path)
        .output()
        .expect("`sha256sum` is installed");
    assert!(
        output.status.success(),
        "sha256sum {}: {}",
        path.display(),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout)
        .split(' ')
        .next()
        .expect("the digest comes first")
        .to_owned()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
