//! Images that the backend builds: from a manifest to a registered task.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use union_tests::Project;
use union_tests::base::{debian, debian_layout, layout_of, push};
use union_tests::engine::Engine;
use union_tests::registry::Registry;
use union_tests::stub::Stub;

use crate::interfaces::{DESCRIPTION, worker};
use crate::setup::{Setup, TYPED, task};

/// A registry with a base that has only an empty `/bin/sh`, and a backend that builds images.
fn setup(behaviour: &str) -> Setup {
    let registry = Registry::open();
    base(&registry);
    let backend = Stub::building(registry.host(), behaviour);
    Setup { registry, backend }
}

/// Pushes the base.
pub(crate) fn base(registry: &Registry) {
    let directory = tempfile::tempdir().unwrap();
    let tar = directory.path().join("base.tar");
    fs::create_dir(directory.path().join("bin")).unwrap();
    fs::write(directory.path().join("bin/sh"), "").unwrap();
    let packed = std::process::Command::new("tar")
        .arg("-C")
        .arg(directory.path())
        .arg("-cf")
        .arg(&tar)
        .arg("bin")
        .status()
        .unwrap();
    assert!(packed.success());
    let layout = directory.path().join("layout");
    layout_of(&[&tar], &json!({ "Entrypoint": ["/bin/sh"] }), &layout);
    push(&layout, &format!("{}/library/base:1", registry.host()));
}

/// A package `hello` whose image the backend builds, with more in the table of the image.
fn hello(setup: &Setup, image: &str) -> Project {
    let manifest = format!(
        "[package.metadata.union]\nproject = \"flytesnacks\"\ndomain = \"development\"\nbuilder = \"remote\"\n\
         [package.metadata.union.build]\nlink = \"static\"\n\
         [package.metadata.union.images.default]\nbase-image = \"{}/library/base:1\"\n{image}\n",
        setup.registry.host()
    );
    setup.with_backend(
        Project::package("hello")
            .union(&manifest)
            .union(TYPED)
            .locked(),
    )
}

fn layers(made: &Value) -> Vec<Value> {
    made["spec"]["layers"].as_array().unwrap().clone()
}

#[test]
fn remote_image_is_built_once_and_registered_by_digest() {
    let setup = setup("");
    let project = hello(&setup, "");
    let built = project
        .run(["build"])
        .succeeds()
        .stderr_has("Building default: http://")
        .stderr_has("Published default ");
    let pinned = built.stdout().trim().to_owned();
    assert!(
        pinned.starts_with(&format!("{}/backend/hello@sha256:", setup.registry.host())),
        "{pinned}"
    );
    let (puts, runs) = (setup.backend.puts().len(), setup.backend.runs().len());
    assert_eq!((puts, runs), (2, 1));

    let again = project
        .run(["build", "--sbom", "target/sbom.json"])
        .succeeds()
        .compiles_nothing()
        .stderr_has("Unchanged default ")
        .stderr_has(
            "lists no packages of its base and environment: the remote builder has built it",
        );
    assert_eq!(again.stdout().trim(), pinned);
    let bill: Value = serde_json::from_str(&project.read("target/sbom.json")).unwrap();
    assert_eq!(
        bill["compositions"],
        json!([{"aggregate": "incomplete", "dependencies": ["base"]}])
    );
    let plan = project.run(["plan"]).succeeds();
    plan.stdout_has("unchanged")
        .stdout_has(&format!("{}/backend/hello:", setup.registry.host()));
    // A fresh checkout finds it as well.
    fs::remove_dir_all(project.path("target")).unwrap();
    let registered = task(
        &project
            .run(["register", "--format", "json"])
            .succeeds()
            .compiles_nothing(),
    );
    assert_eq!(registered["image"], pinned.as_str());
    assert_eq!(
        (setup.backend.puts().len(), setup.backend.runs().len()),
        (puts, runs)
    );
    setup.backend.assert_all_valid();

    // The entrypoint of the base must not swallow what the task runs.
    let version = registered["version"].as_str().unwrap();
    let shown = setup
        .backend
        .official_in_project(["get", "task"], &["hello", version]);
    let list = |name: &str| {
        shown
            .split(name)
            .nth(1)
            .unwrap_or_default()
            .split(']')
            .next()
            .unwrap_or_default()
            .to_owned()
    };
    assert!(list("'command'").contains("/union/launcher"), "{shown}");
    assert!(list("'args'").contains("/union/bin/hello"), "{shown}");
}

