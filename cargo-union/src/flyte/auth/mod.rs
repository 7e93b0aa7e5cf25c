//! Logins: tokens from a client's secret, a browser, another device or a program.
//!
//! A login starts only when the backend refuses a call. All calls of a process share one login: a call that
//! is refused while a login is in progress waits for it. Tokens are sent only to the backend and its token
//! server, and are never printed.

use std::path::PathBuf;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::sync::Mutex;
use union_build::diag::Code;

use super::Reporter;
use super::capabilities::BackendKind;
use super::config::{AuthConfig, AuthType, ClientSecret};
use super::rpc::{ConnectTransport, RpcFailure};
use crate::http::credential;
use crate::http::error::clean;
use crate::http::header::{AUTHORIZATION, HeaderMap, HeaderName, PROXY_AUTHORIZATION};
use crate::sys::fs;
use crate::sys::process::Environment;
use crate::sys::secret::Secret;

mod browser;
mod callback;
mod command;
mod device;
mod discovery;
mod oauth;
mod pkce;
mod token_store;
mod tokens;

use browser::Browser;
use discovery::AuthorizationServer;
use oauth::TokenForm;
use pkce::RefreshOutcome;
pub(crate) use token_store::TokenStore;
use tokens::Tokens;

/// The maximum number of refresh tokens to try, when other processes store new ones in the meantime.
const MOST_REFRESHES: usize = 3;

/// The configuration and environment of a login.
pub(crate) struct AuthContext {
    pub(crate) auth: AuthConfig,
    /// The connection to the endpoint of the config, also when calls go to another cluster.
    pub(crate) connection: ConnectTransport,
    pub(crate) store: TokenStore,
    pub(crate) environment: Environment,
    /// Working directory of programs.
    pub(crate) directory: PathBuf,
    /// Whether a user is present who can open a browser.
    pub(crate) interactive: bool,
    pub(crate) reporter: Arc<dyn Reporter>,
}

/// The login of a process, shared by all calls.
pub(crate) struct TokenProvider {
    context: AuthContext,
    browser: Browser,
    state: Mutex<TokenState>,
}

#[derive(Default)]
struct TokenState {
    /// Whether stored tokens have been read.
    read: bool,
    tokens: Option<Tokens>,
    authority: Option<AuthorizationServer>,
    proxy: Option<HeaderMap>,
    /// The failure of a login, so that calls that waited for it do not try again.
    failed: Option<RpcFailure>,
}

/// The credentials that a call was sent with.
#[derive(Clone, Debug)]
pub(crate) struct AuthHeaders {
    pub(crate) headers: HeaderMap,
    access: Option<Secret<String>>,
}

impl AuthHeaders {
    pub(crate) fn has_token(&self) -> bool {
        self.access.is_some()
    }
}

impl TokenProvider {
    pub(crate) fn new(context: AuthContext) -> Self {
        let browser = Browser::new(context.environment.clone(), context.directory.clone());
        Self {
            context,
            browser,
            state: Mutex::default(),
        }
    }

    /// The credentials for a call that are available without a login.
    pub(crate) async fn ready(&self) -> Result<AuthHeaders, RpcFailure> {
        let mut state = self.state.lock().await;
        if !state.read && self.stores_tokens() {
            state.tokens = self.context.store.read().await?;
        }
        state.read = true;
        if state.proxy.is_none() {
            state.proxy = Some(self.proxy_headers().await?);
        }
        Ok(self.headers(&state))
    }

    /// The credentials for the second attempt of a call that was refused.
    pub(crate) async fn renew(
        &self,
        refused: &AuthHeaders,
        kind: BackendKind,
    ) -> Result<AuthHeaders, RpcFailure> {
        let mut state = self.state.lock().await;
        if let Some(failure) = &state.failed {
            return Err(failure.clone());
        }
        if state.tokens.as_ref().map(|tokens| &tokens.access) == refused.access.as_ref() {
            let result = self.log_in(&mut state, kind, false).await;
            // A watch lasts for hours: a transient failure must not fail the next call.
            result.inspect_err(|failure| {
                state.failed = Some(failure.clone()).filter(|failure| !failure.is_transient())
            })?;
        }
        Ok(self.headers(&state))
    }

    /// Logs in again, whether or not there are tokens.
    pub(crate) async fn start(&self, kind: BackendKind) -> Result<(), RpcFailure> {
        let mut state = self.state.lock().await;
        state.read = true;
        self.log_in(&mut state, kind, true).await
    }

    /// Deletes the stored tokens. Returns whether there were any.
    pub(crate) async fn forget(&self) -> Result<bool, RpcFailure> {
        Ok(self.context.store.forget().await?)
    }

