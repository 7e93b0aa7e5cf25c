//! `secret`: values from stdin, files and a terminal, which are never shown.

use union_tests::stub::{Stub, python};
use union_tests::terminal::TYPE_HIDDEN_LINE;
use union_tests::{Outcome, Project};

use crate::setup::Setup;

const VALUE: &str = "hunter2-and-more";

/// A user of a backend with a project in its variables, without a package.
fn user(backend: &Stub) -> Project {
    Project::empty()
        .env("FLYTE_ADMIN_ENDPOINT", backend.endpoint())
        .env("FLYTE_TASK_ORG", "acme")
        .env("FLYTE_TASK_PROJECT", "flytesnacks")
        .env("FLYTE_TASK_DOMAIN", "development")
}

/// `cargo-union secret create …` with the output of a shell command on stdin.
fn create(project: &Project, input: &str, words: &str) -> Outcome {
    let tool = union_tests::project::tool();
    project.shell(&format!(
        "{input} | {} secret create {words}",
        tool.display()
    ))
}

/// Requires that no value was printed.
#[track_caller]
fn discreet(outcome: Outcome) -> Outcome {
    outcome.stdout_lacks("hunter2").stderr_lacks("hunter2")
}

#[test]
fn secret_is_stored_listed_replaced_and_deleted() {
    let backend = Stub::start();
    let project = user(&backend);
    let stored = create(
        &project,
        &format!("echo {VALUE}"),
        "my-key -vv --format json",
    );
    let stored = discreet(stored.succeeds())
        .stderr_has("Stored the secret my-key for flytesnacks/development")
        .stderr_has("trace: rpc method=SecretService/CreateSecret")
        .json();
    assert_eq!(
        (
            &stored["command"],
            &stored["action"],
            &stored["name"],
            &stored["type"]
        ),
        (
            &"secret".into(),
            &"created".into(),
            &"my-key".into(),
            &"regular".into()
        )
    );
    let value = |scope: &str| backend.secret(scope, "my-key");
    assert_eq!(value("flytesnacks-development").unwrap(), VALUE.as_bytes());
    // Read with the official command line.
    let shown = backend.official_in_project(["get", "secret"], &[]);
    assert!(shown.contains("my-key"), "{shown}");

    let refused = create(&project, "echo hunter2-new", "my-key").exits(1);
    discreet(refused.fails_with("U0759")).stderr_has("--replace");
    let replaced = create(&project, "echo hunter2-new", "my-key --replace").succeeds();
    discreet(replaced).stderr_has("Replaced the secret my-key");
    assert_eq!(value("flytesnacks-development").unwrap(), b"hunter2-new");

    create(&project, "echo hunter2-all", "my-key --all-projects").succeeds();
    assert_eq!(value("all").unwrap(), b"hunter2-all");
    let list = discreet(project.run(["secret", "list"]).succeeds());
    list.stdout_has("NAME    TYPE     CREATED\nmy-key  regular  20");
    let all = ["secret", "list", "--all-projects", "--format", "json"];
    let all = project.run(all).succeeds().json();
    assert_eq!(
        (&all["project"], &all["secrets"][0]["name"]),
        (&serde_json::Value::Null, &"my-key".into())
    );

    let deleted = project.run(["secret", "delete", "my-key"]).succeeds();
    deleted.stderr_has("Deleted the secret my-key for flytesnacks/development");
    let missing = project.run(["secret", "delete", "my-key"]).exits(1);
    missing.fails_with("U0761").stderr_has("--all-projects");
    assert!(
        project
            .run(["secret", "list"])
            .succeeds()
            .stdout()
            .is_empty()
    );
    backend.assert_all_valid();
}

