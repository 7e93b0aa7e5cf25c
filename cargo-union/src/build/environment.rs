//! Environments: the part of a chain of specs that an engine has to build.
//!
//! An environment belongs to the spec that needs it, and all images that extend this spec share it: the packages of
//! `gpu` are installed once for every image that extends `gpu`. Copies that no later command can read are left to the
//! native builder, so that a changed model file does not install anything again.

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

/// Splits a spec into the part that the engine builds, and its copies if they can be added afterwards.
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
mod tests;
