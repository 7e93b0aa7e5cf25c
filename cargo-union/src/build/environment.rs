//! Environments in which something has to run: what of a chain of specs an engine has to make.
//!
//! An environment belongs to the spec that asks for it, and is shared by everything that extends it:
//! `gpu`'s packages are installed once, whoever starts from `gpu`. Copies that nothing runs after are
//! left to the native builder, so that a changed model file installs nothing again.

use std::collections::BTreeSet;

use union_build::spec::{self, BuilderChoice, Python};

use super::chain::ImageChain;

/// What an engine has to make for one spec.
#[derive(Clone, Debug)]
pub struct EnvironmentStage {
    /// The environment that this one starts from; `None` is the base.
    pub start: Option<Box<EnvironmentStage>>,
    /// What is added to it, in order; the last one is the spec that it belongs to.
    pub steps: ImageChain,
}

impl EnvironmentStage {
    /// The environment that a chain of specs needs, and what of the chain is left for the native
    /// builder. Without anything to run there is none, and the whole chain is left.
    pub fn of(chain: &ImageChain) -> (Option<Self>, Vec<spec::Image>) {
        let (mut stage, mut pending) = (None, Vec::new());
        for spec in chain.iter() {
            if !needs_an_engine(spec) {
                pending.push(spec.clone());
                continue;
            }
            let (own, later) = split(spec);
            let steps = ImageChain::new(std::mem::take(&mut pending), own);
            stage = Some(Self { start: stage.map(Box::new), steps });
            pending.extend(later);
        }
        (stage, pending)
    }

    /// The images with tools that its own steps need, as typed.
    pub fn tools(&self) -> BTreeSet<&str> {
        tools(self.steps.iter())
    }

    /// The spec that it belongs to.
    pub fn spec(&self) -> &spec::Image {
        self.steps.own()
    }

    /// Everything that it holds above the base, in order.
    pub fn all_steps(&self) -> ImageChain {
        let below = self.start.as_ref().map_or_else(Vec::new, |start| start.all_steps().to_vec());
        ImageChain::new(below.into_iter().chain(self.steps.ancestors().iter().cloned()).collect(), self.steps.own().clone())
    }
}

/// The images with tools that specs need, as typed.
pub fn tools<'a>(specs: impl IntoIterator<Item = &'a spec::Image>) -> BTreeSet<&'a str> {
    let mut tools = BTreeSet::new();
    for spec in specs.into_iter().filter(|spec| !is_remote(spec)) {
        tools.extend(spec.python.needs_micromamba().then(|| spec.builder_config.micromamba()));
        tools.extend(spec.python.needs_uv().then(|| spec.builder_config.uv()));
    }
    tools
}

fn needs_an_engine(spec: &spec::Image) -> bool {
    !is_remote(spec) && (spec.builder.value == BuilderChoice::Docker || !spec.needs_to_run().is_empty())
}

/// Whether the backend makes it, and no engine of ours.
pub fn is_remote(spec: &spec::Image) -> bool {
    spec.builder.value == BuilderChoice::Remote
}

/// A spec as the engine makes it, and its copies when they can come after that.
fn split(spec: &spec::Image) -> (spec::Image, Option<spec::Image>) {
    if spec.copy.is_empty() || !spec.commands.is_empty() || spec.needs_to_run().is_empty() {
        return (spec.clone(), None);
    }
    let own = spec::Image { copy: Vec::new(), ..spec.clone() };
    (own, Some(spec::Image { copy: spec.copy.clone(), ..without_steps(spec) }))
}

/// A spec that makes nothing.
pub(super) fn without_steps(spec: &spec::Image) -> spec::Image {
    let settings = spec.clone();
    spec::Image {
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
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("f"), "").unwrap();
        let file = SourceFile::new(folder.path().join("Cargo.toml"), format!("[package]\nname = 'a'\n{images}"));
        let facts = PackageInfo {
            package: "a".to_owned(),
            folder: folder.path().to_owned(),
            workspace_root: folder.path().to_owned(),
            ..PackageInfo::default()
        };
        let (spec, problems, _) = load(None, &file, &Overrides::new(folder.path()), &facts);
        let images = spec.unwrap_or_else(|| panic!("{problems:?}")).images;
        ImageChain::resolve(&images, &images["last"])
    }

    /// What is made, from the base up: each environment as its steps, each step as what it does.
    fn shown(chain: &ImageChain) -> (Vec<Vec<String>>, Vec<String>) {
        fn step(spec: &spec::Image) -> String {
            let mut does = vec![spec.key.clone()];
            does.extend((!spec.apt_packages.is_empty()).then(|| "apt".to_owned()));
            does.extend((!spec.copy.is_empty()).then(|| "copy".to_owned()));
            does.extend((!spec.commands.is_empty()).then(|| "run".to_owned()));
            does.join(" ")
        }
        let (environment, left) = EnvironmentStage::of(chain);
        let (mut made, mut next) = (Vec::new(), environment);
        while let Some(environment) = next {
            made.insert(0, environment.steps.iter().map(step).collect());
            next = environment.start.map(|start| *start);
        }
        (made, left.iter().map(step).collect())
    }

    #[test]
    fn without_anything_to_run_no_engine_makes_anything() {
        let chain = chain("[package.metadata.union.images.last]\ncopy = ['f']\nworkdir = '/w'\n");
        assert_eq!(shown(&chain), (Vec::new(), vec!["last copy".to_owned()]));
    }

    #[test]
    fn copies_that_nothing_runs_after_are_left() {
        let with = |more: &str| {
            chain(&format!("[package.metadata.union.images.last]\napt-packages = ['a']\ncopy = ['f']\nworkdir = '/w'\n{more}"))
        };
        assert_eq!(shown(&with("")), (vec![vec!["last apt".to_owned()]], vec!["last copy".to_owned()]));
        assert_eq!(shown(&with("commands = ['x']")), (vec![vec!["last apt copy run".to_owned()]], Vec::new()));
    }

    #[test]
    fn what_is_extended_is_made_once_and_built_upon() {
        let chain = chain(
            "[package.metadata.union.images.gpu]\napt-packages = ['a']\ncopy = ['f']\nworkdir = '/w'\n\
             [package.metadata.union.images.middle]\nextends = 'gpu'\nenv = { A = 'b' }\n\
             [package.metadata.union.images.last]\nextends = 'middle'\ncommands = ['x']\n",
        );
        let (made, left) = shown(&chain);
        assert_eq!(made, [vec!["gpu apt"], vec!["gpu copy", "middle", "last run"]]);
        assert_eq!(left, [""; 0]);
    }

    #[test]
    fn what_the_backend_makes_is_left_whole() {
        let chain = chain("[package.metadata.union.images.last]\nbuilder = 'remote'\npip-packages = ['a']\ncommands = ['x']\n");
        assert_eq!(shown(&chain), (Vec::new(), vec!["last run".to_owned()]));
        assert!(tools(chain.iter()).is_empty());
    }

    #[test]
    fn whoever_asks_for_docker_gets_everything_from_it() {
        let chain = chain("[package.metadata.union.images.last]\nbuilder = 'docker'\ncopy = ['f']\nworkdir = '/w'\n");
        assert_eq!(shown(&chain), (vec![vec!["last copy".to_owned()]], Vec::new()));
    }
}
