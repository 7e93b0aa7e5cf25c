//! `cargo union login`, `logout` and `whoami`: the user's login to the backend.

use std::sync::Arc;

use anyhow::Result;
use serde::Serialize;
use union_build::spec::BackendChoice;

use crate::command::reporter;
use crate::exit::Exit;
use crate::flyte::client::{Client, UserIdentity};
use crate::flyte::config::FlyteConfig;
use crate::pipeline::backend;
use crate::settings::BackendOptions;
use crate::ui::Ui;

#[derive(Serialize)]
struct Document {
    endpoint: String,
    org: Option<String>,
    auth_type: &'static str,
    /// `None` when the backend has no logins, or does not return the identity.
    user: Option<LoginReport>,
}

#[derive(Serialize)]
struct LoginReport {
    subject: Option<String>,
    name: Option<String>,
    email: Option<String>,
}

#[derive(Serialize)]
struct LogoutReport {
    endpoint: String,
    removed: bool,
}

/// `login`
pub(super) async fn log_in(options: &BackendOptions, ui: &Arc<Ui>) -> Result<Exit> {
    let (config, client, endpoint) = open(options, true, ui)?;
    if client.is_plain() {
        ui.note(format!(
            "{endpoint} is used without encryption, and therefore without a login"
        ));
        return show(&config, endpoint, None, "login", ui);
    }
    let summary = || format!("could not log in to {endpoint}");
    client
        .log_in()
        .await
        .map_err(|failure| failure.into_error(summary()))?;
    let user = client
        .identity()
        .await
        .map_err(|failure| failure.into_error(summary()))?;
    let name = user
        .as_ref()
        .map(|user| format!(" as {user}"))
        .unwrap_or_default();
    ui.status("Logged in", format!("to {endpoint}{name}"));
    show(&config, endpoint, user, "login", ui)
}

/// `logout`
pub(super) async fn log_out(options: &BackendOptions, ui: &Arc<Ui>) -> Result<Exit> {
    let (_, client, endpoint) = open(options, false, ui)?;
    let removed = client
        .log_out()
        .await
        .map_err(|failure| failure.into_error(format!("could not log out of {endpoint}")))?;
    match removed {
        true => ui.status("Logged out", format!("of {endpoint}")),
        false => ui.note(format!("there is no login to {endpoint}")),
    }
    if ui.output_options().json {
        ui.document("logout", &LogoutReport { endpoint, removed })?;
    }
    Ok(Exit::Success)
}

/// `whoami`
pub(super) async fn who_am_i(options: &BackendOptions, ui: &Arc<Ui>) -> Result<Exit> {
    let (config, client, endpoint) = open(options, false, ui)?;
    let user = client.identity().await.map_err(|failure| {
        failure.into_error(format!("could not request your identity from {endpoint}"))
    })?;
    match &user {
        None => ui.note(format!("{endpoint} does not use authentication")),
        Some(_) if ui.output_options().json => {}
        Some(user) => ui.data(&format!("{user}\n"))?,
    }
    show(&config, endpoint, user, "whoami", ui)
}

fn open(
    options: &BackendOptions,
    interactive: bool,
    ui: &Arc<Ui>,
) -> Result<(FlyteConfig, Client, String)> {
    let config = backend::valid(options, &**ui)?;
    let client = backend::client(
        options,
        &config,
        BackendChoice::Auto,
        interactive,
        &reporter(ui),
    )?;
    let endpoint = client.endpoint();
    Ok((config, client, endpoint))
}

fn show(
    config: &FlyteConfig,
    endpoint: String,
    user: Option<UserIdentity>,
    command: &str,
    ui: &Ui,
) -> Result<Exit> {
    if ui.output_options().json {
        let user = user.map(
            |UserIdentity {
                 subject,
                 name,
                 email,
             }| LoginReport {
                subject,
                name,
                email,
            },
        );
        let org = config.org.as_ref().map(|org| org.value.clone());
        ui.document(
            command,
            &Document {
                endpoint,
                org,
                auth_type: config.auth.kind.value.word(),
                user,
            },
        )?;
    }
    Ok(Exit::Success)
}
