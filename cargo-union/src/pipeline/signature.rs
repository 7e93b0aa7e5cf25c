//! Signs images in registries with the user's own key, and verifies such signatures.
//!
//! An image is signed after it is complete, in both forms that cosign verifies. Signatures that exist are read first: when
//! the key has signed the image already, nothing is sent. What fails is an error, because the user asked for signatures.

use std::fmt;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use serde::Serialize;
use union_build::diag::Code;

use super::package::{PackageBuild, PublishedPackage};
use crate::attest::signature::{
    KeyProblem, PrivateKeyFile, SignatureKey, SignatureProblem, VerificationKey, bundle, simple,
};
use crate::image::artifact::Artifact;
use crate::image::reference::PinnedRef;
use crate::pipeline::Reporter;
use crate::pipeline::options::SigningOptions;
use crate::pipeline::plan::BuildPlan;
use crate::pipeline::problems::Result;
use crate::publish::registry::{FallbackTag, Registry};
use crate::sys::error::Error;
use crate::sys::secret::Secret;
use crate::sys::{fs, terminal, words};

/// The largest size of a key file in bytes.
const LARGEST: u64 = 1 << 20;

/// A signature's form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum SignatureForm {
    /// Under the tag `sha256-….sig`.
    SimpleSigning,
    /// A Sigstore bundle that is attached to the image.
    Bundle,
}

/// An image to sign, with the client of its registry.
pub(super) struct SigningJob {
    registry: Arc<Registry>,
    image: PinnedRef,
}

/// Reads the private key, and asks for its password if it is encrypted and no variable has it. `None` without
/// `--sign-key`.
///
/// # Errors
/// `SigningKeyInvalid`, `FileUnreadable`.
pub(crate) async fn open(
    options: Option<&SigningOptions>,
    reporter: &dyn Reporter,
) -> Result<Option<SignatureKey>, Error> {
    let Some(options) = options else {
        return Ok(None);
    };
    let path = &options.key;
    let invalid = |problem: KeyProblem| key_error(path, "sign with", &problem);
    let text = read_private(path)?;
    let file = PrivateKeyFile::parse(text.reveal()).map_err(invalid)?;
    let password = match &options.password {
        _ if !file.is_encrypted() => Secret::new(Vec::new()),
        Some(password) => Secret::new(password.reveal().clone().into_bytes()),
        None => ask_password(path, reporter).await?,
    };
    file.into_key(password.reveal()).map(Some).map_err(invalid)
}

/// Reads a file that only its owner may read.
fn read_private(path: &Path) -> Result<Secret<Vec<u8>>, Error> {
    let unreadable = |cause| fs::unreadable(path, cause);
    let file = std::fs::File::open(path).map_err(unreadable)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = file.metadata().map_err(unreadable)?.permissions().mode();
        if mode & 0o077 != 0 {
            let error = Error::new(
                Code::SigningKeyInvalid,
                format!("could not sign with the key {}", path.display()),
            );
            return Err(error
                .because("other users may read or change the file")
                .help(format!("Run `chmod 600 {}`.", path.display())));
        }
    }
    let mut text = Vec::new();
    file.take(LARGEST)
        .read_to_end(&mut text)
        .map_err(unreadable)?;
    Ok(Secret::new(text))
}

async fn ask_password(path: &Path, reporter: &dyn Reporter) -> Result<Secret<Vec<u8>>, Error> {
    let error = |cause: &str| {
        let message = format!("could not read the password of the key {}", path.display());
        Error::new(Code::SigningKeyInvalid, message)
            .because(cause.to_owned())
            .help("Set COSIGN_PASSWORD, or run the command in a terminal.")
    };
    if !terminal::is_stdin_terminal() {
        return Err(error(
            "COSIGN_PASSWORD is not set, and stdin is no terminal",
        ));
    }
    reporter.note(&format!(
        "type the password of the key {} and press Enter; it is not shown",
        path.display()
    ));
    let read = terminal::read_hidden_line().await;
    read.map(|line| Secret::new(terminal::without_line_end(line.reveal().clone())))
        .map_err(|cause| error(&cause.to_string()))
}

