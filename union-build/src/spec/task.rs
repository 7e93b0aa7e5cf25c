//! Tasks: what runs, with which inputs, on which node, and when.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::Sourced;
use super::template;
use super::types::Type;
use super::value::InputValue;
use crate::diag::Origin;

/// One task: a `tasks.NAME` table with every default filled in.
#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    /// Name of the table.
    pub key: String,
    /// Where the table was declared.
    pub origin: Origin,
    /// Whether it is a worker of the `flyte` crate or an arbitrary program.
    pub kind: Sourced<TaskKind>,
    /// Key of the image spec that it runs in.
    pub image: Sourced<String>,
    /// Name of the binary; `None` for a container task whose program comes from the image.
    pub bin: Option<Sourced<String>>,

    /// Name at the backend; `None` is the name in the binary's description for `rust`, else [`Task::key`].
    pub name: Option<Sourced<String>>,
    /// Name of the environment that groups it at the backend.
    pub environment: Sourced<String>,
    /// Short description, at most 255 characters.
    pub description: Option<Sourced<String>>,
    /// Long description, at most 2048 characters.
    pub long_description: Option<Sourced<String>>,
    /// URL of the source code.
    pub source_code: Option<Sourced<String>>,
    /// URLs shown beside each run, by name.
    pub links: BTreeMap<String, Sourced<String>>,

    /// Inputs of a container task by name.
    pub inputs: BTreeMap<String, Sourced<Type>>,
    /// Outputs of a container task by name.
    pub outputs: BTreeMap<String, Sourced<Type>>,
    /// Command line of a container task as typed; [`Task::command_line`] is the one that runs.
    pub command: Option<Sourced<Vec<String>>>,
    /// How a container task receives inputs and returns outputs.
    pub data: Data,

    /// Resources of the node.
    pub resources: Resources,
    /// Environment variables of its runs.
    pub env: BTreeMap<String, Sourced<String>>,
    /// Secrets of the backend that its program receives.
    pub secrets: Vec<TaskSecret>,
    /// Retries of failed attempts.
    pub retries: Retries,
    /// Time limits of its runs.
    pub timeout: Timeout,
    /// Caching of results; `None` when results are not cached.
    pub cache: Option<TaskCache>,
    /// Whether it may run on preemptible nodes.
    pub interruptible: Sourced<bool>,
    /// Name of a Kubernetes service account.
    pub service_account: Option<Sourced<String>>,
    /// Name of a Kubernetes pod template.
    pub pod_template: Option<Sourced<String>>,
    /// Queue for its runs; set on each run, not on the registered task.
    pub queue: Option<Sourced<String>>,
    /// Schedules by name.
    pub triggers: BTreeMap<String, Trigger>,
}

impl Task {
    /// The command line of a container task, with `{{.inputs.NAME}}` not yet replaced; `program` is the path of its
    /// binary. It is empty when the image's entrypoint runs alone.
    pub fn command_line(&self, program: &str) -> Vec<String> {
        let Some(command) = &self.command else {
            return self.bin.iter().map(|_| program.to_owned()).collect();
        };
        let mut words = command.value.clone();
        if let (Some(first), Some(bin)) = (words.first_mut(), &self.bin)
            && *first == bin.value
        {
            program.clone_into(first);
        }
        words
    }

    /// The inputs to which the command line refers.
    pub fn inputs_of_command(&self) -> BTreeSet<String> {
        let words = self.command.iter().flat_map(|command| &command.value);
        words
            .flat_map(|word| template::pieces(word))
            .filter_map(template::TemplatePart::into_input)
            .collect()
    }
}

/// The kind of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskKind {
    /// A worker: a binary built with the upstream `flyte` crate.
    Rust,
    /// An arbitrary program, whose inputs and outputs are files.
    Container,
}

/// The data config of a container task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Data {
    /// Absolute directory of the inputs.
    pub input_path: Sourced<String>,
    /// Absolute directory of the outputs.
    pub output_path: Sourced<String>,
    /// Format of the file that lists all inputs.
    pub format: DataFormat,
    /// Paths of inputs that are files.
    pub layout: FileLayout,
}

/// Format of the file that lists all inputs of a container task.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DataFormat {
    /// JSON (`inputs.json`).
    #[default]
    Json,
    /// YAML (`inputs.yaml`).
    Yaml,
    /// A protobuf message.
    Proto,
}

/// Paths of inputs that are files, below the input directory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FileLayout {
    /// `NAME`: the name of the input.
    #[default]
    Direct,
    /// `NAME/FILE`: a directory with the name of the input, and the original name of the file.
    NamedDir,
}

