//! Tasks as messages that equal flytekit's, except for intended differences.

use super::*;
use crate::flyte::flyte1::task::{create_task, details};
use crate::flyte::idl::{Message as _, core};

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
