//! The client of a backend: calls with the user's login, at the cluster that serves them.
//!
//! A call that the backend refuses for its credentials is retried once with new ones.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::BoxStream;
use prost::Message;
use union_build::diag::Code;
use union_build::spec::BackendChoice;

use super::Reporter;
use super::auth::{AuthContext, AuthHeaders, TokenProvider, TokenStore};
use super::capabilities::BackendKind;
use super::config::FlyteConfig;
use super::rpc::{
    CallMetadata, ConnectTransport, RestCall, RpcFailure, RpcStatus, Streaming, Unary,
};
use crate::http::retry::RetryPolicy;
use crate::http::{Authorities, Proxies, Transport, Url, authority};
use crate::sys::cache::Cache;
use crate::sys::error::{Error, Result};
use crate::sys::process::Environment;

mod active_plans;
mod cluster;
mod cluster_cache;
mod generation;
mod identity;
mod plan_cache;
mod recognition;

pub use cluster::{Operation, Resource};
pub use identity::UserIdentity;

use cluster_cache::ClusterCache;
use generation::Generation;
use plan_cache::PlanCache;

/// The retry policy of the Python SDK.
const RETRY: RetryPolicy = RetryPolicy {
    attempts: 4,
    first_pause: Duration::from_millis(500),
    longest_pause: Duration::from_secs(20),
    jitter: true,
};

/// The environment of a client.
pub struct ClientOptions {
    /// Environment variables of the process.
    pub environment: Environment,
    /// The current directory.
    pub directory: PathBuf,
    /// Whether a user is present who can open a browser.
    pub interactive: bool,
    /// The retry policy of calls.
    pub retry: RetryPolicy,
    /// Receives progress events.
    pub reporter: Arc<dyn Reporter>,
    /// The generation of the backend.
    pub backend: BackendChoice,
    /// Where the generation of a backend is cached; `None` detects it in each process.
    pub cache: Option<Cache>,
}

impl ClientOptions {
    /// Options with the default retry policy, for a backend whose generation is detected.
    pub fn new(
        environment: Environment,
        directory: PathBuf,
        interactive: bool,
        reporter: Arc<dyn Reporter>,
    ) -> Self {
        Self {
            environment,
            directory,
            interactive,
            retry: RETRY,
            reporter,
            backend: BackendChoice::Auto,
            cache: None,
        }
    }
}

/// The client of a backend. Clones share the login and the cache of clusters.
#[derive(Clone)]
pub struct Client {
    connection: ConnectTransport,
    /// The connection to the backend's object store, for which further certificate authorities are trusted.
    storage: ConnectTransport,
    login: Arc<TokenProvider>,
    /// Whether the connection is not encrypted, so that no login is possible.
    plain: bool,
    clusters: Arc<ClusterCache>,
    plans: Arc<PlanCache>,
    generation: Arc<Generation>,
    /// The organization of the config; may be empty.
    org: String,
}

/// A backend of Flyte 2, with the methods of its client.
#[derive(Clone, Debug)]
pub(in crate::flyte) struct Flyte2(pub(in crate::flyte) Client);

impl std::ops::Deref for Flyte2 {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.0
    }
}

impl Client {
    /// A client of the backend of a config. It does not connect before its first call.
    ///
    /// # Errors
    /// U0754 (`BackendMissing`) when the config has no endpoint.
    pub fn new(config: &FlyteConfig, options: ClientOptions) -> Result<Self> {
        let missing = || Error::new(Code::BackendMissing, "no backend is configured");
        let endpoint = config.endpoint.as_ref().ok_or_else(missing)?;
        let ClientOptions {
            environment,
            directory,
            interactive,
            retry,
            reporter,
            backend,
            cache,
        } = options;
        let base = Url::parse(&endpoint.to_string()).expect("an endpoint was read as a URL");
        let plain_hosts: BTreeSet<String> = endpoint
            .is_plain()
            .then(|| authority(&base))
            .into_iter()
            .collect();
        let proxies = Proxies::of(|name| environment.get(name));
        let transport = Arc::new(Transport::new(
            plain_hosts,
            authorities(config, &environment),
            proxies.clone(),
        ));
        let connection = ConnectTransport::new(transport, base.clone(), retry, reporter.clone());
        let storage_transport = Arc::new(Transport::new(
            BTreeSet::new(),
            authorities_of_stores(config, &environment),
            proxies,
        ));
        let storage = ConnectTransport::new(storage_transport, base, retry, reporter.clone());
        let keeps_no_tokens = endpoint.is_plain()
            || config
                .auth
                .disable_keyring
                .as_ref()
                .is_some_and(|disabled| disabled.value);
        let store = if keeps_no_tokens {
            TokenStore::nothing(endpoint.host())
        } else {
            TokenStore::of_machine(endpoint.host(), &environment)
        };
        let context = AuthContext {
            auth: config.auth.clone(),
            connection: connection.clone(),
            store,
            environment,
            directory,
            interactive,
            reporter,
        };
        let login = Arc::new(TokenProvider::new(context));
        Ok(Self {
            connection,
            storage,
            login,
            plain: endpoint.is_plain(),
            clusters: Arc::default(),
            plans: Arc::default(),
            generation: Arc::new(Generation::new(backend, cache)),
            org: config
                .org
                .as_ref()
                .map(|org| org.value.clone())
                .unwrap_or_default(),
        })
    }

