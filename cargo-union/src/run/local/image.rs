//! The entrypoint and variables of a task's image, as its manifest declares them.

use std::collections::BTreeMap;

use union_build::spec::Spec;

use crate::build::{EffectiveConfig, ImageChain};

/// How an image starts a program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ContainerStart {
    /// The words before those of the task's command; `None` if the base sets the entrypoint.
    pub(super) entrypoint: Option<Vec<String>>,
    /// The declared variables, without those of the base.
    pub(super) env: BTreeMap<String, String>,
}

impl ContainerStart {
    /// How an image starts a program, including what it inherits by `extends`.
    pub(super) fn of(spec: &Spec, image: &str) -> Self {
        let chain = ImageChain::resolve(&spec.images, &spec.images[image]);
        let config = EffectiveConfig::of(&chain);
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        Self {
            entrypoint: config.entrypoint.map(<[String]>::to_vec),
            env: config.env.into_iter().map(owned).collect(),
        }
    }
}
