//! `cuda` and `cudnn`: the base must have them; without a base, fitting ones are proposed.
//!
//! There are no tables of versions here: NVIDIA's own tags and the variables of its images say what fits.

use union_build::diag::{Code, Diagnostic, Origin};
use union_build::spec::{Base, Image, Sourced, Spec};

use super::bases::{self, LockMode};
use crate::build::Lookup;
use crate::image::config::BaseConfig;
use crate::image::reference::{BaseRef, Repository};
use crate::pipeline::problems::ManifestProblems;
use crate::pipeline::problems::Result;
use crate::publish::registry::Registry;
use crate::sys::words;
use crate::workspace::UnionLock;

/// The variables by which an image of NVIDIA says what it has.
const CUDA: &str = "CUDA_VERSION";
const CUDNN: &str = "NV_CUDNN_VERSION";

/// Checks every image of a package that asks for CUDA.
///
/// # Errors
/// [`ManifestProblems`] with what does not fit; what registries say.
pub(crate) async fn check(spec: &Spec, lock: &mut UnionLock, registry: &Registry, policy: LockMode) -> Result<()> {
    let mut problems = Vec::new();
    for image in spec.images.values() {
        let wanted = [(&image.cuda, CUDA), (&image.cudnn, CUDNN)];
        let Some(first) = wanted.iter().find_map(|(value, _)| value.as_ref()) else { continue };
        match &image.base {
            Base::Reference(base) if base.origin == Origin::Default => problems.push(propose(image, first, registry).await?),
            Base::Reference(base) => {
                let config = config(image, base, lock, registry, policy).await?;
                for (value, variable) in wanted {
                    problems.extend(value.as_ref().and_then(|value| misfit(value, variable, base, &config)));
                }
            }
            Base::Scratch(_) | Base::Extends(_) | Base::Dockerfile => {
                let message = format!("what image `{}` starts from cannot be asked for its CUDA version", image.key);
                let problem = Diagnostic::error(Code::InvalidValue, message, &first.origin, "");
                problems.push(problem.help("write it in the image that has the `base-image`"));
            }
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(ManifestProblems(problems).into()) }
}

async fn config(image: &Image, base: &Sourced<String>, lock: &mut UnionLock, registry: &Registry, policy: LockMode) -> Result<BaseConfig> {
    let platforms = super::platforms(image)?;
    let locked = bases::locked(&base.value, &platforms[..1], lock, registry, policy).await?;
    let at = locked.into_iter().find_map(|(_, base)| base).expect("a reference has a digest for each platform");
    let lookup = Lookup { source: registry, name: &base.value, repository: &at.repository, platform: &platforms[0] };
    let found = lookup.locked(at.digest).await?;
    Ok(lookup.config(&found.image).await?)
}

fn misfit(wanted: &Sourced<String>, variable: &str, base: &Sourced<String>, config: &BaseConfig) -> Option<Diagnostic> {
    let has = config.variable(variable);
    if has.is_some_and(|has| is_version(has, &wanted.value)) {
        return None;
    }
    let what = if variable == CUDA { "CUDA" } else { "cuDNN" };
    let (message, label) = match has {
        Some(has) => (format!("the base image has {what} {has}, and {} is asked for", wanted.value), "asked for here"),
        None => (format!("the base image does not say that it has {what}: its {variable} is not set"), "asked for here"),
    };
    let problem = Diagnostic::error(Code::BaseUnfit, message, &wanted.origin, label).also(&base.origin, "the base image");
    Some(problem.help("choose another tag of `nvidia/cuda`, or remove `base-image` and have fitting ones proposed"))
}

/// Whether a version is the one that is asked for: `12.6.1` is `12.6`, and `12.60` is not.
fn is_version(version: &str, wanted: &str) -> bool {
    version.strip_prefix(wanted).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '-', '+']))
}

async fn propose(image: &Image, first: &Sourced<String>, registry: &Registry) -> Result<Diagnostic> {
    let reference: BaseRef = "nvidia/cuda".parse().expect("the name is a reference");
    let Repository { registry: host, path } = &reference.repository;
    let tags = registry.tags(&reference.repository).await?;
    let fitting = fitting(&tags, image.cuda.as_deref().map(String::as_str), image.cudnn.is_some());
    let message = format!("image `{}` asks for CUDA and names no `base-image`", image.key);
    let problem = Diagnostic::error(Code::BaseUnfit, message, &first.origin, "needs a base that has it");
    Ok(match fitting.first() {
        Some(_) => {
            let lines = fitting.iter().take(3).map(|tag| format!("base-image = \"{path}:{tag}\""));
            let one_of = if fitting.len() > 1 { "one of " } else { "" };
            problem.help(format!("write {one_of}{}", words::list(lines)))
        }
        None => problem.help(format!("none of the {} tags of {host}/{path} fits; see them for the versions that there are", tags.len())),
    })
}

/// The tags of images to run in that fit, newest first. `12.6.3-cudnn-runtime-ubuntu24.04` is one.
fn fitting(tags: &[String], cuda: Option<&str>, cudnn: bool) -> Vec<String> {
    let fits = |tag: &&String| {
        let mut parts = tag.split('-');
        let version = parts.next().is_some_and(|version| cuda.is_none_or(|wanted| is_version(version, wanted)));
        let parts: Vec<&str> = parts.collect();
        version
            && parts.contains(&"runtime")
            && parts.iter().any(|part| part.starts_with("cudnn")) == cudnn
            && parts.last().is_some_and(|last| last.starts_with("ubuntu"))
    };
    let numbers =
        |tag: &String| tag.split(['-', '.']).map(|part| part.trim_start_matches("ubuntu").parse::<u32>().unwrap_or(0)).collect::<Vec<_>>();
    let mut fitting: Vec<String> = tags.iter().filter(fits).cloned().collect();
    fitting.sort_by_key(|tag| std::cmp::Reverse(numbers(tag)));
    fitting
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fitting_tags_are_those_to_run_in_newest_first() {
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
            fitting(&tags, Some("12.6"), false),
            ["12.6.3-runtime-ubuntu24.04", "12.6.3-runtime-ubuntu22.04", "12.6.1-runtime-ubuntu22.04"]
        );
        assert_eq!(fitting(&tags, Some("12.6"), true), ["12.6.3-cudnn-runtime-ubuntu24.04"]);
        assert_eq!(fitting(&tags, Some("11"), false), [""; 0]);
    }
}
