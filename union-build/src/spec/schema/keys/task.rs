//! The tables of a task.

use super::super::{Key, Kind, Level};

/// `tasks.NAME`.
pub static TASK: Level = Level {
    path: "tasks.NAME",
    doc: "One task: what runs, with which inputs, on which node, how often.",
    keys: &[
        Key::new("kind", Kind::Word(&["rust", "container"]), "What runs: a binary built with the `flyte` crate, or any program.")
            .computed("`rust` when the package depends on `flyte`, else `container`"),
        Key::new("image", Kind::Text, "The image spec that it runs in.").computed("`default`, or the only image"),
        Key::new("bin", Kind::Text, "The binary that it runs.").computed(
            "with a `command`, the binary that is its first word; else the binary of the task's name, `default-run`, or the sole one",
        ),
        Key::new("name", Kind::Text, "Its name at the backend.").computed("what the binary says when the kind is `rust`, else the table's name"),
        Key::new("environment", Kind::Text, "The environment under which the backend lists it.")
            .computed("the binary's name, or the table's, with `_` for `-` and `_env` at its end"),
        Key::new("description", Kind::Text, "What it does, in at most 255 characters."),
        Key::new("long-description", Kind::Text, "What it does, in at most 2048 characters."),
        Key::new("source-code", Kind::Text, "Address at which its source code can be read."),
        Key::new("links", Kind::TextMap, "Addresses that are shown beside each run, by the names under which they are shown.").default("{}"),
        Key::new("inputs", Kind::Types, "Its inputs; one that is a file or a folder is found below `input-path`.")
            .only("container")
            .default("{}"),
        Key::new("outputs", Kind::Types, "Its outputs, each of which the program writes to a file of that name below `output-path`.")
            .only("container")
            .default("{}"),
        Key::new(
            "command",
            Kind::Texts,
            "The command line; `{{.inputs.NAME}}` stands for an input's value, and a first word that is the binary's name for its path.",
        )
        .only("container")
        .computed("the binary alone"),
        Key::new("input-path", Kind::Text, "Folder in which the program finds its inputs.").only("container").default("\"/var/inputs\""),
        Key::new("output-path", Kind::Text, "Folder into which the program writes its outputs.")
            .only("container")
            .default("\"/var/outputs\""),
        Key::new("data-format", Kind::Word(&["json", "yaml", "proto"]), "How the file is written that lists all inputs.")
            .only("container")
            .default("\"json\""),
        Key::new(
            "file-layout",
            Kind::Word(&["direct", "named-dir"]),
            "Where an input that is a file is put: at its own name, or in a folder of that name with the name that the file had.",
        )
        .only("container")
        .default("\"direct\""),
        Key::new("resources", Kind::Table(&RESOURCES), "What a node must have."),
        Key::new("env", Kind::TextMap, "Environment variables of the run.").default("{}"),
        Key::new("secrets", Kind::NamesOrEntries(&TASK_SECRET), "Secrets of the backend that the program gets; a plain string is the key of one.")
            .default("[]"),
        Key::new(
            "retries",
            Kind::Either(&[Kind::Integer, Kind::Table(&RETRIES)], "an integer or a table"),
            "How often a failed run is tried again, at most 10 times.",
        )
        .default("0"),
        Key::new(
            "timeout",
            Kind::Either(&[Kind::Duration, Kind::Table(&TIMEOUT)], "a duration or a table"),
            "How long an attempt may run.",
        ),
        Key::new(
            "cache",
            Kind::Either(&[Kind::Bool, Kind::Text, Kind::Table(&CACHE)], "`false`, a version or a table"),
            "Whether results are kept for equal inputs: `false`, `\"auto\"` for as long as the image has the same key, or a version of your own.",
        )
        .default("false"),
        Key::new("interruptible", Kind::Bool, "Whether it may run on nodes that can be taken away.").default("false"),
        Key::new("service-account", Kind::Text, "Kubernetes service account that it runs as."),
        Key::new("pod-template", Kind::Text, "Name of a pod template of the cluster."),
        Key::new("queue", Kind::Text, "Queue that its runs wait in: those that are started from here, and those of its triggers."),
        Key::new("triggers", Kind::Tables(&TRIGGER), "Schedules that start it, by name."),
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
    refused: &[("reuse", "containers that stay warm between runs are not supported yet"), ("reusable", "containers that stay warm between runs are not supported yet")],
};

/// `tasks.NAME.resources`.
static RESOURCES: Level = Level {
    path: "tasks.NAME.resources",
    doc: "What a node must have to run the task, as Kubernetes quantities. A pair, such as `[\"1\", \"2\"]`, is a request and a limit.",
    keys: &[
        Key::new("cpu", Kind::Amount, "Processors, such as `4` or `\"500m\"`."),
        Key::new("memory", Kind::Amount, "Memory, such as `\"8Gi\"`."),
        Key::new("gpu", Kind::Quantity, "Accelerators, `COUNT` or `\"TYPE:COUNT\"`."),
        Key::new("gpu-partition", Kind::Text, "The part of an accelerator that is enough, such as `\"1g.5gb\"`."),
        Key::new("disk", Kind::Quantity, "Ephemeral disk, such as `\"20Gi\"`."),
        Key::new("shm", Kind::Quantity, "Shared memory, a quantity or `\"auto\"`."),
    ],
    aliases: &[("mem", "memory"), ("ephemeral-storage", "disk"), ("shared-memory", "shm"), ("partition", "gpu-partition")],
    refused: &[],
};

/// One entry of `secrets` that is a table.
pub static TASK_SECRET: Level = Level {
    path: "tasks.NAME.secrets",
    doc: "One secret of the backend.",
    keys: &[
        Key::new("key", Kind::Text, "Its key."),
        Key::new("group", Kind::Text, "The group that it is in."),
        Key::new("env", Kind::Text, "The environment variable that gets it.")
            .computed("`GROUP_KEY` or `KEY` in upper case, with `_` for `-`"),
        Key::new("file", Kind::Bool, "Whether it is a file below `/etc/flyte/secrets` instead of a variable.").default("false"),
    ],
    aliases: &[("as-env-var", "env"), ("mount", "file"), ("id", "key"), ("name", "key")],
    refused: &[],
};

/// `retries` as a table.
pub static RETRIES: Level = Level {
    path: "tasks.NAME.retries",
    doc: "How often a failed run is tried again, and after which pause: `backoff` × `factor` for each attempt before, at most `max-backoff`.",
    keys: &[
        Key::new("count", Kind::Integer, "How often, at most 10 times."),
        Key::new("backoff", Kind::Duration, "The pause before the first retry.").computed("none"),
        Key::new("factor", Kind::Number, "How much longer each pause is than the one before, from 1; above 1 it needs a `max-backoff`.")
            .default("1"),
        Key::new("max-backoff", Kind::Duration, "The longest pause."),
    ],
    aliases: &[("retries", "count"), ("base", "backoff"), ("cap", "max-backoff")],
    refused: &[],
};

/// `timeout` as a table.
static TIMEOUT: Level = Level {
    path: "tasks.NAME.timeout",
    doc: "How long a task may take; what is not set is not limited.",
    keys: &[
        Key::new("runtime", Kind::Duration, "How long an attempt may run."),
        Key::new("queued", Kind::Duration, "How long an attempt may wait for a node."),
        Key::new("deadline", Kind::Duration, "How long all attempts together may take, with their waiting."),
    ],
    aliases: &[("max-runtime", "runtime"), ("max-queued-time", "queued")],
    refused: &[],
};

/// `cache` as a table.
pub static CACHE: Level = Level {
    path: "tasks.NAME.cache",
    doc: "Results that are kept for equal inputs.",
    keys: &[
        Key::new(
            "version",
            Kind::Text,
            "Whose results are the same: `\"auto\"` is the image's key, so that changed code never meets old results.",
        )
        .default("\"auto\""),
        Key::new("serialize", Kind::Bool, "Whether runs with equal inputs wait for the first of them.").default("false"),
        Key::new("ignored-inputs", Kind::Texts, "Inputs that make no difference.").default("[]"),
        Key::new("max-age", Kind::Duration, "How old a result may be."),
    ],
    aliases: &[("behavior", "version"), ("version-override", "version")],
    refused: &[],
};

/// `triggers.NAME`.
pub static TRIGGER: Level = Level {
    path: "tasks.NAME.triggers.NAME",
    doc: "One schedule that starts the task: `cron` or `every`.",
    keys: &[
        Key::new("cron", Kind::Text, "Minute, hour, day of the month, month, day of the week, such as `\"0 3 * * 1\"`."),
        Key::new("timezone", Kind::Text, "Time zone of `cron`, such as `\"Europe/Berlin\"`.").computed("`UTC`"),
        Key::new("every", Kind::Duration, "The time between two runs, in whole minutes, such as `\"15m\"` or `\"1d\"`."),
        Key::new("inputs", Kind::Values, "Values of the task's inputs.").default("{}"),
        Key::new("time-input", Kind::Text, "The `datetime` input that gets the time for which a run was scheduled."),
        Key::new("description", Kind::Text, "What it is for, in at most 255 characters."),
        Key::new("active", Kind::Bool, "Whether it starts runs as soon as it is registered.").default("true"),
    ],
    aliases: &[("schedule", "cron"), ("interval", "every"), ("auto-activate", "active"), ("kickoff-time-input-arg", "time-input")],
    refused: &[],
};
