//! The interfaces of `rust` tasks, as their binaries describe them.
//!
//! A binary is run right after its compile and where it was compiled, with the libraries that it was linked with. Its
//! image holds the description in a label, so that an existing image can be registered without a compile.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use union_build::diag::Code;
use union_build::spec::{Spec, TaskKind};

use super::context::PackageContext;
use super::executables::Executables;
use super::state::TaskInterfaces;
use crate::flyte::interface::Description;
use crate::image::config::labels_of;
use crate::image::manifest::{INTERFACE, summary};
use crate::image::reference::PinnedRef;
use crate::image::{BaseSource, RawManifest};
use crate::pipeline::problems::Result;
use crate::pipeline::resolve::{CodeSpec, ResolvedImage};
use crate::sys::error::Error;
use crate::sys::fs;
use crate::sys::process::Environment;
use crate::workspace::{CargoRunner, PROBE_TIMEOUT, ProbeOutput};

/// The binaries of an image whose interfaces are required: those of `rust` tasks.
pub(crate) fn required_binaries<'a>(spec: &'a Spec, image: &str) -> BTreeSet<&'a str> {
    let tasks = spec
        .tasks
        .values()
        .filter(|task| task.kind.value == TaskKind::Rust && task.image.value == image);
    tasks
        .filter_map(|task| task.bin.as_ref().map(|bin| bin.value.as_str()))
        .collect()
}

/// Whether this machine can run the binaries of at least one platform of an image.
pub(crate) fn can_run_binaries(resolved: &ResolvedImage) -> bool {
    resolved
        .code
        .iter()
        .flat_map(CodeSpec::targets)
        .any(|target| runs_here(target))
}

/// Runs the binaries of an image to get their interfaces; empty if this machine cannot run them.
///
/// # Errors
/// `DescriptionInvalid` and `DescriptionVersion`.
pub(crate) async fn describe_binaries(
    context: &PackageContext<'_>,
    resolved: &ResolvedImage,
    executables: &Executables,
) -> Result<TaskInterfaces> {
    let PackageContext {
        options,
        package,
        reporter,
        ..
    } = context;
    let host_environment = &options.scope.cargo.environment;
    let required = required_binaries(&package.spec, &resolved.name);
    let mut descriptions = TaskInterfaces::new();
    let builds = resolved.code.iter().flat_map(|code| code.builds.iter());
    let platform = builds
        .into_iter()
        .find(|(_, build)| runs_here(&build.target))
        .map(|(platform, _)| platform);
    let Some(platform) = platform.filter(|_| !required.is_empty()) else {
        if !required.is_empty() {
            let about = format!(
                "the interfaces of the binaries of image {}: they do not run on this machine",
                resolved.name
            );
            reporter.detail("Skipping", &about);
        }
        return Ok(descriptions);
    };
    for executable in executables
        .of(resolved, platform)
        .iter()
        .filter(|executable| required.contains(executable.name.as_str()))
    {
        let Some(runner) = executables.runner(resolved, platform) else {
            continue;
        };
        let line = describe(
            &executable.name,
            &executable.path,
            &*runner,
            host_environment,
        )
        .await?;
        let description = Description::read(&executable.name, &line)?;
        descriptions.insert(executable.name.clone(), description.line);
    }
    Ok(descriptions)
}

/// Runs a binary with `describe-interface`, and returns what it prints.
///
/// It gets an empty environment, so that its output depends on the binary alone. Only `LD_LIBRARY_PATH` is passed on,
/// since a binary may link a library, such as that of Python, that the loader finds by it.
///
/// # Errors
/// `DescriptionInvalid` if it fails, or does not end within [`PROBE_TIMEOUT`].
pub(crate) async fn describe(
    name: &str,
    path: &Path,
    runner: &dyn CargoRunner,
    host_environment: &Environment,
) -> Result<String> {
    const LIBRARIES: &str = "LD_LIBRARY_PATH";
    let failed = || {
        Error::new(
            Code::DescriptionInvalid,
            format!("could not run `{name}` to describe its task"),
        )
    };
    let mut environment = Environment::default();
    if let Some(directories) = host_environment.get(LIBRARIES) {
        environment.set(LIBRARIES, directories);
    }
    match runner
        .ask(path, "describe-interface", &environment)
        .await
        .map_err(|cause| failed().because(cause))?
    {
        ProbeOutput::Printed(line) => Ok(String::from_utf8_lossy(&line).into_owned()),
        ProbeOutput::Failed(cause) => Err(failed().because(cause).into()),
        ProbeOutput::TooLate => Err(failed()
            .because(format!(
                "it did not end within {} s",
                PROBE_TIMEOUT.as_secs()
            ))
            .into()),
    }
}

fn runs_here(target: &str) -> bool {
    std::env::consts::OS == "linux"
        && target.contains("-linux")
        && target.split('-').next() == Some(std::env::consts::ARCH)
}

/// The image labels that hold the descriptions.
pub(crate) fn labels(descriptions: &TaskInterfaces) -> BTreeMap<String, String> {
    descriptions
        .iter()
        .map(|(binary, line)| (format!("{INTERFACE}{binary}"), line.clone()))
        .collect()
}

/// Reads the interfaces from the labels of an image in a registry.
///
/// # Errors
/// If its manifest or config cannot be pulled.
pub(crate) async fn interfaces_from_labels(
    source: &dyn BaseSource,
    image: &PinnedRef,
) -> Result<TaskInterfaces> {
    let labels = read_labels(source, image).await.map_err(|error| {
        Error::new(
            error.code(),
            format!("could not read the labels of {image}"),
        )
        .because(error)
    })?;
    let interface =
        |(name, line): (String, String)| Some((name.strip_prefix(INTERFACE)?.to_owned(), line));
    Ok(labels.into_iter().filter_map(interface).collect())
}

async fn read_labels(
    source: &dyn BaseSource,
    image: &PinnedRef,
) -> Result<BTreeMap<String, String>, Error> {
    let top = source
        .manifest(&image.repository, &image.digest.to_string())
        .await?;
    let manifest =
        match summary(&top.bytes).and_then(|summary| summary.manifests.into_iter().next()) {
            // The interface is the same on all platforms.
            Some((first, _)) => {
                source
                    .manifest(&image.repository, &first.digest.to_string())
                    .await?
            }
            None => top,
        };
    config_labels(source, image, &manifest).await
}

async fn config_labels(
    source: &dyn BaseSource,
    image: &PinnedRef,
    manifest: &RawManifest,
) -> Result<BTreeMap<String, String>, Error> {
    // `summary` lists the config of a manifest before its layers.
    let Some(config) =
        summary(&manifest.bytes).and_then(|summary| summary.blobs.into_iter().next())
    else {
        return Ok(BTreeMap::new());
    };
    Ok(labels_of(&fs::read(
        &source.blob(&image.repository, &config).await?,
    )?))
}
