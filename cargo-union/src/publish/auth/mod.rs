//! Authentication with registries: credentials of Docker and podman, and bearer tokens.
//!
//! Credentials are looked up only after a registry's challenge, are sent only to this registry or its token server, and
//! are never printed. A credential file or helper that cannot be used causes a warning, because anonymous access often
//! suffices; it becomes part of the error if the registry denies access.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use crate::http::header::{HeaderMap, HeaderValue};
use tokio::sync::{Mutex as AsyncMutex, OnceCell};
use union_build::diag::Code;

use super::Reporter;
use super::failure::RegistryFailure;
use crate::http::error::clean;
use crate::http::{Transport, credential};
use crate::image::RegistryLogin;

mod challenge;
mod files;
mod helper;
mod registries_conf;
mod token;

pub use files::CredentialFile;
pub use helper::CredentialHelpers;
pub use registries_conf::RegistriesConf;

use challenge::Challenge;
use files::{CredentialEntry, DockerConfig};
use registries_conf::ListedHelper;
use token::BearerToken;

/// The sources of credentials.
#[derive(Clone, Debug, Default)]
pub struct Keychain {
    /// Credential files of explicit settings, in the order in which they are searched, before anything else.
    pub explicit: Vec<CredentialFile>,
    /// The configuration with credential helpers to run before and after the files.
    pub registries_conf: RegistriesConf,
    /// The user's credential files, in the order in which they are searched.
    pub files: Vec<CredentialFile>,
    /// How to run the credential helpers that the files refer to.
    pub helpers: CredentialHelpers,
}

/// The scopes of a token (distribution's token specification).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Scopes(Vec<String>);

impl Scopes {
    /// Reads a repository.
    pub(crate) fn pull(path: &str) -> Self {
        Self(vec![format!("repository:{path}:pull")])
    }

    /// Reads and writes a repository.
    pub(crate) fn push(path: &str) -> Self {
        Self(vec![format!("repository:{path}:pull,push")])
    }

    /// Writes a repository, with blobs that are mounted from another one.
    pub(crate) fn mount(path: &str, from: &str) -> Self {
        Self(vec![
            format!("repository:{path}:pull,push"),
            format!("repository:{from}:pull"),
        ])
    }

    /// Adds the scopes of other repositories that a registry requests, like mirrors that rename repositories.
    fn with(&self, requested: &[String]) -> Self {
        let resource = |scope: &str| {
            scope
                .rsplit_once(':')
                .map(|(resource, _)| resource.to_owned())
        };
        let known: Vec<_> = self.0.iter().map(|scope| resource(scope)).collect();
        let additional = requested
            .iter()
            .filter(|scope| scope.starts_with("repository:") && !known.contains(&resource(scope)));
        Self(self.0.iter().chain(additional).cloned().collect())
    }
}

/// Answers the challenges of registries, and caches credentials and tokens.
pub(crate) struct Authenticator {
    sources: Keychain,
    reporter: Arc<dyn Reporter>,
    configs: OnceCell<Configs>,
    /// By registry.
    challenges: Mutex<HashMap<String, Challenge>>,
    /// By registry and repository.
    logins: Mutex<HashMap<(String, String), Search>>,
    /// By helper program and server.
    answers: Mutex<HashMap<(String, String), CredentialAnswer>>,
    /// By registry and scopes.
    tokens: Mutex<HashMap<(String, Scopes), Slot>>,
    /// Warnings that were reported.
    warned: Mutex<BTreeSet<String>>,
}

/// The lookup of a login, which runs only once.
type Search = Arc<OnceCell<KeychainLookup>>;
/// The result of a helper for a server; the helper runs only once.
type CredentialAnswer = Arc<OnceCell<Result<Option<RegistryLogin>, String>>>;
/// A token; locked while it is fetched.
type Slot = Arc<AsyncMutex<Option<BearerToken>>>;

/// The readable sources, and the problems of the others.
#[derive(Default)]
struct Configs {
    readable: Vec<LoginSource>,
    problems: Vec<String>,
}

/// A readable source of credentials.
enum LoginSource {
    File(CredentialFile, DockerConfig),
    /// A helper for all registries, and the file that lists it.
    Helper(String, PathBuf),
}

impl LoginSource {
    /// The entries for a repository in the order to try.
    fn entries(&self, registry: &str, path: &str) -> Vec<CredentialEntry> {
        match self {
            Self::File(_, config) => config.entries(registry, path),
            // Like podman, uses the name `docker.io` for Docker Hub here, too.
            Self::Helper(program, _) => vec![CredentialEntry::Helper {
                program: program.clone(),
                server: registry.to_owned(),
            }],
        }
    }

    fn is_named(&self) -> bool {
        matches!(self, Self::File(file, _) if file.is_named())
    }
}

