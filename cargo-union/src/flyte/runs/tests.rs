//! Runs at a backend that cuts its streams, falls silent, or refuses.
#![allow(clippy::unwrap_used)]

use std::sync::Mutex;
use std::time::Duration;

use super::fake::{FakeRuns, Says, cut, lock, refusal};
use super::*;
use crate::flyte::idl::Timestamp;
use crate::flyte::idl::common::ActionPhase as Is;
use crate::flyte::idl::logs::dataplane::LogLine;
use crate::flyte::idl::workflow::action_details::Result as Told;
use crate::flyte::idl::workflow::create_run_request::{Id, InputWrapper};
use crate::flyte::idl::workflow::{AbortInfo, ActionAttempt, ActionDetails, ActionStatus, ErrorInfo};
use crate::flyte::rpc::RpcStatus;
use crate::http::retry::RetryPolicy;

fn run() -> RunIdent {
    let scope = ProjectDomain { org: "acme".to_owned(), project: "flytesnacks".to_owned(), domain: "development".to_owned() };
    RunIdent { scope, name: "u1".to_owned() }
}

fn details(phase: Is, attempts: u32) -> ActionDetails {
    let status = ActionStatus { phase: phase.into(), attempts, ..ActionStatus::default() };
    let logged = |attempt| ActionAttempt { attempt, logs_available: true, ..ActionAttempt::default() };
    ActionDetails { status: Some(status), attempts: (1..=attempts).map(logged).collect(), ..ActionDetails::default() }
}

fn lines(lines: &[(i64, &str)]) -> Vec<LogLine> {
    let line = |(seconds, text): &(i64, &str)| LogLine {
        timestamp: Some(Timestamp { seconds: *seconds, nanos: 0 }),
        message: format!("{text}\n"),
        ..LogLine::default()
    };
    lines.iter().map(line).collect()
}

/// Writes down what it hears.
#[derive(Default)]
struct Heard(Mutex<Vec<String>>);

impl Heard {
    fn add(&self, line: String) {
        lock(&self.0).push(line);
    }
}

