//! Who the user is to the backend: tokens from a secret, a browser, another device or a program.
//!
//! Nobody logs in before the backend asks for it. All calls of a process share one login: whoever is
//! refused while another logs in waits for that. Tokens go to the backend and to its token server only,
//! and are never printed.

use std::path::PathBuf;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::sync::Mutex;
use union_build::diag::Code;

use super::Reporter;
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

/// How often refresh tokens that others have stored in the meantime are tried.
const MOST_REFRESHES: usize = 3;

/// Everything that a login needs to know.
pub(crate) struct AuthContext {
    pub(crate) auth: AuthConfig,
    /// The line to the backend that the config names, whatever cluster is called in the end.
    pub(crate) line: ConnectTransport,
    pub(crate) keep: TokenStore,
    pub(crate) environment: Environment,
    /// Where programs are started.
    pub(crate) folder: PathBuf,
    /// Whether there is a user who can be sent to a browser.
    pub(crate) attended: bool,
    pub(crate) reporter: Arc<dyn Reporter>,
}

/// The login of a process.
pub(crate) struct TokenProvider {
    setting: AuthContext,
    browser: Browser,
    state: Mutex<TokenState>,
}

#[derive(Default)]
struct TokenState {
    /// Whether what was kept has been read.
    read: bool,
    tokens: Option<Tokens>,
    authority: Option<AuthorizationServer>,
    proxy: Option<HeaderMap>,
    /// A login that failed is not tried by everybody who waited for it.
    failed: Option<RpcFailure>,
}

/// What a call was sent with.
#[derive(Clone, Debug)]
pub(crate) struct AuthHeaders {
    pub(crate) headers: HeaderMap,
    access: Option<Secret<String>>,
}

impl AuthHeaders {
    /// Whether there was a token.
    pub(crate) fn has_token(&self) -> bool {
        self.access.is_some()
    }
}

impl TokenProvider {
    pub(crate) fn new(setting: AuthContext) -> Self {
        let browser = Browser::new(setting.environment.clone(), setting.folder.clone());
        Self { setting, browser, state: Mutex::default() }
    }

    /// What a call is sent with: what is known without asking anybody.
    pub(crate) async fn ready(&self) -> Result<AuthHeaders, RpcFailure> {
        let mut state = self.state.lock().await;
        if !state.read && self.has_user() {
            state.tokens = self.setting.keep.read().await?;
        }
        state.read = true;
        if state.proxy.is_none() {
            state.proxy = Some(self.proxy().await?);
        }
        Ok(self.sent(&state))
    }

    /// What a call that was refused is sent with the second time.
    pub(crate) async fn renew(&self, refused: &AuthHeaders) -> Result<AuthHeaders, RpcFailure> {
        let mut state = self.state.lock().await;
        if let Some(failure) = &state.failed {
            return Err(failure.clone());
        }
        if state.tokens.as_ref().map(|tokens| &tokens.access) == refused.access.as_ref() {
            let done = self.replace(&mut state, false).await;
            // A watch goes on for hours: what may pass by itself is not held against the next call.
            done.inspect_err(|failure| state.failed = Some(failure.clone()).filter(|failure| !failure.is_transient()))?;
        }
        Ok(self.sent(&state))
    }

    /// Logs in anew, whatever is known.
    pub(crate) async fn start(&self) -> Result<(), RpcFailure> {
        let mut state = self.state.lock().await;
        state.read = true;
        self.replace(&mut state, true).await
    }

    /// Forgets what was kept. Says whether there was anything.
    pub(crate) async fn forget(&self) -> Result<bool, RpcFailure> {
        Ok(self.setting.keep.forget().await?)
    }

    /// Whether tokens stand for a user, and so are worth keeping. A client's secret gives new ones at any
    /// time, and must not take the user's place in the keyring.
    fn has_user(&self) -> bool {
        matches!(self.setting.auth.kind.value, AuthType::Pkce | AuthType::DeviceFlow)
    }

