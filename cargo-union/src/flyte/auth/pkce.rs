//! Login in the user's browser by authorization code with PKCE (RFC 7636).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use union_build::diag::Code;

use super::browser::Browser;
use super::callback::Callback;
use super::discovery::{AuthorizationServer, checked};
use super::oauth::TokenForm;
use super::tokens::Tokens;
use crate::flyte::rpc::{ConnectTransport, RpcFailure};
use crate::flyte::{LoginPrompt, Reporter};
use crate::http::Url;
use crate::http::header::HeaderMap;
use crate::sys::random;
use crate::sys::secret::Secret;

pub(super) async fn log_in(
    connection: &ConnectTransport,
    authority: &AuthorizationServer,
    proxy: &HeaderMap,
    browser: &Browser,
    reporter: &dyn Reporter,
) -> Result<Tokens, RpcFailure> {
    let verifier = Secret::new(URL_SAFE_NO_PAD.encode(random::bytes::<64>()?));
    let state = URL_SAFE_NO_PAD.encode(random::bytes::<32>()?);
    let callback = Callback::listen(&authority.redirect, &state, &authority.backend_host).await?;
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.reveal()));
    let parameters = parameters(authority, &state, &challenge);
    let mut address: Url = checked(connection, &authority.authorization, "authorization")?;
    address.query_pairs_mut().extend_pairs(&parameters);
    let opened = browser.open(address.as_str());
    reporter.login_required(&LoginPrompt {
        address: address.as_str(),
        code: None,
        opened,
    });
    let code = callback.code().await?;
    let form = TokenForm::grant(connection, authority, proxy, "authorization_code").single_use();
    let form = form
        .field("code", code.reveal())
        .field("code_verifier", verifier.reveal());
    // The backend's own token server requires the parameters of the authorization request as well.
    let form = parameters
        .iter()
        .fold(form, |form, (name, value)| form.field(name, value));
    form.tokens()
        .await?
        .map_err(|denied| denied.into_failure(&authority.token))
}

fn parameters<'a>(
    authority: &'a AuthorizationServer,
    state: &'a str,
    challenge: &'a str,
) -> Vec<(&'static str, &'a str)> {
    let mut parameters = vec![
        ("client_id", authority.client_id.as_str()),
        ("response_type", "code"),
        ("scope", &authority.scope),
        ("redirect_uri", &authority.redirect),
        ("state", state),
        ("code_challenge", challenge),
        ("code_challenge_method", "S256"),
    ];
    if !authority.audience.is_empty() {
        parameters.push(("audience", &authority.audience));
    }
    parameters
}

/// The result of a refresh.
pub(super) enum RefreshOutcome {
    /// New tokens.
    Fresh(Tokens),
    /// The server does not accept the refresh token, now or later.
    Ended,
    /// The server gives no tokens now, or there is no refresh token.
    Denied(RpcFailure),
}

/// Requests new tokens with the refresh token.
pub(super) async fn refresh(
    connection: &ConnectTransport,
    authority: &AuthorizationServer,
    proxy: &HeaderMap,
    tokens: &Tokens,
) -> Result<RefreshOutcome, RpcFailure> {
    let Some(refresh) = &tokens.refresh else {
        let cause = format!(
            "{} refuses the access token, and there is no refresh token",
            authority.backend_host
        );
        return Ok(RefreshOutcome::Denied(RpcFailure::new(
            Code::LoginNeeded,
            cause,
        )));
    };
    let form = TokenForm::grant(connection, authority, proxy, "refresh_token").single_use();
    let form = form
        .field("refresh_token", refresh.reveal())
        .field("client_id", &authority.client_id);
    match form.tokens().await {
        // Without a new refresh token in the response, the old one remains valid (RFC 6749, section 6).
        Ok(Ok(fresh)) => Ok(RefreshOutcome::Fresh(Tokens {
            refresh: fresh.refresh.or_else(|| Some(refresh.clone())),
            ..fresh
        })),
        // RFC 6749, section 5.2: invalid, expired, revoked, or of another client.
        Ok(Err(denied)) if denied.error == "invalid_grant" => Ok(RefreshOutcome::Ended),
        Ok(Err(denied)) => Ok(RefreshOutcome::Denied(
            denied.into_failure(&authority.token),
        )),
        Err(failure) if failure.is_transient() || failure.code != Code::LoginFailed => Err(failure),
        Err(failure) => Ok(RefreshOutcome::Denied(failure)),
    }
}