    /// Whether tokens belong to a user and are stored. A client's secret gives new tokens at any time, and must
    /// not replace the user's login in the keyring.
    fn stores_tokens(&self) -> bool {
        matches!(
            self.context.auth.kind.value,
            AuthType::Pkce | AuthType::DeviceFlow
        )
    }

    fn headers(&self, state: &TokenState) -> AuthHeaders {
        let mut headers = state.proxy.clone().unwrap_or_default();
        let name = state
            .authority
            .as_ref()
            .map_or(AUTHORIZATION, |authority| authority.header.clone());
        let bearer = state
            .tokens
            .as_ref()
            .and_then(|tokens| credential("Bearer", tokens.access.reveal()));
        headers.extend(bearer.map(|bearer| (name, bearer)));
        AuthHeaders {
            headers,
            access: state.tokens.as_ref().map(|tokens| tokens.access.clone()),
        }
    }

    async fn log_in(
        &self,
        state: &mut TokenState,
        kind: BackendKind,
        again: bool,
    ) -> Result<(), RpcFailure> {
        let auth = &self.context.auth;
        let connection = &self.context.connection;
        // The proxy may have refused the call, and its tokens expire too.
        let proxy = self.proxy_headers().await?;
        state.proxy = Some(proxy.clone());
        if auth.kind.value == AuthType::ExternalCommand {
            state.tokens = Some(Tokens {
                access: self.command_token().await?,
                refresh: None,
            });
            return Ok(());
        }
        let authority = match &state.authority {
            Some(authority) => authority.clone(),
            None => AuthorizationServer::discover(connection, &proxy, auth, kind).await?,
        };
        state.authority = Some(authority.clone());
        let tokens = match auth.kind.value {
            AuthType::ClientSecret => self.log_in_with_secret(&authority, &proxy).await?,
            AuthType::Passthrough => {
                let help = "Choose `Pkce`, `DeviceFlow`, `ClientSecret` or `ExternalCommand`.";
                return Err(incomplete("`admin.authType` is `Passthrough`, which means headers that a Python program sets").help(help));
            }
            AuthType::Pkce | AuthType::DeviceFlow | AuthType::ExternalCommand => {
                self.log_in_user(state, &authority, &proxy, again).await?
            }
        };
        state.tokens = Some(tokens);
        Ok(())
    }

    /// Tokens of the user: those that another process has stored in the meantime, else from a refresh token,
    /// else from a login.
    async fn log_in_user(
        &self,
        state: &TokenState,
        authority: &AuthorizationServer,
        proxy: &HeaderMap,
        again: bool,
    ) -> Result<Tokens, RpcFailure> {
        let AuthContext {
            connection,
            reporter,
            interactive,
            ..
        } = &self.context;
        let refused = if again { None } else { state.tokens.clone() };
        let denied = match refused {
            Some(refused) => match self.refresh(refused, authority, proxy).await? {
                RefreshOutcome::Fresh(tokens) => return Ok(tokens),
                RefreshOutcome::Ended => None,
                RefreshOutcome::Denied(failure) => Some(failure),
            },
            None => None,
        };
        if let (false, Some(failure)) = (interactive, denied) {
            return Err(failure);
        }
        if !interactive {
            let cause = format!(
                "{} requires a login, and the session is not interactive",
                authority.backend_host
            );
            return Err(RpcFailure::new(Code::LoginNeeded, cause));
        }
        let tokens = match self.context.auth.kind.value {
            AuthType::DeviceFlow => {
                device::log_in(connection, authority, proxy, &**reporter).await?
            }
            _ => pkce::log_in(connection, authority, proxy, &self.browser, &**reporter).await?,
        };
        self.store_tokens(tokens).await
    }

    /// Refreshes tokens that were refused, or takes those that another process has stored in the meantime. A refresh
    /// token can often be used only once, so processes wait for one another; the Python SDK does not, so the stored
    /// tokens are read again before they are deleted.
    async fn refresh(
        &self,
        refused: Tokens,
        authority: &AuthorizationServer,
        proxy: &HeaderMap,
    ) -> Result<RefreshOutcome, RpcFailure> {
        let AuthContext {
            connection, store, ..
        } = &self.context;
        let _lock = store.lock().await;
        let mut tokens = refused.clone();
        for _ in 0..MOST_REFRESHES {
            let stored = store.read().await?;
            if let Some(stored) = stored.as_ref().filter(|stored| {
                stored.access != refused.access && !stored.access.reveal().is_empty()
            }) {
                return Ok(RefreshOutcome::Fresh(stored.clone()));
            }
            let newer = stored
                .filter(|stored| stored.refresh.is_some() && stored.refresh != tokens.refresh);
            tokens = newer.unwrap_or(tokens);
            match pkce::refresh(connection, authority, proxy, &tokens).await? {
                RefreshOutcome::Fresh(fresh) => {
                    return Ok(RefreshOutcome::Fresh(self.store_tokens(fresh).await?));
                }
                RefreshOutcome::Ended => match store.read().await? {
                    Some(stored)
                        if stored.refresh.is_some() && stored.refresh != tokens.refresh => {}
                    stored => {
                        // Every later command would try an invalid refresh token again, so it is deleted.
                        if stored.is_some_and(|stored| stored.refresh == tokens.refresh) {
                            store.forget().await?;
                        }
                        return Ok(RefreshOutcome::Ended);
                    }
                },
                denied @ RefreshOutcome::Denied(_) => return Ok(denied),
            }
        }
        Ok(RefreshOutcome::Ended)
    }

