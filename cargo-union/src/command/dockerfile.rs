//! `cargo union images --dockerfile IMAGE`: prints the Dockerfile of an environment.
//!
//! A build runs the same steps, but names bases by the references that they have in the engine.

use std::collections::BTreeMap;

use anyhow::Result;
use serde::Serialize;
use union_build::diag::Code;
use union_build::spec::Base;

use crate::build::environment::{EnvironmentStage, tools};
use crate::build::{ImageChain, docker};
use crate::exit::Exit;
use crate::image::platform::Platform;
use crate::pipeline::context::{LoadedWorkspace, UnionPackage};
use crate::pipeline::resolve;
use crate::settings::WorkspaceOptions;
use crate::sys::error::Error;
use crate::ui::Ui;
use crate::workspace::UnionLock;

#[derive(Serialize)]
struct Document {
    dockerfile: String,
}

pub(super) async fn run(options: &WorkspaceOptions, image: &str, ui: &Ui) -> Result<Exit> {
    let session = LoadedWorkspace::open(options, ui).await?;
    let declares_image = |declared: &&UnionPackage| declared.spec.images.contains_key(image);
    let Some(declared) = session.packages.iter().find(declares_image) else {
        return Err(session.unknown_image(image).into());
    };
    let chain = ImageChain::resolve(&declared.spec.images, &declared.spec.images[image]);
    let (Some(environment), _) = EnvironmentStage::of(&chain) else {
        let error = Error::new(
            Code::UsageInvalid,
            format!("image `{image}` has no Dockerfile"),
        );
        let help = match chain.own().is_remote() {
            true => "The backend makes it, which is told steps of its own.",
            false => "Nothing has to run in its environment, so no engine makes it.",
        };
        return Err(error.help(help).into());
    };
    let lock = UnionLock::load(&session.workspace.root)?;
    let steps = environment.all_steps();
    let platform = &resolve::platforms(&declared.spec.images[image])?[0];
    let from = from_line(&steps, &lock, platform);
    let tools: BTreeMap<String, String> = tools(steps.iter())
        .into_iter()
        .map(|reference| (reference.to_owned(), pin(reference, &lock, platform)))
        .collect();
    let dockerfile = docker::dockerfile(
        &steps.to_vec(),
        &from,
        &tools,
        &declared.roots(&session.workspace),
    )?;
    if ui.output_options().json {
        ui.document("dockerfile", &Document { dockerfile })?;
    } else {
        ui.data(&dockerfile)?;
    }
    Ok(Exit::Success)
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
