//! Checks, before tasks are registered, whether a cluster can pull their images without credentials.

use std::collections::BTreeSet;

use futures_util::stream::{self, StreamExt as _};
use union_build::diag::Code;
use union_build::spec::Spec;

use super::options::RegisterOptions;
use crate::image::reference::PinnedRef;
use crate::pipeline::Reporter;
use crate::pipeline::clients;
use crate::pipeline::problems::Result;
use crate::sys::error::Error;
use crate::sys::words;

const NEEDS: &str = "Make the repository public, or give the cluster a pull secret: `kubectl create secret docker-registry`, \
                     and name it in the `imagePullSecrets` of the task's service account.";

/// Queries each image without credentials, and warns about those that are private.
///
/// # Errors
/// With `--require-public`: `ImagePrivate`, and the error of a registry that cannot be queried.
pub(crate) async fn check(
    register: &RegisterOptions,
    spec: &Spec,
    images: BTreeSet<PinnedRef>,
    reporter: &dyn Reporter,
) -> Result<()> {
    if images.is_empty() {
        return Ok(());
    }
    let anonymous =
        &clients::anonymous_registry(&register.options.scope, spec, register.options.jobs);
    let queries =
        stream::iter(&images).map(|image| async move { (image, anonymous.can_pull(image).await) });
    let mut private = Vec::new();
    for (image, can_pull) in queries
        .buffered(register.options.jobs)
        .collect::<Vec<_>>()
        .await
    {
        match can_pull {
            Ok(true) => {}
            Ok(false) => private.push(image.to_string()),
            Err(error) if register.require_public => return Err(error.into()),
            Err(error) => {
                reporter.warning(&format!("{}\n  = help: {NEEDS}", error.chain().join(": ")))
            }
        }
    }
    if private.is_empty() {
        return Ok(());
    }
    let verb = if private.len() == 1 { "is" } else { "are" };
    let what = format!(
        "{} {verb} private: a cluster without a login cannot pull",
        words::list(&private)
    );
    if register.require_public {
        return Err(Error::new(Code::ImagePrivate, what).help(NEEDS).into());
    }
    reporter.warning(&format!(
        "[{}] {what}\n  = help: {NEEDS}",
        Code::ImagePrivate
    ));
    Ok(())
}
