//! Secrets of a project: where a value comes from, and which tasks it is for.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use serde_json::json;
use union_build::diag::Code;

use super::project::{ProjectContext, open_context};
use crate::flyte::client::Client;
use crate::flyte::secrets::{self, LARGEST_VALUE, SecretKind, SecretScope};
use crate::image::reference::Repository;
use crate::image::{Logins as _, RegistryLogin};
use crate::pipeline::Reporter;
use crate::pipeline::clients;
use crate::pipeline::options::WorkspaceOptions;
use crate::pipeline::problems::Result;
use crate::sys::error::Error;
use crate::sys::fs;
use crate::sys::secret::Secret;
use crate::sys::terminal;

/// The most bytes of a variable's value on Linux (`MAX_ARG_STRLEN` without the terminator).
const LARGEST_VARIABLE: usize = 128 * 1024 - 1;

/// A secret to store.
#[derive(Clone, Debug)]
pub struct NewSecret {
    /// Name of the secret.
    pub name: String,
    /// Where its value comes from.
    pub source: ValueSource,
    /// `--all-projects`
    pub all_projects: bool,
    /// `--replace`
    pub replace: bool,
}

/// Where the value of a secret comes from; never the command line, which other users can read.
#[derive(Clone, Debug)]
pub enum ValueSource {
    /// stdin: the prompt of a terminal, or all that a program writes.
    Stdin,
    /// `--from-file`: a file, byte by byte.
    File(PathBuf),
    /// `--image-pull --registry`: the login of Docker or podman to a registry.
    RegistryLogin(String),
}

/// A secret that was stored.
pub(crate) struct StoredSecret {
    pub(crate) scope: SecretScope,
    pub(crate) kind: SecretKind,
    pub(crate) replaced: bool,
}

/// Reads the value of a secret and stores it at the backend.
///
/// # Errors
/// `SecretInvalid`, `FileUnreadable`, `CredentialsInvalid` for a registry without a login; those of the backend.
pub(crate) async fn store(
    options: &WorkspaceOptions,
    new: &NewSecret,
    reporter: &Arc<dyn Reporter>,
) -> Result<StoredSecret> {
    secrets::check_name(&new.name)?;
    let context = open_context(options, reporter).await?;
    let (kind, value) = match &new.source {
        ValueSource::Stdin => (SecretKind::Task, read_stdin(&new.name, &**reporter).await?),
        ValueSource::File(path) => {
            let path = fs::absolute(&options.backend.directory, path);
            (SecretKind::Task, read_file(&path)?)
        }
        ValueSource::RegistryLogin(registry) => {
            let value = docker_config(options, &context, registry, reporter).await?;
            (SecretKind::ImagePull, value)
        }
    };
    if kind == SecretKind::Task {
        warn_of_variable(&new.name, value.reveal(), &**reporter);
    }
    // A cluster pulls images for all projects with one login, as in the Flyte CLI.
    let scope = scope(&context, new.all_projects || kind == SecretKind::ImagePull);
    let stored = secrets::store(
        &context.client,
        &scope,
        &new.name,
        kind,
        &value,
        new.replace,
    );
    Ok(StoredSecret {
        replaced: stored.await?,
        scope,
        kind,
    })
}

/// The client and scope of existing secrets.
///
/// # Errors
/// Those of [`open_context`].
pub(crate) async fn open(
    options: &WorkspaceOptions,
    all_projects: bool,
    reporter: &Arc<dyn Reporter>,
) -> Result<(Client, SecretScope)> {
    let context = open_context(options, reporter).await?;
    let scope = scope(&context, all_projects);
    Ok((context.client, scope))
}

fn scope(context: &ProjectContext, all_projects: bool) -> SecretScope {
    match all_projects {
        true => SecretScope::Organization(context.scope.org.clone()),
        false => SecretScope::Project(context.scope.clone()),
    }
}

