//! The tables of `tasks`.

use super::super::{KeyKind, SchemaKey, SchemaLevel};

/// `tasks.NAME`.
pub static TASK: SchemaLevel = SchemaLevel {
    path: "tasks.NAME",
    doc: "One task: what runs, with which inputs, on which node, how often.",
    keys: &[
        SchemaKey::new("kind", KeyKind::Word(&["rust", "container"]), "What runs: a binary built with the `flyte` crate, or any program.").example("\"container\"")
            .computed("`rust` when the package depends on `flyte`, else `container`"),
        SchemaKey::new("image", KeyKind::Text, "The image spec that it runs in.").example("\"default\"").computed("`default`, or the only image"),
        SchemaKey::new("bin", KeyKind::Text, "The binary that it runs.").computed(
            "with a `command`, the binary that is its first word; else the binary of the task's name, `default-run`, or the sole one",
        ),
        SchemaKey::new("name", KeyKind::Text, "Its name at the backend.").example("\"my_task\"").computed("the name in the binary's description when the kind is `rust`, else the table's name"),
        SchemaKey::new("environment", KeyKind::Text, "The environment under which the backend lists it.").example("\"my_env\"")
            .computed("the binary's name, or the table's, with `_` for `-` and `_env` at its end"),
        SchemaKey::new("description", KeyKind::Text, "What it does, in at most 255 characters.").example("\"Doubles a number\""),
        SchemaKey::new("long-description", KeyKind::Text, "What it does, in at most 2048 characters.").example("\"Doubles a number, and nothing else.\""),
        SchemaKey::new("source-code", KeyKind::Text, "Address at which its source code can be read.").example("\"https://github.com/my-org/my-repository\""),
        SchemaKey::new("links", KeyKind::TextMap, "Addresses that are shown beside each run, by the names under which they are shown.").example("{ Dashboard = \"https://example.com\" }").default("{}"),
        SchemaKey::new("inputs", KeyKind::Types, "Its inputs; one that is a file or a directory is found below `input-path`.").example("{ x = \"integer\" }")
            .only("container")
            .default("{}"),
        SchemaKey::new("outputs", KeyKind::Types, "Its outputs, each of which the program writes to a file of that name below `output-path`.").example("{ twice = \"integer\" }")
            .only("container")
            .default("{}"),
        SchemaKey::new(
            "command",
            KeyKind::Texts,
            "The command line; `{{.inputs.NAME}}` stands for an input's value, and a first word that is the binary's name for its path.",
        )
        .only("container")
        .computed("the binary alone"),
        SchemaKey::new("input-path", KeyKind::Text, "Directory in which the program finds its inputs.").only("container").default("\"/var/inputs\""),
        SchemaKey::new("output-path", KeyKind::Text, "Directory into which the program writes its outputs.")
            .only("container")
            .default("\"/var/outputs\""),
        SchemaKey::new("data-format", KeyKind::Word(&["json", "yaml", "proto"]), "How the file is written that lists all inputs: `inputs.json`, `inputs.yaml`, or only the message `inputs.pb`, which is always there.")
            .only("container")
            .default("\"json\""),
        SchemaKey::new(
            "file-layout",
            KeyKind::Word(&["direct", "named-dir"]),
            "Where an input that is a file is put: at its own name, or in a directory of that name with the name that the file had.",
        )
        .only("container")
        .default("\"direct\""),
        SchemaKey::new("resources", KeyKind::Table(&RESOURCES), "What a node must have."),
        SchemaKey::new("env", KeyKind::TextMap, "Environment variables of the run.").example("{ RUST_LOG = \"info\" }").default("{}"),
        SchemaKey::new("secrets", KeyKind::NamesOrEntries(&TASK_SECRET), "Secrets of the backend that the program gets; a plain string is the key of one.").example("[\"api-key\"]")
            .default("[]"),
        SchemaKey::new(
            "retries",
            KeyKind::Either(&[KeyKind::Integer, KeyKind::Table(&RETRIES)], "an integer or a table"),
            "How often a failed run is tried again, at most 10 times.",
        )
        .default("0"),
        SchemaKey::new(
            "timeout",
            KeyKind::Either(&[KeyKind::Duration, KeyKind::Table(&TIMEOUT)], "a duration or a table"),
            "How long an attempt may run.",
        ).example("\"1h30m\""),
        SchemaKey::new(
            "cache",
            KeyKind::Either(&[KeyKind::Bool, KeyKind::Text, KeyKind::Table(&CACHE)], "`false`, a version or a table"),
            "Whether results are kept for equal inputs: `false`, `\"auto\"` for as long as the image has the same key, or a version of your own.",
        )
        .default("false"),
        SchemaKey::new("interruptible", KeyKind::Bool, "Whether it may run on nodes that can be taken away.").default("false"),
        SchemaKey::new("service-account", KeyKind::Text, "Kubernetes service account that it runs as.").example("\"default\""),
        SchemaKey::new("pod-template", KeyKind::Text, "Name of a pod template of the cluster.").example("\"my-template\""),
        SchemaKey::new("queue", KeyKind::Text, "Queue that its runs wait in: those that are started from here, and those of its triggers.").example("\"default\""),
        SchemaKey::new("triggers", KeyKind::Tables(&TRIGGER), "Schedules that start it, by name."),
    ],
    aliases: &[
        ("container-image", "image"),
        ("binary", "bin"),
        ("env-vars", "env"),
        ("args", "command"),
        ("arguments", "command"),
        ("input-data-dir", "input-path"),
        ("output-data-dir", "output-path"),
        ("metadata-format", "data-format"),
        ("file-input-layout", "file-layout"),
        ("docs", "description"),
        ("schedules", "triggers"),
    ],
    refused: &[
        ("reuse", "containers that stay warm between runs are not supported yet"),
        ("reusable", "containers that stay warm between runs are not supported yet"),
        ("worker-kind", "workers in a sandbox are not supported"),
        ("notifications", "notifications are not supported: set their rules at the backend"),
    ],
};

