//! The build of one package: the steps that [`execute`](super::execute) runs for all packages.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::try_join_all;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use super::compile_plan::CompilePlan;
use super::compile_plan::selector::CompileSelector;
use super::environment::{EnvironmentStore, docker_builder};
use super::executables::Executables;
use super::interfaces;
use super::outcome::{ImageOutcome, PackageOutcome};
use super::record::{from_existing, from_published};
use super::route::{Delivery, PackedImage, PublishedImage};
use super::state::TaskInterfaces;
use crate::build::{BaseImage, BuildRequest, Executable, LockedBase, PlatformBuildRequest};
use crate::image::per_platform::PerPlatform;
use crate::image::plan::ImageAction;
use crate::image::platform::Platform;
use crate::pipeline::context::PackageContext;
use crate::pipeline::plan::{self, ImagePlan, PackagePlan};
use crate::pipeline::problems::{PipelineError, Result};
use crate::pipeline::resolve::ResolvedImage;
use crate::sys::error::Error;
use crate::sys::words;
use crate::workspace::coverage::CoverageFindings;
use crate::workspace::{ReferencesFile, UnionLock};

/// The interfaces of images that exist already, by the key of the image in the manifest.
pub(super) type KnownInterfaces = BTreeMap<String, TaskInterfaces>;

/// A package whose build is under way.
pub(super) struct PackageBuild<'a> {
    pub(super) context: PackageContext<'a>,
    pub(super) plan: PackagePlan,
    known_interfaces: KnownInterfaces,
    pub(super) compile_plan: CompilePlan,
}

/// A compiled package, with the environments of its missing images.
pub(super) struct CompiledPackage {
    pub(super) executables: Executables,
    pub(super) findings: CoverageFindings,
    /// For each missing image; `None` if none of its steps needs an engine.
    pub(super) environments: Vec<Option<PerPlatform<BaseImage>>>,
    pub(super) launchers: Launchers,
}

/// The launchers of images, by name of the image.
pub(super) type Launchers = BTreeMap<String, PerPlatform<Bytes>>;

/// The interfaces that binaries have printed after their compile, by image.
type PrintedInterfaces = BTreeMap<String, TaskInterfaces>;

/// The packed contents of all missing images.
pub(super) struct PackedPackage {
    images: Vec<Box<dyn PackedImage>>,
    printed_interfaces: PrintedInterfaces,
}

/// The published images by name.
pub(super) struct PublishedPackage {
    pub(super) images: BTreeMap<String, PublishedImage>,
    printed_interfaces: PrintedInterfaces,
}

impl<'a> PackageBuild<'a> {
    /// Reads the interfaces of existing images, and selects the compilers.
    ///
    /// # Errors
    /// If the labels of an image cannot be read; the errors of [`CompileSelector::select`].
    pub(super) async fn new(context: PackageContext<'a>, plan: PackagePlan) -> Result<Self> {
        let known_interfaces = context.known_interfaces(&plan).await?;
        let compile_plan = context.select_compilers(&plan, &known_interfaces).await?;
        Ok(Self {
            context,
            plan,
            known_interfaces,
            compile_plan,
        })
    }

    /// Plans again after Union.lock has changed.
    pub(super) async fn plan_again(&mut self, lock: &mut UnionLock) -> Result<()> {
        let PackageContext {
            options,
            loaded,
            snapshot,
            package,
            reporter,
            ..
        } = self.context;
        let plan = plan::plan(options, loaded, package, snapshot, lock, reporter).await?;
        *self = Self::new(self.context.clone(), plan).await?;
        Ok(())
    }

    /// Images whose binaries are compiled: the missing ones, and existing ones whose interfaces are not known.
    pub(super) fn needed(&self) -> impl Iterator<Item = &ImagePlan> {
        self.plan.missing().chain(
            self.context
                .images_missing_interfaces(&self.plan, &self.known_interfaces),
        )
    }

