//! `create config`: the file is that of the Flyte CLI, and both tools read it.

use union_tests::Project;
use union_tests::stub::official_python;

#[test]
fn config_is_written_once_and_read_by_both_tools() {
    let project = Project::empty();
    let words = [
        "create",
        "config",
        "--endpoint",
        "acme.example.test",
        "--project",
        "flytesnacks",
        "--domain",
        "development",
        "--image-builder",
        "remote",
    ];
    let written = project.run(words).succeeds();
    written
        .stderr_has("Wrote")
        .stderr_has(".flyte/config.yaml")
        .stdout_is("");
    let text = project.read(".flyte/config.yaml");
    let config = project.run(["config", "--format", "json"]);
    assert!(
        text.contains("endpoint: dns:///acme.example.test"),
        "{text}"
    );
    drop(config);
    let read = "import sys; from flyte.config import Config; c = Config.auto(sys.argv[1]); print(c.platform.endpoint, c.task.org, c.task.project, c.task.domain, c.image.builder)";
    let path = project.path(".flyte/config.yaml");
    assert_eq!(
        official_python(read, &[path.to_str().unwrap()]).trim(),
        "dns:///acme.example.test acme flytesnacks development remote"
    );
    let refused = project.run(words).exits(1).fails_with("U0005");
    refused.stderr_has("the file exists").stderr_has("--force");
    assert_eq!(project.read(".flyte/config.yaml"), text);
    let other = [
        "create",
        "config",
        "--endpoint",
        "http://localhost:30080",
        "--force",
        "--format",
        "json",
    ];
    let document = project.run(other).succeeds().json();
    assert_eq!(
        document["file"],
        path.canonicalize().unwrap().to_str().unwrap()
    );
    assert_eq!(
        project.read(".flyte/config.yaml"),
        "admin:\n  endpoint: dns:///localhost:30080\n  insecure: true\n"
    );
    project
        .run([
            "create",
            "config",
            "--endpoint",
            "ftp://x",
            "-o",
            "other.yaml",
        ])
        .exits(1)
        .fails_with("U0752");
    assert!(!project.path("other.yaml").exists());
}
