//! Environments: the part of a chain of specs that an engine has to build.
//!
//! An environment belongs to the spec that needs it, and all images that extend this spec share it: the packages
//! of `gpu` are installed once for every image that extends `gpu`. Copies that no command runs after are left to
//! the native builder, so that a changed model file does not install anything again.

use std::collections::BTreeSet;

use union_build::spec::{self, BuilderChoice, Python};

use super::chain::ImageChain;

/// What an engine has to build for one spec.
#[derive(Clone, Debug)]
pub struct EnvironmentStage {
    /// The environment that this one starts from; `None` is the base.
    pub start: Option<Box<EnvironmentStage>>,
    /// What is added to it, in order; the last one is the spec that it belongs to.
    pub steps: ImageChain,
}

impl EnvironmentStage {
    /// Splits a chain of specs into the environment that it needs, if it needs one, and the specs that remain for
    /// the native builder.
    pub fn of(chain: &ImageChain) -> (Option<Self>, Vec<spec::ImageSpec>) {
        let mut stage = None;
        let mut pending = Vec::new();
        for spec in chain.iter() {
            if !needs_an_engine(spec) {
                pending.push(spec.clone());
                continue;
            }
            let (own, trailing_copies) = split_trailing_copies(spec);
            let steps = ImageChain::new(std::mem::take(&mut pending), own);
            stage = Some(Self {
                start: stage.map(Box::new),
                steps,
            });
            pending.extend(trailing_copies);
        }
        (stage, pending)
    }

    /// References of the tool images that its own steps need, as written in the manifest.
    pub fn tools(&self) -> BTreeSet<&str> {
        tools(self.steps.iter())
    }

    /// The spec that the environment belongs to.
    pub fn spec(&self) -> &spec::ImageSpec {
        self.steps.own()
    }

    /// All steps between the base and the complete environment, in order.
    pub fn all_steps(&self) -> ImageChain {
        let below = self
            .start
            .as_ref()
            .map_or_else(Vec::new, |start| start.all_steps().to_vec());
        ImageChain::new(
            below
                .into_iter()
                .chain(self.steps.ancestors().iter().cloned())
                .collect(),
            self.steps.own().clone(),
        )
    }
}

/// References of the tool images (micromamba, uv) that specs need, as written in the manifest.
pub fn tools<'a>(specs: impl IntoIterator<Item = &'a spec::ImageSpec>) -> BTreeSet<&'a str> {
    let mut tools = BTreeSet::new();
    for spec in specs.into_iter().filter(|spec| !spec.is_remote()) {
        tools.extend(
            spec.python
                .needs_micromamba()
                .then(|| spec.builder_config.micromamba()),
        );
        tools.extend(spec.python.needs_uv().then(|| spec.builder_config.uv()));
    }
    tools
}

fn needs_an_engine(spec: &spec::ImageSpec) -> bool {
    !spec.is_remote()
        && (spec.builder.value == BuilderChoice::Docker || !spec.needs_to_run().is_empty())
}

/// Splits a spec into what the engine builds, and its copies if they can follow afterwards.
fn split_trailing_copies(spec: &spec::ImageSpec) -> (spec::ImageSpec, Option<spec::ImageSpec>) {
    if spec.copy.is_empty() || !spec.commands.is_empty() || spec.needs_to_run().is_empty() {
        return (spec.clone(), None);
    }
    let own = spec::ImageSpec {
        copy: Vec::new(),
        ..spec.clone()
    };
    (
        own,
        Some(spec::ImageSpec {
            copy: spec.copy.clone(),
            ..without_steps(spec)
        }),
    )
}

/// The spec without anything to build.
pub(super) fn without_steps(spec: &spec::ImageSpec) -> spec::ImageSpec {
    let settings = spec.clone();
    spec::ImageSpec {
        apt_packages: Vec::new(),
        copy: Vec::new(),
        commands: Vec::new(),
        requirements: settings.requirements,
        python: Python::default(),
        dockerfile: None,
        secrets: Vec::new(),
        build_ca: None,
        builder_options: spec::BuilderOptions::default(),
        builder_config: spec::BuilderConfig::default(),
        key: settings.key,
        origin: settings.origin,
        name: settings.name,
        registry: settings.registry,
        tag_format: settings.tag_format,
        builder: settings.builder,
        base: settings.base,
        platforms: settings.platforms,
        build: settings.build,
        cuda: settings.cuda,
        cudnn: settings.cudnn,
        env: settings.env,
        entrypoint: settings.entrypoint,
        user: settings.user,
        workdir: settings.workdir,
        labels: settings.labels,
        annotations: settings.annotations,
        ca_certificates: settings.ca_certificates,
        runtime_libs: settings.runtime_libs,
        compression: settings.compression,
        launcher: settings.launcher,
        auditable: settings.auditable,
        inputs: settings.inputs,
        exclude: settings.exclude,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
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
}
