//! Golden tests against flytekit's messages for the same tasks, and the conversion of what a backend says.
#![allow(clippy::unwrap_used)]

use union_build::diag::SourceFile;
use union_build::spec::{Overrides, PackageInfo, Task, load};

use super::files::request_files;
use super::phases;
use super::schedules::{launch_plan, workflow};
use super::task::{create_task, details, stored};
use crate::flyte::convert::{ProjectDomain, TaskSource, render_task};
use crate::flyte::idl::task::DeployTaskRequest;
use crate::flyte::idl::v1::admin::{self, Execution, ExecutionClosure, TaskExecution};
use crate::flyte::idl::v1::core as v1;
use crate::flyte::idl::{Message as _, core, to_json};
use crate::flyte::interface::Interface;

const IMAGE: &str =
    "localhost:5000/hello@sha256:cacbac64e8519ab3b95a424a7bcbdb7a85f499c6df70ee367b7ba8063136a8fc";

/// The task `app` of a manifest.
fn declared(lines: &str) -> Task {
    let manifest = SourceFile::new(
        "/ws/Cargo.toml",
        format!(
            "[package.metadata.union.images.default]\nbase-image = \"debian:trixie-slim\"\n\
             [package.metadata.union.tasks.app]\n{lines}\n"
        ),
    );
    let facts = PackageInfo {
        package: "app".to_owned(),
        directory: "/ws".into(),
        workspace_root: "/ws".into(),
        binaries: vec!["app".to_owned()],
        ..PackageInfo::default()
    };
    let (spec, problems, _) = load(None, &manifest, &Overrides::new("/ws"), &facts);
    assert_eq!(problems, []);
    spec.unwrap().tasks["app"].clone()
}

/// The request for a task under a name, as Flyte 2 would get it without its hidden output.
fn request(name: &str, lines: &str) -> DeployTaskRequest {
    let task = declared(lines);
    let interface = Interface::of_manifest(&task);
    let subject = TaskSource {
        name: name.to_owned(),
        image: IMAGE.to_owned(),
        ..TaskSource::plain(&task, &interface)
    };
    let scope = ProjectDomain {
        org: "acme".to_owned(),
        project: "flytesnacks".to_owned(),
        domain: "development".to_owned(),
    };
    render_task(&subject, &scope, "v1", false)
}

/// An intended difference: applied to the official message, which must then equal this crate's.
struct GoldenDifference {
    because: &'static str,
    apply: fn(&mut v1::TaskTemplate),
}

const RUNTIME: GoldenDifference = GoldenDifference {
    because: "the task is not a Python task",
    apply: |template| {
        template.metadata.as_mut().unwrap().runtime = Some(core::RuntimeMetadata {
            r#type: core::runtime_metadata::RuntimeType::Other.into(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            flavor: "rust".to_owned(),
        });
    },
};

const PATHS: GoldenDifference = GoldenDifference {
    because: "the paths are those that the manifest's reference page promises, not the backend's defaults",
    apply: |template| {
        let Some(v1::task_template::Target::Container(container)) = &mut template.target else {
            panic!("no container")
        };
        let data = container.data_config.as_mut().unwrap();
        data.input_path = "/var/inputs".to_owned();
        data.output_path = "/var/outputs".to_owned();
    },
};

const VARIABLE: GoldenDifference = GoldenDifference {
    because: "the variable of a secret is the one that the manifest names",
    apply: |template| {
        let secrets = &mut template.security_context.as_mut().unwrap().secrets;
        secrets[0].env_var = "G_K".to_owned();
    },
};

/// Compares this crate's message for a task with flytekit's, field by field.
#[track_caller]
fn assert_golden(name: &str, lines: &str, differences: &[GoldenDifference]) {
    let path = union_tests::project::repository()
        .join("tests/fixtures/flyte1")
        .join(format!("{name}.pb"));
    let bytes = std::fs::read(path).unwrap();
    let mut official = admin::TaskSpec::decode(&bytes[..]).unwrap();
    // The entries of maps have no order, so that only the size shows whether a field is missing.
    assert_eq!(
        official.encoded_len(),
        bytes.len(),
        "{name} has fields that are not in `proto/`"
    );
    let template = official.template.as_mut().unwrap();
    for difference in differences {
        let before = template.clone();
        (difference.apply)(template);
        assert!(
            *template != before,
            "{name} does not differ in this any more: {}",
            difference.because
        );
    }
    let request = request(name, lines);
    let actual = create_task(&request).spec.unwrap();
    assert_eq!(
        format!("{:#}", to_json(&actual)),
        format!("{:#}", to_json(&official)),
        "{name}"
    );
    assert_eq!(actual, official, "{name}");
    // What is compared with a registered task, and sent, is the request as the backend gives it back.
    let kept = stored(&request);
    assert_eq!(stored(&kept), kept, "{name}");
    assert_eq!(create_task(&kept), create_task(&request), "{name}");
    let registered = admin::Task {
        id: create_task(&kept).id,
        closure: Some(admin::TaskClosure {
            compiled_task: Some(v1::CompiledTask {
                template: actual.template,
            }),
            created_at: None,
        }),
    };
    assert_eq!(details(registered).unwrap().spec, kept.spec, "{name}");
}

#[test]
fn minimal_task_equals_the_official_message() {
    assert_golden(
        "minimal",
        "command = [\"/union/bin/hello\"]",
        &[RUNTIME, PATHS],
    );
}

#[test]
fn data_format_and_paths_equal_the_official_message() {
    let lines = "command = [\"x\"]\ninputs = { x = \"integer\" }\noutputs = { y = \"integer\" }\n\
                 data-format = \"yaml\"\ninput-path = \"/in\"\noutput-path = \"/out\"";
    assert_golden("formats", lines, &[RUNTIME]);
}

