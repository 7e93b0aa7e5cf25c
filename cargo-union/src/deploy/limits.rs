//! Errors of the backend about resource limits, with the origin of the resource in the manifest.

use union_build::diag::{Code, Origin};
use union_build::spec::Task;
use union_build::spec::task::Resources;

use crate::sys::error::Error;

/// If the backend rejected a task because of a resource limit, adds to the help where the manifest sets that resource.
pub(super) fn with_place(error: Error, task: &Task) -> Error {
    let text = error.chain().join(" ").to_ascii_lowercase();
    if error.code() != Code::BackendRefused || !text.contains("limit") {
        return error;
    }
    let Some((key, origin)) = named_resource(&text, task) else {
        return error;
    };
    let help = format!("{} `{key}` is set at {origin}.", error.advice());
    error.help(help)
}

fn named_resource<'a>(text: &str, task: &'a Task) -> Option<(&'static str, &'a Origin)> {
    let Resources {
        cpu,
        memory,
        gpu,
        disk,
        shm: _,
    } = &task.resources;
    let places = [
        (
            "cpu",
            "resources.cpu",
            cpu.as_ref().map(|cpu| &cpu.request.origin),
        ),
        (
            "memory",
            "resources.memory",
            memory.as_ref().map(|memory| &memory.request.origin),
        ),
        ("gpu", "resources.gpu", gpu.as_ref().map(|_| &task.origin)),
        (
            "storage",
            "resources.disk",
            disk.as_ref().map(|disk| &disk.origin),
        ),
    ];
    places
        .into_iter()
        .filter(|(word, _, _)| text.contains(word))
        .find_map(|(_, key, origin)| Some((key, origin?)))
}
