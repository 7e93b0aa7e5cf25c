//! A task: what runs, with which inputs, on which node, how often.

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
    /// Where it stands.
    pub origin: Origin,
    /// What runs it.
    pub kind: Sourced<TaskKind>,
    /// The image spec's name.
    pub image: Sourced<String>,
    /// The binary; `None` for a container task whose image brings its program.
    pub bin: Option<Sourced<String>>,

    /// Its name at the backend; `None` is what the binary says for `rust`, else [`Task::key`].
    pub name: Option<Sourced<String>>,
    /// The environment under which the backend lists it.
    pub environment: Sourced<String>,
    /// What it does, in a line.
    pub description: Option<Sourced<String>>,
    /// What it does, at length.
    pub long_description: Option<Sourced<String>>,
    /// Address of its source code.
    pub source_code: Option<Sourced<String>>,
    /// Addresses shown beside each run, by name.
    pub links: BTreeMap<String, Sourced<String>>,

    /// Inputs of a container task, in the order of their names.
    pub inputs: BTreeMap<String, Sourced<Type>>,
    /// Outputs of a container task, in the order of their names.
    pub outputs: BTreeMap<String, Sourced<Type>>,
    /// The command line of a container task, as typed; [`Task::command_line`] is what runs.
    pub command: Option<Sourced<Vec<String>>>,
    /// How a container task gets and gives its data.
    pub data: Data,

    /// What a node must have.
    pub resources: Resources,
    /// Environment variables of the run.
    pub env: BTreeMap<String, Sourced<String>>,
    /// Secrets of the backend that the program gets.
    pub secrets: Vec<TaskSecret>,
    /// How often a failed run is tried again.
    pub retries: Retries,
    /// How long it may take.
    pub timeout: Timeout,
    /// Whether results are kept for equal inputs; `None` when they are not.
    pub cache: Option<TaskCache>,
    /// Whether it may run on nodes that can be taken away.
    pub interruptible: Sourced<bool>,
    /// Kubernetes service account.
    pub service_account: Option<Sourced<String>>,
    /// Name of a pod template of the cluster.
    pub pod_template: Option<Sourced<String>>,
    /// Queue that its runs wait in: a matter of each run, not of the task.
    pub queue: Option<Sourced<String>>,
    /// Schedules that start it, by name.
    pub triggers: BTreeMap<String, Trigger>,
}

impl Task {
    /// The command line of a container task, still with `{{.inputs.NAME}}` in it; `program` is where
    /// its binary is. It is empty when the entrypoint of the image says what runs.
    pub fn command_line(&self, program: &str) -> Vec<String> {
        let Some(command) = &self.command else { return self.bin.iter().map(|_| program.to_owned()).collect() };
        let mut words = command.value.clone();
        if let (Some(first), Some(bin)) = (words.first_mut(), &self.bin)
            && *first == bin.value
        {
            program.clone_into(first);
        }
        words
    }

    /// The inputs whose values stand in its command line.
    pub fn inputs_of_command(&self) -> BTreeSet<String> {
        let words = self.command.iter().flat_map(|command| &command.value);
        words.flat_map(|word| template::pieces(word)).filter_map(template::TemplatePart::into_input).collect()
    }
}

/// What runs a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskKind {
    /// A binary built with the upstream `flyte` crate.
    Rust,
    /// Any program.
    Container,
}

/// How a container task gets its inputs and gives its outputs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Data {
    /// Folder of the inputs.
    pub input_path: Sourced<String>,
    /// Folder of the outputs.
    pub output_path: Sourced<String>,
    /// How the file is written that lists all inputs.
    pub format: DataFormat,
    /// Where an input that is a file is put.
    pub layout: FileLayout,
}

/// How the file is written that lists all inputs of a container task.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DataFormat {
    /// JSON.
    #[default]
    Json,
    /// YAML.
    Yaml,
    /// A protobuf message.
    Proto,
}

/// Where an input that is a file is put.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FileLayout {
    /// At the input's own name.
    #[default]
    Direct,
    /// In a folder of the input's name, under the name that the file had.
    NamedDir,
}

