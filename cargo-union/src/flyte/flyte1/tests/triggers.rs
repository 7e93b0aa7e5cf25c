//! Triggers as launch plans, and the files of a registration.

use super::*;
use crate::flyte::flyte1::files::request_files;
use crate::flyte::flyte1::schedules::{launch_plan, workflow};

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
