//! Compares an image in a registry with this checkout, by its key, and verifies its signature. Compiles and writes
//! nothing, unless the image is built again to compare the digests too.
//!
//! The key of an image is computed from all of its inputs, so an equal key means equal inputs. Where the keys differ, the
//! inputs of the image are those of its provenance or of this machine's record of the build.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;
use union_build::diag::Code;

use super::build::build_images;
use super::clients;
use super::plan::ResolvedPackage;
use super::signature::{self, VerifiedSignature};
use super::state::BuildState;
use crate::attest::{cyclonedx, provenance};
use crate::image::config::labels_of;
use crate::image::manifest::{self, KEY};
use crate::image::plan::{InputChange, changes};
use crate::image::reference::{BaseRef, PinnedRef};
use crate::pipeline::Reporter;
use crate::pipeline::context::LoadedWorkspace;
use crate::pipeline::options::{BuildOptions, VerifyOptions};
use crate::pipeline::problems::Result;
use crate::pipeline::resolve::ResolvedImage;
use crate::publish::registry::{ImageContents, Registry};
use crate::sys::digest::Digest;
use crate::sys::error::Error;
use crate::sys::words;
use crate::workspace::{Snapshot, UnionLock};

/// The largest number of characters of a value that is shown.
const LONGEST: usize = 200;

/// The result of verifying an image.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Verification {
    /// The image by digest.
    pub(crate) reference: String,
    /// The signature, if a key was given.
    pub(crate) signature: Option<VerifiedSignature>,
    /// The comparison with the checkout; `None` outside of one.
    #[serde(flatten)]
    pub(crate) comparison: Option<Comparison>,
}

/// The result of comparing an image with the checkout.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Comparison {
    /// The package and the image of the checkout that it was compared with.
    pub(crate) package: String,
    pub(crate) image: String,
    pub(crate) identical: bool,
    /// The key of the image.
    pub(crate) key: String,
    /// The key of the checkout.
    pub(crate) checkout_key: String,
    /// The first input that differs, `old` in the image and `new` in the checkout; `None` if the keys are equal or the
    /// inputs of the image are not known.
    pub(crate) difference: Option<InputChange>,
    /// The source of the image's inputs; `None` if the keys are equal or the inputs are not known.
    pub(crate) inputs_from: Option<InputsSource>,
    /// The image that was built again; `None` without `--rebuild`, or when the keys differ.
    pub(crate) rebuilt: Option<RebuiltImage>,
}

/// An image that was built again from the checkout.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct RebuiltImage {
    digest: Digest,
    /// Whether the digest is that of the verified image.
    identical: bool,
}

impl Verification {
    /// Whether the image is the one of the checkout, if there is one.
    pub(crate) fn is_good(&self) -> bool {
        let Some(comparison) = &self.comparison else {
            return true;
        };
        let rebuilt = comparison.rebuilt.as_ref();
        comparison.identical && rebuilt.is_none_or(|rebuilt| rebuilt.identical)
    }
}

/// The source of an image's inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum InputsSource {
    /// The provenance that is attached to it.
    Provenance,
    /// The record of its build on this machine.
    BuildRecord,
}

/// Compares the key of an image with that of this checkout, and verifies its signature if a public key is given. With a
/// public key, no checkout is needed.
///
/// # Errors
/// `InvalidReference`, `ImageUnverified`, `ImageUnsigned`; `DigestMismatch` when content does not match its digest;
/// `UnionLockStale`; the errors of the registry.
pub(crate) async fn verify(
    options: &VerifyOptions,
    reporter: &Arc<dyn Reporter>,
) -> Result<Verification> {
    let reference = parse(&options.reference)?;
    let scope = &options.build.scope;
    match (
        LoadedWorkspace::open_with_cache(scope, &**reporter).await,
        &options.key,
    ) {
        (Ok(loaded), _) => compare(options, &loaded, &reference, reporter).await,
        (Err(error), Some(key)) if error.has_no_package() && options.image.is_none() => {
            reporter.note(
                "there is no package to compare the image with, so only its signature is verified",
            );
            let registry_config = scope.overrides.named("registry-config").map(Into::into);
            let registry =
                clients::registry_without_package(&scope.cache, registry_config, reporter);
            let image = pinned(&registry, &reference).await?;
            // Reads the image, so that a digest without an image is an error.
            registry.contents(&image, &[]).await?;
            let signature = signature::verify(&registry, &image, key).await?;
            Ok(Verification {
                reference: image.to_string(),
                signature: Some(signature),
                comparison: None,
            })
        }
        (Err(error), _) => Err(error),
    }
}

/// The image by digest.
async fn pinned(registry: &Registry, reference: &BaseRef) -> Result<PinnedRef> {
    let tag_or_digest = match reference.digest {
        Some(digest) => digest.to_string(),
        None => reference.tag.clone().unwrap_or_default(),
    };
    let pinned = registry.pinned(&reference.repository, &tag_or_digest);
    Ok(pinned.await?)
}

