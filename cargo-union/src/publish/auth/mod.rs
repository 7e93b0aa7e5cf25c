//! Who the user is to a registry: logins from where Docker and podman keep them, and tokens.
//!
//! A login is looked for only when a registry asks, goes to that registry or to its token server
//! and to nobody else, and is never printed.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use crate::http::header::{HeaderMap, HeaderValue};
use tokio::sync::{Mutex as AsyncMutex, OnceCell};
use union_build::diag::Code;

use super::Reporter;
use super::failure::Failure;
use crate::http::{Transport, credential};
use crate::image::Login;

mod challenge;
mod files;
mod helper;
mod token;

use challenge::Challenge;
use files::{Entry, File};
use token::Token;

/// Where logins may be, in the order in which they are looked for.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// A file that the user named (`registry-config`): it must be there.
    pub named: Option<PathBuf>,
    /// Files that may be there.
    pub files: Vec<PathBuf>,
    /// Where credential helpers are looked for instead of the PATH.
    pub search_path: Option<OsString>,
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
    sources: Sources,
    reporter: Arc<dyn Reporter>,
    files: OnceCell<Vec<File>>,
    /// By registry.
    challenges: Mutex<HashMap<String, Challenge>>,
    /// By registry and repository.
    logins: Mutex<HashMap<(String, String), Search>>,
    /// By registry.
    tokens: Mutex<HashMap<(String, Scopes), Slot>>,
}

/// The search for a login: done once, however many wait for it.
type Search = Arc<OnceCell<Option<Found>>>;
/// A token; locked while it is fetched.
type Slot = Arc<AsyncMutex<Option<Token>>>;

/// A login and where it was found.
#[derive(Clone, Debug)]
struct Found {
    login: Login,
    source: String,
}

impl Authenticator {
    pub(crate) fn new(sources: Sources, reporter: Arc<dyn Reporter>) -> Self {
        let (challenges, logins, tokens) = (Mutex::default(), Mutex::default(), Mutex::default());
        Self { sources, reporter, files: OnceCell::new(), challenges, logins, tokens }
    }

    /// The header for a request, when it is known what this registry wants.
    pub(crate) async fn ready(
        &self,
        transport: &Transport,
        registry: &str,
        path: &str,
        scopes: &Scopes,
    ) -> Result<Option<HeaderValue>, Failure> {
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
    ) -> Result<Option<HeaderValue>, Failure> {
        let Some(challenge) = Challenge::of(refusal) else { return Ok(None) };
        self.challenges.lock().unwrap_or_else(PoisonError::into_inner).insert(registry.to_owned(), challenge.clone());
        let header = self.meet(transport, registry, path, scopes, &challenge, sent).await?;
        Ok(header.filter(|header| Some(header) != sent))
    }

    /// The login for a repository, for somebody who asks its registry in our place.
    pub(crate) async fn login_for(&self, registry: &str, path: &str) -> Result<Option<Login>, Failure> {
        Ok(self.login(registry, path).await?.map(|found| found.login))
    }

    /// Where the login for a repository was found, once somebody has asked for it.
    pub(crate) fn source(&self, registry: &str, path: &str) -> Option<String> {
        let logins = self.logins.lock().unwrap_or_else(PoisonError::into_inner);
        let found = logins.get(&(registry.to_owned(), path.to_owned()))?.get()?.as_ref()?;
        Some(found.source.clone())
    }

    async fn meet(
        &self,
        transport: &Transport,
        registry: &str,
        path: &str,
        scopes: &Scopes,
        challenge: &Challenge,
        refused: Option<&HeaderValue>,
    ) -> Result<Option<HeaderValue>, Failure> {
        let found = self.login(registry, path).await?;
        let login = found.as_ref().map(|found| &found.login);
        let Challenge::Bearer { realm, service, scopes: asked } = challenge else { return Ok(login.and_then(token::basic)) };
        let key = (registry.to_owned(), scopes.clone());
        let place = self.tokens.lock().unwrap_or_else(PoisonError::into_inner).entry(key).or_default().clone();
        // Held while the token is fetched: others who want the same wait for it.
        let mut token = place.lock().await;
        let bearer = |token: &Token| credential("Bearer", token.bearer.reveal());
        let usable = token.as_ref().filter(|token| token.is_fresh()).and_then(bearer).filter(|header| Some(header) != refused);
        if usable.is_some() {
            return Ok(usable);
        }
        let scopes = &scopes.with(asked);
        let request = token::Request { registry, realm, service: service.as_deref(), scopes, login };
        let fresh = request.fetch(transport).await.map_err(|failure| denied_help(failure, registry, found.as_ref()))?;
        let header = bearer(&fresh);
        *token = Some(fresh);
        Ok(header)
    }

    /// The login for a repository; looked for once.
    async fn login(&self, registry: &str, path: &str) -> Result<Option<Found>, Failure> {
        let key = (registry.to_owned(), path.to_owned());
        let cell = self.logins.lock().unwrap_or_else(PoisonError::into_inner).entry(key).or_default().clone();
        cell.get_or_try_init(|| self.find(registry, path)).await.cloned()
    }

    async fn find(&self, registry: &str, path: &str) -> Result<Option<Found>, Failure> {
        for file in self.files.get_or_try_init(|| async { self.read() }).await? {
            for entry in file.entries(registry, path)? {
                let (login, source) = match entry {
                    Entry::Login(login) => (Some(login), format!("`{}`", file.path().display())),
                    Entry::Helper { program, server } => {
                        let login = helper::ask(&program, &server, self.sources.search_path.as_deref()).await?;
                        (login, format!("`docker-credential-{program}`, which `{}` names", file.path().display()))
                    }
                };
                if let Some(login) = login {
                    self.reporter.credentials(registry, &source);
                    return Ok(Some(Found { login, source }));
                }
            }
        }
        Ok(None)
    }

    fn read(&self) -> Result<Vec<File>, Failure> {
        let mut files = Vec::new();
        if let Some(path) = &self.sources.named {
            let absent =
                || Failure::new(Code::CredentialsInvalid, format!("`{}`, which `registry-config` names, does not exist", path.display()));
            files.push(File::read(path)?.ok_or_else(absent)?);
        }
        for path in &self.sources.files {
            files.extend(File::read(path)?);
        }
        Ok(files)
    }
}

fn denied_help(failure: Failure, registry: &str, found: Option<&Found>) -> Failure {
    if failure.code != Code::RegistryDenied {
        return failure;
    }
    failure.help(login_help(registry, found.map(|found| found.source.as_str())))
}

/// What to do when a registry does not let the user in.
pub(crate) fn login_help(registry: &str, source: Option<&str>) -> String {
    let command = if registry == "docker.io" { "docker login".to_owned() } else { format!("docker login {registry}") };
    match source {
        Some(source) => format!("The login from {source} was not enough: ask for access, or log in again with `{command}`."),
        None => format!("No login for {registry} was found: log in with `{command}`."),
    }
}
