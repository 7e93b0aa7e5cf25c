//! Where images go: from `--output`, `--no-push` and the manifest to a route for each image.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Result;
use union_build::diag::Code;
use union_build::spec::Spec;

use super::backend;
use super::context::{is_chosen, project_domain};
use super::resolve::ResolvedImage;
use super::route::ImageBackend;
use super::route::dry_run::DryRun;
use super::route::local::LocalBackend;
use super::route::remote::{self, Connection, RemoteBackend};
use crate::build::Builder;
use crate::build::environment::is_remote;
use crate::build::native::NativeBuilder;
use crate::build::remote::RemoteBuilder;
use crate::engine::EngineLocator;
use crate::image::BaseSource;
use crate::pipeline::Reporter;
use crate::pipeline::context::{LoadedWorkspace, UnionPackage};
use crate::pipeline::options::{BuildOptions, Output};
use crate::publish::Publisher;
use crate::publish::daemon::Daemon;
use crate::publish::layout::{Layout, TagPolicy};
use crate::publish::registry::Registry;
use crate::publish::tar::TarFile;
use crate::sys::error::Error;

/// Where one image goes.
#[derive(Clone)]
pub(crate) struct PublishTarget {
    /// Makes it and brings it there.
    pub(crate) backend: Arc<dyn ImageBackend>,
    /// As a user would type it: `ghcr.io/acme/app:tag`, `oci:target/union/oci/app`.
    pub(crate) location: String,
    /// Whether it is a registry, so that the image can be pulled by digest.
    pub(crate) in_registry: bool,
}

/// The routes of one package's images.
pub(crate) struct OutputResolver {
    /// Where bases come from: the registry client, whatever the output is.
    pub(crate) source: Arc<dyn BaseSource>,
    /// The client of all registries.
    pub(crate) registry: Arc<Registry>,
    /// The native builder.
    builder: Arc<dyn Builder>,
    /// The backend, when it makes one of the chosen images.
    remote: Option<RemoteBackend>,
    reporter: Arc<dyn Reporter>,
    /// The container engine, for whatever needs one.
    pub(crate) engines: Arc<EngineLocator>,
    is_dry_run: bool,
    output: Output,
    local: PathBuf,
    several: bool,
    /// Names that several images of the package have: one repository, but not one local layout.
    shared_names: BTreeSet<String>,
}

impl OutputResolver {
    /// Prepares the publishers; nothing is opened yet.
    ///
    /// # Errors
    /// `BackendMissing` and `ProjectMissing` where the backend makes images.
    pub(crate) fn new(
        work: &BuildOptions,
        session: &LoadedWorkspace,
        declared: &UnionPackage,
        reporter: &Arc<dyn Reporter>,
    ) -> Result<Self> {
        let workspace = &session.workspace;
        let registry = session.clients.get(&work.scope, &declared.spec, work.jobs, reporter);
        let of_backend = declared.spec.images.values().any(|image| is_remote(image) && is_chosen(declared, &image.key, &work.tasks));
        let remote = of_backend.then(|| remote_backend(work, session, declared, &registry, reporter)).transpose()?;
        Ok(Self {
            source: registry.clone(),
            builder: Arc::new(NativeBuilder::new(work.scope.cache.clone(), registry.clone(), reporter.clone())),
            registry,
            remote,
            reporter: reporter.clone(),
            engines: session.engines.clone(),
            is_dry_run: work.dry,
            output: work.output.clone(),
            local: workspace.target_directory.join("union/oci"),
            several: declared.spec.images.len() > 1,
            shared_names: shared_names(&declared.spec),
        })
    }

