//! Log lines while a run is followed: streams that are interrupted, stay open, are refused or are gone.

use super::*;

#[tokio::test]
async fn interrupted_log_is_resumed_without_duplicate_lines() {
    let watched = vec![Script::Ends(vec![
        details(ActionPhase::Running, 1),
        details(ActionPhase::Succeeded, 1),
    ])];
    let tailed = vec![
        Script::IsCut(vec![lines(&[(1, "a"), (2, "b"), (2, "b")])]),
        Script::Refuses(refusal(RpcStatus::NotFound)),
        Script::Ends(vec![
            lines(&[(1, "a"), (2, "b")]),
            lines(&[(2, "b"), (2, "b"), (1, "late"), (3, "c")]),
        ]),
    ];
    let (_, events) = follow_run(watched, tailed).await;
    let written: Vec<&String> = events
        .iter()
        .filter(|line| line.starts_with("wrote"))
        .collect();
    assert_eq!(
        written,
        [
            "wrote a",
            "wrote b",
            "wrote b",
            "wrote b",
            "wrote late",
            "wrote c"
        ]
    );
}

#[tokio::test]
async fn open_log_is_closed_after_the_log_timeout() {
    let watched = vec![Script::Ends(vec![
        details(ActionPhase::Running, 1),
        details(ActionPhase::Running, 2),
        details(ActionPhase::Failed, 2),
    ])];
    let tailed = vec![
        Script::StaysOpen(vec![lines(&[(1, "first")])]),
        Script::StaysOpen(vec![lines(&[(2, "second")])]),
    ];
    let (end, events) = follow_run(watched, tailed).await;
    assert_eq!(end.unwrap(), RunOutcome::Failed(None));
    assert_eq!(
        events,
        [
            "is running 1",
            "wrote first",
            "is running 2",
            "wrote second",
            "is failed 2"
        ]
    );
}

#[tokio::test]
async fn log_that_ends_with_the_run_is_completed_without_a_pause() {
    let policy = ReconnectPolicy {
        retry: RetryPolicy {
            first_pause: Duration::from_secs(600),
            longest_pause: Duration::from_secs(600),
            ..QUICK.retry
        },
        ..QUICK
    };
    let milliseconds = Duration::from_millis;
    let watched = vec![Script::Paced(vec![
        (milliseconds(0), details(ActionPhase::Running, 1)),
        (milliseconds(20), details(ActionPhase::Succeeded, 1)),
    ])];
    let log = lines(&[(1, "all")]);
    // It ends just after the run, which had not ended when it was opened.
    let tailed = vec![
        Script::Paced(vec![
            (milliseconds(5), log.clone()),
            (milliseconds(30), Vec::new()),
        ]),
        Script::Ends(vec![log]),
    ];
    let (end, events) = follow_with_policy(policy, watched, tailed).await;
    assert_eq!(end.unwrap(), RunOutcome::Succeeded);
    assert_eq!(events, ["is running 1", "wrote all", "is succeeded 1"]);
}

#[tokio::test]
async fn unavailable_logs_are_reported_once_and_are_not_an_error() {
    let watched = vec![Script::Ends(vec![
        details(ActionPhase::Running, 1),
        details(ActionPhase::Succeeded, 1),
    ])];
    let (end, events) = follow_run(
        watched,
        vec![Script::Refuses(refusal(RpcStatus::Unimplemented))],
    )
    .await;
    assert_eq!(end.unwrap(), RunOutcome::Succeeded);
    assert_eq!(
        events[1..],
        [
            "no logs of 1: it answered `unimplemented`",
            "is succeeded 1"
        ]
    );
}

#[tokio::test]
async fn logs_of_a_run_that_never_started_are_not_awaited() {
    let hour = Duration::from_secs(3600);
    let policy = ReconnectPolicy {
        log_timeout: hour,
        wait_interval: hour,
        retry: RetryPolicy {
            first_pause: hour,
            ..QUICK.retry
        },
    };
    let cached = ActionStatus {
        phase: ActionPhase::Succeeded.into(),
        cache_status: 2,
        ..ActionStatus::default()
    };
    let watched = vec![Script::Ends(vec![ActionDetails {
        status: Some(cached),
        ..ActionDetails::default()
    }])];
    let (end, events) = follow_with_policy(policy, watched, vec![]).await;
    assert_eq!(
        (end.unwrap(), events),
        (RunOutcome::Succeeded, vec!["is succeeded 0".to_owned()])
    );
    let failed = vec![Script::Ends(vec![details(ActionPhase::Failed, 0)])];
    let (end, events) = follow_with_policy(
        policy,
        failed,
        vec![Script::Refuses(refusal(RpcStatus::NotFound))],
    )
    .await;
    assert_eq!(
        (end.unwrap(), events),
        (RunOutcome::Failed(None), vec!["is failed 0".to_owned()])
    );
}

