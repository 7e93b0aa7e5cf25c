//! The host and path of a repository: Docker Hub has a different host than name, and registries may have mirrors.

use std::collections::BTreeMap;
use std::fmt;

use crate::image::reference::Repository;

/// A repository at the host that serves it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct RepositoryEndpoint {
    /// `host[:port]` to connect to.
    pub(crate) host: String,
    /// `host[:port]` in credential files and messages.
    pub(crate) registry: String,
    /// Path of the repository on the host.
    pub(crate) path: String,
}

impl RepositoryEndpoint {
    /// The endpoint of the repository itself.
    pub(crate) fn of(repository: &Repository) -> Self {
        let registry = repository.registry.clone();
        let host = if registry == "docker.io" {
            "registry-1.docker.io".to_owned()
        } else {
            registry.clone()
        };
        Self {
            host,
            registry,
            path: repository.path.clone(),
        }
    }

    /// The endpoint of the repository in a mirror, if its registry has one.
    pub(crate) fn mirror_of(
        repository: &Repository,
        mirrors: &BTreeMap<String, String>,
    ) -> Option<Self> {
        let mirror = mirrors.get(&repository.registry)?;
        Some(Self::of(&Repository::below(
            mirror.trim_end_matches('/'),
            &repository.path,
        )))
    }
}

impl fmt::Display for RepositoryEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mirror_may_have_a_path() {
        let debian = Repository {
            registry: "docker.io".to_owned(),
            path: "library/debian".to_owned(),
        };
        assert_eq!(RepositoryEndpoint::of(&debian).host, "registry-1.docker.io");
        assert_eq!(
            RepositoryEndpoint::of(&debian).to_string(),
            "docker.io/library/debian"
        );
        let mirrors = BTreeMap::from([("docker.io".to_owned(), "cache.lan:5000/hub".to_owned())]);
        let place = RepositoryEndpoint::mirror_of(&debian, &mirrors);
        assert_eq!(
            place.map(|place| (place.host, place.path)),
            Some(("cache.lan:5000".to_owned(), "hub/library/debian".to_owned()))
        );
        assert_eq!(
            RepositoryEndpoint::mirror_of(
                &Repository {
                    registry: "ghcr.io".to_owned(),
                    ..debian
                },
                &mirrors
            ),
            None
        );
    }
}
