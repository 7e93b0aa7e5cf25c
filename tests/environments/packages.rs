//! Debian packages.

use union_tests::engine::Engine;

use crate::setup::{Setup, in_container, shell};

#[test]
fn package_is_installed_once_across_ten_edits() {
    let setup = Setup::new();
    // Not the packages of other tests: the engine would remember their step.
    let project = setup.project("apt-packages = [\"tree\", \"tini\"]");
    let first = project
        .run(["build"])
        .succeeds()
        .stderr_has("apt-get install --yes --no-install-recommends tree tini");
    assert_eq!(in_container(&first, &[]), "hello");
    assert!(shell(&first, "tree --version").starts_with("tree v"));
    // Neither the lists nor the packages are in the image, and what the base had is still there.
    assert_eq!(
        shell(
            &first,
            "find /run/union /var/lib/apt/lists /var/cache/apt -type f -size +0"
        ),
        ""
    );
    assert_eq!(shell(&first, "ls /var/lib/apt/lists"), "lock\npartial");
    for edit in 0..10 {
        project.append("src/main.rs", &format!("// {edit}\n"));
        project
            .run(["build"])
            .succeeds()
            .compiles(["hello"])
            .stderr_lacks("apt-get")
            .stderr_has("Published default");
    }
    let environments = setup
        .tags("team/hello")
        .iter()
        .filter(|tag| tag.starts_with("env-"))
        .count();
    assert_eq!(environments, 1, "{:?}", setup.tags("team/hello"));
}

#[test]
fn environment_is_found_in_the_registry_by_another_machine() {
    let setup = Setup::new();
    let project = setup.project("apt-packages = [\"tree\"]");
    project.run(["build"]).succeeds();
    // Without cache, state and engine.
    let other = setup
        .project("apt-packages = [\"tree\"]")
        .env("DOCKER_HOST", "unix:///nowhere");
    other.append("src/main.rs", "// edited\n");
    other.run(["plan"]).succeeds().stdout_has("append code");
    let built = other.run(["build"]).succeeds().stderr_lacks("apt-get");
    assert!(shell(&built, "tree --version").starts_with("tree v"));
}

#[test]
fn base_layers_are_kept_and_mounted() {
    let setup = Setup::new();
    let project = setup.project("apt-packages = [\"tree\"]");
    project
        .run(["-v", "build"])
        .succeeds()
        .stderr_has("Mounted");
    let is_upload = |request: &&String| request.starts_with("PUT /v2/team/hello/blobs/uploads");
    // The environment's one layer and its config; the launcher, the code layer and the image's config.
    assert_eq!(
        setup.registry.writes().iter().filter(is_upload).count(),
        5,
        "{:?}",
        setup.registry.writes()
    );
}

#[test]
fn environment_without_a_registry_is_in_the_layout() {
    let setup = Setup::new();
    let project = setup.project("apt-packages = [\"tree\"]");
    project
        .run(["build", "--no-push"])
        .succeeds()
        .stdout_has("oci:");
    assert_eq!(
        setup
            .registry
            .writes()
            .iter()
            .filter(|request| request.contains("/team/"))
            .count(),
        0
    );
    let layout = project.path("target/union/oci/hello");
    let loaded = project.shell(&format!(
        "skopeo copy -q oci:{} docker-archive:image.tar:with-tree:v1",
        layout.display()
    ));
    loaded.succeeds();
    Engine::with_network().docker(&[
        "load",
        "--quiet",
        "--input",
        project.path("image.tar").to_str().unwrap(),
    ]);
    assert!(
        Engine::with_network()
            .docker(&[
                "run",
                "--rm",
                "with-tree:v1",
                "/bin/sh",
                "-c",
                "tree --version"
            ])
            .starts_with("tree v")
    );
    // The environment is remembered, so nothing is installed for another code.
    project.append("src/main.rs", "// edited\n");
    project
        .run(["build", "--no-push"])
        .succeeds()
        .stderr_lacks("apt-get");
    // So are its packages, until the cache has lost it.
    let sbom = || project.run(["build", "--no-push", "--sbom", "sbom.json"]);
    sbom().succeeds().stderr_lacks("note:");
    let bill = project.read("sbom.json");
    assert!(bill.contains("pkg:deb/debian/tree@") && bill.contains("\"complete\""));
    std::fs::remove_dir_all(project.cache().join("notes/environments")).unwrap();
    sbom()
        .succeeds()
        .stderr_has("its environment is neither in a registry nor in the cache");
    let bill = project.read("sbom.json");
    assert!(!bill.contains("pkg:deb/") && bill.contains("\"incomplete\""));
}

#[test]
fn unknown_package_shows_the_line_of_apt() {
    let setup = Setup::new();
    let project = setup.project("apt-packages = [\"no-such-package\"]");
    let outcome = project.run(["build"]).fails_with("U0501").exits(1);
    let error = outcome
        .stderr()
        .split("Caused by:")
        .nth(1)
        .unwrap()
        .to_owned();
    let caused = error.split("\n\nhelp").next().unwrap().trim_end();
    // Not always the last one: the engine reads stdout and stderr apart.
    assert!(
        caused.contains("\n  E: Unable to locate package no-such-package"),
        "{caused}"
    );
    outcome
        .stderr_has("exit code: 100")
        .stderr_has("target/union/logs/hello/default.log");
    assert!(
        project
            .read("target/union/logs/hello/default.log")
            .contains("E: Unable to locate package no-such-package")
    );
    assert_eq!(setup.tags("team/hello"), [""; 0], "nothing is left tagged");
}

#[test]
fn package_is_pinned_by_pattern_and_release() {
    let setup = Setup::new();
    let project = setup.project("apt-packages = [\"tree=2.*\", \"tini/bookworm\"]");
    let built = project
        .run(["build"])
        .succeeds()
        .stderr_has("apt-get install --yes --no-install-recommends 'tree=2.*' tini/bookworm");
    assert!(shell(&built, "tree --version").starts_with("tree v2."));
    let refused = setup
        .project("apt-packages = [\"tree=99.*\"]")
        .run(["build"])
        .fails_with("U0501");
    refused.stderr_has("E: Version '99.*' for 'tree' was not found");
}

#[test]
fn renewed_environment_installs_its_packages_again() {
    let setup = Setup::new();
    let project = setup.project("apt-packages = [\"tree\"]");
    project.run(["build"]).succeeds();
    project
        .run(["update", "--packages", "default"])
        .succeeds()
        .stderr_has("generation 1");
    project
        .run(["plan"])
        .succeeds()
        .stdout_has("build its environment")
        .stdout_has("generation: 0 → 1");
    project
        .run(["build"])
        .succeeds()
        .stderr_has("Published environment of default");
    assert_eq!(
        setup
            .tags("team/hello")
            .iter()
            .filter(|tag| tag.starts_with("env-"))
            .count(),
        2
    );
}
