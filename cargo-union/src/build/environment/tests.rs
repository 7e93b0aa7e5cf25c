#![allow(clippy::unwrap_used)]

use union_build::diag::SourceFile;
use union_build::spec::{Overrides, PackageInfo, load};

use super::*;

/// The chain of the image `last`, of a package with these images and a file `f` to copy.
fn chain(images: &str) -> ImageChain {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("f"), "").unwrap();
    let file = SourceFile::new(
        directory.path().join("Cargo.toml"),
        format!("[package]\nname = 'a'\n{images}"),
    );
    let facts = PackageInfo {
        package: "a".to_owned(),
        directory: directory.path().to_owned(),
        workspace_root: directory.path().to_owned(),
        ..PackageInfo::default()
    };
    let (spec, problems, _) = load(None, &file, &Overrides::new(directory.path()), &facts);
    let images = spec.unwrap_or_else(|| panic!("{problems:?}")).images;
    ImageChain::resolve(&images, &images["last"])
}

/// The environments of a chain, the base's first, each as its steps; and the remaining specs.
fn shown(chain: &ImageChain) -> (Vec<Vec<String>>, Vec<String>) {
    fn step(spec: &spec::ImageSpec) -> String {
        let mut does = vec![spec.key.clone()];
        does.extend((!spec.apt_packages.is_empty()).then(|| "apt".to_owned()));
        does.extend((!spec.copy.is_empty()).then(|| "copy".to_owned()));
        does.extend((!spec.commands.is_empty()).then(|| "run".to_owned()));
        does.join(" ")
    }
    let (mut next, remaining) = EnvironmentStage::of(chain);
    let mut environments = Vec::new();
    while let Some(environment) = next {
        environments.insert(0, environment.steps.iter().map(step).collect());
        next = environment.start.map(|start| *start);
    }
    (environments, remaining.iter().map(step).collect())
}

#[test]
fn copies_alone_need_no_environment() {
    let chain = chain("[package.metadata.union.images.last]\ncopy = ['f']\nworkdir = '/w'\n");
    assert_eq!(shown(&chain), (Vec::new(), vec!["last copy".to_owned()]));
}

#[test]
fn copies_without_later_commands_are_left_to_the_native_builder() {
    let with = |more: &str| {
        chain(&format!(
            "[package.metadata.union.images.last]\napt-packages = ['a']\ncopy = ['f']\nworkdir = '/w'\n{more}"
        ))
    };
    assert_eq!(
        shown(&with("")),
        (
            vec![vec!["last apt".to_owned()]],
            vec!["last copy".to_owned()]
        )
    );
    assert_eq!(
        shown(&with("commands = ['x']")),
        (vec![vec!["last apt copy run".to_owned()]], Vec::new())
    );
}

#[test]
fn extended_environment_is_a_separate_stage() {
    let chain = chain(
        "[package.metadata.union.images.gpu]\napt-packages = ['a']\ncopy = ['f']\nworkdir = '/w'\n\
         [package.metadata.union.images.middle]\nextends = 'gpu'\nenv = { A = 'b' }\n\
         [package.metadata.union.images.last]\nextends = 'middle'\ncommands = ['x']\n",
    );
    let (environments, remaining) = shown(&chain);
    assert_eq!(
        environments,
        [vec!["gpu apt"], vec!["gpu copy", "middle", "last run"]]
    );
    assert_eq!(remaining, [""; 0]);
}

#[test]
fn remote_image_has_no_environment() {
    let chain = chain(
        "[package.metadata.union.images.last]\nbuilder = 'remote'\npip-packages = ['a']\ncommands = ['x']\n",
    );
    assert_eq!(shown(&chain), (Vec::new(), vec!["last run".to_owned()]));
    assert!(tools(chain.iter()).is_empty());
}

#[test]
fn builder_docker_builds_copies_in_the_environment() {
    let chain = chain(
        "[package.metadata.union.images.last]\nbuilder = 'docker'\ncopy = ['f']\nworkdir = '/w'\n",
    );
    assert_eq!(
        shown(&chain),
        (vec![vec!["last copy".to_owned()]], Vec::new())
    );
}
