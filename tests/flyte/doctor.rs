//! `doctor`: what a build, a push and a registration need, each in the states that it can have.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use serde_json::{Value, json};
use union_tests::backend::Backend;
use union_tests::faulty_registry::{FaultyRegistry, Reply};
use union_tests::http::{ReservedPort, Server};
use union_tests::stub::Stub;
use union_tests::{Outcome, Project};

use crate::setup::{Setup, TYPED};

/// The lines of a run, in order.
struct Report(Vec<Value>);

impl Report {
    #[track_caller]
    fn of(project: &Project, exit: i32) -> Self {
        Self::read(project.run(["doctor", "--format", "json"]).exits(exit))
    }

    #[track_caller]
    fn read(outcome: Outcome) -> Self {
        let document = outcome.json();
        assert_eq!(document["command"], "doctor");
        let checks = document["checks"].as_array().unwrap().clone();
        for check in &checks {
            let is_problem = ["warning", "error"].contains(&check["status"].as_str().unwrap());
            assert_eq!(is_problem, !check["help"].is_null(), "{check}");
            assert_ne!(check["detail"], "", "{check}");
        }
        Self(checks)
    }

    /// The line of an area whose name starts with a text.
    #[track_caller]
    fn line(&self, area: &str, name: &str) -> &Value {
        let found = self.0.iter().find(|check| {
            check["area"] == area && check["name"].as_str().unwrap().starts_with(name)
        });
        found.unwrap_or_else(|| panic!("{area}: {name} is missing in {:#?}", self.0))
    }

    /// Requires the status and a part of the detail of a line, and returns its advice.
    #[track_caller]
    fn has(&self, area: &str, name: &str, status: &str, detail: &str) -> String {
        let line = self.line(area, name);
        assert_eq!(line["status"], status, "{line:#}");
        assert!(
            line["detail"].as_str().unwrap().contains(detail),
            "{line:#}"
        );
        line["help"].as_str().unwrap_or_default().to_owned()
    }

    #[track_caller]
    fn code(&self, area: &str, name: &str) -> &str {
        self.line(area, name)["code"].as_str().unwrap_or("none")
    }
}

/// A package whose image is pushed to a registry, without a backend.
fn pushed_to(registry: &str) -> Project {
    Project::package("hello").union(&format!(
        "[package.metadata.union]\nregistry = \"{registry}/team\"\nproject = \"flytesnacks\"\ndomain = \"development\"\n\
         [package.metadata.union.images.default]\nbase-image = \"scratch\"\n"
    ))
}

/// A package with more in the table of its only image.
fn image(more: &str) -> Project {
    Project::package("hello").union(&format!(
        "[package.metadata.union]\nproject = \"flytesnacks\"\ndomain = \"development\"\n\
         [package.metadata.union.images.default]\nbase-image = \"scratch\"\n{more}"
    ))
}

#[test]
fn doctor_reports_what_is_in_order_and_writes_nothing() {
    let setup = Setup::new();
    let project = setup.hello(TYPED);
    let before = project.files_below("..");
    let report = Report::of(&project, 0);
    report.has(
        "workspace",
        "manifest",
        "ok",
        "hello: images `default`, tasks `hello`",
    );
    report.has("toolchain", "rustc", "ok", " on ");
    report.has("toolchain", "cargo config", "ok", "");
    report.has("build.rs", "references", "ok", "nothing is needed");
    report.has("disk", "target directory", "ok", "free at");
    report.has("disk", "cache", "ok", "free at");
    report.has("engine", "Docker or podman", "skipped", "not needed");
    report.has("base", "base", "skipped", "no image names a base");
    report.has("registry", "login to", "ok", "none is needed");
    let repository = format!("{}/team/hello", setup.registry.host());
    report.has("registry", &repository, "ok", "accepted, and cancelled");
    report.has("backend", "http", "ok", "it answers");
    report.has("backend", "login", "ok", "no logins");
    report.has("backend", "project flytesnacks/development", "ok", "exists");
    report.has("backend", "remote builder", "skipped", "no image");
    report.has("clock", "difference", "ok", "");
    let mut areas: Vec<&str> = report
        .0
        .iter()
        .map(|line| line["area"].as_str().unwrap())
        .collect();
    areas.dedup();
    assert_eq!(
        areas,
        [
            "workspace",
            "toolchain",
            "build.rs",
            "disk",
            "engine",
            "base",
            "registry",
            "backend",
            "clock"
        ]
    );
    assert_eq!(project.files_below(".."), before);
    assert_eq!(setup.backend.writes(), 0);
    let text = project.run(["doctor"]).succeeds().compiles_nothing();
    let text = text
        .stderr_is("")
        .stdout_has("registry\n       ok  login to");
    text.stdout_has("  skipped  Docker or podman: not needed");
}