#[test]
fn remote_image_spec_has_all_manifest_keys() {
    let setup = setup("");
    let image = "apt-packages = [\"curl\"]\ncommands = [\"one\", \"two\\nthree\"]\ncopy = [{ from = \"conf\", to = \"/etc/app\" }]\n\
        env = { A = \"b\" }\nworkdir = \"/work\"\npip-packages = [\"numpy==2.3.*\"]\npip-index = \"https://index.test/simple\"\npython-version = \"3.13\"";
    let project = hello(&setup, image).file("conf/a", "a");
    project.run(["build", "--no-check"]).succeeds();
    let made = &setup.backend.made()[0];
    assert_eq!(made["spec"]["platform"], json!(["linux/amd64"]));
    assert_eq!(made["spec"]["pythonVersion"], "3.13");
    let pinned = format!("{}/library/base@sha256:", setup.registry.host());
    assert!(
        made["spec"]["baseImage"]
            .as_str()
            .unwrap()
            .starts_with(&pinned),
        "{made}"
    );
    let layers = layers(made);
    assert_eq!(
        layers[..layers.len() - 1],
        [
            json!({ "aptPackages": { "packages": ["curl"] } }),
            json!({ "pipPackages": { "packages": ["numpy==2.3.*"], "options": { "indexUrl": "https://index.test/simple" } } }),
            json!({ "copyConfig": { "src": "copy/0", "dst": "/etc/app" } }),
            json!({ "workdir": { "workdir": "/work" } }),
            json!({ "env": { "envVariables": { "A": "b" } } }),
            json!({ "commands": { "cmd": ["one"] } }),
            json!({ "commands": { "cmd": ["/bin/sh -c \"$(printf %b 'two\\nthree')\""] } }),
            json!({ "copyConfig": { "src": "launcher", "dst": "/union/launcher" } }),
            json!({ "copyConfig": { "src": "bin", "dst": "/union/bin" } }),
        ]
    );
    let env = &layers[layers.len() - 1]["env"]["envVariables"];
    assert_eq!(
        (&env["A"], &env["UNION_START_CHECK"]),
        (&"b".into(), &"skipped".into())
    );
    assert_eq!(env["UNION_IMAGE_ID"].as_str().unwrap().len(), 64);
    assert_eq!(
        made["context"],
        json!([
            "copy/0 755 0:0 0",
            "copy/0/a 644 0:0 0",
            "launcher 755 0:0 0",
            "bin/hello 755 0:0 0"
        ])
    );
}

#[test]
fn remote_env_references_and_copies_are_resolved_by_the_base() {
    let setup = setup("");
    let directory = tempfile::tempdir().unwrap();
    let tar = directory.path().join("empty.tar");
    assert!(
        std::process::Command::new("tar")
            .arg("-cf")
            .arg(&tar)
            .args(["-T", "/dev/null"])
            .status()
            .unwrap()
            .success()
    );
    let layout = directory.path().join("layout");
    layout_of(
        &[&tar],
        &json!({ "Env": ["PATH=/base/bin", "ODD=a b"], "WorkingDir": "/srv/app" }),
        &layout,
    );
    push(
        &layout,
        &format!("{}/library/base:1", setup.registry.host()),
    );
    let project = hello(
        &setup,
        "copy = [\"conf/a\"]\nenv = { PATH = \"/opt/bin:$PATH\" }\ncommands = [\"one\"]",
    )
    .file("conf/a", "a");
    project.run(["build", "--no-check"]).succeeds();
    let layers = layers(&setup.backend.made()[0]);
    assert_eq!(
        layers[..3],
        [
            json!({ "copyConfig": { "src": "copy/0", "dst": "/srv/app/conf/a" } }),
            json!({ "env": { "envVariables": { "PATH": "/opt/bin:/base/bin" } } }),
            json!({ "commands": { "cmd": ["one"] } }),
        ]
    );
    assert_eq!(
        layers[layers.len() - 1]["env"]["envVariables"]["PATH"],
        "/opt/bin:/base/bin"
    );
    project.edit("Cargo.toml", "/opt/bin:$PATH", "$ODD");
    project
        .run(["build", "--no-check"])
        .exits(1)
        .fails_with("U0117")
        .stderr_has("it is `a b`")
        .stderr_has("`env` of the tasks");
}

