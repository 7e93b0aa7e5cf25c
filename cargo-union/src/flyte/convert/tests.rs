//! Golden tests against the official SDK's messages for the same tasks.
#![allow(clippy::unwrap_used)]

use union_build::diag::SourceFile;
use union_build::spec::types::Type;
use union_build::spec::value::InputValue;
use union_build::spec::{Overrides, PackageInfo, Task, load};

use super::*;
use crate::flyte::idl::{Message, to_json};
use crate::flyte::interface::Description;

const IMAGE_KEY: &str = "00c0ffee";

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(
        union_tests::project::repository()
            .join("tests/fixtures/flyte")
            .join(name),
    )
    .unwrap()
}

/// A message of the official SDK. Its bytes must round-trip, which shows that `proto/` has all of its fields.
fn golden<M: Message + Default>(name: &str) -> M {
    let bytes = fixture(name);
    let message = M::decode(&bytes[..]).unwrap();
    assert_eq!(
        message.encode_to_vec(),
        bytes,
        "{name} has fields that are not in `proto/`"
    );
    message
}

/// The task `app` of a manifest.
fn declared(flyte: bool, lines: &str) -> Task {
    let manifest = SourceFile::new(
        "/ws/Cargo.toml",
        format!("[package.metadata.union.tasks.app]\n{lines}\n"),
    );
    let facts = PackageInfo {
        package: "app".to_owned(),
        directory: "/ws".into(),
        workspace_root: "/ws".into(),
        binaries: vec!["hello-trace".to_owned(), "job".to_owned()],
        depends_on_flyte: flyte,
        ..PackageInfo::default()
    };
    let (spec, problems, _) = load(None, &manifest, &Overrides::new("/ws"), &facts);
    assert_eq!(problems, []);
    spec.unwrap().tasks["app"].clone()
}

/// The message of this crate for a task, as version `v1` of the organization `acme`.
fn task_spec_of(task: &Task, name: &str, interface: &Interface, image: &str) -> task::TaskSpec {
    let program = "/union/bin/hello-trace";
    let subject = TaskSource {
        name: name.to_owned(),
        image: image.to_owned(),
        image_key: IMAGE_KEY.to_owned(),
        program: program.to_owned(),
        ..TaskSource::plain(task, interface)
    };
    let scope = ProjectDomain {
        org: "acme".to_owned(),
        project: "flytesnacks".to_owned(),
        domain: "development".to_owned(),
    };
    deploy_task(&subject, &scope, "v1").spec.unwrap()
}

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

fn container(spec: &mut task::TaskSpec) -> &mut core::Container {
    match &mut spec.task_template.as_mut().unwrap().target {
        Some(core::task_template::Target::Container(container)) => container,
        None => panic!(),
    }
}

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

#[test]
fn worker_log_level_defaults_to_lines_of_the_user() {
    let env = |kind: &str, lines: &str, of_image: &[&str]| {
        let task = declared(
            true,
            &format!("bin = \"hello-trace\"\nkind = \"{kind}\"\n{lines}"),
        );
        let subject = TaskSource {
            image_env: of_image.iter().map(|name| (*name).to_owned()).collect(),
            ..TaskSource::plain(&task, &Interface::default())
        };
        let mut spec = deploy_task(&subject, &ProjectDomain::default(), "v1")
            .spec
            .unwrap();
        let env = container(&mut spec).env.drain(..);
        env.map(|pair| format!("{}={}", pair.key, pair.value))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        env("rust", "", &[]),
        ["NO_COLOR=1", "RUST_LOG=info,flyte_controller_base=error"]
    );
    assert_eq!(
        env(
            "rust",
            "env = { RUST_LOG = \"debug\", A = \"b\" }",
            &["NO_COLOR"]
        ),
        ["A=b", "RUST_LOG=debug"]
    );
    assert_eq!(env("container", "", &[]), [""; 0]);
}

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

