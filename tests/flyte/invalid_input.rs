//! Invalid settings and inputs for a backend: each is a clear error with advice, before the compile.

use union_tests::Project;
use union_tests::http::ReservedPort;
use union_tests::registry::Registry;
use union_tests::stub::Stub;

use crate::setup::{Setup, TYPED, tasks};

#[test]
fn missing_backend_is_reported_before_the_compile() {
    let setup = Setup::new();
    let project = Project::package("hello")
        .union(&setup.settings("package"))
        .locked();
    project
        .run(["register"])
        .exits(1)
        .fails_with("U0754")
        .compiles_nothing();
}

#[test]
fn unreachable_endpoint_is_named_before_the_compile() {
    let setup = Setup::new();
    let free = ReservedPort::new();
    let endpoint = format!("http://{}", free.host());
    let project = setup.hello(TYPED).env("FLYTE_ADMIN_ENDPOINT", endpoint);
    project
        .run(["register"])
        .exits(1)
        .fails_with("U0755")
        .stderr_has(&free.host())
        .compiles_nothing();
    assert_eq!(setup.registry.writes(), [""; 0]);
}

#[test]
fn unknown_project_or_domain_lists_the_existing_ones() {
    let setup = Setup::new();
    let project = setup.hello(TYPED);
    let wrong = project
        .run(["register", "--project", "flytesnack"])
        .exits(1)
        .fails_with("U0702")
        .compiles_nothing();
    wrong.stderr_has("Did you mean `flytesnacks`? There is `another`, `flytesnacks`.");
    let wrong = project
        .run(["register", "--domain", "staging"])
        .exits(1)
        .fails_with("U0703")
        .compiles_nothing();
    wrong.stderr_has("There is `development`, `production`.");
    assert_eq!(setup.backend.writes(), 0);
}

#[test]
fn missing_project_is_an_error() {
    let setup = Setup::new();
    let registry = format!(
        "[package.metadata.union]\nregistry = \"{}\"\n",
        setup.registry.host()
    );
    let project = setup.with_backend(Project::package("hello").union(&registry).locked());
    project
        .run(["register"])
        .exits(1)
        .fails_with("U0701")
        .stderr_has("no project and no domain is set")
        .compiles_nothing();
    project
        .run(["register", "--project", "a"])
        .fails_with("U0701")
        .stderr_has("no domain is set");
}

#[test]
fn backend_that_requires_an_organization_has_its_own_advice() {
    let setup = Setup::new();
    let project = setup.hello(TYPED).without_env("FLYTE_TASK_ORG");
    project
        .run(["register"])
        .exits(1)
        .fails_with("U0759")
        .stderr_has("org")
        .stderr_has("name yours with `--org`");
    assert!(
        setup
            .backend
            .calls()
            .iter()
            .any(|call| call.get("invalid").is_some()),
        "the rules are on"
    );
    project.run(["register", "--org", "acme"]).succeeds();
}

#[test]
fn local_image_is_refused_by_register() {
    let setup = Setup::new();
    let manifest =
        "[package.metadata.union]\nproject = \"flytesnacks\"\ndomain = \"development\"\n";
    let project = setup.with_backend(Project::package("hello").union(manifest).locked());
    project
        .run(["register"])
        .exits(1)
        .fails_with("U0401")
        .stderr_has("image `default` of package `hello`")
        .compiles_nothing();
}

#[test]
fn too_long_names_and_versions_are_refused_at_once() {
    let setup = Setup::new();
    let long = "a".repeat(64);
    let project = setup.hello(&format!(
        "[package.metadata.union.tasks.hello]\nenvironment = \"{long}\"\n"
    ));
    project
        .run(["register"])
        .exits(2)
        .fails_with("U0104")
        .stderr_has("at most 63 characters");
    let project = setup.hello("");
    project
        .run(["register", "--version", &long])
        .exits(1)
        .fails_with("U0709")
        .stderr_has("64 characters")
        .compiles_nothing();
    project
        .run(["register", "--version", "a/b"])
        .fails_with("U0709")
        .stderr_has("other characters");
}

#[test]
fn task_of_another_environment_is_not_replaced() {
    let setup = Setup::new();
    setup
        .hello("[package.metadata.union.tasks.hello]\nenvironment = \"theirs\"\n")
        .run(["register"])
        .succeeds();
    let project = setup.hello(TYPED);
    project
        .run(["register"])
        .exits(1)
        .fails_with("U0707")
        .stderr_has("in the environment `theirs`, and this one is of `hello_env`");
    assert_eq!(setup.backend.writes(), 1);
}

