//! A child process with its descendants.

#[cfg(unix)]
use rustix::process::{Pid, Signal};
use tokio::process::Child;

/// A child and its descendants, which are killed when this is dropped before the child has exited: rustc would go on
/// writing into the target directory after cargo was killed.
pub(super) struct ProcessGroup(Option<u32>);

impl ProcessGroup {
    pub(super) fn of(child: &Child) -> Self {
        Self(child.id())
    }

    pub(super) fn disarm(mut self) {
        self.0 = None;
    }
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        let Some(child) = self.0 else { return };
        kill_with_descendants(child);
    }
}

#[cfg(unix)]
fn kill_with_descendants(child: u32) {
    // Stopped first, so that it does not start more children while they are listed.
    signal_to(child, Signal::STOP);
    let mut members = vec![child];
    let mut next = 0;
    while let Some(member) = members.get(next) {
        members.extend(children(*member));
        next += 1;
    }
    members
        .into_iter()
        .for_each(|member| signal_to(member, Signal::KILL));
}

#[cfg(windows)]
fn kill_with_descendants(child: u32) {
    // The process may have exited already.
    let _ = std::process::Command::new("taskkill")
        .args(["/F", "/T", "/PID", &child.to_string()])
        .output();
}

#[cfg(unix)]
fn signal_to(process: u32, signal: Signal) {
    let pid = i32::try_from(process).ok().and_then(Pid::from_raw);
    // The process may have exited already.
    let _ = pid.map(|pid| rustix::process::kill_process(pid, signal));
}

/// The children of a process, from Linux's /proc; empty on other systems.
#[cfg(unix)]
fn children(process: u32) -> Vec<u32> {
    let tasks = std::fs::read_dir(format!("/proc/{process}/task"))
        .into_iter()
        .flatten()
        .flatten();
    let lists = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok());
    lists
        .flat_map(|list| {
            list.split_whitespace()
                .filter_map(|pid| pid.parse().ok())
                .collect::<Vec<u32>>()
        })
        .collect()
}