impl fmt::Display for LoginSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(file, _) => file.fmt(f),
            Self::Helper(_, listed_in) => write!(f, "`{}`", listed_in.display()),
        }
    }
}

/// The result of a lookup.
#[derive(Clone, Debug, Default)]
struct KeychainLookup {
    found: Option<FoundCredentials>,
    /// Problems of the sources that were tried.
    problems: Vec<String>,
}

/// A login, and a description of its source for messages.
#[derive(Clone, Debug)]
struct FoundCredentials {
    login: RegistryLogin,
    source: String,
}

impl Authenticator {
    pub(crate) fn new(sources: Keychain, reporter: Arc<dyn Reporter>) -> Self {
        Self {
            sources,
            reporter,
            configs: OnceCell::new(),
            challenges: Mutex::default(),
            logins: Mutex::default(),
            answers: Mutex::default(),
            tokens: Mutex::default(),
            warned: Mutex::default(),
        }
    }

    /// The `Authorization` header of a request, if the challenge of the registry is known from an earlier response.
    pub(crate) async fn ready(
        &self,
        transport: &Transport,
        registry: &str,
        path: &str,
        scopes: &Scopes,
    ) -> Result<Option<HeaderValue>, RegistryFailure> {
        let known = self
            .challenges
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(registry)
            .cloned();
        match known {
            Some(challenge) => {
                self.respond(transport, registry, path, scopes, &challenge, None)
                    .await
            }
            None => Ok(None),
        }
    }

    /// The `Authorization` header after a 401 response; `None` if it would be the one that was sent.
    pub(crate) async fn answer(
        &self,
        transport: &Transport,
        (registry, path): (&str, &str),
        scopes: &Scopes,
        refusal: &HeaderMap,
        sent: Option<&HeaderValue>,
    ) -> Result<Option<HeaderValue>, RegistryFailure> {
        let Some(challenge) = Challenge::of(refusal) else {
            return Ok(None);
        };
        self.challenges
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(registry.to_owned(), challenge.clone());
        let header = self
            .respond(transport, registry, path, scopes, &challenge, sent)
            .await?;
        Ok(header.filter(|header| Some(header) != sent))
    }

    /// The login for a repository, for engines.
    pub(crate) async fn login_for(
        &self,
        registry: &str,
        path: &str,
    ) -> Result<Option<RegistryLogin>, RegistryFailure> {
        Ok(self
            .login(registry, path)
            .await?
            .found
            .map(|found| found.login))
    }

    /// Whether an earlier lookup found a login for a repository.
    pub(crate) fn has_login(&self, registry: &str, path: &str) -> bool {
        self.earlier_lookup(registry, path).found.is_some()
    }

    /// Adds to the failure which login was used, or why there was none.
    pub(crate) fn explained(
        &self,
        mut denial: RegistryFailure,
        registry: &str,
        path: &str,
    ) -> RegistryFailure {
        let KeychainLookup { found, problems } = self.earlier_lookup(registry, path);
        let command = if registry == "docker.io" {
            "docker login".to_owned()
        } else {
            format!("docker login {registry}")
        };
        for problem in &problems {
            denial.cause.push_str("; ");
            denial.cause.push_str(problem);
        }
        denial.help(match found {
            Some(FoundCredentials { source, .. }) => {
                format!("The login from {source} is not sufficient: request access, or log in again with `{command}`.")
            }
            None if problems.is_empty() => format!("No login for {registry} was found: log in with `{command}`."),
            None => format!("No login for {registry} could be used: correct the reported problem, or log in with `{command}`."),
        })
    }

    fn earlier_lookup(&self, registry: &str, path: &str) -> KeychainLookup {
        let logins = self.logins.lock().unwrap_or_else(PoisonError::into_inner);
        let search = logins.get(&(registry.to_owned(), path.to_owned()));
        search
            .and_then(|search| search.get())
            .cloned()
            .unwrap_or_default()
    }

    /// The header that satisfies a challenge, other than `refused`.
    async fn respond(
        &self,
        transport: &Transport,
        registry: &str,
        path: &str,
        scopes: &Scopes,
        challenge: &Challenge,
        refused: Option<&HeaderValue>,
    ) -> Result<Option<HeaderValue>, RegistryFailure> {
        let lookup = self.login(registry, path).await?;
        let login = lookup.found.as_ref().map(|found| &found.login);
        if let Some(RegistryLogin::Bearer(token)) = login {
            return Ok(credential("Bearer", token.reveal()));
        }
        let Challenge::Bearer {
            realm,
            service,
            scopes: requested,
        } = challenge
        else {
            return Ok(login.and_then(token::basic));
        };
        let key = (registry.to_owned(), scopes.clone());
        let slot = self
            .tokens
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(key)
            .or_default()
            .clone();
        // Held while the token is fetched, so that concurrent requests wait for it.
        let mut token = slot.lock().await;
        let bearer = |token: &BearerToken| credential("Bearer", token.bearer.reveal());
        let usable = token
            .as_ref()
            .filter(|token| token.is_fresh())
            .and_then(bearer)
            .filter(|header| Some(header) != refused);
        if usable.is_some() {
            return Ok(usable);
        }
        let scopes = &scopes.with(requested);
        let request = token::TokenRequest {
            registry,
            realm,
            service: service.as_deref(),
            scopes,
            login,
        };
        let fresh = request
            .fetch(transport)
            .await
            .map_err(|failure| match failure.code {
                Code::RegistryDenied => self.explained(failure, registry, path),
                _ => failure,
            })?;
        let header = bearer(&fresh);
        *token = Some(fresh);
        Ok(header)
    }