#[tokio::test]
async fn logs_end_when_the_run_cannot_be_watched() {
    let watched = vec![
        Script::IsCut(vec![details(ActionPhase::Running, 1)]),
        Script::Refuses(refusal(RpcStatus::PermissionDenied)),
    ];
    let (end, events) =
        follow_run(watched, vec![Script::StaysOpen(vec![lines(&[(1, "a")])])]).await;
    assert!(end.unwrap_err().chain()[1].contains("permission_denied"));
    assert!(events.contains(&"wrote a".to_owned()));
}

#[tokio::test]
async fn log_of_a_later_attempt_is_shown_when_that_of_an_earlier_one_is_gone() {
    let watched = vec![Script::Ends(vec![
        details(ActionPhase::Running, 1),
        details(ActionPhase::Queued, 2),
        details(ActionPhase::Running, 2),
        details(ActionPhase::Succeeded, 2),
    ])];
    // It is asked for once more only: meanwhile the next attempt runs.
    let tailed = vec![
        Script::Refuses(refusal(RpcStatus::NotFound)),
        Script::Refuses(refusal(RpcStatus::NotFound)),
        Script::Ends(vec![lines(&[(2, "second")])]),
    ];
    let (_, events) = follow_run(watched, tailed).await;
    assert_eq!(
        events,
        [
            "is running 1",
            "no logs of 1: it answered `not_found`",
            "is queued 2",
            "is running 2",
            "wrote second",
            "is succeeded 2"
        ]
    );
}

#[tokio::test]
async fn log_that_was_shown_and_is_gone_then_is_no_warning() {
    let mut internal = refusal(RpcStatus::Internal);
    internal.cause = "it answered `internal`: failed to stream pod logs: pods not found".to_owned();
    for gone in [refusal(RpcStatus::NotFound), internal] {
        for is_cut in [false, true] {
            let watched = vec![
                Script::Ends(vec![details(ActionPhase::Running, 1)]),
                Script::Ends(vec![details(ActionPhase::Failed, 1)]),
            ];
            let log = vec![lines(&[(1, "a")])];
            let log = if is_cut {
                Script::IsCut(log)
            } else {
                Script::Ends(log)
            };
            let refusals = (0..9).map(|_| {
                let mut refusal = refusal(gone.status().unwrap());
                refusal.cause.clone_from(&gone.cause);
                Script::Refuses(refusal)
            });
            let tailed = std::iter::once(log).chain(refusals).collect();
            let (_, events) = follow_run(watched, tailed).await;
            assert_eq!(events, ["is running 1", "wrote a", "is failed 1"]);
        }
    }
}

#[tokio::test]
async fn log_lines_come_after_the_program_was_reported_to_run() {
    // The backend has logs before it says that the program runs.
    let mut starting = details(ActionPhase::Initializing, 1);
    starting.attempts[0].logs_available = true;
    let watched = vec![
        Script::Ends(vec![starting]),
        Script::Ends(vec![
            details(ActionPhase::Running, 1),
            details(ActionPhase::Succeeded, 1),
        ]),
    ];
    let tailed = vec![Script::StaysOpen(vec![lines(&[(1, "a")])])];
    let (_, events) = follow_run(watched, tailed).await;
    assert_eq!(
        events,
        ["is starting 1", "is running 1", "wrote a", "is succeeded 1"]
    );
}

#[tokio::test]
async fn bytes_that_are_not_utf_8_are_shown_as_replacement_characters() {
    let watched = vec![Script::Ends(vec![
        details(ActionPhase::Running, 1),
        details(ActionPhase::Succeeded, 1),
    ])];
    let line = LogLine {
        message: b"caf\xe9\r\n".to_vec(),
        ..LogLine::default()
    };
    let (_, events) = follow_run(watched, vec![Script::Ends(vec![vec![line]])]).await;
    assert_eq!(events[1], "wrote caf\u{fffd}");
}