/// The types and values of the official SDK, under the same names.
const VALUES: &str = "a = 1\nb = 2.5\nc = true\nd = \"2026-01-02T00:00:00Z\"\ne = \"1m30s\"\ng = [1, 2]\nh = { k = 1 }\ni = \"s\"\nk = { q = 1 }\n\
                      l = \"R\"\nm = \"s3://b/f\"\nn = \"s3://b/d\"\nx = 5\ny = \"hi\"";

fn typed() -> Task {
    let inputs = "inputs = { a = \"integer\", b = \"float\", c = \"boolean\", d = \"datetime\", e = \"duration\", g = \"list[integer]\", \
                  h = \"map[integer]\", i = \"optional[string]\", k = \"struct\", l = [\"R\", \"G\"], m = \"file\", n = \"directory\", \
                  x = \"integer\", y = \"string\", z = \"optional[integer]\" }\ncommand = [\"job\"]\n";
    declared(
        false,
        &format!(
            "{inputs}[package.metadata.union.tasks.app.triggers.t]\nevery = \"1h\"\ninputs = {{ {} }}",
            VALUES.replace('\n', ", ")
        ),
    )
}

#[test]
fn types_equal_those_of_the_official_sdk() {
    let official: core::TypedInterface = golden("interface_types.pb");
    let actual = types::interface(&Interface::of_manifest(&typed()))
        .inputs
        .unwrap()
        .variables;
    // The SDK's `j` is a dataclass, which only Python has.
    let expected: Vec<_> = official
        .inputs
        .unwrap()
        .variables
        .into_iter()
        .filter(|variable| variable.key != "j")
        .collect();
    assert_eq!(actual.len(), expected.len());
    for (actual, expected) in actual.iter().zip(&expected) {
        assert_eq!(
            format!("{:#}", to_json(actual)),
            format!("{:#}", to_json(expected))
        );
    }
}

#[test]
fn literals_equal_those_of_the_official_sdk() {
    let official: task::Inputs = golden("inputs.pb");
    let task = typed();
    let interface = Interface::of_manifest(&task);
    let subject = TaskSource::plain(&task, &interface);
    let request = deploy_task(&subject, &ProjectDomain::default(), "v1");
    let task::task_trigger_spec::InputWrapper::Inputs(actual) = request.triggers[0]
        .spec
        .clone()
        .unwrap()
        .input_wrapper
        .unwrap();
    let expected: Vec<_> = official
        .literals
        .into_iter()
        .filter(|literal| literal.name != "j")
        .collect();
    assert_eq!(actual.literals.len(), expected.len());
    for (actual, expected) in actual.literals.iter().zip(&expected) {
        // The SDK encodes structs as MessagePack; copilot writes a JSON file only for the other form.
        let actual = if actual.name == "k" {
            packed(&task, "k")
        } else {
            actual.clone()
        };
        assert_eq!(
            format!("{:#}", to_json(&actual)),
            format!("{:#}", to_json(expected))
        );
    }
    assert_eq!(
        to_json(&actual.literals[8])["value"]["scalar"]["generic"]["q"],
        1.0
    );
}

/// The literal of an input for a worker of the `flyte` crate.
fn packed(task: &Task, name: &str) -> task::NamedLiteral {
    let value = literal(
        &task.inputs[name].value,
        &task.triggers["t"].inputs[name].value,
        LiteralForm::MessagePack,
    )
    .unwrap();
    task::NamedLiteral {
        name: name.to_owned(),
        value: Some(value),
    }
}

