//! The image with a toolchain for a compile in a container.
//!
//! By default it is of the environment's own release, so that what is linked there is what will be
//! there, and has the host's release of Rust.

use union_build::diag::Code;

use super::ResolveContext;
use crate::build::{LockedBase, base_facts};
use crate::image::platform::Platform;
use crate::pipeline::problems::Result;
use crate::sys::error::Error;
use crate::workspace::{CompileSettings, Snapshot};

/// The release of Debian for what starts from nothing.
const NEWEST: &str = "trixie";

/// Whether a reference is one that [`of`] makes up.
pub(crate) fn is_default(reference: &str) -> bool {
    reference.starts_with("rust:")
}

/// The image that compiles for an image upon a base, as it was typed or by default.
///
/// # Errors
/// `RustImageUnknown` when the base is of a distribution for which there is no such image.
pub(crate) async fn resolve_rust_image(
    settings: &CompileSettings,
    image: &str,
    base: Option<&LockedBase>,
    platform: &Platform,
    snapshot: &Snapshot<'_>,
    ask: &ResolveContext<'_>,
) -> Result<String> {
    if let Some(typed) = &settings.rust_image {
        return Ok(typed.clone());
    }
    let rust = &snapshot.toolchain().release;
    let Some(base) = base else { return Ok(format!("rust:{rust}-{NEWEST}")) };
    let release = base_facts(ask.cache, ask.source, base, platform).await?.release;
    match release.as_ref().map(|release| (release, release.codename.as_deref())) {
        Some((release, Some(codename))) if release.id == "debian" => Ok(format!("rust:{rust}-{codename}")),
        _ => {
            let what = release.map_or_else(|| "of no known distribution".to_owned(), |release| release.to_string());
            let error = Error::new(Code::RustImageUnknown, format!("could not choose an image to compile `{image}` in"));
            let help = "Set `build.rust-image` to an image of the same release that has cargo and a C compiler.";
            Err(error.because(format!("no official `rust` image matches a base that is {what}: they are Debian-based")).help(help).into())
        }
    }
}
