//! Packages of a workspace that one call of cargo compiles have the same bytes as when compiled separately.

use std::collections::BTreeMap;

use union_tests::{Outcome, Project};

const MEMBERS: [&str; 4] = ["one", "two", "loud", "chosen"];

/// Four programs with one dependency: cargo would give all of them the features that `loud` wants of it.
fn workspace() -> Project {
    let helper = "pub fn word() -> &'static str { if cfg!(feature = \"loud\") { \"HELLO\" } else { \"hello\" } }\n";
    let project = Project::workspace()
        .member("helper", "[lib]\n[features]\nloud = []\n")
        .file("members/helper/src/lib.rs", helper);
    let project = MEMBERS.into_iter().fold(project, |project, name| {
        let features = if name == "loud" { ", features = [\"loud\"]" } else { "" };
        let own = if name == "chosen" { "build.features = [\"extra\"]\n" } else { "" };
        let manifest = format!(
            "[dependencies]\nhelper = {{ path = \"../helper\"{features} }}\n[features]\nextra = []\n\
             [package.metadata.union.images.default]\nbase-image = \"scratch\"\n{own}"
        );
        let main = format!("fn main() {{ println!(\"{name} {{}} {{}}\", helper::word(), cfg!(feature = \"extra\")); }}\n");
        project.member(name, &manifest).file(&format!("members/{name}/src/main.rs"), main)
    });
    project.locked()
}

/// A cargo that records each build, and answers the question for features by these lines of a shell.
fn watched(project: Project, tree: &str) -> Project {
    let log = project.temp().join("builds");
    let script = format!(
        "#!/bin/sh\ncase $1 in\n  build) echo \"$@\" | grep -o -- '--bin [a-z]*' | tr -d '\\n' >>{log}; echo >>{log} ;;\n  tree) case \"$*\" in *'{{p}}|{{f}}'*) {tree} ;; esac ;;\nesac\nexec {} \"$@\"\n",
        env!("CARGO"),
        log = log.display(),
    );
    let cargo = project.temp().join("cargo");
    std::fs::write(&cargo, script).unwrap();
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(&cargo, std::fs::Permissions::from_mode(0o755)).unwrap();
    project.env("CARGO", cargo.display().to_string())
}

fn builds(project: &Project) -> Vec<String> {
    let log = std::fs::read_to_string(project.temp().join("builds")).unwrap_or_default();
    std::fs::write(project.temp().join("builds"), "").unwrap();
    log.lines()
        .map(|line| line.replace("--bin ", " ").trim().to_owned())
        .collect()
}

fn digests(outcome: &Outcome) -> BTreeMap<String, String> {
    let images = outcome.json()["images"].as_array().unwrap().clone();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    images
        .iter()
        .map(|image| (text(&image["package"]), text(&image["digest"])))
        .collect()
}

/// The digest of each package when it is compiled separately.
fn alone() -> BTreeMap<String, String> {
    let each = MEMBERS.into_iter().flat_map(|name| {
        digests(
            &workspace()
                .run(["build", "-p", name, "--format", "json"])
                .succeeds(),
        )
    });
    each.collect()
}

#[test]
fn joint_compile_gives_the_bytes_of_separate_compiles() {
    let project = watched(workspace(), ":");
    let together = project
        .run(["build", "--workspace", "--format", "json"])
        .succeeds();
    assert_eq!(builds(&project), ["chosen", "loud", "one two"]);
    assert_eq!(digests(&together), alone());

    // An edit of their shared dependency needs as few calls, and features are not queried again.
    let project = watched(project, "exit 1");
    project.append("members/helper/src/lib.rs", "pub fn more() {}\n");
    project.run(["build", "--workspace"]).succeeds();
    assert_eq!(builds(&project), ["chosen", "loud", "one two"]);
    project.append(
        "members/two/src/main.rs",
        "#[allow(dead_code)] fn more() {}\n",
    );
    project.run(["build", "--workspace"]).succeeds();
    assert_eq!(builds(&project), ["two"]);
}

#[test]
fn unpredicted_features_are_compiled_separately() {
    let project = watched(
        workspace(),
        "echo \"app v0.1.0|\"; echo \"helper v0.1.0|\"; exit 0",
    );
    let together = project
        .run(["build", "--workspace", "--format", "json"])
        .succeeds();
    assert_eq!(
        builds(&project),
        ["chosen", "loud one two", "loud", "one", "two"]
    );
    assert_eq!(digests(&together), alone());
}

#[test]
fn failed_feature_prediction_compiles_separately() {
    let project = watched(workspace(), "exit 101");
    let together = project
        .run(["build", "--workspace", "--format", "json"])
        .succeeds();
    assert_eq!(builds(&project), ["chosen", "loud", "one", "two"]);
    assert_eq!(digests(&together), alone());
}