async fn compare(
    options: &VerifyOptions,
    loaded: &LoadedWorkspace,
    reference: &BaseRef,
    reporter: &Arc<dyn Reporter>,
) -> Result<Verification> {
    let scope = &options.build.scope;
    let snapshot =
        Snapshot::take(&scope.cargo, &loaded.workspace, &scope.cache, &**reporter).await?;
    let mut lock = UnionLock::load(&loaded.workspace.root)?;
    let mut packages = Vec::new();
    for package in &loaded.packages {
        let resolving = ResolvedPackage::resolve(
            &options.build,
            loaded,
            package,
            &snapshot,
            &mut lock,
            reporter,
        );
        packages.push(resolving.await?);
    }
    let candidates = candidates(&packages, options, reference)?;
    let (first, _) = candidates[0];
    let registry = &first.destinations.registry;
    let pinned = pinned(registry, reference).await?;
    let signature = match &options.key {
        Some(key) => Some(signature::verify(registry, &pinned, key).await?),
        None => None,
    };
    let types = [provenance::MEDIA_TYPE, cyclonedx::MEDIA_TYPE];
    let contents = registry.contents(&pinned, &types).await?;
    let key = key_of(&pinned, &contents)?;
    let inputs = contents
        .documents
        .iter()
        .filter_map(|document| provenance::inputs_of(document, pinned.digest))
        .find(|inputs| inputs.key == key);
    let (package, image) = choose(&candidates, &pinned, &key, inputs.as_ref())?;
    let checkout_key = image.key.to_string();
    let record = || {
        let directory = &package.package.package.directory;
        let target = &loaded.workspace.target_directory;
        let mut state = BuildState::load(target, package.package.name(), directory);
        state
            .images
            .remove(&image.name)
            .filter(|record| record.key == key)
    };
    let (differences, inputs_from) = if checkout_key == key {
        (Vec::new(), None)
    } else if let Some(inputs) = &inputs {
        let own = provenance::input_values(&image.key_inputs());
        let differences = changes(&shown(&inputs.inputs), &shown(&own));
        (differences, Some(InputsSource::Provenance))
    } else if let Some(record) = record() {
        let differences = changes(&record.inputs, &image.shown_inputs());
        (differences, Some(InputsSource::BuildRecord))
    } else {
        (Vec::new(), None)
    };
    let rebuilt = match options.rebuild && checkout_key == key {
        true => {
            let name = (package.package.name(), image.name.as_str());
            Some(rebuild(options, loaded, name, &pinned, reporter).await?)
        }
        false => None,
    };
    let comparison = Comparison {
        package: package.package.name().to_owned(),
        image: image.name.clone(),
        identical: checkout_key == key,
        rebuilt,
        key,
        checkout_key,
        difference: differences.into_iter().next(),
        inputs_from,
    };
    Ok(Verification {
        reference: pinned.to_string(),
        signature,
        comparison: Some(comparison),
    })
}

/// Builds the image of a package and a name again, and compares its digest. Publishes nothing.
///
/// # Errors
/// `ImageUnverified` for an image that is not built here; the errors of a build.
async fn rebuild(
    options: &VerifyOptions,
    loaded: &LoadedWorkspace,
    (package, name): (&str, &str),
    image: &PinnedRef,
    reporter: &Arc<dyn Reporter>,
) -> Result<RebuiltImage> {
    // The code may contain the references of its images, so the destinations are those of the build.
    let build = BuildOptions {
        rebuild: true,
        dry: true,
        ..options.build.clone()
    };
    let outcomes = build_images(&build, loaded, reporter).await?;
    let built = outcomes
        .iter()
        .flat_map(|outcome| &outcome.images)
        .find(|built| built.planned.package == package && built.planned.image == name);
    let Some(digest) = built.and_then(|built| built.record.digest) else {
        let what = format!("could not build {image} again");
        let error = Error::new(Code::ImageUnverified, what);
        return Err(error.because("the remote builder builds it").into());
    };
    Ok(RebuiltImage {
        digest,
        identical: digest == image.digest,
    })
}

type Candidate<'a> = (&'a ResolvedPackage<'a>, &'a ResolvedImage);

fn parse(text: &str) -> Result<BaseRef> {
    text.parse().map_err(|cause| {
        let message = format!("could not read the image `{text}`");
        Error::new(Code::InvalidReference, message)
            .because(cause)
            .into()
    })
}

