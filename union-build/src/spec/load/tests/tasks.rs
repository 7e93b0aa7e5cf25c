//! Tasks: valid and invalid declarations.

use std::time::Duration;

use super::*;
use crate::spec::task::{CacheVersion, DataFormat, FileLayout, Mount, Schedule, SharedMemory};
use crate::spec::value::InputValue;

/// A container task `app` with these lines.
fn task(lines: &str) -> Project {
    Project::new(&format!("[package.metadata.union.tasks.app]\n{lines}\n"))
}

fn read(lines: &str) -> crate::spec::Task {
    task(lines).spec().tasks["app"].clone()
}

#[test]
fn empty_task_has_all_defaults() {
    let app = read("");
    assert_eq!(
        (app.environment.as_str(), &app.name, &app.cache),
        ("app_env", &None, &None)
    );
    assert_eq!(app.command_line("/union/bin/app"), ["/union/bin/app"]);
    assert_eq!(
        (app.data.input_path.as_str(), app.data.output_path.as_str()),
        ("/var/inputs", "/var/outputs")
    );
    assert_eq!(
        (app.data.format, app.data.layout),
        (DataFormat::Json, FileLayout::Direct)
    );
    assert!(
        !app.interruptible.value
            && app.secrets.is_empty()
            && app.triggers.is_empty()
            && app.resources == Default::default()
    );
}

#[test]
fn task_names_descriptions_and_links_are_read() {
    let app = read(
        "name = \"team.app\"\nenvironment = \"team\"\ndescription = \"Does it\"\nlong-description = \"Does it well\"\n\
         source-code = \"https://example.com/app\"\nlinks = { Metrics = \"https://example.com/{{.runName}}\" }",
    );
    assert_eq!(
        (app.name.unwrap().value.as_str(), app.environment.as_str()),
        ("team.app", "team")
    );
    assert_eq!(
        (
            app.description.unwrap().value.as_str(),
            app.long_description.unwrap().value.as_str()
        ),
        ("Does it", "Does it well")
    );
    assert_eq!(
        app.links["Metrics"].value,
        "https://example.com/{{.runName}}"
    );
    assert_eq!(app.source_code.unwrap().value, "https://example.com/app");
}

#[test]
fn default_environment_is_truncated_to_63_characters() {
    let name = "a".repeat(70);
    let project = Project::new(&format!("[package.metadata.union.tasks.{name}]\n")).bins(&[&name]);
    assert_eq!(project.spec().tasks[&name].environment.value.len(), 63);
}

#[test]
fn inputs_and_outputs_have_types() {
    let app = read(
        "inputs = { x = \"integer\", xs = \"list[integer]\", by = \"map[float]\", when = \"optional[datetime]\", mode = [\"fast\", \"slow\"] }\n\
         outputs.model = \"directory\"",
    );
    let types: Vec<String> = app
        .inputs
        .iter()
        .map(|(name, ty)| format!("{name}: {}", ty.value))
        .collect();
    assert_eq!(
        types,
        [
            "by: map[float]",
            "mode: [\"fast\", \"slow\"]",
            "when: optional[datetime]",
            "x: integer",
            "xs: list[integer]"
        ]
    );
    assert_eq!(app.outputs["model"].to_string(), "directory");
}

#[test]
fn command_line_refers_to_its_binary_and_inputs() {
    let app = read(
        "inputs = { x = \"integer\" }\ncommand = [\"app\", \"--x={{.inputs.x}}\", \"{{ jinja }}\"]",
    );
    assert_eq!(
        app.command_line("/union/bin/app"),
        ["/union/bin/app", "--x={{.inputs.x}}", "{{ jinja }}"]
    );
    assert_eq!(
        app.inputs_of_command().into_iter().collect::<Vec<_>>(),
        ["x"]
    );
    assert_eq!(app.bin.unwrap().value, "app");
}