    fn sent(&self, state: &TokenState) -> AuthHeaders {
        let mut headers = state.proxy.clone().unwrap_or_default();
        let name = state.authority.as_ref().map_or(AUTHORIZATION, |authority| authority.header.clone());
        let bearer = state.tokens.as_ref().and_then(|tokens| credential("Bearer", tokens.access.reveal()));
        headers.extend(bearer.map(|bearer| (name, bearer)));
        AuthHeaders { headers, access: state.tokens.as_ref().map(|tokens| tokens.access.clone()) }
    }

    async fn replace(&self, state: &mut TokenState, anew: bool) -> Result<(), RpcFailure> {
        let (auth, line) = (&self.setting.auth, &self.setting.line);
        // The refusal may have been the proxy's, whose tokens end too.
        let proxy = self.proxy().await?;
        state.proxy = Some(proxy.clone());
        if auth.kind.value == AuthType::ExternalCommand {
            state.tokens = Some(Tokens { access: self.command().await?, refresh: None });
            return Ok(());
        }
        let authority = match &state.authority {
            Some(authority) => authority.clone(),
            None => AuthorizationServer::ask(line, &proxy, auth).await?,
        };
        state.authority = Some(authority.clone());
        let tokens = match auth.kind.value {
            AuthType::ClientSecret => self.by_secret(&authority, &proxy).await?,
            AuthType::Passthrough => {
                let help = "Choose `Pkce`, `DeviceFlow`, `ClientSecret` or `ExternalCommand`.";
                return Err(incomplete("`admin.authType` is `Passthrough`, which means headers that a Python program sets").help(help));
            }
            AuthType::Pkce | AuthType::DeviceFlow | AuthType::ExternalCommand => self.by_user(state, &authority, &proxy, anew).await?,
        };
        state.tokens = Some(tokens);
        Ok(())
    }

    /// Tokens of the user: those that another process has got in the meantime, else by a refresh token, else
    /// by asking.
    async fn by_user(
        &self,
        state: &TokenState,
        authority: &AuthorizationServer,
        proxy: &HeaderMap,
        anew: bool,
    ) -> Result<Tokens, RpcFailure> {
        let AuthContext { line, reporter, attended, .. } = &self.setting;
        let known = if anew { None } else { state.tokens.clone() };
        let denied = match known {
            Some(known) => match self.renewed(known, authority, proxy).await? {
                RefreshOutcome::Fresh(tokens) => return Ok(tokens),
                RefreshOutcome::Ended => None,
                RefreshOutcome::Denied(failure) => Some(failure),
            },
            None => None,
        };
        if let (false, Some(failure)) = (attended, denied) {
            return Err(failure);
        }
        if !attended {
            let cause = format!("{} wants a login, and nobody is there to log in", authority.told_by);
            return Err(RpcFailure::new(Code::LoginNeeded, cause));
        }
        let tokens = match self.setting.auth.kind.value {
            AuthType::DeviceFlow => device::log_in(line, authority, proxy, &**reporter).await?,
            _ => pkce::log_in(line, authority, proxy, &self.browser, &**reporter).await?,
        };
        self.store_tokens(tokens).await
    }

