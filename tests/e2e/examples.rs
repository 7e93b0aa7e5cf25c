//! The examples, copied and run as a user would.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use union_tests::base::{debian_layout_of, push};
use union_tests::engine::Engine;
use union_tests::project::repository;
use union_tests::stub::Stub;
use union_tests::tools::{rust, rust_release, uv};
use union_tests::{Outcome, Project};

use crate::setup::{DEFAULT_BASE, Setup, is_below, line};

/// A project with an example's files, on the `union-build` of this repository.
fn copied(example: &str) -> Project {
    copied_into(Project::empty(), example)
}

fn copied_into(project: Project, example: &str) -> Project {
    let directory = repository().join("examples").join(example);
    let union_build = repository().join("union-build");
    add(
        project,
        &directory,
        &directory,
        union_build.to_str().unwrap(),
    )
}

fn add(project: Project, top: &Path, directory: &Path, union_build: &str) -> Project {
    let entries = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    entries
        .filter(|path| !path.ends_with("target"))
        .fold(project, |project, path| {
            if path.is_dir() {
                return add(project, top, &path, union_build);
            }
            let text = std::fs::read_to_string(&path)
                .unwrap()
                .replace("../../../union-build", union_build);
            project.file(path.strip_prefix(top).unwrap().to_str().unwrap(), text)
        })
}

#[test]
fn two_tasks_have_their_own_image_references() {
    let setup = Setup::new().with_debian(DEFAULT_BASE);
    let project = copied("two-tasks");
    project.append("Cargo.toml", "\n");
    project.edit(
        "Cargo.toml",
        "[workspace.metadata.union]\n",
        &setup.settings("workspace"),
    );
    let built = project.run(["build", "--format", "json"]).succeeds().json();
    let images = built["images"].as_array().unwrap();
    assert_eq!(images.len(), 2, "{built}");
    let engine = Engine::shared();
    for (image, task) in images.iter().zip(["predict", "train"]) {
        assert_eq!(image["binaries"], serde_json::json!([task]));
        let line = engine.docker(&[
            "run",
            "--rm",
            "--network",
            "none",
            image["pinned"].as_str().unwrap(),
        ]);
        let reference = format!("{task}: image {}", image["destination"].as_str().unwrap());
        assert!(
            line.contains(&reference) && line.contains(&format!("{task}: running in it: true")),
            "{line}\n{reference}"
        );
    }
    // One compile after each new tag.
    project.cargo(["build", "--offline"]).succeeds();
    project
        .cargo(["build", "--offline"])
        .succeeds()
        .compiles_nothing();
    project.run(["build"]).succeeds().compiles_nothing();
    project
        .cargo(["build", "--offline"])
        .succeeds()
        .compiles_nothing();
    project
        .cargo(["run", "--offline", "--quiet", "--bin", "train"])
        .succeeds()
        .stdout_has("running in it: false");
}

#[test]
fn hello_runs_from_scratch_without_network() {
    let project = copied("hello").env("DOCKER_HOST", Engine::shared().address());
    let made = project.run(["build", "--output", "docker:"]).succeeds();
    let name = made
        .stdout()
        .trim()
        .trim_start_matches("docker:")
        .to_owned();
    let line = Engine::shared().docker(&["run", "--rm", "--network", "none", &name]);
    assert!(line.to_lowercase().contains("hello"), "{line}");
}

#[test]
fn any_program_runs_in_a_container_and_on_the_host() {
    let project = copied("any-program").env("DOCKER_HOST", Engine::shared().address());
    project.write("text", "One two, two; three!\nThree three four.");
    let words = [
        "run",
        "count-words",
        "--",
        "--text",
        "text",
        "--at-least",
        "4",
    ];
    let counts = project.path("target/union/run/count-words/counts");
    let expected = format!(
        "counts = \"{}\"\nlongest = \"three\"\nwords = 4\n",
        counts.display()
    );
    for place in [&[][..], &["--host"]] {
        let outcome = project
            .run([&words[..2], place, &words[2..]].concat())
            .succeeds()
            .stderr_has("2 different words");
        assert_eq!(outcome.stdout(), expected);
        assert_eq!(
            std::fs::read_to_string(&counts).unwrap(),
            "1 four\n3 three\n"
        );
    }
    project
        .run([
            "run",
            "count-words",
            "--",
            "--text",
            "text",
            "--at-least",
            "9",
        ])
        .fails_with("U0804")
        .stderr_has("no such word");
}

/// The Debian release of most examples that need an engine.
const RELEASE: &str = "trixie";