    /// Whether the binaries of all images of the package are compiled.
    pub(super) fn is_complete(&self) -> bool {
        let needed: Vec<&str> = self
            .needed()
            .map(|image| image.resolved.name.as_str())
            .collect();
        self.plan
            .resolved
            .iter()
            .all(|resolved| resolved.code.is_none() || needed.contains(&resolved.name.as_str()))
    }

    /// Checks, before anything is compiled, whether environments can be built and local destinations can be written.
    ///
    /// # Errors
    /// `SecretMissing`, `EngineUnreachable`, and the errors of [`ImageBackend::preflight`](super::route::ImageBackend).
    pub(super) async fn preflight(&self) -> Result<()> {
        let environments = self.context.environments(&self.plan);
        let to_build = self.plan.missing().filter(|image| {
            image.planned.action == ImageAction::BuildEnvironment
                && image.resolved.environment_plan.is_some()
        });
        try_join_all(to_build.map(|image| environments.preflight(&image.resolved))).await?;
        self.check_destinations(|image| !image.is_sent()).await
    }

    /// Checks that registries and the backend accept the missing images. Uploads nothing.
    ///
    /// # Errors
    /// Those of [`ImageBackend::preflight`](super::route::ImageBackend), such as `RegistryDenied`.
    pub(super) async fn check_push(&self) -> Result<()> {
        self.check_destinations(ImagePlan::is_sent).await
    }

    async fn check_destinations(&self, chosen: impl Fn(&ImagePlan) -> bool) -> Result<()> {
        let images = self.plan.missing().filter(|image| chosen(image));
        try_join_all(images.map(|image| image.destination.backend.preflight(&image.target)))
            .await?;
        Ok(())
    }

    /// Writes the references to the file that the build script of the crate reads.
    pub(super) fn hand_over(&self, handover: &mut ReferencesFile) -> Result<()> {
        let package = &self.context.package.package;
        let path = union_build::handover::path(
            &self.context.loaded.workspace.target_directory,
            &package.name,
            &package.directory,
        );
        Ok(handover.write(&path, self.plan.references.to_json().as_bytes())?)
    }

    /// Runs the compiled binaries of `rust` tasks to get their interfaces, by image.
    pub(super) async fn collect_interfaces(
        &self,
        compiled: &CompiledPackage,
    ) -> Result<PrintedInterfaces> {
        let mut printed_interfaces = PrintedInterfaces::new();
        for image in self.needed() {
            let printed = interfaces::describe_binaries(
                &self.context,
                &image.resolved,
                &compiled.executables,
            )
            .await?;
            printed_interfaces.insert(image.resolved.name.clone(), printed);
        }
        Ok(printed_interfaces)
    }

    /// Packs the missing images. `executables` has the executables of each image, by its name.
    pub(super) async fn pack(
        &self,
        compiled: &CompiledPackage,
        executables: &BTreeMap<String, PerPlatform<Vec<Executable>>>,
        printed_interfaces: PrintedInterfaces,
    ) -> Result<PackedPackage> {
        let request = |(image, environment): (&ImagePlan, &Option<PerPlatform<BaseImage>>)| {
            let interfaces = &printed_interfaces[&image.resolved.name];
            let launchers = compiled.launchers.get(&image.resolved.name);
            self.context.build_request(
                &image.resolved,
                environment.as_ref(),
                &executables[&image.resolved.name],
                launchers,
                interfaces,
            )
        };
        let requests: Vec<BuildRequest> = self
            .plan
            .missing()
            .zip(&compiled.environments)
            .map(request)
            .collect();
        let packing = self
            .plan
            .missing()
            .zip(&requests)
            .map(|(image, request)| image.destination.backend.pack(&image.resolved, request));
        let images = stream::iter(packing)
            .buffered(self.context.options.jobs)
            .try_collect()
            .await?;
        Ok(PackedPackage {
            images,
            printed_interfaces,
        })
    }

