//! Base images and their digests: from Union.lock, or from their registry on first use.

use std::collections::BTreeMap;

use union_build::diag::Code;

use crate::build::{LockedBase, Lookup};
use crate::image::BaseSource;
use crate::image::per_platform::PerPlatform;
use crate::image::platform::Platform;
use crate::image::reference::{BaseRef, Repository};
use crate::pipeline::options::BuildOptions;
use crate::sys::digest::Digest;
use crate::sys::error::{Error, Result};
use crate::workspace::{LockedReference, UnionLock};

/// Whether bases are resolved by their registry or by Union.lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LockMode {
    /// Resolve bases that Union.lock lacks, and add them to it.
    FillIn,
    /// `--locked`: a base that Union.lock lacks is an error.
    Locked,
    /// `cargo union update`: resolve again what Union.lock holds.
    Renew,
}

impl LockMode {
    /// The mode of a build: [`Locked`](Self::Locked) with `--locked` or `--frozen`.
    pub(crate) fn from_options(options: &BuildOptions) -> Self {
        if options.scope.cargo.is_locked() {
            Self::Locked
        } else {
            Self::FillIn
        }
    }
}

/// Returns the digest of a base for each platform from Union.lock, or resolves it and adds it to Union.lock.
///
/// # Errors
/// `InvalidReference`; `UnionLockStale` with [`LockMode::Locked`]; otherwise the errors of the registry.
pub(crate) async fn locked(
    base: &str,
    platforms: &[Platform],
    lock: &mut UnionLock,
    source: &dyn BaseSource,
    policy: LockMode,
) -> Result<PerPlatform<Option<LockedBase>>> {
    let reference: BaseRef = base.parse().map_err(|cause| {
        Error::new(
            Code::InvalidReference,
            format!("could not read the base image `{base}`"),
        )
        .because(cause)
    })?;
    let entry = lock
        .entry(base)
        .filter(|_| policy != LockMode::Renew)
        .cloned();
    let complete_entry = entry.as_ref().filter(|entry| {
        platforms
            .iter()
            .all(|platform| entry.platforms.contains_key(&platform.to_string()))
    });
    if let Some(entry) = complete_entry {
        return Ok(for_platforms(&reference.repository, platforms, entry));
    }
    if policy == LockMode::Locked {
        let what = if entry.is_some() {
            "does not hold all platforms of"
        } else {
            "does not hold"
        };
        return Err(Error::new(
            Code::UnionLockStale,
            format!("Union.lock {what} the base image `{base}`, and `--locked` was given"),
        ));
    }
    let resolved = resolve_base(base, &reference, entry.as_ref(), platforms, source).await?;
    let bases = for_platforms(&reference.repository, platforms, &resolved);
    lock.set_base(base, resolved);
    Ok(bases)
}

fn for_platforms(
    repository: &Repository,
    platforms: &[Platform],
    locked: &LockedReference,
) -> PerPlatform<Option<LockedBase>> {
    let base = |platform: &Platform| {
        let digest = *locked.platforms.get(&platform.to_string())?;
        Some(LockedBase {
            repository: repository.clone(),
            digest,
        })
    };
    platforms
        .iter()
        .map(|platform| (platform.clone(), base(platform)))
        .collect()
}

/// Resolves a base by its registry. If Union.lock has its digest already, only the platforms of that digest are added.
async fn resolve_base(
    base: &str,
    reference: &BaseRef,
    entry: Option<&LockedReference>,
    platforms: &[Platform],
    source: &dyn BaseSource,
) -> Result<LockedReference> {
    let pinned: Option<Digest> = entry.map(|entry| entry.digest).or(reference.digest);
    let tag_or_digest = pinned
        .map(|digest| digest.to_string())
        .or_else(|| reference.tag.clone())
        .unwrap_or_else(|| "latest".to_owned());
    let raw = source
        .manifest(&reference.repository, &tag_or_digest)
        .await?;
    let mut locked = LockedReference {
        digest: raw.descriptor.digest,
        platforms: BTreeMap::new(),
    };
    for platform in platforms {
        let resolved = Lookup {
            source,
            name: base,
            repository: &reference.repository,
            platform,
        }
        .resolve(&raw)
        .await?;
        locked
            .platforms
            .insert(platform.to_string(), resolved.digest);
    }
    Ok(locked)
}
