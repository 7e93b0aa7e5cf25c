//! Triggers on Flyte 1: a workflow with the task as its only node, and a launch plan with a schedule for each trigger.
//!
//! The names of workflow and launch plans begin with the task's name. So launch plans of triggers that are no longer
//! declared can be found and deactivated, without affecting others.

use std::collections::BTreeMap;

use super::Flyte1;
use super::launch_plans::{TRIGGERS, plan_path, set_active};
use super::task::{identifier, variables_to_v1};
use crate::flyte::idl::core::{LiteralMap, TypedInterface};
use crate::flyte::idl::task::schedule::Expression;
use crate::flyte::idl::task::task_trigger_spec::InputWrapper;
use crate::flyte::idl::task::trigger_automation_spec::Automation;
use crate::flyte::idl::task::{self, DeployTaskRequest, TaskTrigger};
use crate::flyte::idl::v1::admin::schedule::ScheduleExpression;
use crate::flyte::idl::v1::admin::{
    CronSchedule, FixedRate, FixedRateUnit, LaunchPlan, LaunchPlanCreateRequest,
    LaunchPlanCreateResponse, LaunchPlanMetadata, LaunchPlanSpec, LaunchPlanState, Schedule,
    WorkflowCreateRequest, WorkflowCreateResponse, WorkflowSpec,
};
use crate::flyte::idl::v1::core::{
    self as v1, Binding, BindingData, Identifier, OutputReference, ResourceType, binding_data,
    node, task_node,
};
use crate::flyte::rpc::{RestCall, RpcFailure, RpcStatus};

/// The only node of a workflow.
const NODE: &str = "n0";

/// The request that creates the workflow of a task's triggers.
pub(super) fn workflow(request: &DeployTaskRequest) -> WorkflowCreateRequest {
    let interface = interface(request);
    let inputs = interface.inputs.iter().flat_map(|inputs| &inputs.variables);
    let outputs = interface
        .outputs
        .iter()
        .flat_map(|outputs| &outputs.variables);
    let bind = |node: &str, variable: &str| Binding {
        var: variable.to_owned(),
        binding: Some(BindingData {
            value: Some(binding_data::Value::Promise(OutputReference {
                node_id: node.to_owned(),
                var: variable.to_owned(),
            })),
        }),
    };
    let task = v1::TaskNode {
        reference: Some(task_node::Reference::ReferenceId(task_id(request))),
    };
    let node = v1::Node {
        id: NODE.to_owned(),
        metadata: Some(v1::NodeMetadata {
            name: task_id(request).name,
        }),
        inputs: inputs.map(|entry| bind("", &entry.key)).collect(),
        target: Some(node::Target::TaskNode(task)),
    };
    let id = workflow_id(request);
    let template = v1::WorkflowTemplate {
        id: Some(id.clone()),
        metadata: Some(v1::WorkflowMetadata {}),
        outputs: outputs.map(|entry| bind(NODE, &entry.key)).collect(),
        interface: Some(v1::TypedInterface {
            inputs: interface.inputs.map(variables_to_v1),
            outputs: interface.outputs.map(variables_to_v1),
        }),
        nodes: vec![node],
        metadata_defaults: Some(v1::WorkflowMetadataDefaults {}),
    };
    WorkflowCreateRequest {
        id: Some(id),
        spec: Some(WorkflowSpec {
            template: Some(template),
        }),
    }
}

/// The request that creates the launch plan of a trigger. It is inactive until it is activated.
pub(super) fn launch_plan(
    request: &DeployTaskRequest,
    trigger: &TaskTrigger,
) -> LaunchPlanCreateRequest {
    let inputs = match trigger
        .spec
        .as_ref()
        .and_then(|spec| spec.input_wrapper.clone())
    {
        Some(InputWrapper::Inputs(inputs)) => inputs.literals,
        None => Vec::new(),
    };
    let literals: BTreeMap<_, _> = inputs
        .into_iter()
        .filter_map(|literal| Some((literal.name, literal.value?)))
        .collect();
    LaunchPlanCreateRequest {
        id: Some(plan_id(request, trigger)),
        spec: Some(LaunchPlanSpec {
            workflow_id: Some(workflow_id(request)),
            entity_metadata: Some(LaunchPlanMetadata {
                schedule: schedule(trigger),
            }),
            default_inputs: Some(v1::ParameterMap::default()),
            fixed_inputs: Some(LiteralMap { literals }),
        }),
    }
}

fn schedule(trigger: &TaskTrigger) -> Option<Schedule> {
    let Some(Automation::Schedule(task::Schedule {
        kickoff_time_input_arg,
        expression,
    })) = trigger.automation_spec.clone()?.automation
    else {
        return None;
    };
    let expression = match expression? {
        Expression::Cron(cron) => ScheduleExpression::CronSchedule(CronSchedule {
            schedule: cron.expression,
        }),
        Expression::CronExpression(schedule) => {
            ScheduleExpression::CronSchedule(CronSchedule { schedule })
        }
        Expression::Rate(rate) => ScheduleExpression::Rate(FixedRate {
            value: rate.value,
            unit: FixedRateUnit::Minute.into(),
        }),
    };
    Some(Schedule {
        kickoff_time_input_arg,
        schedule_expression: Some(expression),
    })
}