#[test]
fn metadata_equals_the_official_message() {
    let lines = "command = [\"x\"]\ninputs = { x = \"integer\" }\nretries = 3\ntimeout = \"2h\"\ninterruptible = true\n\
                 cache = { version = \"1.0\", serialize = true, ignored-inputs = [\"x\"] }";
    assert_golden("metadata", lines, &[RUNTIME, PATHS]);
}

#[test]
fn resources_equal_the_official_message() {
    let lines = "command = [\"x\"]\nenv = { A = \"b\" }\n\
                 resources = { cpu = [1, 2], memory = [\"500Mi\", \"1Gi\"], gpu = 1, disk = \"1Gi\" }";
    assert_golden("resources", lines, &[RUNTIME, PATHS]);
}

#[test]
fn secrets_equal_the_official_message() {
    let lines = "command = [\"x\"]\nsecrets = [{ key = \"k\", group = \"g\" }]";
    assert_golden("secrets", lines, &[RUNTIME, PATHS, VARIABLE]);
}

#[test]
fn types_equal_the_official_message() {
    let lines = "command = [\"/union/bin/hello\", \"{{.inputs.i}}\"]\noutputs = { out = \"file\", n = \"integer\", d = \"directory\" }\n\
                 inputs = { i = \"integer\", f = \"float\", s = \"string\", b = \"boolean\", d = \"datetime\", t = \"duration\", \
                 fi = \"file\", di = \"directory\", c = [\"red\", \"green\"], st = \"struct\", l = \"list[integer]\", m = \"map[integer]\", \
                 o = \"optional[integer]\" }";
    assert_golden("typed", lines, &[RUNTIME]);
}

#[test]
fn unsupported_keys_are_left_out_of_the_stored_request() {
    let full = request(
        "app",
        "description = \"d\"\nenvironment = \"e\"\nlinks = { Grafana = \"https://g.example.test\" }\n\
         retries = { count = 2, backoff = \"1s\" }",
    );
    let plain = request("app", "retries = 2");
    assert_ne!(full, plain);
    assert_eq!(stored(&full), stored(&plain));
    assert_eq!(stored(&plain).task_id.unwrap().org, "");
}

const SCHEDULED: &str = "command = [\"x\"]\ninputs = { x = \"integer\", at = \"datetime\", o = \"optional[string]\" }\n\
    outputs = { y = \"integer\" }\n\
    triggers.hourly = { every = \"90m\", inputs = { x = 1 }, time-input = \"at\" }\n\
    triggers.nightly = { cron = \"0 3 * * 1\", inputs = { x = 2, at = \"2026-01-02T00:00:00Z\" }, active = false }";

#[test]
fn triggers_are_launch_plans_of_a_one_node_workflow() {
    let request = stored(&request("app", SCHEDULED));
    let workflow = to_json(&workflow(&request));
    let template = &workflow["spec"]["template"];
    assert_eq!(workflow["id"]["name"], "app.triggers");
    assert_eq!(workflow["id"]["resourceType"], "WORKFLOW");
    assert_eq!(workflow["id"]["version"], "v1");
    assert_eq!(
        template["nodes"][0]["taskNode"]["referenceId"]["name"],
        "app"
    );
    // proto3 leaves out the empty name of the node, which stands for the workflow's own inputs.
    let bound = |variable: &str| serde_json::json!({ "var": variable, "binding": { "promise": { "var": variable } } });
    assert_eq!(
        template["nodes"][0]["inputs"],
        serde_json::json!([bound("at"), bound("o"), bound("x")])
    );
    assert_eq!(
        template["outputs"],
        serde_json::json!([{ "var": "y", "binding": { "promise": { "nodeId": "n0", "var": "y" } } }])
    );
    assert_eq!(
        template["interface"]["inputs"]["variables"]["at"]["type"]["simple"],
        "DATETIME"
    );
    let plans: Vec<_> = request
        .triggers
        .iter()
        .map(|trigger| to_json(&launch_plan(&request, trigger)))
        .collect();
    let [hourly, nightly] = &plans[..] else {
        panic!("{plans:?}")
    };
    assert_eq!(hourly["id"]["name"], "app.triggers.hourly");
    assert_eq!(hourly["id"]["resourceType"], "LAUNCH_PLAN");
    assert_eq!(hourly["spec"]["workflowId"], workflow["id"]);
    assert_eq!(
        hourly["spec"]["entityMetadata"]["schedule"],
        serde_json::json!({ "rate": { "value": 90 }, "kickoffTimeInputArg": "at" })
    );
    let fixed = &hourly["spec"]["fixedInputs"]["literals"];
    assert_eq!(fixed["x"]["scalar"]["primitive"]["integer"], "1");
    assert!(fixed["o"]["scalar"]["union"].is_object(), "{fixed}");
    assert!(fixed["at"].is_null(), "the schedule sets it");
    assert_eq!(
        nightly["spec"]["entityMetadata"]["schedule"],
        serde_json::json!({ "cronSchedule": { "schedule": "0 3 * * 1" } })
    );
}

#[test]
fn registration_files_contain_all_sent_requests() {
    let suffixes = |lines: &str| {
        let files = request_files(&stored(&request("app", lines)));
        assert!(files.iter().all(|file| {
            !file.protobuf.is_empty() && file.json.starts_with('{') && file.json.ends_with("}\n")
        }));
        files
            .into_iter()
            .map(|file| file.suffix)
            .collect::<Vec<_>>()
    };
    assert_eq!(suffixes("retries = 1"), [""]);
    assert_eq!(
        suffixes(SCHEDULED),
        [
            "",
            ".workflow",
            ".hourly.launch-plan",
            ".nightly.launch-plan"
        ]
    );
}

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
