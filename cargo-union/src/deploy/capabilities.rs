//! Checks, before anything is built, that the backend supports what the manifests declare.

use std::collections::BTreeSet;

use union_build::diag::{Code, Diagnostic};
use union_build::spec::BackendChoice;

use super::options::RegisterOptions;
use crate::flyte::capabilities::{BackendFeature, BackendKind, left_out, unsupported};
use crate::flyte::client::Client;
use crate::pipeline::Reporter;
use crate::pipeline::context::LoadedWorkspace;
use crate::pipeline::problems::{ManifestProblems, Result};
use crate::sys::error::Error;
use crate::sys::words;

/// The generation that requests are rendered for: that of the backend; without a client, the one that the manifests
/// name, else Flyte 2.
///
/// # Errors
/// Failures of the request for the backend's generation.
pub(super) async fn kind(
    client: Option<&Client>,
    session: &LoadedWorkspace,
) -> Result<BackendKind> {
    let Some(client) = client else {
        return assumed_kind(session);
    };
    let kind = client.kind().await.map_err(|failure| {
        failure.into_error(format!(
            "could not get the generation of Flyte from {}",
            client.endpoint()
        ))
    })?;
    Ok(kind)
}

/// The generation without a backend: the one that the manifests name, else Flyte 2.
pub(super) fn assumed_kind(session: &LoadedWorkspace) -> Result<BackendKind> {
    Ok(match session.generation()? {
        BackendChoice::Flyte1 => BackendKind::Flyte1,
        BackendChoice::Flyte2 | BackendChoice::Auto => BackendKind::Flyte2,
    })
}

/// Checks the declarations of all packages, and reports in one note the keys that are left out of requests.
///
/// # Errors
/// `BackendUnsupported`.
pub(super) fn check(
    kind: BackendKind,
    options: &RegisterOptions,
    session: &LoadedWorkspace,
    reporter: &dyn Reporter,
) -> Result<()> {
    if options.replace && !kind.has(BackendFeature::Replace) {
        let what = "could not replace a version";
        return Err(Error::new(Code::BackendUnsupported, what)
            .because(format!("{kind} keeps each version as it was registered"))
            .help("Leave out `--replace`, and register under another version.")
            .into());
    }
    let problems = problems(kind, session);
    if !problems.is_empty() {
        return Err(ManifestProblems(problems).into());
    }
    note_left_out(kind, session, reporter);
    Ok(())
}

/// Reports in one note the keys that are left out of requests.
pub(crate) fn note_left_out(kind: BackendKind, session: &LoadedWorkspace, reporter: &dyn Reporter) {
    let keys: BTreeSet<&str> = session
        .packages
        .iter()
        .flat_map(|declared| left_out(kind, &declared.spec))
        .collect();
    if !keys.is_empty() {
        let verb = if keys.len() == 1 { "is" } else { "are" };
        reporter.note(&format!(
            "{kind} does not support {}, which {verb} left out",
            words::list(&keys)
        ));
    }
}

/// Problems for declarations that the backend does not support.
pub(crate) fn problems(kind: BackendKind, session: &LoadedWorkspace) -> Vec<Diagnostic> {
    session
        .packages
        .iter()
        .flat_map(|declared| unsupported(kind, &declared.spec))
        .collect()
}
