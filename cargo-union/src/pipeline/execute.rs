//! Compiling, packing and publishing what a plan says is missing.

use std::sync::Arc;

use futures_util::future::{try_join_all, try_join3};
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use union_build::diag::Code;

use super::context::{LoadedWorkspace, PackageContext};
use super::environment::EnvironmentStore;
use super::outcome::PackageOutcome;
use super::package::{CompiledPackage, PackageBuild, PackedPackage, PublishedPackage};
use super::plan::BuildPlan;
use super::{compile, launcher};
use crate::build::MeasuredFiles;
use crate::image::plan::ImageAction;
use crate::pipeline::Reporter;
use crate::pipeline::options::BuildOptions;
use crate::pipeline::problems::Result;
use crate::sys::error::Error;
use crate::workspace::{ReferencesFile, Snapshot, UnionLock, remember};

/// How often a compile may show inputs that change the keys. Each time the crate is compiled again with its new
/// references; one round is enough for everything but a file that names another one.
const ROUNDS: usize = 5;

/// Does what a plan says. All packages are compiled first, since what the compiler reads may change their keys; then
/// they are packed and published, several at a time. A dry run stops before anything is sent, and remembers nothing.
///
/// # Errors
/// What compiling, packing and publishing end with.
pub(crate) async fn execute(
    work: &BuildOptions,
    session: &LoadedWorkspace,
    snapshot: &Snapshot<'_>,
    planning: BuildPlan,
    reporter: &Arc<dyn Reporter>,
) -> Result<Vec<PackageOutcome>> {
    remember(&work.scope.cargo, &session.workspace);
    let acts = planning.images().any(|image| image.action != ImageAction::Reuse);
    let revision = if acts { snapshot.revision() } else { None };
    let BuildPlan { mut lock, packages: plans } = planning;
    let mut ready = Vec::new();
    for (declared, plan) in session.packages.iter().zip(plans) {
        let package = PackageContext { work, session, snapshot, declared, revision: revision.as_deref(), reporter };
        ready.push(PackageBuild::new(package, plan).await?);
    }
    if !work.dry {
        lock.save(work.scope.cargo.is_locked(), &session.workspace.target_directory)?;
    }
    let mut handover = lock_target_directory(session, reporter).await?;
    let mut round = 0;
    let compiled = loop {
        for package in &ready {
            package.prepare().await?;
            package.hand_over(&mut handover)?;
        }
        let compiled = compile_packages(&ready).await?;
        if !learn_inputs(&mut ready, &compiled, &mut lock).await? {
            break compiled;
        }
        round += 1;
        if round == ROUNDS {
            let error = Error::new(Code::InputNotCovered, format!("each of {ROUNDS} compiles read files that the one before did not"));
            return Err(error.help("See the list in Union.lock: something names other files each time.").into());
        }
    };
    let packing = ready.iter().zip(&compiled).map(|(ready, compiled)| ready.pack(compiled));
    let packed = stream::iter(packing).buffered(work.jobs).try_collect::<Vec<PackedPackage>>().await?;
    check_inputs_unchanged(&ready, &lock).await?;
    let publishing = ready.iter().zip(packed).map(|(ready, packed)| ready.publish(packed));
    let outcomes: Vec<PublishedPackage> = stream::iter(publishing).buffered(work.jobs).try_collect().await?;
    if !work.dry {
        handover.commit();
    }
    let built = ready.into_iter().zip(outcomes).map(|(ready, outcome)| ready.finish(outcome)).collect::<Result<_>>()?;
    work.scope.cache.sweep(work.scope.cache_limit)?;
    Ok(built)
}

/// Compiles all packages. The engine makes environments while the compiler works.
async fn compile_packages(ready: &[PackageBuild<'_>]) -> Result<Vec<CompiledPackage>> {
    let environments: Vec<EnvironmentStore<'_>> = ready.iter().map(|ready| ready.package.environments(&ready.plan)).collect();
    let starts = ready
        .iter()
        .zip(&environments)
        .map(|(ready, environments)| try_join_all(ready.plan.missing().map(|image| environments.get_or_build(&image.resolved))));
    let launchers = try_join_all(ready.iter().map(launcher::compile));
    let (compiled, starts, launchers) = try_join3(compile::run(ready), try_join_all(starts), launchers).await?;
    let all = compiled.into_iter().zip(starts).zip(launchers);
    let package = |(((executables, findings), starts), launchers)| CompiledPackage { executables, findings, starts, launchers };
    Ok(all.map(package).collect())
}

/// Writes what the compiles have shown into Union.lock, and plans again whatever has another key by it. Says whether
/// there was anything.
///
/// # Errors
/// `UnionLockStale` with `--locked`; what planning ends with.
async fn learn_inputs(ready: &mut [PackageBuild<'_>], compiled: &[CompiledPackage], lock: &mut UnionLock) -> Result<bool> {
    let mut words = Vec::new();
    for (ready, compiled) in ready.iter().zip(compiled) {
        let complete = ready.is_complete().then_some(ready.package.declared.package.name.as_str());
        if let Some((packages, new)) = compiled.findings.beyond(lock.packages(), complete) {
            lock.set_packages(packages);
            words.extend(new);
        }
    }
    let Some(first) = ready.first().filter(|_| !words.is_empty()) else { return Ok(false) };
    let PackageContext { work, session, reporter, .. } = first.package;
    if work.scope.cargo.is_locked() {
        let error = Error::new(Code::UnionLockStale, format!("Union.lock lacks what the compile depends on: {}", words.join(", ")));
        return Err(error.help("Run the same command without `--locked`, and commit Union.lock.").into());
    }
    if !work.dry {
        lock.save(false, &session.workspace.target_directory)?;
    }
    reporter.status("Learned", &format!("inputs for Union.lock: {}", words.join(", ")));
    for ready in ready {
        ready.plan_again(lock).await?;
    }
    Ok(true)
}

/// Looks again at everything that keys were made from.
///
/// # Errors
/// `InputsMoved`, which names what is not what it was.
async fn check_inputs_unchanged(ready: &[PackageBuild<'_>], lock: &UnionLock) -> Result<()> {
    let Some(first) = ready.iter().find(|ready| ready.needed().next().is_some()) else { return Ok(()) };
    let PackageContext { work, session, reporter, .. } = first.package;
    // A workspace keeps the text of its manifests, so that it is read again as well.
    let now = session.workspace.read_again()?;
    let again = Snapshot::take(&work.scope.cargo, &now, &work.scope.cache, &**reporter).await?;
    let files = MeasuredFiles::new(&work.scope.cache);
    for ready in ready {
        let declared = &ready.package.declared.package;
        let package = now.package(&declared.name).unwrap_or(declared);
        ready.needed().try_for_each(|image| image.resolved.check_unchanged(package, &again, &files, lock.packages()))?;
    }
    work.scope.cache.keep_measured();
    Ok(())
}

/// Waits for other runs in the same target directory. Another run may hold the lock for long: whoever waits here can
/// still be interrupted.
async fn lock_target_directory(session: &LoadedWorkspace, reporter: &Arc<dyn Reporter>) -> Result<ReferencesFile> {
    let (workspace, reporter) = (session.workspace.clone(), reporter.clone());
    let begun = tokio::task::spawn_blocking(move || ReferencesFile::begin(&workspace, &*reporter));
    Ok(begun.await.expect("waiting for a lock does not panic")?)
}
