//! Runs as the backend reports them.

use super::*;
use crate::flyte::flyte1::phases;
use crate::flyte::idl::v1::admin::{Execution, ExecutionClosure, TaskExecution};

fn execution(phase: v1::workflow_execution::Phase) -> Execution {
    Execution {
        id: Some(v1::WorkflowExecutionIdentifier {
            name: "u1".to_owned(),
            ..Default::default()
        }),
        spec: Some(admin::ExecutionSpec {
            launch_plan: Some(v1::Identifier {
                name: ".flytegen.app".to_owned(),
                version: "v1".to_owned(),
                ..Default::default()
            }),
            ..Default::default()
        }),
        closure: Some(ExecutionClosure {
            phase: phase.into(),
            ..Default::default()
        }),
    }
}

fn attempt(retry: u32, phase: v1::task_execution::Phase) -> TaskExecution {
    TaskExecution {
        id: Some(v1::TaskExecutionIdentifier {
            retry_attempt: retry,
            ..Default::default()
        }),
        closure: Some(admin::TaskExecutionClosure {
            phase: phase.into(),
            ..Default::default()
        }),
    }
}

#[test]
fn run_phase_follows_the_last_attempt_until_the_run_ends() {
    use crate::flyte::idl::common::ActionPhase;
    use v1::task_execution::Phase as Task;
    use v1::workflow_execution::Phase as Run;
    for (run, attempts, phase, count) in [
        (Run::Undefined, vec![], ActionPhase::Queued, 0),
        (Run::Queued, vec![], ActionPhase::Queued, 0),
        (Run::Running, vec![], ActionPhase::Queued, 0),
        (Run::Running, vec![Task::Queued], ActionPhase::Queued, 1),
        (
            Run::Running,
            vec![Task::WaitingForResources],
            ActionPhase::WaitingForResources,
            1,
        ),
        (
            Run::Running,
            vec![Task::Initializing],
            ActionPhase::Initializing,
            1,
        ),
        (Run::Running, vec![Task::Running], ActionPhase::Running, 1),
        (
            Run::Running,
            vec![Task::RetryableFailed, Task::Initializing],
            ActionPhase::Initializing,
            2,
        ),
        (
            Run::Running,
            vec![Task::RetryableFailed],
            ActionPhase::Running,
            1,
        ),
        (
            Run::Succeeding,
            vec![Task::Succeeded],
            ActionPhase::Running,
            1,
        ),
        (
            Run::Succeeded,
            vec![Task::Succeeded],
            ActionPhase::Succeeded,
            1,
        ),
        (Run::Failing, vec![Task::Failed], ActionPhase::Running, 1),
        (
            Run::Failed,
            vec![Task::Failed, Task::Failed],
            ActionPhase::Failed,
            2,
        ),
        (Run::Aborting, vec![Task::Running], ActionPhase::Running, 1),
        (Run::Aborted, vec![Task::Aborted], ActionPhase::Aborted, 1),
        (Run::TimedOut, vec![], ActionPhase::TimedOut, 0),
    ] {
        let attempts: Vec<TaskExecution> = (0..)
            .zip(attempts)
            .map(|(retry, phase)| attempt(retry, phase))
            .collect();
        let details = phases::details(&execution(run), &attempts, false);
        let status = details.status.unwrap();
        assert_eq!(
            (status.phase(), status.attempts),
            (phase, count),
            "{run:?} {attempts:?}"
        );
        assert_eq!(
            phases::is_over(&execution(run)),
            matches!(
                run,
                Run::Succeeded | Run::Failed | Run::Aborted | Run::TimedOut
            )
        );
    }
}

#[test]
fn run_details_have_task_error_and_abort_reason() {
    use crate::flyte::idl::workflow::action_details::Result as ActionResult;
    use crate::flyte::idl::workflow::action_metadata::Spec;
    let mut failed = execution(v1::workflow_execution::Phase::Failed);
    let closure = failed.closure.as_mut().unwrap();
    closure.output_result = Some(admin::execution_closure::OutputResult::Error(
        v1::ExecutionError {
            code: "RetriesExhausted|Interrupted".to_owned(),
            message: "exit code (3)".to_owned(),
            kind: v1::execution_error::ErrorKind::System.into(),
        },
    ));
    let details = phases::details(&failed, &[], false);
    let Some(ActionResult::ErrorInfo(error)) = details.result else {
        panic!("{details:?}")
    };
    assert_eq!(
        (error.code.as_str(), error.message.as_str(), error.kind),
        ("RetriesExhausted|Interrupted", "exit code (3)", 2)
    );
    let Some(Spec::Task(task)) = details.metadata.unwrap().spec else {
        panic!("no task")
    };
    let id = task.id.unwrap();
    assert_eq!((id.name.as_str(), id.version.as_str()), ("app", "v1"));
    let mut aborted = execution(v1::workflow_execution::Phase::Aborted);
    aborted.closure.as_mut().unwrap().output_result = Some(
        admin::execution_closure::OutputResult::AbortMetadata(admin::AbortMetadata {
            cause: "enough".to_owned(),
            principal: String::new(),
        }),
    );
    let details = phases::details(&aborted, &[], false);
    assert!(
        matches!(&details.result, Some(ActionResult::AbortInfo(info)) if info.reason == "enough"),
        "{details:?}"
    );
}