fn key_error(path: &Path, verb: &str, problem: &KeyProblem) -> Error {
    let message = format!("could not {verb} the key {}", path.display());
    let cause = words::printable(&problem.to_string(), 200);
    Error::new(Code::SigningKeyInvalid, message)
        .because(cause)
        .help(problem.help())
}

/// Checks, before anything is compiled, that all images will be in registries.
///
/// # Errors
/// `RegistryMissing`.
pub(super) fn check_destinations(plan: &BuildPlan) -> Result<()> {
    let mut images = plan.packages.iter().flat_map(|package| &package.images);
    let Some(image) = images.find(|image| !image.is_sent()) else {
        return Ok(());
    };
    let message = format!(
        "could not sign image `{}`, which goes to {}",
        image.resolved.name, image.destination.location
    );
    let error = Error::new(Code::RegistryMissing, message);
    Err(error
        .because("signatures are stored beside images in a registry")
        .help("Set a registry, or leave out `--sign-key`.")
        .into())
}

/// The images of a run that are in registries: those that were pushed, and unchanged ones.
///
/// # Errors
/// `ImageUnpinned` for an image whose digest is not known.
pub(super) fn signing_jobs(
    builds: &[PackageBuild<'_>],
    published: &[PublishedPackage],
) -> Result<Vec<SigningJob>> {
    let mut jobs = Vec::new();
    for (build, published) in builds.iter().zip(published) {
        for image in &build.plan.images {
            let name = &image.resolved.name;
            let pushed = published.images.get(name);
            let pushed = pushed.map(|published| &published.existing);
            let Some(existing) = pushed.or(image.existing.as_ref()) else {
                continue;
            };
            if let Some(error) = existing.unpinned_error(name) {
                return Err(error.into());
            }
            if let Some(image) = existing.pinned.clone() {
                let registry = build.plan.destinations.registry.clone();
                jobs.push(SigningJob { registry, image });
            }
        }
    }
    Ok(jobs)
}

/// Signs images, `jobs` at a time.
///
/// # Errors
/// Those of [`sign`].
pub(super) async fn sign_all(
    key: &SignatureKey,
    images: &[SigningJob],
    jobs: usize,
    reporter: &dyn Reporter,
) -> Result<()> {
    let signing = images
        .iter()
        .map(|job| sign(key, &job.registry, &job.image, reporter));
    stream::iter(signing)
        .buffer_unordered(jobs)
        .try_collect::<()>()
        .await?;
    Ok(())
}

/// Signs an image that is complete in a registry, in both forms, unless the key has signed it in that form.
///
/// # Errors
/// Those of the registry, with the remark that the image itself is complete.
pub(crate) async fn sign(
    key: &SignatureKey,
    registry: &Registry,
    image: &PinnedRef,
    reporter: &dyn Reporter,
) -> Result<(), Error> {
    let is_new = add_signatures(key, registry, image)
        .await
        .map_err(|error| {
            let what = format!("{image} is complete, but could not be signed");
            let cause = words::printable(&error.chain().join(": "), 2000);
            let help = format!(
                "{} Then run the command again: it signs the image that exists.",
                error.advice()
            );
            Error::new(error.code(), what).because(cause).help(help)
        })?;
    match is_new {
        true => reporter.status("Signed", image),
        false => reporter.detail("Signed", &format!("{image} before, by the same key")),
    }
    Ok(())
}

/// Whether a signature was added.
async fn add_signatures(
    key: &SignatureKey,
    registry: &Registry,
    image: &PinnedRef,
) -> Result<bool, Error> {
    let existing = find(&key.verification_key(), registry, image).await?;
    let lacks = |form| !existing.valid.contains(&form);
    if lacks(SignatureForm::SimpleSigning) {
        let signature = simple::sign(key, image);
        registry.add_signature(image, &signature).await?;
    }
    if lacks(SignatureForm::Bundle) {
        let document = Artifact {
            artifact_type: bundle::MEDIA_TYPE.to_owned(),
            media_type: bundle::MEDIA_TYPE.to_owned(),
            bytes: bundle::sign(key, image.digest).into(),
            annotations: bundle::annotations(),
        };
        let subject = registry.descriptor(image).await?;
        let documents = [document];
        let attaching =
            registry.attach(&image.repository, &subject, &documents, FallbackTag::Write);
        attaching.await?;
    }
    Ok(existing.valid.len() < 2)
}

/// The signatures of an image.
struct FoundSignatures {
    /// The forms in which the key has signed it.
    valid: Vec<SignatureForm>,
    /// Why other signatures are not valid.
    problems: Vec<(SignatureForm, SignatureProblem)>,
}

async fn find(
    key: &VerificationKey,
    registry: &Registry,
    image: &PinnedRef,
) -> Result<FoundSignatures, Error> {
    let signatures = registry.signatures(image).await?;
    let bundles = registry.documents(image, &[bundle::MEDIA_TYPE]).await?;
    let of_simple = signatures.iter().map(|signature| {
        let checked = simple::check(key, image.digest, signature);
        (SignatureForm::SimpleSigning, checked)
    });
    let of_bundles = bundles.iter().map(|bytes| {
        let checked = bundle::check(key, image.digest, bytes);
        (SignatureForm::Bundle, checked)
    });
    let mut found = FoundSignatures {
        valid: Vec::new(),
        problems: Vec::new(),
    };
    for (form, checked) in of_simple.chain(of_bundles) {
        match checked {
            Ok(()) if !found.valid.contains(&form) => found.valid.push(form),
            Ok(()) => {}
            Err(problem) => found.problems.push((form, problem)),
        }
    }
    Ok(found)
}

/// A signature of an image that was verified.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct VerifiedSignature {
    /// The file with the public key.
    key: String,
    /// The forms in which the key has signed the image; at least one.
    forms: Vec<SignatureForm>,
}