    /// Renews what was refused, or takes what another process has got in the meantime. A refresh token is often good
    /// for one use, so processes wait for one another; those of the Python SDK do not, so what is kept is looked at
    /// again before it is forgotten.
    async fn renewed(&self, refused: Tokens, authority: &AuthorizationServer, proxy: &HeaderMap) -> Result<RefreshOutcome, RpcFailure> {
        let AuthContext { line, keep, .. } = &self.setting;
        let _lock = keep.lock().await;
        let mut tokens = refused.clone();
        for _ in 0..MOST_REFRESHES {
            let kept = keep.read().await?;
            if let Some(kept) = kept.as_ref().filter(|kept| kept.access != refused.access && !kept.access.reveal().is_empty()) {
                return Ok(RefreshOutcome::Fresh(kept.clone()));
            }
            let newer = kept.filter(|kept| kept.refresh.is_some() && kept.refresh != tokens.refresh);
            tokens = newer.unwrap_or(tokens);
            match pkce::refresh(line, authority, proxy, &tokens).await? {
                RefreshOutcome::Fresh(fresh) => return Ok(RefreshOutcome::Fresh(self.store_tokens(fresh).await?)),
                RefreshOutcome::Ended => match keep.read().await? {
                    Some(kept) if kept.refresh.is_some() && kept.refresh != tokens.refresh => {}
                    kept => {
                        // What cannot be renewed would be in everybody's way.
                        if kept.is_some_and(|kept| kept.refresh == tokens.refresh) {
                            keep.forget().await?;
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
        let place = match self.setting.keep.write(&tokens).await? {
            token_store::StoredIn::Keyring => "the system's keyring".to_owned(),
            token_store::StoredIn::File(file, None) => format!("`{}`", file.display()),
            token_store::StoredIn::File(file, Some(why)) => {
                format!("`{}`, for the keyring cannot be used: {}", file.display(), clean(&why))
            }
            token_store::StoredIn::Nowhere => "nowhere".to_owned(),
        };
        self.setting.reporter.kept(&place);
        Ok(tokens)
    }

    async fn by_secret(&self, authority: &AuthorizationServer, proxy: &HeaderMap) -> Result<Tokens, RpcFailure> {
        let auth = &self.setting.auth;
        let Some(id) = &auth.client_id else {
            return Err(incomplete("a login with a client's secret needs the client's id").help("Set `admin.clientId`."));
        };
        let secret = self.secret()?;
        let encoded: String = url::form_urlencoded::byte_serialize(secret.reveal().as_bytes()).collect();
        let basic = credential("Basic", &STANDARD.encode(format!("{}:{encoded}", id.value)));
        let basic = basic.expect("base64 is ASCII, which every header can hold");
        let form = TokenForm::grant(&self.setting.line, authority, proxy, "client_credentials").basic(basic);
        let form = form.field("scope", &authority.scope).field("audience", &authority.audience);
        let granted = form.tokens().await?;
        granted.map_err(|denied| {
            let help = format!("Check the client's id `{}` (from {}) and its secret.", id.value, id.origin);
            denied.into_failure(&authority.token).help(help)
        })
    }

    fn secret(&self) -> Result<Secret<String>, RpcFailure> {
        let secret = match &self.setting.auth.secret {
            Some(ClientSecret::Known(secret)) => return Ok(secret.clone()),
            Some(ClientSecret::File(file)) => fs::read_to_string(&file.value)?,
            Some(ClientSecret::Unset(name)) => {
                let cause = format!("{}, where the client's secret should be, is not set", name.value);
                return Err(incomplete(&cause).help(format!("Set {}, or name another variable in `admin.clientSecretEnvVar`.", name.value)));
            }
            None => {
                let help = "Set `admin.clientSecretEnvVar` or `admin.clientSecretLocation`.";
                return Err(incomplete("a login with a client's secret needs the secret").help(help));
            }
        };
        Ok(Secret::new(secret.trim_end_matches(['\n', '\r']).to_owned()))
    }

    async fn command(&self) -> Result<Secret<String>, RpcFailure> {
        let Some(words) = &self.setting.auth.command else {
            let help = "Set `admin.command` to the program and its arguments.";
            return Err(incomplete("a login by a program needs the program").help(help));
        };
        command::token(&words.value, "admin.command", &self.setting.environment, &self.setting.folder).await
    }

    /// What a proxy before the backend wants to see with every call.
    async fn proxy(&self) -> Result<HeaderMap, RpcFailure> {
        let Some(words) = &self.setting.auth.proxy_command else { return Ok(HeaderMap::new()) };
        let token = command::token(&words.value, "admin.proxyCommand", &self.setting.environment, &self.setting.folder).await?;
        let header = |name: HeaderName| Some((name, credential("Bearer", token.reveal())?));
        Ok(header(PROXY_AUTHORIZATION).into_iter().collect())
    }
}

/// The failure of a login for which the config says too little.
fn incomplete(cause: &str) -> RpcFailure {
    RpcFailure::new(Code::LoginIncomplete, cause)
}
