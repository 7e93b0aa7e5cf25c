//! What the registry client is told: plain values, with the user's surroundings read in one place.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::http::Authorities;
use crate::http::retry::Retry;
use crate::publish::auth::Sources;

/// Everything that the registry client has to know.
#[derive(Clone, Debug)]
pub struct RegistrySettings {
    /// Registry hosts, `host[:port]`, that may be spoken to without encryption; loopback always may.
    pub insecure: BTreeSet<String>,
    /// Registry host → `host[:port][/path]` that is asked first when a base is read.
    pub mirrors: BTreeMap<String, String>,
    /// Another Docker `config.json`, looked into before all others.
    pub registry_config: Option<PathBuf>,
    /// How many requests may be under way at once.
    pub max_parallel: usize,
    /// How often and how patiently something is tried again.
    pub retry: Retry,
    /// The user's folders and variables.
    pub surroundings: Surroundings,
}

impl Default for RegistrySettings {
    /// Nothing set, and nothing known of the user: every login and authority has to be named.
    fn default() -> Self {
        Self {
            insecure: BTreeSet::new(),
            mirrors: BTreeMap::new(),
            registry_config: None,
            max_parallel: 6,
            retry: Retry::default(),
            surroundings: Surroundings::default(),
        }
    }
}

/// What the user's folders and variables say about logins and authorities.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// `HOME`.
    pub home: Option<PathBuf>,
    /// `DOCKER_CONFIG`: the folder of Docker's config.json.
    pub docker_config: Option<PathBuf>,
    /// `REGISTRY_AUTH_FILE`: podman's name for the file of logins.
    pub registry_auth_file: Option<PathBuf>,
    /// `XDG_RUNTIME_DIR`.
    pub xdg_runtime: Option<PathBuf>,
    /// `XDG_CONFIG_HOME`.
    pub xdg_config: Option<PathBuf>,
    /// `SSL_CERT_FILE`.
    pub ssl_cert_file: Option<PathBuf>,
    /// `SSL_CERT_DIR`.
    pub ssl_cert_folders: Vec<PathBuf>,
    /// Docker's folder of authorities per registry.
    pub docker_certs: Option<PathBuf>,
    /// Where credential helpers are looked for instead of the PATH.
    pub helper_path: Option<OsString>,
}

impl Surroundings {
    /// Those of this process.
    pub fn of_process() -> Self {
        let path = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        Self {
            home: path("HOME"),
            docker_config: path("DOCKER_CONFIG"),
            registry_auth_file: path("REGISTRY_AUTH_FILE"),
            xdg_runtime: path("XDG_RUNTIME_DIR"),
            xdg_config: path("XDG_CONFIG_HOME"),
            ssl_cert_file: path("SSL_CERT_FILE"),
            ssl_cert_folders: env::var_os("SSL_CERT_DIR").map(|folders| env::split_paths(&folders).collect()).unwrap_or_default(),
            docker_certs: Some(PathBuf::from("/etc/docker/certs.d")),
            helper_path: None,
        }
    }

    /// The same machine with nobody logged in.
    #[must_use]
    pub fn without_logins(self) -> Self {
        Self {
            ssl_cert_file: self.ssl_cert_file,
            ssl_cert_folders: self.ssl_cert_folders,
            docker_certs: self.docker_certs,
            ..Self::default()
        }
    }

    pub(super) fn authorities(&self) -> Authorities {
        Authorities {
            file: self.ssl_cert_file.clone(),
            folders: self.ssl_cert_folders.clone(),
            docker: self.docker_certs.clone(),
            ..Authorities::default()
        }
    }

    pub(super) fn sources(&self, named: Option<&Path>) -> Sources {
        let below = |folder: &Option<PathBuf>, path: &str| folder.as_ref().map(|folder| folder.join(path));
        let docker = below(&self.docker_config, "config.json").or_else(|| below(&self.home, ".docker/config.json"));
        let podman = below(&self.xdg_config, "containers/auth.json").or_else(|| below(&self.home, ".config/containers/auth.json"));
        let files = [self.registry_auth_file.clone(), docker, below(&self.xdg_runtime, "containers/auth.json"), podman];
        Sources { named: named.map(Path::to_owned), files: files.into_iter().flatten().collect(), search_path: self.helper_path.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logins_are_looked_for_where_docker_and_podman_keep_them() {
        let surroundings = Surroundings {
            home: Some("/home/u".into()),
            registry_auth_file: Some("/auth.json".into()),
            xdg_runtime: Some("/run/u".into()),
            ..Surroundings::default()
        };
        let expected = ["/auth.json", "/home/u/.docker/config.json", "/run/u/containers/auth.json", "/home/u/.config/containers/auth.json"];
        assert_eq!(surroundings.sources(None).files, expected.map(PathBuf::from));
        let moved = Surroundings { docker_config: Some("/docker".into()), ..surroundings };
        assert_eq!(moved.sources(None).files[1], PathBuf::from("/docker/config.json"));
    }
}
