//! `run` in real engines: inputs and outputs as on the backend, and no leftover files.

use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::{Arc, Mutex};

use serde_json::json;
use union_tests::engine::{Engine, Podman};
use union_tests::{Outcome, Project};

/// A program that does what its input `act` says, on scratch, as user 65532.
const ACTOR: &str = r#"
use std::fs;
use std::path::Path;

fn main() {
    let input = |name: &str| fs::read_to_string(format!("/var/inputs/{name}")).unwrap();
    let output = |name: &str, text: &str| fs::write(format!("/var/outputs/{name}"), text).unwrap();
    match input("act").as_str() {
        "tell" => {
            println!("words {:?}", std::env::args().skip(1).collect::<Vec<_>>());
            show(Path::new("/var/inputs"));
        }
        "work" => {
            output("count", "42\n");
            fs::create_dir("/var/outputs/model").unwrap();
            output("model/weights", &input("data"));
            return;
        }
        "fail" => {
            println!("one");
            eprintln!("two");
            std::process::exit(3);
        }
        "wait" => {
            println!("waiting");
            std::thread::sleep(std::time::Duration::from_secs(600));
        }
        "forget" => output("cuont", "1"),
        "ramble" => {
            output("count", &"1".repeat(2000));
            output("model", "no directory");
        }
        "confess" => output("_ERROR", "the data is bad\n"),
        other => panic!("what is {other}?"),
    }
}

fn show(directory: &Path) {
    let mut entries: Vec<_> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        match path.is_dir() {
            true => show(&path),
            false if path.ends_with("inputs.pb") => println!("{} is empty: {}", path.display(), fs::read(&path).unwrap().is_empty()),
            false => println!("{} = {}", path.display(), fs::read_to_string(&path).unwrap()),
        }
    }
}
"#;

/// A package with one task, which has a name of its own in each test: all share one engine.
fn actor(task: &str, engine: &str) -> Project {
    let manifest = format!(
        "[package.metadata.union.images.default]\nbase-image = \"scratch\"\n[package.metadata.union.tasks.{task}]\n\
         inputs = {{ act = \"string\", data = \"optional[file]\" }}\noutputs = {{ count = \"integer\", model = \"directory\" }}\n"
    );
    Project::package("actor")
        .union(&manifest)
        .file("src/main.rs", ACTOR)
        .locked()
        .env("DOCKER_HOST", engine)
}

fn act(project: &Project, task: &str, act: &str) -> Outcome {
    project.run(["run", task, "--", "--act", act])
}

/// The names of all containers that runs of a task have left in the shared engine.
fn containers(task: &str) -> String {
    Engine::shared().docker(&[
        "ps",
        "--all",
        "--format",
        "{{.Names}}",
        "--filter",
        &format!("name=union-{task}-"),
    ])
}

/// Values are printed, files are left on this machine, and a second run builds nothing.
fn works(project: &Project) {
    project.write("data.txt", "1 2 3");
    let words = ["run", "train", "--", "--act", "work", "--data", "data.txt"];
    let model = project.path("target/union/run/train/model");
    let outcome = project
        .run(words)
        .succeeds()
        .compiles(["actor"])
        .stderr_has("Running train in docker:actor:");
    assert_eq!(
        outcome.stdout(),
        format!("count = 42\nmodel = \"{}\"\n", model.display())
    );
    assert_eq!(
        std::fs::read_to_string(model.join("weights")).unwrap(),
        "1 2 3"
    );
    let again = project
        .run(["--format", "json"].iter().chain(&words))
        .succeeds()
        .compiles_nothing()
        .json();
    assert_eq!(again["outputs"], json!({ "count": 42, "model": model }));
    assert_eq!(
        (&again["command"], &again["task"], &again["package"]),
        (&json!("run"), &json!("train"), &json!("actor"))
    );
    assert!(
        again["image"]
            .as_str()
            .unwrap()
            .starts_with("docker:actor:"),
        "{again}"
    );
    assert_eq!(
        project.files_below("target/union/run"),
        ["train/model/weights"]
    );
}