/// Resources of a node, as Kubernetes quantities.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resources {
    /// Processors.
    pub cpu: Option<Amount>,
    /// Main memory.
    pub memory: Option<Amount>,
    /// Accelerators.
    pub gpu: Option<Gpu>,
    /// Ephemeral storage.
    pub disk: Option<Sourced<String>>,
    /// Shared memory, mounted at `/dev/shm`.
    pub shm: Option<SharedMemory>,
}

/// A request with an optional limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Amount {
    /// The guaranteed amount.
    pub request: Sourced<String>,
    /// The maximum amount; `None` when it equals the request.
    pub limit: Option<Sourced<String>>,
}

/// A request for accelerators.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gpu {
    /// Number of accelerators.
    pub count: u32,
    /// Type, such as `A100`; `None` for any type.
    pub device: Option<String>,
    /// Partition of an accelerator that suffices, such as `1g.5gb`.
    pub partition: Option<Sourced<String>>,
}

/// Shared memory of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SharedMemory {
    /// Without a limit other than the node's.
    Auto,
    /// Limited to this quantity.
    Size(String),
}

/// A secret of the backend that the program receives at run time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskSecret {
    /// Key of the secret.
    pub key: Sourced<String>,
    /// Group of the secret.
    pub group: Option<Sourced<String>>,
    /// How the program receives it.
    pub mount: Mount,
}

impl TaskSecret {
    /// The environment variable with its value; for a file, the default name of the variable.
    pub fn variable(&self) -> String {
        match &self.mount {
            Mount::Env(variable) => variable.clone(),
            Mount::File => {
                Self::usual_variable(self.group.as_ref().map(|group| group.as_str()), &self.key)
            }
        }
    }

    /// `GROUP_KEY` or `KEY` in upper case: the backend's default variable of a secret.
    pub fn usual_variable(group: Option<&str>, key: &str) -> String {
        let name = group.map_or_else(|| key.to_owned(), |group| format!("{group}_{key}"));
        name.to_uppercase().replace('-', "_")
    }
}

/// How a program receives a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mount {
    /// As an environment variable of this name.
    Env(String),
    /// As a file below `/etc/flyte/secrets`.
    File,
}

/// Retries of failed attempts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Retries {
    /// Maximum number of retries.
    pub count: u32,
    /// Pauses between attempts; `None` retries at once.
    pub backoff: Option<Backoff>,
}

/// Exponential backoff between attempts.
#[derive(Clone, Debug, PartialEq)]
pub struct Backoff {
    /// Pause before the first retry.
    pub base: Duration,
    /// Factor from one pause to the next; at least 1.
    pub factor: f64,
    /// Upper limit of the pauses; always set when the factor is above 1.
    pub cap: Option<Duration>,
}

/// Time limits of a run; `None` is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timeout {
    /// Limit of the running time of an attempt.
    pub runtime: Option<Duration>,
    /// Limit of the time that an attempt waits for a node.
    pub queued: Option<Duration>,
    /// Limit of the total time of all attempts.
    pub deadline: Option<Duration>,
}

/// Caching of results for equal inputs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskCache {
    /// The cache version: results are shared by runs with the same version.
    pub version: CacheVersion,
    /// Whether concurrent runs with equal inputs wait for the first of them.
    pub serialize: bool,
    /// Inputs that are not part of the cache key, sorted.
    pub ignored_inputs: BTreeSet<String>,
    /// Maximum age of a cached result.
    pub max_age: Option<Duration>,
}

/// The cache version of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CacheVersion {
    /// The content key of the image.
    Auto,
    /// A version that the user chose.
    Named(String),
}

/// A schedule that starts a task.
#[derive(Clone, Debug, PartialEq)]
pub struct Trigger {
    /// Name of the table.
    pub key: String,
    /// Where the table was declared.
    pub origin: Origin,
    /// When it starts the task.
    pub schedule: Schedule,
    /// Values of the task's inputs by name.
    pub inputs: BTreeMap<String, Sourced<InputValue>>,
    /// The `datetime` input that receives the scheduled time of a run.
    pub time_input: Option<Sourced<String>>,
    /// Description, at most 255 characters.
    pub description: Option<Sourced<String>>,
    /// Whether it is active as soon as it is registered.
    pub active: bool,
}

/// When a trigger starts its task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Schedule {
    /// By a cron expression.
    Cron {
        /// Cron expression with five fields.
        expression: String,
        /// IANA time zone, such as `Europe/Berlin`.
        timezone: String,
    },
    /// At a fixed interval in minutes.
    Every(u32),
}
