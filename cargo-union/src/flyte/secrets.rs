//! Secrets at the backend: of tasks, and logins with which a cluster pulls images. Values are sent, and are never read
//! back.

use union_build::diag::Code;

use super::capabilities::BackendFeature;
use super::client::{Client, Operation, Resource};
use super::convert::ProjectDomain;
use super::idl::common::OrgIdentifier;
use super::idl::secret::secret_spec::Value;
use super::idl::secret::{
    CreateSecretRequest, CreateSecretResponse, DeleteSecretRequest, DeleteSecretResponse,
    ListSecretsRequest, ListSecretsResponse, Secret as StoredSecret, SecretIdentifier, SecretSpec,
    SecretType, UpdateSecretRequest, UpdateSecretResponse,
};
use super::rpc::{RpcFailure, RpcStatus, Unary};
use crate::sys::error::{Error, Result};
use crate::sys::secret::Secret;

const SECRETS: &str = "flyteidl2.secret.SecretService";

const CREATE: Unary<CreateSecretRequest, CreateSecretResponse> =
    Unary::non_idempotent(SECRETS, "CreateSecret");
const UPDATE: Unary<UpdateSecretRequest, UpdateSecretResponse> =
    Unary::repeatable(SECRETS, "UpdateSecret");
// A repeated call would fail because the secret no longer exists.
const DELETE: Unary<DeleteSecretRequest, DeleteSecretResponse> =
    Unary::non_idempotent(SECRETS, "DeleteSecret");
const LIST: Unary<ListSecretsRequest, ListSecretsResponse> =
    Unary::repeatable(SECRETS, "ListSecrets");

/// The maximum size of a value in bytes, which is that of a Kubernetes `Secret`.
pub const LARGEST_VALUE: usize = 1 << 20;

/// The maximum number of secrets in a list, which bounds the pages.
const MOST_SECRETS: usize = 10_000;

/// The tasks that a secret is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretScope {
    /// Those of one project and domain.
    Project(ProjectDomain),
    /// Those of all projects of an organization.
    Organization(String),
}

/// What a secret is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretKind {
    /// A task, as a variable or a file.
    Task,
    /// The cluster, which pulls images with it.
    ImagePull,
}

impl SecretKind {
    /// The word of the Flyte CLI.
    pub fn word(self) -> &'static str {
        match self {
            Self::Task => "regular",
            Self::ImagePull => "image_pull",
        }
    }
}

/// A secret in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretSummary {
    /// Name of the secret.
    pub name: String,
    /// What it is for.
    pub kind: SecretKind,
    /// When it was created, in seconds since 1970; `None` when the backend does not return it.
    pub created: Option<i64>,
}

impl SecretScope {
    /// `flytesnacks/development`, or `all projects`.
    pub fn describe(&self) -> String {
        match self {
            Self::Project(scope) => format!("{}/{}", scope.project, scope.domain),
            Self::Organization(_) => "all projects".to_owned(),
        }
    }

    fn identifier(&self, name: &str) -> SecretIdentifier {
        let (organization, project, domain) = match self.clone() {
            Self::Project(scope) => (scope.org, scope.project, scope.domain),
            Self::Organization(org) => (org, String::new(), String::new()),
        };
        SecretIdentifier {
            name: name.to_owned(),
            organization,
            domain,
            project,
        }
    }

    /// The client of the cluster that stores the secrets.
    async fn client(&self, client: &Client) -> Result<Client, RpcFailure> {
        client.require(BackendFeature::Secrets).await?;
        let resource = match self {
            Self::Project(scope) => Resource::ProjectId(scope.id()),
            // The open-source backend has no organizations, and one cluster.
            Self::Organization(org) if org.is_empty() => return Ok(client.clone()),
            Self::Organization(org) => Resource::OrgId(OrgIdentifier { name: org.clone() }),
        };
        client.at(Operation::UseSecrets, resource).await
    }
}

