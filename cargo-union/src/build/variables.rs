//! The variables of an image, whose values may refer to those of its base.

use std::collections::BTreeMap;

use union_build::diag::Code;
use union_build::spec::variables::{DEFAULT_PATH, PATH, expand, names};
use union_build::spec::{self, Sourced};

use super::base::ResolvedBase;
use super::{BaseImage, LockedBase};
use crate::image::BaseSource;
use crate::image::config::BaseConfig;
use crate::image::platform::Platform;
use crate::sys::error::{Error, Result};

/// The variables of a base, by name.
pub type Variables = BTreeMap<String, String>;

/// The variables that a base sets, and `PATH`, which container runtimes set when it does not. None is scratch.
pub(super) fn of_base(base: Option<&BaseConfig>) -> Variables {
    let set = base.into_iter().flat_map(BaseConfig::variables);
    with_path(set.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

/// The same variables with a `PATH` in any case.
pub(super) fn with_path(mut variables: Variables) -> Variables {
    variables.entry(PATH.to_owned()).or_insert_with(|| DEFAULT_PATH.to_owned());
    variables
}

/// The variables of some specs, the later ones winning, with all references replaced.
///
/// # Errors
/// `InvalidValue` when a value refers to a variable that the base does not set.
pub(super) fn expanded<'a>(specs: impl IntoIterator<Item = &'a spec::Image>, base: &Variables) -> Result<Variables> {
    let mut variables = Variables::new();
    for spec in specs {
        for (name, value) in &spec.env {
            let expanded = expand(value, |wanted| base.get(wanted).cloned()).map_err(|unknown| {
                Error::new(Code::InvalidValue, format!("could not set the variable `{name}` of image `{}`", spec.key))
                    .because(format!("its value ({}) refers to `{unknown}`, which the base image does not set", value.origin))
                    .help(format!("Write `$$` for a dollar, or set `{unknown}` in an image that this one extends."))
            })?;
            variables.insert(name.clone(), expanded);
        }
    }
    Ok(variables)
}

/// Whether the variables of an image refer to any of its base.
pub fn refers_to_base(spec: &spec::Image) -> bool {
    spec.env.values().any(|value| !names(value).is_empty())
}

/// The references of an image's variables that a base does not answer: the name, and the value that refers to it.
pub fn undefined_variables<'a>(spec: &'a spec::Image, base: &Variables) -> Vec<(&'a str, &'a Sourced<String>)> {
    let of = |value: &'a Sourced<String>| names(value).into_iter().map(move |name| (name, value));
    spec.env.values().flat_map(of).filter(|(name, _)| !base.contains_key(*name)).collect()
}

/// The variables that a base sets, of which only manifest and config are fetched.
///
/// # Errors
/// When the base cannot be had or read.
pub async fn base_variables(source: &dyn BaseSource, at: &LockedBase, platform: &Platform) -> Result<Variables> {
    let base = ResolvedBase::open(source, &BaseImage::Locked(at.clone()), platform).await?;
    Ok(of_base(Some(&base.config)))
}