#[test]
fn task_runs_in_docker_and_prints_its_outputs() {
    works(&actor("train", &Engine::shared().address()));
    assert_eq!(containers("train"), "");
}

#[test]
fn task_runs_in_podman_and_prints_its_outputs() {
    let podman = Podman::start();
    works(&actor("train", &podman.address()));
    assert_eq!(podman.podman(&["ps", "--all", "--quiet"]), "");
}

#[test]
fn inputs_have_the_file_layout_of_copilot() {
    let inputs = "{ act = \"string\", b = \"boolean\", d = \"directory\", f = \"file\", l = \"list[file]\", m = \"map[float]\", n = \"optional[integer]\", \
                  s = \"struct\", t = \"duration\", w = [\"fast\", \"slow\"], when = \"datetime\" }";
    let task = format!(
        "[package.metadata.union.images.default]\nbase-image = \"scratch\"\n[package.metadata.union.tasks.tell]\ninputs = {inputs}\n\
         command = [\"actor\", \"{{{{.inputs.b}}}} at {{{{.inputs.when}}}}\", \"{{{{.inputs.w}}}}\"]\ndata-format = \"yaml\"\ninput-path = \"/data\"\n"
    );
    let project = Project::package("actor")
        .union(&task)
        .file("src/main.rs", ACTOR.replace("/var/inputs", "/data"))
        .locked();
    let values = json!({
        "d": "tree", "f": "a.txt", "l": ["a.txt", "tree/deep/b.txt"], "m": { "half": 0.5, "one": 1 }, "s": { "z": [true, null], "a": 2.0 },
        "t": "90m", "w": "slow", "when": "2030-01-31T12:00:00+02:00", "b": false, "act": "wait",
    });
    let project = project
        .file("in/values.json", values.to_string())
        .file("in/a.txt", "A")
        .file("in/tree/deep/b.txt", "B");
    let project = project.env("DOCKER_HOST", Engine::shared().address());
    let reported = project
        .run([
            "run",
            "tell",
            "--inputs",
            "in/values.json",
            "--",
            "--act",
            "tell",
            "--b",
        ])
        .succeeds()
        .stdout_is("");
    let lines: Vec<&str> = reported
        .stderr()
        .lines()
        .filter(|line| line.starts_with("words") || line.starts_with("/data"))
        .collect();
    let listed = r#"{"act":"tell","b":true,"d":"/data/d","f":"/data/f","l":["/data/l/0","/data/l/1"],"m":{"half":0.5,"one":1},"n":null,"s":{"a":2,"z":[true,null]},"t":5400000000000,"w":"slow","when":"2030-01-31T10:00:00Z"}"#;
    let expected = [
        "words [\"true at 2030-01-31T10:00:00Z\", \"slow\"]".to_owned(),
        "/data/act = tell".to_owned(),
        "/data/b = true".to_owned(),
        "/data/d/deep/b.txt = B".to_owned(),
        "/data/f = A".to_owned(),
        "/data/inputs.pb is empty: false".to_owned(),
        format!("/data/inputs.yaml = {listed}"),
        "/data/l/0 = A".to_owned(),
        "/data/l/1 = B".to_owned(),
        "/data/m/half = 0.5".to_owned(),
        "/data/m/one = 1".to_owned(),
        "/data/n = null".to_owned(),
        "/data/s = {\"a\":2,\"z\":[true,null]}".to_owned(),
        "/data/t = 1h30m0s".to_owned(),
        "/data/w = slow".to_owned(),
        "/data/when = 2030-01-31T10:00:00Z".to_owned(),
    ];
    assert_eq!(lines, expected);
}

#[test]
fn failed_program_shows_exit_code_and_last_lines() {
    let project = actor("fails", &Engine::shared().address());
    let outcome = act(&project, "fails", "fail")
        .exits(1)
        .fails_with("U0804")
        .stdout_is("");
    outcome
        .stderr_has("its program ended with exit code 3; its last lines:")
        .stderr_has("  one\n")
        .stderr_has("  two\n");
    act(&project, "fails", "confess")
        .exits(1)
        .fails_with("U0804")
        .stderr_has("its program has left `_ERROR`:\n  the data is bad");
    assert_eq!(containers("fails"), "");
}

