//! Build contexts: which files of the project a user's Dockerfile has, compared with `docker build`.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::process::Command;

use union_tests::engine::{Engine, Podman};
use union_tests::{Outcome, Project};

use crate::setup::{Setup, shell};

/// A package with a Dockerfile beside its Cargo.toml that copies the whole context to `/context`.
fn beside_the_manifest(setup: &Setup, images: &str) -> Project {
    let images =
        format!("[package.metadata.union.images.default]\ndockerfile = \"Dockerfile\"\n{images}");
    setup.project_of(&images).file(
        "Dockerfile",
        format!("FROM {}\nCOPY . /context\n", setup.debian()),
    )
}

const LIST: &str = "cd /context && find . | sort";

/// The context of `docker build` for the project, without the files that the tool excludes.
fn by_docker(project: &Project) -> Vec<String> {
    let engine = Engine::with_network();
    let mut docker = Command::new("docker");
    docker
        .args(["--host", &engine.address(), "build", "--quiet", "."])
        .current_dir(project.directory())
        .env("DOCKER_BUILDKIT", "0");
    let output = docker.output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let image = String::from_utf8(output.stdout).unwrap();
    let image = image.lines().last().unwrap().trim();
    let listed = engine.docker(&[
        "run",
        "--rm",
        "--network",
        "none",
        image,
        "/bin/sh",
        "-c",
        LIST,
    ]);
    let never = |line: &&str| {
        ["./target", "./Union.lock", "./.git"]
            .iter()
            .all(|never| !line.starts_with(never))
    };
    listed.lines().filter(never).map(str::to_owned).collect()
}

/// What a line of shell prints in the built image, in podman.
fn in_podman(podman: &Podman, built: &Outcome, line: &str) -> String {
    let reference = built.stdout().trim();
    podman.podman(&["pull", "--quiet", "--tls-verify=false", reference]);
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
}

#[test]
fn dockerfile_outside_of_its_context_has_its_dockerignore() {
    let (setup, podman) = (Setup::new(), Podman::start());
    let tables = "[package.metadata.union.images.default]\ndockerfile = \"docker/prod.Dockerfile\"\nbuilder-options = { context = \"app\" }\n";
    let project = setup.project_of(tables).file(
        "docker/prod.Dockerfile",
        format!("FROM {}\nCOPY . /context\n", setup.debian()),
    );
    let project = project
        .file("docker/prod.Dockerfile.dockerignore", "y\n")
        .file("app/.dockerignore", "x\n")
        .file("app/x", "")
        .file("app/y", "");
    let built = project.run(["build"]).succeeds();
    assert_eq!(shell(&built, LIST), ".\n./.dockerignore\n./x");
    project
        .run(["build"])
        .succeeds()
        .stderr_has("Unchanged default");
    std::fs::remove_file(project.path("docker/prod.Dockerfile.dockerignore")).unwrap();
    let project = project.env("DOCKER_HOST", podman.address());
    assert_eq!(
        in_podman(&podman, &project.run(["build"]).succeeds(), LIST),
        ".\n./.dockerignore\n./y"
    );
    // An instruction that fails is shown with the line of the user's file.
    project.append("docker/prod.Dockerfile", "RUN exit 7\n");
    project
        .run(["build"])
        .fails_with("U0501")
        .stderr_has("RUN exit 7");
}

#[test]
fn dockerfile_outside_of_the_workspace_is_refused() {
    let setup = Setup::new();
    let tables = "[package.metadata.union.images.default]\ndockerfile = \"../Dockerfile\"\nbuilder-options = { context = \".\" }\n";
    let project = setup.project_of(tables);
    std::fs::write(project.path("../Dockerfile"), "FROM scratch\n").unwrap();
    project
        .run(["build"])
        .fails_with("U0113")
        .stderr_has("Dockerfile")
        .stderr_has("the workspace is")
        .compiles_nothing();
}

#[test]
fn default_context_excludes_outputs_of_cargo_and_the_tool() {
    let setup = Setup::new();
    let project =
        beside_the_manifest(&setup, "").file(".dockerignore", "**/*.log\n!keep.log\nsrc\n");
    project.write(".git/HEAD", "ref: refs/heads/main\n");
    for file in ["a.log", "keep.log", "deep/b.log", "deep/c"] {
        project.write(file, "x");
    }
    let built = project.run(["build"]).succeeds();
    let seen = shell(&built, LIST);
    assert_eq!(seen.lines().collect::<Vec<_>>(), by_docker(&project));
    assert_eq!(
        seen,
        ".\n./.dockerignore\n./Cargo.lock\n./Cargo.toml\n./Dockerfile\n./deep\n./deep/c\n./keep.log"
    );
    project
        .run(["build"])
        .succeeds()
        .compiles_nothing()
        .stderr_has("Unchanged default");
    project.write(".git/HEAD", "another revision\n");
    project.write(".git/index", "x");
    project
        .run(["build"])
        .succeeds()
        .stderr_has("Unchanged default");
    project.write("deep/c", "y");
    project
        .run(["plan"])
        .succeeds()
        .stdout_has("dockerfile context");
}

