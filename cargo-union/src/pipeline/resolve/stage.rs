//! The plans and content keys of environments, which an engine builds.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use union_build::key::{Inputs, Key};
use union_build::spec;

use super::ResolveContext;
use crate::build::environment::{self, tools};
use crate::build::inputs::{EnvironmentSettings, environment_inputs};
use crate::build::{ImageChain, LockedBase, MeasuredFiles, SourceRoots};
use crate::image::per_platform::PerPlatform;
use crate::image::platform::Platform;
use crate::pipeline::context::UnionPackage;
use crate::pipeline::problems::Result;
use crate::pipeline::resolve::bases;
use crate::sys::digest::Digest;
use crate::workspace::{Snapshot, UnionLock, Workspace};

/// An environment that an engine has to build, with the environments that it starts from.
#[derive(Clone, Debug)]
pub(crate) struct EnvironmentPlan {
    /// The environment that it starts from; `None` is the base of the chain.
    pub(crate) start: Option<Box<EnvironmentPlan>>,
    /// The specs whose steps are added; the last one is the spec that the environment belongs to.
    pub(crate) steps: ImageChain,
    pub(crate) key: Key,
    /// Images with the tools that its steps need, such as uv, by reference.
    pub(crate) tools: PerPlatform<BTreeMap<String, LockedBase>>,
}

impl EnvironmentPlan {
    /// `env-<hash>`, in the repository of the image that the environment belongs to.
    pub(crate) fn tag(&self) -> String {
        format!("env-{}", self.key.spec_hash())
    }

    /// The spec that the environment belongs to.
    pub(crate) fn spec(&self) -> &spec::ImageSpec {
        self.steps.own()
    }
}

/// The inputs of environments that are not in the specs of their chain.
#[derive(Clone, Debug)]
pub(super) struct EnvironmentInputs {
    /// The directories from which files are copied into the images of the package.
    pub(crate) roots: SourceRoots,
    /// The digest of the base; `None` is scratch or a Dockerfile.
    pub(super) bases: PerPlatform<Option<Digest>>,
    /// Images with tools, by reference.
    tools: PerPlatform<BTreeMap<String, LockedBase>>,
    /// Generations in Union.lock, by spec. `cargo union update` raises them.
    generations: BTreeMap<String, u32>,
    /// Whether binaries are checked against the libraries of their image.
    pub(super) checks: bool,
    /// The content of the copied files at the time when the keys were computed.
    pub(super) files: Arc<MeasuredFiles>,
    /// `SOURCE_DATE_EPOCH`, if it is set: the timestamp of files in layers.
    epoch: Option<String>,
}

impl EnvironmentInputs {
    /// The inputs of the steps of some specs.
    pub(super) fn inputs(&self, steps: &ImageChain, files: &MeasuredFiles) -> Result<Inputs> {
        let tools = self.tools_of(&tools(steps.iter())).map(|_, tools| {
            let digests = tools
                .iter()
                .map(|(reference, tool)| (reference.clone(), tool.digest));
            digests.collect()
        });
        let generations: Vec<u32> = steps
            .iter()
            .map(|spec| self.generations[&spec.key])
            .collect();
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

    /// The plan of a stage and of the stages that it starts from.
    pub(super) fn plan_stage(
        &self,
        stage: environment::EnvironmentStage,
    ) -> Result<EnvironmentPlan> {
        let key = self
            .inputs(&stage.all_steps(), &self.files)?
            .key("environment");
        let tools = self.tools_of(&stage.tools());
        let start = stage
            .start
            .map(|start| self.plan_stage(*start))
            .transpose()?
            .map(Box::new);
        Ok(EnvironmentPlan {
            start,
            steps: stage.steps,
            key,
            tools,
        })
    }

    fn tools_of(&self, references: &BTreeSet<&str>) -> PerPlatform<BTreeMap<String, LockedBase>> {
        self.tools.map(|_, tools| {
            let needed = tools
                .iter()
                .filter(|(reference, _)| references.contains(reference.as_str()));
            needed
                .map(|(reference, tool)| (reference.clone(), tool.clone()))
                .collect()
        })
    }
}

/// Collects the inputs of the environments of a chain. Images with tools are locked like bases.
pub(super) async fn resolve_environment_inputs(
    (package, workspace): (&UnionPackage, &Workspace),
    chain: &ImageChain,
    bases: &PerPlatform<Option<LockedBase>>,
    snapshot: &Snapshot<'_>,
    lock: &mut UnionLock,
    context: &ResolveContext<'_>,
    files: Arc<MeasuredFiles>,
) -> Result<EnvironmentInputs> {
    let platforms: Vec<Platform> = bases.platforms().cloned().collect();
    let mut locked_tools = BTreeMap::new();
    for reference in tools(chain.iter()) {
        locked_tools.insert(
            reference,
            bases::locked(
                reference,
                &platforms,
                lock,
                &**context.source,
                context.policy,
            )
            .await?,
        );
    }
    let tools_for = |platform: &Platform| {
        let tools = locked_tools.iter();
        tools
            .filter_map(|(reference, tool)| {
                Some(((*reference).to_owned(), tool.get(platform)?.clone()?))
            })
            .collect()
    };
    let generation =
        |spec: &spec::ImageSpec| (spec.key.clone(), lock.generation(package.name(), &spec.key));
    Ok(EnvironmentInputs {
        roots: package.roots(workspace),
        bases: bases.map(|_, base| base.as_ref().map(|base| base.digest)),
        tools: bases.map(|platform, _| tools_for(platform)),
        generations: chain.iter().map(generation).collect(),
        checks: context.checks,
        files,
        epoch: snapshot.source_date_epoch().map(str::to_owned),
    })
}