    /// Publishes the packed images.
    pub(super) async fn publish(&self, packed: PackedPackage) -> Result<PublishedPackage> {
        let publishing = self
            .plan
            .missing()
            .zip(packed.images)
            .map(|(image, packed)| async move {
                let destination = &image.destination;
                // The registry client reports its transfers itself.
                let _writing = (!destination.in_registry)
                    .then(|| self.context.reporter.busy("Writing", &destination.location));
                let published = packed
                    .publish(&image.target, self.context.options.rebuild)
                    .await?;
                self.context.report(&image.resolved.name, &published);
                Ok::<_, PipelineError>((image.resolved.name.clone(), published))
            });
        let images = stream::iter(publishing)
            .buffer_unordered(self.context.options.jobs)
            .try_collect()
            .await?;
        Ok(PublishedPackage {
            images,
            printed_interfaces: packed.printed_interfaces,
        })
    }

    /// Records the results of published and existing images.
    ///
    /// # Errors
    /// `ImageUnpinned`; `FileUnwritable` for the state file.
    pub(super) fn finish(self, outcome: PublishedPackage) -> Result<PackageOutcome> {
        let Self {
            context,
            plan,
            known_interfaces,
            ..
        } = self;
        let PublishedPackage {
            images: published_images,
            mut printed_interfaces,
        } = outcome;
        let mut state = plan.results.clone();
        let mut outcomes = Vec::new();
        let mut without_digest = Vec::new();
        for image in &plan.images {
            let name = &image.resolved.name;
            let previous = plan.results.images.get(name);
            let published = published_images.get(name);
            let mut record = match (published, &image.existing) {
                (Some(published), _) => {
                    from_published(image, published, context.revision.as_deref())
                }
                (None, Some(existing)) => {
                    context
                        .reporter
                        .status("Unchanged", &format!("{name} {}", existing.location));
                    from_existing(image, existing, previous)
                }
                // Every missing image has been published.
                (None, None) => continue,
            };
            let existing = published
                .map(|published| &published.existing)
                .or(image.existing.as_ref());
            without_digest.extend(existing.and_then(|existing| existing.unpinned_error(name)));
            let interfaces = [
                printed_interfaces.remove(name.as_str()),
                known_interfaces.get(name).cloned(),
            ];
            record
                .interfaces
                .extend(interfaces.into_iter().flatten().flatten());
            // A copy in a file or an engine does not replace the record of where the image can be pulled.
            let registry_record = previous.filter(|previous| {
                record.pinned.is_none() && previous.pinned.is_some() && previous.key == record.key
            });
            state.images.insert(
                name.clone(),
                registry_record.cloned().unwrap_or_else(|| record.clone()),
            );
            outcomes.push(ImageOutcome {
                planned: image.planned.clone(),
                record,
                sent: published.map_or(0, |published| published.sent),
                adopted: published.is_some_and(|published| published.delivery == Delivery::Adopted),
            });
        }
        state
            .images
            .retain(|name, _| context.package.spec.images.contains_key(name));
        if state != plan.results && !context.options.dry {
            state.save()?;
        }
        context.check_pinned(without_digest)?;
        Ok(PackageOutcome {
            plan,
            images: outcomes,
        })
    }
}

