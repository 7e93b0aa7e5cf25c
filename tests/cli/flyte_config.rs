//! The user's Flyte config: which settings a build uses, and how its problems are shown.

use union_tests::Project;

const SCRATCH: &str = "[package.metadata.union.images.default]\nbase-image = \"scratch\"\n";

fn project(config: &str) -> Project {
    let project = Project::package("hello").union(SCRATCH).locked();
    std::fs::create_dir(project.home().join(".flyte")).expect("the home is new");
    std::fs::write(project.home().join(".flyte/config.yaml"), config).expect("the home is ours");
    project
}

#[test]
fn each_value_and_its_origin_are_shown() {
    let project = project(
        "admin:\n  endpoint: dns:///acme.example.test\nimage:\n  registry: registry.example.test/acme\n",
    );
    let project = project.env("FLYTE_TASK_PROJECT", "flytesnacks");
    let shown = project.run(["config", "--org", "mine"]).succeeds();
    for (setting, origin) in [
        (
            "registry = \"registry.example.test/acme\"",
            "config.yaml:4:13",
        ),
        ("project = \"flytesnacks\"", "FLYTE_TASK_PROJECT"),
        (
            "# endpoint = \"https://acme.example.test\"",
            "config.yaml:2:13",
        ),
        ("# org = \"mine\"", "--org"),
        ("# auth-type = \"Pkce\"", "default"),
    ] {
        let line = shown
            .stdout()
            .lines()
            .find(|line| line.starts_with(setting));
        assert!(
            line.is_some_and(|line| line.ends_with(origin)),
            "{setting} {origin}: {}",
            shown.stdout()
        );
    }
    let json = project
        .run(["config", "--format", "json"])
        .succeeds()
        .json();
    assert!(
        json["backend"]["file"]
            .as_str()
            .is_some_and(|file| file.ends_with(".flyte/config.yaml")),
        "{json}"
    );
    assert_eq!(json["backend"]["settings"][1]["key"], "org");
}

#[test]
fn registry_of_the_config_is_the_fallback() {
    let project = project("image: {registry: registry.invalid/config}");
    project
        .run(["plan"])
        .stderr_has("registry.invalid/config/hello");
    project.run(["build", "--no-push"]).succeeds();
    project
        .run(["plan", "--registry", "registry.invalid/flag"])
        .stderr_has("registry.invalid/flag/hello");
}

#[test]
fn remote_builder_of_the_config_is_the_fallback() {
    let builder = |config: &str, more: &str| {
        let base = "[package.metadata.union.images.default]\nbase-image = \"debian:trixie-slim\"\n";
        let project = Project::package("hello").union(base).union(more).locked();
        let project = project.file("flyte.yaml", config);
        let words = ["config", "--config", "flyte.yaml", "--format", "json"];
        let config = project.run(words).succeeds().json();
        let settings = config["packages"][0]["settings"].as_array().unwrap();
        let found = settings
            .iter()
            .find(|setting| setting["key"] == "images.default.builder");
        found.unwrap()["value"].as_str().unwrap().to_owned()
    };
    assert_eq!(builder("image: {builder: remote}", ""), "\"remote\"");
    assert_eq!(
        builder("image: {builder: remote}", "builder = \"docker\"\n"),
        "\"docker\""
    );
    for local in ["local", "local-podman"] {
        let config = format!("image: {{builder: {local}}}");
        assert_eq!(builder(&config, ""), "\"auto\"", "{local}");
    }
    let unknown = project("image: {builder: depot}").run(["check"]).exits(2);
    unknown
        .fails_with("U0751")
        .stderr_has("`local`, `local-podman` and `remote`");
}

#[test]
fn invalid_yaml_config_is_an_error_with_its_line() {
    let outcome = project("admin:\n  endpoint: [a\ntask: {}\n").run(["check"]);
    outcome
        .exits(2)
        .fails_with("U0750")
        .stderr_has("config.yaml:3:")
        .stderr_has("task: {}");
}

#[test]
fn invalid_config_value_is_shown_with_its_location() {
    let outcome = project("admin:\n  insecureSkipVerify: maybe\n").run(["check"]);
    outcome
        .exits(2)
        .fails_with("U0751")
        .stderr_has("config.yaml:2:23")
        .stderr_has("`true` and `false`");
    let outcome = project("")
        .env("FLYTE_ADMIN_ENDPOINT", "https://acme.example.test/console")
        .run(["check"]);
    outcome
        .exits(2)
        .fails_with("U0752")
        .stderr_has("FLYTE_ADMIN_ENDPOINT")
        .stderr_has("the address of a page");
}

#[test]
fn invalid_api_key_is_not_shown() {
    let outcome = project("").env("FLYTE_API_KEY", "hunter2").run(["check"]);
    outcome.exits(2).fails_with("U0753").stderr_lacks("hunter2");
}

#[test]
fn config_flag_selects_another_file() {
    let project = project("task: {project: home}").file("other.yaml", "task: {project: other}");
    project
        .run(["config", "--config", "other.yaml"])
        .succeeds()
        .stdout_has("project = \"other\"");
    project
        .run(["config", "--config", "absent.yaml"])
        .exits(1)
        .fails_with("U0004")
        .stderr_has("absent.yaml");
}
