//! What a task's image says of how its program is compiled and started.

use std::collections::BTreeMap;

use anyhow::Result;
use union_build::spec::Spec;

use crate::build::{EffectiveConfig, ImageChain};
use crate::pipeline::resolve::{compile_settings, linkage, platforms};
use crate::workspace::targets::target_for;
use crate::workspace::{CompileMode, CompileSettings, Linkage, Toolchain};

/// What is started in an image, and with which variables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ContainerStart {
    /// What stands before the task's own words.
    pub(super) entrypoint: Option<Vec<String>>,
    /// The variables that its specs declare.
    pub(super) env: BTreeMap<String, String>,
}

impl ContainerStart {
    /// Of an image spec and those that it extends.
    pub(super) fn of(spec: &Spec, image: &str) -> Self {
        let chain = ImageChain::resolve(&spec.images, &spec.images[image]);
        let settings = EffectiveConfig::of(&chain);
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        Self { entrypoint: settings.entrypoint.map(<[String]>::to_vec), env: settings.env.into_iter().map(owned).collect() }
    }
}

/// How the binaries of an image are compiled for this machine: as for the image where this machine
/// runs those, so that neither makes cargo compile the other's anew.
///
/// # Errors
/// `InvalidValue`; validation has caught it before.
pub(super) fn for_this_machine(spec: &Spec, image: &str, toolchain: &Toolchain) -> Result<(CompileSettings, String)> {
    let image = &spec.images[image];
    let linkage = linkage(image, ImageChain::resolve(&spec.images, image).base());
    for platform in platforms(image)? {
        if let Ok(target) = target_for(&platform, linkage, toolchain, CompileMode::Host)
            && runs(&toolchain.host, &target, linkage)
        {
            return Ok((compile_settings(image, linkage), target));
        }
    }
    Ok((compile_settings(image, Linkage::Dynamic), toolchain.host.clone()))
}

/// Whether a machine runs what is compiled for a target: another C library must be in the binary.
fn runs(host: &str, target: &str, linkage: Linkage) -> bool {
    let machine = |triple: &str| triple.split('-').next().map(str::to_owned);
    let another = machine(host) == machine(target) && host.contains("-linux-") && target.contains("-linux-");
    host == target || (another && linkage == Linkage::Static)
}

#[cfg(test)]
mod tests {
    use super::{Linkage, runs};

    #[test]
    fn a_machine_runs_what_is_for_it_and_on_linux_what_brings_its_c_library() {
        for (host, target, static_, dynamic) in [
            ("x86_64-unknown-linux-gnu", "x86_64-unknown-linux-gnu", true, true),
            ("x86_64-unknown-linux-gnu", "x86_64-unknown-linux-musl", true, false),
            ("x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu", false, false),
            ("aarch64-apple-darwin", "aarch64-unknown-linux-gnu", false, false),
            ("aarch64-apple-darwin", "aarch64-apple-darwin", true, true),
        ] {
            let fits = [Linkage::Static, Linkage::Dynamic].map(|linkage| runs(host, target, linkage));
            assert_eq!(fits, [static_, dynamic], "{host} {target}");
        }
    }
}
