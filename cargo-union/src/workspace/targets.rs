//! Maps the platform of an image to a target triple.

use union_build::diag::Code;

use super::{CompileMode, Linkage, Toolchain};
use crate::image::platform::Platform;
use crate::sys::error::{Error, Result};

/// Architecture and variant of the platform, and the parts of the triple before and after `-unknown-linux-`, for glibc
/// and for musl.
type Row = (
    &'static str,
    Option<&'static str>,
    &'static str,
    &'static str,
    Option<&'static str>,
);

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

/// The target triple for a platform: glibc, which links statically and dynamically, or musl for a static binary when only
/// that is installed. A container compile does not require an installed target.
///
/// # Errors
/// `TargetMissing`, `StaticImpossible`.
pub fn target_for(
    platform: &Platform,
    linkage: Linkage,
    toolchain: &Toolchain,
    compile_mode: CompileMode,
) -> Result<String> {
    let matches_platform = |(architecture, variant, ..): &&Row| {
        platform.os == "linux"
            && platform.architecture == *architecture
            && platform.variant.as_deref() == *variant
    };
    let Some((_, _, machine, gnu, musl)) = TARGETS.iter().find(matches_platform) else {
        let error = Error::new(
            Code::TargetMissing,
            format!("there is no Rust target for the platform `{platform}`"),
        );
        let known: Vec<String> = TARGETS
            .iter()
            .map(|(name, variant, ..)| Platform::new("linux", name, *variant).to_string())
            .collect();
        return Err(error.help(format!("Declare one of {}.", known.join(", "))));
    };
    let gnu = format!("{machine}-unknown-linux-{gnu}");
    let musl = musl
        .filter(|_| linkage == Linkage::Static)
        .map(|musl| format!("{machine}-unknown-linux-{musl}"));
    let candidates: Vec<&String> = [Some(&gnu), musl.as_ref()].into_iter().flatten().collect();
    let installed = candidates
        .iter()
        .find(|triple| toolchain.has_target(triple))
        .map(|triple| (*triple).clone());
    match (compile_mode, installed) {
        (CompileMode::Container, _) | (CompileMode::Auto, None) => return Ok(gnu),
        (_, Some(installed)) => return Ok(installed),
        (CompileMode::Host | CompileMode::Zig, None) => {}
    }
    let advice = format!(
        "Run `rustup target add {gnu}`, use `compile = \"container\"`, or drop the platform."
    );
    let message = format!(
        "the toolchain {} on {} has no standard library for `{gnu}`",
        toolchain.release, toolchain.host
    );
    Err(match linkage {
        Linkage::Dynamic => Error::new(Code::TargetMissing, message).help(advice),
        Linkage::Static => {
            let or_musl = musl.map(|musl| format!(" or `{musl}`")).unwrap_or_default();
            Error::new(
                Code::StaticImpossible,
                format!("{message}{or_musl}, so a static binary for {platform} cannot be linked"),
            )
            .help(advice)
        }
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn target_with(installed: &[&str], platform: &str, linkage: Linkage) -> Result<String> {
        let sysroot = tempfile::tempdir().unwrap();
        for triple in installed {
            std::fs::create_dir_all(sysroot.path().join("lib/rustlib").join(triple).join("lib"))
                .unwrap();
        }
        let toolchain = Toolchain::for_test(sysroot.path());
        target_for(
            &platform.parse().unwrap(),
            linkage,
            &toolchain,
            CompileMode::Host,
        )
    }

    #[test]
    fn platforms_map_to_target_triples() {
        for (platform, triple) in [
            ("linux/amd64", "x86_64-unknown-linux-gnu"),
            ("linux/arm64/v8", "aarch64-unknown-linux-gnu"),
            ("linux/arm/v7", "armv7-unknown-linux-gnueabihf"),
            ("linux/riscv64", "riscv64gc-unknown-linux-gnu"),
            ("linux/386", "i686-unknown-linux-gnu"),
            ("linux/s390x", "s390x-unknown-linux-gnu"),
        ] {
            for linkage in [Linkage::Dynamic, Linkage::Static] {
                assert_eq!(target_with(&[triple], platform, linkage).unwrap(), triple);
            }
        }
    }

    #[test]
    fn only_static_binaries_fall_back_to_musl() {
        let musl = "x86_64-unknown-linux-musl";
        assert_eq!(
            target_with(&[musl], "linux/amd64", Linkage::Static).unwrap(),
            musl
        );
        let error = target_with(&[musl], "linux/amd64", Linkage::Dynamic).unwrap_err();
        assert_eq!(error.code(), Code::TargetMissing);
        assert!(
            error
                .advice()
                .contains("rustup target add x86_64-unknown-linux-gnu"),
            "{}",
            error.advice()
        );
    }

    #[test]
    fn container_compile_does_not_require_an_installed_target() {
        let sysroot = tempfile::tempdir().unwrap();
        let toolchain = Toolchain::for_test(sysroot.path());
        for compile_mode in [CompileMode::Auto, CompileMode::Container] {
            let target = target_for(
                &"linux/arm64".parse().unwrap(),
                Linkage::Static,
                &toolchain,
                compile_mode,
            )
            .unwrap();
            assert_eq!(target, "aarch64-unknown-linux-gnu");
        }
    }

    #[test]
    fn static_binary_without_installed_target_is_rejected() {
        let error = target_with(&[], "linux/amd64", Linkage::Static).unwrap_err();
        assert_eq!(error.code(), Code::StaticImpossible);
        assert!(
            error.to_string().contains("x86_64-unknown-linux-musl"),
            "{error}"
        );
    }

    #[test]
    fn unknown_platform_lists_known_platforms() {
        let error = target_with(&[], "linux/mips", Linkage::Dynamic).unwrap_err();
        assert_eq!(error.code(), Code::TargetMissing);
        assert!(
            error.advice().contains("linux/arm/v7"),
            "{}",
            error.advice()
        );
        assert_eq!(
            target_with(&[], "windows/amd64", Linkage::Dynamic)
                .unwrap_err()
                .code(),
            Code::TargetMissing
        );
    }
}
