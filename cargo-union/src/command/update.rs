//! `cargo union update`: newer digests for base images, newer packages for environments.

use crate::command::reporter;
use anyhow::Result;
use serde::Serialize;
use union_build::diag::Code;
use union_build::spec::Base;

use crate::build::environment::tools;
use crate::exit::Exit;
use crate::image::platform::Platform;
use crate::pipeline::context::LoadedWorkspace;
use crate::pipeline::resolve::bases::{self, LockMode};
use crate::pipeline::resolve::rust_image;
use crate::settings::UpdateOptions;
use crate::sys::error::Error;
use crate::ui::{self, Ui};
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

pub(super) async fn run(update: &UpdateOptions, ui: &std::sync::Arc<Ui>) -> Result<Exit> {
    let session = LoadedWorkspace::open_with_cache(&update.scope, &**ui).await?;
    let before = UnionLock::load(&session.workspace.root)?;
    let mut lock = before.clone();
    if update.environments.is_empty() {
        renew_bases(&session, update, &mut lock, ui).await?;
    } else {
        raise_generations(&session, &update.environments, &mut lock, ui)?;
    }
    let moved = lock.bases().filter_map(|(base, locked)| {
        let old = before.entry(base).map(|before| before.digest.to_string());
        let new = locked.digest.to_string();
        (old.as_ref() != Some(&new)).then(|| UpdatedBase { base: base.to_owned(), old, new })
    });
    let document = Document { bases: moved.collect() };
    for moved in &document.bases {
        match &moved.old {
            Some(old) => ui.status("Updating", format!("{} {old} → {}", moved.base, moved.new)),
            None => ui.status("Locking", format!("{} {}", moved.base, moved.new)),
        }
    }
    if !lock.is_changed() {
        ui.status("Unchanged", "Union.lock");
    } else if update.dry_run {
        ui.note("not writing Union.lock because of `--dry-run`");
    } else {
        lock.save(false, &session.workspace.target_directory)?;
    }
    if ui.output_options().json {
        ui.document("update", &document)?;
    }
    Ok(Exit::Success)
}

async fn renew_bases(session: &LoadedWorkspace, update: &UpdateOptions, lock: &mut UnionLock, ui: &std::sync::Arc<Ui>) -> Result<()> {
    let mut wanted = std::collections::BTreeSet::new();
    for declared in &session.packages {
        let source = session.clients.get(&update.scope, &declared.spec, 4, &reporter(ui));
        for image in declared.spec.images.values() {
            let platforms: Vec<Platform> = crate::pipeline::resolve::platforms(image)?;
            let base = match &image.base {
                Base::Reference(base) => Some(base.value.as_str()),
                Base::Scratch(_) | Base::Extends(_) | Base::Dockerfile => None,
            };
            let rust = image.build.rust_image.as_ref().map(|image| image.value.as_str());
            for reference in base.into_iter().chain(tools(std::slice::from_ref(image))).chain(rust) {
                bases::locked(reference, &platforms, lock, &*source, LockMode::Renew).await?;
                wanted.insert(reference.to_owned());
            }
        }
        // Images of Rust that nobody named, each chosen for a base and for the platforms that it has.
        let chosen: Vec<(String, Vec<Platform>)> = lock
            .bases()
            .filter(|(reference, _)| rust_image::is_default(reference) && !wanted.contains(*reference))
            .map(|(reference, locked)| {
                (reference.to_owned(), locked.platforms.keys().filter_map(|platform| platform.parse().ok()).collect())
            })
            .collect();
        for (reference, platforms) in chosen {
            bases::locked(&reference, &platforms, lock, &*source, LockMode::Renew).await?;
            wanted.insert(reference);
        }
    }
    // With all packages in view, what no image starts from any more can go.
    if session.workspace.packages.iter().filter(|package| package.declares_union).count() == session.packages.len() {
        lock.retain_bases(|base| wanted.contains(base));
    }
    Ok(())
}

fn raise_generations(session: &LoadedWorkspace, images: &[String], lock: &mut UnionLock, ui: &Ui) -> Result<()> {
    for image in images {
        let mut found = false;
        for declared in session.packages.iter().filter(|declared| declared.spec.images.contains_key(image)) {
            lock.bump(&declared.package.name, image);
            let generation = lock.generation(&declared.package.name, image);
            ui.status("Updating", format!("environment `{image}` of `{}` to generation {generation}", declared.package.name));
            found = true;
        }
        if !found {
            let names = session.packages.iter().flat_map(|declared| declared.spec.images.keys());
            let error = Error::new(Code::UnknownImage, format!("there is no image `{image}` in the chosen packages"));
            return Err(error.help(format!("Declared images: {}.", ui::list(names))).into());
        }
    }
    Ok(())
}