#[test]
fn command_line_of_another_program_needs_no_binary() {
    let app = read("command = [\"/bin/sh\", \"-c\", \"true\"]");
    assert_eq!(
        (app.bin.clone(), app.environment.as_str()),
        (None, "app_env")
    );
    assert_eq!(
        app.command_line("/union/bin/app"),
        ["/bin/sh", "-c", "true"]
    );
    let both = read("bin = \"app\"\ncommand = [\"/usr/bin/time\", \"/union/bin/app\"]");
    assert_eq!(both.bin.as_ref().unwrap().value, "app");
    assert_eq!(both.command_line("/union/bin/app")[1], "/union/bin/app");
}

#[test]
fn package_without_a_binary_may_run_a_command() {
    let spec = task("command = [\"/bin/true\"]").bins(&[]).spec();
    assert_eq!(spec.tasks["app"].bin, None);
}

#[test]
fn data_paths_format_and_layout_are_read() {
    let data = read("input-path = \"/in\"\noutput-path = \"/out\"\ndata-format = \"proto\"\nfile-layout = \"named-dir\"").data;
    assert_eq!(
        (data.input_path.as_str(), data.output_path.as_str()),
        ("/in", "/out")
    );
    assert_eq!(
        (data.format, data.layout),
        (DataFormat::Proto, FileLayout::NamedDir)
    );
}

#[test]
fn resources_have_requests_and_limits() {
    let resources = read(
        "resources = { cpu = [1, 2], memory = [\"500Mi\", \"1Gi\"], gpu = \"A100:1\", gpu-partition = \"1g.5gb\", disk = \"10Gi\", shm = \"auto\" }",
    )
    .resources;
    let cpu = resources.cpu.unwrap();
    assert_eq!(
        (cpu.request.as_str(), cpu.limit.unwrap().as_str()),
        ("1", "2")
    );
    let gpu = resources.gpu.unwrap();
    assert_eq!(
        (
            gpu.count,
            gpu.device.as_deref(),
            gpu.partition.unwrap().as_str()
        ),
        (1, Some("A100"), "1g.5gb")
    );
    assert_eq!(
        (resources.disk.unwrap().as_str(), resources.shm),
        ("10Gi", Some(SharedMemory::Auto))
    );
    let plain = read("resources = { cpu = 4, gpu = 2, shm = \"1Gi\" }").resources;
    assert_eq!(
        (
            plain.cpu.unwrap().limit,
            plain.gpu.unwrap().device,
            plain.shm
        ),
        (None, None, Some(SharedMemory::Size("1Gi".to_owned())))
    );
}

#[test]
fn secrets_are_variables_or_files() {
    let secrets = read(
        "secrets = [\"my-key\", { key = \"openai\", group = \"team-a\" }, { key = \"db\", env = \"DATABASE\" }, { key = \"tok\", group = \"grp\", file = true }]",
    )
    .secrets;
    let mounts: Vec<Mount> = secrets.iter().map(|secret| secret.mount.clone()).collect();
    let env = |name: &str| Mount::Env(name.to_owned());
    assert_eq!(
        mounts,
        [
            env("MY_KEY"),
            env("TEAM_A_OPENAI"),
            env("DATABASE"),
            Mount::File
        ]
    );
    assert_eq!(
        (
            secrets[3].key.as_str(),
            secrets[3].group.as_ref().unwrap().as_str()
        ),
        ("tok", "grp")
    );
    assert_eq!(
        (secrets[1].variable(), secrets[3].variable()),
        ("TEAM_A_OPENAI".to_owned(), "GRP_TOK".to_owned())
    );
}

