//! Reads the authenticated identity (`whoami`).

use super::Client;
use crate::flyte::capabilities::BackendKind;
use crate::flyte::idl::auth::{UserInfoRequest, UserInfoResponse};
use crate::flyte::rpc::{RestCall, RpcFailure, RpcStatus, Unary};

const USER_INFO: Unary<UserInfoRequest, UserInfoResponse> =
    Unary::repeatable("flyteidl2.auth.IdentityService", "UserInfo");

/// A user, or a client with a secret. Fields that the backend does not return are `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserIdentity {
    /// Subject identifier of the identity provider.
    pub subject: Option<String>,
    /// Display name.
    pub name: Option<String>,
    /// Email address.
    pub email: Option<String>,
}

impl Client {
    /// Requests the identity of the caller; `None` when the backend has no logins.
    ///
    /// # Errors
    /// Failures of the call.
    pub async fn identity(&self) -> Result<Option<UserIdentity>, RpcFailure> {
        match self.user().await {
            // Not every backend has an identity service.
            Err(failure) if failure.is(RpcStatus::Unimplemented) => Ok(None),
            // Without encryption no login is possible, and the service rejects every call.
            Err(failure) if self.is_plain() && failure.is(RpcStatus::Unauthenticated) => Ok(None),
            user => user.map(Some),
        }
    }

    /// Like [`identity`](Self::identity), but a call without a login fails with the backend's error.
    ///
    /// # Errors
    /// Failures of the call.
    pub async fn user(&self) -> Result<UserIdentity, RpcFailure> {
        let response = match self.kind().await? {
            BackendKind::Flyte1 => {
                // The messages are equal on the wire.
                let call = RestCall::get("UserInfo", &["me"]);
                self.rest(&call).await?
            }
            BackendKind::Flyte2 => self.unary(USER_INFO, &UserInfoRequest {}).await?,
        };
        let nonempty = |text: String| Some(text).filter(|text| !text.is_empty());
        let name = nonempty(response.name).or_else(|| nonempty(response.preferred_username));
        Ok(UserIdentity {
            subject: nonempty(response.subject),
            name,
            email: nonempty(response.email),
        })
    }
}

impl std::fmt::Display for UserIdentity {
    /// `Ada Lovelace <ada@example.test>`, or the parts of it that are known.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.name.as_ref().or(self.subject.as_ref()), &self.email) {
            (Some(name), Some(email)) if name != email => write!(f, "{name} <{email}>"),
            (Some(name), _) | (None, Some(name)) => f.write_str(name),
            (None, None) => f.write_str("anonymous"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_identity_shows_the_parts_that_are_known() {
        let user = |subject: &str, name: &str, email: &str| {
            let nonempty = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
            UserIdentity {
                subject: nonempty(subject),
                name: nonempty(name),
                email: nonempty(email),
            }
            .to_string()
        };
        assert_eq!(
            user("0oa1", "Ada", "ada@example.test"),
            "Ada <ada@example.test>"
        );
        assert_eq!(user("0oa1", "", ""), "0oa1");
        assert_eq!(user("", "", "ada@example.test"), "ada@example.test");
        assert_eq!(
            user("", "ada@example.test", "ada@example.test"),
            "ada@example.test"
        );
        assert_eq!(user("", "", ""), "anonymous");
    }
}
