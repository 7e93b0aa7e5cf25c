//! `cargo union secret`: stores, lists and deletes secrets. Never shows a value.

use std::sync::Arc;

use anyhow::Result;
use serde::Serialize;

use crate::command::reporter;
use crate::deploy::listing::SecretRow;
use crate::deploy::secrets::{open, store};
use crate::exit::Exit;
use crate::flyte::secrets::{SecretScope, delete, list};
use crate::settings::{SecretAction, SecretOptions};
use crate::sys::words::rows;
use crate::ui::Ui;

#[derive(Serialize)]
struct Document<'a> {
    action: &'a str,
    /// `None` for all projects of the organization.
    project: Option<&'a str>,
    domain: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    r#type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    secrets: Option<Vec<SecretRow>>,
}

impl<'a> Document<'a> {
    fn of(action: &'a str, scope: &'a SecretScope) -> Self {
        let (project, domain) = match scope {
            SecretScope::Project(scope) => (Some(&*scope.project), Some(&*scope.domain)),
            SecretScope::Organization(_) => (None, None),
        };
        Self {
            action,
            project,
            domain,
            name: None,
            r#type: None,
            secrets: None,
        }
    }
}

pub(super) async fn run(options: &SecretOptions, ui: &Arc<Ui>) -> Result<Exit> {
    match &options.action {
        SecretAction::Create(new) => {
            let stored = store(&options.scope, new, &reporter(ui)).await?;
            let (verb, action) = match stored.replaced {
                true => ("Replaced", "replaced"),
                false => ("Stored", "created"),
            };
            let of = stored.scope.describe();
            ui.status(verb, format!("the secret {} for {of}", new.name));
            let document = Document {
                name: Some(&new.name),
                r#type: Some(stored.kind.word()),
                ..Document::of(action, &stored.scope)
            };
            show(ui, &document)
        }
        SecretAction::List { all_projects } => {
            let (client, scope) = open(&options.scope, *all_projects, &reporter(ui)).await?;
            let secrets: Vec<SecretRow> = list(&client, &scope)
                .await?
                .into_iter()
                .map(SecretRow::of)
                .collect();
            match secrets.is_empty() {
                true => ui.note(format!("there are no secrets for {}", scope.describe())),
                false if ui.output_options().json => {}
                false => ui.data(&rows(&secrets))?,
            }
            let document = Document {
                secrets: Some(secrets),
                ..Document::of("listed", &scope)
            };
            show(ui, &document)
        }
        SecretAction::Delete { name, all_projects } => {
            let (client, scope) = open(&options.scope, *all_projects, &reporter(ui)).await?;
            delete(&client, &scope, name).await?;
            ui.status(
                "Deleted",
                format!("the secret {name} for {}", scope.describe()),
            );
            let document = Document {
                name: Some(name),
                ..Document::of("deleted", &scope)
            };
            show(ui, &document)
        }
    }
}

fn show(ui: &Ui, document: &Document<'_>) -> Result<Exit> {
    if ui.output_options().json {
        ui.document("secret", document)?;
    }
    Ok(Exit::Success)
}