#[test]
fn trigger_has_schedule_and_queue() {
    let lines = "bin = \"job\"\nqueue = \"gpu\"\ninputs.at = \"datetime\"\n[package.metadata.union.tasks.app.triggers.nightly]\n\
                 cron = \"0 3 * * 1\"\ntimezone = \"Europe/Berlin\"\ntime-input = \"at\"\nactive = false\ndescription = \"Each Monday\"";
    let task = declared(false, lines);
    let interface = Interface::of_manifest(&task);
    let subject = TaskSource::plain(&task, &interface);
    let trigger = to_json(&deploy_task(&subject, &ProjectDomain::default(), "v1").triggers[0]);
    assert_eq!(
        (
            &trigger["spec"]["runSpec"]["queue"],
            &trigger["spec"]["description"]
        ),
        (&"gpu".into(), &"Each Monday".into())
    );
    assert!(trigger["spec"].get("active").is_none(), "{trigger}");
    let schedule = &trigger["automationSpec"]["schedule"];
    assert_eq!(
        (
            &schedule["cron"]["timezone"],
            &schedule["kickoffTimeInputArg"]
        ),
        (&"Europe/Berlin".into(), &"at".into())
    );
    assert_eq!(trigger["automationSpec"]["type"], "TYPE_SCHEDULE");
}

#[test]
fn triggers_of_a_rust_task_are_validated_against_its_interface() {
    let lines = "bin = \"job\"\n[package.metadata.union.tasks.app.triggers.t]\nevery = \"1d\"\ninputs = { x = \"a\", y = 1 }\ntime-input = \"x\"";
    let task = declared(true, lines);
    let interface = Interface {
        inputs: vec![
            ("x".to_owned(), Type::Integer),
            ("z".to_owned(), Type::Float),
        ],
        outputs: vec![],
    };
    let expected = [
        "trigger `t`, input `x`: `\"a\"` is not a whole number",
        "trigger `t` sets `y`, but the task has no such input",
        "trigger `t` sets the time of `x`, but the task has no such input of the type `datetime`",
        "trigger `t` does not set `z`",
    ];
    assert_eq!(validate_triggers(&task, &interface), expected);
}

#[test]
fn accelerators_of_other_vendors_have_their_device_class() {
    for (gpu, device, class) in [
        ("T4:1", "nvidia-tesla-t4", serde_json::Value::Null),
        ("V5E:4", "tpu-v5-lite-podslice", "GOOGLE_TPU".into()),
        ("Trn1:1", "Trn1", "AMAZON_NEURON".into()),
        ("MI300X:8", "MI300X", "AMD_GPU".into()),
        ("my-card:1", "my-card", serde_json::Value::Null),
    ] {
        let task = declared(
            false,
            &format!(
                "bin = \"job\"\nresources = {{ gpu = \"{gpu}\", gpu-partition = \"1g.5gb\" }}"
            ),
        );
        let spec = to_json(&task_spec_of(&task, "app", &Interface::default(), "i"));
        let accelerator = &spec["taskTemplate"]["extendedResources"]["gpuAccelerator"];
        assert_eq!(
            (&accelerator["device"], &accelerator["deviceClass"]),
            (&device.into(), &class),
            "{gpu}"
        );
        assert_eq!(accelerator["partitionSize"], "1g.5gb");
    }
    let any = declared(false, "bin = \"job\"\nresources.gpu = 2");
    let spec = to_json(&task_spec_of(&any, "app", &Interface::default(), "i"));
    assert!(
        spec["taskTemplate"].get("extendedResources").is_none(),
        "{spec}"
    );
    assert_eq!(
        spec["taskTemplate"]["container"]["resources"]["requests"][0]["value"],
        "2"
    );
}

