//! The registries of bases and images: whether bases can be read, whether images can be pushed, and by which login.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::future::join_all;
use union_build::spec::Base;

use super::check::{Check, CheckStatus};
use super::reporter::DoctorReporter;
use crate::image::reference::{BaseRef, Repository};
use crate::image::{BaseSource as _, Logins as _};
use crate::pipeline::Reporter;
use crate::pipeline::context::{LoadedWorkspace, UnionPackage};
use crate::pipeline::options::WorkspaceOptions;
use crate::publish::registry::Registry;

const BASES: &str = "base";
const AREA: &str = "registry";
/// Concurrent requests.
const JOBS: usize = 6;

/// Reads each base, starts and cancels an upload to each repository, and returns the differences of the clocks with the
/// checks.
pub(super) async fn check(
    options: &WorkspaceOptions,
    loaded: Option<&LoadedWorkspace>,
    listener: &DoctorReporter,
    reporter: &Arc<dyn Reporter>,
) -> (Vec<Check>, Vec<i64>) {
    let Some(loaded) = loaded else {
        let reason = "no valid manifest names one";
        let checks = [BASES, AREA].map(|area| Check::skipped(area, "registry", reason));
        return (checks.into(), Vec::new());
    };
    let mut bases = BTreeMap::new();
    let mut repositories = BTreeMap::new();
    let mut clients = Vec::new();
    for package in &loaded.packages {
        let client = loaded.clients.get(options, &package.spec, JOBS, reporter);
        for base in bases_of(package) {
            bases.entry(base).or_insert((client.clone(), package));
        }
        for repository in repositories_of(package) {
            let name = repository.to_string();
            repositories
                .entry(name)
                .or_insert((client.clone(), repository));
        }
        clients.push(client);
    }
    let reading = bases
        .iter()
        .map(|(base, (client, package))| check_base(base, client, package));
    let pushing = repositories
        .values()
        .map(|(client, repository)| check_repository(client, repository, listener));
    let (base_checks, push_checks) = futures_util::join!(join_all(reading), join_all(pushing));
    let mut checks = base_checks;
    if checks.is_empty() {
        let reason = "no image names a base in a registry";
        checks.push(Check::skipped(BASES, "base", reason));
    }
    // The login of a registry is shown once.
    let mut shown = BTreeSet::new();
    for check in push_checks.into_iter().flatten() {
        if shown.insert((check.name.clone(), check.detail.clone())) {
            checks.push(check);
        }
    }
    if repositories.is_empty() {
        let reason = "no image is pushed from here: no registry is set, or the backend builds it";
        checks.push(Check::skipped(AREA, "push", reason));
    }
    let warnings = listener.warnings().into_iter();
    checks.extend(warnings.map(|text| {
        let help = "Correct the file or the helper that is named, or log in again.";
        Check::warning(AREA, "login", text, help)
    }));
    let clocks = clients
        .iter()
        .filter_map(|client| client.clock_difference());
    (checks, clocks.collect())
}

fn bases_of(package: &UnionPackage) -> BTreeSet<&str> {
    let images = package.spec.images.values();
    let base = images.filter_map(|image| match &image.base {
        Base::Reference(base) => Some(base.value.as_str()),
        Base::Scratch(_) | Base::Extends(_) | Base::Dockerfile => None,
    });
    base.collect()
}

/// The repositories to which this machine pushes.
fn repositories_of(package: &UnionPackage) -> impl Iterator<Item = Repository> {
    let images = package.spec.images.values();
    let pushed = images.filter(|image| !image.is_remote());
    pushed.filter_map(|image| Some(Repository::below(image.registry.as_ref()?, &image.name)))
}

async fn check_base(base: &str, client: &Registry, package: &UnionPackage) -> Check {
    // Validation has rejected invalid references.
    let Ok(reference) = base.parse::<BaseRef>() else {
        return Check::skipped(BASES, base, "it is not a reference");
    };
    let repository = &reference.repository;
    let Some(digest) = reference.digest else {
        let tag = reference.tag.as_deref().unwrap_or("latest");
        return match client.manifest(repository, tag).await {
            Ok(manifest) => Check::ok(
                BASES,
                base,
                format!("can be read, now {}", manifest.descriptor.digest),
            ),
            Err(error) => Check::of_error(BASES, base, &error),
        };
    };
    if package.spec.mirrors.contains_key(&repository.registry) {
        let reason = "it is pinned by digest, and a mirror takes the place of its registry";
        return Check::skipped(BASES, base, reason);
    }
    match client.can_pull(&repository.pinned(digest)).await {
        Ok(true) => Check::ok(BASES, base, "can be read"),
        Ok(false) => Check::error(
            BASES,
            base,
            "the registry does not have it, or denies access",
            format!(
                "Correct the digest, or log in with `docker login {}`.",
                repository.registry
            ),
        ),
        Err(error) => Check::of_error(BASES, base, &error),
    }
}

/// The login for a repository, and whether it accepts an upload.
async fn check_repository(
    client: &Registry,
    repository: &Repository,
    listener: &DoctorReporter,
) -> [Check; 2] {
    let push = match client.check_push(repository).await {
        Ok(()) => {
            let detail = "an upload was accepted, and cancelled";
            Check::ok(AREA, repository.to_string(), detail)
        }
        Err(error) => Check::of_error(AREA, repository.to_string(), &error),
    };
    let registry = &repository.registry;
    let name = format!("login to {registry}");
    let login = match client.login(repository).await {
        Err(error) => Check::of_error(AREA, name, &error),
        Ok(Some(_)) => {
            let source = listener.source(registry);
            let source = source.unwrap_or_else(|| "a file of Docker or podman".to_owned());
            Check::ok(AREA, name, format!("found in {source}"))
        }
        Ok(None) if push.status == CheckStatus::Ok => {
            Check::ok(AREA, name, "none was found, and none is needed")
        }
        Ok(None) => Check::warning(
            AREA,
            name,
            "none was found in the files and helpers of Docker and podman",
            format!("Log in with `docker login {registry}`, if it wants a login."),
        ),
    };
    [login, push]
}