#[test]
fn packages_with_the_same_task_name_are_refused() {
    let setup = Setup::new();
    let project = setup.with_backend(
        Project::workspace()
            .union(&setup.settings("workspace"))
            .member(
                "one",
                "[package.metadata.union.tasks.train]\nbin = \"one\"\n",
            )
            .member(
                "two",
                "[package.metadata.union.tasks.train]\nbin = \"two\"\n",
            )
            .locked(),
    );
    let refused = project
        .run(["register", "--workspace"])
        .exits(1)
        .fails_with("U0710")
        .compiles_nothing();
    refused
        .stderr_has("two tasks would be `train` in flytesnacks/development")
        .stderr_has("package `one`")
        .stderr_has("package `two`");
}

#[test]
fn failed_registration_does_not_stop_the_others() {
    let setup = Setup::with(Stub::refusing("b=quota of tasks is used up"));
    let more: String = ["a", "b", "c"]
        .map(|name| format!("[package.metadata.union.tasks.{name}]\n"))
        .concat();
    let project = setup.hello(&more);
    let outcome = project
        .run(["register", "--format", "json"])
        .exits(1)
        .fails_with("U0759")
        .stderr_has("quota of tasks is used up");
    let reported = tasks(&outcome);
    let states: Vec<_> = reported
        .iter()
        .map(|task| {
            (
                task["name"].as_str().unwrap(),
                task["state"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(states, [("a", "new"), ("b", "failed"), ("c", "new")]);
    assert_eq!(reported[1]["problem"]["code"], "U0759");
    let text = project.run(["register"]).exits(1).stderr_has("Unchanged a");
    assert_eq!(text.stdout().lines().count(), 2, "{}", text.stdout());
}

#[test]
fn dirty_tree_is_refused_only_on_request() {
    let setup = Setup::new();
    let project = setup.hello(TYPED).file(".gitignore", "/target\n");
    project
        .run(["register", "--require-clean"])
        .exits(1)
        .fails_with("U0711")
        .stderr_has("not a git working tree");
    let git =
        "git init -q . && git add -A && git -c user.name=a -c user.email=a@b.c commit -qm all";
    project.shell(git).succeeds();
    project.run(["register"]).succeeds();
    // Union.lock is new, and part of what has to be committed.
    project
        .shell(
            "git add -A && git -c user.name=a -c user.email=a@b.c commit -q --allow-empty -m lock",
        )
        .succeeds();
    project.run(["register", "--require-clean"]).succeeds();
    project.append("src/main.rs", "// an edit\n");
    project
        .run(["register", "--require-clean"])
        .exits(1)
        .fails_with("U0711")
        .stderr_has("src/main.rs")
        .compiles_nothing();
    project.run(["register"]).succeeds();
}

#[test]
fn private_image_is_a_warning_or_an_error_on_request() {
    let setup = Setup {
        registry: Registry::htpasswd("user", "secret"),
        backend: Stub::start(),
    };
    let project = setup.hello(TYPED);
    let auth = "dXNlcjpzZWNyZXQ=";
    let config = format!(
        "{{\"auths\": {{\"{}\": {{\"auth\": \"{auth}\"}}}}}}",
        setup.registry.host()
    );
    std::fs::create_dir(project.home().join(".docker")).unwrap();
    std::fs::write(project.home().join(".docker/config.json"), config).unwrap();
    let refused = project
        .run(["register", "--require-public"])
        .exits(1)
        .fails_with("U0712");
    refused
        .stderr_has("is private: a cluster without a login cannot pull")
        .stderr_has("imagePullSecrets");
    assert_eq!(setup.backend.writes(), 0);
    project
        .run(["register"])
        .succeeds()
        .stderr_has("warning: [U0712]")
        .stderr_has("pull secret");
    assert_eq!(setup.backend.writes(), 1);
    let open = Setup::new();
    open.hello(TYPED)
        .run(["register", "--require-public"])
        .succeeds()
        .stderr_lacks("private");
}

#[test]
fn unknown_task_lists_the_existing_ones() {
    let setup = Setup::new();
    setup
        .hello(TYPED)
        .run(["register", "--task", "helo"])
        .exits(2)
        .fails_with("U0204")
        .stderr_has("`hello`");
}

#[test]
fn register_help_has_a_version_option_with_a_value() {
    Project::empty()
        .run(["register", "--help"])
        .succeeds()
        .stdout_has("--version <VERSION>")
        .stdout_has("--require-public");
}
