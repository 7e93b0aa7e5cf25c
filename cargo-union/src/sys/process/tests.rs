#![allow(clippy::unwrap_used)]

use super::*;

fn shell(script: &str) -> ProcessCommand {
    let mut command = ProcessCommand::new("/bin/sh", Path::new("/"), &Environment::of_process());
    command.args(["-c", script]);
    command
}

#[tokio::test]
async fn missing_program_is_named_in_the_error() {
    let command = ProcessCommand::new(
        "no-such-program",
        Path::new("/"),
        &Environment::of_process(),
    );
    let error = command.output().await.unwrap_err();
    assert_eq!(
        (error.code(), error.to_string().as_str()),
        (Code::ToolMissing, "could not run `no-such-program`")
    );
}

#[tokio::test]
async fn failure_has_exit_code_and_last_lines_of_stderr() {
    let failed = shell("seq 30 >&2; exit 7")
        .output()
        .await
        .unwrap()
        .success()
        .unwrap_err();
    assert_eq!(failed.code, Some(7));
    assert!(
        failed.stderr.starts_with("11\n") && failed.stderr.ends_with("\n30"),
        "{}",
        failed.stderr
    );
    assert!(
        failed
            .to_string()
            .starts_with("`/bin/sh` ended with exit code 7:\n")
    );
}

#[tokio::test]
async fn lines_are_passed_on_before_the_status() {
    let mut seen = Vec::new();
    let result = shell("echo a; echo b; kill -TERM $$")
        .lines(|line| seen.push(line.to_owned()))
        .await
        .unwrap();
    assert_eq!(
        (seen, result.unwrap_err().signal),
        (vec!["a".to_owned(), "b".to_owned()], Some(15))
    );
}

#[tokio::test]
async fn input_is_written_to_stdin() {
    let mut command = shell("cat");
    command.input("a\nb");
    assert_eq!(command.output().await.unwrap().success().unwrap(), b"a\nb");
    let mut without_reading = shell("exit 3");
    without_reading.input(vec![0; 1 << 20]);
    assert_eq!(
        without_reading
            .output()
            .await
            .unwrap()
            .success()
            .unwrap_err()
            .code,
        Some(3)
    );
}

#[tokio::test]
async fn detached_program_keeps_running() {
    let directory = tempfile::tempdir().unwrap();
    let done = directory.path().join("done");
    shell(&format!("sleep 0.05; touch {}", done.display()))
        .leave()
        .unwrap();
    while !done.exists() {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    assert!(shell("x").leave().is_ok());
}

#[tokio::test]
async fn child_gets_only_the_given_environment() {
    let environment: Environment = [("ONLY".into(), "this".into())].into_iter().collect();
    let output = ProcessCommand::new("/usr/bin/env", Path::new("/"), &environment)
        .output()
        .await
        .unwrap();
    assert_eq!(output.success().unwrap(), b"ONLY=this\n");
    assert_eq!(format!("{environment:?}"), "{\"ONLY\"}");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn dropped_future_kills_child_and_descendants() {
    let directory = tempfile::tempdir().unwrap();
    let pids = directory.path().join("pids");
    let survived = directory.path().join("survived");
    let script = format!(
        "(sleep 30; touch {1}) & echo $$ $! > {0}.part; mv {0}.part {0}; wait",
        pids.display(),
        survived.display()
    );
    let task = tokio::spawn(shell(&script).output());
    while !pids.exists() {
        tokio::task::yield_now().await;
    }
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    for pid in std::fs::read_to_string(&pids).unwrap().split_whitespace() {
        let has_exited = || {
            std::fs::read_to_string(format!("/proc/{pid}/stat"))
                .map_or(true, |stat| stat.contains(") Z "))
        };
        while !has_exited() {
            tokio::task::yield_now().await;
        }
    }
    assert!(!survived.exists(), "a child was not killed");
}
