//! Events of the cluster while a run waits.

use super::*;
use crate::flyte::runs::events::WaitMonitor;

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
        wait_interval: hour,
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
    assert_eq!(monitor.due_event(&waiting, after(2)), None);
    // A further state of waiting does not start the time again.
    monitor.observe(
        RunState::of(&details(ActionPhase::Initializing, 1)),
        after(2),
    );
    assert_eq!(
        monitor
            .due_event(&waiting, after(3))
            .map(|event| event.text()),
        Some("FailedScheduling: no node".to_owned())
    );
    assert_eq!(
        monitor.due_event(&waiting, after(6)),
        None,
        "it was reported"
    );
    waiting.attempts[0]
        .cluster_events
        .push(event(2, "", "another"));
    assert_eq!(
        monitor.due_event(&waiting, after(7)),
        None,
        "not before 3 s more"
    );
    waiting.attempts[0]
        .cluster_events
        .push(event(3, "Scheduled", "to a node\u{1b}[2J"));
    assert_eq!(
        monitor
            .due_event(&waiting, after(9))
            .map(|event| event.text()),
        Some("Scheduled: to a node[2J".to_owned())
    );
    monitor.observe(RunState::of(&details(ActionPhase::Running, 1)), after(9));
    assert_eq!(monitor.due(), None);
    waiting.attempts[0]
        .cluster_events
        .push(event(3, "Late", "late"));
    assert_eq!(monitor.due_event(&waiting, after(99)), None);
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
        monitor.due_event(&waiting, now).map(|event| event.text())
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
