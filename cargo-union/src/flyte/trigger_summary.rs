//! A trigger in a list.

/// A trigger of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TriggerSummary {
    /// Name of the trigger; unique only within its task.
    pub name: String,
    /// Name of the task that it starts.
    pub task: String,
    /// Whether it starts runs.
    pub active: bool,
    /// Its schedule: `0 3 * * * (Europe/Berlin)` or `every 2 hours`.
    pub schedule: String,
    /// When it last started a run, in seconds since 1970; `None` if never.
    pub fired: Option<i64>,
}

impl TriggerSummary {
    /// `task/name`, as the console shows it.
    pub fn path(&self) -> String {
        format!("{}/{}", self.task, self.name)
    }
}
