//! The toolchain image for a compile in a container.
//!
//! By default it has the same Debian release as the base, so that binaries link the libraries that the base has, and the
//! same Rust release as the host.

use union_build::diag::Code;

use super::ResolveContext;
use crate::build::{LockedBase, base_facts};
use crate::image::platform::Platform;
use crate::pipeline::problems::Result;
use crate::sys::error::Error;
use crate::workspace::{CompileSettings, Snapshot};

/// The Debian release for images without a base.
const NEWEST: &str = "trixie";

/// Whether a reference may be a default of [`resolve_rust_image`].
pub(crate) fn is_default(reference: &str) -> bool {
    reference.starts_with("rust:")
}

/// Returns the toolchain image for an image with a given base: `build.rust-image`, or the default.
///
/// # Errors
/// `RustImageUnknown` if the base is not a Debian release, since the official `rust` images are Debian-based.
pub(crate) async fn resolve_rust_image(
    settings: &CompileSettings,
    image: &str,
    base: Option<&LockedBase>,
    platform: &Platform,
    snapshot: &Snapshot<'_>,
    context: &ResolveContext<'_>,
) -> Result<String> {
    if let Some(reference) = &settings.rust_image {
        return Ok(reference.clone());
    }
    let rust = &snapshot.toolchain().release;
    let Some(base) = base else {
        return Ok(format!("rust:{rust}-{NEWEST}"));
    };
    let release = base_facts(context.cache, context.source, base, platform)
        .await?
        .release;
    match release
        .as_ref()
        .map(|release| (release, release.codename.as_deref()))
    {
        Some((release, Some(codename))) if release.id == "debian" => {
            Ok(format!("rust:{rust}-{codename}"))
        }
        _ => {
            let what = release.map_or_else(
                || "of no known distribution".to_owned(),
                |release| release.to_string(),
            );
            let error = Error::new(
                Code::RustImageUnknown,
                format!("could not choose an image to compile `{image}` in"),
            );
            let help = "Set `build.rust-image` to an image of the same release that has cargo and a C compiler.";
            Err(error
                .because(format!(
                    "no official `rust` image matches a base that is {what}: they are Debian-based"
                ))
                .help(help)
                .into())
        }
    }
}
