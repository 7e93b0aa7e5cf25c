//! What the launcher says of the outputs of a program that has ended with 0.

use std::path::Path;

use super::run;

fn check(directory: &Path, outputs: &[&str]) -> (Option<i32>, String) {
    check_after(directory, outputs, "true")
}

fn check_after(directory: &Path, outputs: &[&str], script: &str) -> (Option<i32>, String) {
    let mut options = vec!["--output-directory", directory.to_str().unwrap()];
    for output in outputs {
        options.extend(["--output", output]);
    }
    let (code, stderr) = run(&options, &["sh", "-c", script]);
    (
        code,
        stderr
            .replace(directory.to_str().unwrap(), "OUT")
            .replace("cargo union launcher: error: ", ""),
    )
}

#[test]
fn outputs_of_every_type_are_accepted() {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in [
        ("i", " -42\n"),
        ("f.txt", "1e3"),
        ("s", ""),
        ("b", "True\n"),
        ("t", "2030-01-31T12:00:00.5+02:00"),
        ("d", "-1h30m"),
        ("j.json", "{\"a\": [1, {\"b\": null}]}"),
        ("m.bin", "\0\u{ff}"),
    ] {
        std::fs::write(directory.path().join(name), text).unwrap();
    }
    std::fs::create_dir(directory.path().join("dir")).unwrap();
    let outputs = [
        "i=integer",
        "f=float",
        "s=string",
        "b=boolean",
        "t=datetime",
        "d=duration",
        "j=struct",
        "m=file",
        "dir=directory",
    ];
    assert_eq!(check(directory.path(), &outputs), (Some(0), String::new()));
}

#[test]
fn wrong_outputs_are_named_with_what_was_found_and_expected() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    for (name, bytes) in [
        ("n", &b"abc"[..]),
        ("e", b""),
        ("u", b"\xff\xfe"),
        ("long", &[b'1'; 1025]),
        ("x.a", b"1"),
        ("x.b", b"1"),
        ("c", b"\x1b[2J"),
    ] {
        std::fs::write(path(name), bytes).unwrap();
    }
    std::fs::create_dir(path("d")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        path("p"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RWXU,
        0,
    )
    .unwrap();
    for (output, text) in [
        (
            "missing=integer",
            "the output `missing` is missing: the program should leave a whole number such as `21` at `OUT/missing`\n",
        ),
        (
            "n=integer",
            "the output `n` in `OUT/n` is `abc`; expected a whole number such as `21`\n",
        ),
        (
            "e=float",
            "the output `e` in `OUT/e` is empty; expected a number such as `0.5`\n",
        ),
        ("u=string", "the output `u` in `OUT/u` is not UTF-8\n"),
        (
            "long=string",
            "the output `long` in `OUT/long` has 1025 bytes; copilot takes at most 1024 of what is not a file\n",
        ),
        (
            "x=integer",
            "the output `x` could be each of several files in `OUT`: leave one of them\n",
        ),
        ("d=file", "`OUT/d` is a directory; expected a file\n"),
        ("n=directory", "`OUT/n` is a file; expected a directory\n"),
        ("p=string", "`OUT/p` is a named pipe; expected a string\n"),
        (
            "c=integer",
            "the output `c` in `OUT/c` is `?[2J`; expected a whole number such as `21`\n",
        ),
    ] {
        assert_eq!(
            check(directory.path(), &[output]),
            (Some(65), text.to_owned())
        );
    }
    // All at once, each in a line.
    let (code, stderr) = check(directory.path(), &["n=integer", "e=float", "long=file"]);
    assert_eq!((code, stderr.lines().count()), (Some(65), 2), "{stderr}");
}

#[test]
fn outputs_are_not_looked_at_when_the_program_failed_or_reports_an_error_itself() {
    let directory = tempfile::tempdir().unwrap();
    assert_eq!(
        check_after(directory.path(), &["n=integer"], "exit 3"),
        (Some(3), String::new())
    );
    std::fs::write(directory.path().join("_ERROR"), "why").unwrap();
    assert_eq!(
        check(directory.path(), &["n=integer"]),
        (Some(0), String::new())
    );
}

#[test]
fn directory_that_does_not_exist_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let (code, stderr) = check(&directory.path().join("none"), &["n=integer"]);
    assert_eq!(code, Some(65));
    assert!(
        stderr.contains("the output `n` is missing")
            && stderr.contains("cannot be read: no such file or directory"),
        "{stderr}"
    );
}

#[test]
fn empty_output_is_left_for_a_task_without_outputs() {
    let directory = tempfile::tempdir().unwrap();
    let outputs = directory.path().join("outputs");
    let options = [
        "--output-directory",
        outputs.to_str().unwrap(),
        "--empty-output",
        "none",
    ];
    assert_eq!(run(&options, &["true"]), (Some(0), String::new()));
    assert_eq!(std::fs::read(outputs.join("none")).unwrap(), b"");
    // What is there stays.
    std::fs::write(outputs.join("none"), "text").unwrap();
    assert_eq!(run(&options, &["true"]), (Some(0), String::new()));
    assert_eq!(std::fs::read(outputs.join("none")).unwrap(), b"text");
    // A program that failed leaves none.
    std::fs::remove_file(outputs.join("none")).unwrap();
    assert_eq!(run(&options, &["false"]), (Some(1), String::new()));
    assert!(!outputs.join("none").exists());
    // It cannot be created in a file.
    let (code, stderr) = run(
        &["--output-directory", "/dev/null", "--empty-output", "none"],
        &["true"],
    );
    assert_eq!(code, Some(65));
    assert!(
        stderr.contains("could not create `/dev/null/none`: not a directory"),
        "{stderr}"
    );
}
