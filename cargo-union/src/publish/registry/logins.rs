//! Credentials for engines, which pull the images of a user's own Dockerfile by themselves.

use async_trait::async_trait;

use super::Registry;
use crate::image::reference::Repository;
use crate::image::{Logins, RegistryLogin};
use crate::sys::error::Result;

#[async_trait]
impl Logins for Registry {
    async fn login(&self, repository: &Repository) -> Result<Option<RegistryLogin>> {
        let found = self
            .transport
            .auth
            .login_for(&repository.registry, &repository.path)
            .await;
        found.map_err(|failure| {
            failure.into_base_error(format!(
                "could not look up the login for {}",
                repository.registry
            ))
        })
    }
}
