//! Whether a cluster can pull the images: asked of their registry without a login, before anything is
//! registered.

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

/// Asks for each image, and warns of those that are private.
///
/// # Errors
/// `ImagePrivate` with `--require-public`; then also when a registry cannot say.
pub(crate) async fn check(register: &RegisterOptions, spec: &Spec, images: BTreeSet<PinnedRef>, reporter: &dyn Reporter) -> Result<()> {
    if images.is_empty() {
        return Ok(());
    }
    let stranger = &clients::anonymous_registry(&register.work.scope, spec, register.work.jobs);
    let asked = stream::iter(&images).map(|image| async move { (image, stranger.can_pull(image).await) });
    let mut private = Vec::new();
    for (image, answer) in asked.buffered(register.work.jobs).collect::<Vec<_>>().await {
        match answer {
            Ok(true) => {}
            Ok(false) => private.push(image.to_string()),
            Err(error) if register.require_public => return Err(error.into()),
            Err(error) => reporter.warning(&format!("{}\n  = help: {NEEDS}", error.chain().join(": "))),
        }
    }
    if private.is_empty() {
        return Ok(());
    }
    let verb = if private.len() == 1 { "is" } else { "are" };
    let what = format!("{} {verb} private: a cluster without a login cannot pull", words::list(&private));
    if register.require_public {
        return Err(Error::new(Code::ImagePrivate, what).help(NEEDS).into());
    }
    reporter.warning(&format!("[{}] {what}\n  = help: {NEEDS}", Code::ImagePrivate));
    Ok(())
}
