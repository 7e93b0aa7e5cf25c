//! Following runs when streams are interrupted, stay open or are refused.
#![allow(clippy::unwrap_used)]

use std::sync::Mutex;
use std::time::Duration;

use super::fake::{FakeRuns, Script, cut, lock, refusal};
use super::*;
use crate::flyte::idl::Timestamp;
use crate::flyte::idl::common::ActionPhase;
use crate::flyte::idl::logs::dataplane::LogLine;
use crate::flyte::idl::workflow::action_details::Result as ActionResult;
use crate::flyte::idl::workflow::create_run_request::{Id, InputWrapper};
use crate::flyte::idl::workflow::{
    AbortInfo, ActionAttempt, ActionDetails, ActionStatus, ErrorInfo,
};
use crate::flyte::rpc::RpcStatus;
use crate::http::retry::RetryPolicy;

fn run() -> RunIdent {
    let scope = ProjectDomain {
        org: "acme".to_owned(),
        project: "flytesnacks".to_owned(),
        domain: "development".to_owned(),
    };
    RunIdent {
        scope,
        name: "u1".to_owned(),
    }
}

fn details(phase: ActionPhase, attempts: u32) -> ActionDetails {
    let status = ActionStatus {
        phase: phase.into(),
        attempts,
        ..ActionStatus::default()
    };
    let logged = |attempt| ActionAttempt {
        attempt,
        logs_available: true,
        ..ActionAttempt::default()
    };
    ActionDetails {
        status: Some(status),
        attempts: (1..=attempts).map(logged).collect(),
        ..ActionDetails::default()
    }
}

fn lines(lines: &[(i64, &str)]) -> Vec<LogLine> {
    let line = |(seconds, text): &(i64, &str)| LogLine {
        timestamp: Some(Timestamp {
            seconds: *seconds,
            nanos: 0,
        }),
        message: format!("{text}\n"),
        ..LogLine::default()
    };
    lines.iter().map(line).collect()
}

/// Records all events as text.
#[derive(Default)]
struct RecordingListener(Mutex<Vec<String>>);

impl RecordingListener {
    fn add(&self, line: String) {
        lock(&self.0).push(line);
    }
}

impl RunListener for RecordingListener {
    fn is(&self, state: RunState) {
        self.add(format!("is {} {}", state.phase, state.attempt));
    }

    fn wrote(&self, line: &TaskLogLine) {
        self.add(format!("wrote {}", line.text));
    }

    fn lost(&self, why: &str, after: Duration) {
        self.add(format!("lost: {why}, {} ms", after.as_millis()));
    }

    fn no_logs(&self, why: &str) {
        self.add(format!("no logs: {why}"));
    }
}

/// A policy with short pauses.
const QUICK: ReconnectPolicy = ReconnectPolicy {
    retry: RetryPolicy {
        attempts: 6,
        first_pause: Duration::from_millis(1),
        longest_pause: Duration::from_millis(10),
        jitter: false,
    },
    silence: Duration::from_millis(50),
};

/// Follows a run; returns the outcome and the recorded events.
async fn follow_run(
    watched: Vec<Script<ActionDetails>>,
    tailed: Vec<Script<Vec<LogLine>>>,
) -> (Result<RunOutcome>, Vec<String>) {
    follow_with_policy(QUICK, watched, tailed).await
}

async fn follow_with_policy(
    policy: ReconnectPolicy,
    watched: Vec<Script<ActionDetails>>,
    tailed: Vec<Script<Vec<LogLine>>>,
) -> (Result<RunOutcome>, Vec<String>) {
    let fake = FakeRuns {
        watched: Mutex::new(watched.into()),
        tailed: Mutex::new(tailed.into()),
        ..FakeRuns::default()
    };
    let events = RecordingListener::default();
    let run = run();
    let following = follow(&fake, &run, policy, &events);
    let outcome = tokio::time::timeout(Duration::from_secs(60), following)
        .await
        .expect("follow does not hang");
    (outcome, events.0.into_inner().unwrap())
}

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
            "is succeeded 1",
            "wrote a",
            "wrote b",
            "wrote c"
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
async fn open_log_is_closed_after_the_silence_limit() {
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
    assert_eq!(events[3..], ["wrote first", "wrote second"]);
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
    assert_eq!(events[2..], ["no logs: it answered `unimplemented`"]);
}

#[tokio::test]
async fn logs_of_a_run_that_never_started_are_not_awaited() {
    let hour = Duration::from_secs(3600);
    let policy = ReconnectPolicy {
        silence: hour,
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

#[tokio::test]
async fn inputs_are_uploaded_or_sent_with_the_run() {
    for takes_no_uploads in [false, true] {
        let fake = FakeRuns {
            takes_no_uploads,
            ..FakeRuns::default()
        };
        let task = TaskVersion {
            scope: run().scope,
            name: "train".to_owned(),
            version: "v1".to_owned(),
        };
        let order = RunRequest {
            run: run(),
            task,
            inputs: Vec::new(),
            queue: "gpu".to_owned(),
            cache: CacheOptions::default(),
        };
        create(&fake, &order).await.unwrap();
        let request = lock(&fake.created).remove(0);
        assert_eq!(request.id, Some(Id::RunId(run().id())));
        assert_eq!(request.run_spec.unwrap().queue, "gpu");
        assert_eq!(
            matches!(request.input_wrapper, Some(InputWrapper::Inputs(_))),
            takes_no_uploads
        );
    }
}

#[test]
fn run_name_is_a_unique_dns_label() {
    let first = new_name().unwrap();
    let second = new_name().unwrap();
    assert_ne!(first, second);
    assert!(
        first.len() == 20
            && first.starts_with('u')
            && first
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()),
        "{first}"
    );
}
