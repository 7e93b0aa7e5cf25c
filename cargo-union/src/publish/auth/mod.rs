//! Who the user is to a registry: logins from where Docker and podman keep them, and tokens.
//!
//! A login is looked for only when a registry asks, goes to that registry or to its token server
//! and to nobody else, and is never printed. A source or a helper that cannot be used is a warning, for
//! much can be read without a login; it is part of the error once the registry denies access.

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

/// Where logins may be.
#[derive(Clone, Debug, Default)]
pub struct Keychain {
    /// What names a login for this run, in the order in which it is looked into, before anything else.
    pub explicit: Vec<CredentialFile>,
    /// The list of helpers that are asked before and after the files.
    pub registries_conf: RegistriesConf,
    /// The user's files, in the order in which they are looked into.
    pub files: Vec<CredentialFile>,
    /// How helpers are found.
    pub helpers: CredentialHelpers,
}

/// What a token has to allow.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Scopes(Vec<String>);

impl Scopes {
    /// To read a repository.
    pub(crate) fn pull(path: &str) -> Self {
        Self(vec![format!("repository:{path}:pull")])
    }

    /// To write a repository.
    pub(crate) fn push(path: &str) -> Self {
        Self(vec![format!("repository:{path}:pull,push")])
    }

    /// To write a repository with blobs of another one.
    pub(crate) fn mount(path: &str, from: &str) -> Self {
        Self(vec![format!("repository:{path}:pull,push"), format!("repository:{from}:pull")])
    }

    /// Adds what a registry asks for on another repository, as mirrors do that rename what they hold.
    fn with(&self, asked: &[String]) -> Self {
        let resource = |scope: &str| scope.rsplit_once(':').map(|(resource, _)| resource.to_owned());
        let known: Vec<_> = self.0.iter().map(|scope| resource(scope)).collect();
        let more = asked.iter().filter(|scope| scope.starts_with("repository:") && !known.contains(&resource(scope)));
        Self(self.0.iter().chain(more).cloned().collect())
    }
}

/// Meets what registries ask for, and remembers it.
pub(crate) struct Authenticator {
    sources: Keychain,
    reporter: Arc<dyn Reporter>,
    configs: OnceCell<Configs>,
    /// By registry.
    challenges: Mutex<HashMap<String, Challenge>>,
    /// By registry and repository.
    logins: Mutex<HashMap<(String, String), Search>>,
    /// By program and server.
    answers: Mutex<HashMap<(String, String), CredentialAnswer>>,
    /// By registry.
    tokens: Mutex<HashMap<(String, Scopes), Slot>>,
    /// What was warned of.
    warned: Mutex<BTreeSet<String>>,
}

/// The search for a login: done once, however many wait for it.
type Search = Arc<OnceCell<KeychainLookup>>;
/// What a helper says of a server: asked once, however many repositories the server has.
type CredentialAnswer = Arc<OnceCell<Result<Option<RegistryLogin>, String>>>;
/// A token; locked while it is fetched.
type Slot = Arc<AsyncMutex<Option<BearerToken>>>;

/// The sources that could be read, and what is wrong with the others.
#[derive(Default)]
struct Configs {
    read: Vec<LoginSource>,
    troubles: Vec<String>,
}

/// A source that could be read.
enum LoginSource {
    File(CredentialFile, DockerConfig),
    /// A helper for all registries, and the file that lists it.
    Helper(String, PathBuf),
}

