//! The actions of a run: steps that end, and their tree.

use super::*;
use crate::flyte::idl::workflow::action_metadata::Spec;
use crate::flyte::idl::{core, task};

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
