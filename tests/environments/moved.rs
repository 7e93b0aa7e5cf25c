//! Copied files that change after the key was made of them.

use std::path::PathBuf;
use std::process::Command;
use std::thread;

use crate::world::{World, shell};

/// Lets whoever reads a pipe go on.
fn go_on(pipe: PathBuf) {
    let written = thread::spawn(move || std::fs::write(pipe, "secret"));
    written.join().unwrap().unwrap();
}

#[test]
fn a_file_that_changes_before_the_engine_gets_it_is_neither_remembered_nor_pushed() {
    let world = World::new();
    // The run stops where it reads the secret: once before anything is done, when the key is known, and once more for the
    // engine, just before the build context is written.
    let lines = "copy = [{ from = \"conf\", to = \"/conf\" }]\ncommands = [\"cp /conf/model /seen\"]\n\
                 secrets = [{ id = \"token\", file = \"token\" }]";
    let project = world.project(lines).file("conf/model", "one");
    let pipe = project.path("token");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let running = project.start(["build"]);
    go_on(pipe.clone());
    project.write("conf/model", "two");
    go_on(pipe.clone());
    running.wait().fails_with("U0209").stderr_has("conf/model");
    assert_eq!(world.tags("team/hello"), [""; 0]);
    // The same key again: what is in the image is what it was made of.
    std::fs::remove_file(&pipe).unwrap();
    project.write("token", "secret");
    project.write("conf/model", "one");
    let built = project.run(["build"]).succeeds();
    assert_eq!(shell(&built, "cat /seen /conf/model"), "oneone");
}
