//! The states of a run, over streams that are interrupted or refused, and its outcome.

use super::*;
use crate::flyte::idl::workflow::action_details::Result as ActionResult;
use crate::flyte::idl::workflow::{AbortInfo, ErrorInfo};
use crate::flyte::runs::fake::cut;

#[tokio::test]
async fn follow_reports_phases_and_log_lines() {
    let watched = vec![Script::Ends(vec![
        details(ActionPhase::Queued, 0),
        details(ActionPhase::Queued, 0),
        details(ActionPhase::Running, 1),
        details(ActionPhase::Succeeded, 1),
    ])];
    let tailed = vec![Script::Ends(vec![
        lines(&[(1, "a"), (1, "b")]),
        lines(&[(2, "c")]),
    ])];
    let (end, events) = follow_run(watched, tailed).await;
    assert_eq!(end.unwrap(), RunOutcome::Succeeded);
    assert_eq!(
        events,
        [
            "is queued 0",
            "is running 1",
            "wrote a",
            "wrote b",
            "wrote c",
            "is succeeded 1"
        ]
    );
}

#[tokio::test]
async fn follow_reconnects_after_an_interrupted_stream() {
    let watched = vec![
        Script::IsCut(vec![details(ActionPhase::Queued, 0)]),
        Script::Ends(vec![details(ActionPhase::Running, 1)]),
        Script::Refuses(refusal(RpcStatus::Canceled)),
        Script::Ends(vec![details(ActionPhase::Succeeded, 1)]),
    ];
    let (end, events) = follow_run(watched, vec![Script::Ends(vec![])]).await;
    assert_eq!(end.unwrap(), RunOutcome::Succeeded);
    let expected = [
        "is queued 0",
        "lost: the connection was lost, 1 ms",
        "is running 1",
        "lost: it answered `canceled`, 1 ms",
        "is succeeded 1",
    ];
    assert_eq!(events, expected);
}

#[tokio::test]
async fn follow_retries_five_consecutive_failures() {
    let refusals = |count: usize| {
        (0..count)
            .map(|_| Script::Refuses(cut()))
            .collect::<Vec<_>>()
    };
    let mut watched = refusals(5);
    watched.push(Script::IsCut(vec![details(ActionPhase::Running, 0)]));
    watched.extend(refusals(4));
    watched.push(Script::Ends(vec![details(ActionPhase::Aborted, 0)]));
    let (end, _) = follow_run(watched, vec![]).await;
    assert_eq!(
        end.unwrap(),
        RunOutcome::Aborted(String::new()),
        "a message resets the count"
    );

    let (end, events) = follow_run(refusals(6), vec![]).await;
    assert_eq!(
        end.unwrap_err().chain(),
        ["could not follow the run `u1`", "the connection was lost"]
    );
    let pauses: Vec<&str> = events
        .iter()
        .map(|line| line.rsplit(", ").next().unwrap())
        .collect();
    assert_eq!(pauses, ["1 ms", "2 ms", "4 ms", "8 ms", "10 ms"]);
}

#[tokio::test]
async fn follow_does_not_retry_a_refusal() {
    let (end, events) =
        follow_run(vec![Script::Refuses(refusal(RpcStatus::NotFound))], vec![]).await;
    assert!(end.unwrap_err().chain()[1].contains("not_found"));
    assert_eq!(events, [""; 0]);
}

#[test]
fn run_outcome_has_the_error_or_the_abort_reason() {
    let info = ErrorInfo {
        message: "boom\n".to_owned(),
        kind: 1,
        code: "E1".to_owned(),
    };
    let error = RunError {
        message: "boom".to_owned(),
        kind: "user",
        code: "E1".to_owned(),
    };
    let failed = ActionDetails {
        result: Some(ActionResult::ErrorInfo(info.clone())),
        ..details(ActionPhase::Failed, 1)
    };
    assert_eq!(
        RunOutcome::of(&failed),
        Some(RunOutcome::Failed(Some(error.clone())))
    );
    let attempt = ActionAttempt {
        error_info: Some(info),
        ..ActionAttempt::default()
    };
    let late = ActionDetails {
        attempts: vec![attempt],
        ..details(ActionPhase::TimedOut, 1)
    };
    assert_eq!(
        RunOutcome::of(&late),
        Some(RunOutcome::TimedOut(Some(error)))
    );
    let aborted = ActionDetails {
        result: Some(ActionResult::AbortInfo(AbortInfo {
            reason: "enough".to_owned(),
        })),
        ..details(ActionPhase::Aborted, 1)
    };
    assert_eq!(
        RunOutcome::of(&aborted),
        Some(RunOutcome::Aborted("enough".to_owned()))
    );
    assert_eq!(RunOutcome::of(&details(ActionPhase::Running, 1)), None);
}