#[test]
fn secret_sizes_and_line_ends_are_as_documented() {
    let backend = Stub::start();
    let project = user(&backend).file("lines", format!("{VALUE}\n"));
    let value = |name: &str| backend.secret("flytesnacks-development", name).unwrap();
    create(&project, &format!("printf '{VALUE}\\r\\n'"), "windows").succeeds();
    assert_eq!(value("windows"), VALUE.as_bytes());
    create(&project, &format!("printf '{VALUE}\\n\\n'"), "two").succeeds();
    assert_eq!(value("two"), format!("{VALUE}\n").as_bytes());
    create(&project, "true", "file --from-file lines").succeeds();
    assert_eq!(value("file"), format!("{VALUE}\n").as_bytes());
    create(
        &project,
        &format!("echo {VALUE}"),
        "device --from-file /dev/stdin",
    )
    .succeeds();
    assert_eq!(value("device"), format!("{VALUE}\n").as_bytes());

    for (input, words) in [
        ("true", "empty"),
        ("echo", "empty"),
        ("true", "empty --from-file /dev/null"),
        ("head -c 1048577 /dev/zero", "large"),
        ("true", "large --from-file /dev/zero"),
        ("echo hunter2", "'a b'"),
    ] {
        let refused = create(&project, input, words).exits(1);
        discreet(refused.fails_with("U0730"));
    }
    create(&project, "true", "none --from-file missing")
        .exits(1)
        .fails_with("U0004");
    assert_eq!(backend.count("CreateSecret"), 4, "nothing else was sent");

    let large = create(&project, "head -c 1000000 /dev/zero | tr '\\0' x", "large");
    large
        .succeeds()
        .stderr_has("which no environment variable takes")
        .stderr_has("file = true");
    assert_eq!(value("large").len(), 1_000_000);
    create(&project, "head -c 1048576 /dev/zero", "largest").succeeds();
    create(&project, "printf 'a\\0b'", "zero")
        .succeeds()
        .stderr_has("contains a zero byte");
    backend.assert_all_valid();
}

#[test]
fn secret_value_in_an_argument_is_refused() {
    let backend = Stub::start();
    let refused = user(&backend).run(["secret", "create", "a", "--value", "hunter2"]);
    refused.exits(2).stderr_has("--value");
}

#[test]
fn typed_secret_is_not_echoed() {
    let backend = Stub::start();
    let project = user(&backend).file("terminal.py", TYPE_HIDDEN_LINE);
    let tool = union_tests::project::tool();
    let typed = project.shell(&format!(
        "{} terminal.py hunter2-typed {} secret create typed",
        python("python").display(),
        tool.display()
    ));
    let typed = discreet(typed.succeeds());
    typed.stdout_has("type or paste the value of the secret `typed`");
    assert_eq!(
        backend.secret("flytesnacks-development", "typed").unwrap(),
        b"hunter2-typed"
    );
}

#[test]
fn image_pull_secret_has_the_docker_credentials() {
    let backend = Stub::start();
    let project = user(&backend);
    let auth = "dXNlcjpodW50ZXIy";
    let docker = format!(
        "{{\"auths\": {{\"ghcr.io\": {{\"auth\": \"{auth}\"}}, \"https://index.docker.io/v1/\": {{\"auth\": \"{auth}\"}}}}}}"
    );
    std::fs::create_dir(project.home().join(".docker")).unwrap();
    std::fs::write(project.home().join(".docker/config.json"), docker).unwrap();
    let words = ["secret", "create", "pull", "--image-pull", "--registry"];
    let stored = project.run([&words[..], &["ghcr.io", "-vv", "--format", "json"]].concat());
    let stored = discreet(stored.succeeds())
        .stdout_lacks(auth)
        .stderr_lacks(auth)
        .json();
    assert_eq!(
        (&stored["project"], &stored["type"]),
        (&serde_json::Value::Null, &"image_pull".into())
    );
    let expected = |server: &str| format!("{{\"auths\":{{\"{server}\":{{\"auth\":\"{auth}\"}}}}}}");
    assert_eq!(
        String::from_utf8(backend.secret("all", "pull").unwrap()).unwrap(),
        expected("ghcr.io")
    );
    project
        .run([&words[..], &["docker.io", "--replace"]].concat())
        .succeeds();
    assert_eq!(
        String::from_utf8(backend.secret("all", "pull").unwrap()).unwrap(),
        expected("https://index.docker.io/v1/")
    );
    let none = project.run([&words[..], &["quay.io"]].concat()).exits(1);
    none.fails_with("U0409").stderr_has("docker login quay.io");
    let listed = project.run(["secret", "list", "--all-projects"]).succeeds();
    listed.stdout_has("pull  image_pull");
    backend.assert_all_valid();
}

#[test]
fn secret_list_has_the_project_scope_and_all_pages() {
    let setup = Setup::with(Stub::behaving("small-pages"));
    let project = setup.hello("");
    for name in ["a", "b", "c", "d", "e"] {
        create(&project, "echo hunter2", name).succeeds();
    }
    let listed = project.run(["secret", "list", "--format", "json"]);
    let listed = discreet(listed.succeeds()).json();
    let names: Vec<&str> = listed["secrets"]
        .as_array()
        .unwrap()
        .iter()
        .map(|secret| secret["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["a", "b", "c", "d", "e"]);
}

#[test]
fn lost_secret_response_is_not_retried() {
    let backend = Stub::behaving("cut-secret");
    let lost = create(&user(&backend), "echo hunter2", "a").exits(1);
    discreet(lost.fails_with("U0755"));
    assert_eq!(backend.count("CreateSecret"), 1);
}
