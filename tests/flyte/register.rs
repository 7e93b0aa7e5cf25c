//! `register`: the official command line shows the tasks, and a second call does nothing.

use union_tests::Project;
use union_tests::keys::{private_key, public_key};

use crate::setup::{Setup, TYPED, task, tasks};

const REGISTER: [&str; 3] = ["register", "--format", "json"];

#[test]
fn official_cli_shows_the_registered_task() {
    let setup = Setup::new();
    let project = setup.hello(TYPED);
    let registered = task(&project.run(REGISTER).succeeds().compiles(["hello"]));
    assert_eq!(
        (
            &registered["state"],
            &registered["name"],
            &registered["environment"]
        ),
        (&"new".into(), &"hello".into(), &"hello_env".into())
    );
    let (version, image) = (
        registered["version"].as_str().unwrap(),
        registered["image"].as_str().unwrap(),
    );
    assert!(
        version.len() <= 63
            && image.starts_with(&format!("{}/team/hello@sha256:", setup.registry.host())),
        "{registered}"
    );
    let shown = setup
        .backend
        .official_in_project(["get", "task"], &["hello", version]);
    for expected in [
        image,
        version,
        "hello_env",
        "raw-container",
        "greeting",
        "/union/bin/hello",
        "--x={{.inputs.x}}",
        "/var/outputs",
        "Says hello",
    ] {
        assert!(shown.contains(expected), "no `{expected}` in {shown}");
    }
    let list = setup.backend.official_in_project(["get", "task"], &[]);
    assert!(list.contains("hello") && list.contains(version), "{list}");
    setup.backend.assert_all_valid();
}

#[test]
fn second_registration_does_nothing() {
    let setup = Setup::new();
    let project = setup.hello(TYPED);
    let first = project
        .run(["register"])
        .succeeds()
        .stderr_has("Registered hello ");
    let (pushes, writes) = (setup.registry.writes(), setup.backend.writes());
    assert_eq!(writes, 1);
    let second = project
        .run(["register"])
        .succeeds()
        .compiles_nothing()
        .stderr_has("Unchanged hello ")
        .stderr_lacks("Registered");
    assert_eq!(second.stdout(), first.stdout());
    assert!(
        first.stdout().starts_with("flytesnacks/development/hello@"),
        "{}",
        first.stdout()
    );
    assert_eq!(
        (setup.registry.writes(), setup.backend.writes()),
        (pushes, writes)
    );
}

#[test]
fn image_is_signed_before_its_task_is_registered() {
    let setup = Setup::new();
    let project = setup.hello(TYPED);
    let unusable = private_key(&project.temp(), "p384.pem");
    project
        .run(["register", "--sign-key", &unusable])
        .fails_with("U0419")
        .compiles_nothing();
    let key = private_key(&project.temp(), "sec1.pem");
    let dry_run = ["register", "--dry-run", "--sign-key", &key];
    project.run(dry_run).succeeds().stderr_lacks("Signed");
    assert_eq!(setup.backend.writes(), 0);
    let words = ["register", "--format", "json", "--sign-key", &key];
    let registered = task(&project.run(words).succeeds().stderr_has("Signed"));
    let image = registered["image"].as_str().unwrap();
    let verified = project.run(["verify", image, "--key", &public_key()]);
    verified.succeeds().stdout_has("signed: ");
}

#[test]
fn changed_setting_is_a_new_version_and_revert_is_the_latest() {
    let setup = Setup::new();
    let project = setup.hello(TYPED);
    let first = task(&project.run(REGISTER).succeeds());
    project.edit("Cargo.toml", "memory = \"1Gi\"", "memory = \"2Gi\"");
    let second = task(&project.run(REGISTER).succeeds().compiles_nothing());
    assert_eq!(
        (&second["state"], &second["latest"], &second["image"]),
        (&"updated".into(), &first["version"], &first["image"])
    );
    project.edit("Cargo.toml", "memory = \"2Gi\"", "memory = \"1Gi\"");
    let third = task(&project.run(REGISTER).succeeds());
    assert_eq!(third["state"], "again");
    assert_eq!(
        third["version"],
        format!("{}-2", first["version"].as_str().unwrap())
    );
    assert_eq!(
        task(&project.run(REGISTER).succeeds())["state"],
        "unchanged"
    );
    assert_eq!(setup.backend.writes(), 3);
    let list = setup.backend.official_in_project(["get", "task"], &[]);
    assert!(
        list.contains(third["version"].as_str().unwrap()),
        "callers by latest get it: {list}"
    );
}

