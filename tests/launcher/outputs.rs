//! The check of the outputs: its messages are those of local runs.

use std::collections::BTreeMap;
use std::path::Path;

use cargo_union::copilot::{OutputDir, outputs};
use proptest::prelude::*;
use union_build::spec::types::Type;
use union_tests::permissions::WITHOUT_READ_OVERRIDE;

use crate::setup::{ProcessResult, RunningProcess, command, launch, shell};

/// Runs a command of a shell in an output directory, with one option `--output` for each declaration.
fn run_in(directory: &Path, declared: &[&str], script: &str) -> ProcessResult {
    let mut options = vec!["--output-directory", directory.to_str().unwrap()];
    options.extend(declared.iter().flat_map(|output| ["--output", *output]));
    let mut command = command(&options, &["sh", "-c", script]);
    command.current_dir(directory);
    RunningProcess::start(command).wait()
}

/// The problems that a local run finds.
fn problems(directory: &Path, declared: &[&str]) -> Vec<String> {
    let declared: BTreeMap<String, Type> = declared
        .iter()
        .map(|output| output.split_once('=').unwrap())
        .map(|(name, ty)| (name.to_owned(), Type::parse(ty).unwrap()))
        .collect();
    outputs(
        &OutputDir::existing(directory).unwrap(),
        &declared,
        directory.to_str().unwrap(),
    )
    .err()
    .unwrap_or_default()
}

const TYPES: [&str; 9] = [
    "integer",
    "float",
    "string",
    "boolean",
    "datetime",
    "duration",
    "struct",
    "file",
    "directory",
];

#[test]
fn messages_are_those_of_local_runs() {
    for script in [
        ":",
        "echo 21 >n",
        "printf ' \\t\\n1h30m0s\\n' >n",
        "echo 2030-01-31T12:00:00Z >n",
        "echo 2030-01-31t12:00:00Z >n",
        "echo true >n.txt",
        "echo '{\"a\": [1, {}]}' >n.json; echo other >no",
        "echo '{\"a\": [1, {}}' >n",
        "echo 1e400 >n",
        "echo 99999999999999999999 >n",
        ": >n",
        "printf '\\377' >n",
        "printf '%061d' 0 >n",
        "printf '%060d' 0 >n",
        "printf 'é%060d' 0 >n",
        "printf '%01024d' 0 >n",
        "printf '%01025d' 0 >n",
        "touch n.a n.b",
        "touch n.c n.a n.b n.",
        "for name in 1 2 3 4 5 6 7 8 9; do touch n.$name; done",
        "echo 1 >n; echo 2 >n.a; echo 3 >n.b",
        "echo 1 >N",
        "echo 1 >m; echo 1 >nn; echo 1 >on",
        "mkdir n",
        "mkdir -p n/a/b; echo 1 >n/a/b/c; echo 1 >n/d",
        "mkdir n.d",
        "ln -s /etc/passwd n",
        "ln -s n.a n; echo 1 >n.a",
        "ln -s nowhere n.a",
        "mkfifo n",
        "mkdir n; mkfifo n/fifo; ln -s fifo n/a",
        "mkdir -p n/a/b n/a-b; mkfifo n/a/b/c; ln -s c n/a-b/d; ln -s b n/z",
        "mkdir other; mkfifo other/fifo; echo 1 >n",
    ] {
        for ty in TYPES {
            let directory = tempfile::tempdir().unwrap();
            let declared = [&*format!("n={ty}")];
            let ended = run_in(directory.path(), &declared, script);
            let expected: Vec<String> = problems(directory.path(), &declared)
                .iter()
                .map(|problem| format!("error: {problem}"))
                .collect();
            let code = if expected.is_empty() { 0 } else { 65 };
            ended.is(
                code,
                &expected.iter().map(String::as_str).collect::<Vec<_>>(),
            );
        }
    }
}