#[test]
fn context_links_and_special_files_equal_those_of_docker() {
    let setup = Setup::new();
    let project = beside_the_manifest(&setup, "")
        .without_read_override()
        .file(".dockerignore", "private\nsrc\n")
        .file("sub/a", "1");
    std::fs::create_dir_all(project.path(".venv/bin")).unwrap();
    symlink("/usr/bin/python3", project.path(".venv/bin/python")).unwrap();
    symlink("nowhere", project.path("dangling")).unwrap();
    symlink("../../outside", project.path("sub/outside")).unwrap();
    assert!(
        Command::new("mkfifo")
            .arg(project.path("sub/pipe"))
            .status()
            .unwrap()
            .success()
    );
    let _listener = UnixListener::bind(project.path("sub/socket")).unwrap();
    project.write("private/key", "x");
    std::fs::set_permissions(
        project.path("private"),
        std::fs::Permissions::from_mode(0o000),
    )
    .unwrap();
    let built = project.run(["build"]).succeeds();
    let seen = shell(&built, LIST);
    // Not every version of BuildKit copies a pipe that it is given.
    let without_pipe = |lines: Vec<String>| {
        lines
            .into_iter()
            .filter(|line| line != "./sub/pipe")
            .collect::<Vec<_>>()
    };
    assert_eq!(
        without_pipe(seen.lines().map(str::to_owned).collect()),
        without_pipe(by_docker(&project))
    );
    assert_eq!(
        shell(
            &built,
            "cd /context && readlink .venv/bin/python dangling sub/outside"
        ),
        "/usr/bin/python3\nnowhere\n../../outside"
    );
    project
        .run(["build"])
        .succeeds()
        .stderr_has("Unchanged default");
    std::fs::remove_file(project.path("dangling")).unwrap();
    project
        .run(["plan"])
        .succeeds()
        .stdout_has("dockerfile context");
}

#[test]
fn dockerfile_may_be_a_link() {
    let setup = Setup::new();
    for target in ["docker/Real", "../root.Dockerfile"] {
        let tables = "[package.metadata.union.images.default]\ndockerfile = \"app/Dockerfile\"\n";
        let text = format!(
            "FROM {}\nCOPY . /context\nRUN echo {target} >/which\n",
            setup.debian()
        );
        let project = setup.project_of(tables).file("app/x", "x");
        std::fs::create_dir_all(project.path("app/docker")).unwrap();
        std::fs::write(project.path("app").join(target), text).unwrap();
        symlink(target, project.path("app/Dockerfile")).unwrap();
        let built = project.run(["build"]).succeeds();
        assert_eq!(shell(&built, "cat /which"), target);
    }
    let project = beside_the_manifest(&setup, "");
    std::fs::remove_file(project.path("Dockerfile")).unwrap();
    symlink("/etc/hosts", project.path("Dockerfile")).unwrap();
    project
        .run(["build"])
        .fails_with("U0114")
        .stderr_has("outside of the workspace")
        .compiles_nothing();
}

#[test]
fn dockerfile_specific_dockerignore_is_used() {
    let setup = Setup::new();
    let project = beside_the_manifest(&setup, "")
        .file(".dockerignore", "kept\n")
        .file("Dockerfile.dockerignore", "*\n!kept\n");
    let built = project
        .file("kept", "x")
        .file("other", "x")
        .run(["build"])
        .succeeds();
    assert_eq!(shell(&built, LIST), ".\n./kept");
}

