//! Chooses the backend that builds and publishes each image, from `--output`, `--no-push` and the manifest.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use union_build::diag::Code;
use union_build::spec::Spec;

use super::context::{is_chosen, project_domain};
use super::resolve::ResolvedImage;
use super::route::ImageBackend;
use super::route::dry_run::DryRun;
use super::route::local::LocalBackend;
use super::route::remote::{self, Connection, RemoteBackend};
use crate::build::Builder;
use crate::build::native::NativeBuilder;
use crate::build::remote::RemoteBuilder;
use crate::engine::EngineLocator;
use crate::image::BaseSource;
use crate::pipeline::Reporter;
use crate::pipeline::context::{LoadedWorkspace, UnionPackage};
use crate::pipeline::options::{BuildOptions, ImageOutput};
use crate::pipeline::problems::Result;
use crate::pipeline::reporter::PackageSteps;
use crate::publish::Publisher;
use crate::publish::daemon::Daemon;
use crate::publish::layout::{Layout, TagPolicy};
use crate::publish::registry::Registry;
use crate::publish::tar::TarFile;
use crate::sys::error::Error;

/// The destination of an image.
#[derive(Clone)]
pub(crate) struct PublishTarget {
    /// Builds and publishes the image.
    pub(crate) backend: Arc<dyn ImageBackend>,
    /// As a user would type it: `ghcr.io/acme/app:tag`, `oci:target/union/oci/app`.
    pub(crate) location: String,
    /// Whether the destination is a registry, from which the image can be pulled by digest.
    pub(crate) in_registry: bool,
}

/// Chooses the destinations of the images of a package.
pub(crate) struct OutputResolver {
    /// The source of base images: the registry client, with any output.
    pub(crate) source: Arc<dyn BaseSource>,
    pub(crate) registry: Arc<Registry>,
    builder: Arc<dyn Builder>,
    /// Set if the backend builds one of the selected images.
    remote: Option<RemoteBackend>,
    reporter: Arc<dyn Reporter>,
    /// Finds the container engine on first use.
    pub(crate) engines: Arc<EngineLocator>,
    is_dry_run: bool,
    output: ImageOutput,
    /// The directory of the local OCI layouts.
    layouts_directory: PathBuf,
    has_several_images: bool,
    /// Names that several images of the package share: they are in one repository, but in separate local layouts.
    shared_names: BTreeSet<String>,
}

impl OutputResolver {
    /// Creates the builders and publishers. Opens no connection.
    ///
    /// # Errors
    /// `BackendMissing` and `ProjectMissing` if the backend builds one of the selected images.
    pub(crate) fn new(
        options: &BuildOptions,
        loaded: &LoadedWorkspace,
        package: &UnionPackage,
        reporter: &Arc<dyn Reporter>,
    ) -> Result<Self> {
        let workspace = &loaded.workspace;
        let registry = loaded
            .clients
            .get(&options.scope, &package.spec, options.jobs, reporter);
        let has_remote = package
            .spec
            .images
            .values()
            .any(|image| image.is_remote() && is_chosen(package, &image.key, &options.tasks));
        let remote = has_remote
            .then(|| remote_backend(options, loaded, package, &registry, reporter))
            .transpose()?;
        Ok(Self {
            source: registry.clone(),
            builder: Arc::new(NativeBuilder::new(
                options.scope.cache.clone(),
                registry.clone(),
                PackageSteps::new(package.name(), reporter),
            )),
            registry,
            remote,
            reporter: reporter.clone(),
            engines: loaded.engines.clone(),
            is_dry_run: options.dry,
            output: options.output.clone(),
            layouts_directory: workspace.target_directory.join("union/oci"),
            has_several_images: package.spec.images.len() > 1,
            shared_names: shared_names(&package.spec),
        })
    }

    /// Checks that the output can hold the selected images.
    ///
    /// # Errors
    /// `UsageInvalid` for several images in one tar file, and for any output of an image that the backend builds.
    pub(crate) fn check(&self, selected: &[&ResolvedImage], options: &BuildOptions) -> Result<()> {
        let remote = selected.iter().find(|resolved| resolved.is_remote());
        if let (Some(resolved), false) = (remote, self.output == ImageOutput::Default) {
            let what = format!(
                "image `{}` is built by the backend, which does not support other outputs than its registry",
                resolved.name
            );
            let help = "To publish it elsewhere, or to run it on this machine, build it here: `--builder docker`.";
            return Err(Error::new(Code::UsageInvalid, what).help(help).into());
        }
        if let (ImageOutput::Tar(file), true) = (&self.output, selected.len() > 1) {
            let error = Error::new(
                Code::UsageInvalid,
                format!("`{}` cannot hold {} images", file.display(), selected.len()),
            );
            let help = if options.tasks.is_empty() {
                "Choose one with `--task`, or use `--output oci:DIR`."
            } else {
                "Use `--output oci:DIR`."
            };
            return Err(error.help(help).into());
        }
        Ok(())
    }

