//! The list of crates in packaged binaries: a section of the copy that is packed. cargo's own files stay as they are.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use futures_util::future::join_all;
use object::read::ReadCache;
use union_build::diag::Code;

use super::context::{PackageContext, UnionPackage};
use super::executables::Executables;
use super::package::PackageBuild;
use crate::build::{EffectiveConfig, Executable};
use crate::image::audit_data::{self, SECTION};
use crate::image::crate_graph::CrateGraph;
use crate::image::per_platform::PerPlatform;
use crate::image::platform::Platform;
use crate::image::section::{SectionError, append_section};
use crate::pipeline::options::BuildOptions;
use crate::pipeline::problems::Result;
use crate::pipeline::resolve::ResolvedImage;
use crate::sys::error::Error;
use crate::sys::fs;
use crate::workspace::Snapshot;

/// Lists the crates of the missing images while they are compiled, so that [`add_crates`] finds the lists in the cache.
/// Errors are ignored here and reported by [`add_crates`], because an error of the compile is more specific. Images
/// with the same compile have the same list.
pub(super) async fn prepare(builds: &[PackageBuild<'_>]) {
    let mut lists = BTreeMap::new();
    for build in builds {
        for image in build.plan.missing() {
            let resolved = &image.resolved;
            let code = resolved.code.as_ref().filter(|_| is_audited(resolved));
            for (platform, compile) in code.iter().flat_map(|code| code.builds.iter()) {
                let settings = code.map(|code| &code.compile);
                let name = (build.context.package.name(), settings, &compile.target);
                lists
                    .entry(name)
                    .or_insert_with(|| crates_of(build, resolved, platform));
            }
        }
    }
    drop(join_all(lists.into_values()).await);
}

/// The executables to pack for each missing image of a package, by its name: with the section, unless they have one.
///
/// # Errors
/// `CratesUnlisted`; `FileUnreadable` and `FileUnwritable` for the copies.
pub(super) async fn add_crates(
    build: &PackageBuild<'_>,
    executables: &Executables,
) -> Result<BTreeMap<String, PerPlatform<Vec<Executable>>>> {
    let context = &build.context;
    let directory = context
        .loaded
        .workspace
        .target_directory
        .join("union/packaged")
        .join(context.package.name());
    let mut packaged = BTreeMap::new();
    for image in build.plan.missing() {
        let resolved = &image.resolved;
        let mut platforms = Vec::new();
        for (position, (platform, _)) in resolved.bases.iter().enumerate() {
            let mut files = executables.of(resolved, platform);
            let graph = match is_audited(resolved) {
                true => crates_of(build, resolved, platform).await?,
                false => None,
            };
            if let Some(graph) = graph {
                let content = audit_data::encode(&graph);
                let directory = directory.join(&resolved.name).join(position.to_string());
                for file in &mut files {
                    add_section(file, &content, &directory)?;
                }
            }
            platforms.push((platform.clone(), files));
        }
        packaged.insert(resolved.name.clone(), platforms.into_iter().collect());
    }
    Ok(packaged)
}

fn is_audited(resolved: &ResolvedImage) -> bool {
    EffectiveConfig::of(&resolved.chain).auditable
}

async fn crates_of(
    build: &PackageBuild<'_>,
    resolved: &ResolvedImage,
    platform: &Platform,
) -> Result<Option<CrateGraph>> {
    let PackageContext {
        options,
        snapshot,
        package,
        ..
    } = build.context;
    list_crates(options, snapshot, package, resolved, platform).await
}

/// The crates of an image's binaries for a platform; `None` for an image without binaries.
pub(super) async fn list_crates(
    options: &BuildOptions,
    snapshot: &Snapshot<'_>,
    package: &UnionPackage,
    resolved: &ResolvedImage,
    platform: &Platform,
) -> Result<Option<CrateGraph>> {
    let Some(code) = &resolved.code else {
        return Ok(None);
    };
    let Some(compile) = code.builds.get(platform) else {
        return Ok(None);
    };
    let crates = snapshot.crates(
        &package.package,
        &code.compile,
        &compile.target,
        &code.inputs,
        &options.scope.cache,
    );
    Ok(Some(crates.await?))
}

/// Replaces an executable by a copy in `directory` that has the section. An executable that has it already is not
/// replaced.
fn add_section(executable: &mut Executable, content: &[u8], directory: &Path) -> Result<()> {
    let path = &executable.path;
    let file = File::open(path).map_err(|cause| fs::unreadable(path, cause))?;
    let section = match append_section(&ReadCache::new(&file), SECTION, content) {
        // The start check reports what is wrong with the file.
        Err(SectionError::Elf(_)) => return Ok(()),
        section => section.map_err(|cause| {
            let name = &executable.name;
            let message = format!("could not add the list of its crates to `{name}`");
            Error::new(Code::CratesUnlisted, message).because(cause)
        })?,
    };
    if let Some(section) = section {
        fs::create_directory(directory)?;
        let copy = directory.join(&executable.name);
        fs::copy_with(path, &copy, &section.header, &section.tail)?;
        executable.path = copy;
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn file_that_is_no_program_is_left_for_the_start_check() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("hello");
        std::fs::write(&path, "#!/bin/sh\n").unwrap();
        let mut executable = Executable {
            name: "hello".to_owned(),
            path: path.clone(),
        };
        add_section(&mut executable, b"x", &directory.path().join("copy")).unwrap();
        assert_eq!(executable.path, path);
    }
}