#[test]
fn remote_build_request_is_reproducible() {
    let (one, other) = (setup(""), setup(""));
    let orders = [&one, &other].map(|setup| {
        let project = hello(setup, "copy = [{ from = \"conf\", to = \"/etc/app\" }]")
            .file("conf/a", "a")
            .file("conf/b/c", "d");
        project.run(["build"]).succeeds();
        // The address in the store contains the checksum; the host of the registry differs.
        setup
            .backend
            .puts()
            .into_iter()
            .find(|path| path.ends_with("context.tar.gz"))
            .unwrap()
    });
    assert_eq!(orders[0], orders[1]);
}

#[test]
fn remote_build_secrets_are_passed_by_name() {
    let setup = setup("");
    let image = "commands = [\"use /run/secrets/hub\"]\nsecrets = [{ id = \"hub\" }]";
    let project = hello(&setup, image).env("HUB", "hunter2");
    project
        .run(["build", "-vv"])
        .succeeds()
        .stderr_lacks("hunter2");
    let made = &setup.backend.made()[0];
    assert_eq!(made["secrets"], json!(["hub"]));
    let command = &layers(made)[0]["commands"];
    assert_eq!(
        command["secretMounts"],
        json!([{ "key": "hub", "mountRequirement": "ENV_VAR", "envVar": "UNION_SECRET_0" }])
    );
    assert!(
        command["cmd"][0]
            .as_str()
            .unwrap()
            .contains("/run/secrets/hub"),
        "{command}"
    );
    let local = hello(
        &setup,
        "commands = [\"x\"]\nsecrets = [{ id = \"hub\", env = \"HUB\" }]",
    );
    local
        .run(["build"])
        .exits(2)
        .fails_with("U0117")
        .stderr_has("reads the secret `hub` from the backend");
    assert!(
        !setup
            .backend
            .kept("store")
            .iter()
            .any(|file| file.contains("hunter2"))
    );
}

#[test]
fn backend_without_an_image_builder_gets_no_upload() {
    for (backend, why) in [
        (
            Stub::start(),
            "could not find out whether the backend has the image",
        ),
        (
            Stub::behaving("builder,disabled"),
            "has no task `build-image` in system/production",
        ),
    ] {
        let registry = Registry::open();
        base(&registry);
        let setup = Setup { registry, backend };
        let project = hello(&setup, "");
        project
            .run(["build"])
            .exits(1)
            .fails_with("U0769")
            .stderr_has(why)
            .stderr_has("builder = \"docker\"")
            .compiles_nothing();
        assert_eq!(
            (
                setup.backend.puts().len(),
                setup.backend.runs().len(),
                setup.backend.count("CreateUploadLocation")
            ),
            (0, 0, 0)
        );
    }
}

