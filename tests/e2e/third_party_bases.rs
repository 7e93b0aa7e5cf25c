//! Base images created by other tools: each is built on, and the image is read with skopeo.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;
use union_tests::registry::Registry;
use union_tests::{Outcome, Project};

use crate::setup::{config, image, manifest, push_base};

/// A directory in which bases are created, and a registry for them.
struct Setup {
    registry: Registry,
    directory: TempDir,
}

impl Setup {
    fn new() -> Self {
        Self {
            registry: Registry::open(),
            directory: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn reference(&self, path: &str) -> String {
        format!("{}/{path}", self.registry.host())
    }

    /// An OCI layout made by umoci of one tree, with a whiteout in a second layer.
    fn umoci(&self) -> PathBuf {
        let layout = self.path("umoci");
        let tagged = format!("{}:base", layout.display());
        run("umoci", ["init", "--layout", &layout.display().to_string()]);
        run("umoci", ["new", "--image", &tagged]);
        let tree = self.path("tree");
        std::fs::create_dir_all(tree.join("etc")).unwrap();
        std::fs::write(tree.join("etc/kept"), "kept").unwrap();
        std::fs::write(tree.join("etc/removed"), "removed").unwrap();
        run(
            "umoci",
            [
                "insert",
                "--rootless",
                "--image",
                &tagged,
                &tree.join("etc").display().to_string(),
                "/etc",
            ],
        );
        run(
            "umoci",
            [
                "insert",
                "--rootless",
                "--whiteout",
                "--image",
                &tagged,
                "/etc/removed",
            ],
        );
        run(
            "umoci",
            [
                "config",
                "--image",
                &tagged,
                "--config.workingdir",
                "/srv",
                "--config.env",
                "WHO=umoci",
            ],
        );
        layout
    }

    /// Copies a layout to the registry with skopeo.
    fn copy(&self, layout: &Path, to: &str, more: &[&str]) -> String {
        let reference = self.reference(to);
        let (from, to) = (
            format!("oci:{}:base", layout.display()),
            format!("docker://{reference}"),
        );
        run(
            "skopeo",
            [
                &["copy", "--quiet", "--dest-tls-verify=false"],
                more,
                &[&from, &to],
            ]
            .concat(),
        );
        reference
    }

    /// Writes a manifest or an index as it stands.
    fn put(&self, repository: &str, tag: &str, kind: &str, document: &Value) -> Value {
        let (file, text) = (self.path("document"), document.to_string());
        std::fs::write(&file, &text).unwrap();
        let url = format!(
            "http://{}/v2/{repository}/manifests/{tag}",
            self.registry.host()
        );
        let (kind_header, data) = (
            format!("Content-Type: {kind}"),
            format!("@{}", file.display()),
        );
        run(
            "curl",
            [
                "-sS",
                "--fail",
                "-X",
                "PUT",
                "-H",
                &kind_header,
                "--data-binary",
                &data,
                &url,
            ],
        );
        json!({ "mediaType": kind, "digest": union_tests::faulty_registry::digest(text.as_bytes()), "size": text.len() })
    }

    /// Uploads a blob.
    fn blob(&self, repository: &str, bytes: &[u8]) -> Value {
        let file = self.path("blob");
        std::fs::write(&file, bytes).unwrap();
        let digest = union_tests::faulty_registry::digest(bytes);
        let start = format!(
            "http://{}/v2/{repository}/blobs/uploads/",
            self.registry.host()
        );
        let script = r#"at=$(curl -sS --fail -X POST -H 'Content-Length: 0' -D - -o /dev/null "$1" | tr -d '\r' | sed -n 's/^[Ll]ocation: //p')
            curl -sS --fail -X PUT -H 'Content-Type: application/octet-stream' --data-binary "@$2" "$at&digest=$3""#;
        run(
            "sh",
            [
                "-ec",
                script,
                "sh",
                &start,
                &file.display().to_string(),
                &digest,
            ],
        );
        json!({ "mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest, "size": bytes.len() })
    }

    fn build(&self, base: &str, more: &str) -> (Project, Outcome) {
        let host = self.registry.host();
        let union = format!(
            "[package.metadata.union]\nregistry = \"{host}/team\"\n[package.metadata.union.images.default]\nbuild = {{ link = \"static\" }}\nbase-image = {base:?}\n{more}"
        );
        let project = Project::package("hello")
            .union(&union)
            .file("file", "file")
            .locked();
        let outcome = project.run(["build", "--format", "json"]).succeeds();
        (project, outcome)
    }
}

#[track_caller]
fn run<'a>(program: &str, arguments: impl IntoIterator<Item = &'a str>) {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .unwrap_or_else(|cause| panic!("{program}: {cause}"));
    assert!(
        output.status.success(),
        "{program}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn reference(outcome: &Outcome) -> String {
    image(outcome)["pinned"].as_str().unwrap().to_owned()
}

#[test]
fn umoci_layout_with_whiteouts_is_a_base_in_every_format() {
    let setup = Setup::new();
    let layout = setup.umoci();
    for (name, arguments) in [
        ("oci", &["--format", "oci"][..]),
        ("schema2", &["--format", "v2s2"]),
        (
            "zstd",
            &[
                "--format",
                "oci",
                "--dest-compress-format",
                "zstd",
                "--dest-compress",
            ],
        ),
        ("uncompressed", &["--dest-decompress"]),
    ] {
        let base = setup.copy(&layout, &format!("{name}:1"), arguments);
        // A directory can take the place of the file only because that is removed.
        let copy = "copy = [{ from = \"file\", to = \"/etc/removed/file\" }]\n";
        let (_, outcome) = setup.build(&base, copy);
        let built = config(&reference(&outcome));
        assert_eq!(built["config"]["WorkingDir"], json!("/srv"), "{name}");
        assert!(
            built["config"]["Env"]
                .as_array()
                .unwrap()
                .contains(&json!("WHO=umoci")),
            "{name}"
        );
        let layers = manifest(&reference(&outcome))["layers"].clone();
        let kinds: Vec<&str> = layers
            .as_array()
            .unwrap()
            .iter()
            .map(|layer| layer["mediaType"].as_str().unwrap())
            .collect();
        assert!(
            kinds.len() > 2
                && kinds
                    .iter()
                    .all(|kind| kind.starts_with("application/vnd.oci.image.layer.v1.tar")),
            "{name}: {kinds:?}"
        );
    }
}

#[test]
fn podman_image_without_passwd_is_a_base() {
    let setup = Setup::new();
    let context = setup.path("context");
    std::fs::create_dir_all(&context).unwrap();
    std::fs::write(
        context.join("Containerfile"),
        "FROM scratch\nCOPY file /opt/file\nENV WHO=podman\nENTRYPOINT [\"/opt/file\"]\n",
    )
    .unwrap();
    std::fs::write(context.join("file"), "file").unwrap();
    let (root, state) = (
        setup.path("storage").display().to_string(),
        setup.path("run").display().to_string(),
    );
    let podman = [
        "--root",
        &root,
        "--runroot",
        &state,
        "--storage-driver",
        "vfs",
        "--cgroup-manager",
        "cgroupfs",
    ];
    for (format, base) in [
        ("oci", setup.reference("podman-oci:1")),
        ("docker", setup.reference("podman-docker:1")),
    ] {
        let make = [
            "build",
            "--quiet",
            "--isolation",
            "chroot",
            "--format",
            format,
            "-t",
            &base,
        ];
        run(
            "podman",
            [&podman[..], &make, &[&context.display().to_string()]].concat(),
        );
        run(
            "podman",
            [
                &podman[..],
                &["push", "--quiet", "--tls-verify=false", &base],
            ]
            .concat(),
        );
        let (_, outcome) = setup.build(&base, "user = \"1000\"\n");
        let built = config(&reference(&outcome));
        assert_eq!(built["config"]["User"], json!("1000"), "{format}");
        assert_eq!(built["config"].get("Entrypoint"), None, "{format}");
        assert!(
            built["config"]["Env"]
                .as_array()
                .unwrap()
                .contains(&json!("WHO=podman")),
            "{format}"
        );
    }
    // A name needs an /etc/passwd in which it is.
    let union = format!(
        "[package.metadata.union.images.default]\nbuild = {{ link = \"static\" }}\nbase-image = {:?}\nuser = \"app\"\n",
        setup.reference("podman-oci:1")
    );
    Project::package("hello")
        .union(&union)
        .locked()
        .run(["build"])
        .fails_with("U0307")
        .stderr_has("app");
}

#[test]
fn config_without_architecture_uses_the_index_with_a_warning() {
    let setup = Setup::new();
    for (name, platform) in [
        ("none", json!({})),
        ("other", json!({ "os": "linux", "architecture": "s390x" })),
    ] {
        let mut document = platform.clone();
        document["rootfs"] = json!({ "type": "layers", "diff_ids": [] });
        let config_blob = setup.blob(name, document.to_string().as_bytes());
        let kind = "application/vnd.oci.image.manifest.v1+json";
        let document =
            json!({ "schemaVersion": 2, "mediaType": kind, "config": config_blob, "layers": [] });
        let mut entry = setup.put(name, "amd64", kind, &document);
        entry["platform"] = json!({ "os": "linux", "architecture": "amd64" });
        let index = "application/vnd.oci.image.index.v1+json";
        let inner = setup.put(
            name,
            "inner",
            index,
            &json!({ "schemaVersion": 2, "mediaType": index, "manifests": [entry] }),
        );
        // The second one is an index in an index.
        let document = if name == "none" {
            json!([entry])
        } else {
            json!([inner])
        };
        setup.put(
            name,
            "1",
            index,
            &json!({ "schemaVersion": 2, "mediaType": index, "manifests": document }),
        );
        let (project, outcome) = setup.build(&setup.reference(&format!("{name}:1")), "");
        let says = if name == "none" {
            "names no platform"
        } else {
            "declares the platform `linux/s390x`"
        };
        outcome
            .stderr_has("warning")
            .stderr_has(says)
            .stderr_has("`linux/amd64`");
        let built = config(&reference(
            &project.run(["build", "--format", "json"]).succeeds(),
        ));
        assert_eq!(
            (&built["architecture"], &built["os"]),
            (&json!("amd64"), &json!("linux"))
        );
    }
}

#[test]
fn damaged_cached_base_blob_is_fetched_again() {
    let setup = Setup::new();
    let base = setup.copy(&setup.umoci(), "base:1", &[]);
    // The path of a copied file depends on the layers.
    let (project, _) = setup.build(&base, "copy = [{ from = \"file\", to = \"/etc/file\" }]\n");
    let blobs = project.cache().join("blobs/sha256");
    let whole: Vec<PathBuf> = std::fs::read_dir(&blobs)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert!(whole.len() > 2, "{whole:?}");
    for (number, blob) in whole.iter().enumerate() {
        let bytes = std::fs::read(blob).unwrap();
        let damaged = if number % 2 == 0 {
            bytes[..bytes.len() / 2].to_vec()
        } else {
            vec![0; bytes.len()]
        };
        std::fs::write(blob, damaged).unwrap();
    }
    run(
        "sh",
        [
            "-ec",
            r#"find "$1" -type f -exec sh -c 'echo "{}" > "$1"' sh {} \;"#,
            "sh",
            &project.cache().join("notes").display().to_string(),
        ],
    );
    let layout = setup.path("out").display().to_string();
    project
        .run(["build", "--output", &format!("oci:{layout}")])
        .succeeds();
    run(
        "skopeo",
        [
            "copy",
            "--quiet",
            &format!("oci:{layout}"),
            &format!("dir:{}", setup.path("dir").display()),
        ],
    );
}

#[test]
fn missing_pinned_base_names_the_update_command() {
    let setup = Setup::new();
    let base = setup.reference("base:1");
    push_base(&base, "one", &[]);
    let (project, _) = setup.build(&base, "");
    let lock = project.read("Union.lock");
    let pinned = lock
        .split("\"linux/amd64\" = \"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap()
        .to_owned();
    push_base(&base, "two", &[]);
    let revisions = setup
        .registry
        .data()
        .join("docker/registry/v2/repositories/base/_manifests/revisions/sha256");
    std::fs::remove_dir_all(revisions.join(pinned.trim_start_matches("sha256:"))).unwrap();
    std::fs::remove_dir_all(project.cache()).unwrap();
    project.write("src/main.rs", "fn main() { println!(\"changed\"); }\n");
    project
        .run(["build"])
        .fails_with("U0301")
        .stderr_has(&pinned)
        .stderr_has("cargo union update")
        .stderr_has("removed");
    project.run(["update"]).succeeds();
    project.run(["build"]).succeeds();
}
