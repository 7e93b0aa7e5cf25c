//! `cargo union update`: resolves base images again, or has environments built with newer packages.

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::Result;
use serde::Serialize;
use union_build::spec::Base;

use crate::build::environment::tools;
use crate::command::reporter;
use crate::exit::Exit;
use crate::image::platform::Platform;
use crate::pipeline::context::LoadedWorkspace;
use crate::pipeline::resolve::bases::{self, LockMode};
use crate::pipeline::resolve::{self, rust_image};
use crate::settings::UpdateOptions;
use crate::ui::Ui;
use crate::workspace::UnionLock;

#[derive(Serialize)]
struct Document {
    bases: Vec<UpdatedBase>,
}

#[derive(Serialize)]
struct UpdatedBase {
    base: String,
    old: Option<String>,
    new: String,
}

pub(super) async fn run(options: &UpdateOptions, ui: &Arc<Ui>) -> Result<Exit> {
    let session = LoadedWorkspace::open_with_cache(&options.scope, &**ui).await?;
    let before = UnionLock::load(&session.workspace.root)?;
    let mut lock = before.clone();
    if options.environments.is_empty() {
        renew_bases(&session, options, &mut lock, ui).await?;
    } else {
        raise_generations(&session, &options.environments, &mut lock, ui)?;
    }
    let updated = lock.bases().filter_map(|(base, locked)| {
        let old = before.entry(base).map(|before| before.digest.to_string());
        let new = locked.digest.to_string();
        (old.as_ref() != Some(&new)).then(|| UpdatedBase {
            base: base.to_owned(),
            old,
            new,
        })
    });
    let document = Document {
        bases: updated.collect(),
    };
    for base in &document.bases {
        match &base.old {
            Some(old) => ui.status("Updating", format!("{} {old} → {}", base.base, base.new)),
            None => ui.status("Locking", format!("{} {}", base.base, base.new)),
        }
    }
    if !lock.is_changed() {
        ui.status("Unchanged", "Union.lock");
    } else if options.dry_run {
        ui.note("not writing Union.lock because of `--dry-run`");
    } else {
        lock.save(false, &session.workspace.target_directory)?;
    }
    if ui.output_options().json {
        ui.document("update", &document)?;
    }
    Ok(Exit::Success)
}

/// Resolves the bases of all images again.
async fn renew_bases(
    session: &LoadedWorkspace,
    options: &UpdateOptions,
    lock: &mut UnionLock,
    ui: &Arc<Ui>,
) -> Result<()> {
    let mut used = BTreeSet::new();
    for declared in &session.packages {
        let source = session
            .clients
            .get(&options.scope, &declared.spec, 4, &reporter(ui));
        for image in declared.spec.images.values() {
            let platforms: Vec<Platform> = resolve::platforms(image)?;
            let base = match &image.base {
                Base::Reference(base) => Some(base.value.as_str()),
                Base::Scratch(_) | Base::Extends(_) | Base::Dockerfile => None,
            };
            let rust = image
                .build
                .rust_image
                .as_ref()
                .map(|image| image.value.as_str());
            for reference in base
                .into_iter()
                .chain(tools(std::slice::from_ref(image)))
                .chain(rust)
            {
                bases::locked(reference, &platforms, lock, &*source, LockMode::Renew).await?;
                used.insert(reference.to_owned());
            }
        }
        // Images of Rust that were selected by default, with the platforms that they are locked for.
        let defaults: Vec<(String, Vec<Platform>)> = lock
            .bases()
            .filter(|(reference, _)| {
                rust_image::is_default(reference) && !used.contains(*reference)
            })
            .map(|(reference, locked)| {
                (
                    reference.to_owned(),
                    locked
                        .platforms
                        .keys()
                        .filter_map(|platform| platform.parse().ok())
                        .collect(),
                )
            })
            .collect();
        for (reference, platforms) in defaults {
            bases::locked(&reference, &platforms, lock, &*source, LockMode::Renew).await?;
            used.insert(reference);
        }
    }
    // Bases without an image can be removed only when all packages are selected.
    if session
        .workspace
        .packages
        .iter()
        .filter(|package| package.declares_union)
        .count()
        == session.packages.len()
    {
        lock.retain_bases(|base| used.contains(base));
    }
    Ok(())
}

/// Raises the generation of environments, which is a part of their keys.
fn raise_generations(
    session: &LoadedWorkspace,
    images: &[String],
    lock: &mut UnionLock,
    ui: &Ui,
) -> Result<()> {
    for image in images {
        let mut found = false;
        for declared in session
            .packages
            .iter()
            .filter(|declared| declared.spec.images.contains_key(image))
        {
            lock.bump(&declared.package.name, image);
            let generation = lock.generation(&declared.package.name, image);
            ui.status(
                "Updating",
                format!(
                    "environment `{image}` of `{}` to generation {generation}",
                    declared.package.name
                ),
            );
            found = true;
        }
        if !found {
            return Err(session.unknown_image(image).into());
        }
    }
    Ok(())
}
