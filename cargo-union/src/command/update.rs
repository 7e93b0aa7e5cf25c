//! `cargo union update`: resolves base images again, or schedules environments to be built with newer packages.

use std::sync::Arc;

use anyhow::Result;
use serde::Serialize;

use crate::command::reporter;
use crate::exit::Exit;
use crate::pipeline::context::LoadedWorkspace;
use crate::pipeline::update::{raise_generations, renew_bases};
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
        renew_bases(&session, &options.scope, &mut lock, &reporter(ui)).await?;
    } else {
        raise_generations(&session, &options.environments, &mut lock, &**ui)?;
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