fn upon_debian(setup: &Setup, example: &str) -> Project {
    upon(RELEASE, setup, copied(example))
}

/// An example that needs an engine which reaches the network, with what it asks Docker Hub and GitHub for
/// behind mirrors.
fn upon(release: &str, setup: &Setup, project: Project) -> Project {
    push(
        &debian_layout_of(release, &[]),
        &setup.reference(&format!("library/debian:{release}-slim")),
    );
    let host = setup.registry.host();
    let mirrors = format!("mirrors = {{ \"docker.io\" = \"{host}\", \"ghcr.io\" = \"{host}\" }}");
    let project = project.union(&format!(
        "\n[package.metadata.union]\nregistry = \"{host}/team\"\n{mirrors}\n"
    ));
    // Its crates may have to be fetched.
    let project = project
        .env("DOCKER_HOST", Engine::with_network().address())
        .env("CARGO_NET_OFFLINE", "false");
    // With a TLS proxy before the index, its certificate authority is needed in the container as well.
    let trusted = std::env::var("SSL_CERT_FILE");
    let project = trusted
        .into_iter()
        .fold(project, |project, file| project.env("SSL_CERT_FILE", file));
    project.limit(Duration::from_secs(1200))
}

/// The same, with a Rust image of that release.
fn compiled_upon_debian(setup: &Setup, example: &str) -> Project {
    push(
        &rust(RELEASE),
        &setup.reference(&format!("library/rust:{}-{RELEASE}", rust_release())),
    );
    upon_debian(setup, example)
}

/// What the one image of a build prints.
#[track_caller]
fn printed(built: &Outcome) -> String {
    Engine::with_network().docker(&["run", "--rm", "--network", "none", &line(built)])
}

#[test]
fn libpq_is_linked_in_a_container_and_loaded_in_the_image() {
    let setup = Setup::new();
    let project = compiled_upon_debian(&setup, "libpq");
    let built = project.run(["build"]).succeeds().compiles_nothing();
    let line = printed(&built);
    assert!(line.starts_with("libpq 17."), "{line}");
    project.run(["run", "libpq"]).succeeds().stderr_has(&line);

    // The alternative of its README: linked with the library of the host, loaded from the image.
    project.edit(
        "Cargo.toml",
        "compile = \"container\"",
        "compile = \"host\"",
    );
    project.edit("Cargo.toml", "apt-packages = [\"libpq-dev\"]\n", "");
    let built = project.run(["build"]).succeeds().stderr_lacks("apt-get");
    assert!(
        built.compiled().contains(&"libpq".to_owned()),
        "{:?}",
        built.compiled()
    );
    assert_eq!(printed(&built), line);
}

#[test]
fn embedded_python_finds_the_package_of_the_image() {
    let setup = Setup::new();
    push(&uv(), &setup.reference("astral-sh/uv:latest"));
    let built = compiled_upon_debian(&setup, "embedded-python")
        .run(["build"])
        .succeeds()
        .compiles_nothing();
    let line = printed(&built);
    assert!(
        line.starts_with("Python 3.13.") && line.ends_with("\nnumpy 2.4.6: the determinant is 5.0"),
        "{line}"
    );
}

