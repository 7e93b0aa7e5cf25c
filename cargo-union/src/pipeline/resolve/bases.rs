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

/// Whether a base that Union.lock does not hold may be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LockMode {
    /// Ask, and write the answer into Union.lock.
    FillIn,
    /// Refuse: `--locked`.
    Locked,
    /// Ask again even for what Union.lock holds: `update`.
    Renew,
}

impl LockMode {
    /// What the flags of a command allow.
    pub(crate) fn from_options(work: &BuildOptions) -> Self {
        if work.scope.cargo.is_locked() { Self::Locked } else { Self::FillIn }
    }
}

/// The digest of a base for each platform, out of the lock or asked for and put into it.
///
/// # Errors
/// `UnionLockStale` with [`LockMode::Locked`]; what the registry says otherwise.
pub(crate) async fn locked(
    base: &str,
    platforms: &[Platform],
    lock: &mut UnionLock,
    source: &dyn BaseSource,
    policy: LockMode,
) -> Result<PerPlatform<Option<LockedBase>>> {
    let reference: BaseRef = base
        .parse()
        .map_err(|cause| Error::new(Code::InvalidReference, format!("could not read the base image `{base}`")).because(cause))?;
    let known = lock.entry(base).filter(|_| policy != LockMode::Renew).cloned();
    let complete = known.as_ref().filter(|known| platforms.iter().all(|platform| known.platforms.contains_key(&platform.to_string())));
    if let Some(known) = complete {
        return Ok(for_platforms(&reference.repository, platforms, known));
    }
    if policy == LockMode::Locked {
        let what = if known.is_some() { "does not hold all platforms of" } else { "does not hold" };
        return Err(Error::new(Code::UnionLockStale, format!("Union.lock {what} the base image `{base}`, and `--locked` was given")));
    }
    let fetched = fetch(base, &reference, known.as_ref(), platforms, source).await?;
    let bases = for_platforms(&reference.repository, platforms, &fetched);
    lock.set_base(base, fetched);
    Ok(bases)
}

fn for_platforms(repository: &Repository, platforms: &[Platform], locked: &LockedReference) -> PerPlatform<Option<LockedBase>> {
    let base = |platform: &Platform| {
        let digest = *locked.platforms.get(&platform.to_string())?;
        Some(LockedBase { repository: repository.clone(), digest })
    };
    platforms.iter().map(|platform| (platform.clone(), base(platform))).collect()
}

/// Asks the registry. A digest that is known already stays: only its platforms are read anew.
async fn fetch(
    base: &str,
    reference: &BaseRef,
    known: Option<&LockedReference>,
    platforms: &[Platform],
    source: &dyn BaseSource,
) -> Result<LockedReference> {
    let pinned: Option<Digest> = known.map(|known| known.digest).or(reference.digest);
    let wanted = pinned.map(|digest| digest.to_string()).or_else(|| reference.tag.clone()).unwrap_or_else(|| "latest".to_owned());
    let raw = source.manifest(&reference.repository, &wanted).await?;
    let mut locked = LockedReference { digest: raw.descriptor.digest, platforms: BTreeMap::new() };
    for platform in platforms {
        let resolved = Lookup { source, name: base, repository: &reference.repository, platform }.resolve(&raw).await?;
        locked.platforms.insert(platform.to_string(), resolved.digest);
    }
    Ok(locked)
}