    /// Calls a unary method.
    ///
    /// # Errors
    /// The failure of the last attempt.
    pub async fn unary<Req: Message, Res: Message + Default>(
        &self,
        method: Unary<Req, Res>,
        request: &Req,
    ) -> Result<Res, RpcFailure> {
        let credentials = self.login.ready().await?;
        let mut metadata = CallMetadata::new(credentials.headers.clone())?;
        match self.connection.unary(method, request, &metadata).await {
            Err(failure) if self.may_help(&failure, &credentials) => {
                let kind = BackendKind::Flyte2;
                let renewed = self.renewed(&failure, &credentials, kind).await?;
                metadata.credentials = renewed.headers;
                self.connection.unary(method, request, &metadata).await
            }
            result => result,
        }
    }

    /// Calls a REST path of Flyte 1.
    ///
    /// # Errors
    /// The failure of the last attempt.
    pub(super) async fn rest<Res: Message + Default>(
        &self,
        call: &RestCall<Res>,
    ) -> Result<Res, RpcFailure> {
        let credentials = self.login.ready().await?;
        let mut metadata = CallMetadata::new(credentials.headers.clone())?;
        match self.connection.rest(call, &metadata).await {
            Err(failure) if self.may_help(&failure, &credentials) => {
                let kind = BackendKind::Flyte1;
                let renewed = self.renewed(&failure, &credentials, kind).await?;
                metadata.credentials = renewed.headers;
                self.connection.rest(call, &metadata).await
            }
            result => result,
        }
    }

    /// Calls a streaming method and waits for its first message. Later failures are items of the stream.
    ///
    /// # Errors
    /// The failure of the last attempt to open the stream.
    pub async fn stream<Req: Message, Res: Message + Default + 'static>(
        &self,
        method: Streaming<Req, Res>,
        request: &Req,
    ) -> Result<BoxStream<'static, Result<Res, RpcFailure>>, RpcFailure> {
        let credentials = self.login.ready().await?;
        let mut metadata = CallMetadata::new(credentials.headers.clone())?;
        match self.connection.stream(method, request, &metadata).await {
            Err(failure) if self.may_help(&failure, &credentials) => {
                let kind = BackendKind::Flyte2;
                let renewed = self.renewed(&failure, &credentials, kind).await?;
                metadata.credentials = renewed.headers;
                self.connection.stream(method, request, &metadata).await
            }
            result => result,
        }
    }

    /// Seconds by which this machine's clock is ahead of the backend's; negative if it is behind. `None` before a
    /// response with a valid `Date` header.
    pub fn clock_difference(&self) -> Option<i64> {
        self.connection.transport.clock_difference()
    }

    /// The URL of the server, without a slash at its end, as messages show it.
    pub fn endpoint(&self) -> String {
        self.connection
            .base
            .as_str()
            .trim_end_matches('/')
            .to_owned()
    }

    /// The connection for signed addresses of the object store. It sends no credentials.
    pub(super) fn storage(&self) -> &ConnectTransport {
        &self.storage
    }

    /// Whether the connection is not encrypted, so that no login is possible.
    pub fn is_plain(&self) -> bool {
        self.plain
    }

    /// Logs in, even when there are tokens already.
    ///
    /// # Errors
    /// The failure of the login.
    pub async fn log_in(&self) -> Result<(), RpcFailure> {
        self.login.start(self.kind().await?).await
    }

    /// Deletes the stored tokens. Returns whether there were any.
    ///
    /// # Errors
    /// U0005 (`FileUnwritable`) when the file cannot be removed.
    pub async fn log_out(&self) -> Result<bool, RpcFailure> {
        self.login.forget().await
    }

    /// Whether a call that failed is retried with a new login.
    fn may_help(&self, failure: &RpcFailure, credentials: &AuthHeaders) -> bool {
        if self.plain {
            return false;
        }
        let words = failure.cause.to_ascii_lowercase();
        match failure.status() {
            Some(RpcStatus::Unauthenticated) => true,
            // With a token, the denial is about permissions, which a new login would not change.
            Some(RpcStatus::PermissionDenied) => !credentials.has_token(),
            // Some proxies use status codes of their own for missing credentials.
            Some(_) => words.contains("unauthenticated") || words.contains("unauthorized"),
            None => false,
        }
    }

    async fn renewed(
        &self,
        refusal: &RpcFailure,
        credentials: &AuthHeaders,
        kind: BackendKind,
    ) -> Result<AuthHeaders, RpcFailure> {
        self.login
            .renew(credentials, kind)
            .await
            .map_err(|mut failure| {
                failure.cause = format!("{}; before that, {}", failure.cause, refusal.cause);
                failure
            })
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("base", &self.connection.base.as_str())
            .finish_non_exhaustive()
    }
}

fn authorities(config: &FlyteConfig, environment: &Environment) -> Authorities {
    let nonempty = |name| environment.get(name).filter(|value| !value.is_empty());
    Authorities {
        file: nonempty("SSL_CERT_FILE").map(PathBuf::from),
        directories: nonempty("SSL_CERT_DIR")
            .map(|directories| std::env::split_paths(directories).collect())
            .unwrap_or_default(),
        registries: Vec::new(),
        only: config.ca_file.as_ref().map(|file| file.value.clone()),
        skip_verify: config.skip_verify.as_ref().is_some_and(|skip| skip.value),
    }
}

/// The store may have a public certificate or one of the backend's certificate authority: both are trusted. If an
/// authority is configured, the store's certificate is verified even when verification is switched off, as the
/// backend's is.
fn authorities_of_stores(config: &FlyteConfig, environment: &Environment) -> Authorities {
    let backend = authorities(config, environment);
    let skip_verify = backend.skip_verify && backend.only.is_none();
    Authorities {
        file: backend.only.clone().or(backend.file),
        only: None,
        skip_verify,
        ..backend
    }
}

#[cfg(test)]
mod tests;
