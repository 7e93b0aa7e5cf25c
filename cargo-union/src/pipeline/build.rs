//! A build in one call: snapshot, plan, execution.

use std::sync::Arc;

use super::context::LoadedWorkspace;
use super::execute::execute;
use super::names;
use super::outcome::PackageOutcome;
use super::plan::BuildPlan;
use crate::pipeline::Reporter;
use crate::pipeline::options::BuildOptions;
use crate::pipeline::problems::Result;
use crate::workspace::Snapshot;

/// Builds and publishes the missing images of the chosen tasks. The outcome has all of their images.
///
/// # Errors
/// Those of [`BuildPlan::compute`] and [`execute`].
pub(crate) async fn build_images(
    options: &BuildOptions,
    session: &LoadedWorkspace,
    reporter: &Arc<dyn Reporter>,
) -> Result<Vec<PackageOutcome>> {
    let options = &names::with_task_keys(options, session)?;
    let snapshot = Snapshot::take(
        &options.scope.cargo,
        &session.workspace,
        &options.scope.cache,
        &**reporter,
    )
    .await?;
    let plan = BuildPlan::compute(options, session, &snapshot, reporter).await?;
    execute(options, session, &snapshot, plan, reporter).await
}
