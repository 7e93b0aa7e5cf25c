//! Compiles the binary of a task for this machine.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use union_build::diag::Code;
use union_build::spec::Spec;

use super::LocalRun;
use crate::build::ImageChain;
use crate::pipeline::problems::Result;
use crate::pipeline::resolve::{compile_settings, linkage, platforms, secret_files};
use crate::sys::error::Error;
use crate::workspace::targets::target_for;
use crate::workspace::{
    CargoJob, CodeInputOptions, CompileBackend, CompileMode, CompileSettings, Host, JobMember,
    Linkage, Snapshot, Toolchain, UnionLock, compile,
};

/// The executable of a binary, compiled with the settings of the task's image.
///
/// # Errors
/// Those of the compile; `ArtifactMissing`.
pub(super) async fn compile_binary(run: &LocalRun<'_>, binary: &str) -> Result<PathBuf> {
    let LocalRun {
        session,
        declared,
        reporter,
        ..
    } = run;
    let (build, package) = (&run.options.build, &declared.package);
    let snapshot = Snapshot::take(
        &build.scope.cargo,
        &session.workspace,
        &build.scope.cache,
        &***reporter,
    )
    .await?;
    let (settings, target) = host_settings(&declared.spec, &run.task.image, snapshot.toolchain())?;
    let binaries = BTreeSet::from([binary.to_owned()]);
    let lock = UnionLock::load(&session.workspace.root)?;
    let image = &declared.spec.images[&run.task.image.value];
    let options = CodeInputOptions {
        compile: settings.clone(),
        targets: vec![target.clone()],
        binaries: binaries.clone(),
        inputs: image.inputs.clone(),
        exclude: image
            .exclude
            .iter()
            .cloned()
            .chain(secret_files(&declared.spec))
            .collect(),
        toolchains: Vec::new(),
        compile_modes: vec![CompileMode::Host],
        tools: BTreeMap::new(),
    };
    let inputs = snapshot.inputs(package, &options, lock.packages())?;
    let job = CargoJob {
        members: vec![JobMember {
            package,
            binaries,
            inputs: vec![&inputs],
        }],
        target: &target,
        settings: &settings,
        method: &CompileBackend::Host,
        source_date_epoch: build.source_date_epoch,
        declared: &session.declared_inputs(),
    };
    let progress_guard = reporter.suspend_progress();
    let (compiled, _) = compile(&snapshot, &job, &Host, &***reporter).await?;
    drop(progress_guard);
    compiled.executables(package).remove(binary).ok_or_else(|| {
        Error::new(
            Code::ArtifactMissing,
            format!(
                "cargo did not produce the binary `{binary}` of `{}`",
                package.name
            ),
        )
        .into()
    })
}

/// The settings and the target for this machine. If this machine can run the binaries of the image, they are those of
/// the image, so that cargo does not compile again when runs and builds alternate.
///
/// # Errors
/// `InvalidValue`, which the validation of the manifest rules out.
fn host_settings(
    spec: &Spec,
    image: &str,
    toolchain: &Toolchain,
) -> Result<(CompileSettings, String)> {
    let image = &spec.images[image];
    let linkage = linkage(image, ImageChain::resolve(&spec.images, image).base());
    for platform in platforms(image)? {
        if let Ok(target) = target_for(&platform, linkage, toolchain, CompileMode::Host)
            && can_run(&toolchain.host, &target, linkage)
        {
            return Ok((compile_settings(image, linkage), target));
        }
    }
    Ok((
        compile_settings(image, Linkage::Dynamic),
        toolchain.host.clone(),
    ))
}

/// Whether a host runs the binaries of a target. On Linux, a statically linked binary may be of a target with another C
/// library.
fn can_run(host: &str, target: &str, linkage: Linkage) -> bool {
    let architecture = |triple: &str| triple.split('-').next().map(str::to_owned);
    let is_linux_pair = architecture(host) == architecture(target)
        && host.contains("-linux-")
        && target.contains("-linux-");
    host == target || (is_linux_pair && linkage == Linkage::Static)
}

#[cfg(test)]
mod tests {
    use super::{Linkage, can_run};

    #[test]
    fn host_runs_its_own_target_and_static_linux_binaries() {
        for (host, target, with_static, with_dynamic) in [
            (
                "x86_64-unknown-linux-gnu",
                "x86_64-unknown-linux-gnu",
                true,
                true,
            ),
            (
                "x86_64-unknown-linux-gnu",
                "x86_64-unknown-linux-musl",
                true,
                false,
            ),
            (
                "x86_64-unknown-linux-gnu",
                "aarch64-unknown-linux-gnu",
                false,
                false,
            ),
            (
                "aarch64-apple-darwin",
                "aarch64-unknown-linux-gnu",
                false,
                false,
            ),
            ("aarch64-apple-darwin", "aarch64-apple-darwin", true, true),
        ] {
            let fits =
                [Linkage::Static, Linkage::Dynamic].map(|linkage| can_run(host, target, linkage));
            assert_eq!(fits, [with_static, with_dynamic], "{host} {target}");
        }
    }
}