/// Reads the value from the terminal or from stdin, without the line end that `echo` and here-documents add.
async fn read_stdin(name: &str, reporter: &dyn Reporter) -> Result<Secret<Vec<u8>>> {
    let read = if terminal::is_stdin_terminal() {
        reporter.note(&format!(
            "type or paste the value of the secret `{name}` and press Enter; it is not shown"
        ));
        terminal::read_hidden_line().await
    } else {
        // One byte more than the longest value with a line end of two bytes, so that a longer value is noticed.
        let limit = u64::try_from(LARGEST_VALUE + 3).unwrap_or(u64::MAX);
        let read = terminal::read_stdin(limit).await;
        read.map(|value| Secret::new(terminal::without_line_end(value.reveal().clone())))
    };
    read.map_err(|cause| {
        Error::new(
            Code::FileUnreadable,
            format!("could not read the value of the secret `{name}` from stdin"),
        )
        .because(cause)
        .help("Type it, write it to stdin, or name a file with `--from-file`.")
        .into()
    })
}

/// Reads the value from a file, including a line end. A value that is too long is not read to its end.
fn read_file(path: &Path) -> Result<Secret<Vec<u8>>, Error> {
    let limit = u64::try_from(LARGEST_VALUE + 1).unwrap_or(u64::MAX);
    let read = || -> io::Result<Vec<u8>> {
        let mut value = Vec::new();
        io::Read::read_to_end(
            &mut io::Read::take(std::fs::File::open(path)?, limit),
            &mut value,
        )?;
        Ok(value)
    };
    read()
        .map(Secret::new)
        .map_err(|cause| fs::unreadable(path, cause))
}

fn warn_of_variable(name: &str, value: &[u8], reporter: &dyn Reporter) {
    let why = if value.len() > LARGEST_VARIABLE {
        format!("has more than {LARGEST_VARIABLE} bytes")
    } else if value.contains(&0) {
        "contains a zero byte".to_owned()
    } else {
        return;
    };
    reporter.warning(&format!(
        "the secret `{name}` {why}, which no environment variable takes\n  = help: let tasks read it from a file: `secrets = [{{ key = \"{name}\", file = true }}]`"
    ));
}

/// The login to a registry in the format of `kubernetes.io/dockerconfigjson`.
async fn docker_config(
    options: &WorkspaceOptions,
    context: &ProjectContext,
    registry: &str,
    reporter: &Arc<dyn Reporter>,
) -> Result<Secret<Vec<u8>>, Error> {
    let registry = registry.trim_end_matches('/');
    let repository = Repository::below(registry, "");
    let host = &repository.registry;
    let specs = context.session.iter().flat_map(|session| &session.packages);
    let settings = specs
        .map(|package| &package.spec)
        .find_map(|spec| spec.registry_config.as_ref());
    let clients = clients::registry_for_logins(
        options,
        settings.map(|path| path.value.clone()),
        reporter.clone(),
    );
    let login = clients
        .login(&Repository {
            path: repository.path.trim_end_matches('/').to_owned(),
            registry: host.clone(),
        })
        .await?;
    let unusable = |why: &str| {
        Error::new(
            Code::CredentialsInvalid,
            format!("could not create a pull secret for {registry}"),
        )
        .because(why.to_owned())
        .help(format!(
            "Run `docker login {host}` with a user name and an access token."
        ))
    };
    match login {
        Some(RegistryLogin::Password { user, password }) => {
            let auth = format!("{user}:{}", password.reveal());
            let auth = base64::engine::general_purpose::STANDARD.encode(auth);
            // Kubernetes matches Docker Hub by this address.
            let server = match registry {
                "docker.io" => "https://index.docker.io/v1/",
                registry => registry,
            };
            let config = json!({ "auths": { server: { "auth": auth } } });
            Ok(Secret::new(config.to_string().into_bytes()))
        }
        Some(RegistryLogin::Identity(_) | RegistryLogin::Bearer(_)) => Err(unusable(
            "its login is a token without a user, with which a cluster cannot log in",
        )),
        None => Err(unusable("there is no login to it on this machine")),
    }
}
