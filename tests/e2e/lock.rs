//! Union.lock: a moved base tag changes an image only after an update.

use crate::setup::{Setup, line};

#[test]
fn moved_base_tag_takes_effect_only_after_update() {
    let setup = Setup::new().with_base("base:latest", "one");
    let project = setup.on("base:latest", "").locked();
    let first = line(&project.run(["build"]).succeeds());
    let locked = project.read("Union.lock");

    setup.push_base("base:latest", "two");
    let again = project
        .run(["build"])
        .succeeds()
        .compiles_nothing()
        .stderr_has("Unchanged");
    assert_eq!(line(&again), first);

    let base = setup.reference("base:latest");
    project
        .run(["update", "--dry-run"])
        .succeeds()
        .stderr_has(&format!("Updating {base} sha256:"))
        .stderr_has(" → sha256:");
    assert_eq!(project.read("Union.lock"), locked, "a dry run wrote");
    let update = project
        .run(["update", "--format", "json"])
        .succeeds()
        .json()["bases"][0]
        .clone();
    let updated = project.read("Union.lock");
    let (old, new) = (
        update["old"].as_str().unwrap(),
        update["new"].as_str().unwrap(),
    );
    assert!(
        locked.contains(old) && updated.contains(new) && !updated.contains(old),
        "{locked}\n{update}\n{updated}"
    );

    let plan = project
        .run(["plan"])
        .succeeds()
        .stdout_has("build its environment");
    let reason = plan
        .stdout()
        .lines()
        .find(|line| line.contains("base-image linux/amd64: "))
        .expect("a plan names the base");
    assert!(reason.contains(" → "), "{reason}");
    let second = project.run(["build"]).succeeds();
    assert_ne!(line(&second), first);
    assert_eq!(setup.tags("team/hello").len(), 2);
    project
        .run(["update"])
        .succeeds()
        .stderr_has("Unchanged Union.lock");
}

#[test]
fn locked_build_requires_only_the_lock() {
    let setup = Setup::new().with_base("base:1", "one");
    let project = setup.on("base:1", "").locked();
    project
        .run(["build", "--locked"])
        .fails_with("U0211")
        .stderr_has(&setup.reference("base:1"))
        .compiles_nothing();
    assert!(!project.path("Union.lock").exists());
    project.run(["update"]).succeeds().stderr_has("Locking");
    project.run(["build", "--locked"]).succeeds();
}

#[test]
fn locked_base_is_used_though_its_tag_moved() {
    let setup = Setup::new().with_base("base:1", "one");
    let project = setup.on("base:1", "").locked();
    project.run(["build"]).succeeds();
    let locked = project.read("Union.lock");
    setup.push_base("base:1", "two");
    std::fs::remove_dir_all(project.cache()).unwrap();
    project.append("src/main.rs", "// an edit\n");
    let plan = project.run(["plan", "--format", "json"]).succeeds().json();
    assert_eq!(plan["images"][0]["action"], "append", "{plan}");
    project.run(["build"]).succeeds().stderr_has("Published");
    assert_eq!(project.read("Union.lock"), locked);
}