#[test]
fn each_wrong_output_has_a_line() {
    let directory = tempfile::tempdir().unwrap();
    let declared = [
        "count=integer",
        "good=string",
        "model=file",
        "plots=directory",
        "ratio=float",
    ];
    let at = |name: &str| format!("{}/{name}", directory.path().display());
    let ended = run_in(
        directory.path(),
        &declared,
        "echo 1 >cuont; echo x >good; mkdir model; echo x >plots; printf 'a\\033[2Jb\\r\\n' >ratio",
    );
    let messages = [
        format!(
            "error: `count` is missing: the program must write a whole number such as `21` to `{}`; it wrote `cuont`",
            at("count")
        ),
        format!(
            "error: `{}` is a directory, and `model` is declared as `file`",
            at("model")
        ),
        format!(
            "error: `{}` is a file, and `plots` is declared as a directory",
            at("plots")
        ),
        "error: `ratio` holds `a\\x1b[2Jb\\r`, which is not a number such as `0.5`".to_owned(),
    ];
    ended.is(65, &messages.each_ref().map(String::as_str));
}

#[test]
fn misspelled_output_is_found_as_in_local_runs() {
    for (name, written) in [
        ("model", "Model.bin modle modell x"),
        ("a_b", "a-c A-B"),
        ("count", "cont counts"),
        ("x", "y"),
        ("data", "date dat dta"),
        ("long-name-of-an-output", "lnog-name-of-an-output"),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let declared = [&*format!("{name}=integer")];
        let ended = run_in(directory.path(), &declared, &format!("touch {written}"));
        ended.is(
            65,
            &[&format!(
                "error: {}",
                problems(directory.path(), &declared)[0]
            )],
        );
    }
}

#[test]
fn outputs_are_not_checked_when_the_program_failed_or_left_an_error() {
    let directory = tempfile::tempdir().unwrap();
    for (script, code) in [
        ("exit 3", 3),
        ("exit 65", 65),
        ("echo failed >_ERROR", 0),
        ("rm _ERROR; mkdir _ERROR", 0),
    ] {
        run_in(directory.path(), &["n=integer"], script).is(code, &[]);
    }
    let path = directory.path().to_str().unwrap();
    std::fs::remove_dir(directory.path().join("_ERROR")).unwrap();
    shell(
        &[
            "--output-directory",
            path,
            "--output",
            "n=integer",
            "--timeout",
            "1",
        ],
        "exec 2>/dev/null; trap 'exit 0' TERM; while :; do sleep 0.05; done",
    )
    .is(124, &["error: timed out after 1 s"]);
}

#[test]
fn output_directory_may_be_missing_unreadable_or_too_long() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("file"), "").unwrap();
    let missing = path("missing");
    let file = path("file");
    for (path, message) in [
        (
            missing.as_str(),
            format!("`n` is missing: the program must write a file to `{missing}/n`"),
        ),
        (
            &format!("{missing}//"),
            format!("`n` is missing: the program must write a file to `{missing}/n`"),
        ),
        (
            &file,
            format!("`{file}` cannot be read: Not a directory (os error 20)"),
        ),
        (
            "",
            "`n` is missing: the program must write a file to `/n`".to_owned(),
        ),
    ] {
        launch(
            &["--output-directory", path, "--output", "n=file"],
            &["true"],
        )
        .is(65, &[&format!("error: {message}")]);
    }
    let long = "x/".repeat(2_100);
    let ended = launch(
        &["--output-directory", &long, "--output", "n=file"],
        &["true"],
    );
    assert_eq!(ended.code, Some(65));
    assert!(
        ended
            .stderr
            .starts_with("cargo union launcher: error: `x/x/")
            && ended.stderr.lines().count() == 1,
        "{ended:?}"
    );
}

#[test]
fn output_that_may_not_be_read_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_str().unwrap();
    assert_eq!(
        run_in(directory.path(), &[], "touch n; mkdir d; chmod 0 n d").code,
        Some(0)
    );
    let [program, options @ ..] = WITHOUT_READ_OVERRIDE;
    let mut command = std::process::Command::new(program);
    command
        .args(options)
        .arg(crate::setup::launcher())
        .args(["--output-directory", path])
        .args(["--output", "n=file"])
        .args(["--output", "n=integer"])
        .args(["--output", "d=directory", "--", "true"]);
    let messages = ["n", "n", "d"].map(|name| {
        format!("error: `{path}/{name}` cannot be read: Permission denied (os error 13)")
    });
    let ended = RunningProcess::start(command).wait();
    ended.is(65, &messages.each_ref().map(String::as_str));
}

