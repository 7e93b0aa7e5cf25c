//! The location of the cache without a home directory or without write permission, and file systems without locks.

use union_tests::Project;
use union_tests::c::CCompiler;

const SCRATCH: &str = "[package.metadata.union.images.default]\nbase-image = \"scratch\"\n";

fn hello() -> Project {
    Project::package("hello")
        .union(SCRATCH)
        .locked()
        .without_env("UNION_CACHE_DIR")
}

/// Builds twice with a cache below the target directory, and checks without one.
fn builds_beside_the_target(project: &Project, why: &str) {
    project.run(["check"]).succeeds().stderr_lacks("cache");
    assert!(!project.path("target/union/cache").exists());
    let outcome = project
        .run(["build"])
        .succeeds()
        .stderr_has(why)
        .stderr_has("target/union/cache")
        .stderr_has("UNION_CACHE_DIR");
    assert_eq!(
        outcome.stderr().matches("warning").count(),
        1,
        "{}",
        outcome.stderr()
    );
    assert!(project.path("target/union/cache/blobs").is_dir());
    project.run(["build"]).succeeds().stderr_has("Unchanged");
    project.run(["plan"]).succeeds();
}

#[test]
fn cache_without_home_is_below_the_target_directory() {
    builds_beside_the_target(&hello().without_env("HOME"), "HOME is not set");
}

#[test]
fn cache_with_unwritable_home_is_below_the_target_directory() {
    builds_beside_the_target(
        &hello().env("HOME", "/dev/null"),
        "`/dev/null/.cache/cargo-union` cannot be written",
    );
    let project = hello();
    let cache = project.home().join("file/cargo-union");
    std::fs::write(project.home().join("file"), "").unwrap();
    let project = project.env(
        "XDG_CACHE_HOME",
        cache.parent().unwrap().display().to_string(),
    );
    builds_beside_the_target(
        &project,
        &format!("`{}` cannot be written", cache.display()),
    );
}

#[test]
fn unwritable_named_cache_is_an_error() {
    let project = hello().env("UNION_CACHE_DIR", "/dev/null/cache");
    project.run(["check"]).succeeds();
    project
        .run(["build"])
        .fails_with("U0005")
        .stderr_has("/dev/null/cache");
}

#[test]
fn build_works_on_a_file_system_without_locks() {
    let compiler = CCompiler::default();
    for (errno, cargo_goes_on) in [("ENOSYS", true), ("EOPNOTSUPP", true), ("ENOLCK", false)] {
        let only = if cargo_goes_on {
            "1"
        } else {
            "!strcmp(program_invocation_short_name, \"cargo-union\")"
        };
        let source = format!(
            "#define _GNU_SOURCE\n#include <errno.h>\n#include <dlfcn.h>\n#include <string.h>\n\
             int flock(int file, int operation) {{\n\
             if ({only}) {{ errno = {errno}; return -1; }}\n\
             return ((int (*)(int, int)) dlsym(RTLD_NEXT, \"flock\"))(file, operation); }}\n"
        );
        let library = compiler.cc(&format!("{errno}.so"), &source, &["-shared", "-fPIC"]);
        let project = hello().env("LD_PRELOAD", library.display().to_string());
        project.run(["build"]).succeeds().stderr_lacks("warning");
        project.run(["build"]).succeeds().stderr_has("Unchanged");
    }
}
