//! With what each compile of a package is done, decided before anything is.
//!
//! The host's cargo compiles whatever it can. cargo-zigbuild, where it is installed, makes what the
//! host cannot link and what must start with an older C library; a container makes the rest.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Result;

use super::container::Container;
use super::{Jobs, jobs};
use crate::base::process::Command;
use crate::build::docker::DockerBuilder;
use crate::build::{LockedBase, base_facts};
use crate::command::planning::keys::{Ask, Crate, Keyed};
use crate::command::planning::{bases, rust_image};
use crate::command::session::Session;
use crate::image::glibc::Glibc;
use crate::image::platform::Platform;
use crate::settings::Work;
use crate::ui::Ui;
use crate::workspace::targets::target_for;
use crate::workspace::{CompileSettings, Host, Linkage, Method, Place, Snapshot, UnionLock, Workshop, check_zig};

/// The methods of a package, by what is compiled.
#[derive(Default)]
pub(in crate::command) struct Methods(BTreeMap<(CompileSettings, String), Chosen>);

/// With what one compile is done, and where.
pub(super) struct Chosen {
    pub(super) method: Method,
    pub(super) workshop: Arc<dyn Workshop>,
}

impl Methods {
    pub(super) fn of(&self, settings: &CompileSettings, target: &str) -> &Chosen {
        &self.0[&(settings.clone(), target.to_owned())]
    }
}

/// What a choice is made from.
pub(in crate::command) struct Choosing<'a> {
    pub(in crate::command) work: &'a Work,
    pub(in crate::command) session: &'a Session,
    pub(in crate::command) snapshot: &'a Snapshot<'a>,
    pub(in crate::command) ask: Ask<'a>,
    pub(in crate::command) builder: Arc<DockerBuilder>,
    pub(in crate::command) ui: &'a Arc<Ui>,
}

