//! Environments: the part of a chain of specs that an engine has to build.
//!
//! An environment belongs to the spec that needs it, and all images that extend this spec share it: the packages
//! of `gpu` are installed once for every image that extends `gpu`. Copies that no command runs after are left to
//! the native builder, so that a changed model file does not install anything again.

use std::collections::BTreeSet;

use union_build::spec::{self, BuilderChoice, Python};

/// What an engine has to build for one spec.
#[derive(Clone, Debug)]
pub struct EnvironmentStage {
    /// The environment that this one starts from; `None` is the base.
    pub start: Option<Box<EnvironmentStage>>,
    /// What is built on top of it, in order; the last one is the spec that it belongs to.
    pub steps: Vec<spec::Image>,
}

impl EnvironmentStage {
    /// Splits a chain of specs into the environment that it needs, if it needs one, and the specs that remain for
    /// the native builder.
    pub fn of(chain: &[spec::Image]) -> (Option<Self>, Vec<spec::Image>) {
        let Some(last) = chain.iter().rposition(needs_an_engine) else { return (None, chain.to_vec()) };
        let (start, mut steps) = Self::of(&chain[..last]);
        let (own, trailing_copies) = split_trailing_copies(&chain[last]);
        steps.push(own);
        let remaining = trailing_copies.into_iter().chain(chain[last + 1..].iter().cloned()).collect();
        (Some(Self { start: start.map(Box::new), steps }), remaining)
    }

    /// References of the tool images that its own steps need, as written in the manifest.
    pub fn tools(&self) -> BTreeSet<&str> {
        tools(&self.steps)
    }

    /// The spec that the environment belongs to.
    pub fn spec(&self) -> &spec::Image {
        self.steps.last().expect("an environment has the step that asked for it")
    }

    /// All steps between the base and the complete environment, in order.
    pub fn all_steps(&self) -> Vec<spec::Image> {
        let below = self.start.as_ref().map_or_else(Vec::new, |start| start.all_steps());
        below.into_iter().chain(self.steps.iter().cloned()).collect()
    }
}

/// References of the tool images (micromamba, uv) that specs need, as written in the manifest.
pub fn tools(specs: &[spec::Image]) -> BTreeSet<&str> {
    let mut tools = BTreeSet::new();
    for spec in specs.iter().filter(|spec| !is_remote(spec)) {
        tools.extend(spec.python.needs_micromamba().then(|| spec.builder_config.micromamba()));
        tools.extend(spec.python.needs_uv().then(|| spec.builder_config.uv()));
    }
    tools
}

fn needs_an_engine(spec: &spec::Image) -> bool {
    !is_remote(spec) && (spec.builder.value == BuilderChoice::Docker || !spec.needs_to_run().is_empty())
}

/// Whether the backend builds the image, not a local engine.
pub fn is_remote(spec: &spec::Image) -> bool {
    spec.builder.value == BuilderChoice::Remote
}

/// Splits a spec into what the engine builds, and its copies if they can follow afterwards.
fn split_trailing_copies(spec: &spec::Image) -> (spec::Image, Option<spec::Image>) {
    if spec.copy.is_empty() || !spec.commands.is_empty() || spec.needs_to_run().is_empty() {
        return (spec.clone(), None);
    }
    let own = spec::Image { copy: Vec::new(), ..spec.clone() };
    (own, Some(spec::Image { copy: spec.copy.clone(), ..without_steps(spec) }))
}

/// The spec without anything to build.
pub(super) fn without_steps(spec: &spec::Image) -> spec::Image {
    spec::Image {
        apt_packages: Vec::new(),
        copy: Vec::new(),
        commands: Vec::new(),
        python: Python::default(),
        dockerfile: None,
        secrets: Vec::new(),
        build_ca: None,
        builder_options: spec::BuilderOptions::default(),
        builder_config: spec::BuilderConfig::default(),
        ..spec.clone()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use union_build::diag::SourceFile;
    use union_build::spec::{Base, Overrides, PackageInfo, load};

    use super::*;

    /// The chain of the image `last`, of a package with these images and a file `f` to copy.
    fn chain(images: &str) -> Vec<spec::Image> {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("f"), "").unwrap();
        let file = SourceFile::new(directory.path().join("Cargo.toml"), format!("[package]\nname = 'a'\n{images}"));
        let facts = PackageInfo {
            package: "a".to_owned(),
            folder: directory.path().to_owned(),
            workspace_root: directory.path().to_owned(),
            ..PackageInfo::default()
        };
        let (spec, problems, _) = load(None, &file, &Overrides::new(directory.path()), &facts);
        let images = spec.unwrap_or_else(|| panic!("{problems:?}")).images;
        let mut chain = vec![images["last"].clone()];
        while let Base::Extends(below) = &chain[0].base {
            chain.insert(0, images[&below.value].clone());
        }
        chain
    }

    /// The environments of a chain, the base's first, each as its steps; and the remaining specs.
    fn shown(chain: &[spec::Image]) -> (Vec<Vec<String>>, Vec<String>) {
        fn step(spec: &spec::Image) -> String {
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
            chain(&format!("[package.metadata.union.images.last]\napt-packages = ['a']\ncopy = ['f']\nworkdir = '/w'\n{more}"))
        };
        assert_eq!(shown(&with("")), (vec![vec!["last apt".to_owned()]], vec!["last copy".to_owned()]));
        assert_eq!(shown(&with("commands = ['x']")), (vec![vec!["last apt copy run".to_owned()]], Vec::new()));
    }

    #[test]
    fn an_extended_environment_is_a_stage_of_its_own() {
        let chain = chain(
            "[package.metadata.union.images.gpu]\napt-packages = ['a']\ncopy = ['f']\nworkdir = '/w'\n\
             [package.metadata.union.images.middle]\nextends = 'gpu'\nenv = { A = 'b' }\n\
             [package.metadata.union.images.last]\nextends = 'middle'\ncommands = ['x']\n",
        );
        let (environments, remaining) = shown(&chain);
        assert_eq!(environments, [vec!["gpu apt"], vec!["gpu copy", "middle", "last run"]]);
        assert_eq!(remaining, [""; 0]);
    }

    #[test]
    fn a_remote_image_has_no_environment() {
        let chain = chain("[package.metadata.union.images.last]\nbuilder = 'remote'\npip-packages = ['a']\ncommands = ['x']\n");
        assert_eq!(shown(&chain), (Vec::new(), vec!["last run".to_owned()]));
        assert!(tools(&chain).is_empty());
    }

    #[test]
    fn builder_docker_builds_copies_in_the_environment() {
        let chain = chain("[package.metadata.union.images.last]\nbuilder = 'docker'\ncopy = ['f']\nworkdir = '/w'\n");
        assert_eq!(shown(&chain), (vec![vec!["last copy".to_owned()]], Vec::new()));
    }
}
