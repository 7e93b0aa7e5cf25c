//! A build with default settings: from a manifest to an image in a registry, without work the second time.

use std::fs;

use union_tests::Project;
use union_tests::engine::Engine;

use crate::setup::{DEFAULT_BASE, Setup, config, image, line};

#[test]
fn default_build_runs_and_second_build_does_nothing() {
    let setup = Setup::new().with_debian(DEFAULT_BASE);
    let project = setup.hello("hello");
    let first = project.run(["build"]).succeeds().compiles(["hello"]);
    let pinned = line(&first);
    assert!(
        pinned.starts_with(&format!("{}/team/hello@sha256:", setup.registry.host())),
        "{pinned}"
    );

    let lock = project.read("Union.lock");
    assert!(
        lock.contains("gcr.io/distroless/cc-debian13")
            && lock.contains("linux/amd64")
            && lock.contains("sha256:"),
        "{lock}"
    );
    let writes = setup.registry.writes();
    assert!(
        writes.iter().any(|request| request.starts_with("PUT ")),
        "the log would show them: {writes:?}"
    );
    let second = project
        .run(["build"])
        .succeeds()
        .compiles_nothing()
        .stderr_has("Unchanged default");
    assert_eq!(second.stdout(), first.stdout());
    assert_eq!(
        setup.registry.writes(),
        writes,
        "the second run wrote something"
    );
    assert_eq!(project.read("Union.lock"), lock);

    let engine = Engine::shared();
    engine.docker(&["pull", "--quiet", &pinned]);
    assert_eq!(
        engine.docker(&["run", "--rm", "--network", "none", &pinned]),
        "hello"
    );
}

#[test]
fn entrypoint_and_command_of_the_base_are_removed() {
    let setup = Setup::new().with_base("base:1", "one");
    let pinned = line(&setup.on("base:1", "").locked().run(["build"]).succeeds());
    assert_eq!(
        config(&setup.reference("base:1"))["config"]["Entrypoint"][0],
        "/base/entrypoint"
    );
    let config = &config(&pinned)["config"];
    assert!(config["Entrypoint"].is_null(), "{config}");
    assert_eq!(config["Cmd"], serde_json::json!(["/union/bin/hello"]));
}

#[test]
fn fresh_checkout_of_a_published_image_compiles_nothing() {
    let setup = Setup::new().with_base("base:1", "one");
    let main = "include!(concat!(env!(\"OUT_DIR\"), \"/union_images.rs\"));\nfn main() { println!(\"{:?}\", DEFAULT.tag); }";
    let project = setup
        .on("base:1", "")
        .file("src/main.rs", main)
        .with_union_build("");
    let built = image(&project.run(["build", "--format", "json"]).succeeds());
    let writes = setup.registry.writes();
    fs::remove_dir_all(project.path("target")).unwrap();
    fs::remove_dir_all(project.cache()).unwrap();
    let found = project
        .run(["build"])
        .succeeds()
        .compiles_nothing()
        .stderr_has("Unchanged default");
    assert_eq!(line(&found), built["pinned"].as_str().unwrap());
    assert_eq!(setup.registry.writes(), writes);
    for directory in ["references", "results"] {
        let files = project.files_below(&format!("target/union/{directory}"));
        assert_eq!(files.len(), 1, "{directory}: {files:?}");
        let text = project.read(&format!("target/union/{directory}/{}", files[0]));
        assert!(text.contains(built["tag"].as_str().unwrap()), "{text}");
    }
    // And the crate, compiled now, has the reference of the image that was found.
    project
        .cargo(["run", "--offline", "--quiet"])
        .succeeds()
        .stdout_has(built["tag"].as_str().unwrap());
}

#[test]
fn path_dependency_edit_is_named_and_changes_only_the_code_layer() {
    let setup = Setup::new().with_base("base:1", &"x".repeat(300_000));
    let table = "[package.metadata.union.images.default]\nbuild = { link = \"static\" }";
    let base = format!("{table}\nbase-image = {:?}\n", setup.reference("base:1"));
    let manifest = "[dependencies]\nhelper = { path = \"../helper\" }\n".to_owned()
        + &setup.settings("package")
        + &base;
    let project = Project::workspace()
        .member("helper", "\n[lib]\n")
        .file("members/helper/src/lib.rs", "pub fn hi() {}\n")
        .member("app", &manifest)
        .locked();
    project.run(["build"]).succeeds();
    project.append("members/helper/src/lib.rs", "// a comment\n");
    let plan = project
        .run(["plan"])
        .succeeds()
        .compiles_nothing()
        .stdout_has("members/helper/src/lib.rs: ");
    plan.stdout_has(" → ").stdout_has("append code");
    let before = setup.registry.requests().len();
    let sent = image(&project.run(["build", "--format", "json"]).succeeds())["sent"]
        .as_u64()
        .unwrap();
    // The code layer counts in the size that `images` shows; manifest and config are small.
    let built = project
        .run(["images", "--format", "json"])
        .succeeds()
        .json()["images"][0]["built"]
        .clone();
    let code = built["code_size"].as_u64().unwrap();
    assert!(
        sent <= code + 20_000,
        "{sent} bytes were sent for {code} of code"
    );
    let requests = setup.registry.requests().split_off(before);
    assert!(
        !requests
            .iter()
            .any(|request| request.starts_with("GET ") && request.contains("/blobs/")),
        "the base was read: {requests:?}"
    );
}

