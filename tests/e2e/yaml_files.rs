//! `resolve`: YAML files with the pinned references of images.

use union_tests::Project;
use union_tests::registry::Registry;

const DEPLOYMENT: &str = "# union://hello is this package\nkind: Deployment\nspec:\n  containers:\n  - image: union://hello # built here\n    name: a\n";
const JOB: &str = "kind: Job\nimage: \"union://hello/other\"";

fn hello(registry: &Registry) -> Project {
    let manifest = format!(
        "[package.metadata.union]\nregistry = \"{}/team\"\n\
         [package.metadata.union.images.default]\nbase-image = \"scratch\"\n\
         [package.metadata.union.images.other]\nbase-image = \"scratch\"\nenv = {{ A = \"b\" }}\n",
        registry.host()
    );
    Project::package("hello")
        .union(&manifest)
        .locked()
        .file("k8s/deployment.yaml", DEPLOYMENT)
        .file("k8s/jobs/job.yml", JOB)
        .file("k8s/notes.txt", "union://nothing\n")
}

#[test]
fn names_in_yaml_files_become_pinned_references() {
    let registry = Registry::open();
    let project = hello(&registry);
    let resolved = project.run(["resolve", "-f", "k8s"]).succeeds();
    let images = project
        .run(["images", "--format", "json"])
        .succeeds()
        .json();
    let pinned = |number: usize| {
        let pinned = images["images"][number]["built"]["pinned"].as_str();
        pinned.expect("a reference").to_owned()
    };
    let expected = format!(
        "{}---\n{}",
        DEPLOYMENT.replace("image: union://hello ", &format!("image: {} ", pinned(0))),
        JOB.replace("union://hello/other", &pinned(1))
    );
    assert_eq!(resolved.stdout(), expected);
    // Again without changes: nothing is sent, and the output is the same.
    let writes = registry.writes().len();
    let again = project.run(["resolve", "-f", "k8s"]).succeeds();
    assert_eq!(again.compiles_nothing().stdout(), expected);
    assert_eq!(registry.writes().len(), writes);
    let json = project.run(["resolve", "-f", "k8s", "--format", "json"]);
    assert_eq!(json.succeeds().json()["yaml"], expected);
}

#[test]
fn unknown_names_are_refused_before_anything_is_built() {
    let registry = Registry::open();
    let project = hello(&registry);
    for (text, code, word) in [
        ("a: union://helo", "U0203", "helo"),
        ("a: union://hello/gpu", "U0105", "`default`"),
        ("a: union://hello:v1", "U0001", "line 1"),
        ("a: [", "U0001", "broken.yaml"),
    ] {
        project.write("broken.yaml", text);
        let refused = project.run(["resolve", "-f", "broken.yaml"]);
        refused
            .fails_with(code)
            .stderr_has(word)
            .stdout_is("")
            .compiles_nothing();
    }
    project
        .run(["resolve", "-f", "missing.yaml"])
        .fails_with("U0004");
    assert_eq!(registry.writes().len(), 0);
    let without = Project::package("hello")
        .union("[package.metadata.union.images.default]\nbase-image = \"scratch\"\n")
        .locked();
    without.write("a.yaml", "a: union://hello\n");
    without.run(["resolve", "-f", "a.yaml"]).fails_with("U0401");
}
