//! One package on its way from its plan to images that are at their places.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Result;
use futures_util::future::try_join_all;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use super::compile::backends::CompilePlan;
use super::compile::executables::Executables;
use super::compile::selector::CompileSelector;
use super::environment::{EnvironmentStore, docker_builder};
use super::interfaces;
use super::outcome::{ImageOutcome, PackageOutcome};
use super::record::{from_existing, from_published};
use super::route::{Delivery, PackedImage, PublishedImage};
use super::state::TaskInterfaces;
use crate::build::{BaseImage, BuildRequest, LockedBase, PlatformBuildRequest};
use crate::image::per_platform::PerPlatform;
use crate::image::plan::ImageAction;
use crate::image::platform::Platform;
use crate::pipeline::context::PackageContext;
use crate::pipeline::plan::{self, ImagePlan, PackagePlan};
use crate::pipeline::resolve::ResolvedImage;
use crate::sys::error::Error;
use crate::sys::words;
use crate::workspace::coverage::CoverageFindings;
use crate::workspace::{ReferencesFile, UnionLock};

/// What is known of the interfaces of images, by their names.
pub(super) type KnownInterfaces = BTreeMap<String, TaskInterfaces>;

/// A package on its way, with what is known before its compile.
pub(super) struct PackageBuild<'a> {
    pub(super) package: PackageContext<'a>,
    pub(super) plan: PackagePlan,
    kept: KnownInterfaces,
    pub(super) methods: CompilePlan,
}

/// What compiling a package has come to: its executables, and what its images start from.
pub(super) struct CompiledPackage {
    pub(super) executables: Executables,
    pub(super) findings: CoverageFindings,
    pub(super) starts: Vec<Option<PerPlatform<BaseImage>>>,
}

/// What is ready to leave this machine: one content for each missing image.
pub(super) struct PackedPackage {
    images: Vec<Box<dyn PackedImage>>,
    /// The interfaces that binaries have printed, by image.
    described: BTreeMap<String, TaskInterfaces>,
}

/// What was published, and what is known of it.
pub(super) struct PublishedPackage {
    published: BTreeMap<String, PublishedImage>,
    described: BTreeMap<String, TaskInterfaces>,
}

impl<'a> PackageBuild<'a> {
    /// Finds out what a plan needs before anything is compiled.
    ///
    /// # Errors
    /// What reading labels and choosing a toolchain end with.
    pub(super) async fn new(package: PackageContext<'a>, plan: PackagePlan) -> Result<Self> {
        let kept = package.known_interfaces(&plan).await?;
        let methods = package.choose(&plan, &kept).await?;
        Ok(Self { package, plan, kept, methods })
    }

    /// Plans again, when what is in the lock makes other keys.
    pub(super) async fn plan_again(&mut self, lock: &mut UnionLock) -> Result<()> {
        let PackageContext { work, session, snapshot, declared, reporter, .. } = self.package;
        let plan = plan::plan(work, session, declared, snapshot, lock, reporter).await?;
        self.kept = self.package.known_interfaces(&plan).await?;
        self.methods = self.package.choose(&plan, &self.kept).await?;
        self.plan = plan;
        Ok(())
    }

    /// Images that are there, and whose binaries must be compiled to be asked for their interfaces.
    fn images_missing_interfaces(&self) -> impl Iterator<Item = &ImagePlan> {
        self.package.silent(&self.plan, &self.kept)
    }

    /// Images whose binaries are compiled.
    pub(super) fn needed(&self) -> impl Iterator<Item = &ImagePlan> {
        self.plan.missing().chain(self.images_missing_interfaces())
    }

    /// Whether everything that any image of the package carries is compiled.
    pub(super) fn is_complete(&self) -> bool {
        let needed: Vec<&str> = self.needed().map(|image| image.resolved.name.as_str()).collect();
        self.plan.resolved.iter().all(|resolved| resolved.code.is_none() || needed.contains(&resolved.name.as_str()))
    }

    /// Finds out, before anything is compiled, what would keep environments from being made and images from getting
    /// to their places.
    ///
    /// # Errors
    /// `SecretMissing`, `EngineUnreachable`, and what publishers say.
    pub(super) async fn prepare(&self) -> Result<()> {
        let environments = self.package.environments(&self.plan);
        let to_make =
            self.plan.missing().filter(|image| image.planned.action == ImageAction::BuildEnvironment && image.resolved.made.is_some());
        try_join_all(to_make.map(|image| environments.prepare(&image.resolved))).await?;
        try_join_all(self.plan.missing().map(|image| image.destination.backend.preflight(&image.target))).await?;
        Ok(())
    }

