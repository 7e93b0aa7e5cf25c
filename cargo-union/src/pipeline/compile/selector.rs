//! What a choice of a compile backend is made from.

use std::sync::Arc;

use crate::build::docker::DockerBuilder;
use crate::pipeline::context::PackageContext;

/// What a choice is made from.
pub(crate) struct CompileSelector<'a> {
    pub(crate) package: &'a PackageContext<'a>,
    pub(crate) builder: Arc<DockerBuilder>,
}