#[test]
fn expired_upload_url_is_requested_again() {
    let setup = setup("expired-once");
    let built = hello(&setup, "")
        .run(["build", "-vv"])
        .succeeds()
        .stderr_lacks("TOPSECRET")
        .stderr_lacks("signature");
    built
        .stderr_has("trace: http method=PUT url=http://")
        .stderr_has("trace: rpc method=DataProxyService/CreateUploadLocation status=ok");
    assert_eq!(
        (
            setup.backend.count("CreateUploadLocation"),
            setup.backend.puts().len()
        ),
        (3, 3)
    );
    let never = self::setup("expired");
    let refused = hello(&never, "")
        .run(["build", "-vv"])
        .exits(1)
        .fails_with("U0772");
    refused
        .stderr_has("could not send `spec.pb`")
        .stderr_has("Request has expired")
        .stderr_has("faster connection")
        .stderr_lacks("TOPSECRET");
    assert_eq!(
        (never.backend.puts().len(), never.backend.runs().len()),
        (3, 0)
    );
}

#[test]
fn busy_store_is_retried_and_a_refusal_is_not() {
    let setup = setup("busy");
    hello(&setup, "")
        .run(["build"])
        .succeeds()
        .stderr_has("Retrying an upload to 127.0.0.1:")
        .stderr_has("SlowDown");
    assert_eq!(setup.backend.puts().len(), 4);
    let torn = self::setup("torn");
    let refused = hello(&torn, "").run(["build"]).exits(1).fails_with("U0771");
    refused
        .stderr_has("BadDigest: The Content-MD5 you specified did not match")
        .stderr_lacks("TOPSECRET");
    assert_eq!(
        (torn.backend.puts().len(), torn.backend.runs().len()),
        (1, 0)
    );
}

#[test]
fn unreachable_store_is_named() {
    let setup = setup("gone");
    let refused = hello(&setup, "")
        .run(["build"])
        .exits(1)
        .fails_with("U0770");
    refused
        .stderr_has("could not send `spec.pb` to the backend's store")
        .stderr_lacks("TOPSECRET");
}

#[test]
fn failed_remote_build_shows_its_log_and_url() {
    let setup = setup("fail");
    let project = hello(&setup, "");
    let failed = project.run(["build"]).exits(1).fails_with("U0503");
    let run = &setup.backend.runs()[0];
    let page = format!("/v2/domain/development/project/flytesnacks/runs/{run}");
    failed
        .stderr_has("failed: boom")
        .stderr_has("and goes on")
        .stderr_has("attempt 1 ends")
        .stderr_has(&page);
    let log = project.read("target/union/logs/hello/default.log");
    assert!(
        log.contains("attempt 1 begins") && log.contains("attempt 1 ends"),
        "{log}"
    );
    assert!(
        !project.path("target/union/results").exists(),
        "nothing is remembered of it"
    );
}

