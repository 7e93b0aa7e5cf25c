//! Executes a build plan: compiles, packs and publishes the missing images.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{try_join_all, try_join3};
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use union_build::diag::Code;

use super::attachment::attach_documents;
use super::audit;
use super::context::{LoadedWorkspace, PackageContext};
use super::environment::EnvironmentStore;
use super::executables::Executables;
use super::outcome::PackageOutcome;
use super::package::{CompiledPackage, PackageBuild, PackedPackage, PublishedPackage};
use super::plan::BuildPlan;
use super::{compile, launcher, signature};
use crate::build::MeasuredFiles;
use crate::image::plan::ImageAction;
use crate::pipeline::Reporter;
use crate::pipeline::options::BuildOptions;
use crate::pipeline::problems::Result;
use crate::sys::error::Error;
use crate::workspace::coverage::CoverageFindings;
use crate::workspace::{ReferencesFile, Snapshot, UnionLock, remember};

/// How often the packages are compiled when a compile reads inputs that its keys do not cover. Each further compile uses
/// the new references; more than two are needed only if a new file names another one.
const MAX_COMPILES: usize = 5;

/// Executes a plan. All packages are compiled before any of them is packed, since the files that the compiler reads may
/// change their keys; packages are then packed and published concurrently. Images are signed last. A dry run publishes
/// nothing and writes no state.
///
/// # Errors
/// `SigningKeyInvalid`, before anything is compiled; `CompileFailed`, `InputNotCovered`, `InputsMoved`, `UnionLockStale`; errors of the engine, of the builders and of the
/// publishers.
pub(crate) async fn execute(
    options: &BuildOptions,
    loaded: &LoadedWorkspace,
    snapshot: &Snapshot<'_>,
    plan: BuildPlan,
    reporter: &Arc<dyn Reporter>,
) -> Result<Vec<PackageOutcome>> {
    if options.signing.is_some() {
        signature::check_destinations(&plan)?;
    }
    let key = signature::open(options.signing.as_ref(), &**reporter).await?;
    remember(&options.scope.cargo, &loaded.workspace);
    let (mut builds, mut lock) =
        select_compilers(options, loaded, snapshot, plan, reporter).await?;
    if !options.dry {
        lock.save(
            options.scope.cargo.is_locked(),
            &loaded.workspace.target_directory,
        )?;
    }
    let mut handover = lock_target_directory(loaded, reporter).await?;
    let compiled = compile_until_stable(&mut builds, &mut handover, &mut lock).await?;
    let packed = pack_packages(&builds, &compiled, options.jobs).await?;
    check_inputs_unchanged(&builds, &lock).await?;
    for compiled in &compiled {
        compiled.executables.check_unchanged()?;
    }
    let published = publish_packages(&builds, packed, options.jobs).await?;
    if !options.dry {
        handover.commit();
    }
    attach_documents(&builds, &compiled, &published, options.jobs).await;
    let key = key.filter(|_| !options.dry);
    let signing = key.map(|key| (key, signature::signing_jobs(&builds, &published)));
    let outcomes = builds
        .into_iter()
        .zip(published)
        .map(|(build, published)| build.finish(published))
        .collect::<Result<_>>()?;
    if let Some((key, images)) = signing {
        signature::sign_all(&key, &images?, options.jobs, &**reporter).await?;
    }
    options.scope.cache.sweep(options.scope.cache_limit)?;
    Ok(outcomes)
}

/// Selects how each package is compiled.
async fn select_compilers<'a>(
    options: &'a BuildOptions,
    loaded: &'a LoadedWorkspace,
    snapshot: &'a Snapshot<'a>,
    plan: BuildPlan,
    reporter: &'a Arc<dyn Reporter>,
) -> Result<(Vec<PackageBuild<'a>>, UnionLock)> {
    let builds_any = plan
        .images()
        .any(|image| image.action != ImageAction::Reuse);
    let revision = if builds_any {
        snapshot.revision()
    } else {
        None
    };
    let mut builds = Vec::new();
    for (package, package_plan) in loaded.packages.iter().zip(plan.packages) {
        let context = PackageContext {
            options,
            loaded,
            snapshot,
            package,
            revision: revision.clone(),
            reporter,
        };
        builds.push(PackageBuild::new(context, package_plan).await?);
    }
    Ok((builds, plan.lock))
}