/// The images of the checkout that may be the one in the repository; never empty.
fn candidates<'a>(
    packages: &'a [ResolvedPackage<'a>],
    options: &VerifyOptions,
    reference: &BaseRef,
) -> Result<Vec<Candidate<'a>>> {
    let all: Vec<Candidate<'a>> = packages
        .iter()
        .flat_map(|package| package.resolved.iter().map(move |image| (package, image)))
        .collect();
    let path = &reference.repository.path;
    let is_candidate = |(_, image): &&Candidate<'a>| match &options.image {
        Some(name) => image.name == *name,
        // Another registry may hold a copy of the image.
        None => {
            let name = &image.spec().name.value;
            path == name || path.ends_with(&format!("/{name}"))
        }
    };
    let candidates: Vec<Candidate<'a>> = all.iter().filter(is_candidate).copied().collect();
    if candidates.is_empty() {
        let names: BTreeSet<&str> = all.iter().map(|(_, image)| image.name.as_str()).collect();
        let what = match &options.image {
            Some(name) => format!("there is no image `{name}` in the chosen packages"),
            None => format!("no image of the chosen packages has the repository `{path}`"),
        };
        let help = format!(
            "Choose one with `-p` and `--image`: {}.",
            words::list(names)
        );
        return Err(Error::new(Code::ImageUnverified, what).help(help).into());
    }
    Ok(candidates)
}

/// The candidate that the provenance names, or that has the key, or the only one.
///
/// # Errors
/// `ImageUnverified` if several are left.
fn choose<'a>(
    candidates: &[Candidate<'a>],
    image: &PinnedRef,
    key: &str,
    inputs: Option<&provenance::ProvenanceInputs>,
) -> Result<Candidate<'a>> {
    let same_key = candidates
        .iter()
        .find(|(_, image)| image.key.to_string() == key);
    let named = candidates.iter().find(|(package, image)| {
        inputs.is_some_and(|inputs| {
            inputs.package == package.package.name() && inputs.name == image.name
        })
    });
    match (same_key.or(named), candidates) {
        (Some(found), _) | (None, [found]) => Ok(*found),
        _ => {
            let names = candidates.iter().map(|(_, image)| image.name.as_str());
            let what = format!("several images of the checkout may be {image}");
            let help = format!(
                "Choose one with `-p` and `--image`: {}.",
                words::list(names)
            );
            Err(Error::new(Code::ImageUnverified, what).help(help).into())
        }
    }
}

/// The key of an image, which all of its manifests and configs must state.
///
/// # Errors
/// `ImageUnverified` if there is none, or they differ.
fn key_of(image: &PinnedRef, contents: &ImageContents) -> Result<String> {
    let annotations = contents
        .manifests
        .iter()
        .map(|raw| manifest::summary(&raw.bytes).and_then(|summary| summary.key));
    let labels = contents
        .configs
        .iter()
        .map(|config| labels_of(config).remove(KEY));
    let keys: BTreeSet<Option<String>> = annotations.chain(labels).collect();
    let mut found = keys.iter().flatten();
    let why = match (found.next(), found.next(), keys.contains(&None)) {
        (Some(key), None, false) if !contents.configs.is_empty() => return Ok(key.clone()),
        (None, ..) => "it has no key: this tool did not build it",
        _ => "its manifests and configs do not all state one key",
    };
    let error = Error::new(Code::ImageUnverified, format!("could not verify {image}"));
    Err(error.because(why).into())
}

/// Formats values for display: strings without quotes, others as JSON.
fn shown(inputs: &BTreeMap<String, Value>) -> BTreeMap<String, String> {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        value => value.to_string(),
    };
    inputs
        .iter()
        .map(|(name, value)| (name.clone(), text(value)))
        .collect()
}

impl fmt::Display for Verification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reference = &self.reference;
        if let Some(signature) = &self.signature {
            writeln!(f, "signed: {reference} has {signature}")?;
        }
        let Some(comparison) = &self.comparison else {
            return Ok(());
        };
        let Comparison {
            package,
            image,
            checkout_key,
            ..
        } = comparison;
        if comparison.identical {
            writeln!(
                f,
                "identical: {reference} has the key {checkout_key} of {package} {image}"
            )?;
            return match &comparison.rebuilt {
                None => Ok(()),
                Some(rebuilt) if rebuilt.identical => {
                    writeln!(f, "rebuilt: {package} {image} has the same digest")
                }
                Some(RebuiltImage { digest, .. }) => {
                    writeln!(f, "rebuilt: {package} {image} has another digest, {digest}")
                }
            };
        }
        let key = words::printable(&comparison.key, LONGEST);
        writeln!(
            f,
            "different: {reference} has the key {key}, {package} {image} has {checkout_key}"
        )?;
        let value = |value: &Option<String>| match value {
            Some(value) => words::printable(value, LONGEST),
            None => "not an input".to_owned(),
        };
        match (&comparison.difference, comparison.inputs_from) {
            (Some(change), _) => writeln!(
                f,
                "  {}: {} in the image, {} in this checkout",
                words::printable(&change.input, LONGEST),
                value(&change.old),
                value(&change.new)
            ),
            (None, Some(_)) => writeln!(
                f,
                "  no single input differs: another version of the tool made the key"
            ),
            (None, None) => writeln!(
                f,
                "  the inputs of the image are not known; images that are pushed with `attest = true` have them attached"
            ),
        }
    }
}
