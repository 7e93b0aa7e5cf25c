//! Groups packages that one call of cargo can compile without a change of their code.
//!
//! cargo unifies the features of a dependency over all packages of a call. The features of each package alone are
//! determined before the compile, and compared with those that cargo used after it.

use std::collections::BTreeSet;

use futures_util::stream::{self, StreamExt as _};

use super::CompileJob;
use crate::pipeline::context::PackageContext;
use crate::workspace::{CompileBackend, Features};

/// Packages that one call of cargo compiles.
pub(super) struct CompileBatch<'a> {
    pub(super) jobs: Vec<CompileJob<'a>>,
    /// The features that cargo is expected to use; `None` for a single package.
    pub(super) features: Option<Features>,
}

impl<'a> CompileBatch<'a> {
    pub(super) fn of_single_job(job: CompileJob<'a>) -> Self {
        Self {
            jobs: vec![job],
            features: None,
        }
    }

    fn accepts(&self, job: &CompileJob<'_>, features: &Features) -> bool {
        let Some(expected) = &self.features else {
            return false;
        };
        let binaries: BTreeSet<&String> =
            self.jobs.iter().flat_map(|other| &other.binaries).collect();
        let has_same_settings = self.jobs.first().is_some_and(|first| {
            (first.settings, first.target, &first.choice().method)
                == (job.settings, job.target, &job.choice().method)
        });
        has_same_settings
            && job.binaries.iter().all(|name| !binaries.contains(name))
            && expected.agree(features)
    }
}

/// Groups jobs into batches, in order. A job that cannot be grouped is a separate batch.
pub(super) async fn group_jobs(jobs: Vec<CompileJob<'_>>) -> Vec<CompileBatch<'_>> {
    let mut batches: Vec<CompileBatch<'_>> = Vec::new();
    let is_single = jobs.len() < 2;
    let resolving = jobs.into_iter().map(|job| async {
        let features = if is_single {
            None
        } else {
            features_alone(&job).await
        };
        (job, features)
    });
    let with_features: Vec<_> = stream::iter(resolving)
        .buffered(std::thread::available_parallelism().map_or(1, Into::into))
        .collect()
        .await;
    for (job, features) in with_features {
        let Some(features) = features else {
            batches.push(CompileBatch::of_single_job(job));
            continue;
        };
        match batches
            .iter_mut()
            .find(|batch| batch.accepts(&job, &features))
        {
            Some(batch) => {
                batch.jobs.push(job);
                if let Some(expected) = &mut batch.features {
                    expected.extend(&features);
                }
            }
            None => batches.push(CompileBatch {
                jobs: vec![job],
                features: Some(features),
            }),
        }
    }
    batches
        .iter_mut()
        .filter(|batch| batch.jobs.len() == 1)
        .for_each(|batch| batch.features = None);
    batches
}

/// The features of a package that is compiled alone. `None` if it cannot share a call: `--features` would apply to the
/// other packages too, and a container belongs to one package.
async fn features_alone(job: &CompileJob<'_>) -> Option<Features> {
    let is_in_container = matches!(job.choice().method, CompileBackend::Container(_));
    if is_in_container || !job.settings.features.is_empty() {
        return None;
    }
    let PackageContext {
        options,
        snapshot,
        package,
        ..
    } = &job.build.context;
    let inputs = job.codes().map(|code| &code.inputs).next()?;
    snapshot
        .features(
            &package.package,
            job.settings,
            job.target,
            inputs,
            &options.scope.cache,
        )
        .await
}
