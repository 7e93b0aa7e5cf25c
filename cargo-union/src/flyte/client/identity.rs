//! Whom the backend takes the user for.

use super::Client;
use crate::flyte::idl::auth::{UserInfoRequest, UserInfoResponse};
use crate::flyte::rpc::{RpcFailure, Unary};

const USER_INFO: Unary<UserInfoRequest, UserInfoResponse> = Unary::repeatable("flyteidl2.auth.IdentityService", "UserInfo");

/// A user, or a client with a secret of its own. What the backend does not say is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserIdentity {
    /// The name under which the backend's login server knows them.
    pub subject: Option<String>,
    /// The name that people use.
    pub name: Option<String>,
    /// Their address.
    pub email: Option<String>,
}

impl Client {
    /// Asks who the user is.
    ///
    /// # Errors
    /// When the backend does not say.
    pub async fn user(&self) -> Result<UserIdentity, RpcFailure> {
        let said = self.unary(USER_INFO, &UserInfoRequest {}).await?;
        let given = |text: String| Some(text).filter(|text| !text.is_empty());
        let name = given(said.name).or_else(|| given(said.preferred_username));
        Ok(UserIdentity { subject: given(said.subject), name, email: given(said.email) })
    }
}

impl std::fmt::Display for UserIdentity {
    /// `Ada Lovelace <ada@example.test>`, or what is known of it.
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
    fn a_user_is_shown_by_what_is_known() {
        let user = |subject: &str, name: &str, email: &str| {
            let given = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
            UserIdentity { subject: given(subject), name: given(name), email: given(email) }.to_string()
        };
        assert_eq!(user("0oa1", "Ada", "ada@example.test"), "Ada <ada@example.test>");
        assert_eq!(user("0oa1", "", ""), "0oa1");
        assert_eq!(user("", "", "ada@example.test"), "ada@example.test");
        assert_eq!(user("", "ada@example.test", "ada@example.test"), "ada@example.test");
        assert_eq!(user("", "", ""), "anonymous");
    }
}