impl LoginSource {
    /// What it says about a repository, in the order in which it is to be tried.
    fn entries(&self, registry: &str, path: &str) -> Vec<CredentialEntry> {
        match self {
            Self::File(_, config) => config.entries(registry, path),
            // podman knows Docker Hub as `docker.io`, here too.
            Self::Helper(program, _) => vec![CredentialEntry::Helper { program: program.clone(), server: registry.to_owned() }],
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

/// The end of a search.
#[derive(Clone, Debug, Default)]
struct KeychainLookup {
    found: Option<FoundCredentials>,
    /// What could not be used on the way.
    troubles: Vec<String>,
}

/// A login and where it was found.
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

    /// The header for a request, when it is known what this registry wants.
    pub(crate) async fn ready(
        &self,
        transport: &Transport,
        registry: &str,
        path: &str,
        scopes: &Scopes,
    ) -> Result<Option<HeaderValue>, RegistryFailure> {
        let known = self.challenges.lock().unwrap_or_else(PoisonError::into_inner).get(registry).cloned();
        match known {
            Some(challenge) => self.meet(transport, registry, path, scopes, &challenge, None).await,
            None => Ok(None),
        }
    }

    /// The header that answers a refusal, or `None` when there is nothing better than what was sent.
    pub(crate) async fn answer(
        &self,
        transport: &Transport,
        (registry, path): (&str, &str),
        scopes: &Scopes,
        refusal: &HeaderMap,
        sent: Option<&HeaderValue>,
    ) -> Result<Option<HeaderValue>, RegistryFailure> {
        let Some(challenge) = Challenge::of(refusal) else { return Ok(None) };
        self.challenges.lock().unwrap_or_else(PoisonError::into_inner).insert(registry.to_owned(), challenge.clone());
        let header = self.meet(transport, registry, path, scopes, &challenge, sent).await?;
        Ok(header.filter(|header| Some(header) != sent))
    }

    /// The login for a repository, for somebody who asks its registry in our place.
    pub(crate) async fn login_for(&self, registry: &str, path: &str) -> Result<Option<RegistryLogin>, RegistryFailure> {
        Ok(self.login(registry, path).await?.found.map(|found| found.login))
    }

    /// Whether a login for a repository was found, once somebody has asked for it.
    pub(crate) fn has_login(&self, registry: &str, path: &str) -> bool {
        self.looked(registry, path).found.is_some()
    }

    /// Adds to a denial which login was used, or why there was none.
    pub(crate) fn explained(&self, mut denial: RegistryFailure, registry: &str, path: &str) -> RegistryFailure {
        let KeychainLookup { found, troubles } = self.looked(registry, path);
        let command = if registry == "docker.io" { "docker login".to_owned() } else { format!("docker login {registry}") };
        for trouble in &troubles {
            denial.cause.push_str("; ");
            denial.cause.push_str(trouble);
        }
        denial.help(match found {
            Some(FoundCredentials { source, .. }) => {
                format!("The login from {source} was not enough: ask for access, or log in again with `{command}`.")
            }
            None if troubles.is_empty() => format!("No login for {registry} was found: log in with `{command}`."),
            None => format!("No login for {registry} could be used: correct what the message names, or log in with `{command}`."),
        })
    }

    fn looked(&self, registry: &str, path: &str) -> KeychainLookup {
        let logins = self.logins.lock().unwrap_or_else(PoisonError::into_inner);
        let search = logins.get(&(registry.to_owned(), path.to_owned()));
        search.and_then(|search| search.get()).cloned().unwrap_or_default()
    }

    async fn meet(
        &self,
        transport: &Transport,
        registry: &str,
        path: &str,
        scopes: &Scopes,
        challenge: &Challenge,
        refused: Option<&HeaderValue>,
    ) -> Result<Option<HeaderValue>, RegistryFailure> {
        let looked = self.login(registry, path).await?;
        let login = looked.found.as_ref().map(|found| &found.login);
        if let Some(RegistryLogin::Bearer(token)) = login {
            return Ok(credential("Bearer", token.reveal()));
        }
        let Challenge::Bearer { realm, service, scopes: asked } = challenge else { return Ok(login.and_then(token::basic)) };
        let key = (registry.to_owned(), scopes.clone());
        let place = self.tokens.lock().unwrap_or_else(PoisonError::into_inner).entry(key).or_default().clone();
        // Held while the token is fetched: others who want the same wait for it.
        let mut token = place.lock().await;
        let bearer = |token: &BearerToken| credential("Bearer", token.bearer.reveal());
        let usable = token.as_ref().filter(|token| token.is_fresh()).and_then(bearer).filter(|header| Some(header) != refused);
        if usable.is_some() {
            return Ok(usable);
        }
        let scopes = &scopes.with(asked);
        let request = token::TokenRequest { registry, realm, service: service.as_deref(), scopes, login };
        let fresh = request.fetch(transport).await.map_err(|failure| match failure.code {
            Code::RegistryDenied => self.explained(failure, registry, path),
            _ => failure,
        })?;
        let header = bearer(&fresh);
        *token = Some(fresh);
        Ok(header)
    }

    /// The login for a repository; looked for once.
    async fn login(&self, registry: &str, path: &str) -> Result<KeychainLookup, RegistryFailure> {
        let key = (registry.to_owned(), path.to_owned());
        let cell = self.logins.lock().unwrap_or_else(PoisonError::into_inner).entry(key).or_default().clone();
        cell.get_or_try_init(|| self.find(registry, path)).await.cloned()
    }

    async fn find(&self, registry: &str, path: &str) -> Result<KeychainLookup, RegistryFailure> {
        let configs = self.configs.get_or_try_init(|| async { self.read() }).await?;
        let mut troubles = configs.troubles.clone();
        for place in &configs.read {
            for entry in place.entries(registry, path) {
                let (login, source) = match entry {
                    CredentialEntry::Login(login) => (Some(login), place.to_string()),
                    CredentialEntry::Helper { program, server } => {
                        let source = format!("`{}`, which {place} names", clean(&helper::program(&program)));
                        let login = self.ask(&program, &server).await.unwrap_or_else(|why| {
                            // One that is missing is missing for every registry.
                            let once = format!("the credential helper {source}, {why}");
                            let trouble = format!("the credential helper {source} for `{}`, {why}", clean(&server));
                            self.note(&mut troubles, &once, trouble);
                            None
                        });
                        (login, source)
                    }
                    CredentialEntry::Unusable(why) => {
                        let trouble = format!("{why}, in {place}");
                        if place.is_named() {
                            return Err(RegistryFailure::new(Code::CredentialsInvalid, trouble));
                        }
                        self.note(&mut troubles, &trouble.clone(), trouble);
                        continue;
                    }
                };
                if let Some(login) = login {
                    self.reporter.credentials(registry, &source);
                    return Ok(KeychainLookup { found: Some(FoundCredentials { login, source }), troubles });
                }
            }
        }
        Ok(KeychainLookup { found: None, troubles })
    }

    async fn ask(&self, program: &str, server: &str) -> Result<Option<RegistryLogin>, String> {
        let key = (program.to_owned(), server.to_owned());
        let cell = self.answers.lock().unwrap_or_else(PoisonError::into_inner).entry(key).or_default().clone();
        cell.get_or_init(|| self.sources.helpers.ask(program, server)).await.clone()
    }

    fn read(&self) -> Result<Configs, RegistryFailure> {
        let mut configs = Configs::default();
        self.read_files(&self.sources.explicit, &mut configs)?;
        let (helpers, troubles) = self.sources.registries_conf.credential_helpers();
        for trouble in troubles {
            self.note(&mut configs.troubles, &trouble.clone(), trouble);
        }
        for helper in helpers {
            match helper {
                ListedHelper::AuthFiles => self.read_files(&self.sources.files, &mut configs)?,
                ListedHelper::Program { program, listed_in } => configs.read.push(LoginSource::Helper(program, listed_in)),
            }
        }
        Ok(configs)
    }

    fn read_files(&self, files: &[CredentialFile], configs: &mut Configs) -> Result<(), RegistryFailure> {
        for file in files {
            match file.read() {
                Ok(config) => configs.read.extend(config.map(|config| LoginSource::File(file.clone(), config))),
                Err(unread) if unread.is_error => return Err(unread.failure),
                Err(unread) => self.note(&mut configs.troubles, &unread.failure.cause.clone(), unread.failure.cause),
            }
        }
        Ok(())
    }

    /// Keeps what cannot be used for the error that may follow, and warns of it unless the same was said before.
    fn note(&self, troubles: &mut Vec<String>, said: &str, trouble: String) {
        if self.warned.lock().unwrap_or_else(PoisonError::into_inner).insert(said.to_owned()) {
            self.reporter.warning(&format!("{trouble}; going on without it"));
        }
        troubles.push(trouble);
    }
}