fn interface(request: &DeployTaskRequest) -> TypedInterface {
    let template = request
        .spec
        .as_ref()
        .and_then(|spec| spec.task_template.as_ref());
    template
        .and_then(|template| template.interface.clone())
        .unwrap_or_default()
}

fn task_id(request: &DeployTaskRequest) -> Identifier {
    request.task_id.as_ref().map(identifier).unwrap_or_default()
}

fn workflow_id(request: &DeployTaskRequest) -> Identifier {
    let id = task_id(request);
    Identifier {
        resource_type: ResourceType::Workflow.into(),
        name: format!("{}{TRIGGERS}", id.name),
        ..id
    }
}

fn plan_id(request: &DeployTaskRequest, trigger: &TaskTrigger) -> Identifier {
    let id = task_id(request);
    Identifier {
        resource_type: ResourceType::LaunchPlan.into(),
        name: plan_name(&id.name, &trigger.name),
        ..id
    }
}

impl Flyte1 {
    /// Activates the launch plans of a task. For a task that was registered just now, all of them are created; else only
    /// those that are missing or were never active, because an earlier registration was interrupted. One that was active
    /// stays as it is: a user may have deactivated it.
    ///
    /// # Errors
    /// Failures of the calls. No launch plan is activated before all are created.
    pub(super) async fn activate_plans(
        &self,
        request: &DeployTaskRequest,
        is_new: bool,
    ) -> Result<(), RpcFailure> {
        if request.triggers.is_empty() {
            return Ok(());
        }
        let id = task_id(request);
        let active = self.0.active_plans(&id.project, &id.domain).await?;
        let mut missing = Vec::new();
        let mut unsettled = Vec::new();
        for trigger in &request.triggers {
            let plan = plan_id(request, trigger);
            let is_active = active.iter().any(|known| known.id.as_ref() == Some(&plan));
            if !is_new && is_active {
                continue;
            }
            let existing = if is_new {
                None
            } else {
                self.plan(&plan).await?
            };
            match existing {
                None => {
                    missing.push(trigger);
                    unsettled.push((trigger, plan));
                }
                Some(existing) if wants_active(trigger) && was_never_active(&existing) => {
                    unsettled.push((trigger, plan));
                }
                Some(_) => {}
            }
        }
        if !missing.is_empty() {
            self.create_plans(request, &missing).await?;
        }
        for (trigger, plan) in &unsettled {
            if wants_active(trigger) {
                // The backend deactivates the other version.
                set_active(&self.0, plan, true).await?;
            } else if let Some(other) = version_of(&active, &plan.name) {
                set_active(&self.0, other, false).await?;
            }
        }
        Ok(())
    }

    async fn plan(&self, id: &Identifier) -> Result<Option<LaunchPlan>, RpcFailure> {
        let call = RestCall::get("GetLaunchPlan", &plan_path(id));
        match self.0.rest(&call).await {
            Err(failure) if failure.is(RpcStatus::NotFound) => Ok(None),
            plan => plan.map(Some),
        }
    }

    async fn create_plans(
        &self,
        request: &DeployTaskRequest,
        triggers: &[&TaskTrigger],
    ) -> Result<(), RpcFailure> {
        let workflow: RestCall<WorkflowCreateResponse> = RestCall::post(
            "CreateWorkflow",
            &["api", "v1", "workflows"],
            &workflow(request),
        );
        exists(self.0.rest(&workflow).await)?;
        for trigger in triggers {
            let plan: RestCall<LaunchPlanCreateResponse> = RestCall::post(
                "CreateLaunchPlan",
                &["api", "v1", "launch_plans"],
                &launch_plan(request, trigger),
            );
            exists(self.0.rest(&plan).await)?;
        }
        Ok(())
    }
}

fn wants_active(trigger: &TaskTrigger) -> bool {
    trigger.spec.as_ref().is_some_and(|spec| spec.active)
}

/// Whether a launch plan is as it was created. The backend creates launch plans inactive, with one time for both fields, and
/// each change of the state has a later time.
fn was_never_active(plan: &LaunchPlan) -> bool {
    plan.closure.is_some_and(|closure| {
        closure.state() == LaunchPlanState::Inactive
            && closure.created_at.is_some()
            && closure.created_at == closure.updated_at
    })
}

/// The active version of a launch plan.
pub(super) fn version_of<'a>(active: &'a [LaunchPlan], name: &str) -> Option<&'a Identifier> {
    active
        .iter()
        .filter_map(|plan| plan.id.as_ref())
        .find(|id| id.name == name)
}

/// The name of the launch plan of a trigger.
pub(super) fn plan_name(task: &str, trigger: &str) -> String {
    format!("{task}{TRIGGERS}.{trigger}")
}

/// Treats a resource that exists already as created: an earlier attempt has created it.
pub(super) fn exists<T>(created: Result<T, RpcFailure>) -> Result<(), RpcFailure> {
    match created {
        Err(failure) if failure.is(RpcStatus::AlreadyExists) => Ok(()),
        created => created.map(drop),
    }
}
