//! The backend's client: calls with the user's login, at the cluster that serves them.
//!
//! A call that is refused is made once more with new credentials, and not again.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::BoxStream;
use prost::Message;
use union_build::diag::Code;

use super::Reporter;
use super::auth::{AuthContext, AuthHeaders, TokenProvider, TokenStore};
use super::config::FlyteConfig;
use super::rpc::{CallMetadata, ConnectTransport, RpcFailure, RpcStatus, Streaming, Unary};
use crate::http::retry::RetryPolicy;
use crate::http::{Authorities, Proxies, Transport, Url, authority};
use crate::sys::error::{Error, Result};
use crate::sys::process::Environment;

mod cluster;
mod identity;

pub use cluster::{Operation, Resource};
pub use identity::UserIdentity;

use cluster::ClusterCache;

/// How often and how patiently a call is made again: as the Python SDK does.
const RETRY: RetryPolicy =
    RetryPolicy { attempts: 4, first_pause: Duration::from_millis(500), longest_pause: Duration::from_secs(20), jitter: true };

/// What a client needs to know of the machine and the user.
pub struct ClientOptions {
    /// The process's variables.
    pub environment: Environment,
    /// The current folder.
    pub folder: PathBuf,
    /// Whether there is a user who can be sent to a browser.
    pub attended: bool,
    /// How often and how patiently a call is made again.
    pub retry: RetryPolicy,
    /// Who listens.
    pub reporter: Arc<dyn Reporter>,
}

impl ClientOptions {
    /// With the usual patience.
    pub fn new(environment: Environment, folder: PathBuf, attended: bool, reporter: Arc<dyn Reporter>) -> Self {
        Self { environment, folder, attended, retry: RETRY, reporter }
    }
}

/// The client of a backend. Clones share the login and what is known of clusters.
#[derive(Clone)]
pub struct Client {
    line: ConnectTransport,
    /// The line to the backend's store, which other authorities may vouch for.
    storage: ConnectTransport,
    login: Arc<TokenProvider>,
    /// Without encryption there is no login.
    plain: bool,
    clusters: Arc<ClusterCache>,
}

impl Client {
    /// A client of the backend that a config names. Nobody is called before it is used.
    ///
    /// # Errors
    /// `BackendMissing` when the config names none.
    pub fn new(config: &FlyteConfig, surroundings: ClientOptions) -> Result<Self> {
        let missing = || Error::new(Code::BackendMissing, "no backend is configured");
        let endpoint = config.endpoint.as_ref().ok_or_else(missing)?;
        let ClientOptions { environment, folder, attended, retry, reporter } = surroundings;
        let base = Url::parse(&endpoint.to_string()).expect("an endpoint was read as a URL");
        let plain: BTreeSet<String> = endpoint.is_plain().then(|| authority(&base)).into_iter().collect();
        let proxies = Proxies::of(|name| environment.get(name));
        let transport = Arc::new(Transport::new(plain, authorities(config, &environment), proxies.clone()));
        let line = ConnectTransport::new(transport, base.clone(), retry, reporter.clone());
        let store = Arc::new(Transport::new(BTreeSet::new(), authorities_of_stores(config, &environment), proxies));
        let storage = ConnectTransport::new(store, base, retry, reporter.clone());
        let unkept = endpoint.is_plain() || config.auth.keep_nothing.as_ref().is_some_and(|nothing| nothing.value);
        let keep = if unkept { TokenStore::nothing(endpoint.host()) } else { TokenStore::of_machine(endpoint.host(), &environment) };
        let setting = AuthContext { auth: config.auth.clone(), line: line.clone(), keep, environment, folder, attended, reporter };
        Ok(Self { line, storage, login: Arc::new(TokenProvider::new(setting)), plain: endpoint.is_plain(), clusters: Arc::default() })
    }

