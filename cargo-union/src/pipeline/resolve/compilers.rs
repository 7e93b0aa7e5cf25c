//! Chooses the compiler (host, cargo-zigbuild, container) for each target of an image.
//!
//! The choice is an input of the key, so it is made before the key is computed. It depends on the tools of this machine:
//! the standard library of the target, a linker, zig, and the version of glibc. Machines with the same tools make the
//! same choice, and so compute the same key.

use super::ResolveContext;
use crate::build::{LockedBase, base_facts};
use crate::image::glibc::Glibc;
use crate::image::platform::Platform;
use crate::pipeline::problems::Result;
use crate::workspace::{CompileMode, CompileSettings, Linkage, Snapshot};

/// The compiler of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Compiler {
    /// Never [`CompileMode::Auto`].
    pub(crate) compile_mode: CompileMode,
    /// The glibc of the base, if zig may have to link against it.
    pub(crate) glibc: Option<Glibc>,
}

/// Chooses the compiler for one target of an image with a given base. With `auto` that is the host's cargo if it can link
/// the target; cargo-zigbuild, if it is installed, for other targets and for bases with an older glibc than the host's; a
/// container otherwise.
///
/// # Errors
/// If the base cannot be pulled or read.
pub(crate) async fn choose(
    compile: &CompileSettings,
    target: &str,
    platform: &Platform,
    base: Option<&LockedBase>,
    snapshot: &Snapshot<'_>,
    context: &ResolveContext<'_>,
) -> Result<Compiler> {
    let can_compile_on_host = snapshot.can_make(target, compile);
    let may_use_zig = match compile.compile_mode {
        CompileMode::Zig => true,
        CompileMode::Auto => snapshot.can_make_with_zig(target),
        CompileMode::Host | CompileMode::Container => false,
    };
    if !may_use_zig {
        let compile_mode = match compile.compile_mode {
            CompileMode::Auto if can_compile_on_host => CompileMode::Host,
            CompileMode::Auto => CompileMode::Container,
            chosen => chosen,
        };
        return Ok(Compiler {
            compile_mode,
            glibc: None,
        });
    }
    let links_glibc = compile.linkage == Linkage::Dynamic && target.contains("-gnu");
    let glibc = match base.filter(|_| links_glibc) {
        Some(base) => {
            base_facts(context.cache, context.source, base, platform)
                .await?
                .glibc
        }
        None => None,
    };
    let compile_mode = match compile.compile_mode {
        CompileMode::Auto if can_compile_on_host => {
            let host_glibc = if glibc.is_some() {
                snapshot.host_glibc().await
            } else {
                None
            };
            if glibc
                .zip(host_glibc)
                .is_some_and(|(base, host)| base < host)
            {
                CompileMode::Zig
            } else {
                CompileMode::Host
            }
        }
        _ => CompileMode::Zig,
    };
    Ok(Compiler {
        compile_mode,
        glibc,
    })
}
