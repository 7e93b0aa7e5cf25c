//! `run` without an engine: refused tasks and inputs, and `--host`.

use union_tests::run::until_ended;
use union_tests::{Project, str};

const SCRATCH: &str = "[package.metadata.union.images.default]\nbase-image = \"scratch\"\n";

/// A package with one task, `train`, whose table has these lines.
fn task(lines: &str) -> Project {
    Project::package("hello").union(&format!(
        "{SCRATCH}[package.metadata.union.tasks.train]\n{lines}\n"
    ))
}

#[test]
fn all_invalid_inputs_are_reported_with_examples() {
    let project =
        task("inputs = { label = \"string\", rate = \"float\", x = \"integer\", data = \"file\" }");
    let outcome = project
        .run([
            "run", "train", "--", "--lable", "a", "--rate", "fast", "--data", "no.csv",
        ])
        .exits(2)
        .compiles_nothing();
    outcome.stdout_is("").stderr_is(str![[r#"
error[U0801]: could not run task `train` with these inputs

Caused by:
  `--lable` is not an input; did you mean `--label`?
  `--rate`: `fast` is not a number; an example is `--rate 0.5`
  `--data`: `[PROJECT]/no.csv` cannot be read: No such file or directory (os error 2); an example is `--data data.csv`
  `label` is missing: it is text, such as `--label text`
  `x` is missing: it is a whole number, such as `--x 21`

help: It takes `data: file`, `label: string`, `rate: float`, `x: integer`.

"#]]);
}

#[test]
fn unknown_task_is_named_with_the_nearest_one() {
    let outcome = task("").run(["run", "trian"]).exits(2).fails_with("U0204");
    outcome.stderr_has("Did you mean `train`? Declared tasks: `train`.");
}

#[test]
fn ambiguous_task_requires_the_package() {
    let tasks = format!("{SCRATCH}[package.metadata.union.tasks.train]\n");
    let project = Project::workspace()
        .member("one", &tasks)
        .member("two", &tasks);
    project
        .run(["run", "train"])
        .exits(2)
        .fails_with("U0001")
        .stderr_has("`one` and `two`")
        .stderr_has("`-p`");
}

#[test]
fn check_refuses_outputs_and_commands_without_backend_support() {
    let project = task(
        "inputs = { data = \"file\", wait = \"duration\" }\n\
         outputs = { xs = \"list[integer]\", m = \"map[string]\", o = \"optional[float]\", e = [\"a\", \"b\"] }\n\
         command = [\"hello\", \"{{.inputs.data}}\", \"{{.inputs.wait}}\"]",
    );
    for words in [
        &["check"][..],
        &["plan"],
        &["run", "train"],
        &["register", "--dry-run"],
    ] {
        let outcome = project
            .run(words)
            .exits(2)
            .compiles_nothing()
            .stdout_is("")
            .fails_with("U0104");
        let outcome = outcome
            .stderr_has("Cargo.toml:10:18")
            .stderr_has("output `xs` is a `list[integer]`, which a container task cannot return");
        let outcome = outcome
            .stderr_has("output `m` is a")
            .stderr_has("output `o` is a")
            .stderr_has("output `e` is a");
        let outcome = outcome.stderr_has(
            "`{{.inputs.data}}` is a `file`, which the backend cannot put into a command line",
        );
        outcome
            .stderr_has("the program finds it at `/var/inputs/data`")
            .stderr_has("`{{.inputs.wait}}` is a `duration`");
    }
}

#[test]
fn local_run_refuses_backend_templates() {
    let project = task("command = [\"hello\", \"{{.outputPrefix}}\"]");
    let outcome = project
        .run(["run", "train"])
        .exits(2)
        .compiles_nothing()
        .stdout_is("")
        .fails_with("U0802");
    outcome.stderr_has("`{{.outputPrefix}}` is a value that only the backend has");
}

#[test]
fn host_run_refuses_image_programs_and_secret_files() {
    let outcome = task("command = [\"/bin/sh\"]\nsecrets = [{ key = \"token\", file = true }]")
        .run(["run", "train", "--host"])
        .exits(2);
    outcome
        .fails_with("U0802")
        .stderr_has("`--host` has no image")
        .stderr_has("a file below `/etc/flyte/secrets`");
}

#[test]
fn host_run_refuses_an_empty_command() {
    let outcome = task("bin = \"hello\"\ncommand = []")
        .run(["run", "train", "--host"])
        .exits(2)
        .compiles_nothing();
    outcome
        .fails_with("U0802")
        .stderr_has("Cargo.toml:10:11")
        .stderr_has("runs the entrypoint of its image");
}

/// A program that reads its directories from its arguments, and doubles a number.
const DOUBLE: &str = "fn main() {\n    \
    let words: Vec<String> = std::env::args().skip(1).collect();\n    \
    let (input, output) = (&words[0], std::env::var(\"OUT\").unwrap());\n    \
    let x: i64 = std::fs::read_to_string(format!(\"{input}/x\")).unwrap().parse().unwrap();\n    \
    eprintln!(\"{} {} {:?}\", words[1], std::env::var(\"FROM_IMAGE\").unwrap(), std::env::var(\"API_KEY\"));\n    \
    if x == 0 { std::process::exit(7); }\n    \
    std::fs::write(format!(\"{output}/y\"), (2 * x).to_string()).unwrap();\n}\n";

fn double() -> Project {
    let lines = "inputs = { x = \"integer\", label = \"string\" }\noutputs = { y = \"integer\" }\nsecrets = [\"api-key\"]\n\
                 command = [\"hello\", \"/var/inputs\", \"--label={{.inputs.label}}\"]\nenv = { OUT = \"/var/outputs\" }\n\
                 [package.metadata.union.images.default.env]\nFROM_IMAGE = \"yes\"";
    task(lines)
        .file("src/main.rs", DOUBLE)
        .locked()
        .env("API_KEY", "secret")
        .env("DOCKER_HOST", "unix:///nowhere.sock")
}

#[test]
fn host_run_maps_container_directories() {
    let project = double();
    let words = [
        "run",
        "train",
        "--host",
        "--",
        "--x",
        "21",
        "--label",
        "/var/inputs",
    ];
    let outcome = project
        .run(words)
        .succeeds()
        .compiles(["hello"])
        .stdout_is("y = 42\n");
    outcome
        .stderr_has("--label=/var/inputs yes Ok(\"secret\")")
        .stderr_has("Running train as ");
    let document = project
        .run([
            "run", "train", "--host", "--format", "json", "--", "--x=-1", "--label", "",
        ])
        .succeeds()
        .compiles_nothing()
        .json();
    assert_eq!(
        (&document["outputs"]["y"], document["image"].is_null()),
        (&serde_json::json!(-2), true)
    );
    assert!(
        project.files_below("target/union/run").is_empty(),
        "plain values leave no files"
    );
    // The image has the same binary.
    project.run(["build"]).succeeds().compiles_nothing();
}

#[test]
fn host_run_resolves_env_references_on_the_machine() {
    let main =
        "fn main() { eprintln!(\"{:?} {:?}\", std::env::var(\"PATH\"), std::env::var(\"COST\")); }";
    let project = task(
        "[package.metadata.union.images.default.env]\nPATH = \"/opt/bin:$PATH\"\nCOST = \"5$$\"",
    );
    let outcome = project
        .file("src/main.rs", main)
        .locked()
        .run(["run", "train", "--host"])
        .succeeds();
    let seen = outcome
        .stderr()
        .lines()
        .find(|line| line.contains("/opt/bin:"))
        .unwrap()
        .to_owned();
    assert!(
        seen.contains("/opt/bin:/") && seen.contains("Ok(\"5$\")"),
        "{seen}"
    );
}

#[test]
fn failed_process_shows_its_exit_code() {
    let outcome = double()
        .run([
            "run",
            "train",
            "--host",
            "--",
            "--x",
            "0",
            "--label",
            "last words",
        ])
        .exits(1)
        .fails_with("U0804");
    outcome.stdout_is("").stderr_has(
        "its program ended with exit code 7; its last lines:\n  --label=last words yes",
    );
}

#[test]
fn missing_output_has_advice_to_name_the_directory() {
    let project = task("outputs = { y = \"integer\" }").locked();
    let outcome = project
        .run(["run", "train", "--host"])
        .exits(1)
        .fails_with("U0805")
        .stderr_has("`y` is missing");
    outcome.stderr_has("name `/var/outputs` in the task's `command` or `env`");
    // A program that looks for its inputs where they are in a container fails by itself.
    let main = "fn main() { std::fs::read_to_string(\"/var/inputs/x\").unwrap(); }";
    let project = task("inputs = { x = \"integer\" }")
        .file("src/main.rs", main)
        .locked();
    let outcome = project
        .run(["run", "train", "--host", "--", "--x", "1"])
        .exits(1)
        .fails_with("U0804");
    outcome.stderr_has("name `/var/inputs` in the task's `command` or `env`");
}

#[test]
fn interrupted_process_ends_and_leaves_no_files() {
    let main = "fn main() { std::fs::write(\"pid\", std::process::id().to_string()).unwrap(); println!(\"it runs\"); \
                loop { std::thread::sleep(std::time::Duration::from_secs(1)); } }";
    let project = task("outputs = { y = \"integer\" }")
        .file("src/main.rs", main)
        .locked();
    let mut run = project.start(["run", "train", "--host"]);
    run.until_stderr_has("it runs");
    run.interrupt();
    run.wait().exits(130).stderr_has("U0007");
    until_ended(&project.read("pid"));
    assert!(project.files_below("target/union/run").is_empty());
}

#[test]
fn program_that_ended_by_the_interrupt_counts_as_interrupted() {
    // The signal has reached the program alone, or it first.
    for script in [
        "kill -INT $$",
        // A program that handles it, and fails for it.
        "trap 'exit 1' INT; kill -INT 0",
        "kill -TERM 0",
        "trap 'exit 130' TERM; kill -TERM 0",
    ] {
        let main = format!(
            "fn main() {{ std::process::Command::new(\"/bin/sh\").args([\"-c\", {script:?}]).exec(); }}"
        );
        let project = task("")
            .file(
                "src/main.rs",
                format!("use std::os::unix::process::CommandExt as _;\n{main}\n"),
            )
            .locked();
        project
            .run(["run", "train", "--host"])
            .exits(130)
            .stderr_has("U0007")
            .stdout_is("");
    }
}

#[test]
fn help_documents_inputs_and_host_limits() {
    let help = Project::empty().run(["run", "--help"]).succeeds();
    help.stdout_has("--xs 1 --xs 2")
        .stdout_has("NAME = VALUE")
        .stdout_has("replaced by directories of this run");
}