impl Choosing<'_> {
    /// Chooses for everything that the missing images need. Images that share a compile are looked at
    /// together, for it must fit all of them.
    ///
    /// # Errors
    /// `ToolMissing`, `TargetMissing`, `EngineUnreachable`, `RustImageUnknown`, and what bases end with.
    pub(in crate::command) async fn choose(&self, images: &[Keyed], missing: &[&Keyed], lock: &mut UnionLock) -> Result<Methods> {
        let mut methods = Methods::default();
        let wanted: Jobs<'_> = jobs(images, missing);
        for (settings, target) in wanted.into_keys() {
            let group: Vec<(&Keyed, &Crate, usize)> = group(images, settings, target);
            let chosen = match self.place(settings, target, &group).await? {
                Place::Container => self.container(settings, &group, lock).await?,
                Place::Zig => {
                    let method = Method::Zig(self.oldest_glibc(settings, target, &group).await?);
                    Chosen { method, workshop: Arc::new(Host) }
                }
                Place::Host | Place::Auto => Chosen { method: Method::Host, workshop: Arc::new(Host) },
            };
            methods.0.insert((settings.clone(), target.to_owned()), chosen);
        }
        Ok(methods)
    }

    /// Where something is compiled; never `auto`.
    async fn place(&self, settings: &CompileSettings, target: &str, group: &[(&Keyed, &Crate, usize)]) -> Result<Place> {
        let snapshot = self.snapshot;
        match settings.place {
            Place::Zig => check_zig(&self.work.scope.cargo).map(|()| Place::Zig).map_err(Into::into),
            Place::Auto if snapshot.can_make(target) => {
                if !snapshot.can_make_with_zig(target) {
                    return Ok(Place::Host);
                }
                let (oldest, own) = (self.oldest_glibc(settings, target, group).await?, self.host_glibc().await);
                Ok(if oldest.zip(own).is_some_and(|(oldest, own)| oldest < own) { Place::Zig } else { Place::Host })
            }
            Place::Auto if snapshot.can_make_with_zig(target) => Ok(Place::Zig),
            Place::Auto => Ok(Place::Container),
            Place::Host => Ok(snapshot.check_linker(target).map(|()| Place::Host)?),
            chosen => Ok(chosen),
        }
    }

    /// The oldest C library of all images that share a compile; `None` when none of them decides.
    async fn oldest_glibc(&self, settings: &CompileSettings, target: &str, group: &[(&Keyed, &Crate, usize)]) -> Result<Option<Glibc>> {
        if settings.linkage == Linkage::Static || !target.contains("-gnu") {
            return Ok(None);
        }
        let mut oldest: Option<Glibc> = None;
        for (keyed, _, position) in group {
            let (platform, base) = &keyed.bases[*position];
            let Some(base) = base else { continue };
            let own = base_facts(self.ask.cache, self.ask.source, base, platform).await?.glibc;
            oldest = oldest.into_iter().chain(own).min();
        }
        Ok(oldest)
    }

    /// The C library of this machine, which what is linked here will ask for.
    async fn host_glibc(&self) -> Option<Glibc> {
        let cargo = &self.work.scope.cargo;
        let mut command = Command::new("getconf", &self.session.workspace.root, &cargo.environment);
        command.arg("GNU_LIBC_VERSION");
        let said = command.output().await.ok()?.success().ok()?;
        String::from_utf8_lossy(&said).trim().strip_prefix("glibc ")?.parse().ok()
    }

    async fn container(&self, settings: &CompileSettings, group: &[(&Keyed, &Crate, usize)], lock: &mut UnionLock) -> Result<Chosen> {
        let (keyed, code, position) = group.first().expect("something is compiled for an image");
        let (platform, base) = &keyed.bases[*position];
        let toolchain = match code.toolchains.get(*position) {
            Some((_, toolchain)) => toolchain.clone(),
            None => self.unasked(settings, &keyed.name, base.as_ref(), platform, lock).await.map_err(|error| {
                // Nobody asked for a container: what the host lacks is as much the cause.
                let target = target_for(platform, settings.linkage, self.snapshot.toolchain(), Place::Host);
                match (target.and_then(|target| self.snapshot.check_linker(&target)), error.downcast_ref()) {
                    (Err(lacks), Some(error)) => {
                        let error: &crate::base::error::Error = error;
                        anyhow::Error::from(
                            lacks.because(format!("and it cannot be compiled in a container: {}", error.chain().join(": "))),
                        )
                    }
                    _ => error,
                }
            })?,
        };
        let container = Container::new(self, settings, keyed.spec(), platform, &toolchain);
        let (method, workshop) = (Method::Container(container.folder().to_owned()), Arc::new(container));
        Ok(Chosen { method, workshop })
    }

    /// The toolchain for a compile that has to be in a container although nobody asked for one.
    async fn unasked(
        &self,
        settings: &CompileSettings,
        image: &str,
        base: Option<&LockedBase>,
        platform: &Platform,
        lock: &mut UnionLock,
    ) -> Result<LockedBase> {
        self.builder.engines().engine().await?;
        let reference = rust_image::of(settings, image, base, platform, self.snapshot, &self.ask).await?;
        let locked = bases::locked(&reference, std::slice::from_ref(platform), lock, &**self.ask.source, self.ask.policy).await?;
        Ok(locked.into_iter().find_map(|(_, image)| image).expect("a reference has a digest for each platform"))
    }
}

/// The images that share a compile, each with the position of the platform that it is for.
fn group<'a>(images: &'a [Keyed], settings: &CompileSettings, target: &str) -> Vec<(&'a Keyed, &'a Crate, usize)> {
    let of = |keyed: &'a Keyed| {
        let code = keyed.code.as_ref().filter(|code| code.compile == *settings)?;
        let position = code.targets.iter().position(|own| own == target)?;
        Some((keyed, code, position))
    };
    images.iter().filter_map(of).collect()
}
