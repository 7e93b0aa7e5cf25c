#![allow(clippy::unwrap_used)]

use std::sync::Mutex;

use bollard_buildkit_proto::moby::buildkit::v1::VertexLog;

use super::*;

#[derive(Default)]
struct Recorder(Mutex<Vec<String>>);

impl SolveListener for Recorder {
    fn step(&self, _: &str) {}

    fn step_cached(&self, _: &str) {}

    fn line(&self, line: &str) {
        self.0.lock().unwrap().push(line.to_owned());
    }
}

#[test]
fn chunks_of_stdout_and_stderr_do_not_share_a_line() {
    let recorder = Recorder::default();
    let mut progress = BuildkitProgress::new(&recorder);
    let log = |stream: i64, text: &str| VertexLog {
        vertex: "sha256:1".to_owned(),
        stream,
        msg: text.as_bytes().to_vec(),
        ..VertexLog::default()
    };
    progress.handle(StatusResponse {
        logs: vec![
            log(2, "E"),
            log(1, "Package\n"),
            log(2, ": not found\n"),
            log(1, "end"),
        ],
        ..StatusResponse::default()
    });
    progress.finish();
    assert_eq!(
        *recorder.0.lock().unwrap(),
        ["Package", "E: not found", "end"]
    );
}

#[test]
fn traced_step_shows_neither_command_nor_address() {
    let step = |name: &str| Vertex {
        name: name.to_owned(),
        digest: "sha256:1".to_owned(),
        ..Vertex::default()
    };
    assert_eq!(
        position(&step("[base 2/4] RUN login --password secret")),
        "[base 2/4]"
    );
    assert_eq!(
        position(&step("https://me:secret@files.test/a")),
        "sha256:1"
    );
    assert_eq!(position(&step("[broken")), "sha256:1");
}