#[test]
fn descriptions_entrypoint_and_links_are_in_their_fields() {
    let lines = "bin = \"job\"\nname = \"a.b\"\ndescription = \"short\"\nlong-description = \"long\"\nsource-code = \"https://a.b/c\"\n\
                 links = { Metrics = \"https://m.n\" }\npod-template = \"pods\"\ncache = { max-age = \"1d\" }\nresources.shm = \"1Gi\"";
    let task = declared(false, lines);
    let interface = Interface::default();
    let entrypoint = ["/bin/tini".to_owned(), "--".to_owned()];
    let subject = TaskSource {
        name: "a.b".to_owned(),
        entrypoint: entrypoint.to_vec(),
        program: "/union/bin/job".to_owned(),
        ..TaskSource::plain(&task, &interface)
    };
    let spec = to_json(
        &deploy_task(&subject, &ProjectDomain::default(), "v1")
            .spec
            .unwrap(),
    );
    let expected = serde_json::json!({ "shortDescription": "short", "longDescription": "long", "sourceCode": { "link": "https://a.b/c" } });
    assert_eq!(spec["documentation"], expected);
    let template = &spec["taskTemplate"];
    assert_eq!(
        template["container"]["command"],
        serde_json::json!(["/bin/tini", "--"])
    );
    assert_eq!(
        template["container"]["args"],
        serde_json::json!(["/union/bin/job"])
    );
    assert_eq!(
        template["metadata"]["logLinks"],
        serde_json::json!([{ "name": "Metrics", "uri": "https://m.n" }])
    );
    assert_eq!(
        (
            &template["metadata"]["podTemplateName"],
            &template["metadata"]["cacheMaxAge"]
        ),
        (&"pods".into(), &"86400s".into())
    );
    assert_eq!(template["metadata"]["discoveryVersion"], "k");
    assert_eq!(
        template["extendedResources"]["sharedMemory"]["sizeLimit"],
        "1Gi"
    );
}

#[test]
fn literal_of_another_type_is_refused_with_a_reason() {
    let nested = InputValue::List(vec![
        InputValue::Integer(1),
        InputValue::Text("a".to_owned()),
    ]);
    let list = Type::Optional(Box::new(Type::List(Box::new(Type::Integer))));
    assert_eq!(
        literal(&list, &nested, LiteralForm::Json).unwrap_err(),
        "`\"a\"` is not a whole number"
    );
    assert_eq!(
        literal(&Type::Struct, &nested, LiteralForm::Json).unwrap_err(),
        "a list is not a table"
    );
}

/// JSON as an input value.
pub(super) fn given(value: serde_json::Value) -> InputValue {
    match value {
        serde_json::Value::Null => InputValue::Nothing,
        serde_json::Value::Bool(value) => InputValue::Bool(value),
        serde_json::Value::String(text) => InputValue::Text(text),
        serde_json::Value::Number(number) => match number.as_i64() {
            Some(whole) => InputValue::Integer(whole),
            None => InputValue::Float(number.as_f64().unwrap()),
        },
        serde_json::Value::Array(values) => {
            InputValue::List(values.into_iter().map(given).collect())
        }
        serde_json::Value::Object(values) => InputValue::Map(
            values
                .into_iter()
                .map(|(name, value)| (name, given(value)))
                .collect(),
        ),
    }
}

proptest::proptest! {
    #[test]
    fn arbitrary_values_are_converted_or_refused(
        ty in proptest::sample::select(TYPES),
        value in union_tests::arbitrary::value(),
    ) {
        let ty = Type::parse(ty).unwrap();
        let given = given(value);
        for form in [LiteralForm::Json, LiteralForm::MessagePack] {
            if let Ok(literal) = literal(&ty, &given, form) {
                value::json(&literal);
            }
        }
    }

    #[test]
    fn arbitrary_literals_and_types_of_the_backend_are_converted(bytes in literal_bytes(), from in 0..64_usize, with in union_tests::arbitrary::bytes(6)) {
        for bytes in [with.clone(), spliced(&bytes, from, &with)] {
            if let Ok(literal) = core::Literal::decode(&bytes[..]) {
                value::json(&literal).to_string();
            }
            if let Ok(ty) = core::LiteralType::decode(&bytes[..]) {
                drop(types::declared(&ty));
            }
        }
    }
}

const TYPES: &[&str] = &[
    "integer",
    "float",
    "string",
    "boolean",
    "datetime",
    "duration",
    "struct",
    "file",
    "directory",
    "list[duration]",
    "map[datetime]",
    "optional[list[float]]",
];