    async fn store_tokens(&self, tokens: Tokens) -> Result<Tokens, RpcFailure> {
        let place = match self.context.store.write(&tokens).await? {
            token_store::StoredIn::Keyring => "the system's keyring".to_owned(),
            token_store::StoredIn::File(file, None) => format!("`{}`", file.display()),
            token_store::StoredIn::File(file, Some(why)) => {
                format!(
                    "`{}`, for the keyring cannot be used: {}",
                    file.display(),
                    clean(&why)
                )
            }
            token_store::StoredIn::Nowhere => "nowhere".to_owned(),
        };
        self.context.reporter.login_stored(&place);
        Ok(tokens)
    }

    async fn log_in_with_secret(
        &self,
        authority: &AuthorizationServer,
        proxy: &HeaderMap,
    ) -> Result<Tokens, RpcFailure> {
        let auth = &self.context.auth;
        let Some(id) = &auth.client_id else {
            return Err(
                incomplete("a login with a client's secret needs the client's id")
                    .help("Set `admin.clientId`."),
            );
        };
        let secret = self.client_secret()?;
        let encoded: String =
            url::form_urlencoded::byte_serialize(secret.reveal().as_bytes()).collect();
        let basic = credential("Basic", &STANDARD.encode(format!("{}:{encoded}", id.value)));
        let basic = basic.expect("base64 is ASCII, which every header can hold");
        let form = TokenForm::grant(
            &self.context.connection,
            authority,
            proxy,
            "client_credentials",
        )
        .basic(basic);
        let form = form
            .field("scope", &authority.scope)
            .field("audience", &authority.audience);
        let granted = form.tokens().await?;
        granted.map_err(|denied| {
            let help = format!(
                "Check the client's id `{}` (from {}) and its secret.",
                id.value, id.origin
            );
            denied.into_failure(&authority.token).help(help)
        })
    }

    fn client_secret(&self) -> Result<Secret<String>, RpcFailure> {
        let secret = match &self.context.auth.secret {
            Some(ClientSecret::Known(secret)) => return Ok(secret.clone()),
            Some(ClientSecret::File(file)) => fs::read_to_string(&file.value)?,
            Some(ClientSecret::Unset(name)) => {
                let cause = format!(
                    "{}, where the client's secret should be, is not set",
                    name.value
                );
                return Err(incomplete(&cause).help(format!(
                    "Set {}, or name another variable in `admin.clientSecretEnvVar`.",
                    name.value
                )));
            }
            None => {
                let help = "Set `admin.clientSecretEnvVar` or `admin.clientSecretLocation`.";
                return Err(
                    incomplete("a login with a client's secret needs the secret").help(help),
                );
            }
        };
        Ok(Secret::new(
            secret.trim_end_matches(['\n', '\r']).to_owned(),
        ))
    }

    async fn command_token(&self) -> Result<Secret<String>, RpcFailure> {
        let Some(words) = &self.context.auth.command else {
            let help = "Set `admin.command` to the program and its arguments.";
            return Err(incomplete("a login by a program requires the program").help(help));
        };
        command::token(
            &words.value,
            "admin.command",
            &self.context.environment,
            &self.context.directory,
        )
        .await
    }

    /// The credentials for a proxy before the backend; empty when there is none.
    async fn proxy_headers(&self) -> Result<HeaderMap, RpcFailure> {
        let Some(words) = &self.context.auth.proxy_command else {
            return Ok(HeaderMap::new());
        };
        let token = command::token(
            &words.value,
            "admin.proxyCommand",
            &self.context.environment,
            &self.context.directory,
        )
        .await?;
        let header = |name: HeaderName| Some((name, credential("Bearer", token.reveal())?));
        Ok(header(PROXY_AUTHORIZATION).into_iter().collect())
    }
}

/// The failure of a login for which the config lacks a setting.
fn incomplete(cause: &str) -> RpcFailure {
    RpcFailure::new(Code::LoginIncomplete, cause)
}
