//! An image with the images that it extends, and its settings merged with theirs.

use std::collections::BTreeMap;
use std::path::Path;

use union_build::diag::Origin;
use union_build::spec::{self, Base, Compression, Sourced};

/// An image's own spec and those that it extends.
#[derive(Clone, Debug)]
pub struct ImageChain {
    /// The specs that are extended, the one with the base first.
    ancestors: Vec<spec::ImageSpec>,
    own: spec::ImageSpec,
}

impl ImageChain {
    /// `ancestors` starts with the spec that has the base, and ends with the one that `own` extends.
    pub fn new(ancestors: Vec<spec::ImageSpec>, own: spec::ImageSpec) -> Self {
        Self { ancestors, own }
    }

    /// Follows `extends` through the images of a package. Validation has refused unknown names and cycles.
    pub fn resolve(images: &BTreeMap<String, spec::ImageSpec>, own: &spec::ImageSpec) -> Self {
        let parent = |spec: &spec::ImageSpec| match &spec.base {
            Base::Extends(name) => images.get(&name.value),
            Base::Reference(_) | Base::Scratch(_) | Base::Dockerfile => None,
        };
        let mut ancestors: Vec<spec::ImageSpec> =
            std::iter::successors(parent(own), |spec| parent(spec))
                .cloned()
                .collect();
        ancestors.reverse();
        Self::new(ancestors, own.clone())
    }

    /// The image's own spec.
    pub fn own(&self) -> &spec::ImageSpec {
        &self.own
    }

    /// The specs that the image extends, the one with the base first.
    pub fn ancestors(&self) -> &[spec::ImageSpec] {
        &self.ancestors
    }

    /// The base of the first spec.
    pub fn base(&self) -> &Base {
        &self.ancestors.first().unwrap_or(&self.own).base
    }

    /// All specs, the one with the base first and the image's own last.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &spec::ImageSpec> + Clone {
        self.ancestors.iter().chain(std::iter::once(&self.own))
    }

    /// Whether the first spec starts from an empty file system.
    pub fn is_scratch(&self) -> bool {
        matches!(self.base(), Base::Scratch(_))
    }

    /// The specs of [`iter`](Self::iter), cloned into a list.
    pub fn to_vec(&self) -> Vec<spec::ImageSpec> {
        self.iter().cloned().collect()
    }
}

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
    /// Whether binaries get the section `.dep-v0`.
    pub auditable: bool,
}

impl<'a> EffectiveConfig<'a> {
    /// Merges the settings of a chain; those of the image's own spec take precedence over its ancestors', name by name.
    pub fn of(chain: &'a ImageChain) -> Self {
        let last =
            |value: fn(&'a spec::ImageSpec) -> Option<&'a str>| chain.iter().rev().find_map(value);
        Self {
            env: merged(chain, |spec| &spec.env),
            labels: merged(chain, |spec| &spec.labels),
            annotations: merged(chain, |spec| &spec.annotations),
            entrypoint: chain
                .iter()
                .rev()
                .find_map(|spec| spec.entrypoint.as_ref())
                .map(|entrypoint| &entrypoint.value[..]),
            user: last(|spec| spec.user.as_ref().map(|user| user.value.as_str())),
            workdir: last(|spec| spec.workdir.as_ref().map(|workdir| workdir.value.as_str())),
            ca_certificates: chain
                .iter()
                .rev()
                .find_map(|spec| spec.ca_certificates.as_ref())
                .map(|path| path.value.as_path()),
            compression: last_set(chain, |spec| &spec.compression),
            auditable: last_set(chain, |spec| &spec.auditable),
        }
    }
}

/// The value of the last spec that sets it; a default must not override what an extended spec sets explicitly.
fn last_set<T: Copy>(chain: &ImageChain, field: fn(&spec::ImageSpec) -> &Sourced<T>) -> T {
    let mut fields = chain.iter().rev().map(field);
    fields
        .find(|field| field.origin != Origin::Default)
        .unwrap_or(field(chain.own()))
        .value
}

fn merged<'a>(
    chain: &'a ImageChain,
    field: fn(&'a spec::ImageSpec) -> &'a BTreeMap<String, Sourced<String>>,
) -> BTreeMap<&'a str, &'a str> {
    chain
        .iter()
        .flat_map(field)
        .map(|(name, value)| (name.as_str(), value.value.as_str()))
        .collect()
}
