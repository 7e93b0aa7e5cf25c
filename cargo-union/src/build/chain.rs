//! Merges the settings of an image with those of the images that it extends; its own take precedence, name by name.

use std::collections::BTreeMap;
use std::path::Path;

use union_build::diag::Origin;
use union_build::spec::{self, Base, Compression, Sourced};

/// The settings of an image's config, including inherited ones.
#[derive(Clone, Debug)]
pub struct EffectiveConfig<'a> {
    /// Environment variables.
    pub env: BTreeMap<&'a str, &'a str>,
    /// Labels of the image's config (`config.Labels`).
    pub labels: BTreeMap<&'a str, &'a str>,
    /// Annotations of the image's manifest.
    pub annotations: BTreeMap<&'a str, &'a str>,
    /// Entrypoint as a list of words; `None` if no spec of the chain sets it.
    pub entrypoint: Option<&'a [String]>,
    /// `user[:group]`, each a name or a number.
    pub user: Option<&'a str>,
    /// Working directory.
    pub workdir: Option<&'a str>,
    /// A PEM bundle that replaces the compiled-in one.
    pub ca_certificates: Option<&'a Path>,
    /// Compression of the layers.
    pub compression: Compression,
}

impl<'a> EffectiveConfig<'a> {
    /// Merges a chain of specs, outermost base first, the image's own spec last.
    pub fn of(chain: &'a [spec::Image]) -> Self {
        let last = |value: fn(&'a spec::Image) -> Option<&'a str>| chain.iter().rev().find_map(value);
        // A default must not override what an extended spec sets explicitly.
        let compression = chain.iter().rev().map(|spec| &spec.compression).find(|compression| compression.origin != Origin::Default);
        Self {
            env: merged(chain, |spec| &spec.env),
            labels: merged(chain, |spec| &spec.labels),
            annotations: merged(chain, |spec| &spec.annotations),
            entrypoint: chain.iter().rev().find_map(|spec| spec.entrypoint.as_ref()).map(|entrypoint| &entrypoint.value[..]),
            user: last(|spec| spec.user.as_ref().map(|user| user.value.as_str())),
            workdir: last(|spec| spec.workdir.as_ref().map(|workdir| workdir.value.as_str())),
            ca_certificates: chain.iter().rev().find_map(|spec| spec.ca_certificates.as_ref()).map(|path| path.value.as_path()),
            compression: compression.map_or(Compression::default(), |compression| compression.value),
        }
    }
}

/// Whether a chain starts from an empty file system.
pub(super) fn is_scratch(chain: &[spec::Image]) -> bool {
    chain.first().is_some_and(|spec| matches!(spec.base, Base::Scratch(_)))
}

fn merged<'a>(chain: &'a [spec::Image], field: fn(&'a spec::Image) -> &'a BTreeMap<String, Sourced<String>>) -> BTreeMap<&'a str, &'a str> {
    chain.iter().flat_map(field).map(|(name, value)| (name.as_str(), value.value.as_str())).collect()
}