#[test]
fn base_of_the_same_registry_is_mounted() {
    let random: String = (0..20_000_u64)
        .map(|n| format!("{:x}", n.wrapping_mul(0x9E37_79B9_7F4A_7C15)))
        .collect();
    let setup = Setup::new().with_base("base:1", &random);
    let built = image(
        &setup
            .on("base:1", "")
            .locked()
            .run(["build", "--format", "json"])
            .succeeds(),
    );
    let mounts = setup
        .registry
        .writes()
        .into_iter()
        .filter(|request| request.contains("mount="))
        .count();
    assert_eq!(mounts, 1);
    let plan = built["moves"]["base_at_most"].as_u64().unwrap();
    assert!(plan > 100_000, "the base is worth a mount: {plan}");
    let pulled: Vec<_> = setup
        .registry
        .requests()
        .into_iter()
        .filter(|request| request.starts_with("GET ") && request.contains("team/hello/blobs"))
        .collect();
    assert!(pulled.is_empty(), "{pulled:?}");
}

#[test]
fn promoted_image_keeps_its_tag_and_digest() {
    let setup = Setup::new();
    let project = scratch(&setup).locked();
    let built = |path: &str| {
        image(
            &project
                .run([
                    "build",
                    "--format",
                    "json",
                    "--registry",
                    &setup.reference(path),
                ])
                .succeeds(),
        )
    };
    let (dev, prod) = (built("dev"), built("prod"));
    assert_eq!(
        (&dev["tag"], &dev["digest"]),
        (&prod["tag"], &prod["digest"])
    );
    assert_eq!(setup.tags("dev/hello"), setup.tags("prod/hello"));
    assert_eq!(setup.tags("prod/hello"), [prod["tag"].as_str().unwrap()]);
}

#[test]
fn concurrent_builds_of_two_machines_agree_on_one_digest() {
    let setup = Setup::new();
    let checkout = || scratch(&setup).locked();
    let (one, two) = (checkout(), checkout());
    let two = two.env("UNION_CACHE_DIR", one.cache().to_str().unwrap());
    let running = [one.start(["build"]), two.start(["build"])];
    let [one, two] = running.map(|run| line(&run.wait().succeeds()));
    assert_eq!(one, two);
    assert_eq!(setup.tags("team/hello").len(), 1);
}

#[test]
fn replaced_image_stays_available_after_a_rebuild() {
    let setup = Setup::new();
    // A build script that asks for the time makes another image of the same key, whenever it runs again.
    let script = "fn main() {\n    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos();\n    \
                  println!(\"cargo::rerun-if-changed=build.rs\\ncargo::rustc-env=NOW={now}\");\n}\n";
    let main = "fn main() {\n    println!(\"hello {}\", env!(\"NOW\"));\n}\n";
    let project = scratch(&setup)
        .file("build.rs", script)
        .file("src/main.rs", main)
        .locked();
    let old = image(&project.run(["build", "--format", "json"]).succeeds());
    project
        .shell("rm -r target/release target/*-linux-*")
        .succeeds();
    project.run(["build"]).succeeds().stderr_has("Unchanged");
    let new = image(
        &project
            .run(["build", "--rebuild", "--format", "json"])
            .succeeds(),
    );
    assert_eq!(old["tag"], new["tag"]);
    assert_ne!(old["digest"], new["digest"]);
    let (tag, digest) = (
        old["tag"].as_str().unwrap(),
        old["digest"].as_str().unwrap(),
    );
    let kept = format!("{tag}-{}", &digest["sha256:".len()..][..12]);
    assert_eq!(setup.tags("team/hello"), [tag.to_owned(), kept]);
    config(old["pinned"].as_str().unwrap());
}

/// A program on scratch, for `team`.
pub(crate) fn scratch(setup: &Setup) -> Project {
    Project::package("hello")
        .union(&setup.settings("package"))
        .union("[package.metadata.union.images.default]\nbase-image = \"scratch\"\n")
}
