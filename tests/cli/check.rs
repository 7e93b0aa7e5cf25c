//! `check`, `config` and `init`.

use union_tests::{Project, str};

#[test]
fn typo_is_shown_in_the_format_of_rustc() {
    let project =
        Project::package("hello").union("[package.metadata.union]\nregistri = \"ghcr.io/acme\"\n");
    project
        .run(["check"])
        .exits(2)
        .stdout_is("")
        .stderr_is(str![[r#"
error[U0102]: `registri` is not a key of `[package.metadata.union]`
 --> Cargo.toml:7:1
  |
7 | registri = "ghcr.io/acme"
  | ^^^^^^^^ unknown key
  |
help: did you mean `registry`?
  |
7 - registri = "ghcr.io/acme"
7 + registry = "ghcr.io/acme"
  |


"#]]);
}

#[test]
fn all_problems_are_reported_together() {
    let manifest = "[package.metadata.union]\nproject = 3\n\n[package.metadata.union.images.default]\nbase-image = \"Debian\"\ncopy = [\"no.txt\"]\n\n\
                    [package.metadata.union.tasks.train]\nimage = \"gpu\"\nbin = \"trian\"\n";
    let outcome = Project::package("hello")
        .union(manifest)
        .run(["check"])
        .exits(2);
    for code in ["U0103", "U0120", "U0112", "U0105", "U0106"] {
        assert!(
            outcome.stderr().contains(&format!("error[{code}]")),
            "{code} is missing in\n{}",
            outcome.stderr()
        );
    }
}

#[test]
fn json_document_has_problems_with_locations() {
    let project = Project::package("hello").union("[package.metadata.union]\nproject = 3\n");
    let outcome = project.run(["check", "--format", "json"]).exits(2);
    let problem = &outcome.json()["problems"][0];
    assert_eq!(
        (problem["code"].as_str(), problem["place"]["line"].as_u64()),
        (Some("U0103"), Some(7))
    );
}

#[test]
fn valid_manifest_is_summarized() {
    let project = Project::package("hello")
        .union("[package.metadata.union.images.default]\nbase-image = \"scratch\"\n");
    project
        .run(["check"])
        .succeeds()
        .stderr_has("Checked hello: images `default`, tasks `hello`");
}

#[test]
fn cargo_passes_the_subcommand_name_first() {
    let project = Project::package("hello").union("[package.metadata.union]\n");
    project
        .run(["union", "check"])
        .succeeds()
        .stderr_has("Checked hello");
}

#[test]
fn config_names_the_origin_of_each_value() {
    let project = Project::workspace()
        .union("[workspace.metadata.union]\nregistry = \"ghcr.io/acme\"\nproject = \"shop\"\n")
        .member("app", "[package.metadata.union]\nproject = \"other\"\n")
        .env("UNION_DOMAIN", "staging");
    let outcome = project.run(["config", "--builder", "native"]).succeeds();
    let origin = |key: &str| {
        let line = outcome
            .stdout()
            .lines()
            .find(|line| line.starts_with(&format!("{key} = ")))
            .unwrap_or_else(|| panic!("{key} in\n{}", outcome.stdout()));
        line.rsplit("# ").next().unwrap_or_default().to_owned()
    };
    assert!(
        origin("registry").ends_with("/Cargo.toml:6:12"),
        "{}",
        origin("registry")
    );
    assert!(
        origin("project").ends_with("/members/app/Cargo.toml:7:11"),
        "{}",
        origin("project")
    );
    assert_eq!(
        (
            origin("domain").as_str(),
            origin("builder").as_str(),
            origin("build.profile").as_str()
        ),
        ("UNION_DOMAIN", "--builder", "default")
    );
}

#[test]
fn invalid_flag_is_named() {
    let project = Project::package("hello").union("[package.metadata.union]\n");
    project
        .run(["check", "--builder", "kaniko"])
        .exits(2)
        .fails_with("U0104")
        .stderr_has("`--builder`")
        .stderr_has("native");
}

#[test]
fn workspace_table_alone_declares_no_package() {
    let project = Project::workspace()
        .union("[workspace.metadata.union]\nregistry = \"ghcr.io/acme\"\n")
        .member("tool", "");
    project
        .run(["check"])
        .exits(2)
        .fails_with("U0202")
        .stderr_has("cargo union init");
}

#[test]
fn unknown_package_is_named_with_the_existing_ones() {
    let project = Project::workspace()
        .member("app", "[package.metadata.union]\n")
        .member("tool", "");
    project
        .run(["check", "-p", "ap"])
        .exits(2)
        .fails_with("U0203")
        .stderr_has("`app`");
    project
        .run(["check", "-p", "tool"])
        .exits(2)
        .fails_with("U0202")
        .stderr_has("`app`");
}

#[test]
fn missing_manifest_shows_the_message_of_cargo() {
    Project::empty()
        .run(["check"])
        .exits(2)
        .fails_with("U0201")
        .stderr_has("could not find `Cargo.toml`");
}

#[test]
fn init_creates_a_package_that_builds() {
    let project = Project::package("hello");
    project
        .run(["init"])
        .succeeds()
        .stderr_has("cargo union build");
    project.run(["check"]).succeeds();
    let after = project.read("Cargo.toml");
    project.run(["init"]).succeeds().stderr_has("already");
    assert_eq!(
        project.read("Cargo.toml"),
        after,
        "a second run changes nothing"
    );
}

#[test]
fn native_builder_refuses_keys_that_run_commands() {
    let project = Project::package("hello").union(
        "[package.metadata.union.images.default]\nbuilder = \"native\"\napt-packages = [\"libpq5\"]\nbase-image = \"ghcr.invalid/base:1\"\n",
    );
    let outcome = project
        .run(["build"])
        .exits(2)
        .fails_with("U0117")
        .compiles_nothing();
    outcome
        .stderr_has("Cargo.toml:8:17")
        .stderr_has("needs the docker or the remote builder");
}

#[test]
fn commands_on_scratch_are_refused() {
    let project =
        Project::package("hello").union("[package.metadata.union.images.default]\nbase-image = \"scratch\"\ncommands = [\"ldconfig\"]\n");
    project
        .run(["check"])
        .exits(2)
        .fails_with("U0104")
        .stderr_has("nothing can run on `scratch`")
        .stderr_has("debian:trixie-slim");
}

#[test]
fn included_requirement_lists_are_followed() {
    let project = Project::package("hello")
        .union("[package.metadata.union.images.default]\nbase-image = \"python:3.12-slim\"\nrequirements = [\"py/requirements.txt\"]\n")
        .file("py/requirements.txt", "-r base.txt\n-c ../constraints.txt\n")
        .file("py/base.txt", "numpy\n")
        .file("constraints.txt", "numpy<3\n");
    project.run(["check"]).succeeds();
    for (line, code, why) in [
        ("-e ../lib", "U0104", "is a directory on this disk"),
        ("-r absent.txt", "U0004", "`absent.txt` cannot be read"),
        ("-r /etc/hosts", "U0113", "outside of the workspace"),
    ] {
        project.write("py/base.txt", format!("numpy\n{line}\n"));
        project
            .run(["check"])
            .exits(2)
            .fails_with(code)
            .stderr_has("py/base.txt:2:")
            .stderr_has(why)
            .stderr_has("Cargo.toml:8:17");
    }
    project.write("py/base.txt", "numpy\n");
    project
        .run(["check", "--builder", "remote"])
        .exits(2)
        .fails_with("U0117")
        .stderr_has("py/requirements.txt:1:4");
}

#[test]
fn uv_lock_with_local_packages_is_refused_at_its_line() {
    let lock = "version = 1\n\n[[package]]\nname = \"lib\"\nsource = { editable = \"../lib\" }\n";
    let project = Project::package("hello")
        .union("[package.metadata.union.images.default]\nbase-image = \"python:3.12-slim\"\nrequirements = [\"uv.lock\"]\n")
        .file("uv.lock", lock)
        .file("pyproject.toml", "[project]\nname = \"app\"\n");
    project
        .run(["check"])
        .exits(2)
        .fails_with("U0104")
        .stderr_has("uv.lock:5:1")
        .stderr_has("`../lib` is a package on this disk");
}
