//! The same sources give the same image in another directory, for another user and with another umask.

use union_tests::Project;
use union_tests::c::CCompiler;

const GENERATES: &str = "fn main() {\n    let out = std::env::var(\"OUT_DIR\").unwrap();\n    \
    std::fs::write(format!(\"{out}/gen.rs\"), \"pub fn first(list: &[u8]) -> u8 { list[0] }\").unwrap();\n    println!(\"cargo::rerun-if-changed=build.rs\");\n}\n";
const MAIN: &str = "mod generated { include!(concat!(env!(\"OUT_DIR\"), \"/gen.rs\")); }\n\
    fn main() { let list: Vec<u8> = std::env::args().skip(1).map(|word| word.len() as u8).collect(); println!(\"{}\", generated::first(&list)); }\n";

fn project() -> Project {
    Project::package("hello")
        .union("[package.metadata.union.images.default]\nbase-image = \"scratch\"\ncopy = [{ from = \"conf\", to = \"/etc/app\" }]\n")
        .file("build.rs", GENERATES)
        .file("src/main.rs", MAIN)
        .file("conf/a.txt", "a")
        .file("conf/deep/b.txt", "b")
        .locked()
}

fn digest(project: &Project, umask: &str) -> String {
    let script = format!(
        "umask {umask}; exec {} build --format json",
        union_tests::project::tool().display()
    );
    let outcome = project.shell(&script).succeeds();
    outcome.json()["images"][0]["digest"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[test]
fn digest_does_not_depend_on_directory_umask_and_home() {
    let (one, two) = (project(), project());
    assert_ne!(one.directory(), two.directory());
    assert_eq!(digest(&one, "022"), digest(&two, "077"));
}

#[test]
fn digest_does_not_depend_on_user_and_clock() {
    // Nine years later, for every program that uses the C library. The clocks of timeouts stay.
    const CLOCK: &str = "#define _GNU_SOURCE\n#include <dlfcn.h>\n#include <sys/time.h>\n#include <time.h>\n\
        static const time_t LATER = 9L * 365 * 86400;\n\
        int clock_gettime(clockid_t clock, struct timespec *now) {\n\
        int failed = ((int (*)(clockid_t, struct timespec *)) dlsym(RTLD_NEXT, \"clock_gettime\"))(clock, now);\n\
        if (!failed && clock == CLOCK_REALTIME) now->tv_sec += LATER;\n return failed; }\n\
        time_t time(time_t *now) { struct timespec it; clock_gettime(CLOCK_REALTIME, &it); if (now) *now = it.tv_sec; return it.tv_sec; }\n";
    let compiler = CCompiler::default();
    let clock = compiler.cc("clock.so", CLOCK, &["-shared", "-fPIC"]);
    let usual = digest(&project(), "022");
    let later = project().env("LD_PRELOAD", clock.display().to_string());
    let year = later.shell("date +%Y").succeeds();
    let year: u64 = year.stdout().trim().parse().unwrap();
    assert!(year > 2034, "the clock of {year}");
    assert_eq!(digest(&later, "022"), usual);
    let other = project();
    let as_user = format!(
        "unshare --user --map-user=1000 --map-group=1000 {} build --format json",
        union_tests::project::tool().display()
    );
    let built = other.shell(&as_user).succeeds().json();
    assert_eq!(built["images"][0]["digest"], *usual);
}

#[test]
fn changed_source_changes_the_digest() {
    let (one, two) = (project(), project());
    two.append(
        "src/main.rs",
        "// comments move lines, and panics name lines\n",
    );
    two.edit("src/main.rs", "skip(1)", "skip(2)");
    assert_ne!(digest(&one, "022"), digest(&two, "022"));
}

#[test]
fn changed_source_date_epoch_changes_the_tag() {
    let project = project();
    let tag = |epoch: &str| {
        let line = format!(
            "SOURCE_DATE_EPOCH={epoch} exec {} plan --format json",
            union_tests::project::tool().display()
        );
        project.shell(&line).succeeds().json()["images"][0]["tag"].clone()
    };
    assert_eq!(
        tag("0"),
        project.run(["plan", "--format", "json"]).succeeds().json()["images"][0]["tag"]
    );
    assert_ne!(tag("0"), tag("315532800"));
}

#[test]
fn error_in_generated_code_names_an_existing_file() {
    let project = project();
    project.edit("build.rs", "list[0]", "missing[0]");
    let failed = project.run(["build"]).fails_with("U0206");
    let stderr = failed.stderr();
    let named = stderr
        .lines()
        .filter_map(|line| line.trim().strip_prefix("--> "))
        .find(|line| line.contains("gen.rs"))
        .unwrap_or_default();
    let path = named.split(':').next().unwrap_or_default();
    assert!(std::path::Path::new(path).is_file(), "{named}: {stderr}");
}

#[test]
fn target_cpu_native_is_a_warning_with_advice() {
    let project = project().env("RUSTFLAGS", "-Ctarget-cpu=native");
    project
        .run(["build"])
        .succeeds()
        .stderr_has("[U0220]")
        .stderr_has("-Ctarget-cpu=x86-64-v3");
}

#[test]
fn binary_contains_no_path_of_the_machine() {
    let project = project();
    project.run(["build"]).succeeds();
    let triple = std::fs::read_dir(project.path("target"))
        .unwrap()
        .flatten()
        .find(|entry| entry.file_name().to_string_lossy().contains("-linux-"));
    let binary = std::fs::read(triple.unwrap().path().join("release/hello")).unwrap();
    let directory = project.directory();
    for secret in [directory.to_str().unwrap(), "/.cargo/registry", "/.rustup/"] {
        assert!(
            !binary
                .windows(secret.len())
                .any(|window| window == secret.as_bytes()),
            "{secret} is in the binary"
        );
    }
}

#[test]
fn tag_does_not_depend_on_the_registry() {
    let project = project();
    let tag = |registry: &str| {
        project
            .run([
                "plan",
                "--no-push",
                "--format",
                "json",
                "--registry",
                registry,
            ])
            .succeeds()
            .json()["images"][0]["tag"]
            .clone()
    };
    assert_eq!(tag("ghcr.io/one"), tag("registry.example/two"));
}
