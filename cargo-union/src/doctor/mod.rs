//! `cargo union doctor`: checks everything that a build, a push and a registration need.
//!
//! Each submodule checks one area and returns its checks in a fixed order. Nothing is compiled and nothing is written,
//! except tokens that a login refreshes. Skipped checks are listed, with the reason.

mod backend;
mod build_script;
mod check;
mod clock;
mod disk;
mod engine;
mod registry;
mod reporter;
mod toolchain;

use std::sync::Arc;

use union_build::diag::Diagnostic;

pub use check::{Check, CheckStatus};

use crate::flyte::config::FlyteConfig;
use crate::pipeline::Reporter;
use crate::pipeline::backend as backend_config;
use crate::pipeline::context::{LoadedWorkspace, UnionPackage};
use crate::pipeline::options::{BackendOptions, WorkspaceOptions};
use crate::pipeline::problems::{ManifestProblems, PipelineError};
use crate::sys::error::Result;
use crate::workspace::Workspace;
use reporter::DoctorReporter;

const WORKSPACE: &str = "workspace";

/// Checks this machine, the workspace, and the servers that it names. The checks of servers run concurrently.
pub(crate) async fn diagnose(
    options: &WorkspaceOptions,
    reporter: &Arc<dyn Reporter>,
) -> Vec<Check> {
    let options = &WorkspaceOptions {
        cache: options.cache.clone().without_new_notes(),
        backend: BackendOptions {
            cache: options.backend.cache.clone().without_new_notes(),
            interactive: false,
            ..options.backend.clone()
        },
        ..options.clone()
    };
    let listener = Arc::new(DoctorReporter::new(reporter));
    let reporter: Arc<dyn Reporter> = listener.clone();
    let loaded = LoadedWorkspace::open(options, &*reporter).await;
    let mut checks = manifests(&loaded);
    let loaded = loaded.ok();
    let other = match &loaded {
        Some(_) => None,
        None => Workspace::load(&options.cargo, options.manifest_path.as_deref())
            .await
            .ok(),
    };
    let workspace = loaded
        .as_ref()
        .map(|loaded| &loaded.workspace)
        .or(other.as_ref());
    let packages: &[UnionPackage] = loaded.as_ref().map_or(&[], |loaded| &loaded.packages);
    let machine = toolchain::check(options, workspace, packages).await;
    checks.extend(machine.checks);
    checks.extend(build_script::check(packages));
    checks.extend(disk::check(options, workspace));
    let (config, config_checks) = flyte_config(loaded.as_ref(), options);
    checks.extend(config_checks);
    let (engine, registry, backend) = futures_util::join!(
        engine::check(options, packages, machine.in_container),
        registry::check(options, loaded.as_ref(), &listener, &reporter),
        backend::check(options, loaded.as_ref(), config.as_ref(), &reporter),
    );
    checks.extend(engine);
    let (registry_checks, registry_clocks) = registry;
    checks.extend(registry_checks);
    let (backend_checks, backend_clock) = backend;
    checks.extend(backend_checks);
    checks.push(clock::check(
        registry_clocks.into_iter().chain(backend_clock),
    ));
    checks
}

fn manifests(loaded: &Result<LoadedWorkspace, PipelineError>) -> Vec<Check> {
    let name = "manifest";
    let problems = |problems: &[Diagnostic]| -> Vec<Check> {
        let checks = problems.iter();
        checks
            .map(|problem| Check::of_diagnostic(WORKSPACE, problem))
            .collect()
    };
    match loaded {
        Err(PipelineError::Failed(error)) => vec![Check::of_error(WORKSPACE, name, error)],
        Err(PipelineError::Invalid(ManifestProblems(found))) => problems(found),
        Ok(loaded) if !loaded.warnings.is_empty() => problems(&loaded.warnings),
        Ok(loaded) => {
            let packages = loaded.packages.iter();
            let packages = packages.map(|package| {
                format!(
                    "{}: images {}, tasks {}",
                    package.name(),
                    crate::sys::words::list(package.spec.images.keys()),
                    crate::sys::words::list(package.spec.tasks.keys())
                )
            });
            packages
                .map(|detail| Check::ok(WORKSPACE, name, detail))
                .collect()
        }
    }
}

/// The Flyte config of the workspace, or that of the user when no workspace could be loaded.
fn flyte_config(
    loaded: Option<&LoadedWorkspace>,
    options: &WorkspaceOptions,
) -> (Option<FlyteConfig>, Vec<Check>) {
    if let Some(loaded) = loaded {
        return (Some(loaded.backend.clone()), Vec::new());
    }
    match backend_config::config(&options.backend) {
        // Problems of the config are among those of the workspace.
        Ok((config, _)) => (Some(config), Vec::new()),
        Err(error) => (None, vec![Check::of_error(backend::AREA, "config", &error)]),
    }
}
