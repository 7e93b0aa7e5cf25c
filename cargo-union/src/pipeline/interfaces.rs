//! What the binaries of `rust` tasks say of themselves.
//!
//! They are asked when and where they are compiled, with the libraries that they were linked with. The
//! image keeps the answers in its labels: whoever registers an image that is there needs no compile.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::Result;
use union_build::diag::Code;
use union_build::spec::{Spec, TaskKind};

use super::compile::executables::Executables;
use super::context::PackageContext;
use super::state::TaskInterfaces;
use crate::flyte::interface::Description;
use crate::image::config::labels_of;
use crate::image::manifest::{INTERFACE, summary};
use crate::image::reference::PinnedRef;
use crate::image::{BaseSource, RawManifest};
use crate::pipeline::resolve::{CodeSpec, ResolvedImage};
use crate::sys::error::Error;
use crate::sys::fs;
use crate::sys::process::Environment;
use crate::workspace::{CargoRunner, PATIENCE, ProbeOutput};

/// The binaries of an image that have to describe themselves.
pub(crate) fn wanted<'a>(spec: &'a Spec, image: &str) -> BTreeSet<&'a str> {
    let tasks = spec.tasks.values().filter(|task| task.kind.value == TaskKind::Rust && task.image.value == image);
    tasks.filter_map(|task| task.bin.as_ref().map(|bin| bin.value.as_str())).collect()
}

/// Whether this machine can run the binaries of an image for some platform.
pub(crate) fn can_ask(resolved: &ResolvedImage) -> bool {
    resolved.code.iter().flat_map(CodeSpec::targets).any(|target| runs_here(target))
}

/// Asks the binaries of an image, as far as this machine can run them.
///
/// # Errors
/// `DescriptionInvalid` and `DescriptionVersion`.
pub(crate) async fn ask(package: &PackageContext<'_>, resolved: &ResolvedImage, executables: &Executables) -> Result<TaskInterfaces> {
    let PackageContext { work, declared, reporter, .. } = package;
    let machine = &work.scope.cargo.environment;
    let (wanted, mut descriptions) = (wanted(&declared.spec, &resolved.name), TaskInterfaces::new());
    let builds = resolved.code.iter().flat_map(|code| code.builds.iter());
    let platform = builds.into_iter().find(|(_, build)| runs_here(&build.target)).map(|(platform, _)| platform);
    let Some(platform) = platform.filter(|_| !wanted.is_empty()) else {
        if !wanted.is_empty() {
            reporter.detail("Skipping", &format!("what the binaries of image {} say of themselves: they do not run here", resolved.name));
        }
        return Ok(descriptions);
    };
    for executable in executables.of(resolved, platform).iter().filter(|executable| wanted.contains(executable.name.as_str())) {
        let Some(workshop) = executables.workshop(resolved, platform) else { continue };
        let line = describe(&executable.name, &executable.path, &*workshop, machine).await?;
        let description = Description::read(&executable.name, &line)?;
        descriptions.insert(executable.name.clone(), description.line);
    }
    Ok(descriptions)
}

/// With nothing to read and nothing in its environment: what it says depends on the binary alone. Only
/// where the loader finds libraries is for the machine to say, such as that of a traced worker's Python.
///
/// # Errors
/// `DescriptionInvalid`.
pub(crate) async fn describe(name: &str, path: &Path, workshop: &dyn CargoRunner, machine: &Environment) -> Result<String> {
    const LIBRARIES: &str = "LD_LIBRARY_PATH";
    let failed = || Error::new(Code::DescriptionInvalid, format!("could not ask `{name}` to describe its task"));
    let mut environment = Environment::default();
    if let Some(folders) = machine.get(LIBRARIES) {
        environment.set(LIBRARIES, folders);
    }
    match workshop.ask(path, "describe-interface", &environment).await.map_err(|cause| failed().because(cause))? {
        ProbeOutput::Printed(line) => Ok(String::from_utf8_lossy(&line).into_owned()),
        ProbeOutput::Failed(cause) => Err(failed().because(cause).into()),
        ProbeOutput::TooLate => Err(failed().because(format!("it did not end within {} s", PATIENCE.as_secs())).into()),
    }
}

fn runs_here(target: &str) -> bool {
    std::env::consts::OS == "linux" && target.contains("-linux") && target.split('-').next() == Some(std::env::consts::ARCH)
}

/// The labels under which an image keeps them.
pub(crate) fn labels(descriptions: &TaskInterfaces) -> BTreeMap<String, String> {
    descriptions.iter().map(|(binary, line)| (format!("{INTERFACE}{binary}"), line.clone())).collect()
}

/// What the labels of an image in a registry hold.
///
/// # Errors
/// When the registry does not give the image's config.
pub(crate) async fn interfaces_from_labels(source: &dyn BaseSource, image: &PinnedRef) -> Result<TaskInterfaces> {
    let read = async {
        let top = source.manifest(&image.repository, &image.digest.to_string()).await?;
        let one = match summary(&top.bytes).and_then(|summary| summary.manifests.into_iter().next()) {
            // All platforms have the same interface.
            Some((first, _)) => source.manifest(&image.repository, &first.digest.to_string()).await?,
            None => top,
        };
        config(source, image, &one).await
    };
    let labels =
        read.await.map_err(|error: Error| Error::new(error.code(), format!("could not read the labels of {image}")).because(error))?;
    let of_a_binary = |(name, line): (String, String)| Some((name.strip_prefix(INTERFACE)?.to_owned(), line));
    Ok(labels.into_iter().filter_map(of_a_binary).collect())
}

async fn config(source: &dyn BaseSource, image: &PinnedRef, manifest: &RawManifest) -> Result<BTreeMap<String, String>, Error> {
    // A manifest lists its config before its layers.
    let Some(config) = summary(&manifest.bytes).and_then(|summary| summary.blobs.into_iter().next()) else { return Ok(BTreeMap::new()) };
    Ok(labels_of(&fs::read(&source.blob(&image.repository, &config).await?)?))
}
