//! Environments of a user's Dockerfile.

use crate::setup::{Setup, shell};

fn with_dockerfile(setup: &Setup, more: &str) -> union_tests::Project {
    setup
        .project_of(&format!("[package.metadata.union.images.default]\ndockerfile = \"docker/Dockerfile\"\n{more}\n"))
        .file(
            "docker/Dockerfile",
            format!(
                "FROM {}\nCOPY . /context\nRUN echo made >/made\nENV FROM_DOCKERFILE=yes\nUSER 1000\nENTRYPOINT [\"/bin/false\"]\n",
                setup.debian()
            ),
        )
        .file("docker/conf", "one")
        .file("docker/ignored/secret", "x")
        .file("docker/.dockerignore", "ignored\n")
}

#[test]
fn dockerfile_builds_the_environment_below_the_code() {
    let setup = Setup::new();
    let project = with_dockerfile(&setup, "exclude = [\"docker\"]");
    let built = project.run(["build"]).succeeds();
    assert_eq!(crate::setup::in_container(&built, &[]), "hello");
    assert_eq!(
        shell(
            &built,
            "cat /made /context/conf; ls -A /context; id -u; echo $FROM_DOCKERFILE"
        ),
        "made\none.dockerignore\nDockerfile\nconf\n1000\nyes"
    );
    project.append("src/main.rs", "// edited\n");
    project
        .run(["build"])
        .succeeds()
        .stderr_lacks("RUN echo made");
    project.write("docker/conf", "two");
    project
        .run(["plan"])
        .succeeds()
        .stdout_has("dockerfile context")
        .stdout_has("build its environment");
    assert_eq!(
        shell(&project.run(["build"]).succeeds(), "cat /context/conf"),
        "two"
    );
    // What is left out is no input.
    project.write("docker/ignored/secret", "y");
    project
        .run(["build"])
        .succeeds()
        .stderr_has("Unchanged default");
}

#[test]
fn other_steps_follow_a_dockerfile() {
    let setup = Setup::new();
    let project = with_dockerfile(
        &setup,
        "commands = [\"cat /made >/again; id -u >>/again\"]\ncopy = [{ from = \"file\", to = \"/file\" }]",
    );
    let built = project.file("file", "copied").run(["build"]).succeeds();
    assert_eq!(
        shell(&built, "cat /again /file; id -u"),
        "made\n0\ncopied1000"
    );
}

#[test]
fn context_outside_of_the_workspace_is_refused() {
    let setup = Setup::new();
    let project = with_dockerfile(&setup, "builder-options = { context = \"..\" }");
    project
        .run(["build"])
        .fails_with("U0113")
        .stderr_has("is outside of the workspace")
        .stderr_has("builder-options.context")
        .compiles_nothing();
}

#[test]
fn dockerfile_stage_can_be_selected() {
    let setup = Setup::new();
    let project = with_dockerfile(&setup, "builder-options = { target = \"first\" }");
    project.write(
        "docker/Dockerfile",
        format!(
            "FROM {0} AS first\nRUN echo first >/stage\nFROM {0}\nRUN echo last >/stage\n",
            setup.debian()
        ),
    );
    assert_eq!(
        shell(&project.run(["build"]).succeeds(), "cat /stage"),
        "first"
    );
}