#[test]
fn doctor_checks_machine_and_backend_of_a_workspace_with_invalid_manifests() {
    let setup = Setup::new();
    let project = setup
        .hello("")
        .union("[package.metadata.union.images.other]\nbase-image = 7\n");
    let report = Report::of(&project, 1);
    report.has("workspace", "manifest", "error", "expected a string");
    assert_eq!(report.code("workspace", "manifest"), "U0103");
    report.has("toolchain", "rustc", "ok", "");
    report.has("disk", "target directory", "ok", "");
    report.has("registry", "registry", "skipped", "no valid manifest");
    report.has("engine", "Docker or podman", "skipped", "no image is known");
    report.has("backend", "http", "ok", "it answers");
    let text = project.run(["doctor"]).exits(1);
    text.stdout_has("    error  manifest: [U0103] ")
        .stdout_has("help: ");
}

#[test]
fn doctor_checks_what_it_can_outside_of_a_workspace() {
    let project = Project::empty();
    let report = Report::of(&project, 1);
    assert_eq!(report.code("workspace", "manifest"), "U0201");
    report.has("toolchain", "rustc", "ok", "");
    report.has("toolchain", "targets", "skipped", "no workspace");
    report.has("disk", "cache", "ok", "");
    report.has("disk", "target directory", "skipped", "no workspace");
    report.has("backend", "endpoint", "skipped", "no backend is configured");
    report.has("clock", "difference", "skipped", "no server");
    assert_eq!(project.files_below(".."), ["rustc-wrapper"]);
}

#[test]
fn doctor_names_the_login_and_the_refusal_of_a_registry_and_no_secret() {
    let registry = FaultyRegistry::start(|request, _| {
        let denied = Reply::error(403, "DENIED", "read-only").with("WWW-Authenticate", "Basic");
        let is_known = request.header("authorization").is_some();
        let wanted = Reply::status(401).with("WWW-Authenticate", "Basic realm=\"test\"");
        (request.method == "POST").then(|| if is_known { denied } else { wanted }.into())
    });
    let project = pushed_to(&registry.host());
    let docker = project.home().join(".docker");
    std::fs::create_dir_all(&docker).unwrap();
    // me:hunter22
    let login = json!({ "auths": { registry.host(): { "auth": "bWU6aHVudGVyMjI=" } } });
    std::fs::write(docker.join("config.json"), login.to_string()).unwrap();
    let outcome = project.run(["doctor", "-vv", "--format", "json"]).exits(1);
    let outcome = outcome
        .stdout_lacks("hunter22")
        .stdout_lacks("bWU6aHVudGVyMjI=");
    let report = Report::read(outcome.stderr_lacks("hunter22"));
    let repository = format!("{}/team/hello", registry.host());
    let help = report.has("registry", &repository, "error", "read-only");
    assert!(help.contains("not sufficient"), "{help}");
    assert_eq!(report.code("registry", &repository), "U0402");
    report.has("registry", "login to", "ok", ".docker/config.json");
    std::fs::remove_file(docker.join("config.json")).unwrap();
    let report = Report::of(&project, 1);
    let help = report.has("registry", "login to", "warning", "none was found");
    assert!(help.contains("docker login"), "{help}");
    assert!(registry.memory().manifests.is_empty());
}

