//! A line of a log, as it is reported to listeners.

/// A line of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskLogLine {
    /// Number of the attempt, from 1.
    pub attempt: u32,
    /// When it was written, in seconds and nanoseconds since 1970; `None` when the backend does not return it.
    pub time: Option<(i64, i32)>,
    /// Text without its line ending, with U+FFFD for what is not UTF-8. Control sequences are not removed.
    pub text: String,
    /// Whether the system that runs the program wrote it.
    pub system: bool,
}
