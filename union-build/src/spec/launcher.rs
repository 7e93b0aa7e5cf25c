//! The command line by which the launcher starts the program of a task.

use std::time::Duration;

use super::task::{Task, TaskKind};

/// Where the launcher is in the images of tasks.
pub const LAUNCHER: &str = "/union/launcher";

/// What each line of the launcher on stderr begins with.
pub const MARKER: &str = "cargo union launcher: ";

/// The output of type `none` that a container task without outputs gets on Flyte 2, whose backend reads the outputs
/// of every container task and fails where none were written. It is not part of the declared interface.
pub const EMPTY_OUTPUT: &str = "union_none";

/// Whether there is a launcher for a platform such as `linux/amd64`.
pub(super) fn runs_on(platform: &str) -> bool {
    let mut words = platform
        .split('/')
        .map(|word| word.trim().to_ascii_lowercase());
    let system = words.next();
    let architecture = words.next().unwrap_or_default();
    system.as_deref() == Some("linux")
        && matches!(
            architecture.as_str(),
            "amd64" | "x86_64" | "x86-64" | "arm64" | "aarch64"
        )
}

/// The words before the entrypoint of the image: the launcher, its options, `--`.
///
/// `empty_output` says whether the backend needs [`EMPTY_OUTPUT`] of a task that declares no outputs.
pub fn command(task: &Task, empty_output: bool) -> Vec<String> {
    let mut words = vec![LAUNCHER.to_owned()];
    if task.kind.value == TaskKind::Container {
        if empty_output || !task.outputs.is_empty() {
            words.extend([
                "--output-directory".to_owned(),
                task.data.output_path.value.clone(),
            ]);
        }
        for (name, ty) in &task.outputs {
            words.extend(["--output".to_owned(), format!("{name}={}", ty.value)]);
        }
        if empty_output && task.outputs.is_empty() {
            words.extend(["--empty-output".to_owned(), EMPTY_OUTPUT.to_owned()]);
        }
    }
    if let Some(limit) = task.timeout.runtime {
        words.extend(["--timeout".to_owned(), whole_seconds(limit).to_string()]);
    }
    words.push("--".to_owned());
    words
}

/// At least the whole duration.
fn whole_seconds(duration: Duration) -> u64 {
    duration
        .as_secs()
        .saturating_add(u64::from(duration.subsec_nanos() > 0))
}