#[test]
fn doctor_reports_a_login_file_that_cannot_be_used() {
    let registry = FaultyRegistry::start(|request, _| {
        let wanted = Reply::status(401).with("WWW-Authenticate", "Basic realm=\"test\"");
        (request.method == "POST").then(|| wanted.into())
    });
    let project = pushed_to(&registry.host());
    let docker = project.home().join(".docker");
    std::fs::create_dir_all(&docker).unwrap();
    std::fs::write(docker.join("config.json"), "{").unwrap();
    let report = Report::of(&project, 1);
    let is_warning = |line: &&Value| line["area"] == "registry" && line["name"] == "login";
    let warning = report.0.iter().find(is_warning).unwrap();
    assert!(
        warning["detail"].as_str().unwrap().contains("config.json"),
        "{warning}"
    );
}

#[test]
fn doctor_reads_bases() {
    const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
    let registry = FaultyRegistry::without_faults();
    let manifest = format!(
        "{{\"schemaVersion\":2,\"mediaType\":\"{MANIFEST}\",\"config\":{{}},\"layers\":[]}}"
    );
    registry
        .memory()
        .put_manifest("base", "1", MANIFEST, manifest.as_bytes());
    let digest = union_tests::faulty_registry::digest(manifest.as_bytes());
    let absent = union_tests::faulty_registry::digest(b"absent");
    for (reference, exit, status, detail) in [
        ("base:1".to_owned(), 0, "ok", "sha256:"),
        ("base:2".to_owned(), 1, "error", "base:2"),
        (format!("base@{digest}"), 0, "ok", "can be read"),
        (format!("base@{absent}"), 1, "error", "does not have it"),
    ] {
        let base = format!("{}/{reference}", registry.host());
        let project = Project::package("hello").union(&format!(
            "[package.metadata.union.images.default]\nbase-image = \"{base}\"\n"
        ));
        let report = Report::of(&project, exit);
        report.has("base", &base, status, detail);
        report.has("registry", "push", "skipped", "no registry is set");
        assert!(!project.path("Union.lock").exists());
    }
}

#[test]
fn doctor_compares_the_clock_with_the_date_of_responses() {
    for (seconds, exit, status) in [(0, 0, "ok"), (150, 0, "warning"), (400, 1, "error")] {
        let registry = FaultyRegistry::start(move |request, _| {
            let date = SystemTime::now() + Duration::from_secs(seconds);
            let reply = Reply::status(202).with("Location", "/v2/team/hello/blobs/uploads/1");
            let reply = reply.with("Date", httpdate::fmt_http_date(date));
            (request.method == "POST").then(|| reply.into())
        });
        let report = Report::of(&pushed_to(&registry.host()), exit);
        let help = report.has("clock", "difference", status, "the server's");
        assert_eq!(help.contains("NTP"), seconds > 0);
    }
}