/// `tasks.NAME.resources`.
static RESOURCES: SchemaLevel = SchemaLevel {
    path: "tasks.NAME.resources",
    doc: "What a node must have to run the task, as Kubernetes quantities. A pair, such as `[\"1\", \"2\"]`, is a request and a limit.",
    keys: &[
        SchemaKey::new(
            "cpu",
            KeyKind::Amount,
            "Processors, such as `4` or `\"500m\"`.",
        )
        .example("1"),
        SchemaKey::new("memory", KeyKind::Amount, "Memory, such as `\"8Gi\"`.")
            .example("\"500Mi\""),
        SchemaKey::new(
            "gpu",
            KeyKind::Quantity,
            "Accelerators, `COUNT` or `\"TYPE:COUNT\"`.",
        )
        .example("\"A100:1\""),
        SchemaKey::new(
            "gpu-partition",
            KeyKind::Text,
            "The part of an accelerator that is enough, such as `\"1g.5gb\"`.",
        )
        .needs(&["gpu"])
        .example("\"1g.5gb\""),
        SchemaKey::new(
            "disk",
            KeyKind::Quantity,
            "Ephemeral disk, such as `\"20Gi\"`.",
        )
        .example("\"20Gi\""),
        SchemaKey::new(
            "shm",
            KeyKind::Quantity,
            "Shared memory, a quantity or `\"auto\"`.",
        )
        .example("\"auto\""),
    ],
    aliases: &[
        ("mem", "memory"),
        ("ephemeral-storage", "disk"),
        ("shared-memory", "shm"),
        ("partition", "gpu-partition"),
    ],
    refused: &[],
};

/// An entry of `secrets` in its table form.
pub static TASK_SECRET: SchemaLevel = SchemaLevel {
    path: "tasks.NAME.secrets",
    doc: "One secret of the backend.",
    keys: &[
        SchemaKey::new("key", KeyKind::Text, "Its key.").example("\"api-key\""),
        SchemaKey::new("group", KeyKind::Text, "The group that it is in.")
            .example("\"my-group\"")
            .needs(&["key"]),
        SchemaKey::new(
            "env",
            KeyKind::Text,
            "The environment variable that gets it.",
        )
        .example("\"API_KEY\"")
        .needs(&["key"])
        .computed("`GROUP_KEY` or `KEY` in upper case, with `_` for `-`"),
        SchemaKey::new(
            "file",
            KeyKind::Bool,
            "Whether it is a file below `/etc/flyte/secrets` instead of a variable.",
        )
        .needs(&["key"])
        .default("false"),
    ],
    aliases: &[
        ("as-env-var", "env"),
        ("mount", "file"),
        ("id", "key"),
        ("name", "key"),
    ],
    refused: &[],
};

