//! Which packages are compiled together: those that cargo would give the same code together as alone.
//!
//! cargo joins the features that all packages of one call want of a dependency. What each package wants alone is asked
//! beforehand, and what cargo has done is compared with it afterwards.

use std::collections::BTreeSet;

use futures_util::stream::{self, StreamExt as _};

use super::CompileJob;
use crate::workspace::{CompileBackend, Features};

/// Packages that are compiled by one call of cargo.
pub(super) struct CompileBatch<'a> {
    pub(super) wanted: Vec<CompileJob<'a>>,
    /// What is expected of cargo; nothing of one package alone.
    pub(super) features: Option<Features>,
}

impl<'a> CompileBatch<'a> {
    /// One package alone.
    pub(super) fn of(wanted: CompileJob<'a>) -> Self {
        Self { wanted: vec![wanted], features: None }
    }

    fn takes(&self, wanted: &CompileJob<'_>, features: &Features) -> bool {
        let Some(expected) = &self.features else { return false };
        let binaries: BTreeSet<&String> = self.wanted.iter().flat_map(|other| &other.binaries).collect();
        let is_alike = self.wanted.first().is_some_and(|first| {
            (first.settings, first.target, &first.chosen().method) == (wanted.settings, wanted.target, &wanted.chosen().method)
        });
        is_alike && wanted.binaries.iter().all(|name| !binaries.contains(name)) && expected.agree(features)
    }
}

/// Puts together what can be.
pub(super) async fn batches(all: Vec<CompileJob<'_>>) -> Vec<CompileBatch<'_>> {
    let mut batches: Vec<CompileBatch<'_>> = Vec::new();
    let is_alone = all.len() < 2;
    let asked = all.into_iter().map(|wanted| async {
        let features = if is_alone { None } else { features(&wanted).await };
        (wanted, features)
    });
    let asked: Vec<_> = stream::iter(asked).buffered(std::thread::available_parallelism().map_or(1, Into::into)).collect().await;
    for (wanted, features) in asked {
        let Some(features) = features else {
            batches.push(CompileBatch::of(wanted));
            continue;
        };
        match batches.iter_mut().find(|batch| batch.takes(&wanted, &features)) {
            Some(batch) => {
                batch.wanted.push(wanted);
                if let Some(expected) = &mut batch.features {
                    expected.extend(&features);
                }
            }
            None => batches.push(CompileBatch { wanted: vec![wanted], features: Some(features) }),
        }
    }
    batches.iter_mut().filter(|batch| batch.wanted.len() == 1).for_each(|batch| batch.features = None);
    batches
}

/// The features of a package that may be compiled with others: features of its own choice would be theirs too, and a
/// container is that of one package.
async fn features(wanted: &CompileJob<'_>) -> Option<Features> {
    let is_elsewhere = matches!(wanted.chosen().method, CompileBackend::Container(_));
    if is_elsewhere || !wanted.settings.features.is_empty() {
        return None;
    }
    let package = &wanted.ready.package;
    let inputs = wanted.codes().map(|code| &code.inputs).next()?;
    package.snapshot.features(&package.declared.package, wanted.settings, wanted.target, inputs, &package.work.scope.cache).await
}
