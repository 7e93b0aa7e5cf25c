//! What a choice of a compile backend is made from.

use std::sync::Arc;

use crate::build::docker::DockerBuilder;
use crate::pipeline::Reporter;
use crate::pipeline::context::LoadedWorkspace;
use crate::pipeline::options::BuildOptions;
use crate::workspace::Snapshot;

/// What a choice is made from.
pub(crate) struct CompileSelector<'a> {
    pub(crate) work: &'a BuildOptions,
    pub(crate) session: &'a LoadedWorkspace,
    pub(crate) snapshot: &'a Snapshot<'a>,
    pub(crate) builder: Arc<DockerBuilder>,
    pub(crate) reporter: &'a Arc<dyn Reporter>,
}