/// Stores a secret; with `replace` also over an existing one. Returns whether it was replaced.
///
/// # Errors
/// U0730 (`SecretInvalid`) for a name or a value that no backend takes; U0759 (`BackendRefused`) for an existing one;
/// other failures of the call.
pub async fn store(
    client: &Client,
    scope: &SecretScope,
    name: &str,
    kind: SecretKind,
    value: &Secret<Vec<u8>>,
    replace: bool,
) -> Result<bool> {
    check_name(name)?;
    check_value(name, value.reveal())?;
    let tried = || format!("could not store the secret `{name}`");
    let into_error = |failure: RpcFailure| failure.into_error(tried());
    let spec = SecretSpec {
        r#type: match kind {
            SecretKind::Task => SecretType::Generic,
            SecretKind::ImagePull => SecretType::ImagePullSecret,
        }
        .into(),
        value: Some(Value::BinaryValue(value.reveal().clone())),
    };
    let id = Some(scope.identifier(name));
    let client = scope.client(client).await.map_err(into_error)?;
    let request = CreateSecretRequest {
        id: id.clone(),
        secret_spec: Some(spec.clone()),
    };
    match client.unary(CREATE, &request).await {
        Ok(_) => Ok(false),
        Err(failure) if failure.is(RpcStatus::AlreadyExists) && replace => {
            let request = UpdateSecretRequest {
                id,
                secret_spec: Some(spec),
            };
            client.unary(UPDATE, &request).await.map_err(into_error)?;
            Ok(true)
        }
        Err(failure) if failure.is(RpcStatus::AlreadyExists) => {
            Err(Error::new(Code::BackendRefused, tried())
                .because(format!(
                    "there is a secret of this name for {}",
                    scope.describe()
                ))
                .help("Overwrite it with `--replace`, or choose another name."))
        }
        Err(failure) => Err(into_error(failure)),
    }
}

/// Deletes a secret.
///
/// # Errors
/// U0761 (`BackendNotFound`) when there is none; other failures of the call.
pub async fn delete(client: &Client, scope: &SecretScope, name: &str) -> Result<()> {
    check_name(name)?;
    let into_error = |failure: RpcFailure| {
        let is_missing = failure.is(RpcStatus::NotFound);
        let error = failure.into_error(format!(
            "could not delete the secret `{name}` for {}",
            scope.describe()
        ));
        match is_missing {
            true => error.help("`cargo union secret list` lists those that there are; those of all projects with `--all-projects`."),
            false => error,
        }
    };
    let client = scope.client(client).await.map_err(into_error)?;
    let request = DeleteSecretRequest {
        id: Some(scope.identifier(name)),
    };
    client.unary(DELETE, &request).await.map_err(into_error)?;
    Ok(())
}

/// All secrets of a scope, sorted by name.
///
/// # Errors
/// Failures of the call.
pub async fn list(client: &Client, scope: &SecretScope) -> Result<Vec<SecretSummary>> {
    let into_error = |failure: RpcFailure| {
        failure.into_error(format!(
            "could not list the secrets for {}",
            scope.describe()
        ))
    };
    let client = scope.client(client).await.map_err(into_error)?;
    let SecretIdentifier {
        organization,
        domain,
        project,
        ..
    } = scope.identifier("");
    let mut request = ListSecretsRequest {
        organization,
        domain,
        project,
        limit: 100,
        token: String::new(),
    };
    let mut secrets = Vec::new();
    loop {
        let page = client.unary(LIST, &request).await.map_err(into_error)?;
        secrets.extend(page.secrets.into_iter().map(summary));
        // Bounds the loop when a backend returns the same page forever.
        if page.token.is_empty() || page.token == request.token || secrets.len() >= MOST_SECRETS {
            break;
        }
        request.token = page.token;
    }
    secrets.sort_by(|left, right| left.name.cmp(&right.name));
    Ok(secrets)
}

fn summary(secret: StoredSecret) -> SecretSummary {
    let metadata = secret.secret_metadata.unwrap_or_default();
    SecretSummary {
        name: secret.id.unwrap_or_default().name,
        kind: match metadata.r#type() {
            SecretType::Generic => SecretKind::Task,
            SecretType::ImagePullSecret => SecretKind::ImagePull,
        },
        created: metadata
            .created_time
            .map(|time| time.seconds)
            .filter(|seconds| *seconds > 0),
    }
}

/// Checks that a name has only the characters of the protocol.
///
/// # Errors
/// U0730 (`SecretInvalid`).
pub fn check_name(name: &str) -> Result<()> {
    let is_valid = !name.is_empty()
        && name
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_'));
    match is_valid {
        true => Ok(()),
        false => Err(Error::new(
            Code::SecretInvalid,
            format!("`{}` cannot be the name of a secret", name.escape_debug()),
        )
        .because("it needs at least one letter, and only letters, digits, `-` and `_`")),
    }
}

fn check_value(name: &str, value: &[u8]) -> Result<()> {
    let refused = |why: String| {
        Err(Error::new(
            Code::SecretInvalid,
            format!("could not store the secret `{name}`"),
        )
        .because(why))
    };
    match value.len() {
        0 => refused("its value is empty".to_owned()),
        size if size > LARGEST_VALUE => refused(format!(
            "its value has more than {LARGEST_VALUE} bytes, which no Kubernetes secret holds"
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
