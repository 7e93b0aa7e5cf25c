//! Discovery of a backend's authorization server.

use serde::Deserialize;
use union_build::diag::Code;

use crate::flyte::capabilities::BackendKind;
use crate::flyte::config::AuthConfig;
use crate::flyte::idl::auth::{
    GetOAuth2MetadataRequest, GetOAuth2MetadataResponse, GetPublicClientConfigRequest,
    GetPublicClientConfigResponse,
};
use crate::flyte::rpc::{CallMetadata, ConnectTransport, RpcFailure, RpcStatus, Unary};
use crate::http::header::{AUTHORIZATION, HeaderMap, HeaderName};
use crate::http::{Url, authority};

const SERVICE: &str = "flyteidl2.auth.AuthMetadataService";
const METADATA: Unary<GetOAuth2MetadataRequest, GetOAuth2MetadataResponse> =
    Unary::repeatable(SERVICE, "GetOAuth2Metadata");
const CLIENT_CONFIG: Unary<GetPublicClientConfigRequest, GetPublicClientConfigResponse> =
    Unary::repeatable(SERVICE, "GetPublicClientConfig");

/// The authorization server of a backend, and the parameters of requests to it.
#[derive(Clone, Debug)]
pub(super) struct AuthorizationServer {
    /// Host of the backend that named the server.
    pub(super) backend_host: String,
    pub(super) token: Url,
    /// Authorization endpoint, for the browser.
    pub(super) authorization: String,
    /// Device authorization endpoint; empty when there is none.
    pub(super) device: String,
    pub(super) client_id: String,
    pub(super) redirect: String,
    /// Scopes joined by blanks, as they are sent.
    pub(super) scope: String,
    pub(super) audience: String,
    /// The header that carries the access token.
    pub(super) header: HeaderName,
}

impl AuthorizationServer {
    /// Asks the backend for its authorization server, without credentials except those for a proxy before it.
    pub(super) async fn discover(
        connection: &ConnectTransport,
        proxy: &HeaderMap,
        auth: &AuthConfig,
        kind: BackendKind,
    ) -> Result<Self, RpcFailure> {
        let metadata_call = CallMetadata::new(proxy.clone())?;
        let client_call = CallMetadata::new(proxy.clone())?;
        let responses = match kind {
            BackendKind::Flyte1 => documents(connection, &metadata_call, &client_call).await,
            BackendKind::Flyte2 => tokio::try_join!(
                connection.unary(METADATA, &GetOAuth2MetadataRequest {}, &metadata_call),
                connection.unary(
                    CLIENT_CONFIG,
                    &GetPublicClientConfigRequest {},
                    &client_call
                ),
            ),
        };
        let host = authority(&connection.base);
        let (metadata, client) = responses.map_err(|failure| match failure.status() {
            Some(RpcStatus::Unimplemented) if kind == BackendKind::Flyte1 => {
                RpcFailure::new(Code::LoginFailed, format!("{host} has no authentication service: it accepts every call without a login"))
                    .help("If calls are refused nevertheless, a proxy before it requires a login: name its program in `admin.proxyCommand`.")
            }
            Some(RpcStatus::Unimplemented) => {
                RpcFailure::new(Code::LoginFailed, format!("{host} requires a login, and does not name an authorization server"))
                    .help("Let the endpoint name the API, or ask its operator which `admin.authType` it needs.")
            }
            _ => failure,
        })?;
        let token = checked(connection, &metadata.token_endpoint, "token")?;
        let scopes = auth
            .scopes
            .as_ref()
            .map_or(client.scopes, |scopes| scopes.value.clone());
        Ok(Self {
            backend_host: host,
            token,
            authorization: metadata.authorization_endpoint,
            device: metadata.device_authorization_endpoint,
            client_id: client.client_id,
            redirect: client.redirect_uri,
            scope: scopes.join(" "),
            audience: auth
                .audience
                .as_ref()
                .map_or(client.audience, |audience| audience.value.clone()),
            header: HeaderName::from_bytes(client.authorization_metadata_key.as_bytes())
                .unwrap_or(AUTHORIZATION),
        })
    }
}

/// The documents of Flyte 1, whose keys are in lowerCamelCase where RFC 8414 has `_`; some front ends write the latter.
async fn documents(
    connection: &ConnectTransport,
    metadata_call: &CallMetadata,
    client_call: &CallMetadata,
) -> Result<(GetOAuth2MetadataResponse, GetPublicClientConfigResponse), RpcFailure> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    #[derive(Default)]
    struct ServerMetadata {
        #[serde(alias = "authorization_endpoint")]
        authorization_endpoint: String,
        #[serde(alias = "token_endpoint")]
        token_endpoint: String,
        #[serde(alias = "device_authorization_endpoint")]
        device_authorization_endpoint: String,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase", default)]
    #[derive(Default)]
    struct PublicClient {
        #[serde(alias = "client_id")]
        client_id: String,
        #[serde(alias = "redirect_uri")]
        redirect_uri: String,
        scopes: Vec<String>,
        #[serde(alias = "authorization_metadata_key")]
        authorization_metadata_key: String,
        audience: String,
    }
    let (server, client): (ServerMetadata, PublicClient) = tokio::try_join!(
        connection.document(
            "GetOAuth2Metadata",
            &[".well-known", "oauth-authorization-server"],
            metadata_call
        ),
        connection.document(
            "GetPublicClientConfig",
            &["config", "v1", "flyte_client"],
            client_call
        ),
    )?;
    Ok((
        GetOAuth2MetadataResponse {
            authorization_endpoint: server.authorization_endpoint,
            token_endpoint: server.token_endpoint,
            device_authorization_endpoint: server.device_authorization_endpoint,
            ..GetOAuth2MetadataResponse::default()
        },
        GetPublicClientConfigResponse {
            client_id: client.client_id,
            redirect_uri: client.redirect_uri,
            scopes: client.scopes,
            authorization_metadata_key: client.authorization_metadata_key,
            audience: client.audience,
        },
    ))
}

/// An address that the backend names for a login. It must be encrypted, or on this machine if the backend is.
pub(super) fn checked(
    connection: &ConnectTransport,
    address: &str,
    what: &str,
) -> Result<Url, RpcFailure> {
    let host = authority(&connection.base);
    let invalid = || {
        RpcFailure::new(
            Code::BackendInvalid,
            format!("{host} names no {what} server that is an address"),
        )
    };
    let url = Url::parse(address)
        .ok()
        .filter(Url::has_host)
        .ok_or_else(invalid)?;
    let unencrypted = || {
        let cause = format!(
            "{host} requires the login to be sent to `{}`",
            authority(&url)
        );
        RpcFailure::new(Code::LoginUnencrypted, cause)
    };
    connection
        .transport
        .checked(&connection.base, url.clone())
        .map_err(|_| unencrypted())
}
