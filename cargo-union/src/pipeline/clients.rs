//! Registry clients, which pull base images and push built ones.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use union_build::spec::Spec;

use crate::pipeline::Reporter;
use crate::pipeline::options::WorkspaceOptions;
use crate::publish::registry::{Registry, RegistryOptions, RegistrySettings};
use crate::publish::{self, Silent};
use crate::sys::cache::Cache;

/// The registry clients of a workspace. Packages with equal registry settings share a client, and with it connections,
/// tokens and the known locations of blobs.
#[derive(Default)]
pub(crate) struct RegistryClients(Mutex<Vec<(RegistryConfig, Arc<Registry>)>>);

/// The registry settings of a manifest: insecure registries, mirrors, and the file with credentials.
type RegistryConfig = (BTreeSet<String>, BTreeMap<String, String>, Option<PathBuf>);

impl RegistryClients {
    /// Returns the client for the registry settings of a manifest; `transfers` limits its concurrent transfers.
    pub(crate) fn get(
        &self,
        scope: &WorkspaceOptions,
        spec: &Spec,
        transfers: usize,
        reporter: &Arc<dyn Reporter>,
    ) -> Arc<Registry> {
        let config = (
            spec.insecure_registries.clone(),
            spec.mirrors.clone(),
            spec.registry_config.as_ref().map(|path| path.value.clone()),
        );
        let mut clients = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, client)) = clients.iter().find(|(other, _)| *other == config) {
            return client.clone();
        }
        let (insecure, mirrors, registry_config) = config.clone();
        let options = RegistryOptions::of_process();
        let settings = RegistrySettings {
            insecure,
            mirrors,
            registry_config,
            max_parallel: transfers,
            options,
            ..RegistrySettings::default()
        };
        let client = Arc::new(Registry::new(
            settings,
            scope.cache.clone(),
            reporter.clone(),
        ));
        clients.push((config, client.clone()));
        client
    }
}

/// Creates a client for a command without a package, with the `registry-config` of a flag or a variable, and makes sure
/// that the cache is usable.
pub(crate) fn registry_without_package(
    cache: &Cache,
    registry_config: Option<PathBuf>,
    reporter: &Arc<dyn Reporter>,
) -> Registry {
    // Without a workspace there is no target directory for the replacement of the cache.
    if let Some(warning) = cache.settle(Path::new("target/union/cache")) {
        publish::Reporter::warning(&**reporter, &warning);
    }
    let settings = RegistrySettings {
        registry_config,
        options: RegistryOptions::of_process(),
        ..RegistrySettings::default()
    };
    Registry::new(settings, cache.clone(), reporter.clone())
}

/// Creates a client that only looks up logins, with the `registry-config` of a manifest, a flag or a variable.
pub(crate) fn registry_for_logins(
    scope: &WorkspaceOptions,
    of_manifest: Option<PathBuf>,
    reporter: Arc<dyn Reporter>,
) -> Registry {
    let of_flag = scope.overrides.named("registry-config").map(PathBuf::from);
    let settings = RegistrySettings {
        registry_config: of_manifest.or(of_flag),
        options: RegistryOptions::of_process(),
        ..RegistrySettings::default()
    };
    Registry::new(settings, scope.cache.clone(), reporter)
}

/// Creates a client without credentials: what it can pull, a cluster without a pull secret can pull as well.
pub(crate) fn anonymous_registry(
    scope: &WorkspaceOptions,
    spec: &Spec,
    transfers: usize,
) -> Registry {
    let settings = RegistrySettings {
        insecure: spec.insecure_registries.clone(),
        max_parallel: transfers,
        options: RegistryOptions::of_process().without_logins(),
        ..RegistrySettings::default()
    };
    Registry::new(settings, scope.cache.clone(), Arc::new(Silent))
}