#[test]
fn doctor_asks_registry_and_backend_concurrently() {
    /// Sets one flag, and waits until the other is set.
    fn meet(own: &AtomicBool, other: &AtomicBool) {
        own.store(true, Ordering::SeqCst);
        let begin = Instant::now();
        while !other.load(Ordering::SeqCst) && begin.elapsed() < Duration::from_secs(20) {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    let flags: Arc<[AtomicBool; 2]> = Arc::default();
    let (of_registry, of_backend) = (flags.clone(), flags.clone());
    let registry = FaultyRegistry::start(move |request, _| {
        if request.method == "POST" {
            meet(&of_registry[0], &of_registry[1]);
        }
        None
    });
    let backend = Backend::plain(move |_, _| {
        meet(&of_backend[1], &of_backend[0]);
        None
    });
    let project = pushed_to(&registry.host())
        .env("FLYTE_ADMIN_ENDPOINT", backend.url())
        .env("UNION_BACKEND", "flyte2");
    let begin = Instant::now();
    // This backend has no projects.
    let report = Report::of(&project, 1);
    assert!(
        begin.elapsed() < Duration::from_secs(15),
        "one waited for the other"
    );
    report.has("backend", "http", "ok", "it answers");
    report.has("registry", &registry.host(), "ok", "accepted");
}

#[test]
fn doctor_reports_targets_linkers_and_the_engine() {
    let task = "[package.metadata.union.tasks.t]\ncommand = [\"hello\"]\n";
    let compile = |platform: &str, how: &str| {
        image(&format!(
            "platforms = [\"{platform}\"]\nbuild.compile = \"{how}\"\n"
        ))
        .union(task)
    };
    let target = "s390x-unknown-linux-gnu";
    let report = Report::of(&compile("linux/s390x", "host"), 1);
    let help = report.has("toolchain", "linux/s390x", "error", "standard library");
    assert!(help.contains("rustup target add"), "{help}");
    let report = Report::of(&compile("linux/s390x", "auto"), 1);
    report.has("toolchain", target, "warning", "compiled in a container");
    report.has(
        "engine",
        "Docker or podman",
        "error",
        "needed by `hello/default`",
    );
    assert_eq!(report.code("engine", "Docker or podman"), "U0414");
    let report = Report::of(&compile("linux/amd64", "container"), 1);
    report.has("toolchain", "x86_64", "skipped", "in a container");
    let engine = Server::start(|_, _| {
        let version =
            json!({ "Version": "1", "ApiVersion": "1.43", "Os": "linux", "Arch": "amd64" });
        Reply::status(200)
            .with("Content-Type", "application/json")
            .body(version.to_string())
    });
    let project = compile("linux/amd64", "container");
    let project = project.env("DOCKER_HOST", format!("tcp://{}", engine.host()));
    let report = Report::of(&project, 0);
    report.has("engine", "Docker or podman", "ok", "Docker at tcp://");
    let linker = "CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_LINKER";
    let project = compile("linux/amd64", "host");
    Report::of(&project, 0).has("toolchain", "x86_64", "ok", "linked by `cc`");
    let report = Report::of(&project.env(linker, "absent-linker"), 1);
    report.has(
        "toolchain",
        "x86_64",
        "error",
        "`absent-linker` is not on the PATH",
    );
}

#[test]
fn doctor_warns_of_cargo_configuration_outside_of_the_workspace() {
    let project = image("").file(".cargo/config.toml", "[profile.release]\nlto = true\n");
    let report = Report::of(&project, 0);
    report.has("toolchain", "cargo config", "ok", "`profile.release` in");
    let above = project.directory().parent().unwrap().join(".cargo");
    std::fs::create_dir(&above).unwrap();
    let secret = "[env]\nTOKEN = \"hunter22\"\n[build]\nrustflags = [\"--cfg=x\"]\n";
    std::fs::write(above.join("config.toml"), secret).unwrap();
    let outcome = project.run(["doctor", "--format", "json"]).succeeds();
    let report = Report::read(outcome.stdout_lacks("hunter22"));
    let is_warning = |line: &&Value| line["status"] == "warning";
    let warning = report.0.iter().find(is_warning).unwrap();
    let detail = warning["detail"].as_str().unwrap();
    assert!(
        detail.contains("`build.rustflags` and `env.TOKEN`"),
        "{detail}"
    );
    // Only the directories of results differ, which no tag depends on.
    std::fs::write(above.join("config.toml"), "[build]\ntarget-dir = \"x\"\n").unwrap();
    let report = Report::of(&project, 0);
    assert!(
        report.0.iter().all(|line| line["status"] != "warning"),
        "{:#?}",
        report.0
    );
}

#[test]
fn doctor_checks_the_wiring_of_build_scripts() {
    let include = "include!(concat!(env!(\"OUT_DIR\"), \"/union_images.rs\"));\nfn main() {}\n";
    let line = |project: &Project, exit, status, detail: &str| {
        Report::of(project, exit).has("build.rs", "hello", status, detail)
    };
    let project = image("").file("src/main.rs", include);
    let help = line(
        &project,
        1,
        "error",
        "`[build-dependencies]` has no `union-build`",
    );
    assert!(help.contains("cargo add --build union-build@"), "{help}");
    let project = project.with_union_build("");
    line(
        &project,
        0,
        "ok",
        "includes what `union_build::emit` writes",
    );
    project.write("build.rs", "fn main() {}\n");
    line(
        &project,
        1,
        "error",
        "`build.rs` does not call `union_build::emit`",
    );
    project.write("build.rs", "fn main() { union_build::emit(); }\n");
    project.edit(
        "Cargo.toml",
        "union-build = {",
        "union-build = { version = \"0.0.1\",",
    );
    line(&project, 0, "warning", "union-build ^0.0.1");
}

#[test]
fn doctor_measures_free_space() {
    let tool = union_tests::project::tool();
    for (size, exit, status) in [("32k", 1, "error"), ("1g", 0, "warning")] {
        let project = image("");
        let cache = project.cache().display().to_string();
        let outcome = project.shell(&format!(
            "exec unshare --map-root-user --mount sh -ec 'mount -t tmpfs -o size={size} tmpfs {cache}; \
             exec {} doctor --format json'",
            tool.display()
        ));
        let report = Report::read(outcome.exits(exit));
        let help = report.has("disk", "cache", status, &cache);
        assert!(help.contains("UNION_CACHE_DIR"), "{help}");
        report.has("disk", "target directory", "ok", "");
    }
}

#[test]
fn doctor_reports_a_backend_that_is_down_and_a_project_that_does_not_exist() {
    let down = ReservedPort::new();
    let task = "[package.metadata.union.tasks.t]\ncommand = [\"hello\"]\n";
    let project = image("").union(task).env("UNION_BACKEND", "flyte2");
    let project = project.env("FLYTE_ADMIN_ENDPOINT", format!("http://{}", down.host()));
    let report = Report::of(&project, 1);
    report.has("backend", "http", "error", &down.host());
    assert_eq!(report.code("backend", "http"), "U0755");
    for name in ["login", "project", "remote builder"] {
        report.has("backend", name, "skipped", "did not answer");
    }
    let setup = Setup::new();
    let images = "[package.metadata.union.images.default]\nbase-image = \"scratch\"\n";
    let project = setup.with_backend(Project::package("hello").union(images));
    let report = Report::of(&project, 1);
    report.has("backend", "project", "error", "no project and no domain");
    assert_eq!(report.code("backend", "project"), "U0701");
    let report = Report::read(
        project
            .run([
                "doctor",
                "--format",
                "json",
                "--project",
                "flytesnack",
                "--domain",
                "development",
            ])
            .exits(1),
    );
    let help = report.has("backend", "project", "error", "flytesnack");
    assert!(help.contains("Did you mean `flytesnacks`?"), "{help}");
}

#[test]
fn doctor_shows_who_is_logged_in() {
    let backend = Backend::without_faults();
    let project = image("").env("UNION_BACKEND", "flyte2");
    let config = |more: &str| {
        let (host, certificate) = (backend.host(), backend.certificate());
        let text = format!(
            "admin:\n  endpoint: dns:///{host}\n  caCertFilePath: {}\n{more}",
            certificate.display()
        );
        project.write("flyte.yaml", text);
        project.run(["doctor", "--config", "flyte.yaml", "--format", "json"])
    };
    let report = Report::read(config("  authType: DeviceFlow\n").exits(1));
    let help = report.has("backend", "login", "error", "");
    assert!(help.contains("cargo union login"), "{help}");
    report.has("backend", "project", "skipped", "without a login");
    let token = backend.memory().issue().0;
    let more = format!("  authType: ExternalCommand\n  command: [\"echo\", \"{token}\"]\n");
    let outcome = config(&more).succeeds().stdout_lacks(&token);
    let report = Report::read(outcome);
    report.has("backend", "login", "ok", "Ada Lovelace <ada@example.test>");
}

#[test]
fn doctor_looks_for_the_image_builder_of_the_backend() {
    let remote = |backend: Stub| {
        let setup = Setup::with(backend);
        let manifest = "[package.metadata.union]\nbuilder = \"remote\"\nproject = \"flytesnacks\"\ndomain = \"development\"\n\
             [package.metadata.union.images.default]\nbase-image = \"127.0.0.1:1/base:1\"\n";
        let report = Report::of(
            &setup.with_backend(Project::package("hello").union(manifest)),
            1,
        );
        report.line("backend", "remote builder").clone()
    };
    let missing = remote(Stub::behaving("builder,disabled"));
    assert_eq!(
        (&missing["status"], &missing["code"]),
        (&json!("error"), &json!("U0769"))
    );
    let exists = remote(Stub::building("127.0.0.1:1", ""));
    assert_eq!(exists["status"], "ok", "{exists}");
}
