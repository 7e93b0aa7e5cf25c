//! The start check of `build`: errors before the push, with advice.

use union_tests::Project;
use union_tests::base::{debian_layout_of, push};
use union_tests::engine::Engine;

use crate::setup::{Setup, config, line, manifest};

const MAIN: &str = "#[link(name = \"pq\")]\nunsafe extern \"C\" {\n    safe fn PQlibVersion() -> i32;\n}\n\
                    fn main() {\n    println!(\"libpq {}\", PQlibVersion());\n}\n";

/// A crate that links libpq, on a base of the registry.
fn with_libpq(setup: &Setup, base: &str, more: &str) -> Project {
    let image = format!(
        "[package.metadata.union.images.default]\nbase-image = {:?}\n{more}",
        setup.reference(base)
    );
    Project::package("hello")
        .union(&setup.settings("package"))
        .union(&image)
        .file("src/main.rs", MAIN)
        .locked()
}

/// Requires that the registry has no image.
#[track_caller]
fn is_untouched(setup: &Setup) {
    assert_eq!(setup.tags("team/hello"), [""; 0]);
    let writes = setup.registry.writes();
    assert!(
        !writes
            .iter()
            .any(|request| request.starts_with("PUT ") && request.contains("team/hello")),
        "{writes:?}"
    );
}

#[test]
fn missing_library_is_named_with_its_package_before_the_push() {
    let setup = Setup::new().with_debian("library/debian:bookworm");
    let project = with_libpq(&setup, "library/debian:bookworm", "apt-packages = []\n");
    let refused = project
        .run(["build", "-v"])
        .exits(1)
        .fails_with("U0604")
        .stdout_is("");
    let base = setup.reference("library/debian:bookworm");
    refused
        .stderr_has("checking that `hello` can start")
        .stderr_has(&format!(
            "`hello` could not start in image `default` on `{base}`, Debian 12 (bookworm)"
        ))
        .stderr_has("`libpq.so.5` is missing, and `hello` needs it")
        .stderr_has("Add `libpq5` to the image: `apt-packages = [\"libpq5\"]`");
    is_untouched(&setup);

    // The base was indexed, and is not fetched again for the next attempt.
    let fetched = || {
        setup
            .registry
            .requests()
            .into_iter()
            .filter(|request| request.contains("library/debian/blobs"))
            .count()
    };
    let (before, blobs) = (fetched(), project.cache().join("blobs"));
    assert!(before > 0);
    std::fs::remove_dir_all(blobs).unwrap();
    project.append("src/main.rs", "// an edit\n");
    project.run(["build"]).fails_with("U0604");
    assert_eq!(fetched() - before, 1, "its config");

    let reported = project.run(["build", "--format", "json"]).exits(1).json();
    assert_eq!(reported["problems"][0]["code"], "U0604", "{reported}");
}

#[test]
fn base_with_the_library_is_published_and_runs() {
    let setup = Setup::new();
    push(
        &debian_layout_of("bookworm", &["libpq5"]),
        &setup.reference("with-libpq:1"),
    );
    let pinned = line(
        &with_libpq(&setup, "with-libpq:1", "")
            .run(["build"])
            .succeeds(),
    );
    assert!(
        config(&pinned)["config"]["Labels"]
            .get("union.start-check")
            .is_none()
    );
    let printed = Engine::shared().docker(&["run", "--rm", "--network", "none", &pinned]);
    assert!(printed.starts_with("libpq 15"), "{printed}");
}

#[test]
fn no_check_publishes_an_image_labelled_unchecked() {
    let setup = Setup::new().with_base("base:1", "one");
    let project = with_libpq(&setup, "base:1", "");
    project
        .run(["build"])
        .fails_with("U0603")
        .stderr_has("`link = \"static\"`");
    is_untouched(&setup);
    let fetched = setup.registry.requests().len();
    let pinned = line(
        &project
            .run(["build", "--no-check", "-v"])
            .succeeds()
            .stderr_lacks("can start"),
    );
    let requests = setup.registry.requests().split_off(fetched);
    assert!(
        !requests
            .iter()
            .any(|request| request.starts_with("GET ") && request.contains("base/blobs")),
        "{requests:?}"
    );
    assert_eq!(
        config(&pinned)["config"]["Labels"]["union.start-check"],
        "skipped"
    );
    assert_eq!(
        manifest(&pinned)["annotations"]["union.start-check"],
        "skipped"
    );
    project
        .run(["build", "--no-check"])
        .succeeds()
        .stderr_has("Unchanged");
    // It does not count as checked.
    project.run(["build"]).fails_with("U0603");
    project
        .run(["plan"])
        .succeeds()
        .stdout_has("start-check: gone");
}

#[test]
fn runtime_libs_may_be_absent() {
    let setup = Setup::new().with_debian("library/debian:bookworm");
    let project = with_libpq(
        &setup,
        "library/debian:bookworm",
        "runtime-libs = [\"libpq.so.5\"]\n",
    );
    project.run(["build"]).succeeds();
}

#[test]
fn older_glibc_is_named_with_its_release() {
    let setup = Setup::new();
    push(
        &debian_layout_of("bullseye", &[]),
        &setup.reference("library/debian:bullseye"),
    );
    let image = format!(
        "[package.metadata.union.images.default]\nbase-image = {:?}\n",
        setup.reference("library/debian:bullseye")
    );
    let project = Project::package("hello")
        .union(&setup.settings("package"))
        .union(&image)
        .locked();
    project
        .run(["build"])
        .fails_with("U0605")
        .stderr_has("Debian 11 (bullseye)")
        .stderr_has("of `libc.so.6`, which has at most GLIBC_2.30")
        .stderr_has("`compile = \"zig\"`");
    is_untouched(&setup);
}

#[test]
fn linker_output_without_a_program_is_an_error() {
    let setup = Setup::new().with_base("base:1", "one");
    let project = setup.on("base:1", "").locked();
    // What cargo calls the executable is a script.
    project.write("linker", "#!/bin/sh\nwhile [ \"$1\" != -o ]; do shift; done\nprintf '#!/bin/sh\\n' >\"$2\"\nchmod +x \"$2\"\n");
    project.shell("chmod +x linker").succeeds();
    let linker = format!(
        "[target.x86_64-unknown-linux-gnu]\nlinker = {:?}\n",
        project.path("linker")
    );
    project.write(".cargo/config.toml", linker);
    project
        .run(["build"])
        .fails_with("U0601")
        .stderr_has("`hello` is not a Linux program: it is not an ELF file");
    is_untouched(&setup);
}