#[test]
fn tasks_of_a_package_share_compile_image_and_version() {
    let setup = Setup::new();
    let more: String = (0..12)
        .map(|n| {
            format!(
                "[package.metadata.union.tasks.t{n}]\nretries = {}\n",
                n % 10
            )
        })
        .collect();
    let project = setup.hello(&more);
    let all = tasks(&project.run(REGISTER).succeeds().compiles(["hello"]));
    assert_eq!((all.len(), setup.backend.writes()), (12, 12));
    assert!(
        all.iter()
            .all(|task| task["version"] == all[0]["version"] && task["image"] == all[0]["image"])
    );
    // The version is the same for any selection of tasks.
    let one = task(
        &project
            .run(["register", "--task", "t3", "--format", "json"])
            .succeeds(),
    );
    assert_eq!(
        (&one["state"], &one["version"]),
        (&"unchanged".into(), &all[0]["version"])
    );
    assert_eq!(setup.backend.writes(), 12);
}

#[test]
fn triggers_and_values_are_valid_for_the_official_messages() {
    let setup = Setup::new();
    let more = "[package.metadata.union.tasks.hello]\nqueue = \"gpu\"\nretries = { count = 2, backoff = \"1s\", factor = 2.0, max-backoff = \"1m\" }\n\
        inputs = { at = \"datetime\", mode = [\"fast\", \"slow\"], extra = \"struct\", note = \"optional[string]\", files = \"list[file]\" }\n\
        [package.metadata.union.tasks.hello.triggers.nightly]\ncron = \"0 3 * * 1\"\ntimezone = \"Europe/Berlin\"\ntime-input = \"at\"\n\
        inputs = { mode = \"fast\", extra = { a = [1, 2.5] }, files = [\"s3://b/f\"] }\n";
    let project = setup.hello(more);
    assert_eq!(task(&project.run(REGISTER).succeeds())["state"], "new");
    setup.backend.assert_all_valid();
}

#[test]
fn workspace_sets_project_and_domain_of_a_package() {
    let setup = Setup::new();
    let project = setup.with_backend(
        Project::workspace()
            .union(&setup.settings("workspace"))
            .member("one", "[package.metadata.union]\n")
            .member("two", "[package.metadata.union]\nproject = \"another\"\n")
            .locked(),
    );
    let reported = tasks(
        &project
            .run(["register", "--workspace", "--format", "json"])
            .succeeds(),
    );
    let places: Vec<_> = reported
        .iter()
        .map(|task| {
            (
                task["project"].as_str().unwrap(),
                task["name"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(places, [("flytesnacks", "one"), ("another", "two")]);
}

#[test]
fn promoted_task_keeps_its_version() {
    let setup = Setup::new();
    let project = setup.hello(TYPED);
    let development = task(&project.run(REGISTER).succeeds());
    let production = task(
        &project
            .run(["register", "--domain", "production", "--format", "json"])
            .succeeds()
            .compiles_nothing(),
    );
    assert_eq!(
        (&production["state"], &production["version"]),
        (&"new".into(), &development["version"])
    );
}

#[test]
fn chosen_version_is_replaced_only_on_request() {
    let setup = Setup::new();
    let project = setup.hello(TYPED);
    let register =
        |more: &[&str]| project.run([&REGISTER[..], &["--version", "v1"], more].concat());
    assert_eq!(task(&register(&[]).succeeds())["version"], "v1");
    assert_eq!(task(&register(&[]).succeeds())["state"], "unchanged");
    project.edit("Cargo.toml", "cpu = 1", "cpu = 2");
    let refused = register(&[])
        .exits(1)
        .fails_with("U0708")
        .stderr_has("`container.resources.requests`")
        .stderr_has("--replace");
    assert_eq!(task(&refused)["state"], "failed");
    assert_eq!(
        task(&register(&["--replace"]).succeeds())["state"],
        "replaced"
    );
    assert_eq!(setup.backend.writes(), 2);
}
