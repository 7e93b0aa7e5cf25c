//! Detects the generation of a backend, and caches it by endpoint.

use union_build::diag::Code;
use union_build::spec::BackendChoice;

use super::Client;
use super::generation::KnownKind;
use crate::flyte::capabilities::{BackendFeature, BackendKind};
use crate::flyte::idl::auth::GetPublicClientConfigRequest;
use crate::flyte::idl::task::{GetTaskDetailsRequest, TaskIdentifier};
use crate::flyte::rpc::{CallMetadata, Protocol, RpcFailure, RpcStatus};
use crate::http::authority;

impl Client {
    /// The generation of the backend. With `auto` it is detected once, and cached by endpoint.
    ///
    /// # Errors
    /// U0757 (`BackendInvalid`) when it is of neither; failures of the call.
    pub async fn kind(&self) -> Result<BackendKind, RpcFailure> {
        match self.generation.choice {
            BackendChoice::Flyte1 => return Ok(BackendKind::Flyte1),
            BackendChoice::Flyte2 => return Ok(BackendKind::Flyte2),
            BackendChoice::Auto => {}
        }
        let mut known = self.generation.known.lock().await;
        if let Some(known) = *known {
            return Ok(known.kind);
        }
        let endpoint = self.endpoint();
        let remembered = self.generation.remembered(&endpoint);
        let kind = match remembered {
            Some(kind) => kind,
            None => self.ask_kind().await?,
        };
        *known = Some(KnownKind {
            kind,
            remembered: remembered.is_some(),
        });
        self.generation.set_latest(kind);
        Ok(kind)
    }

    /// Refuses a feature that the generation of the backend does not have.
    ///
    /// # Errors
    /// U0790 (`BackendUnsupported`); those of [`kind`](Self::kind).
    pub(in crate::flyte) async fn require(
        &self,
        feature: BackendFeature,
    ) -> Result<(), RpcFailure> {
        self.kind().await?.require(feature)
    }

    /// The generation as far as it is known by now; Flyte 2 before the first call.
    pub(in crate::flyte) fn known_kind(&self) -> BackendKind {
        match self.generation.choice {
            BackendChoice::Flyte1 => BackendKind::Flyte1,
            BackendChoice::Flyte2 => BackendKind::Flyte2,
            BackendChoice::Auto => self.generation.latest().unwrap_or(BackendKind::Flyte2),
        }
    }

    /// The other generation, when the failure of a call shows that the cached one is wrong; the generation is detected
    /// again.
    pub(in crate::flyte) async fn other_kind(
        &self,
        used: BackendKind,
        failure: &RpcFailure,
    ) -> Result<Option<BackendKind>, RpcFailure> {
        if self.generation.choice != BackendChoice::Auto || !contradicts(used, failure) {
            return Ok(None);
        }
        let mut known = self.generation.known.lock().await;
        let kind = match *known {
            Some(known) if !known.remembered => known.kind,
            _ => self.ask_kind().await?,
        };
        *known = Some(KnownKind {
            kind,
            remembered: false,
        });
        self.generation.set_latest(kind);
        Ok(Some(kind).filter(|kind| *kind != used))
    }

    async fn ask_kind(&self) -> Result<BackendKind, RpcFailure> {
        let credentials = self.login.ready().await?;
        let metadata = CallMetadata::new(credentials.headers)?;
        let connection = &self.connection;
        // Every backend of Flyte 2 has this method; the task does not exist.
        let task = GetTaskDetailsRequest {
            task_id: Some(TaskIdentifier {
                org: self.org.clone(),
                project: "flytesnacks".to_owned(),
                domain: "development".to_owned(),
                name: "none".to_owned(),
                version: "none".to_owned(),
            }),
        };
        let service = "flyteidl2.task.TaskService";
        let asked = connection
            .protocol(service, "GetTaskDetails", &task, &metadata)
            .await;
        let asked = match asked {
            // A proxy may reject a call without a login with a response of its own, but forwards calls of the login
            // services.
            Err(failure)
                if matches!(
                    failure.status(),
                    Some(RpcStatus::Unauthenticated | RpcStatus::PermissionDenied)
                ) =>
            {
                let service = "flyteidl2.auth.AuthMetadataService";
                let request = GetPublicClientConfigRequest {};
                connection
                    .protocol(service, "GetPublicClientConfig", &request, &metadata)
                    .await
                    .map_err(|_| failure)
            }
            asked => asked,
        };
        let kind = match asked {
            Ok(Protocol::Connect) => BackendKind::Flyte2,
            Ok(Protocol::Gateway) => BackendKind::Flyte1,
            Err(failure) if failure.code == Code::BackendInvalid => {
                let cause = format!(
                    "{} supports the protocol of neither Flyte 1 nor Flyte 2: {}",
                    authority(&connection.base),
                    failure.cause
                );
                return Err(RpcFailure { cause, ..failure });
            }
            Err(failure) => return Err(failure),
        };
        self.generation.remember(&self.endpoint(), kind);
        Ok(kind)
    }
}

/// Whether a response is not in the protocol of the generation that was called.
fn contradicts(used: BackendKind, failure: &RpcFailure) -> bool {
    match (used, failure.domain.protocol) {
        (BackendKind::Flyte1, Some(protocol)) => protocol != Protocol::Gateway,
        (BackendKind::Flyte2, Some(protocol)) => protocol != Protocol::Connect,
        (_, None) => failure.code == Code::BackendInvalid,
    }
}
