//! The program of a task: its binary and its command.

use super::*;

#[test]
fn command_line_refers_to_its_binary_and_inputs() {
    let app = read(
        "inputs = { x = \"integer\" }\ncommand = [\"app\", \"--x={{.inputs.x}}\", \"{{ jinja }}\"]",
    );
    assert_eq!(
        app.command_line("/union/bin/app"),
        ["/union/bin/app", "--x={{.inputs.x}}", "{{ jinja }}"]
    );
    assert_eq!(
        app.inputs_of_command().into_iter().collect::<Vec<_>>(),
        ["x"]
    );
    assert_eq!(app.bin.unwrap().value, "app");
}

#[test]
fn command_line_of_another_program_needs_no_binary() {
    let app = read("command = [\"/bin/sh\", \"-c\", \"true\"]");
    assert_eq!(
        (app.bin.clone(), app.environment.as_str()),
        (None, "app_env")
    );
    assert_eq!(
        app.command_line("/union/bin/app"),
        ["/bin/sh", "-c", "true"]
    );
    let both = read("bin = \"app\"\ncommand = [\"/usr/bin/time\", \"/union/bin/app\"]");
    assert_eq!(both.bin.as_ref().unwrap().value, "app");
    assert_eq!(both.command_line("/union/bin/app")[1], "/union/bin/app");
}

#[test]
fn package_without_a_binary_may_run_a_command() {
    let spec = task("command = [\"/bin/true\"]").bins(&[]).spec();
    assert_eq!(spec.tasks["app"].bin, None);
}

#[test]
fn task_without_a_program_is_an_error() {
    assert_problem(
        &task("").bins(&[]),
        Code::NothingRuns,
        "app/Cargo.toml:1:31",
        "task `app` has no program to run",
        "`command`",
    );
}

#[test]
fn command_on_a_bare_image_must_be_a_binary_of_the_package() {
    let refused = |lines: &str| {
        assert_problem(
            &table(lines),
            Code::UnknownBinary,
            "app/Cargo.toml:2:21",
            "no binary `ap`",
            "did you mean `app`?",
        );
    };
    refused("tasks.app.command = [\"ap\", \"--x\"]");
    refused("tasks.app.command = [\"ap\"]\nimages.default.base-image = \"scratch\"");
    refused("tasks.app.command = [\"ap\"]\nimages.a = {}\nimages.default.extends = \"a\"");
    for lines in [
        "base-image = \"debian:trixie-slim\"",
        "copy = [\"Cargo.toml\"]",
        "entrypoint = [\"/x\"]",
        "apt-packages = [\"ap\"]",
    ] {
        let project = table(&format!(
            "tasks.app.command = [\"ap\"]\nimages.default = {{ {lines} }}"
        ))
        .file("app/Cargo.toml");
        assert_eq!(project.spec().tasks["app"].bin, None, "{lines}");
    }
}