#[test]
fn deep_and_long_output_paths_are_bounded() {
    let directory = tempfile::tempdir().unwrap();
    let name = "d".repeat(200);
    let script =
        format!("mkdir n; cd n; for i in $(seq 30); do mkdir {name}; cd {name}; done; touch file");
    let ended = run_in(directory.path(), &["n=directory"], &script);
    assert_eq!(ended.code, Some(65));
    assert!(
        ended
            .stderr
            .ends_with("cannot be read: File name too long (os error 36)\n"),
        "{ended:?}"
    );
    let directory = tempfile::tempdir().unwrap();
    let script = "mkdir n; cd n; for i in $(seq 500); do mkdir d; cd d; done; mkfifo fifo";
    run_in(directory.path(), &["n=directory"], script).is(0, &[]);
    let directory = tempfile::tempdir().unwrap();
    let script = "mkdir n; cd n; for i in $(seq 3000); do echo file-$i-with-a-long-name; done | xargs touch; mkfifo file-1777-fifo";
    let expected = format!(
        "error: `{}/n/file-1777-fifo` is neither a file nor a directory, which copilot does not support: write a file",
        directory.path().display()
    );
    run_in(directory.path(), &["n=directory"], script).is(65, &[&expected]);
}

#[test]
fn empty_output_is_created_unless_there_is_one() {
    let directory = tempfile::tempdir().unwrap();
    let below = directory.path().join("not/yet");
    let path = below.to_str().unwrap();
    let options = ["--output-directory", path, "--empty-output", "o0"];
    shell(&options, "exit 3").is(3, &[]);
    assert!(!below.exists());
    shell(&options, "exit 0").is(0, &[]);
    assert_eq!(std::fs::read(below.join("o0")).unwrap(), b"");
    shell(&options, &format!("echo text >{path}/o0")).is(0, &[]);
    assert_eq!(std::fs::read(below.join("o0")).unwrap(), b"text\n");
    shell(&options, &format!("rm {path}/o0; ln -s nowhere {path}/o0")).is(0, &[]);
    assert!(!below.join("nowhere").exists());
    // Copilot takes the error.
    shell(
        &options,
        &format!("rm {path}/o0; echo failed >{path}/_ERROR"),
    )
    .is(0, &[]);
    assert!(!below.join("o0").exists());
}

#[test]
fn empty_output_that_cannot_be_created_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    std::fs::write(&file, "").unwrap();
    let path = format!("{}/below", file.display());
    launch(
        &["--output-directory", &path, "--empty-output", "o0"],
        &["true"],
    )
    .is(
        65,
        &[&format!(
            "error: could not create `{path}/o0`: Not a directory (os error 20)"
        )],
    );
}

proptest! {
    #![proptest_config(union_tests::arbitrary::cases(48))]

    #[test]
    fn arbitrary_content_is_judged_as_in_local_runs(content in prop_oneof![
        union_tests::arbitrary::text().prop_map(String::into_bytes),
        union_tests::arbitrary::bytes(1100),
        union_tests::arbitrary::value().prop_map(|value| format!("{{\"a\": {value}}}").into_bytes()),
    ]) {
        let directory = tempfile::tempdir().unwrap();
        let mut declared = TYPES.map(|ty| format!("{ty}={ty}"));
        declared.sort();
        for ty in TYPES {
            std::fs::write(directory.path().join(ty), &content).unwrap();
        }
        let declared = declared.each_ref().map(String::as_str);
        let ended = run_in(directory.path(), &declared, ":");
        let found = problems(directory.path(), &declared);
        let outputs = |lines: Vec<String>| lines.iter().map(|line| line.split("` ").next().unwrap().to_owned()).collect::<Vec<_>>();
        let messages = ended.messages().iter().map(|message| message.trim_start_matches("error: ").to_owned()).collect();
        prop_assert_eq!(ended.code, Some(65));
        prop_assert_eq!(outputs(messages), outputs(found));
    }
}
