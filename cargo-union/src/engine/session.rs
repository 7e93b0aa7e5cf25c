//! The services that BuildKit calls during a build: health check, build context, secrets, and registry logins.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::pin::Pin;

use bollard_buildkit_proto::health::health_check_response::ServingStatus;
use bollard_buildkit_proto::health::health_server::Health;
use bollard_buildkit_proto::health::{
    HealthCheckRequest, HealthCheckResponse, HealthListRequest, HealthListResponse,
};
use bollard_buildkit_proto::moby::buildkit::secrets::v1::secrets_server;
use bollard_buildkit_proto::moby::buildkit::secrets::v1::{GetSecretRequest, GetSecretResponse};
use bollard_buildkit_proto::moby::filesync::v1::auth_server::Auth;
use bollard_buildkit_proto::moby::filesync::v1::{
    CredentialsRequest, CredentialsResponse, FetchTokenRequest, FetchTokenResponse,
    GetTokenAuthorityRequest, GetTokenAuthorityResponse, VerifyTokenAuthorityRequest,
    VerifyTokenAuthorityResponse,
};
use bollard_buildkit_proto::moby::upload::v1::{BytesMessage, upload_server};
use futures_util::{Stream, StreamExt as _};
use tokio_util::io::ReaderStream;
use tonic::{Request, Response, Status, Streaming};
use tracing::debug;

use super::solve::PullCredentials;
use crate::image::RegistryLogin;
use crate::sys::secret::Secret;

type SessionResult<T> = Result<Response<T>, Status>;
type SessionStream<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// Answers health checks.
pub(super) struct HealthService;

#[tonic::async_trait]
impl Health for HealthService {
    async fn check(&self, _: Request<HealthCheckRequest>) -> SessionResult<HealthCheckResponse> {
        Ok(Response::new(HealthCheckResponse {
            status: ServingStatus::Serving.into(),
        }))
    }

    async fn list(&self, _: Request<HealthListRequest>) -> SessionResult<HealthListResponse> {
        Err(Status::unimplemented("List is not supported"))
    }

    type WatchStream = SessionStream<HealthCheckResponse>;

    async fn watch(&self, _: Request<HealthCheckRequest>) -> SessionResult<Self::WatchStream> {
        Err(Status::unimplemented("Watch is not supported"))
    }
}

/// Serves the build context in chunks from its file.
pub(super) struct Upload {
    path: String,
    context: PathBuf,
}

impl Upload {
    pub(super) fn new(key: &str, context: &Path) -> Self {
        Self {
            path: format!("/{key}"),
            context: context.to_owned(),
        }
    }
}

#[tonic::async_trait]
impl upload_server::Upload for Upload {
    type PullStream = SessionStream<BytesMessage>;

    async fn pull(
        &self,
        request: Request<Streaming<BytesMessage>>,
    ) -> SessionResult<Self::PullStream> {
        // Messages may have up to 16 MiB, but larger ones are not faster.
        const CHUNK: usize = 1 << 18;
        if request
            .metadata()
            .get("urlpath")
            .and_then(|path| path.to_str().ok())
            != Some(&self.path)
        {
            return Err(Status::not_found("unknown build context"));
        }
        debug!(name: "session", call = "Upload/Pull");
        let file = tokio::fs::File::open(&self.context)
            .await
            .map_err(|cause| Status::internal(cause.to_string()))?;
        let chunks = ReaderStream::with_capacity(file, CHUNK).map(|chunk| match chunk {
            Ok(bytes) => Ok(BytesMessage { data: bytes.into() }),
            Err(cause) => Err(Status::internal(cause.to_string())),
        });
        Ok(Response::new(Box::pin(chunks)))
    }
}

/// Serves secrets by id.
pub(super) struct SessionSecrets(pub(super) BTreeMap<String, Secret<Vec<u8>>>);

#[tonic::async_trait]
impl secrets_server::Secrets for SessionSecrets {
    async fn get_secret(
        &self,
        request: Request<GetSecretRequest>,
    ) -> SessionResult<GetSecretResponse> {
        let id = &request.get_ref().id;
        debug!(name: "session", call = "Secrets/GetSecret", id, found = self.0.contains_key(id));
        match self.0.get(id) {
            Some(secret) => Ok(Response::new(GetSecretResponse {
                data: secret.reveal().clone(),
            })),
            None => Err(Status::not_found(format!("secret {id} is not declared"))),
        }
    }
}

/// Serves the logins for the registries that the engine pulls from.
pub(super) struct RegistryLogins(pub(super) PullCredentials);

#[tonic::async_trait]
impl Auth for RegistryLogins {
    async fn credentials(
        &self,
        request: Request<CredentialsRequest>,
    ) -> SessionResult<CredentialsResponse> {
        let host = &request.get_ref().host;
        let login = self
            .0
            .login(host)
            .await
            .map_err(|error| Status::unauthenticated(error.chain().join(": ")))?;
        debug!(name: "session", call = "Auth/Credentials", host, found = login.is_some());
        // Without a user, the secret is a refresh token; without both, the pull is anonymous.
        Ok(Response::new(match login {
            Some(RegistryLogin::Password { user, password }) => CredentialsResponse {
                username: user,
                secret: password.reveal().clone(),
            },
            Some(RegistryLogin::Identity(token)) => CredentialsResponse {
                username: String::new(),
                secret: token.reveal().clone(),
            },
            // The protocol does not support registry tokens.
            Some(RegistryLogin::Bearer(_)) | None => CredentialsResponse::default(),
        }))
    }

    async fn fetch_token(
        &self,
        _: Request<FetchTokenRequest>,
    ) -> SessionResult<FetchTokenResponse> {
        Err(Status::unimplemented(NO_TOKENS))
    }

    async fn get_token_authority(
        &self,
        _: Request<GetTokenAuthorityRequest>,
    ) -> SessionResult<GetTokenAuthorityResponse> {
        Err(Status::unimplemented(NO_TOKENS))
    }

    async fn verify_token_authority(
        &self,
        _: Request<VerifyTokenAuthorityRequest>,
    ) -> SessionResult<VerifyTokenAuthorityResponse> {
        Err(Status::unimplemented(NO_TOKENS))
    }
}

/// The engine then fetches tokens itself, with the login.
const NO_TOKENS: &str = "fetching tokens is not supported";
