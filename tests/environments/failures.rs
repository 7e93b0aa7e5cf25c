//! Engines that are missing, killed or out of disk space, and interrupted builds.

use union_tests::engine::{Engine, Setting};
use union_tests::project::tool;

use crate::setup::Setup;

#[test]
fn missing_engine_lists_tried_addresses_and_alternatives() {
    let setup = Setup::new();
    let project = setup
        .project("apt-packages = [\"tree\"]")
        .without_env("DOCKER_HOST")
        .env("XDG_RUNTIME_DIR", "/nowhere");
    // The machine's own engines are not there either.
    let script = format!(
        "#!/bin/sh\nexec unshare --mount sh -c 'mount -t tmpfs tmpfs /run && exec \"$@\"' sh {} \"$@\"\n",
        tool().display()
    );
    let project = project.file("tool", script);
    std::fs::set_permissions(
        project.path("tool"),
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )
    .unwrap();
    let tool = project.path("tool");
    let project = project.program(tool);
    let outcome = project
        .run(["build"])
        .fails_with("U0414")
        .compiles_nothing();
    for tried in [
        "unix:///var/run/docker.sock",
        "unix:///nowhere/docker.sock",
        "unix:///nowhere/podman/podman.sock",
        "unix:///run/podman/podman.sock",
    ] {
        assert!(
            outcome.stderr().contains(tried),
            "{tried}: {}",
            outcome.stderr()
        );
    }
    outcome.stderr_has("the keys that run commands");
    // A plan says what would be done; it needs no engine for that.
    project
        .run(["plan"])
        .succeeds()
        .stdout_has("build its environment");
}

#[test]
fn killed_engine_leaves_no_tag() {
    let setup = Setup::new();
    let engine = Engine::start_with(&Setting {
        network: true,
        ..Setting::default()
    });
    let project = setup
        .project("commands = [\"echo begun; sleep 600\"]")
        .env("DOCKER_HOST", engine.address());
    let mut running = project.start(["-vv", "build"]);
    running.until_stderr_has("begun");
    engine.kill();
    running
        .wait()
        .fails_with("U0415")
        .exits(1)
        .stderr_has(&engine.address())
        .stderr_has("could not build the environment of image `default`");
    assert_eq!(setup.tags("team/hello"), [""; 0]);
    assert!(
        !project.path("target/union/results").exists(),
        "nothing is remembered of it"
    );
}

#[test]
fn full_disk_of_the_engine_is_reported() {
    let setup = Setup::new();
    let engine = Engine::start_with(&Setting {
        network: true,
        disk: Some("400m"),
        ..Setting::default()
    });
    let project = setup
        .project("commands = [\"dd if=/dev/zero of=/x bs=1M count=600\"]")
        .env("DOCKER_HOST", engine.address());
    project
        .run(["build"])
        .fails_with("U0501")
        .stderr_has("No space left on device");
    assert_eq!(setup.tags("team/hello"), [""; 0]);
    let small = Engine::start_with(&Setting {
        network: true,
        disk: Some("60m"),
        ..Setting::default()
    });
    let project = setup
        .project("commands = [\"true\"]")
        .env("DOCKER_HOST", small.address());
    project
        .run(["build"])
        .fails_with("U0415")
        .stderr_has("no space left on device");
}

#[test]
fn interrupt_ends_the_build_in_the_engine() {
    let setup = Setup::new();
    let asleep = format!("sleep {}", 1_000_000 + std::process::id());
    let project = setup.project(&format!("commands = [\"echo begun; {asleep}\"]"));
    let mut running = project.start(["-vv", "build"]);
    running.until_stderr_has("begun");
    running.interrupt();
    running.wait().exits(130).fails_with("U0007");
    for _ in 0..200 {
        let sleeping = std::process::Command::new("pgrep")
            .args(["-f", &format!("^{asleep}$")])
            .output()
            .unwrap();
        if !sleeping.status.success() {
            assert_eq!(setup.tags("team/hello"), [""; 0]);
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    panic!("the command still runs in the engine");
}

#[test]
fn base_without_the_platform_is_refused_with_the_list() {
    let setup = Setup::new();
    let project = setup.project("apt-packages = [\"tree\"]\nplatforms = [\"linux/arm64\"]");
    project
        .run(["build"])
        .fails_with("U0304")
        .stderr_has("`linux/amd64`")
        .compiles_nothing();
}
