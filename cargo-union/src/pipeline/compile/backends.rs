//! With what each compile of a package is done, from what was chosen for each of its images.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Result;
use union_build::diag::Code;

use super::container::ContainerRunner;
use super::selector::CompileSelector;
use super::{Jobs, jobs};
use crate::image::platform::Platform;
use crate::pipeline::resolve::{PlatformCompile, ResolvedImage, unasked};
use crate::sys::error::Error;
use crate::workspace::{CargoRunner, CompileBackend, CompileMode, CompileSettings, Host};

/// The methods of a package, by what is compiled.
#[derive(Default)]
pub(crate) struct CompilePlan(BTreeMap<(CompileSettings, String), CompileChoice>);

/// With what one compile is done, and where.
pub(super) struct CompileChoice {
    pub(super) method: CompileBackend,
    pub(super) workshop: Arc<dyn CargoRunner>,
}

impl CompilePlan {
    pub(super) fn of(&self, settings: &CompileSettings, target: &str) -> &CompileChoice {
        &self.0[&(settings.clone(), target.to_owned())]
    }
}

impl CompileSelector<'_> {
    /// Takes together what was chosen for each of the images: those that share a compile are looked at together, for
    /// it must fit all of them. The tag of each image covers the choices of all.
    ///
    /// # Errors
    /// `EngineUnreachable`, or what the host lacks when nobody asked for an engine.
    pub(crate) async fn choose(&self, images: &[ResolvedImage], missing: &[&ResolvedImage]) -> Result<CompilePlan> {
        let mut methods = CompilePlan::default();
        let wanted: Jobs<'_> = jobs(images, missing);
        for (settings, target) in wanted.into_keys() {
            let group = SharedCompile::members(images, settings, target);
            let compilers = || group.iter().map(|member| member.build.compiler);
            let chosen = match compilers().map(|compiler| compiler.place).max() {
                Some(CompileMode::Container) => self.container(settings, target, &group).await?,
                Some(CompileMode::Zig) => {
                    let method = CompileBackend::Zig(compilers().filter_map(|compiler| compiler.glibc).min());
                    CompileChoice { method, workshop: Arc::new(Host) }
                }
                Some(CompileMode::Host | CompileMode::Auto) | None => {
                    self.package.snapshot.check_linker(target, settings)?;
                    CompileChoice { method: CompileBackend::Host, workshop: Arc::new(Host) }
                }
            };
            methods.0.insert((settings.clone(), target.to_owned()), chosen);
        }
        Ok(methods)
    }

    async fn container(&self, settings: &CompileSettings, target: &str, group: &[SharedCompile<'_>]) -> Result<CompileChoice> {
        let first = group.iter().find_map(|member| Some((member, member.build.toolchain.as_ref()?)));
        let unknown = || Error::new(Code::RustImageUnknown, format!("could not find an image to compile for `{target}` in"));
        let (SharedCompile { resolved, platform, .. }, toolchain) = first.ok_or_else(unknown)?;
        if settings.place == CompileMode::Auto {
            let engine = self.builder.engines().engine().await;
            engine.map_err(|error| unasked(error.into(), settings, platform, self.package.snapshot))?;
        }
        let container = ContainerRunner::new(self, settings, target, resolved.spec(), platform, toolchain);
        let (method, workshop) = (CompileBackend::Container(container.folder().to_owned()), Arc::new(container));
        Ok(CompileChoice { method, workshop })
    }
}

/// An image that shares a compile with others, and the platform of it that the compile is for.
struct SharedCompile<'a> {
    resolved: &'a ResolvedImage,
    platform: &'a Platform,
    build: &'a PlatformCompile,
}

impl<'a> SharedCompile<'a> {
    fn members(images: &'a [ResolvedImage], settings: &CompileSettings, target: &str) -> Vec<Self> {
        let member = |resolved: &'a ResolvedImage| {
            let code = resolved.code.as_ref().filter(|code| code.compile == *settings)?;
            let (platform, build) = code.builds.iter().find(|(_, build)| build.target == target)?;
            Some(Self { resolved, platform, build })
        };
        images.iter().filter_map(member).collect()
    }
}
