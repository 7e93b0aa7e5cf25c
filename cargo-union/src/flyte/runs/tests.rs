//! Following runs when streams are interrupted, stay open or are refused.
#![allow(clippy::unwrap_used)]

use std::sync::Mutex;
use std::time::Duration;

use super::events::WaitMonitor;
use super::fake::{FakeRuns, Script, cut, lock, refusal};
use super::*;
use crate::flyte::idl::common::ActionPhase;
use crate::flyte::idl::logs::dataplane::LogLine;
use crate::flyte::idl::workflow;
use crate::flyte::idl::workflow::action_details::Result as ActionResult;
use crate::flyte::idl::workflow::action_metadata::Spec;
use crate::flyte::idl::workflow::create_run_request::{Id, InputWrapper};
use crate::flyte::idl::workflow::{
    AbortInfo, ActionAttempt, ActionDetails, ActionStatus, ErrorInfo,
};
use crate::flyte::idl::{Timestamp, core, task};
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
        message: format!("{text}\n").into_bytes(),
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
    fn state_changed(&self, state: RunState) {
        self.add(format!("is {} {}", state.phase, state.attempt));
    }

    fn log_line(&self, line: &TaskLogLine) {
        self.add(format!("wrote {}", line.text));
    }

    fn reconnecting(&self, why: &str, after: Duration) {
        self.add(format!("lost: {why}, {} ms", after.as_millis()));
    }

    fn logs_unavailable(&self, attempt: u32, why: &str) {
        self.add(format!("no logs of {attempt}: {why}"));
    }

    fn cluster_event(&self, event: &ClusterEvent) {
        self.add(format!("waits: {}", event.text()));
    }

    fn reports_actions(&self) -> bool {
        true
    }

    fn action_ended(&self, step: &ActionSummary) {
        self.add(format!("step {} {}", step.title, step.state.phase));
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
    patience: Duration::from_millis(1),
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
    follow_fake(policy, fake).await
}

