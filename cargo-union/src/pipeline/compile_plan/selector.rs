//! The data from which [`CompilePlan`](super::CompilePlan) is selected.

use std::sync::Arc;

use crate::build::docker::DockerBuilder;
use crate::pipeline::context::PackageContext;

/// Selects the compile backends of a package.
pub(crate) struct CompileSelector<'a> {
    pub(crate) context: &'a PackageContext<'a>,
    pub(crate) builder: Arc<DockerBuilder>,
}