/// Compiling the crate takes minutes, so this is done once, for everything that can be done with its worker.
#[test]
fn flyte_worker_is_registered_and_runs_locally() {
    let (setup, backend) = (Setup::new(), Stub::start());
    // Without optimization its three hundred crates compile in half the time.
    let project = copied_into(Project::kept("flyte-task"), "flyte-task")
        .union("\n[workspace]\n[profile.release]\nopt-level = 0\n");
    let project = upon("bookworm", &setup, project).limit(Duration::from_secs(3600));
    let project = project
        .env("FLYTE_ADMIN_ENDPOINT", backend.endpoint())
        .env("FLYTE_TASK_ORG", "acme");
    let register = [
        "register",
        "--project",
        "flytesnacks",
        "--domain",
        "development",
        "--format",
        "json",
    ];
    let task = |outcome: &Outcome| outcome.json()["tasks"][0].clone();

    let first = task(&project.run(register).succeeds());
    let (version, image) = (
        first["version"].as_str().unwrap(),
        first["image"].as_str().unwrap(),
    );
    assert_eq!(
        (&first["name"], &first["state"]),
        (&"describe".into(), &"new".into())
    );
    assert!(image.contains("/team/flyte-task@sha256:"), "{first}");
    let shown = backend.official_in_project(["get", "task"], &["describe", version]);
    for expected in [
        "rust-task",
        "label",
        "INTEGER",
        "STRUCT",
        "o0",
        "/union/bin/flyte-task",
        image,
    ] {
        assert!(shown.contains(expected), "no `{expected}` in {shown}");
    }
    let pushes = setup.registry.writes();
    let again = task(&project.run(register).succeeds().compiles_nothing());
    assert_eq!(
        (&again["state"], &again["version"]),
        (&"unchanged".into(), &first["version"])
    );
    assert_eq!((backend.writes(), setup.registry.writes()), (1, pushes));

    let output = serde_json::json!({ "count": 2, "label": "demo", "mean": 21 });
    for place in [&[][..], &["--host"]] {
        let run = |words: &[&str]| {
            project
                .run([&["run", "flyte-task", "--format", "json"], place, words].concat())
                .compiles_nothing()
        };
        let reported = run(&["--", "--x", "21", "--label", "demo"])
            .succeeds()
            .stderr_has("Traced double in ")
            .json();
        assert_eq!(reported["outputs"]["o0"], output, "{reported}");
        let steps: Vec<&str> = reported["traces"]
            .as_array()
            .unwrap()
            .iter()
            .map(|step| step["name"].as_str().unwrap())
            .collect();
        assert_eq!(steps, ["double", "stats"]);
        run(&["--", "--x=-1", "--label", "demo"])
            .exits(1)
            .fails_with("U0804")
            .stderr_has("Negative: -1 is below zero");
        run(&["--", "--x", "many"])
            .exits(2)
            .fails_with("U0801")
            .stderr_has("It takes `label: string`, `x: integer`.");
    }
    let printed = project
        .run(["run", "flyte-task", "--", "--x", "21", "--label", "demo"])
        .succeeds();
    assert_eq!(printed.stdout(), format!("o0 = {output}\n"));
    assert_eq!(backend.writes(), 1);
}

/// The server of an example, until this is dropped.
struct Server {
    child: Child,
    port: String,
}

impl Server {
    fn start(project: &Project, token: &str) -> Self {
        let mut python = Command::new("python3");
        python
            .arg(project.path("server.py"))
            .arg("0")
            .env("MODELS_TOKEN", token)
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut child = python.spawn().expect("`python3` is installed");
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let port = line.trim().rsplit(' ').next().unwrap().to_owned();
        Self { child, port }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn private_download_leaves_no_token() {
    const TOKEN: &str = "models-open-to-whoever-says-this";
    let setup = Setup::new();
    let project = upon_debian(&setup, "secrets");
    let server = Server::start(&project, TOKEN);
    project.edit(
        "Cargo.toml",
        "127.0.0.1:8765",
        &format!("127.0.0.1:{}", server.port),
    );
    project
        .run(["build"])
        .fails_with("U0502")
        .stderr_has("MODELS_TOKEN is not set")
        .compiles_nothing();
    let project = project.env("MODELS_TOKEN", "another");
    project
        .run(["build"])
        .fails_with("U0501")
        .stderr_has("error: 401");
    assert_eq!(setup.tags("team/secrets"), [""; 0]);

    let project = project.env("MODELS_TOKEN", TOKEN);
    let built = project
        .run(["-vv", "build"])
        .succeeds()
        .stderr_lacks(TOKEN)
        .stdout_lacks(TOKEN);
    assert_eq!(
        printed(&built),
        "the private model says: a threshold of 0.87"
    );

    // The image as it is in the registry, with its layers unpacked, and all that the build has written.
    let reference = line(&built);
    project
        .shell(&format!("skopeo copy --quiet --src-tls-verify=false --dest-decompress docker://{reference} dir:target/image"))
        .succeeds();
    assert!(
        is_below(&project.path("target/image"), "a threshold of 0.87"),
        "its layers are not unpacked"
    );
    assert!(
        project
            .read("target/union/logs/secrets/default.log")
            .contains("curl --fail")
    );
    for directory in [
        project.path("target"),
        project.cache(),
        project.temp(),
        setup.registry.data(),
    ] {
        assert!(!is_below(&directory, TOKEN), "{}", directory.display());
    }
    let history = Engine::with_network().docker(&["history", "--no-trunc", &reference]);
    assert!(
        history.contains("curl --fail") && !history.contains(TOKEN),
        "{history}"
    );

    drop(server);
    project
        .env("MODELS_TOKEN", "renewed")
        .run(["build"])
        .succeeds()
        .stderr_has("Unchanged default");
}
