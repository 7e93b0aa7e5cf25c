//! The keys `cuda` and `cudnn`: checks that the base has these versions, or suggests bases that do.
//!
//! There is no table of versions: they come from the tags of `nvidia/cuda` and from the variables of NVIDIA's images.

use union_build::diag::{Code, Diagnostic, Origin};
use union_build::spec::{Base, ImageSpec, Sourced, Spec};

use super::bases::{self, LockMode};
use crate::build::Lookup;
use crate::image::config::BaseConfig;
use crate::image::reference::{BaseRef, Repository};
use crate::pipeline::problems::{ManifestProblems, Result};
use crate::publish::registry::Registry;
use crate::sys::words;
use crate::workspace::UnionLock;

/// The variables in which NVIDIA's images declare their versions.
const CUDA: &str = "CUDA_VERSION";
const CUDNN: &str = "NV_CUDNN_VERSION";

/// Checks every image of a package that sets `cuda` or `cudnn`.
///
/// # Errors
/// [`ManifestProblems`] with a `BaseUnfit` for each mismatch; errors of registries.
pub(crate) async fn check(
    spec: &Spec,
    lock: &mut UnionLock,
    registry: &Registry,
    policy: LockMode,
) -> Result<()> {
    let mut problems = Vec::new();
    for image in spec.images.values() {
        let required = [(&image.cuda, CUDA), (&image.cudnn, CUDNN)];
        let Some(first) = required.iter().find_map(|(value, _)| value.as_ref()) else {
            continue;
        };
        match &image.base {
            Base::Reference(base) if base.origin == Origin::Default => {
                problems.push(suggest_base(image, first, registry).await?)
            }
            Base::Reference(base) => {
                let config = base_config(image, base, lock, registry, policy).await?;
                for (value, variable) in required {
                    problems.extend(
                        value
                            .as_ref()
                            .and_then(|value| version_problem(value, variable, base, &config)),
                    );
                }
            }
            Base::Scratch(_) | Base::Extends(_) | Base::Dockerfile => {
                let message = format!(
                    "image `{}` has no base image whose CUDA version could be checked",
                    image.key
                );
                let problem = Diagnostic::error(Code::InvalidValue, message, &first.origin, "");
                problems.push(problem.help("write it in the image that has the `base-image`"));
            }
        }
    }
    if problems.is_empty() {
        Ok(())
    } else {
        Err(ManifestProblems(problems).into())
    }
}

async fn base_config(
    image: &ImageSpec,
    base: &Sourced<String>,
    lock: &mut UnionLock,
    registry: &Registry,
    policy: LockMode,
) -> Result<BaseConfig> {
    let platforms = super::platforms(image)?;
    let locked = bases::locked(&base.value, &platforms[..1], lock, registry, policy).await?;
    let locked_base = locked
        .into_iter()
        .find_map(|(_, base)| base)
        .expect("a reference has a digest for each platform");
    let lookup = Lookup {
        source: registry,
        name: &base.value,
        repository: &locked_base.repository,
        platform: &platforms[0],
    };
    let resolved = lookup.locked(locked_base.digest).await?;
    Ok(lookup.config(&resolved.image).await?)
}

fn version_problem(
    required: &Sourced<String>,
    variable: &str,
    base: &Sourced<String>,
    config: &BaseConfig,
) -> Option<Diagnostic> {
    let actual = config.variable(variable);
    if actual.is_some_and(|actual| matches_version(actual, &required.value)) {
        return None;
    }
    let product = if variable == CUDA { "CUDA" } else { "cuDNN" };
    let message = match actual {
        Some(actual) => format!(
            "the base image has {product} {actual}, and {} is requested",
            required.value
        ),
        None => {
            format!("the base image declares no {product}: its {variable} is not set")
        }
    };
    let problem = Diagnostic::error(Code::BaseUnfit, message, &required.origin, "requested here")
        .also(&base.origin, "the base image");
    Some(problem.help("choose another tag of `nvidia/cuda`, or remove `base-image` and have fitting ones proposed"))
}

/// Whether a version satisfies a required one: `12.6.1` satisfies `12.6`, and `12.60` does not.
fn matches_version(version: &str, required: &str) -> bool {
    version
        .strip_prefix(required)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '-', '+']))
}

async fn suggest_base(
    image: &ImageSpec,
    first: &Sourced<String>,
    registry: &Registry,
) -> Result<Diagnostic> {
    let reference: BaseRef = "nvidia/cuda".parse().expect("the name is a reference");
    let Repository {
        registry: host,
        path,
    } = &reference.repository;
    let tags = registry.tags(&reference.repository).await?;
    let fitting = fitting_tags(
        &tags,
        image.cuda.as_deref().map(String::as_str),
        image.cudnn.is_some(),
    );
    let message = format!("image `{}` requests CUDA without a `base-image`", image.key);
    let problem = Diagnostic::error(
        Code::BaseUnfit,
        message,
        &first.origin,
        "needs a base that has it",
    );
    Ok(match fitting.first() {
        Some(_) => {
            let lines = fitting
                .iter()
                .take(3)
                .map(|tag| format!("base-image = \"{path}:{tag}\""));
            let one_of = if fitting.len() > 1 { "one of " } else { "" };
            problem.help(format!("write {one_of}{}", words::list(lines)))
        }
        None => problem.help(format!(
            "none of the {} tags of {host}/{path} fits; see them for the versions that there are",
            tags.len()
        )),
    })
}

/// The matching tags of runtime images on Ubuntu, such as `12.6.3-cudnn-runtime-ubuntu24.04`, newest first.
fn fitting_tags(tags: &[String], cuda: Option<&str>, cudnn: bool) -> Vec<String> {
    let fits = |tag: &&String| {
        let mut parts = tag.split('-');
        let has_version = parts
            .next()
            .is_some_and(|version| cuda.is_none_or(|required| matches_version(version, required)));
        let parts: Vec<&str> = parts.collect();
        has_version
            && parts.contains(&"runtime")
            && parts.iter().any(|part| part.starts_with("cudnn")) == cudnn
            && parts.last().is_some_and(|last| last.starts_with("ubuntu"))
    };
    let mut fitting: Vec<String> = tags.iter().filter(fits).cloned().collect();
    fitting.sort_by_key(|tag| std::cmp::Reverse(version_numbers(tag)));
    fitting
}

fn version_numbers(tag: &str) -> Vec<u32> {
    tag.split(['-', '.'])
        .map(|part| part.trim_start_matches("ubuntu").parse().unwrap_or(0))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fitting_tags_are_runtime_images_newest_first() {
        let tags = [
            "12.6.1-runtime-ubuntu22.04",
            "12.6.3-runtime-ubuntu22.04",
            "12.6.3-runtime-ubuntu24.04",
            "12.6.3-devel-ubuntu24.04",
            "12.6.3-cudnn-runtime-ubuntu24.04",
            "12.6.3-runtime-rockylinux9",
            "12.60.0-runtime-ubuntu24.04",
            "12.10.0-runtime-ubuntu24.04",
            "latest",
        ];
        let tags: Vec<String> = tags.map(str::to_owned).to_vec();
        assert_eq!(
            fitting_tags(&tags, Some("12.6"), false),
            [
                "12.6.3-runtime-ubuntu24.04",
                "12.6.3-runtime-ubuntu22.04",
                "12.6.1-runtime-ubuntu22.04"
            ]
        );
        assert_eq!(
            fitting_tags(&tags, Some("12.6"), true),
            ["12.6.3-cudnn-runtime-ubuntu24.04"]
        );
        assert_eq!(fitting_tags(&tags, Some("11"), false), [""; 0]);
    }
}
