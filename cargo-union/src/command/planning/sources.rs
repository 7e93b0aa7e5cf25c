//! The registry client of a package: where its bases come from and where its images go.

use std::sync::Arc;

use union_build::spec::Spec;

use crate::base::error::Result;
use crate::publish::Silent;
use crate::publish::registry::{Registry, RegistrySettings, Surroundings};
use crate::settings::Scope;
use crate::ui::Ui;

/// A client with the manifest's words on encryption, mirrors and logins.
///
/// # Errors
/// When an authority's file cannot be used.
pub(in crate::command) fn registry(scope: &Scope, spec: &Spec, transfers: usize, ui: &Arc<Ui>) -> Result<Arc<Registry>> {
    let settings = RegistrySettings {
        insecure: spec.insecure_registries.clone(),
        mirrors: spec.mirrors.clone(),
        registry_config: spec.registry_config.as_ref().map(|path| path.value.clone()),
        max_parallel: transfers,
        surroundings: Surroundings::of_process(),
        ..RegistrySettings::default()
    };
    Ok(Arc::new(Registry::new(settings, scope.cache.clone(), ui.clone())))
}

/// A client that nobody has logged in: what it can pull, a cluster without a pull secret can as well.
pub(in crate::command) fn stranger(scope: &Scope, spec: &Spec, transfers: usize) -> Registry {
    let settings = RegistrySettings {
        insecure: spec.insecure_registries.clone(),
        max_parallel: transfers,
        surroundings: Surroundings::of_process().without_logins(),
        ..RegistrySettings::default()
    };
    Registry::new(settings, scope.cache.clone(), Arc::new(Silent))
}
