//! The bills of materials of a build: `--sbom FILE`, one file for each image and platform.
//!
//! They are made after the build from the checkout that has the key of the image, also when the image existed before.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use union_build::diag::Code;

use super::audit;
use super::context::{LoadedWorkspace, PackageContext};
use super::environment::PlatformBases;
use super::inventory::InventoryReader;
use super::outcome::PackageOutcome;
use super::plan::BuildPlan;
use super::resolve::{ResolvedImage, platforms};
use crate::attest::ImageDocument;
use crate::attest::cyclonedx::{SbomSubject, sbom};
use crate::image::platform::Platform;
use crate::pipeline::Reporter;
use crate::pipeline::options::BuildOptions;
use crate::pipeline::problems::Result;
use crate::sys::digest::Digest;
use crate::sys::error::Error;
use crate::sys::fs;
use crate::workspace::Snapshot;

/// The file of an image and platform: `{package}`, `{image}` and `{platform}` are replaced by their names.
fn file_for(file: &Path, package: &str, image: &str, platform: &Platform) -> PathBuf {
    let Some(text) = file.to_str() else {
        return file.to_owned();
    };
    let replaced = text
        .replace("{package}", package)
        .replace("{image}", image)
        .replace("{platform}", &platform.to_string().replace('/', "-"));
    PathBuf::from(replaced)
}

/// All files that `--sbom` may name for the images of a workspace. They are not sources.
///
/// # Errors
/// `InvalidValue`, which the validation of the manifest has already ruled out.
pub(super) fn possible_files(file: &Path, session: &LoadedWorkspace) -> Result<BTreeSet<PathBuf>> {
    let mut files = BTreeSet::new();
    for package in &session.packages {
        for spec in package.spec.images.values() {
            for platform in platforms(spec)? {
                files.insert(file_for(file, package.name(), &spec.key, &platform));
            }
        }
    }
    Ok(files)
}

/// Checks, before anything is built, that each image and platform has a file of its own.
///
/// # Errors
/// `UsageInvalid`.
pub(super) fn check_files(file: &Path, plan: &BuildPlan) -> Result<()> {
    let mut files = BTreeSet::new();
    for image in plan.images() {
        for platform in &image.platforms {
            if !files.insert(file_for(file, &image.package, &image.image, platform)) {
                let message = format!(
                    "`--sbom {}` names one file for several images or platforms",
                    file.display()
                );
                let help = "Write `{package}`, `{image}` or `{platform}` in the name of the file, or select one image.";
                return Err(Error::new(Code::UsageInvalid, message).help(help).into());
            }
        }
    }
    Ok(())
}

/// Writes the bill of materials of each image and platform of a build. Layers of bases and environments whose packages are
/// not known yet are read, and downloaded if they are not in the cache.
///
/// # Errors
/// `CratesUnlisted`; `FileUnwritable`; if the registry of an environment cannot be queried.
pub(super) async fn write(
    file: &Path,
    options: &BuildOptions,
    session: &LoadedWorkspace,
    snapshot: &Snapshot<'_>,
    outcomes: &[PackageOutcome],
    reporter: &Arc<dyn Reporter>,
) -> Result<()> {
    for (package, outcome) in session.packages.iter().zip(outcomes) {
        let context = PackageContext {
            options,
            loaded: session,
            snapshot,
            package,
            revision: None,
            reporter,
        };
        let reader = InventoryReader {
            context: &context,
            source: &outcome.plan.destinations.source,
            downloads: true,
        };
        let environments = context.environments(&outcome.plan);
        let images = outcome.plan.images.iter().zip(&outcome.images);
        for (resolved, built) in images.map(|(image, built)| (&image.resolved, built)) {
            let environment = environments.get(resolved).await?;
            for platform in resolved.bases.platforms() {
                let image = (resolved, built.record.digest);
                let document = document(&reader, image, environment.as_ref(), platform).await?;
                let path = file_for(file, package.name(), &resolved.name, platform);
                fs::replace(&path, &document.bytes)?;
            }
        }
    }
    Ok(())
}

/// The bill of materials of an image, with its digest if that is known, for one of its platforms. `environment` is the one
/// that it was built on.
///
/// # Errors
/// `CratesUnlisted`.
pub(super) async fn document(
    reader: &InventoryReader<'_>,
    (resolved, digest): (&ResolvedImage, Option<Digest>),
    environment: Option<&PlatformBases>,
    platform: &Platform,
) -> Result<ImageDocument> {
    let PackageContext {
        options,
        snapshot,
        package,
        ..
    } = reader.context;
    let crates = audit::list_crates(options, snapshot, package, resolved, platform).await?;
    let lower = reader.read(resolved, platform, environment).await;
    let environment = resolved.environment_plan.as_ref();
    let environment = environment.map(|environment| environment.tag());
    let base = resolved.bases.get(platform).and_then(Option::as_ref);
    Ok(sbom(&SbomSubject {
        name: &resolved.spec().name,
        tag: &resolved.tag,
        digest,
        platform,
        base: base.map(|base| base.repository.pinned(base.digest)),
        environment: environment.as_deref(),
        packages: lower.all.as_ref(),
        base_packages: lower.base.as_ref(),
        crates: crates.as_ref(),
    }))
}
