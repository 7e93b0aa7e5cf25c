//! The launchers of the images of tasks, compiled with the toolchain that compiles the crate.

use super::package::{Launchers, PackageBuild};
use crate::image::platform::Platform;
use crate::pipeline::problems::Result;
use crate::pipeline::resolve::ResolvedImage;
use crate::workspace::launcher::{LauncherCompiler, usual_target};
use crate::workspace::{CargoRunner, CompileBackend, Host};

/// Compiles the launchers of the missing images of all packages, one after the other: each is compiled once per
/// toolchain and target, and then taken from the cache.
///
/// # Errors
/// `LauncherFailed`; the errors of an engine for a compile in a container.
pub(super) async fn compile(builds: &[PackageBuild<'_>]) -> Result<Vec<Launchers>> {
    let mut all = Vec::new();
    for build in builds {
        all.push(compile_for_package(build).await?);
    }
    Ok(all)
}

async fn compile_for_package(build: &PackageBuild<'_>) -> Result<Launchers> {
    let mut launchers = Launchers::new();
    for image in build
        .plan
        .missing()
        .map(|image| &image.resolved)
        .filter(|image| image.launcher)
    {
        let mut programs = Vec::new();
        for (platform, _) in image.bases.iter() {
            let (compiler, target) = compiler(build, image, platform);
            programs.push((platform.clone(), compiler.compile(&target).await?));
        }
        launchers.insert(image.name.clone(), programs.into_iter().collect());
    }
    Ok(launchers)
}

/// What compiles the launcher for a platform, and for which target: that of the image's binaries, if it has some.
fn compiler<'a>(
    build: &'a PackageBuild<'_>,
    image: &ResolvedImage,
    platform: &Platform,
) -> (LauncherCompiler<'a>, String) {
    let context = &build.context;
    let toolchain = context.snapshot.toolchain();
    let host = || (&Host as &dyn CargoRunner, toolchain.identity());
    let code = image
        .code
        .as_ref()
        .and_then(|code| Some((&code.compile, &code.builds.get(platform)?.target)));
    let choice = code.map(|(settings, target)| build.compile_plan.of(settings, target));
    let (runner, identity) = match choice.map(|choice| (&choice.method, &choice.runner)) {
        Some((CompileBackend::Container(toolchain), runner)) => (&**runner, toolchain.clone()),
        _ => host(),
    };
    let compiler = LauncherCompiler {
        runner,
        identity,
        toolchain,
        cargo: &context.options.scope.cargo,
        target_directory: &context.loaded.workspace.target_directory,
        cache: &context.options.scope.cache,
    };
    (
        compiler,
        code.map_or_else(
            || usual_target(platform, toolchain),
            |(_, target)| target.clone(),
        ),
    )
}