impl PackageContext<'_> {
    fn report(&self, image: &str, published: &PublishedImage) {
        let location = &published.existing.location;
        let sent = words::bytes(published.sent);
        match published.delivery {
            Delivery::Published => self
                .reporter
                .status("Published", &format!("{image} {location} ({sent} sent)")),
            Delivery::Adopted => self
                .reporter
                .status("Adopted", &format!("{image} {location} ({sent} sent)")),
            Delivery::Packed => self
                .reporter
                .status("Packed", &format!("{image} {location}")),
        }
    }

    /// Rejects images without a digest, since others may move a tag. With `--allow-unpinned` that is a warning.
    fn check_pinned(&self, without_digest: Vec<Error>) -> Result<()> {
        for error in without_digest {
            if !self.options.allow_unpinned {
                return Err(error.into());
            }
            self.reporter.warning(&format!(
                "[{}] {}\n  = help: log in to its registry",
                error.code(),
                error.chain().join(": ")
            ));
        }
        Ok(())
    }

    /// The interfaces of existing images, from the state file or from their labels. Empty unless
    /// [`describe`](crate::pipeline::options::BuildOptions::describe) is set.
    async fn known_interfaces(&self, plan: &PackagePlan) -> Result<KnownInterfaces> {
        let mut known_interfaces = KnownInterfaces::new();
        for image in plan.existing().filter(|_| self.options.describe) {
            let name = &image.resolved.name;
            let Some(existing) = &image.existing else {
                continue;
            };
            let recorded = plan
                .results
                .images
                .get(name)
                .map(|record| from_existing(image, existing, Some(record)).interfaces);
            known_interfaces.insert(name.clone(), recorded.unwrap_or_default());
            if let (false, Some(pinned)) = (
                self.is_described(image, &known_interfaces),
                &existing.pinned,
            ) {
                known_interfaces.insert(
                    name.clone(),
                    interfaces::interfaces_from_labels(&*plan.destinations.source, pinned).await?,
                );
            }
        }
        Ok(known_interfaces)
    }

    /// Whether all required interfaces of an image are known.
    fn is_described(&self, image: &ImagePlan, known_interfaces: &KnownInterfaces) -> bool {
        let required = interfaces::required_binaries(&self.package.spec, &image.resolved.name);
        let known = known_interfaces.get(&image.resolved.name);
        !self.options.describe
            || required
                .iter()
                .all(|binary| known.is_some_and(|known| known.contains_key(*binary)))
    }

    /// Existing images whose interfaces are not known, and whose binaries could be compiled and run here to get them.
    fn images_missing_interfaces<'a>(
        &'a self,
        plan: &'a PackagePlan,
        known_interfaces: &'a KnownInterfaces,
    ) -> impl Iterator<Item = &'a ImagePlan> {
        plan.existing().filter(|image| {
            !self.is_described(image, known_interfaces)
                && interfaces::can_run_binaries(&image.resolved)
        })
    }

    async fn select_compilers(
        &self,
        plan: &PackagePlan,
        known_interfaces: &KnownInterfaces,
    ) -> Result<CompilePlan> {
        let needed = plan
            .missing()
            .chain(self.images_missing_interfaces(plan, known_interfaces));
        let needed: Vec<&ResolvedImage> = needed.map(|image| &image.resolved).collect();
        let builder = docker_builder(
            self.options,
            &self.loaded.workspace,
            self.package.name(),
            &plan.destinations,
            self.reporter,
        );
        let selector = CompileSelector {
            context: self,
            builder: Arc::new(builder),
        };
        selector.select(&plan.resolved, &needed).await
    }

    pub(super) fn environments<'a>(&'a self, plan: &'a PackagePlan) -> EnvironmentStore<'a> {
        let workspace = &self.loaded.workspace;
        EnvironmentStore::new(
            self.options,
            workspace,
            self.package.name(),
            &plan.destinations,
            &plan.resolved,
            self.reporter,
        )
    }

    fn build_request(
        &self,
        resolved: &ResolvedImage,
        environment: Option<&PerPlatform<BaseImage>>,
        executables: &PerPlatform<Vec<Executable>>,
        launchers: Option<&PerPlatform<Bytes>>,
        interfaces: &TaskInterfaces,
    ) -> BuildRequest {
        let platform_request =
            |(platform, locked): (&Platform, &Option<LockedBase>)| PlatformBuildRequest {
                platform: platform.clone(),
                base: match environment {
                    Some(environment) => environment.get(platform).cloned(),
                    None => locked.clone().map(BaseImage::Locked),
                },
                tools: BTreeMap::new(),
                executables: executables.get(platform).cloned().unwrap_or_default(),
                launcher: launchers
                    .and_then(|launchers| launchers.get(platform))
                    .cloned(),
            };
        BuildRequest {
            chain: resolved.chain.clone(),
            steps: resolved.native_steps.clone(),
            roots: resolved.roots().clone(),
            files: resolved.files(),
            key: resolved.key,
            platforms: resolved.bases.iter().map(platform_request).collect(),
            interface_labels: interfaces::labels(interfaces),
            source_date_epoch: self.options.source_date_epoch,
            check: self.options.check,
        }
    }
}