fn literal_bytes() -> impl proptest::strategy::Strategy<Value = Vec<u8>> {
    use proptest::strategy::Strategy as _;
    let text = |text: &str| InputValue::Text(text.to_owned());
    let fields = InputValue::Map(
        [(
            "a".to_owned(),
            InputValue::List(vec![InputValue::Integer(-1), text("x")]),
        )]
        .into(),
    );
    let literals = [
        ("duration", text("1h30m")),
        ("datetime", text("2030-01-31T12:00:00.5+02:00")),
        ("optional[struct]", fields),
        ("list[file]", InputValue::List(vec![text("s3://a/b")])),
        (
            "map[float]",
            InputValue::Map([("k".to_owned(), InputValue::Float(0.5))].into()),
        ),
    ]
    .map(|(ty, given)| {
        [LiteralForm::Json, LiteralForm::MessagePack].map(|form| {
            literal(&Type::parse(ty).unwrap(), &given, form)
                .unwrap()
                .encode_to_vec()
        })
    });
    let types = TYPES
        .iter()
        .map(|ty| types::literal_type(&Type::parse(ty).unwrap()).encode_to_vec());
    proptest::sample::select(
        literals
            .into_iter()
            .flatten()
            .chain(types)
            .collect::<Vec<_>>(),
    )
    .prop_map(|bytes| bytes)
}

fn spliced(bytes: &[u8], from: usize, with: &[u8]) -> Vec<u8> {
    let from = from.min(bytes.len());
    let to = (from + with.len()).min(bytes.len());
    [&bytes[..from], with, &bytes[to..]].concat()
}

#[test]
fn launcher_precedes_the_entrypoint_with_outputs_and_timeout() {
    let container = |flyte: bool, lines: &str| {
        let task = declared(flyte, lines);
        let interface = if flyte {
            Interface::default()
        } else {
            Interface::of_manifest(&task)
        };
        let entrypoint = vec!["/bin/env".to_owned()];
        let source = TaskSource {
            launcher: true,
            entrypoint,
            program: "/union/bin/job".to_owned(),
            ..TaskSource::plain(&task, &interface)
        };
        let spec = to_json(
            &deploy_task(&source, &ProjectDomain::default(), "v1")
                .spec
                .unwrap(),
        );
        let template = &spec["taskTemplate"];
        let words = |key: &str| {
            let words = template["container"][key]
                .as_array()
                .cloned()
                .unwrap_or_default();
            words
                .iter()
                .map(|word| word.as_str().unwrap().to_owned())
                .collect::<Vec<_>>()
                .join(" ")
        };
        (
            words("command"),
            words("args"),
            template["interface"]["outputs"]["variables"].clone(),
        )
    };

    let lines = "bin = \"job\"\noutputs = { n = \"integer\", m = \"file\" }\ntimeout = \"1m30s\"\ncommand = [\"job\", \"a\"]";
    let (command, args, outputs) = container(false, lines);
    let expected = "/union/launcher --output-directory /var/outputs --output m=file --output n=integer --timeout 90 -- /bin/env";
    assert_eq!(
        (command.as_str(), args.as_str()),
        (expected, "/union/bin/job a")
    );
    assert_eq!(outputs.as_array().unwrap().len(), 2);

    let (command, _, outputs) = container(false, "bin = \"job\"");
    assert_eq!(
        command,
        "/union/launcher --output-directory /var/outputs --empty-output union_none -- /bin/env"
    );
    assert_eq!(
        outputs,
        serde_json::json!([{ "key": "union_none", "value": { "type": { "simple": "NONE" } } }])
    );

    let (command, _, outputs) = container(
        true,
        "bin = \"hello-trace\"\nkind = \"rust\"\ntimeout = \"5s\"",
    );
    assert_eq!(command, "/union/launcher --timeout 5 -- /bin/env");
    assert!(outputs.is_null(), "{outputs}");
}
