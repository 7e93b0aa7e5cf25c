//! Tasks as messages that equal those of the official SDK, except for intended differences.

use super::*;
use crate::flyte::interface::Description;

/// The description of the upstream example.
fn worker() -> Description {
    let line = r#"{"flyte_interface_version":1,"task":"my_task","inputs":[{"name":"x","type":"integer","required":true},{"name":"label","type":"string","required":true}],"outputs":[{"name":"o0","type":"string"}]}"#;
    Description::read("hello-trace", line).unwrap()
}

/// An intended difference: applied to the official message, which must then equal this crate's.
struct Difference {
    because: &'static str,
    apply: fn(&mut task::TaskSpec),
}

const ALWAYS: &[Difference] = &[Difference {
    because: "the task is not a Python task, and the backend would read the version as that of a Python SDK",
    apply: |spec| {
        let metadata = spec
            .task_template
            .as_mut()
            .unwrap()
            .metadata
            .as_mut()
            .unwrap();
        metadata.runtime = Some(core::RuntimeMetadata {
            r#type: core::runtime_metadata::RuntimeType::Other.into(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            flavor: "rust".to_owned(),
        });
    },
}];

const WITHOUT_A_VERSION: &[Difference] = &[Difference {
    because: "the SDK hashes nothing here, so that changed code would have the version of the old one",
    apply: |spec| {
        spec.task_template
            .as_mut()
            .unwrap()
            .metadata
            .as_mut()
            .unwrap()
            .discovery_version = IMAGE_KEY.to_owned()
    },
}];

const OF_A_WORKER: &[Difference] = &[
    Difference {
        because: "binaries have their own directory in images of this tool",
        apply: |spec| container(spec).args[0] = "/union/bin/hello-trace".to_owned(),
    },
    Difference {
        because: "what the crate logs of itself would hide the lines of the user",
        apply: |spec| {
            let env = &mut container(spec).env;
            for (key, value) in [
                ("NO_COLOR", "1"),
                ("RUST_LOG", "info,flyte_controller_base=error"),
            ] {
                if env.iter().all(|pair| pair.key != key) {
                    env.push(core::KeyValuePair {
                        key: key.to_owned(),
                        value: value.to_owned(),
                    });
                }
            }
            env.sort_by(|a, b| a.key.cmp(&b.key));
        },
    },
];

#[track_caller]
fn assert_golden(actual: &task::TaskSpec, golden_file: &str, differences: &[&[Difference]]) {
    let official: task::TaskSpec = golden(golden_file);
    let mut expected = official.clone();
    for difference in differences.iter().copied().flatten() {
        let before = expected.clone();
        (difference.apply)(&mut expected);
        assert!(
            expected != before,
            "{golden_file} does not differ in this any more: {}",
            difference.because
        );
    }
    let left = to_json(actual);
    let right = to_json(&expected);
    assert_eq!(format!("{left:#}"), format!("{right:#}"), "{golden_file}");
    assert_eq!(
        actual.encode_to_vec(),
        expected.encode_to_vec(),
        "{golden_file}"
    );
}

#[test]
fn plain_rust_task_equals_the_official_message() {
    let task = declared(true, "bin = \"hello-trace\"");
    let worker = worker();
    let actual = task_spec_of(
        &task,
        &worker.task,
        &worker.interface,
        "registry.local/acme/hello-trace-worker:abc123",
    );
    assert_golden(
        &actual,
        "taskspec_plain.pb",
        &[ALWAYS, WITHOUT_A_VERSION, OF_A_WORKER],
    );
}

#[test]
fn rust_task_with_all_keys_equals_the_official_message() {
    let lines = "bin = \"hello-trace\"\nqueue = \"q\"\ninterruptible = true\nservice-account = \"sa-1\"\nenv = { RUST_LOG = \"info\" }\n\
                 resources = { cpu = [1, 2], memory = [\"500Mi\", \"1Gi\"], gpu = \"A100:1\", disk = \"10Gi\", shm = \"auto\" }\n\
                 secrets = [{ key = \"openai\", env = \"OPENAI_API_KEY\" }, { key = \"tok\", group = \"grp\", file = true }]\n\
                 retries = { count = 3, backoff = \"1s\", factor = 2, max-backoff = \"30s\" }\n\
                 timeout = { runtime = \"30m\", queued = \"5m\", deadline = \"1h\" }\n\
                 cache = { version = \"v7\", serialize = true, ignored-inputs = [\"label\"] }";
    let task = declared(true, lines);
    let worker = worker();
    let actual = task_spec_of(
        &task,
        &worker.task,
        &worker.interface,
        "registry.local/acme/hello-trace-worker:abc123",
    );
    assert_golden(&actual, "taskspec_full.pb", &[ALWAYS, OF_A_WORKER]);
}

#[test]
fn container_task_equals_the_official_message() {
    let lines = "environment = \"cp_env\"\ncommand = [\"/bin/sh\", \"-c\", \"echo {{.inputs.label}} > /var/outputs/o0\"]\n\
                 inputs = { d = \"directory\", f = \"file\", label = \"string\", x = \"integer\" }\n\
                 outputs = { n = \"integer\", o0 = \"string\", out_f = \"file\" }\nresources = { cpu = 1, memory = \"256Mi\" }";
    let task = declared(false, lines);
    let actual = task_spec_of(&task, "cp", &Interface::of_manifest(&task), "alpine:3.20");
    assert_golden(
        &actual,
        "taskspec_container.pb",
        &[ALWAYS, WITHOUT_A_VERSION],
    );
}

#[test]
fn arguments_and_data_config_equal_the_official_message() {
    let lines = "environment = \"cp_env\"\ncommand = [\"/usr/local/bin/job\", \"--x\", \"{{.inputs.x}}\"]\n\
                 inputs = { x = \"integer\" }\noutputs = { o0 = \"string\" }\ndata-format = \"proto\"";
    let task = declared(false, lines);
    let actual = task_spec_of(&task, "cp2", &Interface::of_manifest(&task), "alpine:3.20");
    assert_golden(
        &actual,
        "taskspec_containerargs.pb",
        &[ALWAYS, WITHOUT_A_VERSION],
    );
}