/// Verifies that a key has signed an image.
///
/// # Errors
/// `ImageUnsigned`; `SigningKeyInvalid`, `FileUnreadable` for the public key; `DigestMismatch` and the errors of the
/// registry.
pub(crate) async fn verify(
    registry: &Registry,
    image: &PinnedRef,
    key_file: &Path,
) -> Result<VerifiedSignature, Error> {
    let key = VerificationKey::parse(&fs::read(key_file)?)
        .map_err(|problem| key_error(key_file, "verify with", &problem))?;
    let found = find(&key, registry, image).await?;
    if found.valid.is_empty() {
        return Err(unsigned(image, key_file, &found.problems));
    }
    Ok(VerifiedSignature {
        key: key_file.display().to_string(),
        forms: found.valid,
    })
}

fn unsigned(
    image: &PinnedRef,
    key_file: &Path,
    problems: &[(SignatureForm, SignatureProblem)],
) -> Error {
    let mut causes: Vec<String> = Vec::new();
    for (form, problem) in problems {
        let cause = format!("a signature ({form}) is not valid: {problem}");
        if !causes.contains(&cause) {
            causes.push(cause);
        }
    }
    let cause = match causes.is_empty() {
        true => "the image has no signature".to_owned(),
        false => causes.join("; "),
    };
    let message = format!("the key {} has not signed {image}", key_file.display());
    Error::new(Code::ImageUnsigned, message).because(cause)
}

impl fmt::Display for SignatureForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SimpleSigning => "simple signing",
            Self::Bundle => "bundle",
        })
    }
}

impl fmt::Display for VerifiedSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let forms: Vec<String> = self.forms.iter().map(ToString::to_string).collect();
        write!(f, "a signature by {} ({})", self.key, forms.join(", "))
    }
}
