//! `cargo union secret`: stores, lists and deletes secrets. Never shows a value.

use std::sync::Arc;

use anyhow::Result;

use crate::command::reporter;
use crate::deploy::listing::SecretRow;
use crate::deploy::outcome::SecretDocument;
use crate::deploy::secrets::{open, store};
use crate::exit::Exit;
use crate::flyte::secrets::{delete, list};
use crate::settings::{SecretAction, SecretOptions};
use crate::sys::words::rows;
use crate::ui::Ui;

pub(super) async fn run(options: &SecretOptions, ui: &Arc<Ui>) -> Result<Exit> {
    let (scope, reporter) = (&options.scope, reporter(ui));
    match &options.action {
        SecretAction::Create(new) => {
            let stored = store(scope, new, &reporter).await?;
            let verb = if stored.replaced {
                "Replaced"
            } else {
                "Stored"
            };
            let of = stored.scope.describe();
            ui.status(verb, format!("the secret {} for {of}", new.name));
            show(ui, &SecretDocument::stored(&new.name, &stored))
        }
        SecretAction::List { all_projects } => {
            let (client, scope) = open(scope, *all_projects, &reporter).await?;
            let secrets = list(&client, &scope).await?.into_iter();
            let secrets: Vec<SecretRow> = secrets.map(SecretRow::of).collect();
            match secrets.is_empty() {
                true => ui.note(format!("there are no secrets for {}", scope.describe())),
                false if ui.output_options().json => {}
                false => ui.data(&rows(&secrets))?,
            }
            show(ui, &SecretDocument::listed(&scope, secrets))
        }
        SecretAction::Delete { name, all_projects } => {
            let (client, scope) = open(scope, *all_projects, &reporter).await?;
            delete(&client, &scope, name).await?;
            let of = scope.describe();
            ui.status("Deleted", format!("the secret {name} for {of}"));
            show(ui, &SecretDocument::deleted(&scope, name))
        }
    }
}

fn show(ui: &Ui, document: &SecretDocument<'_>) -> Result<Exit> {
    if ui.output_options().json {
        ui.document("secret", document)?;
    }
    Ok(Exit::Success)
}