#[test]
fn ctrl_c_aborts_the_remote_build() {
    let setup = setup("hold");
    let project = hello(&setup, "");
    let running = project.start(["build"]);
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(120);
    while setup.backend.runs().is_empty() {
        assert!(std::time::Instant::now() < deadline, "no run was created");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    running.interrupt();
    running.wait().exits(130).stderr_has("Aborting ");
    assert_eq!(
        setup.backend.aborted(&setup.backend.runs()[0]).as_deref(),
        Some("interrupted")
    );
}

#[test]
fn unpinned_remote_image_requires_a_flag() {
    let setup = setup("unpushed");
    let project = hello(&setup, "");
    let refused = project.run(["build"]).exits(1).fails_with("U0504");
    refused
        .stderr_has("could not pin image `default`")
        .stderr_has("--allow-unpinned");
    // It exists nevertheless, and is not built again.
    project
        .run(["register"])
        .exits(1)
        .fails_with("U0504")
        .stderr_has("Unchanged default");
    assert_eq!((setup.backend.runs().len(), setup.backend.writes()), (1, 0));
    let allowed = project
        .run(["register", "--allow-unpinned", "--format", "json"])
        .succeeds()
        .stderr_has("warning: [U0504]");
    assert!(
        task(&allowed)["image"]
            .as_str()
            .unwrap()
            .starts_with(&format!("{}/backend/hello:", setup.registry.host()))
    );
    assert_eq!(allowed.json()["images"][0]["digest"], Value::Null);
    let run = |more: &[&str]| {
        let words = [&["run", "--remote", "--detach", "hello"], more].concat();
        project.run([&words[..], &["--", "--x=1", "--name=Ada"]].concat())
    };
    run(&[]).exits(1).fails_with("U0504");
    run(&["--allow-unpinned"])
        .succeeds()
        .stderr_has("Created u");
    project.run(["images"]).succeeds().stdout_has("not pinned");
}

#[test]
fn remote_build_with_a_registry_has_known_references() {
    let setup = setup("");
    let project = hello(&setup, "");
    let references = |project: &Project| {
        project.read(&format!(
            "target/union/references/{}",
            project.files_below("target/union/references")[0]
        ))
    };
    project.run(["build"]).succeeds();
    assert!(
        references(&project).contains("\"repository\": null"),
        "{}",
        references(&project)
    );
    let project = project.env("UNION_REGISTRY", format!("{}/team", setup.registry.host()));
    let built = project.run(["build", "--rebuild"]).succeeds();
    assert!(
        references(&project).contains(&format!("{}/team/hello", setup.registry.host())),
        "{}",
        references(&project)
    );
    assert!(
        built
            .stdout()
            .starts_with(&format!("{}/team/hello@sha256:", setup.registry.host())),
        "{}",
        built.stdout()
    );
    project
        .run(["plan"])
        .succeeds()
        .stdout_has(&format!("unchanged {}/team/hello:", setup.registry.host()));
}

#[test]
fn remote_builder_refuses_local_outputs() {
    let setup = setup("");
    let project = hello(&setup, "");
    for words in [
        &["build", "--no-push"][..],
        &["build", "--output", "oci:out"],
        &["build", "--output", "tar:out.tar"],
    ] {
        project
            .run(words)
            .exits(2)
            .fails_with("U0001")
            .stderr_has("`--builder docker`")
            .compiles_nothing();
    }
    assert!(!Path::new(&project.path("out")).exists());
}

#[test]
fn rebuild_starts_a_new_remote_build() {
    let setup = setup("");
    let project = hello(&setup, "");
    project.run(["build"]).succeeds();
    project
        .run(["build", "--rebuild"])
        .succeeds()
        .stderr_has("Published default");
    let made = setup.backend.made();
    let mut anew: Vec<bool> = made
        .iter()
        .map(|made| made["run_spec"]["cacheConfig"]["overwriteCache"] == true)
        .collect();
    anew.sort_unstable();
    assert_eq!(anew, [false, true]);
}

#[test]
fn remote_build_dry_run_sends_nothing() {
    let setup = setup("");
    hello(&setup, "")
        .run(["register", "--dry-run"])
        .succeeds()
        .stderr_has("Packed default remote:hello:");
    assert_eq!(
        (
            setup.backend.puts().len(),
            setup.backend.runs().len(),
            setup.backend.writes()
        ),
        (0, 0, 0)
    );
}

#[test]
fn fresh_checkout_reads_the_interface_from_an_image_variable() {
    let setup = setup("");
    let manifest = format!(
        "[dependencies]\nflyte = {{ path = \"flyte\" }}\n[package.metadata.union]\nproject = \"flytesnacks\"\n\
         domain = \"development\"\nbuilder = \"remote\"\n[package.metadata.union.build]\nlink = \"static\"\n\
         [package.metadata.union.images.default]\nbase-image = \"{}/library/base:1\"\n",
        setup.registry.host()
    );
    let project = setup.with_backend(
        Project::package("hello")
            .union(&manifest)
            .file("src/main.rs", worker(DESCRIPTION))
            .file(
                "flyte/Cargo.toml",
                "[package]\nname = \"flyte\"\nversion = \"0.1.0\"\nedition = \"2024\"\n",
            )
            .file("flyte/src/lib.rs", "")
            .locked(),
    );
    let first = task(&project.run(["register", "--format", "json"]).succeeds());
    for directory in [project.path("target"), project.cache()] {
        fs::remove_dir_all(directory).unwrap();
    }
    let again = task(
        &project
            .run(["register", "--format", "json"])
            .succeeds()
            .compiles_nothing(),
    );
    assert_eq!(
        (&again["state"], &again["name"], &again["image"]),
        (&"unchanged".into(), &"my_task".into(), &first["image"])
    );
}

/// A Dockerfile of a remote image spec, as the backend's builder reads it: one instruction per step.
fn dockerfile(base: &str, layers: &[Value]) -> String {
    let mut text = format!("FROM {base}\n");
    for layer in layers {
        let (kind, step) = layer.as_object().unwrap().iter().next().unwrap();
        let line = match kind.as_str() {
            "copyConfig" => format!(
                "COPY {} {}",
                step["src"].as_str().unwrap(),
                step["dst"].as_str().unwrap()
            ),
            "workdir" => format!("WORKDIR {}", step["workdir"].as_str().unwrap()),
            "commands" => {
                let mounts = step["secretMounts"].as_array().into_iter().flatten();
                let given: String = mounts
                    .map(|secret| {
                        format!("export {}=hunter2; ", secret["envVar"].as_str().unwrap())
                    })
                    .collect();
                format!("RUN {given}{}", step["cmd"][0].as_str().unwrap())
            }
            "env" => {
                let variables = step["envVariables"].as_object().unwrap();
                let lines: Vec<String> = variables
                    .iter()
                    .map(|(name, value)| format!("ENV {name}={}", value.as_str().unwrap()))
                    .collect();
                lines.join("\n")
            }
            other => panic!("{other} needs a network"),
        };
        text.push_str(&line);
        text.push('\n');
    }
    text
}

#[test]
fn remote_image_spec_builds_the_image_in_an_engine() {
    let setup = setup("");
    push(
        &debian_layout(),
        &format!("{}/library/debian:1", setup.registry.host()),
    );
    let image = "copy = [{ from = \"conf\", to = \"/etc/app\" }, { from = \"run.sh\", to = \"/opt/run\", mode = \"0755\" }]\n\
        commands = [\"cat /run/secrets/hub >/seen\", \"-x 2>/dev/null || echo \\\"it's\\\" >/odd\\nprintf '%s\\\\n' a >>/odd\"]\n\
        secrets = [{ id = \"hub\" }]\nenv = { A = \"b=c\" }\nworkdir = \"/work\"";
    let project = hello(&setup, image)
        .file("conf/a", "a")
        .file("run.sh", "#!/bin/sh\necho ran\n");
    project.edit("Cargo.toml", "library/base:1", "library/debian:1");
    project.run(["build"]).succeeds();
    let layers = layers(&setup.backend.made()[0]);

    let engine = Engine::shared();
    engine.docker(&[
        "import",
        debian("bookworm", &[]).to_str().unwrap(),
        "order-base:1",
    ]);
    let context = tempfile::tempdir().unwrap();
    let archive = setup.backend.stored("context.tar.gz");
    let unpacked = std::process::Command::new("tar")
        .arg("-C")
        .arg(context.path())
        .arg("-xzf")
        .arg(archive)
        .status()
        .unwrap();
    assert!(unpacked.success());
    fs::write(
        context.path().join("Dockerfile"),
        dockerfile("order-base:1", &layers),
    )
    .unwrap();
    engine.docker(&[
        "build",
        "--tag",
        "order:1",
        context.path().to_str().unwrap(),
    ]);
    let look = "cat /seen /odd /etc/app/a; ls /run/secrets; echo \"$A $UNION_START_CHECK\"; pwd; /opt/run; /union/bin/hello";
    let printed = engine.docker(&[
        "run",
        "--rm",
        "--network",
        "none",
        "order:1",
        "/bin/sh",
        "-c",
        look,
    ]);
    assert_eq!(printed, "hunter2it's\na\nab=c \n/work\nran\nhello");
}
