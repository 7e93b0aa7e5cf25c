//! From an image's platform to the target that cargo compiles for.

use union_build::diag::Code;

use super::{CompileMode, Linkage, Toolchain};
use crate::image::platform::Platform;
use crate::sys::error::{Error, Result};

/// Architecture, variant, and the target's name before and after `-unknown-linux-`, with GNU's C
/// library and with musl.
type Row = (&'static str, Option<&'static str>, &'static str, &'static str, Option<&'static str>);

const TARGETS: &[Row] = &[
    ("386", None, "i686", "gnu", Some("musl")),
    ("amd64", None, "x86_64", "gnu", Some("musl")),
    ("arm", Some("v6"), "arm", "gnueabihf", Some("musleabihf")),
    ("arm", Some("v7"), "armv7", "gnueabihf", Some("musleabihf")),
    ("arm64", None, "aarch64", "gnu", Some("musl")),
    ("loong64", None, "loongarch64", "gnu", Some("musl")),
    ("ppc64le", None, "powerpc64le", "gnu", Some("musl")),
    ("riscv64", None, "riscv64gc", "gnu", Some("musl")),
    ("s390x", None, "s390x", "gnu", None),
];

/// The target for a platform: GNU's C library, which links both ways; a static binary may fall back
/// to musl where only that is installed. What a container may compile needs nothing installed here.
///
/// # Errors
/// `TargetMissing`, `StaticImpossible`.
pub fn target_for(platform: &Platform, linkage: Linkage, toolchain: &Toolchain, place: CompileMode) -> Result<String> {
    let of = |(architecture, variant, ..): &&Row| {
        platform.os == "linux" && platform.architecture == *architecture && platform.variant.as_deref() == *variant
    };
    let Some((_, _, machine, gnu, musl)) = TARGETS.iter().find(of) else {
        let error = Error::new(Code::TargetMissing, format!("there is no Rust target for the platform `{platform}`"));
        let known: Vec<String> = TARGETS.iter().map(|(name, variant, ..)| Platform::new("linux", name, *variant).to_string()).collect();
        return Err(error.help(format!("Declare one of {}.", known.join(", "))));
    };
    let gnu = format!("{machine}-unknown-linux-{gnu}");
    let musl = musl.filter(|_| linkage == Linkage::Static).map(|musl| format!("{machine}-unknown-linux-{musl}"));
    let candidates: Vec<&String> = [Some(&gnu), musl.as_ref()].into_iter().flatten().collect();
    let installed = candidates.iter().find(|triple| toolchain.has_target(triple)).map(|triple| (*triple).clone());
    match (place, installed) {
        (CompileMode::Container, _) | (CompileMode::Auto, None) => return Ok(gnu),
        (_, Some(installed)) => return Ok(installed),
        (CompileMode::Host | CompileMode::Zig, None) => {}
    }
    let advice = format!("Run `rustup target add {gnu}`, use `compile = \"container\"`, or drop the platform.");
    let tried = format!("the toolchain {} on {} has no standard library for `{gnu}`", toolchain.release, toolchain.host);
    Err(match linkage {
        Linkage::Dynamic => Error::new(Code::TargetMissing, tried).help(advice),
        Linkage::Static => {
            let or_musl = musl.map(|musl| format!(" or `{musl}`")).unwrap_or_default();
            Error::new(Code::StaticImpossible, format!("{tried}{or_musl}, so a static binary for {platform} cannot be linked")).help(advice)
        }
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn with(installed: &[&str], platform: &str, linkage: Linkage) -> Result<String> {
        let sysroot = tempfile::tempdir().unwrap();
        for triple in installed {
            std::fs::create_dir_all(sysroot.path().join("lib/rustlib").join(triple).join("lib")).unwrap();
        }
        let toolchain = Toolchain::for_test(sysroot.path());
        target_for(&platform.parse().unwrap(), linkage, &toolchain, CompileMode::Host)
    }

    #[test]
    fn a_platform_has_its_target() {
        for (platform, triple) in [
            ("linux/amd64", "x86_64-unknown-linux-gnu"),
            ("linux/arm64/v8", "aarch64-unknown-linux-gnu"),
            ("linux/arm/v7", "armv7-unknown-linux-gnueabihf"),
            ("linux/riscv64", "riscv64gc-unknown-linux-gnu"),
            ("linux/386", "i686-unknown-linux-gnu"),
            ("linux/s390x", "s390x-unknown-linux-gnu"),
        ] {
            for linkage in [Linkage::Dynamic, Linkage::Static] {
                assert_eq!(with(&[triple], platform, linkage).unwrap(), triple);
            }
        }
    }

    #[test]
    fn only_a_static_binary_falls_back_to_musl() {
        let musl = "x86_64-unknown-linux-musl";
        assert_eq!(with(&[musl], "linux/amd64", Linkage::Static).unwrap(), musl);
        let error = with(&[musl], "linux/amd64", Linkage::Dynamic).unwrap_err();
        assert_eq!(error.code(), Code::TargetMissing);
        assert!(error.advice().contains("rustup target add x86_64-unknown-linux-gnu"), "{}", error.advice());
    }

    #[test]
    fn what_a_container_may_compile_needs_nothing_here() {
        let sysroot = tempfile::tempdir().unwrap();
        let toolchain = Toolchain::for_test(sysroot.path());
        for place in [CompileMode::Auto, CompileMode::Container] {
            let target = target_for(&"linux/arm64".parse().unwrap(), Linkage::Static, &toolchain, place).unwrap();
            assert_eq!(target, "aarch64-unknown-linux-gnu");
        }
    }

    #[test]
    fn a_static_binary_without_any_target_is_impossible() {
        let error = with(&[], "linux/amd64", Linkage::Static).unwrap_err();
        assert_eq!(error.code(), Code::StaticImpossible);
        assert!(error.to_string().contains("x86_64-unknown-linux-musl"), "{error}");
    }

    #[test]
    fn an_unknown_platform_lists_those_that_are_known() {
        let error = with(&[], "linux/mips", Linkage::Dynamic).unwrap_err();
        assert_eq!(error.code(), Code::TargetMissing);
        assert!(error.advice().contains("linux/arm/v7"), "{}", error.advice());
        assert_eq!(with(&[], "windows/amd64", Linkage::Dynamic).unwrap_err().code(), Code::TargetMissing);
    }
}