async fn follow_fake(policy: ReconnectPolicy, fake: FakeRuns) -> (Result<RunOutcome>, Vec<String>) {
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
        silence: hour,
        patience: hour,
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

#[tokio::test]
async fn waiting_run_tells_its_newest_event_once_per_change() {
    let mut waiting = details(ActionPhase::Initializing, 1);
    waiting.attempts[0].cluster_events = vec![
        event(5, "Failed", "Failed to pull image \"a\": not found"),
        event(4, "Pulling", "Pulling image \"a\""),
        event(6, "BackOff", "Back-off pulling image \"a\""),
    ];
    let fake = FakeRuns {
        // Nothing comes over the stream while the events change.
        watched: Mutex::new(
            vec![Script::StaysOpen(vec![details(
                ActionPhase::Initializing,
                1,
            )])]
            .into(),
        ),
        details: Mutex::new(waiting),
        ..FakeRuns::default()
    };
    let listener = RecordingListener::default();
    let run = run();
    let following = follow(&fake, &run, QUICK, &listener);
    // The run never ends; the event is looked at again and again.
    let ended = tokio::time::timeout(Duration::from_millis(200), following).await;
    assert!(ended.is_err());
    assert_eq!(
        listener.0.into_inner().unwrap(),
        [
            "is starting 1",
            "waits: Failed: Failed to pull image \"a\": not found"
        ]
    );
}

#[tokio::test]
async fn container_that_is_started_again_and_again_is_reported_once_with_its_log() {
    let states = [
        ActionPhase::Queued,
        ActionPhase::Initializing,
        ActionPhase::Queued,
        ActionPhase::Initializing,
        ActionPhase::Queued,
        ActionPhase::Initializing,
        ActionPhase::Queued,
        ActionPhase::Aborted,
    ];
    let watched = states.map(|phase| details(phase, 1)).to_vec();
    let hour = Duration::from_secs(3600);
    let policy = ReconnectPolicy {
        patience: hour,
        ..QUICK
    };
    let (_, events) = follow_with_policy(
        policy,
        vec![Script::Ends(watched)],
        vec![Script::Ends(vec![lines(&[(1, "exit 7")])])],
    )
    .await;
    let said = |start: &str| {
        events
            .iter()
            .filter(|line| line.starts_with(start))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        said("waits"),
        [
            "waits: CrashLoopBackOff: its container ends and is started again, and the attempt stays the same"
        ]
    );
    assert_eq!(said("wrote"), ["wrote exit 7"]);

    // The next attempt is not a restart, and neither is a step back.
    let states = [
        (ActionPhase::Running, 1),
        (ActionPhase::Queued, 2),
        (ActionPhase::Running, 2),
        (ActionPhase::Queued, 2),
        (ActionPhase::Running, 3),
        (ActionPhase::Queued, 3),
        (ActionPhase::Failed, 3),
    ];
    let watched = states
        .map(|(phase, attempt)| details(phase, attempt))
        .to_vec();
    let (_, events) = follow_with_policy(
        policy,
        vec![Script::Ends(watched)],
        vec![
            Script::Ends(vec![]),
            Script::Ends(vec![]),
            Script::Ends(vec![]),
        ],
    )
    .await;
    assert!(
        !events.iter().any(|line| line.starts_with("waits")),
        "{events:?}"
    );
}

#[test]
fn events_are_looked_at_after_the_patience_and_only_while_the_run_waits() {
    let mut waiting = details(ActionPhase::Queued, 1);
    let start = std::time::Instant::now();
    let after = |seconds| start + Duration::from_secs(seconds);
    let mut monitor = WaitMonitor::new(Duration::from_secs(3));
    monitor.observe(RunState::of(&waiting), start);
    waiting.attempts[0].cluster_events = vec![event(1, "FailedScheduling", "no node")];
    assert_eq!(monitor.look(&waiting, after(2)), None);
    // A further state of waiting does not start the time again.
    monitor.observe(
        RunState::of(&details(ActionPhase::Initializing, 1)),
        after(2),
    );
    assert_eq!(
        monitor.look(&waiting, after(3)).map(|event| event.text()),
        Some("FailedScheduling: no node".to_owned())
    );
    assert_eq!(monitor.look(&waiting, after(6)), None, "it was reported");
    waiting.attempts[0]
        .cluster_events
        .push(event(2, "", "another"));
    assert_eq!(
        monitor.look(&waiting, after(7)),
        None,
        "not before 3 s more"
    );
    waiting.attempts[0]
        .cluster_events
        .push(event(3, "Scheduled", "to a node\u{1b}[2J"));
    assert_eq!(
        monitor.look(&waiting, after(9)).map(|event| event.text()),
        Some("Scheduled: to a node[2J".to_owned())
    );
    monitor.observe(RunState::of(&details(ActionPhase::Running, 1)), after(9));
    assert_eq!(monitor.due(), None);
    waiting.attempts[0]
        .cluster_events
        .push(event(3, "Late", "late"));
    assert_eq!(monitor.look(&waiting, after(99)), None);
}

#[test]
fn event_of_a_known_cause_stays_until_the_cluster_says_progress() {
    let said = |events: &[(i64, &str, &str)]| {
        let mut waiting = details(ActionPhase::Initializing, 1);
        waiting.attempts[0].cluster_events = events
            .iter()
            .map(|(time, reason, message)| event(*time, reason, message))
            .collect();
        let now = std::time::Instant::now();
        let mut monitor = WaitMonitor::new(Duration::ZERO);
        monitor.observe(RunState::of(&waiting), now);
        monitor.look(&waiting, now).map(|event| event.text())
    };
    let unschedulable = (
        1,
        "Unschedulable",
        "0/1 nodes are available: 1 Insufficient cpu",
    );
    assert_eq!(said(&[]), None);
    assert_eq!(
        said(&[unschedulable, (2, "Other", "other")]).unwrap(),
        "Unschedulable: 0/1 nodes are available: 1 Insufficient cpu"
    );
    assert_eq!(
        said(&[unschedulable, (2, "Scheduled", "to a node")]).unwrap(),
        "Scheduled: to a node"
    );
    assert_eq!(
        said(&[
            (3, "Failed", "Error: ErrImagePull"),
            (2, "Failed", "Failed to pull image a: 401 Unauthorized"),
            (1, "Pulling", "Pulling image a"),
        ])
        .unwrap(),
        "Failed: Failed to pull image a: 401 Unauthorized"
    );
}

fn event(seconds: i64, reason: &str, message: &str) -> workflow::ClusterEvent {
    workflow::ClusterEvent {
        occurred_at: Some(Timestamp { seconds, nanos: 0 }),
        reason: reason.to_owned(),
        message: message.to_owned(),
        count: 1,
    }
}

#[tokio::test]
async fn steps_are_reported_when_they_end_and_those_that_were_missed_at_the_end() {
    let root = action(
        "a0",
        "",
        Spec::Task(workflow::TaskActionMetadata::default()),
        ActionPhase::Running,
    );
    let trace = |name: &str, phase| {
        let spec = Spec::Trace(workflow::TraceActionMetadata {
            name: format!("{name}\u{1b}"),
        });
        action(name, "a0", spec, phase)
    };
    let fake = FakeRuns {
        watched: Mutex::new(
            vec![
                Script::Ends(vec![details(ActionPhase::Running, 1)]),
                Script::Ends(vec![details(ActionPhase::Succeeded, 1)]),
            ]
            .into(),
        ),
        tailed: Mutex::new(vec![Script::StaysOpen(vec![])].into()),
        changes: Mutex::new(
            vec![Script::StaysOpen(vec![
                vec![root.clone(), trace("one", ActionPhase::Running)],
                vec![trace("one", ActionPhase::Succeeded)],
            ])]
            .into(),
        ),
        actions: Mutex::new(vec![
            workflow::ListActionsResponse {
                actions: vec![root, trace("one", ActionPhase::Succeeded)],
                token: "1".to_owned(),
            },
            workflow::ListActionsResponse {
                actions: vec![trace("two", ActionPhase::Failed)],
                token: String::new(),
            },
        ]),
        ..FakeRuns::default()
    };
    let (_, events) = follow_fake(QUICK, fake).await;
    let steps: Vec<_> = events
        .iter()
        .filter(|line| line.starts_with("step"))
        .collect();
    assert_eq!(steps, ["step one succeeded", "step two failed"]);
    assert_eq!(events.last().unwrap(), "is succeeded 1");
}

#[tokio::test]
async fn actions_of_a_container_task_are_not_requested() {
    let template = core::TaskTemplate {
        r#type: "raw-container".to_owned(),
        ..core::TaskTemplate::default()
    };
    let spec = task::TaskSpec {
        task_template: Some(template),
        ..task::TaskSpec::default()
    };
    let of_container = |phase| ActionDetails {
        spec: Some(workflow::action_details::Spec::Task(spec.clone())),
        ..details(phase, 1)
    };
    let trace = Spec::Trace(workflow::TraceActionMetadata::default());
    let step = action("one", "a0", trace, ActionPhase::Succeeded);
    let fake = FakeRuns {
        watched: Mutex::new(
            vec![
                Script::Ends(vec![of_container(ActionPhase::Running)]),
                Script::Ends(vec![of_container(ActionPhase::Succeeded)]),
            ]
            .into(),
        ),
        tailed: Mutex::new(vec![Script::StaysOpen(vec![])].into()),
        changes: Mutex::new(vec![Script::StaysOpen(vec![vec![step]])].into()),
        ..FakeRuns::default()
    };
    let (_, events) = follow_fake(QUICK, fake).await;
    assert_eq!(events, ["is running 1", "is succeeded 1"]);
}

fn action(name: &str, parent: &str, spec: Spec, phase: ActionPhase) -> workflow::Action {
    workflow::Action {
        id: Some(run().action(name).id()),
        metadata: Some(workflow::ActionMetadata {
            parent: parent.to_owned(),
            spec: Some(spec),
        }),
        status: Some(ActionStatus {
            phase: phase.into(),
            ..ActionStatus::default()
        }),
    }
}

#[test]
fn actions_form_a_tree_also_when_parents_are_missing_or_in_a_circle() {
    let task = |name: &str, parent: &str| {
        let spec = Spec::Task(workflow::TaskActionMetadata::default());
        ActionSummary::of(action(name, parent, spec, ActionPhase::Running))
    };
    let tree = |actions: &[ActionSummary]| -> Vec<String> {
        action_tree(actions)
            .into_iter()
            .map(|(depth, action)| format!("{}{}", "-".repeat(depth), action.name))
            .collect()
    };
    let actions = [
        task("b", "a0"),
        task("c", "b"),
        task("a0", ""),
        task("d", "a0"),
        task("orphan", "gone"),
    ];
    assert_eq!(tree(&actions), ["a0", "-b", "--c", "-d", "orphan"]);
    let circle = [
        task("x", "y"),
        task("y", "x"),
        task("self", "self"),
        task("self", "self"),
    ];
    assert_eq!(tree(&circle).len(), 4);
    let many: Vec<_> = (0..100_000)
        .map(|number| task(&format!("n{number}"), &format!("n{}", number - 1)))
        .collect();
    assert_eq!(action_tree(&many).len(), many.len());
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
