//! Copied files that change after the key was computed.

use std::fs::File;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::setup::{Setup, shell};

/// A pipe in place of a secret: a reader waits until it is written to.
struct Pipe(PathBuf);

impl Pipe {
    fn at(path: PathBuf) -> Self {
        assert!(
            Command::new("mkfifo")
                .arg(&path)
                .status()
                .unwrap()
                .success()
        );
        Self(path)
    }

    /// Writes for the first reader.
    fn write(&self) {
        std::fs::write(&self.0, "secret").unwrap();
    }

    /// Writes for every further reader while `run` runs.
    fn written_while<T>(&self, runs: impl FnOnce() -> T) -> T {
        let (path, ended) = (self.0.clone(), Arc::new(AtomicBool::new(false)));
        let seen = ended.clone();
        let writer = thread::spawn(move || {
            while !seen.load(Ordering::SeqCst) {
                // A reader that has not closed the pipe yet reads this as well, and sees its end in the pause.
                let _ = std::fs::write(&path, "secret");
                thread::sleep(Duration::from_millis(50));
            }
        });
        let result = runs();
        ended.store(true, Ordering::SeqCst);
        while !writer.is_finished() {
            // A writer waits for a reader, too.
            drop(
                File::options()
                    .read(true)
                    .write(true)
                    .open(&self.0)
                    .unwrap(),
            );
        }
        result
    }
}

#[test]
fn file_changed_before_the_build_is_neither_cached_nor_pushed() {
    let setup = Setup::new();
    // The run stops where it reads the secret: once before anything is done, when the key is known, and once more for the
    // engine, just before the build context is written.
    let lines = "copy = [{ from = \"conf\", to = \"/conf\" }]\ncommands = [\"cp /conf/model /seen\"]\n\
                 secrets = [{ id = \"token\", file = \"token\" }]";
    let project = setup.project(lines).file("conf/model", "one");
    let pipe = Pipe::at(project.path("token"));
    let running = project.start(["build"]);
    pipe.write();
    project.write("conf/model", "two");
    pipe.written_while(|| running.wait())
        .fails_with("U0209")
        .stderr_has("conf/model");
    assert_eq!(setup.tags("team/hello"), [""; 0]);
    // The same key again: what is in the image is what it was made of.
    std::fs::remove_file(pipe.0).unwrap();
    project.write("token", "secret");
    project.write("conf/model", "one");
    let built = project.run(["build"]).succeeds();
    assert_eq!(shell(&built, "cat /seen /conf/model"), "oneone");
}

#[test]
fn context_files_changed_after_the_key_stop_the_build() {
    for (change, undo) in [
        ("rm conf/model", "printf one >conf/model"),
        ("echo x >conf/new", "rm conf/new"),
        ("mv conf other", "mv other conf"),
        ("ln -s model conf/link", "rm conf/link"),
    ] {
        let setup = Setup::new();
        let tables = "[package.metadata.union.images.default]\ndockerfile = \"Dockerfile\"\n\
                      secrets = [{ id = \"token\", file = \"token\" }]\n";
        let project = setup
            .project_of(tables)
            .file(
                "Dockerfile",
                format!("FROM {}\nCOPY . /context\n", setup.debian()),
            )
            .file(".dockerignore", "token\nsrc\n")
            .file("conf/model", "one");
        let pipe = Pipe::at(project.path("token"));
        let running = project.start(["build"]);
        pipe.write();
        project.shell(change).succeeds();
        pipe.written_while(|| running.wait())
            .fails_with("U0209")
            .stderr_has("conf");
        let tags = setup.tags("team/hello");
        assert!(
            tags.iter().all(|tag| tag.starts_with("env-")),
            "{change}: {tags:?}"
        );
        // The same key again: the environment has what its key was made of.
        std::fs::remove_file(pipe.0).unwrap();
        project.write("token", "secret");
        project.shell(undo).succeeds();
        let built = project.run(["build"]).succeeds();
        let seen = shell(&built, "cd /context && find conf && cat conf/model");
        assert_eq!(seen, "conf\nconf/model\none", "{change}");
    }
}