/// `retries` in its table form.
pub static RETRIES: SchemaLevel = SchemaLevel {
    path: "tasks.NAME.retries",
    doc: "How often a failed run is tried again, and after which pause: `backoff` × `factor` for each attempt before, at most `max-backoff`.",
    keys: &[
        SchemaKey::new("count", KeyKind::Integer, "How often, at most 10 times.").example("3"),
        SchemaKey::new("backoff", KeyKind::Duration, "The pause before the first retry.").example("\"10s\"").needs(&["count"]).computed("none"),
        SchemaKey::new(
            "factor",
            KeyKind::Number,
            "How much longer each pause is than the one before, from 1; above 1 it needs a `max-backoff`.",
        ).needs(&["count"])
        .default("1"),
        SchemaKey::new("max-backoff", KeyKind::Duration, "The longest pause.").example("\"5m\"").needs(&["count", "backoff"]),
    ],
    aliases: &[("retries", "count"), ("base", "backoff"), ("cap", "max-backoff")],
    refused: &[],
};

/// `timeout` in its table form.
static TIMEOUT: SchemaLevel = SchemaLevel {
    path: "tasks.NAME.timeout",
    doc: "How long a task may take; what is not set is not limited.",
    keys: &[
        SchemaKey::new("runtime", KeyKind::Duration, "How long an attempt may run.")
            .example("\"1h\""),
        SchemaKey::new(
            "queued",
            KeyKind::Duration,
            "How long an attempt may wait for a node.",
        )
        .example("\"30m\""),
        SchemaKey::new(
            "deadline",
            KeyKind::Duration,
            "How long all attempts together may take, with their waiting.",
        )
        .example("\"1d\""),
    ],
    aliases: &[("max-runtime", "runtime"), ("max-queued-time", "queued")],
    refused: &[],
};

/// `cache` in its table form.
pub static CACHE: SchemaLevel = SchemaLevel {
    path: "tasks.NAME.cache",
    doc: "Results that are kept for equal inputs.",
    keys: &[
        SchemaKey::new(
            "version",
            KeyKind::Text,
            "Whose results are the same: `\"auto\"` is the image's key, so that changed code never meets old results.",
        )
        .default("\"auto\""),
        SchemaKey::new("serialize", KeyKind::Bool, "Whether runs with equal inputs wait for the first of them.").default("false"),
        SchemaKey::new("ignored-inputs", KeyKind::Texts, "Inputs that make no difference.").default("[]"),
        SchemaKey::new("max-age", KeyKind::Duration, "How old a result may be.").example("\"7d\""),
    ],
    aliases: &[("behavior", "version"), ("version-override", "version")],
    refused: &[],
};

/// `triggers.NAME`.
pub static TRIGGER: SchemaLevel = SchemaLevel {
    path: "tasks.NAME.triggers.NAME",
    doc: "One schedule that starts the task: `cron` or `every`.",
    keys: &[
        SchemaKey::new(
            "cron",
            KeyKind::Text,
            "Minute, hour, day of the month, month, day of the week, such as `\"0 3 * * 1\"`.",
        )
        .example("\"0 3 * * 1\"")
        .needs(&["inputs"]),
        SchemaKey::new(
            "timezone",
            KeyKind::Text,
            "Time zone of `cron`, such as `\"Europe/Berlin\"`.",
        )
        .example("\"Europe/Berlin\"")
        .needs(&["cron", "inputs"])
        .computed("`UTC`"),
        SchemaKey::new(
            "every",
            KeyKind::Duration,
            "The time between two runs, in whole minutes, such as `\"15m\"` or `\"1d\"`.",
        )
        .example("\"1d\"")
        .needs(&["inputs"]),
        SchemaKey::new("inputs", KeyKind::Values, "Values of the task's inputs.")
            .needs(&["every", "inputs"])
            .default("{}"),
        SchemaKey::new(
            "time-input",
            KeyKind::Text,
            "The `datetime` input that gets the time for which a run was scheduled.",
        )
        .example("\"scheduled\"")
        .needs(&["every", "inputs"]),
        SchemaKey::new(
            "description",
            KeyKind::Text,
            "What it is for, in at most 255 characters.",
        )
        .example("\"Every Monday\"")
        .needs(&["every", "inputs"]),
        SchemaKey::new(
            "active",
            KeyKind::Bool,
            "Whether it starts runs as soon as it is registered.",
        )
        .needs(&["every", "inputs"])
        .default("true"),
    ],
    aliases: &[
        ("schedule", "cron"),
        ("interval", "every"),
        ("auto-activate", "active"),
        ("kickoff-time-input-arg", "time-input"),
    ],
    refused: &[
        (
            "labels",
            "labels of the runs of a trigger are not supported",
        ),
        (
            "notifications",
            "notifications are not supported: set their rules at the backend",
        ),
    ],
};