    /// The login for a repository; looked up once.
    async fn login(&self, registry: &str, path: &str) -> Result<KeychainLookup, RegistryFailure> {
        let key = (registry.to_owned(), path.to_owned());
        let cell = self
            .logins
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(key)
            .or_default()
            .clone();
        cell.get_or_try_init(|| self.find(registry, path))
            .await
            .cloned()
    }

    async fn find(&self, registry: &str, path: &str) -> Result<KeychainLookup, RegistryFailure> {
        let configs = self
            .configs
            .get_or_try_init(|| async { self.read_configs() })
            .await?;
        let mut problems = configs.problems.clone();
        for login_source in &configs.readable {
            for entry in login_source.entries(registry, path) {
                let (login, source) = match entry {
                    CredentialEntry::Login(login) => (Some(login), login_source.to_string()),
                    CredentialEntry::Helper { program, server } => {
                        let source = format!(
                            "`{}`, which {login_source} names",
                            clean(&helper::program(&program))
                        );
                        let login =
                            self.ask_helper(&program, &server)
                                .await
                                .unwrap_or_else(|why| {
                                    // Warned of only once, because a missing helper affects all registries.
                                    let warning = format!("the credential helper {source}, {why}");
                                    let problem = format!(
                                        "the credential helper {source} for `{}`, {why}",
                                        clean(&server)
                                    );
                                    self.record_problem(&mut problems, &warning, problem);
                                    None
                                });
                        (login, source)
                    }
                    CredentialEntry::Unusable(why) => {
                        let problem = format!("{why}, in {login_source}");
                        if login_source.is_named() {
                            return Err(RegistryFailure::new(Code::CredentialsInvalid, problem));
                        }
                        self.record_problem(&mut problems, &problem.clone(), problem);
                        continue;
                    }
                };
                if let Some(login) = login {
                    self.reporter.credentials(registry, &source);
                    return Ok(KeychainLookup {
                        found: Some(FoundCredentials { login, source }),
                        problems,
                    });
                }
            }
        }
        Ok(KeychainLookup {
            found: None,
            problems,
        })
    }

    async fn ask_helper(
        &self,
        program: &str,
        server: &str,
    ) -> Result<Option<RegistryLogin>, String> {
        let key = (program.to_owned(), server.to_owned());
        let cell = self
            .answers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(key)
            .or_default()
            .clone();
        cell.get_or_init(|| self.sources.helpers.ask(program, server))
            .await
            .clone()
    }

    fn read_configs(&self) -> Result<Configs, RegistryFailure> {
        let mut configs = Configs::default();
        self.read_files(&self.sources.explicit, &mut configs)?;
        let (helpers, problems) = self.sources.registries_conf.credential_helpers();
        for problem in problems {
            self.record_problem(&mut configs.problems, &problem.clone(), problem);
        }
        for helper in helpers {
            match helper {
                ListedHelper::AuthFiles => self.read_files(&self.sources.files, &mut configs)?,
                ListedHelper::Program { program, listed_in } => configs
                    .readable
                    .push(LoginSource::Helper(program, listed_in)),
            }
        }
        Ok(configs)
    }

    fn read_files(
        &self,
        files: &[CredentialFile],
        configs: &mut Configs,
    ) -> Result<(), RegistryFailure> {
        for file in files {
            match file.read() {
                Ok(config) => configs
                    .readable
                    .extend(config.map(|config| LoginSource::File(file.clone(), config))),
                Err(unreadable) if unreadable.is_error => return Err(unreadable.failure),
                Err(unreadable) => {
                    self.record_problem(
                        &mut configs.problems,
                        &unreadable.failure.cause.clone(),
                        unreadable.failure.cause,
                    );
                }
            }
        }
        Ok(())
    }

    /// Records a problem for a later error, and warns of it unless `warning` was recorded before.
    fn record_problem(&self, problems: &mut Vec<String>, warning: &str, problem: String) {
        if self
            .warned
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(warning.to_owned())
        {
            self.reporter
                .warning(&format!("{problem}; continuing without it"));
        }
        problems.push(problem);
    }
}
