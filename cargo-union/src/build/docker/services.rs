//! What every build of the docker builder uses: engine, cache, bases, logins, and the user's environment.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use union_build::spec;

use crate::build::Reporter;
use crate::engine::EngineLocator;
use crate::image::{BaseSource, Logins};
use crate::sys::cache::Cache;
use crate::sys::error::Result;
use crate::sys::fs;
use crate::sys::process::Environment;

/// The services of a builder.
pub(super) struct DockerServices {
    pub(super) cache: Cache,
    pub(super) source: Arc<dyn BaseSource>,
    pub(super) engines: Arc<EngineLocator>,
    /// The logins for images that the engine pulls by itself.
    pub(super) logins: Arc<dyn Logins>,
    /// The source of secrets, CA certificates and proxies.
    pub(super) environment: Environment,
    /// The directory of the logs.
    pub(super) logs: PathBuf,
    pub(super) reporter: Arc<dyn Reporter>,
}

impl DockerServices {
    /// The CA certificates that build steps trust: those of the spec, else of the user's environment.
    pub(super) fn authority(&self, steps: &[spec::ImageSpec]) -> Result<Option<Vec<u8>>> {
        let declared = steps
            .iter()
            .rev()
            .find_map(|spec| spec.build_ca.as_ref())
            .map(|path| path.value.clone());
        let own = || {
            self.environment
                .get("SSL_CERT_FILE")
                .filter(|path| !path.is_empty())
                .map(PathBuf::from)
        };
        declared
            .or_else(own)
            .map(|path| fs::read(&path))
            .transpose()
    }

    /// Proxy variables, which engines accept as predefined build arguments that are not recorded in the image. A proxy
    /// on the host's loopback is left out: in a container, the address is the container's own.
    pub(super) fn proxies(&self) -> BTreeMap<String, String> {
        const NAMES: [&str; 4] = ["http_proxy", "https_proxy", "all_proxy", "no_proxy"];
        let is_loopback = |value: &str| {
            ["localhost", "127.0.0.1", "[::1]"]
                .iter()
                .any(|host| value.contains(host))
        };
        let names = NAMES
            .iter()
            .flat_map(|name| [(*name).to_owned(), name.to_uppercase()]);
        let variables = names.filter_map(|name| {
            let value = self
                .environment
                .get(&name)
                .filter(|value| !value.is_empty())?;
            (name.to_lowercase() == "no_proxy" || !is_loopback(value))
                .then(|| (name.clone(), value.to_owned()))
        });
        variables.collect()
    }
}