#[test]
fn retries_are_a_number_or_have_a_backoff() {
    assert_eq!(
        (
            read("retries = 3").retries.count,
            read("retries = 3").retries.backoff
        ),
        (3, None)
    );
    let retries =
        read("retries = { count = 3, backoff = \"1s\", factor = 1.5, max-backoff = \"30s\" }")
            .retries;
    let backoff = retries.backoff.unwrap();
    assert_eq!(
        (retries.count, backoff.base, backoff.factor),
        (3, Duration::from_secs(1), 1.5)
    );
    assert_eq!(backoff.cap, Some(Duration::from_secs(30)));
    assert_eq!(
        read("retries = { count = 1, backoff = \"1s\" }")
            .retries
            .backoff
            .unwrap()
            .factor,
        1.0
    );
}

#[test]
fn timeout_is_a_duration_or_a_table_of_three() {
    assert_eq!(
        read("timeout = \"30m\"").timeout.runtime,
        Some(Duration::from_secs(1800))
    );
    let timeout =
        read("timeout = { queued = \"5m\", deadline = \"1h\", runtime = \"0s\" }").timeout;
    assert_eq!(
        (
            timeout.runtime,
            timeout.queued,
            timeout.deadline.map(|limit| limit.as_secs())
        ),
        (None, Some(Duration::from_secs(300)), Some(3600))
    );
}

#[test]
fn cache_has_a_version() {
    assert_eq!(read("cache = false").cache, None);
    assert_eq!(
        read("cache = \"auto\"").cache.unwrap().version,
        CacheVersion::Auto
    );
    assert_eq!(
        read("cache = \"v7\"").cache.unwrap().version,
        CacheVersion::Named("v7".to_owned())
    );
    let cache =
        read("inputs.label = \"string\"\ncache = { serialize = true, ignored-inputs = [\"label\"], max-age = \"7d\" }").cache.unwrap();
    assert_eq!(
        (cache.version, cache.serialize, cache.ignored_inputs.len()),
        (CacheVersion::Auto, true, 1)
    );
    assert_eq!(cache.max_age, Some(Duration::from_secs(604_800)));
}

#[test]
fn triggers_have_a_schedule_and_inputs() {
    let app = read(
        "queue = \"gpu\"\ninputs = { x = \"integer\", at = \"datetime\", note = \"optional[string]\" }\n\
         triggers.nightly = { cron = \"0 3 * * mon-fri\", timezone = \"Europe/Berlin\", inputs = { x = 7 }, time-input = \"at\", active = false }\n\
         triggers.often = { every = \"1h30m\", inputs = { x = 1, at = 2030-01-31T12:00:00Z } }",
    );
    let nightly = &app.triggers["nightly"];
    let often = &app.triggers["often"];
    assert_eq!(
        nightly.schedule,
        Schedule::Cron {
            expression: "0 3 * * mon-fri".to_owned(),
            timezone: "Europe/Berlin".to_owned()
        }
    );
    assert_eq!(
        (often.schedule.clone(), often.active, nightly.active),
        (Schedule::Every(90), true, false)
    );
    assert_eq!(nightly.inputs["x"].value, InputValue::Integer(7));
    assert_eq!(
        (
            nightly.time_input.as_ref().unwrap().as_str(),
            app.queue.unwrap().as_str()
        ),
        ("at", "gpu")
    );
}

#[test]
fn rust_task_has_unknown_inputs() {
    let project =
        task("cache = { ignored-inputs = [\"label\"] }\ntriggers.daily = { every = \"1d\", inputs = { anything = [1, { a = true }] } }")
            .flyte();
    let app = project.spec().tasks["app"].clone();
    assert_eq!(app.triggers["daily"].inputs.len(), 1);
}

#[test]
fn key_of_the_other_kind_is_an_error() {
    for line in [
        "inputs.x = \"integer\"",
        "outputs = {}",
        "command = [\"app\"]",
        "input-path = \"/in\"",
        "data-format = \"json\"",
    ] {
        let key = line.split(['.', ' ']).next().unwrap();
        let message = format!("`{key}` is not for tasks of the kind `rust`");
        assert_problem(
            &task(line).flyte(),
            Code::KeyOfOtherKind,
            "app/Cargo.toml:2:1",
            &message,
            "remove it",
        );
    }
}

