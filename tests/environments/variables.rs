//! Variables and the working directory of the base and of extended images apply to values, copies and commands.

use union_tests::engine::{Engine, Podman};

use crate::setup::{Setup, shell};

/// A base image that sets variables and a working directory.
fn base(setup: &Setup) -> String {
    let lines = "name = \"set-up\"\nworkdir = \"/srv/app\"\nenv = { PATH = \"/usr/bin:/bin\", FROM_BASE = \"base\" }\n";
    let built = setup.project(lines).run(["build"]).succeeds();
    let (repository, _) = built.stdout().trim().split_once('@').unwrap();
    let tag = setup
        .tags("team/set-up")
        .into_iter()
        .find(|tag| !tag.starts_with("env-"))
        .unwrap();
    format!("{repository}:{tag}")
}

const TOOL: &str = "#!/bin/sh\necho \"a tool\"\n";

fn with_tool(project: union_tests::Project) -> union_tests::Project {
    use std::os::unix::fs::PermissionsExt as _;
    let project = project
        .file("tool/say", TOOL)
        .file("conf/app.toml", "a file");
    std::fs::set_permissions(
        project.path("tool/say"),
        std::fs::Permissions::from_mode(0o755),
    )
    .unwrap();
    project
}

#[test]
fn commands_have_env_copies_and_workdir_with_either_engine() {
    let setup = Setup::new();
    let podman = Podman::start();
    let base = base(&setup);
    for address in [Engine::with_network().address(), podman.address()] {
        let kind = if address.contains("podman") {
            "podman"
        } else {
            "docker"
        };
        let tables = format!(
            "[package.metadata.union.images.default]\nname = \"{kind}\"\nbase-image = {base:?}\n\
             copy = [\"conf/app.toml\", {{ from = \"tool\", to = \"/opt/tool/bin\" }}]\n\
             env = {{ PATH = \"/opt/tool/bin:$PATH\", GREETING = \"it's ${{FROM_BASE}} for 5$$\" }}\n\
             commands = [\"say >seen; echo \\\"$GREETING $(pwd) $(cat conf/app.toml)\\\" >>seen # {kind}\"]\n"
        );
        let project = with_tool(setup.project_of(&tables)).env("DOCKER_HOST", address);
        let built = project.run(["build"]).succeeds();
        let expected = "a tool\nit's base for 5$ /srv/app a file\n/srv/app\n/opt/tool/bin:/usr/bin:/bin it's base for 5$";
        assert_eq!(
            shell(&built, "cat seen; pwd; echo \"$PATH $GREETING\""),
            expected,
            "{kind}"
        );
    }
}

#[test]
fn extended_image_variables_reach_commands() {
    let setup = Setup::new();
    let tables = format!(
        "[package.metadata.union.images.below]\nbase-image = {:?}\napt-packages = [\"tree\"]\nworkdir = \"/data/work\"\n\
         env = {{ A = \"one\" }}\ncopy = [\"conf/app.toml\"]\n\
         [package.metadata.union.images.default]\nextends = \"below\"\nenv = {{ B = \"$A and two\" }}\n\
         copy = [{{ from = \"conf/app.toml\", to = \"again/\" }}]\ncommands = [\"echo \\\"$B $(pwd) $(cat conf/app.toml again/app.toml)\\\" >/seen\"]\n\
         [package.metadata.union.tasks.hello]\nimage = \"default\"\n",
        setup.debian()
    );
    let project = with_tool(setup.project_of(&tables));
    let built = project.run(["build", "--task", "hello"]).succeeds();
    assert_eq!(
        shell(&built, "cat /seen; echo $A, $B"),
        "one and two /data/work a filea file\none, one and two"
    );
    // The variables of commands are part of their environment, and the same without commands are not.
    project.edit("Cargo.toml", "$A and two", "$A and 2");
    project
        .run(["plan", "--task", "hello"])
        .succeeds()
        .stdout_has("build its environment")
        .stdout_has("env B: ");
    project
        .run(["build", "--task", "hello"])
        .succeeds()
        .stderr_has("Published environment of default");
}

#[test]
fn variables_without_commands_are_in_the_config_only() {
    let setup = Setup::new();
    let project =
        setup.project("apt-packages = [\"tree\"]\nenv = { A = \"one\" }\nworkdir = \"/one\"");
    project.run(["build"]).succeeds();
    project.edit("Cargo.toml", "A = \"one\"", "A = \"two\"");
    project.edit("Cargo.toml", "/one", "/two");
    project
        .run(["plan"])
        .succeeds()
        .stdout_has("append code to its environment")
        .stdout_has("workdir: /one → /two");
    let built = project.run(["build"]).succeeds().stderr_lacks("RUN");
    assert_eq!(shell(&built, "echo $A; pwd"), "two\n/two");
}

#[test]
fn dockerfile_sets_workdir_and_variables_of_later_steps() {
    let setup = Setup::new();
    let project = setup
        .project_of(
            "[package.metadata.union.images.default]\ndockerfile = \"docker/Dockerfile\"\ncopy = [\"conf/app.toml\"]\n\
             env = { PATH = \"/opt/bin:$PATH\", B = \"$A\" }\ncommands = [\"echo $B $(cat conf/app.toml) >/seen\"]\n",
        )
        .file("docker/Dockerfile", format!("FROM {}\nENV A=of-the-dockerfile PATH=/usr/bin:/bin\nWORKDIR /made\n", setup.debian()));
    let built = with_tool(project).run(["build"]).succeeds();
    let expected =
        "of-the-dockerfile a file\na file\n/opt/bin:/usr/bin:/bin of-the-dockerfile /made";
    assert_eq!(
        shell(
            &built,
            "cat /seen; cat /made/conf/app.toml; echo; echo $PATH $B $(pwd)"
        ),
        expected
    );
}

#[test]
fn unset_base_variable_is_refused_at_its_location() {
    let setup = Setup::new();
    let project = setup.project("env = { A = \"1\", B = \"$A\" }\ncommands = [\"true\"]");
    let refused = project
        .run(["build"])
        .exits(2)
        .fails_with("U0104")
        .compiles_nothing();
    refused
        .stderr_has("the base of image `default` does not set the variable `A`")
        .stderr_has("Cargo.toml:10:")
        .stderr_has("`$$` for a dollar");
    assert_eq!(setup.tags("team/hello"), [""; 0]);
}
