//! The features of each generation of Flyte: one table, from which `check`, errors and `docs/backends.md` are
//! generated.
//!
//! A manifest key that a backend does not support is an error if leaving it out changes what happens. If it is only
//! descriptive, it is left out with a note.

use std::fmt;

use union_build::diag::{Code, Diagnostic, Origin};
use union_build::spec::task::{
    Backoff, Data, FileLayout, Gpu, Resources, Retries, Schedule, Task, TaskCache, TaskKind,
    Timeout, Trigger,
};
use union_build::spec::{BuilderChoice, ImageSpec, Spec};

use super::convert::is_nvidia;
use super::rpc::RpcFailure;

/// A generation of Flyte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum BackendKind {
    /// Flyte 1: REST with protobuf messages.
    Flyte1,
    /// Flyte 2 and Union: the Connect protocol.
    Flyte2,
}

impl BackendKind {
    /// The word in the manifest: `flyte1`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Flyte1 => "flyte1",
            Self::Flyte2 => "flyte2",
        }
    }
}

impl fmt::Display for BackendKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Flyte1 => "Flyte 1",
            Self::Flyte2 => "Flyte 2",
        })
    }
}

/// How Flyte 1 treats a manifest key. Flyte 2 has all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeySupport {
    /// As on Flyte 2.
    Full,
    /// As on Flyte 2, with this difference.
    Differs(&'static str),
    /// Left out of requests, with a note.
    LeftOut,
    /// An error, with what to do instead.
    Refused(&'static str),
    /// An error for some values: which, and what to do instead.
    Partly(&'static str, &'static str),
}

use KeySupport::{Differs, Full, LeftOut, Partly, Refused};

/// The manifest keys of tasks, in the order of their reference page; a test compares them with the schema.
pub(super) const KEYS: &[(&str, KeySupport)] = &[
    (
        "kind",
        Partly(
            "`rust`: its worker calls services of Flyte 2",
            "use `kind = \"container\"`, or a backend of Flyte 2",
        ),
    ),
    ("image", Full),
    ("bin", Full),
    ("name", Full),
    ("environment", LeftOut),
    ("description", LeftOut),
    ("long-description", LeftOut),
    ("source-code", LeftOut),
    ("links", LeftOut),
    ("inputs", Full),
    (
        "outputs",
        Differs("a task without outputs has none; on Flyte 2 it has a hidden one"),
    ),
    ("command", Full),
    ("input-path", Full),
    ("output-path", Full),
    (
        "data-format",
        Differs("in the file of all inputs, a duration is `null`"),
    ),
    (
        "file-layout",
        Partly(
            "`named-dir`",
            "remove it: inputs that are files have the names of the inputs",
        ),
    ),
    ("resources", Full),
    ("resources.cpu", Full),
    ("resources.memory", Full),
    (
        "resources.gpu",
        Partly(
            "types of other vendors than NVIDIA",
            "write the count alone, and choose nodes with a `pod-template`",
        ),
    ),
    ("resources.gpu-partition", Full),
    ("resources.disk", Full),
    ("resources.shm", Full),
    ("env", Full),
    ("secrets", Full),
    ("secrets.key", Full),
    ("secrets.group", Full),
    ("secrets.env", Full),
    ("secrets.file", Full),
    (
        "retries",
        Differs("a program that fails is started three times at least"),
    ),
    ("retries.count", Full),
    ("retries.backoff", LeftOut),
    ("retries.factor", LeftOut),
    ("retries.max-backoff", LeftOut),
    ("timeout", Full),
    ("timeout.runtime", Full),
    (
        "timeout.queued",
        Refused("remove it, or use a backend of Flyte 2"),
    ),
    (
        "timeout.deadline",
        Refused("remove it, or use a backend of Flyte 2"),
    ),
    ("cache", Full),
    ("cache.version", Full),
    ("cache.serialize", Full),
    ("cache.ignored-inputs", Full),
    (
        "cache.max-age",
        Refused("remove it, and change the `version` when results are too old"),
    ),
    ("interruptible", Full),
    ("service-account", Full),
    ("pod-template", Full),
    (
        "queue",
        Refused("remove it: runs start as soon as there is a node"),
    ),
    (
        "triggers",
        Differs("each is a launch plan of a workflow with one node"),
    ),
    ("triggers.cron", Full),
    (
        "triggers.timezone",
        Partly("other zones than UTC", "write the times of `cron` in UTC"),
    ),
    ("triggers.every", Full),
    ("triggers.inputs", Full),
    ("triggers.time-input", Full),
    ("triggers.description", LeftOut),
    ("triggers.active", Full),
];

/// Features of a backend beyond the keys of tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackendFeature {
    /// The output that a container task without outputs needs.
    EmptyOutput,
    /// `register --replace`: another definition under an existing version.
    Replace,
    /// The text of logs; without it, links.
    LogText,
    /// `builder = "remote"`: images that the backend builds.
    ImageBuilder,
    /// The organization of a call.
    Organizations,
    /// `rerun`: a run with the inputs of another.
    Rerun,
    /// `secret`: secrets that the backend stores.
    Secrets,
    /// `get task`: the versions and the definition of a task.
    TaskDetails,
}

