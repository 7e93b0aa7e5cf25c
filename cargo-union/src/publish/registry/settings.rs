//! Settings of the registry client, as plain values; the user's environment is read in one place.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::path::{Path, PathBuf};

use crate::http::retry::RetryPolicy;
use crate::http::{Authorities, Proxies};
use crate::publish::auth::{CredentialFile, CredentialHelpers, Keychain, RegistriesConf};
use crate::sys::process::{Environment, user_id};
use crate::sys::secret::Secret;

/// The settings of a registry client.
#[derive(Clone, Debug)]
pub struct RegistrySettings {
    /// Registry hosts, `host[:port]`, that may be used without encryption, in addition to loopback.
    pub insecure: BTreeSet<String>,
    /// Registry host → `host[:port][/path]` of a mirror that is tried first for bases.
    pub mirrors: BTreeMap<String, String>,
    /// A Docker `config.json` that is searched before all others.
    pub registry_config: Option<PathBuf>,
    /// The maximum number of concurrent requests.
    pub max_parallel: usize,
    /// Number and pauses of retries.
    pub retry: RetryPolicy,
    /// Paths and variables of the user's environment.
    pub options: RegistryOptions,
}

impl Default for RegistrySettings {
    /// Without anything of the user's environment: no logins and no additional CA certificates.
    fn default() -> Self {
        Self {
            insecure: BTreeSet::new(),
            mirrors: BTreeMap::new(),
            registry_config: None,
            max_parallel: 6,
            retry: RetryPolicy::default(),
            options: RegistryOptions::default(),
        }
    }
}

/// Paths and variables of the user's environment with credentials and CA certificates.
#[derive(Clone, Debug, Default)]
pub struct RegistryOptions {
    /// `HOME`, or the home directory of the user database.
    pub home: Option<PathBuf>,
    /// `DOCKER_AUTH_CONFIG`: the content of a config.json.
    pub docker_auth_config: Option<Secret<String>>,
    /// `DOCKER_CONFIG`: the directory of Docker's config.json.
    pub docker_config: Option<PathBuf>,
    /// `REGISTRY_AUTH_FILE`: the path of podman's auth.json.
    pub registry_auth_file: Option<PathBuf>,
    /// Podman's auth.json of the session: below `XDG_RUNTIME_DIR`, else in a directory of the user ID.
    pub podman_session: Option<PathBuf>,
    /// The `registries.conf` of podman and skopeo, for its list of credential helpers.
    pub registries_conf: RegistriesConf,
    /// `XDG_CONFIG_HOME`.
    pub xdg_config: Option<PathBuf>,
    /// `SSL_CERT_FILE`.
    pub ssl_cert_file: Option<PathBuf>,
    /// `SSL_CERT_DIR`.
    pub ssl_cert_directories: Vec<PathBuf>,
    /// Directories with a directory of CA certificates per registry (`certs.d` of Docker and podman).
    pub certs: Vec<PathBuf>,
    /// `HTTPS_PROXY`, `HTTP_PROXY`, `NO_PROXY`, and their lower-case forms.
    pub proxies: Proxies,
    /// Search path and timeout of credential helpers.
    pub helpers: CredentialHelpers,
}

