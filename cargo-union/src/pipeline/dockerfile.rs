//! The Dockerfile of an environment, for `cargo union images --dockerfile`.

use std::collections::BTreeMap;

use union_build::diag::Code;
use union_build::spec::Base;

use super::context::{LoadedWorkspace, UnionPackage};
use super::problems::Result;
use super::resolve;
use crate::build::environment::{EnvironmentStage, tools};
use crate::build::{ImageChain, docker};
use crate::image::platform::Platform;
use crate::sys::error::Error;
use crate::workspace::UnionLock;

/// The Dockerfile of the environment of an image. A build runs the same steps, but names bases by the references that they
/// have in the engine.
///
/// # Errors
/// `UnknownImage`; `UsageInvalid` if the image has no environment that an engine makes.
pub(crate) fn environment_dockerfile(loaded: &LoadedWorkspace, image: &str) -> Result<String> {
    let declares_image = |declared: &&UnionPackage| declared.spec.images.contains_key(image);
    let Some(declared) = loaded.packages.iter().find(declares_image) else {
        return Err(loaded.unknown_image(image).into());
    };
    let chain = ImageChain::resolve(&declared.spec.images, &declared.spec.images[image]);
    let (Some(environment), _) = EnvironmentStage::of(&chain) else {
        let error = Error::new(
            Code::UsageInvalid,
            format!("image `{image}` has no Dockerfile"),
        );
        let help = match chain.own().is_remote() {
            true => "The backend builds it, from steps of another form.",
            false => "No command runs in its environment, so it is built without an engine.",
        };
        return Err(error.help(help).into());
    };
    let lock = UnionLock::load(&loaded.workspace.root)?;
    let steps = environment.all_steps();
    let platform = &resolve::platforms(&declared.spec.images[image])?[0];
    let from = from_line(&steps, &lock, platform);
    let tools: BTreeMap<String, String> = tools(steps.iter())
        .into_iter()
        .map(|reference| (reference.to_owned(), pin(reference, &lock, platform)))
        .collect();
    let roots = declared.roots(&loaded.workspace);
    Ok(docker::dockerfile(&steps.to_vec(), &from, &tools, &roots)?)
}

/// The base of the first step, as `FROM` names it.
fn from_line(steps: &ImageChain, lock: &UnionLock, platform: &Platform) -> String {
    match steps.base() {
        Base::Reference(base) => pin(&base.value, lock, platform),
        // The image of the user's own Dockerfile has no name outside of the engine.
        Base::Dockerfile => "dockerfile".to_owned(),
        Base::Scratch(_) | Base::Extends(_) => "scratch".to_owned(),
    }
}

/// A reference with its digest in Union.lock.
fn pin(reference: &str, lock: &UnionLock, platform: &Platform) -> String {
    match lock.base(reference, platform) {
        Some(digest) if !reference.contains('@') => format!("{reference}@{digest}"),
        _ => reference.to_owned(),
    }
}