    /// Refuses an output that cannot hold the chosen images.
    ///
    /// # Errors
    /// `UsageInvalid`.
    pub(crate) fn check(&self, chosen: &[&ResolvedImage], work: &BuildOptions) -> Result<()> {
        let remote = chosen.iter().find(|resolved| resolved.is_remote());
        if let (Some(resolved), false) = (remote, self.output == Output::Default) {
            let what = format!("image `{}` is made by the backend and stays there, so that it cannot go elsewhere", resolved.name);
            let help = "To have it elsewhere, or to run it on this machine, make it here: `--builder docker`.";
            return Err(Error::new(Code::UsageInvalid, what).help(help).into());
        }
        if let (Output::Tar(file), true) = (&self.output, chosen.len() > 1) {
            let error = Error::new(Code::UsageInvalid, format!("`{}` cannot hold {} images", file.display(), chosen.len()));
            let help =
                if work.tasks.is_empty() { "Choose one with `--task`, or use `--output oci:DIR`." } else { "Use `--output oci:DIR`." };
            return Err(error.help(help).into());
        }
        Ok(())
    }

    /// Where an image goes.
    pub(crate) fn resolve(&self, resolved: &ResolvedImage) -> PublishTarget {
        let target = self.route(resolved);
        if self.is_dry_run { PublishTarget { backend: Arc::new(DryRun(target.backend)), ..target } } else { target }
    }

    fn local(&self, publisher: Arc<dyn Publisher>, location: String, in_registry: bool) -> PublishTarget {
        let backend = LocalBackend { builder: self.builder.clone(), publisher, location: location.clone(), in_registry };
        PublishTarget { backend: Arc::new(backend), location, in_registry }
    }

    fn route(&self, resolved: &ResolvedImage) -> PublishTarget {
        if let (true, Some(remote)) = (resolved.is_remote(), &self.remote) {
            return PublishTarget { backend: Arc::new(remote.clone()), location: remote::location(resolved), in_registry: false };
        }
        let name = &resolved.spec().name.value;
        let folder = if self.shared_names.contains(name) { format!("{name}-{}", resolved.name) } else { name.clone() };
        let local = |publisher, location| self.local(publisher, location, false);
        let layout = |folder: PathBuf, tags| {
            let location = format!("oci:{}:{}", folder.display(), resolved.tag);
            local(Arc::new(Layout::new(folder, tags, self.source.clone(), self.reporter.clone())), location)
        };
        match (&self.output, resolved.reference()) {
            (Output::Default, Some(reference)) => self.local(self.registry.clone(), reference.to_string(), true),
            (Output::Default, None) | (Output::Local, _) => layout(self.local.join(folder), TagPolicy::One),
            (Output::Oci(wanted), _) => layout(if self.several { wanted.join(folder) } else { wanted.clone() }, TagPolicy::Many),
            (Output::Tar(file), _) => {
                let publisher = TarFile::new(file, self.source.clone(), self.reporter.clone());
                local(Arc::new(publisher), format!("tar:{}", file.display()))
            }
            (Output::Docker, _) => {
                let publisher = Daemon::new(self.engines.clone(), self.source.clone(), self.reporter.clone());
                // As the publisher names it, or a second run would know nothing of the first.
                let name = resolved.reference().map_or_else(|| format!("{name}:{}", resolved.tag), |reference| reference.to_string());
                local(Arc::new(publisher), format!("docker:{name}"))
            }
        }
    }
}

/// The backend that makes images of a package. Nothing is sent yet.
///
/// # Errors
/// `BackendMissing`, `ProjectMissing`.
fn remote_backend(
    work: &BuildOptions,
    session: &LoadedWorkspace,
    declared: &UnionPackage,
    registry: &Arc<Registry>,
    reporter: &Arc<dyn Reporter>,
) -> Result<RemoteBackend> {
    let client = backend::client(&work.scope.backend, &session.backend, false, reporter)?;
    let scope = project_domain(declared, &session.backend)?;
    let builder = RemoteBuilder::new(work.scope.cache.clone(), registry.clone(), reporter.clone());
    let logs = session.workspace.logs(&declared.package.name);
    Ok(RemoteBackend::new(Connection::new(client, scope, registry.clone(), builder, logs, reporter.clone())))
}

fn shared_names(spec: &Spec) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    spec.images.values().map(|image| image.name.value.clone()).filter(|name| !seen.insert(name.clone())).collect()
}
