//! What an image gets from the specs it extends: its own settings win over theirs, name by name.

use std::collections::BTreeMap;
use std::path::Path;

use union_build::diag::Origin;
use union_build::spec::{self, Base, Compression, Sourced};

/// The settings of an image's config, with everything inherited filled in.
#[derive(Clone, Debug)]
pub struct EffectiveConfig<'a> {
    /// Environment variables.
    pub env: BTreeMap<&'a str, &'a str>,
    /// Labels of the config.
    pub labels: BTreeMap<&'a str, &'a str>,
    /// Annotations of the manifest.
    pub annotations: BTreeMap<&'a str, &'a str>,
    /// Entrypoint.
    pub entrypoint: Option<&'a [String]>,
    /// `user[:group]`, names or numbers.
    pub user: Option<&'a str>,
    /// Working folder.
    pub workdir: Option<&'a str>,
    /// A PEM bundle instead of the compiled-in one.
    pub ca_certificates: Option<&'a Path>,
    /// How layers are compressed.
    pub compression: Compression,
}

impl<'a> EffectiveConfig<'a> {
    /// Goes through a chain of specs from the one that has the base to the image's own.
    pub fn of(chain: &'a [spec::Image]) -> Self {
        let last = |value: fn(&'a spec::Image) -> Option<&'a str>| chain.iter().rev().find_map(value);
        // A default is no wish: it does not hide what an extended spec asks for.
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
