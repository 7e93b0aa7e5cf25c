//! Checks references from an image's variables to those of its base, before anything is compiled.
//!
//! The variables of a user's Dockerfile are known only after an engine has built it, and are checked then.

use union_build::diag::{Code, Diagnostic};

use super::ResolvedImage;
use crate::build::{base_variables, refers_to_base, undefined_variables};
use crate::image::BaseSource;
use crate::pipeline::problems::{ManifestProblems, Result};

/// Checks that the base sets every variable that an image refers to.
///
/// # Errors
/// [`ManifestProblems`] with an `InvalidValue` for each variable that is not set; errors of the base's registry.
pub(crate) async fn check(resolved: &ResolvedImage, source: &dyn BaseSource) -> Result<()> {
    let spec = resolved.spec();
    if !refers_to_base(spec) {
        return Ok(());
    }
    let mut problems: Vec<Diagnostic> = Vec::new();
    for (platform, base) in resolved.bases.iter() {
        let Some(base) = base else { continue };
        let known = base_variables(source, base, platform).await?;
        for (name, value) in undefined_variables(spec, &known) {
            let message = format!(
                "the base of image `{}` does not set the variable `{name}`",
                spec.key
            );
            let problem = Diagnostic::error(
                Code::InvalidValue,
                message,
                &value.origin,
                "refers to a variable that is not set",
            );
            let problem = problem.help(format!(
                "`{name}` would be a variable of {} or of an extended image, never of the same table; write `$$` for a dollar",
                base.repository
            ));
            if !problems.contains(&problem) {
                problems.push(problem);
            }
        }
    }
    if problems.is_empty() {
        Ok(())
    } else {
        Err(ManifestProblems(problems).into())
    }
}
