//! New entries for Union.lock: newer bases, and environments that are to be built again.

use std::collections::BTreeSet;
use std::sync::Arc;

use union_build::spec::Base;

use super::context::LoadedWorkspace;
use super::options::WorkspaceOptions;
use super::problems::Result;
use super::resolve::bases::{self, LockMode};
use super::resolve::{self, rust_image};
use crate::build::environment::tools;
use crate::image::platform::Platform;
use crate::pipeline::Reporter;
use crate::workspace::UnionLock;

/// Resolves the bases of all images again, and locks their newest digests.
///
/// # Errors
/// Those of the registries.
pub(crate) async fn renew_bases(
    loaded: &LoadedWorkspace,
    scope: &WorkspaceOptions,
    lock: &mut UnionLock,
    reporter: &Arc<dyn Reporter>,
) -> Result<()> {
    let mut used = BTreeSet::new();
    for declared in &loaded.packages {
        let source = loaded.clients.get(scope, &declared.spec, 4, reporter);
        for image in declared.spec.images.values() {
            let platforms: Vec<Platform> = resolve::platforms(image)?;
            let base = match &image.base {
                Base::Reference(base) => Some(base.value.as_str()),
                Base::Scratch(_) | Base::Extends(_) | Base::Dockerfile => None,
            };
            let rust = image
                .build
                .rust_image
                .as_ref()
                .map(|image| image.value.as_str());
            for reference in base
                .into_iter()
                .chain(tools(std::slice::from_ref(image)))
                .chain(rust)
            {
                bases::locked(reference, &platforms, lock, &*source, LockMode::Renew).await?;
                used.insert(reference.to_owned());
            }
        }
        // The default toolchain images, with the platforms that they are locked for.
        let defaults: Vec<(String, Vec<Platform>)> = lock
            .bases()
            .filter(|(reference, _)| {
                rust_image::is_default(reference) && !used.contains(*reference)
            })
            .map(|(reference, locked)| {
                (
                    reference.to_owned(),
                    locked
                        .platforms
                        .keys()
                        .filter_map(|platform| platform.parse().ok())
                        .collect(),
                )
            })
            .collect();
        for (reference, platforms) in defaults {
            bases::locked(&reference, &platforms, lock, &*source, LockMode::Renew).await?;
            used.insert(reference);
        }
    }
    // Bases that no image uses can be removed only if all packages are selected.
    if loaded
        .workspace
        .packages
        .iter()
        .filter(|package| package.declares_union)
        .count()
        == loaded.packages.len()
    {
        lock.retain_bases(|base| used.contains(base));
    }
    Ok(())
}

/// Raises the generation of environments, which is a part of their keys.
///
/// # Errors
/// `UnknownImage`.
pub(crate) fn raise_generations(
    loaded: &LoadedWorkspace,
    images: &[String],
    lock: &mut UnionLock,
    reporter: &dyn Reporter,
) -> Result<()> {
    for image in images {
        let mut found = false;
        for declared in loaded
            .packages
            .iter()
            .filter(|declared| declared.spec.images.contains_key(image))
        {
            lock.bump(&declared.package.name, image);
            let generation = lock.generation(&declared.package.name, image);
            reporter.status(
                "Updating",
                &format!(
                    "environment `{image}` of `{}` to generation {generation}",
                    declared.package.name
                ),
            );
            found = true;
        }
        if !found {
            return Err(loaded.unknown_image(image).into());
        }
    }
    Ok(())
}
