//! Converts the triggers of a task.

use union_build::key::{Inputs, Value};
use union_build::spec::task::{Schedule, Task, Trigger};
use union_build::spec::types::Type;

use super::TaskSource;
use super::literal::{LiteralForm, literal, nothing};
use crate::flyte::idl::Message as _;
use crate::flyte::idl::task::trigger_automation_spec::Automation;
use crate::flyte::idl::task::{
    self, FixedRateUnit, TriggerAutomationSpecType, schedule, task_trigger_spec,
};
use crate::flyte::interface::Interface;

/// A trigger of a task. Its values must have been checked by [`validate_triggers`].
pub(super) fn trigger(trigger: &Trigger, subject: &TaskSource<'_>) -> task::TaskTrigger {
    let queue = subject
        .task
        .queue
        .as_ref()
        .map(|queue| queue.value.clone())
        .unwrap_or_default();
    task::TaskTrigger {
        name: trigger.key.clone(),
        spec: Some(task::TaskTriggerSpec {
            active: trigger.active,
            input_wrapper: Some(task_trigger_spec::InputWrapper::Inputs(inputs(
                trigger, subject,
            ))),
            run_spec: Some(task::RunSpec {
                queue,
                ..task::RunSpec::default()
            }),
            description: trigger
                .description
                .as_ref()
                .map(|text| text.value.clone())
                .unwrap_or_default(),
        }),
        automation_spec: Some(task::TriggerAutomationSpec {
            r#type: TriggerAutomationSpecType::TypeSchedule.into(),
            automation: Some(Automation::Schedule(schedule(trigger))),
        }),
    }
}

/// The prefix of the tags of triggers; the name of the trigger follows.
const TAG_PREFIX: &str = "union.trigger.";

/// The tags of a task's triggers: the name of each, with its hash. The backend returns a task without its triggers, so the
/// tags show a change of a trigger, and which triggers a version has declared.
pub(super) fn tags(subject: &TaskSource<'_>) -> impl Iterator<Item = (String, String)> {
    let tag = |declared: &Trigger| {
        let mut inputs = Inputs::new();
        let hash = Value::hash_of(trigger(declared, subject).encode_to_vec());
        inputs.insert("trigger", hash);
        let name = format!("{TAG_PREFIX}{}", declared.key);
        (name, inputs.key("trigger").spec_hash())
    };
    subject.task.triggers.values().map(tag)
}

/// Whether this tool has registered a version of a task with a trigger.
pub(in crate::flyte) fn declares_trigger(spec: &task::TaskSpec, trigger: &str) -> bool {
    let metadata = spec
        .task_template
        .as_ref()
        .and_then(|template| template.metadata.as_ref());
    metadata.is_some_and(|metadata| {
        metadata
            .tags
            .contains_key(&format!("{TAG_PREFIX}{trigger}"))
    })
}

/// The inputs in the order of the interface; an optional input without a value has the literal of no value.
fn inputs(trigger: &Trigger, subject: &TaskSource<'_>) -> task::Inputs {
    let interface = &subject.interface;
    let form = LiteralForm::of(subject.task.kind.value);
    let is_time = |name: &str| {
        trigger
            .time_input
            .as_ref()
            .is_some_and(|time| time.value == name)
    };
    let value = |(name, ty): &(String, Type)| {
        let value = match trigger.inputs.get(name) {
            Some(given) => literal(ty, given, form).ok()?,
            None if matches!(ty, Type::Optional(_)) && !is_time(name) => nothing(),
            None => return None,
        };
        Some(task::NamedLiteral {
            name: name.clone(),
            value: Some(value),
        })
    };
    task::Inputs {
        literals: interface.inputs.iter().filter_map(value).collect(),
        context: Vec::new(),
    }
}

fn schedule(trigger: &Trigger) -> task::Schedule {
    let expression = match &trigger.schedule {
        Schedule::Cron {
            expression,
            timezone,
        } => schedule::Expression::Cron(task::Cron {
            expression: expression.clone(),
            timezone: timezone.clone(),
        }),
        Schedule::Every(minutes) => schedule::Expression::Rate(task::FixedRate {
            value: *minutes,
            unit: FixedRateUnit::Minute.into(),
        }),
    };
    let time = trigger
        .time_input
        .as_ref()
        .map(|name| name.value.clone())
        .unwrap_or_default();
    task::Schedule {
        expression: Some(expression),
        kickoff_time_input_arg: time,
    }
}

/// The reasons why the triggers of a task do not match its interface. For a `rust` task the interface is read from its
/// binary.
pub fn validate_triggers(task: &Task, interface: &Interface) -> Vec<String> {
    let form = LiteralForm::of(task.kind.value);
    task.triggers
        .values()
        .flat_map(|trigger| misfits_of(trigger, interface, form))
        .collect()
}

fn misfits_of(trigger: &Trigger, interface: &Interface, form: LiteralForm) -> Vec<String> {
    let key = &trigger.key;
    let mut problems = Vec::new();
    for (name, given) in &trigger.inputs {
        match interface.input(name) {
            None => problems.push(format!(
                "trigger `{key}` sets `{name}`, but the task has no such input"
            )),
            Some(ty) => problems.extend(
                literal(ty, given, form)
                    .err()
                    .map(|misfit| format!("trigger `{key}`, input `{name}`: {misfit}")),
            ),
        }
    }
    let time = trigger.time_input.as_ref().map(|time| time.value.as_str());
    if let Some(time) = time.filter(|time| interface.input(time) != Some(&Type::Datetime)) {
        problems.push(format!("trigger `{key}` sets the time of `{time}`, but the task has no such input of the type `datetime`"));
    }
    for (name, ty) in &interface.inputs {
        let has_value = trigger.inputs.contains_key(name)
            || time == Some(name.as_str())
            || matches!(ty, Type::Optional(_));
        if !has_value {
            problems.push(format!("trigger `{key}` does not set `{name}`"));
        }
    }
    problems
}
