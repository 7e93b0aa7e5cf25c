//! Environment variables of an image; their values may refer to variables of its base.

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

/// Environment variables by name.
pub type Variables = BTreeMap<String, String>;

/// The variables that a base sets, and `PATH`, which container runtimes set when the image does not. `None` is scratch.
pub(super) fn of_base(base: Option<&BaseConfig>) -> Variables {
    let variables = base.into_iter().flat_map(BaseConfig::variables);
    with_path(
        variables
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
    )
}

/// Adds the default `PATH` if there is none.
pub(super) fn with_path(mut variables: Variables) -> Variables {
    variables
        .entry(PATH.to_owned())
        .or_insert_with(|| DEFAULT_PATH.to_owned());
    variables
}

/// The variables of specs, of which later ones take precedence, with references to the base's variables expanded.
///
/// # Errors
/// `InvalidValue` when a value refers to a variable that the base does not set.
pub(super) fn expanded<'a>(
    specs: impl IntoIterator<Item = &'a spec::ImageSpec>,
    base: &Variables,
) -> Result<Variables> {
    let mut variables = Variables::new();
    for spec in specs {
        for (name, value) in &spec.env {
            let expanded = expand(value, |name| base.get(name).cloned()).map_err(|unknown| {
                Error::new(
                    Code::InvalidValue,
                    format!(
                        "could not set the variable `{name}` of image `{}`",
                        spec.key
                    ),
                )
                .because(format!(
                    "its value ({}) refers to `{unknown}`, which the base image does not set",
                    value.origin
                ))
                .help(format!(
                    "Write `$$` for a dollar, or set `{unknown}` in an image that this one extends."
                ))
            })?;
            variables.insert(name.clone(), expanded);
        }
    }
    Ok(variables)
}

/// Whether any variable of an image refers to a variable of its base.
pub fn refers_to_base(spec: &spec::ImageSpec) -> bool {
    spec.env.values().any(|value| !names(value).is_empty())
}

/// References to variables that the base does not set: the name, and the value that refers to it.
pub fn undefined_variables<'a>(
    spec: &'a spec::ImageSpec,
    base: &Variables,
) -> Vec<(&'a str, &'a Sourced<String>)> {
    let references = spec
        .env
        .values()
        .flat_map(|value| names(value).into_iter().map(move |name| (name, value)));
    references
        .filter(|(name, _)| !base.contains_key(*name))
        .collect()
}

/// The variables that a base sets. Fetches only its manifest and config.
///
/// # Errors
/// When the base cannot be fetched or parsed.
pub async fn base_variables(
    source: &dyn BaseSource,
    at: &LockedBase,
    platform: &Platform,
) -> Result<Variables> {
    let base = ResolvedBase::open(source, &BaseImage::Locked(at.clone()), platform).await?;
    Ok(of_base(Some(&base.config)))
}
