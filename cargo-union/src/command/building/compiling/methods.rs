//! With what each compile of a package is done, from what was chosen for each of its images.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Result;
use union_build::diag::Code;

use super::container::Container;
use super::{Jobs, jobs};
use crate::base::error::Error;
use crate::build::docker::DockerBuilder;
use crate::command::planning::keys::{Crate, Keyed, unasked};
use crate::command::session::Session;
use crate::settings::Work;
use crate::ui::Ui;
use crate::workspace::{CompileSettings, Host, Method, Place, Snapshot, Workshop};

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
    pub(in crate::command) builder: Arc<DockerBuilder>,
    pub(in crate::command) ui: &'a Arc<Ui>,
}

impl Choosing<'_> {
    /// Takes together what was chosen for each of the images: those that share a compile are looked at together, for
    /// it must fit all of them. The tag of each image covers the choices of all.
    ///
    /// # Errors
    /// `EngineUnreachable`, or what the host lacks when nobody asked for an engine.
    pub(in crate::command) async fn choose(&self, images: &[Keyed], missing: &[&Keyed]) -> Result<Methods> {
        let mut methods = Methods::default();
        let wanted: Jobs<'_> = jobs(images, missing);
        for (settings, target) in wanted.into_keys() {
            let group: Vec<(&Keyed, &Crate, usize)> = group(images, settings, target);
            let compilers = || group.iter().filter_map(|(_, code, position)| code.compilers.get(*position));
            let chosen = match compilers().map(|compiler| compiler.place).max() {
                Some(Place::Container) => self.container(settings, target, &group).await?,
                Some(Place::Zig) => {
                    let method = Method::Zig(compilers().filter_map(|compiler| compiler.glibc).min());
                    Chosen { method, workshop: Arc::new(Host) }
                }
                Some(Place::Host | Place::Auto) | None => {
                    self.snapshot.check_linker(target, settings)?;
                    Chosen { method: Method::Host, workshop: Arc::new(Host) }
                }
            };
            methods.0.insert((settings.clone(), target.to_owned()), chosen);
        }
        Ok(methods)
    }

    async fn container(&self, settings: &CompileSettings, target: &str, group: &[(&Keyed, &Crate, usize)]) -> Result<Chosen> {
        let found = group.iter().find_map(|(keyed, code, position)| {
            let (platform, _) = keyed.bases.get(*position)?;
            let (_, toolchain) = code.toolchains.iter().find(|(own, _)| own == platform)?;
            Some((keyed, platform, toolchain))
        });
        let unknown = || Error::new(Code::RustImageUnknown, format!("could not find an image to compile for `{target}` in"));
        let (keyed, platform, toolchain) = found.ok_or_else(unknown)?;
        if settings.place == Place::Auto {
            let engine = self.builder.engines().engine().await;
            engine.map_err(|error| unasked(error.into(), settings, platform, self.snapshot))?;
        }
        let container = Container::new(self, settings, target, keyed.spec(), platform, toolchain);
        let (method, workshop) = (Method::Container(container.folder().to_owned()), Arc::new(container));
        Ok(Chosen { method, workshop })
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
