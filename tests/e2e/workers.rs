//! `run` of tasks of kind `rust` in real engines, which connect to the local backend.

use union_tests::Project;
use union_tests::engine::{Engine, Podman};

const DESCRIPTION: &str = r#"{"flyte_interface_version":1,"task":"my_task","inputs":[{"name":"o0","type":"string","required":true}],"outputs":[{"name":"o0","type":"string"}]}"#;

/// A worker without the crate, on scratch, as user 65532: it greets the backend as gRPC does, and gives
/// back what it was given, for inputs and outputs are one message.
const ECHO: &str = r#"
use std::io::{Read as _, Write as _};
use std::{env, fs, net::TcpStream, process};

fn main() {
    let words: Vec<String> = env::args().skip(1).collect();
    if words[0] == "describe-interface" {
        return println!("{}", DESCRIPTION);
    }
    let given = fs::read(&words[2]).unwrap();
    if String::from_utf8_lossy(&given).contains("vanish") {
        process::exit(1);
    }
    let mut line = TcpStream::connect(env::var("_U_EP_OVERRIDE").unwrap().trim_start_matches("http://")).unwrap();
    line.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").unwrap();
    let mut frame = [0; 9];
    line.read_exact(&mut frame).unwrap();
    assert_eq!(frame[3], 4, "no settings: {frame:?}");
    let token = fs::read_to_string("/etc/flyte/secrets/token").unwrap();
    println!("in {} as {} with {token} and {}", env::var("_U_RUN_BASE").unwrap(), env::var("OWN").unwrap(), env::var("API_KEY").unwrap());
    fs::create_dir(&words[4]).unwrap();
    fs::write(format!("{}/outputs.pb", words[4]), given).unwrap();
}
"#;

fn echo(task: &str, engine: &str) -> Project {
    let manifest = format!(
        "[dependencies]\nflyte = {{ path = \"flyte\" }}\n[package.metadata.union.images.default]\nbase-image = \"scratch\"\n\
         [package.metadata.union.tasks.{task}]\nenv = {{ OWN = \"mine\" }}\nsecrets = [\"api-key\", {{ key = \"token\", file = true }}]\n"
    );
    let project = Project::package("echo").union(&manifest).file(
        "src/main.rs",
        ECHO.replace("DESCRIPTION", &format!("{DESCRIPTION:?}")),
    );
    let project = project.file(
        "flyte/Cargo.toml",
        "[package]\nname = \"flyte\"\nversion = \"0.1.0\"\nedition = \"2024\"\n",
    );
    project
        .file("flyte/src/lib.rs", "")
        .locked()
        .env("DOCKER_HOST", engine)
        .env("API_KEY", "one")
        .env("TOKEN", "two")
}

/// Outputs are printed, no files are left, and a second run builds nothing.
fn works(project: &Project, task: &str) {
    let outcome = project
        .run(["run", task, "--", "--o0", "demo"])
        .succeeds()
        .compiles(["echo", "flyte"])
        .stdout_is("o0 = \"demo\"\n");
    outcome
        .stderr_has(&format!("Running {task} in docker:echo:"))
        .stderr_has("in /union/run as mine with two and one");
    let reported = project
        .run(["run", task, "--format", "json", "--", "--o0", "again"])
        .succeeds()
        .compiles_nothing()
        .json();
    assert_eq!(
        (&reported["outputs"]["o0"], &reported["traces"]),
        (&"again".into(), &serde_json::json!([]))
    );
    assert!(
        reported["image"]
            .as_str()
            .unwrap()
            .starts_with("docker:echo:"),
        "{reported}"
    );
}

#[test]
fn worker_runs_in_docker_with_the_local_backend() {
    works(
        &echo("echo-docker", &Engine::shared().address()),
        "echo-docker",
    );
    let left = Engine::shared().docker(&[
        "ps",
        "--all",
        "--format",
        "{{.Names}}",
        "--filter",
        "name=union-echo-docker-",
    ]);
    assert_eq!(left, "");
}

#[test]
fn worker_runs_in_podman_with_the_local_backend() {
    let podman = Podman::start();
    works(&echo("echo-podman", &podman.address()), "echo-podman");
    assert_eq!(podman.podman(&["ps", "--all", "--quiet"]), "");
}

#[test]
fn worker_that_fails_before_connecting_has_advice() {
    let project = echo("vanish", &Engine::shared().address());
    let outcome = project
        .run(["run", "vanish", "--", "--o0", "vanish"])
        .exits(1)
        .fails_with("U0804")
        .stdout_is("");
    outcome
        .stderr_has("its program ended with exit code 1")
        .stderr_has("It sent no request to 127.0.0.1:")
        .stderr_has("or `--host`");
}

#[test]
fn wrong_inputs_are_listed_with_the_types_of_the_image() {
    let project = echo("wrong", &Engine::shared().address());
    let outcome = project
        .run(["run", "wrong", "--", "--o1", "1"])
        .exits(2)
        .fails_with("U0801");
    outcome
        .stderr_has("`--o1` is not an input; did you mean `--o0`?")
        .stderr_has("It takes `o0: string`.");
}