    /// Calls a method with one answer.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn unary<Req: Message, Res: Message + Default>(&self, method: Unary<Req, Res>, request: &Req) -> Result<Res, RpcFailure> {
        let sent = self.login.ready().await?;
        let mut stamp = CallMetadata::new(sent.headers.clone())?;
        match self.line.unary(method, request, &stamp).await {
            Err(failure) if self.may_help(&failure, &sent) => {
                stamp.credentials = self.renewed(&failure, &sent).await?.headers;
                self.line.unary(method, request, &stamp).await
            }
            done => done,
        }
    }

    /// Calls a method that streams, and waits for the first that it says. What fails later is in the stream.
    ///
    /// # Errors
    /// Why there is no stream.
    pub async fn stream<Req: Message, Res: Message + Default + 'static>(
        &self,
        method: Streaming<Req, Res>,
        request: &Req,
    ) -> Result<BoxStream<'static, Result<Res, RpcFailure>>, RpcFailure> {
        let sent = self.login.ready().await?;
        let mut stamp = CallMetadata::new(sent.headers.clone())?;
        match self.line.stream(method, request, &stamp).await {
            Err(failure) if self.may_help(&failure, &sent) => {
                stamp.credentials = self.renewed(&failure, &sent).await?.headers;
                self.line.stream(method, request, &stamp).await
            }
            done => done,
        }
    }

    /// The backend's address, as messages name it.
    pub fn endpoint(&self) -> String {
        self.line.base.as_str().trim_end_matches('/').to_owned()
    }

    /// The line to the store that the backend signs addresses of. No login goes there.
    pub(super) fn storage(&self) -> &ConnectTransport {
        &self.storage
    }

    /// Whether it is spoken to without encryption, and so without a login.
    pub fn is_plain(&self) -> bool {
        self.plain
    }

    /// Logs in, whatever is known already.
    ///
    /// # Errors
    /// Why not.
    pub async fn log_in(&self) -> Result<(), RpcFailure> {
        self.login.start().await
    }

    /// Forgets the login. Says whether there was one.
    ///
    /// # Errors
    /// When it could not be removed.
    pub async fn log_out(&self) -> Result<bool, RpcFailure> {
        self.login.forget().await
    }

    /// Whether a new login may help against a failure.
    fn may_help(&self, failure: &RpcFailure, sent: &AuthHeaders) -> bool {
        if self.plain {
            return false;
        }
        let words = failure.cause.to_ascii_lowercase();
        match failure.status() {
            Some(RpcStatus::Unauthenticated) => true,
            // Whoever has shown a token and is denied is known, and may not.
            Some(RpcStatus::PermissionDenied) => !sent.has_token(),
            // Some proxies have their own names for it.
            Some(_) => words.contains("unauthenticated") || words.contains("unauthorized"),
            None => false,
        }
    }

    async fn renewed(&self, refusal: &RpcFailure, sent: &AuthHeaders) -> Result<AuthHeaders, RpcFailure> {
        self.login.renew(sent).await.map_err(|mut failure| {
            failure.cause = format!("{}; before that, {}", failure.cause, refusal.cause);
            failure
        })
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("base", &self.line.base.as_str()).finish_non_exhaustive()
    }
}

fn authorities(config: &FlyteConfig, environment: &Environment) -> Authorities {
    let set = |name| environment.get(name).filter(|value| !value.is_empty());
    Authorities {
        file: set("SSL_CERT_FILE").map(PathBuf::from),
        folders: set("SSL_CERT_DIR").map(|folders| std::env::split_paths(folders).collect()).unwrap_or_default(),
        registries: Vec::new(),
        only: config.ca_file.as_ref().map(|file| file.value.clone()),
        anybody: config.skip_verify.as_ref().is_some_and(|skip| skip.value),
    }
}

/// A store may be a cloud's, or behind the authority of the backend: both are trusted. Whoever names an authority
/// wants it asked, here as at the backend.
fn authorities_of_stores(config: &FlyteConfig, environment: &Environment) -> Authorities {
    let backend = authorities(config, environment);
    let anybody = backend.anybody && backend.only.is_none();
    Authorities { file: backend.only.clone().or(backend.file), only: None, anybody, ..backend }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::flyte::config::{ConfigRequest, load};

    /// Whether the backend and its store may be anybody, with these variables.
    fn anybody(variables: &[&str]) -> [bool; 2] {
        let folder = PathBuf::from("/");
        let mut environment = Environment::default();
        variables.iter().for_each(|name| environment.set(*name, if name.ends_with("PATH") { "/ca.pem" } else { "true" }));
        let request = ConfigRequest { environment: &environment, folder: &folder, file: None, endpoint: None, org: None };
        let (config, problems) = load(&request).unwrap();
        assert!(problems.is_empty(), "{problems:?}");
        [authorities(&config, &environment).clone(), authorities_of_stores(&config, &environment)]
            .map(|authorities| authorities.anybody && authorities.only.is_none())
    }

    #[test]
    fn a_named_authority_is_asked_by_backend_and_store_whatever_else_is_said() {
        let (skip, file) = ("FLYTE_ADMIN_INSECURESKIPVERIFY", "FLYTE_ADMIN_CACERTFILEPATH");
        assert_eq!([anybody(&[]), anybody(&[file]), anybody(&[skip, file])], [[false; 2]; 3]);
        assert_eq!(anybody(&[skip]), [true; 2]);
    }
}