    /// Leaves the references where the crate's build script finds them.
    pub(super) fn hand_over(&self, handover: &mut ReferencesFile) -> Result<()> {
        let (workspace, package) = (&self.package.session.workspace, &self.package.declared.package);
        let path = union_build::handover::path(&workspace.target_directory, &package.name, &package.folder);
        Ok(handover.write(&path, self.plan.references.to_json().as_bytes())?)
    }

    /// Packs what is missing.
    pub(super) async fn pack(&self, compiled: &CompiledPackage) -> Result<PackedPackage> {
        let mut described = BTreeMap::new();
        for image in self.needed() {
            let said = interfaces::ask(&self.package, &image.resolved, &compiled.executables).await?;
            described.insert(image.resolved.name.clone(), said);
        }
        let recipe = |(image, starts): (&ImagePlan, &Option<PerPlatform<BaseImage>>)| {
            let (resolved, described) = (&image.resolved, &described[&image.resolved.name]);
            self.package.recipe(resolved, starts.as_ref(), &compiled.executables, described)
        };
        let recipes: Vec<BuildRequest> = self.plan.missing().zip(&compiled.starts).map(recipe).collect();
        let packing = self.plan.missing().zip(&recipes).map(|(image, recipe)| image.destination.backend.pack(&image.resolved, recipe));
        let images = stream::iter(packing).buffered(self.package.work.jobs).try_collect().await?;
        Ok(PackedPackage { images, described })
    }

    /// Brings what was packed to its places.
    pub(super) async fn publish(&self, packed: PackedPackage) -> Result<PublishedPackage> {
        let publishing = self.plan.missing().zip(packed.images).map(|(image, packed)| async move {
            let published = packed.publish(&image.target, self.package.work.rebuild).await?;
            self.package.report(&image.resolved.name, &published);
            anyhow::Ok((image.resolved.name.clone(), published))
        });
        let published = stream::iter(publishing).buffer_unordered(self.package.work.jobs).try_collect().await?;
        Ok(PublishedPackage { published, described: packed.described })
    }

    /// Remembers what is there now.
    ///
    /// # Errors
    /// `ImageUnpinned`; when the results cannot be written.
    pub(super) fn finish(self, outcome: PublishedPackage) -> Result<PackageOutcome> {
        let Self { package, plan, kept, .. } = self;
        let PublishedPackage { published, mut described } = outcome;
        let mut results = plan.results.clone();
        let (mut made, mut without_digest) = (Vec::new(), Vec::new());
        for image in &plan.images {
            let name = &image.resolved.name;
            let known = plan.results.images.get(name);
            let published = published.get(name);
            let mut record = match (published, &image.existing) {
                (Some(published), _) => from_published(image, published, package.revision),
                (None, Some(existing)) => {
                    package.reporter.status("Unchanged", &format!("{name} {}", existing.location));
                    from_existing(image, existing, known)
                }
                // Whatever was missing has been published.
                (None, None) => continue,
            };
            let existing = published.map(|published| &published.existing).or(image.existing.as_ref());
            without_digest.extend(existing.and_then(|existing| existing.unpinned_error(name)));
            let said = [described.remove(name.as_str()), kept.get(name).cloned()];
            record.interfaces.extend(said.into_iter().flatten().flatten());
            // A copy in a file or an engine does not make one forget where the image can be pulled.
            let pullable = known.filter(|known| record.pinned.is_none() && known.pinned.is_some() && known.key == record.key);
            results.images.insert(name.clone(), pullable.cloned().unwrap_or_else(|| record.clone()));
            made.push(ImageOutcome {
                planned: image.planned.clone(),
                record,
                sent: published.map_or(0, |published| published.sent),
                adopted: published.is_some_and(|published| published.delivery == Delivery::Adopted),
            });
        }
        results.images.retain(|name, _| package.declared.spec.images.contains_key(name));
        if results != plan.results && !package.work.dry {
            results.save()?;
        }
        package.check_pinned(without_digest)?;
        Ok(PackageOutcome { plan, images: made })
    }
}

