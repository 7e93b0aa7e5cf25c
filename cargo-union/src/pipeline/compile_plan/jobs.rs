//! Which compiles the images of a package need.

use std::collections::{BTreeMap, BTreeSet};

use crate::pipeline::resolve::ResolvedImage;
use crate::workspace::CompileSettings;

/// The binaries that are compiled together, by settings and target.
pub(in crate::pipeline) type CompileJobs<'a> =
    BTreeMap<(&'a CompileSettings, &'a str), BTreeSet<String>>;

/// The compiles that the missing images need, each with the binaries of all images that share it.
pub(in crate::pipeline) fn collect_jobs<'a>(
    images: &'a [ResolvedImage],
    missing: &[&ResolvedImage],
) -> CompileJobs<'a> {
    let mut jobs: CompileJobs<'a> = BTreeMap::new();
    for code in images.iter().filter_map(|resolved| resolved.code.as_ref()) {
        for target in code.targets() {
            jobs.entry((&code.compile, target))
                .or_default()
                .extend(code.binaries.iter().cloned());
        }
    }
    let is_needed = |settings: &CompileSettings, target: &str| {
        missing.iter().any(|resolved| {
            resolved.code.as_ref().is_some_and(|code| {
                code.compile == *settings && code.targets().any(|own| own == target)
            })
        })
    };
    jobs.retain(|(settings, target), _| is_needed(settings, target));
    jobs
}