#[test]
fn ignored_dockerfile_is_used_and_not_copied() {
    let (setup, podman) = (Setup::new(), Podman::start());
    let project =
        beside_the_manifest(&setup, "").file(".dockerignore", "Docker*\n.dockerignore\nsrc\n");
    let built = project.run(["build"]).succeeds();
    assert_eq!(
        shell(&built, LIST).lines().collect::<Vec<_>>(),
        by_docker(&project)
    );
    assert_eq!(shell(&built, LIST), ".\n./Cargo.lock\n./Cargo.toml");
    project
        .run(["build"])
        .succeeds()
        .stderr_has("Unchanged default");
    // It is an input all the same.
    project.append("Dockerfile", "RUN echo more >/more\n");
    project
        .run(["plan"])
        .succeeds()
        .stdout_has("dockerfile")
        .stdout_has("build its environment");
    let project = project.env("DOCKER_HOST", podman.address());
    assert_eq!(
        in_podman(
            &podman,
            &project.run(["build"]).succeeds(),
            &format!("cat /more; {LIST}")
        ),
        "more\n.\n./Cargo.lock\n./Cargo.toml"
    );
}

#[test]
fn context_devices_equal_those_of_docker() {
    let (setup, podman) = (Setup::new(), Podman::start());
    let project = beside_the_manifest(&setup, "")
        .file(".dockerignore", "src\n")
        .file("dev/file", "1");
    for (name, words) in [("null", "c 1 3"), ("loop", "b 7 300")] {
        let made = Command::new("mknod")
            .args(["-m", "666"])
            .arg(project.path("dev").join(name))
            .args(words.split(' '))
            .status()
            .unwrap();
        assert!(made.success());
    }
    let built = project.run(["build"]).succeeds();
    // Older versions of BuildKit copy a device as an empty file.
    assert_eq!(
        shell(&built, LIST).lines().collect::<Vec<_>>(),
        by_docker(&project)
    );
    project
        .run(["build"])
        .succeeds()
        .stderr_has("Unchanged default");
    std::fs::remove_file(project.path("dev/null")).unwrap();
    assert!(
        Command::new("mknod")
            .arg(project.path("dev/null"))
            .args(["c", "1", "5"])
            .status()
            .unwrap()
            .success()
    );
    project
        .run(["plan"])
        .succeeds()
        .stdout_has("dockerfile context");
    let project = project.env("DOCKER_HOST", podman.address());
    let seen = in_podman(
        &podman,
        &project.run(["build"]).succeeds(),
        "cd /context/dev && stat -c '%n %F %t:%T %a' *",
    );
    assert_eq!(
        seen,
        "file regular file 0:0 644\nloop block special file 7:12c 666\nnull character special file 1:5 644"
    );
}

#[test]
fn invalid_dockerignore_pattern_is_named_with_its_line() {
    let setup = Setup::new();
    let project = beside_the_manifest(&setup, "").file(".dockerignore", "a\n[b\n");
    project
        .run(["build"])
        .fails_with("U0104")
        .stderr_has(".dockerignore:2")
        .compiles_nothing();
}

#[test]
fn unreadable_directory_is_an_error_only_if_needed() {
    let setup = Setup::new();
    let project = beside_the_manifest(&setup, "")
        .without_read_override()
        .file(".dockerignore", "private\nsrc\n!private/x\n");
    project.write("private/x", "x");
    std::fs::set_permissions(
        project.path("private"),
        std::fs::Permissions::from_mode(0o000),
    )
    .unwrap();
    project
        .run(["build"])
        .exits(1)
        .fails_with("U0004")
        .stderr_has(
            "`[PROJECT]/private`"
                .replace("[PROJECT]", &project.directory().display().to_string())
                .as_str(),
        )
        .stderr_has("Permission denied")
        .compiles_nothing();
    std::fs::set_permissions(
        project.path("private"),
        std::fs::Permissions::from_mode(0o755),
    )
    .unwrap();
    let built = project.run(["build"]).succeeds();
    assert_eq!(
        shell(&built, "cd /context && find private | sort"),
        "private\nprivate/x"
    );
}

#[test]
fn dot_copy_has_the_same_files_for_commands() {
    let setup = Setup::new();
    let project = setup
        .project(
            "copy = [\".\"]\nworkdir = \"/app\"\ncommands = [\"find . -type f | sort >/seen\"]",
        )
        .file(".gitignore", "/target\n/local\n")
        .file("conf/a", "1");
    project.write(".git/HEAD", "ref: refs/heads/main\n");
    project.write("local", "x");
    let built = project.run(["build"]).succeeds();
    let expected = "./.gitignore\n./Cargo.lock\n./Cargo.toml\n./conf/a\n./src/main.rs";
    assert_eq!(shell(&built, "cat /seen"), expected);
    assert_eq!(shell(&built, "cd /app && find . -type f | sort"), expected);
    project.write("local", "y");
    project
        .run(["build"])
        .succeeds()
        .compiles_nothing()
        .stderr_has("Unchanged default");
}