/// Code, lines, place, message, help.
#[test]
fn each_task_problem_has_code_location_and_help() {
    let long = format!("description = \"{}\"", "a".repeat(300));
    for (code, lines, place, message, help) in [
        (
            Code::Refused,
            "reuse = {}",
            "2:1",
            "`reuse` of the Python SDK",
            "stay warm",
        ),
        (
            Code::Refused,
            "worker-kind = \"sandbox\"",
            "2:1",
            "`worker-kind` of the Python SDK",
            "not supported",
        ),
        (
            Code::Refused,
            "notifications = []",
            "2:1",
            "`notifications` of the Python SDK",
            "at the backend",
        ),
        (
            Code::Refused,
            "triggers.t = { every = \"1h\", labels = {} }",
            "2:30",
            "`labels` of the Python SDK",
            "not supported",
        ),
        (
            Code::InvalidValue,
            "name = \"a b\"",
            "2:8",
            "`a b` is not a name of a task",
            "use letters",
        ),
        (
            Code::InvalidValue,
            "environment = \"\"",
            "2:15",
            "is not a name of an environment",
            "",
        ),
        (
            Code::InvalidValue,
            &long,
            "2:15",
            "aaa…` is not a short text",
            "at most 255 characters",
        ),
        (
            Code::InvalidValue,
            "source-code = \"github.com/a\"",
            "2:15",
            "is not an address of the web",
            "https://",
        ),
        (
            Code::InvalidValue,
            "inputs.x = \"int\"",
            "2:12",
            "`int` is not a type",
            "did you mean `integer`? the types are `integer`, `float`",
        ),
        (
            Code::InvalidValue,
            "inputs.x = \"list[str]\"",
            "2:12",
            "`list[str]` is not a type",
            "did you mean `list[string]`?",
        ),
        (
            Code::InvalidValue,
            "outputs.x = \"map[integer\"",
            "2:13",
            "a bracket is not closed",
            "the types are",
        ),
        (
            Code::InvalidValue,
            "inputs.x = []",
            "2:12",
            "an enum needs at least one word",
            "\"fast\"",
        ),
        (
            Code::InvalidValue,
            "inputs.x = [\"a\", \"a\"]",
            "2:18",
            "is listed twice",
            "remove it",
        ),
        (
            Code::InvalidValue,
            "inputs.a-b = \"file\"",
            "2:8",
            "`a-b` is not a name of an input",
            "write `a_b`",
        ),
        (
            Code::WrongType,
            "inputs.x = 3",
            "2:12",
            "expected a type or a list of strings, found an integer",
            "",
        ),
        (
            Code::UnknownInput,
            "inputs.rate = \"float\"\ncommand = [\"app\", \"{{.inputs.rat}}\"]",
            "3:19",
            "no input `rat`",
            "did you mean `rate`?",
        ),
        (
            Code::UnknownInput,
            "command = [\"app\", \"{{.inputs.x}}\"]",
            "2:19",
            "no input `x`",
            "no input at all",
        ),
        (
            Code::InvalidValue,
            "command = [\"{{.outputPrefx}}\"]",
            "2:12",
            "`{{.outputPrefx}}` is not a template",
            "did you mean `{{.outputPrefix}}`?",
        ),
        (
            Code::InvalidValue,
            "output-path = \"/var/inputs/\"",
            "2:15",
            "have the same directory",
            "two directories",
        ),
        (
            Code::PathInvalid,
            "input-path = \"in\"",
            "2:14",
            "`in` is not a path",
            "absolute",
        ),
        (
            Code::InvalidValue,
            "resources = { cpu = [2, 1] }",
            "2:22",
            "the request of `cpu` is above its limit",
            "not below it",
        ),
        (
            Code::InvalidValue,
            "resources = { memory = [\"1Gi\", \"1000Mi\"] }",
            "2:25",
            "above its limit",
            "not below it",
        ),
        (
            Code::InvalidValue,
            "resources = { cpu = [1] }",
            "2:21",
            "has 1 quantities",
            "the request and the limit",
        ),
        (
            Code::InvalidValue,
            "resources = { gpu = 1, gpu-partition = \"1g\" }",
            "2:40",
            "a part of an unknown type",
            "A100:1",
        ),
        (
            Code::InvalidValue,
            "secrets = [{ key = \"a\", env = \"token\" }]",
            "2:12",
            "`token` is not a variable",
            "write `TOKEN`",
        ),
        (
            Code::InvalidValue,
            "secrets = [{ key = \"a\", env = \"A\", file = true }]",
            "2:31",
            "either a variable or a file",
            "remove one",
        ),
        (
            Code::InvalidValue,
            "secrets = [{ group = \"a\" }]",
            "2:12",
            "a secret has no `key`",
            "write `key",
        ),
        (
            Code::InvalidValue,
            "env = { A = \"1\" }\nsecrets = [\"a\"]",
            "3:12",
            "`A` would have two values",
            "another variable",
        ),
        (
            Code::WrongType,
            "secrets = [1]",
            "2:12",
            "expected a string or a table",
            "",
        ),
        (
            Code::InvalidValue,
            "retries = 11",
            "2:11",
            "cannot be 11",
            "from 0 to 10",
        ),
        (
            Code::InvalidValue,
            "retries = { backoff = \"1s\" }",
            "2:11",
            "has no `count`",
            "count = 3",
        ),
        (
            Code::InvalidValue,
            "retries = { count = 1, backoff = \"1s\", factor = 2 }",
            "2:49",
            "without a limit",
            "max-backoff",
        ),
        (
            Code::InvalidValue,
            "retries = { count = 1, backoff = \"1s\", factor = 0.5 }",
            "2:49",
            "must not be below 1",
            "from 1",
        ),
        (
            Code::InvalidValue,
            "retries = { count = 1, max-backoff = \"1s\" }",
            "2:38",
            "has no effect",
            "backoff =",
        ),
        (
            Code::WrongType,
            "retries = true",
            "2:11",
            "expected an integer or a table",
            "",
        ),
        (
            Code::WrongType,
            "timeout = 30",
            "2:11",
            "expected a duration or a table",
            "write `\"30s\"`",
        ),
        (
            Code::InvalidValue,
            "timeout = \"30\"",
            "2:11",
            "`30` is not a duration",
            "90s",
        ),
        (
            Code::UnknownKey,
            "timeout = { max-runtime = \"1s\" }",
            "2:13",
            "of `tasks.app.timeout`",
            "did you mean `runtime`?",
        ),
        (
            Code::InvalidValue,
            "cache = true",
            "2:9",
            "does not select the results",
            "\"auto\"",
        ),
        (
            Code::UnknownInput,
            "cache = { ignored-inputs = [\"a\"] }",
            "2:29",
            "no input `a`",
            "",
        ),
        (
            Code::InvalidValue,
            "service-account = \"My_SA\"",
            "2:19",
            "is not a name of Kubernetes",
            "lower-case",
        ),
        (
            Code::InvalidValue,
            "triggers.t = {}",
            "2:10",
            "has no schedule",
            "either `cron",
        ),
        (
            Code::InvalidValue,
            "triggers.t = { cron = \"0 3 * * *\", every = \"1h\" }",
            "2:10",
            "both `cron` and `every`",
            "either",
        ),
        (
            Code::InvalidValue,
            "triggers.t.cron = \"0 3 * *\"",
            "2:19",
            "is not a schedule",
            "minute, hour",
        ),
        (
            Code::InvalidValue,
            "triggers.t.cron = \"0 25 * * *\"",
            "2:19",
            "is not a schedule",
            "",
        ),
        (
            Code::InvalidValue,
            "triggers.t.every = \"90s\"",
            "2:20",
            "not a whole number of minutes",
            "15m",
        ),
        (
            Code::InvalidValue,
            "triggers.t = { every = \"1h\", timezone = \"UTC\" }",
            "2:41",
            "only `cron` has a time zone",
            "remove",
        ),
        (
            Code::InvalidValue,
            "triggers.t = { cron = \"0 3 * * *\", timezone = \"berlin\" }",
            "2:47",
            "is not a time zone",
            "Europe/Berlin",
        ),
        (
            Code::UnknownInput,
            "triggers.t = { every = \"1h\", inputs = { x = 1 } }",
            "2:41",
            "no input `x`",
            "",
        ),
        (
            Code::InvalidValue,
            "inputs.x = \"integer\"\ntriggers.t = { every = \"1h\" }",
            "3:10",
            "does not set `x`",
            "under `inputs`",
        ),
        (
            Code::InvalidValue,
            "inputs.x = \"integer\"\ntriggers.t = { every = \"1h\", inputs = { x = \"a\" } }",
            "3:45",
            "input `x`: `\"a\"` is not a whole number",
            "declared type",
        ),
        (
            Code::InvalidValue,
            "inputs.x = \"integer\"\ntriggers.t = { every = \"1h\", time-input = \"x\" }",
            "3:43",
            "`x` is not a `datetime`",
            "of the type `datetime`",
        ),
        (
            Code::InvalidValue,
            "inputs.x = \"float\"\ntriggers.t = { every = \"1h\", inputs = { x = inf } }",
            "3:45",
            "not a finite number",
            "",
        ),
    ] {
        assert_problem(
            &task(lines),
            code,
            &format!("app/Cargo.toml:{place}"),
            message,
            help,
        );
    }
}

