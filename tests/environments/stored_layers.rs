//! Large files that do not compress.

use std::process::Command;

use union_tests::engine::Podman;

use crate::setup::{Setup, shell};

/// Incompressible bytes between compressible ones.
fn weights() -> Vec<u8> {
    let mut state = 88_172_645_463_325_252_u64;
    let mut bytes = vec![b'x'; 1_500_000];
    while bytes.len() < 5_000_000 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend(state.to_le_bytes());
    }
    bytes.resize(bytes.len() + 1_500_000, b'y');
    bytes
}

#[test]
fn stored_gzip_members_are_pulled_by_all_tools() {
    let setup = Setup::new();
    let project = setup
        .project("copy = [{ from = \"weights\", to = \"/weights\" }]")
        .file("weights", weights());
    let built = project.run(["build"]).succeeds();
    let sum = |text: String| text.split(' ').next().unwrap().to_owned();
    let expected = sum(project
        .shell("sha256sum weights")
        .succeeds()
        .stdout()
        .to_owned());
    assert_eq!(sum(shell(&built, "sha256sum /weights")), expected, "docker");
    let reference = built.stdout().trim();
    let podman = Podman::start();
    podman.podman(&["pull", "--quiet", "--tls-verify=false", reference]);
    assert_eq!(
        sum(podman.podman(&[
            "run",
            "--rm",
            "--network",
            "none",
            reference,
            "sha256sum",
            "/weights"
        ])),
        expected,
        "podman"
    );
    let layout = project.path("layout").display().to_string();
    let skopeo = [
        "copy",
        "--quiet",
        "--insecure-policy",
        "--src-tls-verify=false",
    ];
    let copied = Command::new("skopeo")
        .args(skopeo)
        .arg(format!("docker://{reference}"))
        .arg(format!("oci:{layout}:v1"))
        .status()
        .unwrap();
    assert!(copied.success(), "skopeo");
    let bundle = project.path("bundle");
    let unpacked = Command::new("umoci")
        .args(["unpack", "--rootless", "--image", &format!("{layout}:v1")])
        .arg(&bundle)
        .output()
        .unwrap();
    assert!(
        unpacked.status.success(),
        "umoci: {}",
        String::from_utf8_lossy(&unpacked.stderr)
    );
    assert!(
        std::fs::read(bundle.join("rootfs/weights")).unwrap() == weights(),
        "umoci"
    );
}