/// Runs the checks that need no network, before anything is compiled, and writes the references for the build scripts.
async fn preflight(builds: &[PackageBuild<'_>], handover: &mut ReferencesFile) -> Result<()> {
    for build in builds {
        build.preflight().await?;
        build.hand_over(handover)?;
    }
    Ok(())
}

/// Compiles all packages and, at the same time, checks whether their images may be published: an error of the check
/// stops the compile. After the check, environments are built, since they are published as well. Crates are listed
/// concurrently with the compile.
///
/// # Errors
/// The first one of the compile, of [`PackageBuild::check_push`], of the environments and of the launchers.
async fn compile_packages(builds: &[PackageBuild<'_>]) -> Result<Vec<CompiledPackage>> {
    let stores: Vec<EnvironmentStore<'_>> = builds
        .iter()
        .map(|build| build.context.environments(&build.plan))
        .collect();
    let environments = builds.iter().zip(&stores).map(|(build, store)| {
        try_join_all(
            build
                .plan
                .missing()
                .map(|image| store.get_or_build(&image.resolved)),
        )
    });
    let environments = async {
        try_join_all(builds.iter().map(PackageBuild::check_push)).await?;
        try_join_all(environments).await
    };
    // `environments` comes first, so that its requests are sent before the compile runs, which starts with blocking
    // work.
    let (environments, compiled, launchers) = try_join3(
        environments,
        compile_and_list_crates(builds),
        launcher::compile(builds),
    )
    .await?;
    let packages = compiled.into_iter().zip(environments).zip(launchers);
    let package = |(((executables, findings), environments), launchers)| CompiledPackage {
        executables,
        findings,
        environments,
        launchers,
    };
    Ok(packages.map(package).collect())
}

/// Compiles all packages, and lists their crates at the same time. When the compile ends, the listing is cancelled;
/// [`audit::add_crates`] makes the lists that are missing.
async fn compile_and_list_crates(
    builds: &[PackageBuild<'_>],
) -> Result<Vec<(Executables, CoverageFindings)>> {
    // At first, the compile holds the lock of cargo's package cache, and cargo prints a message when it waits for that
    // lock.
    const DELAY: Duration = Duration::from_millis(500);
    let mut compile = pin!(compile::run(builds));
    let list = async {
        tokio::time::sleep(DELAY).await;
        audit::prepare(builds).await;
    };
    tokio::select! {
        compiled = &mut compile => compiled,
        () = list => compile.await,
    }
}

/// Compiles all packages until a compile reads no inputs that its keys do not cover.
///
/// # Errors
/// `InputNotCovered` when each compile reads other files; the errors of [`preflight`], the compile and [`learn_inputs`].
async fn compile_until_stable(
    builds: &mut [PackageBuild<'_>],
    handover: &mut ReferencesFile,
    lock: &mut UnionLock,
) -> Result<Vec<CompiledPackage>> {
    for _ in 0..MAX_COMPILES {
        preflight(builds, handover).await?;
        let compiled = compile_packages(builds).await?;
        if !learn_inputs(builds, &compiled, lock).await? {
            return Ok(compiled);
        }
    }
    Err(unstable_inputs().into())
}

/// Packs the missing images of all packages, `jobs` packages at a time.
async fn pack_packages(
    builds: &[PackageBuild<'_>],
    compiled: &[CompiledPackage],
    jobs: usize,
) -> Result<Vec<PackedPackage>> {
    let packing = builds
        .iter()
        .zip(compiled)
        .map(|(build, compiled)| async move {
            let interfaces = build.collect_interfaces(compiled).await?;
            let executables = audit::add_crates(build, &compiled.executables).await?;
            build.pack(compiled, &executables, interfaces).await
        });
    stream::iter(packing).buffered(jobs).try_collect().await
}

/// Publishes the packed images of all packages, `jobs` packages at a time.
async fn publish_packages(
    builds: &[PackageBuild<'_>],
    packed: Vec<PackedPackage>,
    jobs: usize,
) -> Result<Vec<PublishedPackage>> {
    let publishing = builds
        .iter()
        .zip(packed)
        .map(|(build, packed)| build.publish(packed));
    stream::iter(publishing).buffered(jobs).try_collect().await
}

/// Adds inputs that the compiler read and no key covers to Union.lock, and plans all packages again with them. Returns
/// whether there were any.
///
/// # Errors
/// `UnionLockStale` with `--locked`; the errors of planning.
async fn learn_inputs(
    builds: &mut [PackageBuild<'_>],
    compiled: &[CompiledPackage],
    lock: &mut UnionLock,
) -> Result<bool> {
    let mut new_inputs = Vec::new();
    for (build, compiled) in builds.iter().zip(compiled) {
        let complete_package = build.is_complete().then_some(build.context.package.name());
        if let Some((packages, new)) = compiled
            .findings
            .extend_learned(lock.packages(), complete_package)
        {
            lock.set_packages(packages);
            new_inputs.extend(new);
        }
    }
    let Some(first) = builds.first().filter(|_| !new_inputs.is_empty()) else {
        return Ok(false);
    };
    let PackageContext {
        options,
        loaded,
        reporter,
        ..
    } = first.context;
    if options.scope.cargo.is_locked() {
        let error = Error::new(
            Code::UnionLockStale,
            format!(
                "Union.lock lacks what the compile depends on: {}",
                new_inputs.join(", ")
            ),
        );
        return Err(error
            .help("Run the same command without `--locked`, and commit Union.lock.")
            .into());
    }
    if !options.dry {
        lock.save(false, &loaded.workspace.target_directory)?;
    }
    reporter.status(
        "Learned",
        &format!("inputs for Union.lock: {}", new_inputs.join(", ")),
    );
    for build in builds {
        build.plan_again(lock).await?;
    }
    Ok(true)
}

fn unstable_inputs() -> Error {
    Error::new(
        Code::InputNotCovered,
        format!("each of {MAX_COMPILES} compiles read files that the one before did not"),
    )
    .help("See the list in Union.lock: something names other files each time.")
}

/// Computes the inputs of the images again from the files on disk, and compares them with those of their keys.
///
/// # Errors
/// `InputsMoved`, with the names of the changed inputs.
async fn check_inputs_unchanged(builds: &[PackageBuild<'_>], lock: &UnionLock) -> Result<()> {
    let Some(first) = builds.iter().find(|build| build.needed().next().is_some()) else {
        return Ok(());
    };
    let PackageContext {
        options,
        loaded,
        reporter,
        ..
    } = first.context;
    let _hashing = reporter.busy("Hashing", &"the inputs again");
    // A loaded workspace holds the text of its manifests: they have to be read again too.
    let workspace = loaded.workspace.read_again()?;
    let snapshot = Snapshot::take(
        &options.scope.cargo,
        &workspace,
        &options.scope.cache,
        &**reporter,
    )
    .await?;
    let files = MeasuredFiles::new(&options.scope.cache);
    for build in builds {
        let old_package = &build.context.package.package;
        let package = workspace.package(&old_package.name).unwrap_or(old_package);
        build.needed().try_for_each(|image| {
            image
                .resolved
                .check_unchanged(package, &snapshot, &files, lock.packages())
        })?;
    }
    options.scope.cache.keep_measured();
    Ok(())
}

/// Locks the target directory against other runs. It waits for the lock on a separate thread, so that it can be
/// interrupted.
async fn lock_target_directory(
    loaded: &LoadedWorkspace,
    reporter: &Arc<dyn Reporter>,
) -> Result<ReferencesFile> {
    let workspace = loaded.workspace.clone();
    let reporter = reporter.clone();
    let locking =
        tokio::task::spawn_blocking(move || ReferencesFile::begin(&workspace, &*reporter));
    Ok(locking.await.expect("waiting for a lock does not panic")?)
}
