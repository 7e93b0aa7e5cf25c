//! Environments that an engine has to make, each with a key of its own.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Result;
use union_build::key::{Inputs, Key};
use union_build::spec;

use super::ResolveContext;
use crate::build::environment::{self, tools};
use crate::build::inputs::{EnvironmentSettings, environment_inputs};
use crate::build::{ImageChain, LockedBase, MeasuredFiles, SourceRoots};
use crate::image::per_platform::PerPlatform;
use crate::image::platform::Platform;
use crate::pipeline::context::UnionPackage;
use crate::pipeline::resolve::bases;
use crate::sys::digest::Digest;
use crate::workspace::{Snapshot, UnionLock, Workspace};

/// An environment that an engine has to make, and those that it starts from.
#[derive(Clone, Debug)]
pub(crate) struct EnvironmentPlan {
    /// The environment that it starts from; `None` is the base.
    pub(crate) start: Option<Box<EnvironmentPlan>>,
    /// What is added to it; the last one is the spec that it belongs to.
    pub(crate) steps: ImageChain,
    /// Its key.
    pub(crate) key: Key,
    /// Images with tools that its steps need.
    pub(crate) tools: PerPlatform<BTreeMap<String, LockedBase>>,
}

impl EnvironmentPlan {
    /// Its tag: in a registry it stands beside the images that start from it.
    pub(crate) fn tag(&self) -> String {
        format!("env-{}", self.key.spec_hash())
    }

    /// The spec that it belongs to.
    pub(crate) fn spec(&self) -> &spec::Image {
        self.steps.own()
    }
}

/// What environments are made upon.
#[derive(Clone, Debug)]
pub(super) struct EnvironmentInputs {
    /// Where the files of the package's images come from.
    pub(crate) roots: SourceRoots,
    /// The base's digest for each platform.
    pub(super) bases: PerPlatform<Option<Digest>>,
    /// Images with tools.
    tools: PerPlatform<BTreeMap<String, LockedBase>>,
    /// Generations in Union.lock by spec.
    generations: BTreeMap<String, u32>,
    /// Whether the binaries upon it are checked.
    pub(super) checks: bool,
    /// What the files of the workspace held when the keys were made.
    pub(super) files: Arc<MeasuredFiles>,
    /// Which time the files of layers get, when that is not 1970.
    epoch: Option<String>,
}

impl EnvironmentInputs {
    /// The inputs of what some specs make of files.
    pub(super) fn inputs(&self, steps: &ImageChain, files: &MeasuredFiles) -> Result<Inputs> {
        let needed = tools(steps.iter());
        let tools = self.tools.map(|_, tools| {
            let digests = tools.iter().filter(|(reference, _)| needed.contains(reference.as_str()));
            digests.map(|(reference, tool)| (reference.clone(), tool.digest)).collect()
        });
        let generations: Vec<u32> = steps.iter().map(|spec| self.generations[&spec.key]).collect();
        let mut inputs = environment_inputs(&EnvironmentSettings {
            chain: steps,
            bases: &self.bases,
            tools: &tools,
            generations: &generations,
            roots: &self.roots,
            files,
        })?;
        if let Some(epoch) = &self.epoch {
            inputs.insert("SOURCE_DATE_EPOCH", epoch.as_str());
        }
        Ok(inputs)
    }

    pub(super) fn made(&self, environment: environment::EnvironmentStage) -> Result<EnvironmentPlan> {
        let key = self.inputs(&environment.all_steps(), &self.files)?.key("environment");
        let needed = environment.tools();
        let tools = self.tools.map(|_, tools| {
            let needed = tools.iter().filter(|(reference, _)| needed.contains(reference.as_str()));
            needed.map(|(reference, tool)| (reference.clone(), tool.clone())).collect()
        });
        let start = environment.start.map(|start| self.made(*start)).transpose()?.map(Box::new);
        Ok(EnvironmentPlan { start, steps: environment.steps, key, tools })
    }
}

/// Looks up what the environments of a chain are made upon. Images with tools are locked as bases are.
pub(super) async fn ground(
    (declared, workspace): (&UnionPackage, &Workspace),
    chain: &ImageChain,
    bases: &PerPlatform<Option<LockedBase>>,
    snapshot: &Snapshot<'_>,
    lock: &mut UnionLock,
    ask: &ResolveContext<'_>,
    files: Arc<MeasuredFiles>,
) -> Result<EnvironmentInputs> {
    let platforms: Vec<Platform> = bases.platforms().cloned().collect();
    let mut locked_tools = BTreeMap::new();
    for reference in tools(chain.iter()) {
        locked_tools.insert(reference, bases::locked(reference, &platforms, lock, &**ask.source, ask.policy).await?);
    }
    let tools_for = |platform: &Platform| {
        let tools = locked_tools.iter();
        tools.filter_map(|(reference, tool)| Some(((*reference).to_owned(), tool.get(platform)?.clone()?))).collect()
    };
    let generation = |spec: &spec::Image| (spec.key.clone(), lock.generation(&declared.package.name, &spec.key));
    Ok(EnvironmentInputs {
        roots: declared.roots(workspace),
        bases: bases.map(|_, base| base.as_ref().map(|base| base.digest)),
        tools: bases.map(|platform, _| tools_for(platform)),
        generations: chain.iter().map(generation).collect(),
        checks: ask.checks,
        files,
        epoch: snapshot.source_date_epoch().map(str::to_owned),
    })
}