impl RegistryOptions {
    /// Reads the environment of this process.
    pub fn of_process() -> Self {
        let path = |name| {
            env::var_os(name)
                .filter(|value| !value.is_empty())
                .map(PathBuf::from)
        };
        let home = path("HOME")
            .or_else(env::home_dir)
            .filter(|home| !home.as_os_str().is_empty());
        let environment = Environment::of_process();
        Self {
            docker_auth_config: env::var("DOCKER_AUTH_CONFIG")
                .ok()
                .filter(|text| !text.is_empty())
                .map(Secret::new),
            docker_config: path("DOCKER_CONFIG"),
            registry_auth_file: path("REGISTRY_AUTH_FILE"),
            podman_session: path("XDG_RUNTIME_DIR")
                .map(|directory| directory.join("containers/auth.json"))
                .or_else(without_session),
            registries_conf: RegistriesConf {
                named: path("CONTAINERS_REGISTRIES_CONF"),
                // Podman ignores XDG_CONFIG_HOME for this file.
                user: home.as_ref().map(|home| home.join(".config/containers")),
                machine: Some(PathBuf::from("/etc/containers")),
            },
            xdg_config: path("XDG_CONFIG_HOME"),
            ssl_cert_file: path("SSL_CERT_FILE"),
            ssl_cert_directories: env::var_os("SSL_CERT_DIR")
                .map(|directories| env::split_paths(&directories).collect())
                .unwrap_or_default(),
            certs: certs(home.as_deref()),
            proxies: Proxies::of(|name| environment.get(name)),
            home,
            helpers: CredentialHelpers::default(),
        }
    }

    /// The same environment without credentials.
    #[must_use]
    pub fn without_logins(self) -> Self {
        Self {
            ssl_cert_file: self.ssl_cert_file,
            ssl_cert_directories: self.ssl_cert_directories,
            certs: self.certs,
            proxies: self.proxies,
            ..Self::default()
        }
    }

    pub(super) fn authorities(&self) -> Authorities {
        Authorities {
            file: self.ssl_cert_file.clone(),
            directories: self.ssl_cert_directories.clone(),
            registries: self.certs.clone(),
            ..Authorities::default()
        }
    }

    /// The sources of credentials: explicit settings first, then podman's files in podman's order, with Docker's last, and
    /// before and after these files the helpers of registries.conf.
    pub(super) fn sources(&self, named: Option<&Path>) -> Keychain {
        let below = |directory: &Option<PathBuf>, path: &str| {
            directory.as_ref().map(|directory| directory.join(path))
        };
        let named = named.map(|path| CredentialFile::Named {
            path: path.to_owned(),
            setting: "registry-config",
            required: true,
        });
        let variable = self
            .docker_auth_config
            .clone()
            .map(|text| CredentialFile::Variable {
                name: "DOCKER_AUTH_CONFIG",
                text,
            });
        // `podman login` creates this file, so it may not exist yet.
        let podmans = |path: &PathBuf| CredentialFile::Named {
            path: path.clone(),
            setting: "REGISTRY_AUTH_FILE",
            required: false,
        };
        let user = below(&self.xdg_config, "containers/auth.json")
            .or_else(|| below(&self.home, ".config/containers/auth.json"));
        let docker = below(&self.docker_config, "config.json")
            .or_else(|| below(&self.home, ".docker/config.json"));
        let files = [
            self.registry_auth_file.as_ref().map(podmans),
            self.podman_session.clone().map(CredentialFile::Podman),
            user.map(CredentialFile::Podman),
            docker.map(CredentialFile::Docker),
            below(&self.home, ".dockercfg").map(CredentialFile::Legacy),
        ];
        Keychain {
            explicit: [named, variable].into_iter().flatten().collect(),
            registries_conf: self.registries_conf.clone(),
            files: files.into_iter().flatten().collect(),
            helpers: self.helpers.clone(),
        }
    }
}

/// The `certs.d` directories of podman and Docker, in podman's order; the last one is that of rootless Docker.
fn certs(home: Option<&Path>) -> Vec<PathBuf> {
    let of_user = |path| home.map(|home| home.join(path));
    let of_machine =
        ["/etc/containers/certs.d", "/etc/docker/certs.d"].map(|path| Some(PathBuf::from(path)));
    [of_user(".config/containers/certs.d")]
        .into_iter()
        .chain(of_machine)
        .chain([of_user(".config/docker/certs.d")])
        .flatten()
        .collect()
}

/// Podman's auth.json on Linux without `XDG_RUNTIME_DIR`.
fn without_session() -> Option<PathBuf> {
    cfg!(target_os = "linux")
        .then(|| PathBuf::from(format!("/run/containers/{}/auth.json", user_id())))
}

#[cfg(test)]
mod tests;