impl PackageContext<'_> {
    fn report(&self, image: &str, published: &PublishedImage) {
        let location = &published.existing.location;
        let sent = words::bytes(published.sent);
        match published.delivery {
            Delivery::Published => self.reporter.status("Published", &format!("{image} {location} ({sent} sent)")),
            Delivery::Adopted => self.reporter.status("Adopted", &format!("{image} {location} ({sent} sent)")),
            Delivery::Packed => self.reporter.status("Packed", &format!("{image} {location}")),
        }
    }

    /// Refuses images without a digest, for a tag may be moved by others; or warns of them, as the user wants it.
    fn check_pinned(&self, without_digest: Vec<Error>) -> Result<()> {
        for error in without_digest {
            if !self.work.allow_unpinned {
                return Err(error.into());
            }
            self.reporter.warning(&format!("[{}] {}\n  = help: log in to its registry", error.code(), error.chain().join(": ")));
        }
        Ok(())
    }

    /// What is known of the interfaces of images that are there: from the last results, or from their
    /// labels. Nobody asks unless tasks are registered.
    async fn known_interfaces(&self, plan: &PackagePlan) -> Result<KnownInterfaces> {
        let mut kept = KnownInterfaces::new();
        for image in plan.existing().filter(|_| self.work.describe) {
            let name = &image.resolved.name;
            let Some(existing) = &image.existing else { continue };
            let known = plan.results.images.get(name).map(|record| from_existing(image, existing, Some(record)).interfaces);
            kept.insert(name.clone(), known.unwrap_or_default());
            if let (false, Some(pinned)) = (self.is_described(image, &kept), &existing.pinned) {
                kept.insert(name.clone(), interfaces::interfaces_from_labels(&*plan.destinations.source, pinned).await?);
            }
        }
        Ok(kept)
    }

    /// Whether all that has to be known of an image's interfaces is known.
    fn is_described(&self, image: &ImagePlan, kept: &KnownInterfaces) -> bool {
        let wanted = interfaces::wanted(&self.declared.spec, &image.resolved.name);
        let known = kept.get(&image.resolved.name);
        !self.work.describe || wanted.iter().all(|binary| known.is_some_and(|known| known.contains_key(*binary)))
    }

    /// Images that are there, and whose binaries must be compiled to be asked for their interfaces.
    fn silent<'a>(&'a self, plan: &'a PackagePlan, kept: &'a KnownInterfaces) -> impl Iterator<Item = &'a ImagePlan> {
        plan.existing().filter(|image| !self.is_described(image, kept) && interfaces::can_ask(&image.resolved))
    }

    /// With what the code of the package is compiled.
    async fn choose(&self, plan: &PackagePlan, kept: &KnownInterfaces) -> Result<CompilePlan> {
        let PackageContext { work, session, reporter, .. } = *self;
        let needed: Vec<&ResolvedImage> = plan.missing().chain(self.silent(plan, kept)).map(|image| &image.resolved).collect();
        let builder = docker_builder(work, &session.workspace, &self.declared.package.name, &plan.destinations, reporter);
        let choosing = CompileSelector { package: self, builder: Arc::new(builder) };
        choosing.choose(&plan.resolved, &needed).await
    }

    pub(super) fn environments<'a>(&'a self, plan: &'a PackagePlan) -> EnvironmentStore<'a> {
        let (workspace, package) = (&self.session.workspace, &self.declared.package.name);
        EnvironmentStore::new(self.work, workspace, package, &plan.destinations, &plan.resolved, self.reporter)
    }

    fn recipe(
        &self,
        resolved: &ResolvedImage,
        environment: Option<&PerPlatform<BaseImage>>,
        executables: &Executables,
        described: &TaskInterfaces,
    ) -> BuildRequest {
        let platform = |(platform, locked): (&Platform, &Option<LockedBase>)| PlatformBuildRequest {
            platform: platform.clone(),
            base: match environment {
                Some(environment) => environment.get(platform).cloned(),
                None => locked.clone().map(BaseImage::Locked),
            },
            tools: BTreeMap::new(),
            executables: executables.of(resolved, platform),
            launcher: None,
        };
        BuildRequest {
            chain: resolved.chain.clone(),
            steps: resolved.left.clone(),
            roots: resolved.roots().clone(),
            files: resolved.files(),
            key: resolved.key,
            platforms: resolved.bases.iter().map(platform).collect(),
            told: interfaces::labels(described),
            source_date_epoch: self.work.source_date_epoch,
            check: self.work.check,
        }
    }
}
