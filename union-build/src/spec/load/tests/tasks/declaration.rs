//! Names, interface and data of a task; keys of the two kinds.

use super::*;
use crate::spec::task::{DataFormat, FileLayout};

#[test]
fn empty_task_has_all_defaults() {
    let app = read("");
    assert_eq!(
        (app.environment.as_str(), &app.name, &app.cache),
        ("app_env", &None, &None)
    );
    assert_eq!(app.command_line("/union/bin/app"), ["/union/bin/app"]);
    assert_eq!(
        (app.data.input_path.as_str(), app.data.output_path.as_str()),
        ("/var/inputs", "/var/outputs")
    );
    assert_eq!(
        (app.data.format, app.data.layout),
        (DataFormat::Json, FileLayout::Direct)
    );
    assert!(
        !app.interruptible.value
            && app.secrets.is_empty()
            && app.triggers.is_empty()
            && app.resources == Default::default()
    );
}

#[test]
fn task_names_descriptions_and_links_are_read() {
    let app = read(
        "name = \"team.app\"\nenvironment = \"team\"\ndescription = \"Does it\"\nlong-description = \"Does it well\"\n\
         source-code = \"https://example.com/app\"\nlinks = { Metrics = \"https://example.com/{{.runName}}\" }",
    );
    assert_eq!(
        (app.name.unwrap().value.as_str(), app.environment.as_str()),
        ("team.app", "team")
    );
    assert_eq!(
        (
            app.description.unwrap().value.as_str(),
            app.long_description.unwrap().value.as_str()
        ),
        ("Does it", "Does it well")
    );
    assert_eq!(
        app.links["Metrics"].value,
        "https://example.com/{{.runName}}"
    );
    assert_eq!(app.source_code.unwrap().value, "https://example.com/app");
}

#[test]
fn default_environment_is_truncated_to_63_characters() {
    let name = "a".repeat(70);
    let project = Project::new(&format!("[package.metadata.union.tasks.{name}]\n")).bins(&[&name]);
    assert_eq!(project.spec().tasks[&name].environment.value.len(), 63);
}

#[test]
fn inputs_and_outputs_have_types() {
    let app = read(
        "inputs = { x = \"integer\", xs = \"list[integer]\", by = \"map[float]\", when = \"optional[datetime]\", mode = [\"fast\", \"slow\"] }\n\
         outputs.model = \"directory\"",
    );
    let types: Vec<String> = app
        .inputs
        .iter()
        .map(|(name, ty)| format!("{name}: {}", ty.value))
        .collect();
    assert_eq!(
        types,
        [
            "by: map[float]",
            "mode: [\"fast\", \"slow\"]",
            "when: optional[datetime]",
            "x: integer",
            "xs: list[integer]"
        ]
    );
    assert_eq!(app.outputs["model"].to_string(), "directory");
}

#[test]
fn data_paths_format_and_layout_are_read() {
    let data = read("input-path = \"/in\"\noutput-path = \"/out\"\ndata-format = \"proto\"\nfile-layout = \"named-dir\"").data;
    assert_eq!(
        (data.input_path.as_str(), data.output_path.as_str()),
        ("/in", "/out")
    );
    assert_eq!(
        (data.format, data.layout),
        (DataFormat::Proto, FileLayout::NamedDir)
    );
}

#[test]
fn rust_task_has_unknown_inputs() {
    let project =
        task("cache = { ignored-inputs = [\"label\"] }\ntriggers.daily = { every = \"1d\", inputs = { anything = [1, { a = true }] } }")
            .flyte();
    let app = project.spec().tasks["app"].clone();
    assert_eq!(app.triggers["daily"].inputs.len(), 1);
}

#[test]
fn key_of_the_other_kind_is_an_error() {
    for line in [
        "inputs.x = \"integer\"",
        "outputs = {}",
        "command = [\"app\"]",
        "input-path = \"/in\"",
        "data-format = \"json\"",
    ] {
        let key = line.split(['.', ' ']).next().unwrap();
        let message = format!("`{key}` is not for tasks of the kind `rust`");
        assert_problem(
            &task(line).flyte(),
            Code::KeyOfOtherKind,
            "app/Cargo.toml:2:1",
            &message,
            "remove it",
        );
    }
}

#[test]
fn two_tasks_with_the_same_backend_name_are_refused() {
    let project = table("tasks.a.bin = \"app\"\ntasks.b = { bin = \"app\", name = \"a\" }");
    assert_problem(
        &project,
        Code::DuplicateTask,
        "app/Cargo.toml:3:33",
        "the name `a` at the backend",
        "another name",
    );
}

#[test]
fn workspace_gives_defaults_of_tasks() {
    let project = task("resources.memory = \"1Gi\"")
        .workspace("[workspace.metadata.union.tasks.app]\nretries = 2\nresources.cpu = 2\n");
    let app = project.spec().tasks["app"].clone();
    assert_eq!(
        (
            app.retries.count,
            app.resources.cpu.is_some(),
            app.resources.memory.is_some()
        ),
        (2, true, true)
    );
}