#[test]
fn task_without_a_program_is_an_error() {
    assert_problem(
        &task("").bins(&[]),
        Code::NothingRuns,
        "app/Cargo.toml:1:31",
        "task `app` has no program to run",
        "`command`",
    );
}

#[test]
fn command_on_a_bare_image_must_be_a_binary_of_the_package() {
    let refused = |lines: &str| {
        assert_problem(
            &table(lines),
            Code::UnknownBinary,
            "app/Cargo.toml:2:21",
            "no binary `ap`",
            "did you mean `app`?",
        );
    };
    refused("tasks.app.command = [\"ap\", \"--x\"]");
    refused("tasks.app.command = [\"ap\"]\nimages.default.base-image = \"scratch\"");
    refused("tasks.app.command = [\"ap\"]\nimages.a = {}\nimages.default.extends = \"a\"");
    for lines in [
        "base-image = \"debian:trixie-slim\"",
        "copy = [\"Cargo.toml\"]",
        "entrypoint = [\"/x\"]",
        "apt-packages = [\"ap\"]",
    ] {
        let project = table(&format!(
            "tasks.app.command = [\"ap\"]\nimages.default = {{ {lines} }}"
        ))
        .file("app/Cargo.toml");
        assert_eq!(project.spec().tasks["app"].bin, None, "{lines}");
    }
}

#[test]
fn two_tasks_with_the_same_backend_name_are_refused() {
    let project = table("tasks.a.bin = \"app\"\ntasks.b = { bin = \"app\", name = \"a\" }");
    assert_problem(
        &project,
        Code::DuplicateTask,
        "app/Cargo.toml:3:33",
        "the name `a` at the backend",
        "another name",
    );
}

#[test]
fn workspace_gives_defaults_of_tasks() {
    let project = task("resources.memory = \"1Gi\"")
        .workspace("[workspace.metadata.union.tasks.app]\nretries = 2\nresources.cpu = 2\n");
    let app = project.spec().tasks["app"].clone();
    assert_eq!(
        (
            app.retries.count,
            app.resources.cpu.is_some(),
            app.resources.memory.is_some()
        ),
        (2, true, true)
    );
}