#[test]
fn all_wrong_outputs_are_reported_and_earlier_ones_kept() {
    let project = actor("gives", &Engine::shared().address());
    project.write("data.txt", "good");
    project
        .run(["run", "gives", "--", "--act", "work", "--data", "data.txt"])
        .succeeds();
    let outcome = act(&project, "gives", "forget")
        .exits(1)
        .fails_with("U0805")
        .stdout_is("");
    let outcome = outcome
        .stderr_has("`count` is missing: the program must write a whole number such as `21` to `/var/outputs/count`; it wrote `cuont`");
    outcome.stderr_has(
        "`model` is missing: the program must write a directory to `/var/outputs/model`",
    );
    let outcome = act(&project, "gives", "ramble")
        .exits(1)
        .fails_with("U0805")
        .stderr_has("`count` has 2000 bytes; copilot accepts at most 1024");
    outcome.stderr_has("`/var/outputs/model` is a file, and `model` is declared as a directory");
    assert_eq!(project.read("target/union/run/gives/model/weights"), "good");
    assert_eq!(
        project.files_below("target/union/run"),
        ["gives/model/weights"]
    );
    assert_eq!(containers("gives"), "");
}

#[test]
fn launcher_is_process_1_and_enforces_the_timeout() {
    let engine = Engine::shared().address();
    let project = actor("late", &engine);
    project.edit("Cargo.toml", "outputs = {", "timeout = \"1s\"\noutputs = {");
    project.edit(
        "src/main.rs",
        "\"wait\" => {",
        "\"first\" => print!(\"{}\", fs::read_to_string(\"/proc/1/cmdline\").unwrap().replace('\\0', \" \")),\n        \"wait\" => {",
    );
    let outcome = act(&project, "late", "wait").exits(1).fails_with("U0804");
    outcome
        .stderr_has("cargo union launcher: error: timed out after 1 s")
        .stderr_has("exit code 124");
    let outcome = act(&project, "late", "first").exits(1).fails_with("U0805");
    outcome
        .stderr_has("/union/launcher --output-directory /var/outputs --output count=integer --output model=directory --timeout 1 -- /union/bin/actor")
        .stderr_has("cargo union launcher: error: `count` is missing");
    assert_eq!(containers("late"), "");
}

#[test]
fn interrupted_run_removes_its_container() {
    let engine = Engine::start();
    let project = actor("train", &engine.address());
    let mut run = project.start(["run", "train", "--", "--act", "wait"]);
    run.until_stderr_has("waiting\n");
    assert!(
        engine.docker(&["ps", "--quiet"]).lines().count() == 1,
        "it runs"
    );
    run.interrupt();
    run.wait().exits(130).stderr_has("U0007").stdout_is("");
    assert_eq!(engine.docker(&["ps", "--all", "--quiet"]), "");
    assert!(project.files_below("target/union/run").is_empty());
}

#[test]
fn engine_lost_during_a_run_is_reported() {
    let engine = Engine::shared();
    let relay = Relay::to(engine);
    let project = actor("lost", &relay.address());
    let mut run = project.start(["run", "lost", "--", "--act", "wait"]);
    run.until_stderr_has("waiting\n");
    relay.cut();
    run.wait()
        .exits(1)
        .fails_with("U0415")
        .stderr_has("container `union-lost-")
        .stderr_has(&relay.address());
    // Only this process could remove it.
    engine.docker(&["rm", "--force", &containers("lost")]);
}

/// A connection to an engine that can be interrupted.
struct Relay {
    directory: tempfile::TempDir,
    open: Arc<Mutex<Vec<UnixStream>>>,
}

