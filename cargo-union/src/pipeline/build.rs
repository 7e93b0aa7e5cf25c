//! A build in one call: snapshot, plan, execution.

use std::sync::Arc;

use super::context::LoadedWorkspace;
use super::execute::execute;
use super::outcome::PackageOutcome;
use super::plan::BuildPlan;
use super::{names, sbom};
use crate::pipeline::Reporter;
use crate::pipeline::options::BuildOptions;
use crate::pipeline::problems::Result;
use crate::workspace::Snapshot;

/// Builds and publishes the missing images of the chosen tasks. The outcome has all of their images.
///
/// # Errors
/// Those of [`BuildPlan::compute`] and [`execute`]; `UsageInvalid` and `FileUnwritable` for the files of `--sbom`.
pub(crate) async fn build_images(
    options: &BuildOptions,
    session: &LoadedWorkspace,
    reporter: &Arc<dyn Reporter>,
) -> Result<Vec<PackageOutcome>> {
    let mut options = names::with_task_keys(options, session)?;
    if let Some(file) = &options.sbom {
        let files = sbom::possible_files(file, session)?;
        options.scope.cargo.written.extend(files);
    }
    let options = &options;
    let snapshot = Snapshot::take(
        &options.scope.cargo,
        &session.workspace,
        &options.scope.cache,
        &**reporter,
    )
    .await?;
    let plan = BuildPlan::compute(options, session, &snapshot, reporter).await?;
    if let Some(file) = &options.sbom {
        sbom::check_files(file, &plan)?;
    }
    let outcomes = execute(options, session, &snapshot, plan, reporter).await?;
    if let Some(file) = &options.sbom {
        sbom::write(file, options, session, &snapshot, &outcomes, reporter).await?;
    }
    Ok(outcomes)
}
