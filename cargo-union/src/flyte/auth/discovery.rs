//! Where one logs in to a backend, as the backend itself says.

use union_build::diag::Code;

use crate::flyte::config::AuthConfig;
use crate::flyte::idl::auth::{
    GetOAuth2MetadataRequest, GetOAuth2MetadataResponse, GetPublicClientConfigRequest, GetPublicClientConfigResponse,
};
use crate::flyte::rpc::{CallMetadata, ConnectTransport, RpcFailure, RpcStatus, Unary};
use crate::http::header::{AUTHORIZATION, HeaderMap, HeaderName};
use crate::http::{Url, authority};

const SERVICE: &str = "flyteidl2.auth.AuthMetadataService";
const METADATA: Unary<GetOAuth2MetadataRequest, GetOAuth2MetadataResponse> = Unary::repeatable(SERVICE, "GetOAuth2Metadata");
const CLIENT_CONFIG: Unary<GetPublicClientConfigRequest, GetPublicClientConfigResponse> =
    Unary::repeatable(SERVICE, "GetPublicClientConfig");

/// Where one logs in, and as what.
#[derive(Clone, Debug)]
pub(super) struct AuthorizationServer {
    /// Host of the backend that says so.
    pub(super) told_by: String,
    pub(super) token: Url,
    /// Where a browser is sent.
    pub(super) authorization: String,
    /// Where a code for another device is given; empty when there is none.
    pub(super) device: String,
    pub(super) client_id: String,
    pub(super) redirect: String,
    /// Joined by blanks, as they are sent.
    pub(super) scope: String,
    pub(super) audience: String,
    /// The header that carries the token.
    pub(super) header: HeaderName,
}

impl AuthorizationServer {
    /// Asks the backend, with nothing but what a proxy before it wants.
    pub(super) async fn ask(line: &ConnectTransport, proxy: &HeaderMap, auth: &AuthConfig) -> Result<Self, RpcFailure> {
        let (one, other) = (CallMetadata::new(proxy.clone())?, CallMetadata::new(proxy.clone())?);
        let asked = tokio::try_join!(
            line.unary(METADATA, &GetOAuth2MetadataRequest {}, &one),
            line.unary(CLIENT_CONFIG, &GetPublicClientConfigRequest {}, &other),
        );
        let host = authority(&line.base);
        let (metadata, client) = asked.map_err(|failure| match failure.status() {
            Some(RpcStatus::Unimplemented) => {
                RpcFailure::new(Code::LoginFailed, format!("{host} wants a login, and does not say where one logs in"))
                    .help("Let the endpoint name the API, or ask who runs it which `admin.authType` it needs.")
            }
            _ => failure,
        })?;
        let token = checked(line, &metadata.token_endpoint, "token")?;
        let scopes = auth.scopes.as_ref().map_or(client.scopes, |scopes| scopes.value.clone());
        Ok(Self {
            told_by: host,
            token,
            authorization: metadata.authorization_endpoint,
            device: metadata.device_authorization_endpoint,
            client_id: client.client_id,
            redirect: client.redirect_uri,
            scope: scopes.join(" "),
            audience: client.audience,
            header: HeaderName::from_bytes(client.authorization_metadata_key.as_bytes()).unwrap_or(AUTHORIZATION),
        })
    }
}

/// An address that the backend names for a login: encrypted, or on this machine when the backend is.
pub(super) fn checked(line: &ConnectTransport, named: &str, what: &str) -> Result<Url, RpcFailure> {
    let host = authority(&line.base);
    let none = || RpcFailure::new(Code::BackendInvalid, format!("{host} names no {what} server that is an address"));
    let url = Url::parse(named).ok().filter(Url::has_host).ok_or_else(none)?;
    let plain = || {
        let cause = format!("{host} wants the login sent to `{}`", authority(&url));
        RpcFailure::new(Code::LoginUnencrypted, cause)
    };
    line.transport.checked(&line.base, url.clone()).map_err(|_| plain())
}