    /// Returns the destination of an image.
    pub(crate) fn resolve(&self, resolved: &ResolvedImage) -> PublishTarget {
        let target = self.choose_backend(resolved);
        if self.is_dry_run {
            PublishTarget {
                backend: Arc::new(DryRun(target.backend)),
                ..target
            }
        } else {
            target
        }
    }

    fn local_backend(
        &self,
        publisher: Arc<dyn Publisher>,
        location: String,
        in_registry: bool,
    ) -> PublishTarget {
        let backend = LocalBackend {
            builder: self.builder.clone(),
            publisher,
            location: location.clone(),
            in_registry,
        };
        PublishTarget {
            backend: Arc::new(backend),
            location,
            in_registry,
        }
    }

    fn choose_backend(&self, resolved: &ResolvedImage) -> PublishTarget {
        if let (true, Some(remote)) = (resolved.is_remote(), &self.remote) {
            return PublishTarget {
                backend: Arc::new(remote.clone()),
                location: remote::location(resolved),
                in_registry: false,
            };
        }
        let name = &resolved.spec().name.value;
        let subdirectory = if self.shared_names.contains(name) {
            format!("{name}-{}", resolved.name)
        } else {
            name.clone()
        };
        let layout = |directory: PathBuf, tags| {
            let location = format!("oci:{}:{}", directory.display(), resolved.tag);
            let publisher =
                Layout::new(directory, tags, self.source.clone(), self.reporter.clone());
            self.local_backend(Arc::new(publisher), location, false)
        };
        match (&self.output, resolved.reference()) {
            (ImageOutput::Default, Some(reference)) => {
                self.local_backend(self.registry.clone(), reference.to_string(), true)
            }
            (ImageOutput::Default, None) | (ImageOutput::Local, _) => {
                layout(self.layouts_directory.join(subdirectory), TagPolicy::One)
            }
            (ImageOutput::Oci(directory), _) => {
                let directory = if self.has_several_images {
                    directory.join(subdirectory)
                } else {
                    directory.clone()
                };
                layout(directory, TagPolicy::Many)
            }
            (ImageOutput::Tar(file), _) => {
                let publisher = TarFile::new(file, self.source.clone(), self.reporter.clone());
                self.local_backend(
                    Arc::new(publisher),
                    format!("tar:{}", file.display()),
                    false,
                )
            }
            (ImageOutput::Docker, _) => {
                let publisher = Daemon::new(
                    self.engines.clone(),
                    self.source.clone(),
                    self.reporter.clone(),
                );
                // The same name as the publisher uses: a later run compares it with the record.
                let name = resolved.reference().map_or_else(
                    || format!("{name}:{}", resolved.tag),
                    |reference| reference.to_string(),
                );
                self.local_backend(Arc::new(publisher), format!("docker:{name}"), false)
            }
        }
    }
}

/// Creates the backend that builds images remotely. Opens no connection.
///
/// # Errors
/// `BackendMissing`, `ProjectMissing`.
fn remote_backend(
    options: &BuildOptions,
    loaded: &LoadedWorkspace,
    package: &UnionPackage,
    registry: &Arc<Registry>,
    reporter: &Arc<dyn Reporter>,
) -> Result<RemoteBackend> {
    let client = loaded.backend_client(&options.scope.backend, reporter)?;
    let scope = project_domain(package, &loaded.backend)?;
    let builder = RemoteBuilder::new(
        options.scope.cache.clone(),
        registry.clone(),
        PackageSteps::new(package.name(), reporter),
    );
    let logs = loaded.workspace.logs(package.name());
    Ok(RemoteBackend::new(Connection::new(
        client,
        scope,
        registry.clone(),
        builder,
        logs,
        reporter.clone(),
    )))
}

fn shared_names(spec: &Spec) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    spec.images
        .values()
        .map(|image| image.name.value.clone())
        .filter(|name| !seen.insert(name.clone()))
        .collect()
}