impl BackendFeature {
    /// All features with their descriptions in the document.
    pub(super) const ALL: [(Self, &'static str); 8] = [
        (Self::Replace, "`register --replace`"),
        (Self::ImageBuilder, "`builder = \"remote\"`"),
        (Self::LogText, "log lines of a run; otherwise links to them"),
        (Self::Organizations, "organizations (`--org`)"),
        (Self::Rerun, "`rerun`"),
        (Self::Secrets, "`secret`"),
        (Self::TaskDetails, "`get task`"),
        (
            Self::EmptyOutput,
            "a hidden output of tasks without outputs",
        ),
    ];
}

impl BackendKind {
    /// Refuses a feature that this generation does not have.
    ///
    /// # Errors
    /// U0790 (`BackendUnsupported`).
    pub(super) fn require(self, feature: BackendFeature) -> Result<(), RpcFailure> {
        if self.has(feature) {
            return Ok(());
        }
        let name = BackendFeature::ALL
            .iter()
            .find(|(known, _)| *known == feature)
            .map_or("this", |(_, name)| name);
        let cause = format!("{self} does not support {name}");
        Err(RpcFailure::new(Code::BackendUnsupported, cause))
    }

    /// Whether this generation has a feature.
    pub fn has(self, feature: BackendFeature) -> bool {
        match (self, feature) {
            (Self::Flyte2, _) => true,
            (
                Self::Flyte1,
                BackendFeature::EmptyOutput
                | BackendFeature::Replace
                | BackendFeature::LogText
                | BackendFeature::ImageBuilder
                | BackendFeature::Organizations
                | BackendFeature::Rerun
                | BackendFeature::Secrets
                | BackendFeature::TaskDetails,
            ) => false,
        }
    }
}

/// A key that a manifest sets, and that Flyte 1 does not support or supports only in part.
struct UnsupportedKey<'a> {
    key: &'static str,
    origin: &'a Origin,
}

/// The errors for keys of a package's manifest that a backend does not support and that cannot be left out.
pub fn unsupported(kind: BackendKind, spec: &Spec) -> Vec<Diagnostic> {
    if kind == BackendKind::Flyte2 {
        return Vec::new();
    }
    let images = spec.images.values().filter_map(unsupported_builder);
    let tasks = spec.tasks.values().flat_map(|task| {
        keys_without_place(task)
            .into_iter()
            .filter_map(|found| refusal(task, &found))
    });
    images.chain(tasks).collect()
}

/// The keys of a package's tasks that are left out on a backend, sorted.
pub fn left_out(kind: BackendKind, spec: &Spec) -> Vec<&'static str> {
    if kind == BackendKind::Flyte2 {
        return Vec::new();
    }
    let mut keys: Vec<&str> = spec
        .tasks
        .values()
        .flat_map(keys_without_place)
        .filter(|found| support(found.key) == LeftOut)
        .map(|found| found.key)
        .collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

fn support(key: &str) -> KeySupport {
    KEYS.iter()
        .find(|(known, _)| *known == key)
        .map(|(_, support)| *support)
        .expect("every key has a row")
}

fn refusal(task: &Task, found: &UnsupportedKey<'_>) -> Option<Diagnostic> {
    let (what, help) = match support(found.key) {
        Full | Differs(_) | LeftOut => return None,
        Refused(help) => (String::new(), help),
        Partly(what, help) => (format!(": {what}"), help),
    };
    let message = format!(
        "{} does not support `{}` of task `{}`{what}",
        BackendKind::Flyte1,
        found.key,
        task.key
    );
    let problem = Diagnostic::error(
        Code::BackendUnsupported,
        message,
        found.origin,
        "is not supported there",
    );
    Some(problem.help(help))
}