impl Relay {
    fn to(engine: &Engine) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(directory.path().join("socket")).unwrap();
        let open = Arc::new(Mutex::new(Vec::new()));
        let (behind, lines) = (engine.address().replacen("unix://", "", 1), open.clone());
        std::thread::spawn(move || {
            for front in listener.incoming().map_while(Result::ok) {
                let Ok(back) = UnixStream::connect(&behind) else {
                    return;
                };
                let copy = |stream: &UnixStream| stream.try_clone().unwrap();
                lines.lock().unwrap().extend([copy(&front), copy(&back)]);
                for (mut from, mut to) in [(copy(&front), copy(&back)), (back, front)] {
                    std::thread::spawn(move || {
                        let _ = std::io::copy(&mut from, &mut to);
                        let _ = to.shutdown(Shutdown::Write);
                    });
                }
            }
        });
        Self { directory, open }
    }

    fn address(&self) -> String {
        format!("unix://{}/socket", self.directory.path().display())
    }

    fn cut(&self) {
        std::fs::remove_file(self.directory.path().join("socket")).unwrap();
        self.open
            .lock()
            .unwrap()
            .iter()
            .for_each(|stream| drop(stream.shutdown(Shutdown::Both)));
    }
}

#[test]
fn run_without_an_engine_names_alternatives() {
    let nowhere = "unix:///nowhere.sock";
    act(&actor("train", nowhere), "train", "work")
        .exits(1)
        .fails_with("U0414")
        .stderr_has(nowhere)
        .stderr_has("`--host`")
        .compiles_nothing();
}

#[test]
fn task_without_command_runs_the_image_entrypoint() {
    let manifest = "[package.metadata.union.images.default]\nbase-image = \"scratch\"\nentrypoint = [\"/union/bin/actor\", \"entry\"]\n\
                    [package.metadata.union.tasks]\nplain = { inputs = { act = \"string\" } }\nother = { bin = \"actor\" }\n";
    // Of two binaries neither is the task's by default.
    let project = Project::package("actor")
        .union(manifest)
        .file("src/main.rs", ACTOR)
        .file("src/bin/second.rs", "fn main() {}")
        .locked();
    let project = project.env("DOCKER_HOST", Engine::shared().address());
    project
        .run(["run", "plain", "--", "--act", "tell"])
        .succeeds()
        .stderr_has("words [\"entry\"]\n");
}

#[test]
fn secrets_are_read_from_their_backend_variables() {
    let main = "fn main() {\n    println!(\"{}\", std::env::var(\"TEAM_KEY\").unwrap().len());\n    \
                println!(\"{}\", std::fs::read_to_string(\"/etc/flyte/secrets/team/token\").unwrap().len());\n}\n";
    let manifest = "[package.metadata.union.images.default]\nbase-image = \"scratch\"\n[package.metadata.union.tasks.train]\n\
                    secrets = [{ key = \"key\", group = \"team\" }, { key = \"token\", group = \"team\", file = true }]\n";
    let project = Project::package("actor")
        .union(manifest)
        .file("src/main.rs", main)
        .locked();
    let project = project.env("DOCKER_HOST", Engine::shared().address());
    let outcome = project
        .run(["run", "train"])
        .exits(1)
        .fails_with("U0803")
        .compiles_nothing();
    outcome.stderr_has("not set: the environment variables `TEAM_KEY` and `TEAM_TOKEN`");
    let project = project
        .env("TEAM_KEY", "hunter2")
        .env("TEAM_TOKEN", "swordfish");
    project
        .run(["run", "train", "-vv"])
        .succeeds()
        .stderr_has("\n7\n9\n")
        .stderr_lacks("hunter2")
        .stderr_lacks("swordfish");
}

#[test]
fn image_in_the_engine_has_its_full_reference() {
    let project =
        actor("train", &Engine::shared().address()).env("UNION_REGISTRY", "registry.invalid/team");
    let first = project.run(["build", "--output", "docker:"]).succeeds();
    assert!(
        first
            .stdout()
            .starts_with("docker:registry.invalid/team/actor:"),
        "{}",
        first.stdout()
    );
    let second = project
        .run(["build", "--output", "docker:"])
        .succeeds()
        .compiles_nothing();
    assert_eq!(second.stdout(), first.stdout());
}
