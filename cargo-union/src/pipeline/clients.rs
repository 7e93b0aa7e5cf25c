//! The registry clients of packages: where their bases come from and where their images go.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use union_build::spec::Spec;

use crate::pipeline::Reporter;
use crate::pipeline::options::WorkspaceOptions;
use crate::publish::Silent;
use crate::publish::registry::{Registry, RegistryOptions, RegistrySettings};

/// The clients of a session. Packages whose manifests say the same of registries share one: its connections, its logins,
/// and what it knows of where blobs are.
#[derive(Default)]
pub(crate) struct RegistryClients(Mutex<Vec<(RegistryConfig, Arc<Registry>)>>);

/// What a manifest says of registries: plain ones, mirrors, and the file of logins.
type RegistryConfig = (BTreeSet<String>, BTreeMap<String, String>, Option<PathBuf>);

impl RegistryClients {
    /// The client for a manifest; `transfers` is how many things it moves at a time.
    pub(crate) fn get(&self, scope: &WorkspaceOptions, spec: &Spec, transfers: usize, reporter: &Arc<dyn Reporter>) -> Arc<Registry> {
        let words = (spec.insecure_registries.clone(), spec.mirrors.clone(), spec.registry_config.as_ref().map(|path| path.value.clone()));
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, client)) = known.iter().find(|(other, _)| *other == words) {
            return client.clone();
        }
        let (insecure, mirrors, registry_config) = words.clone();
        let surroundings = RegistryOptions::of_process();
        let settings =
            RegistrySettings { insecure, mirrors, registry_config, max_parallel: transfers, surroundings, ..RegistrySettings::default() };
        let client = Arc::new(Registry::new(settings, scope.cache.clone(), reporter.clone()));
        known.push((words, client.clone()));
        client
    }
}

/// A client that nobody has logged in: what it can pull, a cluster without a pull secret can as well.
pub(crate) fn anonymous_registry(scope: &WorkspaceOptions, spec: &Spec, transfers: usize) -> Registry {
    let settings = RegistrySettings {
        insecure: spec.insecure_registries.clone(),
        max_parallel: transfers,
        surroundings: RegistryOptions::of_process().without_logins(),
        ..RegistrySettings::default()
    };
    Registry::new(settings, scope.cache.clone(), Arc::new(Silent))
}