fn unsupported_builder(image: &ImageSpec) -> Option<Diagnostic> {
    (image.builder.value == BuilderChoice::Remote).then(|| {
        let message = format!(
            "{} builds no images, as image `{}` needs it",
            BackendKind::Flyte1,
            image.key
        );
        Diagnostic::error(
            Code::BackendUnsupported,
            message,
            &image.builder.origin,
            "the builder of Union",
        )
        .help("use `builder = \"docker\"`")
    })
}

/// The keys of a task, as far as they are set, that are not [`Full`] for their values.
fn keys_without_place(task: &Task) -> Vec<UnsupportedKey<'_>> {
    // Lists all fields, so that a new key does not compile until it has a row.
    let Task {
        key: _,
        origin,
        kind,
        image: _,
        bin: _,
        name: _,
        environment,
        description,
        long_description,
        source_code,
        links,
        inputs: _,
        outputs: _,
        command: _,
        data,
        resources,
        env: _,
        secrets: _,
        retries,
        timeout,
        cache,
        interruptible: _,
        service_account: _,
        pod_template: _,
        queue,
        triggers,
    } = task;
    let Data {
        input_path: _,
        output_path: _,
        format: _,
        layout,
    } = data;
    let Resources {
        cpu: _,
        memory: _,
        gpu,
        disk: _,
        shm: _,
    } = resources;
    let Retries { count: _, backoff } = retries;
    let Timeout {
        runtime: _,
        queued,
        deadline,
    } = timeout;
    let mut found = Found(Vec::new());
    found.add(
        "kind",
        (kind.value == TaskKind::Rust).then_some(&kind.origin),
    );
    found.add("environment", Some(&environment.origin));
    found.add("description", description.as_ref().map(|text| &text.origin));
    found.add(
        "long-description",
        long_description.as_ref().map(|text| &text.origin),
    );
    found.add("source-code", source_code.as_ref().map(|text| &text.origin));
    found.add("links", links.values().next().map(|link| &link.origin));
    found.add(
        "file-layout",
        (*layout == FileLayout::NamedDir).then_some(origin),
    );
    found.add(
        "resources.gpu",
        gpu.as_ref()
            .is_some_and(|gpu: &Gpu| !is_nvidia(gpu))
            .then_some(origin),
    );
    if let Some(Backoff {
        base: _,
        factor: _,
        cap: _,
    }) = backoff
    {
        found.add("retries.backoff", Some(origin));
    }
    found.add("timeout.queued", queued.is_some().then_some(origin));
    found.add("timeout.deadline", deadline.is_some().then_some(origin));
    if let Some(TaskCache {
        version: _,
        serialize: _,
        ignored_inputs: _,
        max_age,
    }) = cache
    {
        found.add("cache.max-age", max_age.is_some().then_some(origin));
    }
    found.add("queue", queue.as_ref().map(|text| &text.origin));
    for trigger in triggers.values() {
        found.add_trigger(trigger);
    }
    found.0
}

struct Found<'a>(Vec<UnsupportedKey<'a>>);

impl<'a> Found<'a> {
    /// Adds a key, unless it has its default.
    fn add(&mut self, key: &'static str, origin: Option<&'a Origin>) {
        let set = origin.filter(|origin| **origin != Origin::Default);
        self.0
            .extend(set.map(|origin| UnsupportedKey { key, origin }));
    }

    fn add_trigger(&mut self, trigger: &'a Trigger) {
        let Trigger {
            key: _,
            origin,
            schedule,
            inputs: _,
            time_input: _,
            description,
            active: _,
        } = trigger;
        match schedule {
            Schedule::Cron {
                expression: _,
                timezone,
            } if !is_utc(timezone) => self.add("triggers.timezone", Some(origin)),
            Schedule::Cron { .. } | Schedule::Every(_) => {}
        }
        self.add(
            "triggers.description",
            description.as_ref().map(|text| &text.origin),
        );
    }
}

fn is_utc(timezone: &str) -> bool {
    matches!(timezone, "" | "UTC" | "Etc/UTC" | "GMT" | "Etc/GMT")
}

#[cfg(test)]
mod tests;
