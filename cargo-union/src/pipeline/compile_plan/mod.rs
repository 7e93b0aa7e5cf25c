//! Selects the compile backend (host, cargo-zigbuild, container) of each compile of a package.

mod container;
pub(super) mod jobs;
pub(super) mod selector;

use std::collections::BTreeMap;
use std::sync::Arc;

use union_build::diag::Code;

use crate::image::platform::Platform;
use crate::pipeline::problems::Result;
use crate::pipeline::resolve::{PlatformCompile, ResolvedImage, prefer_host_error};
use crate::sys::error::Error;
use crate::workspace::{CargoRunner, CompileBackend, CompileMode, CompileSettings, Host};
use container::ContainerRunner;
use jobs::collect_jobs;
use selector::CompileSelector;

/// The compile backends of a package, by compile settings and target.
#[derive(Default)]
pub(crate) struct CompilePlan(BTreeMap<(CompileSettings, String), CompileChoice>);

/// The backend of a compile, and the runner that starts cargo.
pub(crate) struct CompileChoice {
    pub(crate) method: CompileBackend,
    pub(crate) runner: Arc<dyn CargoRunner>,
}

impl CompilePlan {
    pub(crate) fn of(&self, settings: &CompileSettings, target: &str) -> &CompileChoice {
        &self.0[&(settings.clone(), target.to_owned())]
    }
}

impl CompileSelector<'_> {
    /// Selects a backend for each compile from the compilers of its images. Images that share a compile may have
    /// different ones; the backend has to suit all of them. The tag of each image covers the compilers of all.
    ///
    /// # Errors
    /// `EngineUnreachable`, or what the host lacks if the container was chosen by `compile = "auto"`.
    pub(crate) async fn select(
        &self,
        images: &[ResolvedImage],
        missing: &[&ResolvedImage],
    ) -> Result<CompilePlan> {
        let mut compile_plan = CompilePlan::default();
        let jobs = collect_jobs(images, missing);
        for (settings, target) in jobs.into_keys() {
            let group = SharedCompile::members(images, settings, target);
            let compilers = || group.iter().map(|member| member.build.compiler);
            let choice = match compilers().map(|compiler| compiler.compile_mode).max() {
                Some(CompileMode::Container) => {
                    self.select_container(settings, target, &group).await?
                }
                Some(CompileMode::Zig) => {
                    let method = CompileBackend::Zig(
                        compilers().filter_map(|compiler| compiler.glibc).min(),
                    );
                    CompileChoice {
                        method,
                        runner: Arc::new(Host),
                    }
                }
                Some(CompileMode::Host | CompileMode::Auto) | None => {
                    self.context.snapshot.check_linker(target, settings)?;
                    CompileChoice {
                        method: CompileBackend::Host,
                        runner: Arc::new(Host),
                    }
                }
            };
            compile_plan
                .0
                .insert((settings.clone(), target.to_owned()), choice);
        }
        Ok(compile_plan)
    }

    async fn select_container(
        &self,
        settings: &CompileSettings,
        target: &str,
        group: &[SharedCompile<'_>],
    ) -> Result<CompileChoice> {
        let first = group
            .iter()
            .find_map(|member| Some((member, member.build.toolchain.as_ref()?)));
        let unknown = || {
            Error::new(
                Code::RustImageUnknown,
                format!("could not find an image to compile for `{target}` in"),
            )
        };
        let (
            SharedCompile {
                resolved, platform, ..
            },
            toolchain,
        ) = first.ok_or_else(unknown)?;
        if settings.compile_mode == CompileMode::Auto {
            let engine = self.builder.engines().engine().await;
            engine.map_err(|error| {
                prefer_host_error(error.into(), settings, platform, self.context.snapshot)
            })?;
        }
        let learned = group
            .iter()
            .filter_map(|member| member.resolved.code.as_ref())
            .flat_map(|code| code.inputs.learned_variables());
        let image = (resolved.spec(), *platform, toolchain);
        let container = ContainerRunner::new(self, settings, target, image, learned);
        let method = CompileBackend::Container(container.directory_name().to_owned());
        Ok(CompileChoice {
            method,
            runner: Arc::new(container),
        })
    }
}

/// An image of a shared compile, with the platform that is compiled.
struct SharedCompile<'a> {
    resolved: &'a ResolvedImage,
    platform: &'a Platform,
    build: &'a PlatformCompile,
}

impl<'a> SharedCompile<'a> {
    fn members(images: &'a [ResolvedImage], settings: &CompileSettings, target: &str) -> Vec<Self> {
        let member = |resolved: &'a ResolvedImage| {
            let code = resolved
                .code
                .as_ref()
                .filter(|code| code.compile == *settings)?;
            let (platform, build) = code
                .builds
                .iter()
                .find(|(_, build)| build.target == target)?;
            Some(Self {
                resolved,
                platform,
                build,
            })
        };
        images.iter().filter_map(member).collect()
    }
}
