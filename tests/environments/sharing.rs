//! Environments that several images share.

use crate::setup::Setup;

#[test]
fn extended_environment_is_built_once_and_shared() {
    let setup = Setup::new();
    let project = setup.project_of(&format!(
        "[package.metadata.union.images.gpu]\nbase-image = {:?}\ncommands = [\"echo gpu >/gpu; od -An -N8 -tx8 /dev/urandom >>/gpu\"]\n\
         [package.metadata.union.images.plain]\nextends = \"gpu\"\n\
         [package.metadata.union.images.more]\nextends = \"gpu\"\ncommands = [\"cat /gpu >/more\"]\n\
         [package.metadata.union.tasks.plain]\nimage = \"plain\"\n[package.metadata.union.tasks.more]\nimage = \"more\"\n",
        setup.debian()
    ));
    let built = project.run(["build", "--format", "json"]).succeeds().json();
    let references: std::collections::BTreeMap<&str, &str> = built["images"]
        .as_array()
        .unwrap()
        .iter()
        .map(|image| {
            (
                image["image"].as_str().unwrap(),
                image["pinned"].as_str().unwrap(),
            )
        })
        .collect();
    let engine = union_tests::engine::Engine::with_network();
    let cat = |image: &str, file: &str| {
        engine.docker(&[
            "run",
            "--rm",
            "--network",
            "none",
            references[image],
            "/bin/sh",
            "-c",
            &format!("cat {file}"),
        ])
    };
    // The same random bytes everywhere: the command ran once.
    assert_eq!(cat("gpu", "/gpu"), cat("plain", "/gpu"));
    assert_eq!(cat("gpu", "/gpu"), cat("more", "/more"));
    let environments = |repository: &str| {
        setup
            .tags(repository)
            .into_iter()
            .filter(|tag| tag.starts_with("env-"))
            .count()
    };
    assert_eq!(
        (
            environments("team/hello-gpu"),
            environments("team/hello-plain"),
            environments("team/hello-more")
        ),
        (1, 0, 1)
    );
}

#[test]
fn ten_images_on_one_base_upload_its_blobs_once() {
    let setup = Setup::new();
    let images: String = (0..10)
        .map(|number| {
            format!(
                "[package.metadata.union.images.i{number}]\nbase-image = {:?}\ncommands = [\"echo {number} >/number\"]\n",
                setup.debian()
            )
        })
        .collect();
    let project = setup.project_of(&format!(
        "{images}[package.metadata.union.tasks.hello]\nimage = \"i0\"\n"
    ));
    project.run(["build"]).succeeds();
    let manifest = project
        .shell(&format!(
            "skopeo inspect --raw --tls-verify=false docker://{}",
            setup.debian()
        ))
        .succeeds()
        .json();
    let digest = manifest["layers"][0]["digest"]
        .as_str()
        .unwrap()
        .replace(':', "%3A");
    let writes = setup.registry.writes();
    let of_base = |way: &str| {
        writes
            .iter()
            .filter(|request| request.contains(&digest) && request.starts_with(way))
            .count()
    };
    assert_eq!(of_base("POST /v2/team/"), 10, "{writes:?}");
    assert_eq!(of_base("PUT /v2/team/"), 0, "{writes:?}");
}
