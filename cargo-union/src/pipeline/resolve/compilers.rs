//! With what each target of an image is compiled, decided before its key is computed: what compiles is an input.
//!
//! The choice depends on what this machine has: a standard library for the target, a linker, zig, and which C
//! library. Machines that can do the same choose the same, and so have one key.

use anyhow::Result;

use super::ResolveContext;
use crate::build::{LockedBase, base_facts};
use crate::image::glibc::Glibc;
use crate::image::platform::Platform;
use crate::workspace::{CompileMode, CompileSettings, Linkage, Snapshot};

/// With what something is compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Compiler {
    /// Where; never `auto`.
    pub(crate) place: CompileMode,
    /// The C library that the image has, when zig links against it.
    pub(crate) glibc: Option<Glibc>,
}

/// Chooses for one target of an image upon a base. The host's cargo compiles whatever it can; cargo-zigbuild, where
/// it is installed, makes what the host cannot link and what must start with an older C library; a container the rest.
///
/// # Errors
/// What bases end with.
pub(crate) async fn choose(
    compile: &CompileSettings,
    target: &str,
    platform: &Platform,
    base: Option<&LockedBase>,
    snapshot: &Snapshot<'_>,
    ask: &ResolveContext<'_>,
) -> Result<Compiler> {
    let can_make = snapshot.can_make(target, compile);
    let may_be_zig = match compile.place {
        CompileMode::Zig => true,
        CompileMode::Auto => snapshot.can_make_with_zig(target),
        CompileMode::Host | CompileMode::Container => false,
    };
    if !may_be_zig {
        let place = match compile.place {
            CompileMode::Auto if can_make => CompileMode::Host,
            CompileMode::Auto => CompileMode::Container,
            chosen => chosen,
        };
        return Ok(Compiler { place, glibc: None });
    }
    let decides = compile.linkage == Linkage::Dynamic && target.contains("-gnu");
    let glibc = match base.filter(|_| decides) {
        Some(base) => base_facts(ask.cache, ask.source, base, platform).await?.glibc,
        None => None,
    };
    let place = match compile.place {
        CompileMode::Auto if can_make => {
            let own = if glibc.is_some() { snapshot.host_glibc().await } else { None };
            if glibc.zip(own).is_some_and(|(base, own)| base < own) { CompileMode::Zig } else { CompileMode::Host }
        }
        _ => CompileMode::Zig,
    };
    Ok(Compiler { place, glibc })
}
