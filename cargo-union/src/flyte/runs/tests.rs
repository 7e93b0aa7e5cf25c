//! Creating and following runs at a backend whose answers are scripted.
#![allow(clippy::unwrap_used)]

use std::sync::Mutex;
use std::time::Duration;

use super::fake::{FakeRuns, Script, lock, refusal};
use super::*;
use crate::flyte::idl::Timestamp;
use crate::flyte::idl::common::ActionPhase;
use crate::flyte::idl::logs::dataplane::LogLine;
use crate::flyte::idl::workflow;
use crate::flyte::idl::workflow::{ActionAttempt, ActionDetails, ActionStatus};
use crate::flyte::rpc::RpcStatus;
use crate::http::retry::RetryPolicy;

mod action_steps;
mod cluster_events;
mod creation;
mod log_lines;
mod states;

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
    log_timeout: Duration::from_millis(50),
    wait_interval: Duration::from_millis(1),
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