/// What a node must have, as Kubernetes quantities.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resources {
    /// Processors.
    pub cpu: Option<Amount>,
    /// Memory.
    pub memory: Option<Amount>,
    /// Accelerators.
    pub gpu: Option<Gpu>,
    /// Ephemeral disk.
    pub disk: Option<Sourced<String>>,
    /// Shared memory.
    pub shm: Option<SharedMemory>,
}

/// What is asked for, and what is allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Amount {
    /// The request.
    pub request: Sourced<String>,
    /// The limit, when it is another.
    pub limit: Option<Sourced<String>>,
}

/// Accelerators.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gpu {
    /// How many.
    pub count: u32,
    /// Of which type: `A100`.
    pub device: Option<String>,
    /// Which part of each is enough.
    pub partition: Option<Sourced<String>>,
}

/// Shared memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SharedMemory {
    /// As much as the node gives.
    Auto,
    /// At most so much.
    Size(String),
}

/// A secret of the backend that the program gets when it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskSecret {
    /// Its key.
    pub key: Sourced<String>,
    /// The group that it is in.
    pub group: Option<Sourced<String>>,
    /// How the program gets it.
    pub mount: Mount,
}

impl TaskSecret {
    /// The environment variable that has its value; for a file, the one that it would be.
    pub fn variable(&self) -> String {
        match &self.mount {
            Mount::Env(variable) => variable.clone(),
            Mount::File => Self::usual_variable(self.group.as_ref().map(|group| group.as_str()), &self.key),
        }
    }

    /// `GROUP_KEY` or `KEY`: what the backend calls a secret that has no variable of its own.
    pub fn usual_variable(group: Option<&str>, key: &str) -> String {
        let name = group.map_or_else(|| key.to_owned(), |group| format!("{group}_{key}"));
        name.to_uppercase().replace('-', "_")
    }
}

/// How a program gets a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mount {
    /// In an environment variable.
    Env(String),
    /// As a file below `/etc/flyte/secrets`.
    File,
}

/// How often a failed run is tried again.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Retries {
    /// How often.
    pub count: u32,
    /// After which pause; `None` is at once.
    pub backoff: Option<Backoff>,
}

/// The pauses between attempts.
#[derive(Clone, Debug, PartialEq)]
pub struct Backoff {
    /// The first.
    pub base: Duration,
    /// How much longer each is than the one before; at least 1.
    pub factor: f64,
    /// The longest; always there when the factor is above 1.
    pub cap: Option<Duration>,
}

/// How long a task may take; `None` is without a limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timeout {
    /// How long an attempt may run.
    pub runtime: Option<Duration>,
    /// How long an attempt may wait for a node.
    pub queued: Option<Duration>,
    /// How long all attempts may take together.
    pub deadline: Option<Duration>,
}

/// Results that are kept for equal inputs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskCache {
    /// Whose results are the same.
    pub version: CacheVersion,
    /// Whether runs with equal inputs wait for the first of them.
    pub serialize: bool,
    /// Inputs that make no difference, sorted.
    pub ignored_inputs: BTreeSet<String>,
    /// How old a result may be.
    pub max_age: Option<Duration>,
}

/// Whose results are the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CacheVersion {
    /// Those of images with one key.
    Auto,
    /// Those with this version.
    Named(String),
}

/// A schedule that starts a task.
#[derive(Clone, Debug, PartialEq)]
pub struct Trigger {
    /// Its name.
    pub key: String,
    /// Where it stands.
    pub origin: Origin,
    /// When.
    pub schedule: Schedule,
    /// Values of the task's inputs.
    pub inputs: BTreeMap<String, Sourced<InputValue>>,
    /// The input that gets the time for which a run was scheduled.
    pub time_input: Option<Sourced<String>>,
    /// What it is for.
    pub description: Option<Sourced<String>>,
    /// Whether it starts runs as soon as it is registered.
    pub active: bool,
}

/// When a trigger starts its task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Schedule {
    /// At times of the clock.
    Cron {
        /// Five fields.
        expression: String,
        /// Name of a time zone.
        timezone: String,
    },
    /// Every so many minutes.
    Every(u32),
}