impl RunListener for Heard {
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

/// Short pauses, in the order of the usual ones.
const QUICK: ReconnectPolicy = ReconnectPolicy {
    retry: RetryPolicy { attempts: 6, first_pause: Duration::from_millis(1), longest_pause: Duration::from_millis(10), jitter: false },
    silence: Duration::from_millis(50),
};

/// Follows a run, and gives how it ended and what was heard.
async fn followed(watched: Vec<Says<ActionDetails>>, tailed: Vec<Says<Vec<LogLine>>>) -> (Result<RunOutcome>, Vec<String>) {
    patiently(QUICK, watched, tailed).await
}

async fn patiently(
    patience: ReconnectPolicy,
    watched: Vec<Says<ActionDetails>>,
    tailed: Vec<Says<Vec<LogLine>>>,
) -> (Result<RunOutcome>, Vec<String>) {
    let fake = FakeRuns { watched: Mutex::new(watched.into()), tailed: Mutex::new(tailed.into()), ..FakeRuns::default() };
    let (heard, run) = (Heard::default(), run());
    let following = follow(&fake, &run, patience, &heard);
    let end = tokio::time::timeout(Duration::from_secs(60), following).await.expect("nothing is waited for in vain");
    (end, heard.0.into_inner().unwrap())
}

#[tokio::test]
async fn phases_and_lines_are_told_until_the_end() {
    let watched =
        vec![Says::Ends(vec![details(Is::Queued, 0), details(Is::Queued, 0), details(Is::Running, 1), details(Is::Succeeded, 1)])];
    let tailed = vec![Says::Ends(vec![lines(&[(1, "a"), (1, "b")]), lines(&[(2, "c")])])];
    let (end, heard) = followed(watched, tailed).await;
    assert_eq!(end.unwrap(), RunOutcome::Succeeded);
    assert_eq!(heard, ["is queued 0", "is running 1", "is succeeded 1", "wrote a", "wrote b", "wrote c"]);
}

#[tokio::test]
async fn a_stream_that_is_cut_or_ends_early_is_taken_up_again() {
    let watched = vec![
        Says::IsCut(vec![details(Is::Queued, 0)]),
        Says::Ends(vec![details(Is::Running, 1)]),
        Says::Refuses(refusal(RpcStatus::Canceled)),
        Says::Ends(vec![details(Is::Succeeded, 1)]),
    ];
    let (end, heard) = followed(watched, vec![Says::Ends(vec![])]).await;
    assert_eq!(end.unwrap(), RunOutcome::Succeeded);
    let expected = ["is queued 0", "lost: the line was cut, 1 ms", "is running 1", "lost: it answered `canceled`, 1 ms", "is succeeded 1"];
    assert_eq!(heard, expected);
}

#[tokio::test]
async fn five_failures_in_a_row_are_borne_and_no_more() {
    let refusals = |count: usize| (0..count).map(|_| Says::Refuses(cut())).collect::<Vec<_>>();
    let mut watched = refusals(5);
    watched.push(Says::IsCut(vec![details(Is::Running, 0)]));
    watched.extend(refusals(4));
    watched.push(Says::Ends(vec![details(Is::Aborted, 0)]));
    let (end, _) = followed(watched, vec![]).await;
    assert_eq!(end.unwrap(), RunOutcome::Aborted(String::new()), "a message starts the count anew");

    let (end, heard) = followed(refusals(6), vec![]).await;
    assert_eq!(end.unwrap_err().chain(), ["could not follow the run `u1`", "the line was cut"]);
    let pauses: Vec<&str> = heard.iter().map(|line| line.rsplit(", ").next().unwrap()).collect();
    assert_eq!(pauses, ["1 ms", "2 ms", "4 ms", "8 ms", "10 ms"]);
}

#[tokio::test]
async fn a_refusal_is_not_tried_again() {
    let (end, heard) = followed(vec![Says::Refuses(refusal(RpcStatus::NotFound))], vec![]).await;
    assert!(end.unwrap_err().chain()[1].contains("not_found"));
    assert_eq!(heard, [""; 0]);
}

#[tokio::test]
async fn a_log_that_is_cut_starts_over_and_no_line_is_told_twice() {
    let watched = vec![Says::Ends(vec![details(Is::Running, 1), details(Is::Succeeded, 1)])];
    let tailed = vec![
        Says::IsCut(vec![lines(&[(1, "a"), (2, "b"), (2, "b")])]),
        Says::Refuses(refusal(RpcStatus::NotFound)),
        Says::Ends(vec![lines(&[(1, "a"), (2, "b")]), lines(&[(2, "b"), (2, "b"), (1, "late"), (3, "c")])]),
    ];
    let (_, heard) = followed(watched, tailed).await;
    let written: Vec<&String> = heard.iter().filter(|line| line.starts_with("wrote")).collect();
    assert_eq!(written, ["wrote a", "wrote b", "wrote b", "wrote b", "wrote late", "wrote c"]);
}

#[tokio::test]
async fn a_log_that_never_ends_is_left_when_the_run_has_ended_and_it_is_silent() {
    let watched = vec![Says::Ends(vec![details(Is::Running, 1), details(Is::Running, 2), details(Is::Failed, 2)])];
    let tailed = vec![Says::FallsSilent(vec![lines(&[(1, "first")])]), Says::FallsSilent(vec![lines(&[(2, "second")])])];
    let (end, heard) = followed(watched, tailed).await;
    assert_eq!(end.unwrap(), RunOutcome::Failed(None));
    assert_eq!(heard[3..], ["wrote first", "wrote second"]);
}

#[tokio::test]
async fn logs_that_cannot_be_had_are_said_once_and_are_no_failure() {
    let watched = vec![Says::Ends(vec![details(Is::Running, 1), details(Is::Succeeded, 1)])];
    let (end, heard) = followed(watched, vec![Says::Refuses(refusal(RpcStatus::Unimplemented))]).await;
    assert_eq!(end.unwrap(), RunOutcome::Succeeded);
    assert_eq!(heard[2..], ["no logs: it answered `unimplemented`"]);
}

#[tokio::test]
async fn a_run_that_never_wrote_anything_is_not_waited_for() {
    let hour = Duration::from_secs(3600);
    let patience = ReconnectPolicy { silence: hour, retry: RetryPolicy { first_pause: hour, ..QUICK.retry } };
    let cached = ActionStatus { phase: Is::Succeeded.into(), cache_status: 2, ..ActionStatus::default() };
    let watched = vec![Says::Ends(vec![ActionDetails { status: Some(cached), ..ActionDetails::default() }])];
    let (end, heard) = patiently(patience, watched, vec![]).await;
    assert_eq!((end.unwrap(), heard), (RunOutcome::Succeeded, vec!["is succeeded 0".to_owned()]));
    let failed = vec![Says::Ends(vec![details(Is::Failed, 0)])];
    let (end, heard) = patiently(patience, failed, vec![Says::Refuses(refusal(RpcStatus::NotFound))]).await;
    assert_eq!((end.unwrap(), heard), (RunOutcome::Failed(None), vec!["is failed 0".to_owned()]));
}

#[tokio::test]
async fn whoever_is_no_longer_told_of_the_run_does_not_wait_for_its_logs() {
    let watched = vec![Says::IsCut(vec![details(Is::Running, 1)]), Says::Refuses(refusal(RpcStatus::PermissionDenied))];
    let (end, heard) = followed(watched, vec![Says::FallsSilent(vec![lines(&[(1, "a")])])]).await;
    assert!(end.unwrap_err().chain()[1].contains("permission_denied"));
    assert!(heard.contains(&"wrote a".to_owned()));
}

#[test]
fn an_end_says_what_went_wrong() {
    let info = ErrorInfo { message: "boom\n".to_owned(), kind: 1, code: "E1".to_owned() };
    let trouble = RunError { message: "boom".to_owned(), kind: "user", code: "E1".to_owned() };
    let failed = ActionDetails { result: Some(Told::ErrorInfo(info.clone())), ..details(Is::Failed, 1) };
    assert_eq!(RunOutcome::of(&failed), Some(RunOutcome::Failed(Some(trouble.clone()))));
    let attempt = ActionAttempt { error_info: Some(info), ..ActionAttempt::default() };
    let late = ActionDetails { attempts: vec![attempt], ..details(Is::TimedOut, 1) };
    assert_eq!(RunOutcome::of(&late), Some(RunOutcome::TimedOut(Some(trouble))));
    let aborted = ActionDetails { result: Some(Told::AbortInfo(AbortInfo { reason: "enough".to_owned() })), ..details(Is::Aborted, 1) };
    assert_eq!(RunOutcome::of(&aborted), Some(RunOutcome::Aborted("enough".to_owned())));
    assert_eq!(RunOutcome::of(&details(Is::Running, 1)), None);
}

#[tokio::test]
async fn inputs_go_ahead_of_the_run_or_with_it() {
    for takes_no_uploads in [false, true] {
        let fake = FakeRuns { takes_no_uploads, ..FakeRuns::default() };
        let task = TaskVersion { scope: run().scope, name: "train".to_owned(), version: "v1".to_owned() };
        let order = RunRequest { run: run(), task, inputs: Vec::new(), queue: "gpu".to_owned(), cache: CacheOptions::default() };
        create(&fake, &order).await.unwrap();
        let request = lock(&fake.created).remove(0);
        assert_eq!(request.id, Some(Id::RunId(run().id())));
        assert_eq!(request.run_spec.unwrap().queue, "gpu");
        assert_eq!(matches!(request.input_wrapper, Some(InputWrapper::Inputs(_))), takes_no_uploads);
    }
}

#[test]
fn a_name_is_a_label_of_dns_and_another_each_time() {
    let (one, other) = (new_name().unwrap(), new_name().unwrap());
    assert_ne!(one, other);
    assert!(one.len() == 20 && one.starts_with('u') && one.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()), "{one}");
}
