//! The container engine.

use super::check::Check;
use crate::engine::EngineLocator;
use crate::pipeline::context::UnionPackage;
use crate::pipeline::options::WorkspaceOptions;
use crate::sys::words;

const AREA: &str = "engine";

/// Connects to the engine if an image needs it; `in_container` are those whose crates are compiled there.
pub(super) async fn check(
    options: &WorkspaceOptions,
    packages: &[UnionPackage],
    in_container: Vec<String>,
) -> Vec<Check> {
    let name = "Docker or podman";
    if packages.is_empty() {
        let reason = "no image is known that could need one";
        return vec![Check::skipped(AREA, name, reason)];
    }
    let mut images = in_container;
    for package in packages {
        let needing = package.spec.images.values();
        let needing =
            needing.filter(|image| !image.is_remote() && !image.needs_to_run().is_empty());
        images.extend(needing.map(|image| format!("{}/{}", package.name(), image.key)));
    }
    images.sort();
    images.dedup();
    if images.is_empty() {
        let reason = "not needed by these images; `cargo union run` starts tasks in it";
        return vec![Check::skipped(AREA, name, reason)];
    }
    let needed = format!("needed by {}", words::list(&images));
    let engines = EngineLocator::of(&options.cargo.environment);
    vec![match engines.engine().await {
        Ok(engine) => {
            let kind = if engine.has_buildkit() {
                "Docker"
            } else {
                "podman"
            };
            let detail = format!("{kind} at {}, {needed}", engine.address());
            Check::ok(AREA, name, detail)
        }
        Err(error) => {
            let check = Check::of_error(AREA, name, &error);
            Check {
                detail: format!("{}; {needed}", check.detail),
                ..check
            }
        }
    }]
}
