//! Environments with podman, which uses buildah instead of BuildKit.

use union_tests::engine::Podman;

use crate::setup::Setup;

#[test]
fn podman_builds_the_same_environment() {
    let setup = Setup::new();
    let podman = Podman::start();
    let name = r#"a b'"$HOME\n`x"#;
    let to = name.replace('\\', "\\\\").replace('"', "\\\"");
    let project = setup
        .project(&format!(
            "apt-packages = [\"tree\"]\ncopy = [{{ from = \"file\", to = \"/etc/na sty/{to}\" }}, {{ from = \"tools\", to = \"/bin\" }}]\n\
             commands = [\"tree --version >/seen && cat /run/secrets/token | wc -c >>/seen && ls /etc/na*/ >>/seen\"]\n\
             secrets = [{{ id = \"token\", env = \"TOKEN\" }}]\n"
        ))
        .file("file", "content")
        .file("tools/tool", "tool")
        .env("TOKEN", "twelve chars")
        .env("DOCKER_HOST", podman.address());
    let built = project.run(["build"]).succeeds().stderr_has("RUN apt-get");
    let reference = built.stdout().trim();
    podman.podman(&["pull", "--quiet", "--tls-verify=false", reference]);
    let run = |line: &str| {
        podman.podman(&[
            "run",
            "--rm",
            "--network",
            "none",
            reference,
            "/bin/sh",
            "-c",
            line,
        ])
    };
    let seen = run("cat /seen");
    assert!(
        seen.starts_with("tree v") && seen.ends_with(&format!("\n12\n{name}")),
        "{seen}"
    );
    // Buildah leaves the empty directories of its mounts.
    assert_eq!(
        run(
            "cat /etc/na*/*; readlink /bin; ls /bin/tool; find /run/secrets /run/union -type f 2>/dev/null || true"
        ),
        "contentusr/bin\n/bin/tool"
    );
    assert_eq!(run("ls /var/lib/apt/lists"), "lock\npartial");
    assert!(
        !project
            .read("target/union/logs/hello/default.log")
            .contains("twelve chars")
    );

    project.append("src/main.rs", "// edited\n");
    project.run(["build"]).succeeds().stderr_lacks("RUN");
    project.edit("Cargo.toml", "cat /run/secrets", "exit 7; cat /run/secrets");
    project
        .run(["build"])
        .fails_with("U0501")
        .stderr_has("exit status 7");
}
