//! The executables of a package, and the runners that compiled them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use crate::build::Executable;
use crate::image::platform::Platform;
use crate::pipeline::resolve::{CodeSpec, ResolvedImage};
use crate::workspace::{CargoRunner, CompileSettings};

/// The executables of a package, by compile settings and target.
#[derive(Default)]
pub(crate) struct Executables(pub(super) BTreeMap<(CompileSettings, String), CompileOutput>);

/// The executables of one compile by name, and where it ran.
pub(super) struct CompileOutput {
    pub(super) executables: BTreeMap<String, PathBuf>,
    pub(super) runner: Arc<dyn CargoRunner>,
}

impl Executables {
    fn output(&self, code: &CodeSpec, platform: &Platform) -> Option<&CompileOutput> {
        self.0.get(&(
            code.compile.clone(),
            code.builds.get(platform)?.target.clone(),
        ))
    }

    /// The runner that compiled the binaries of an image for a platform.
    pub(crate) fn runner(
        &self,
        resolved: &ResolvedImage,
        platform: &Platform,
    ) -> Option<Arc<dyn CargoRunner>> {
        Some(
            self.output(resolved.code.as_ref()?, platform)?
                .runner
                .clone(),
        )
    }

    /// The binaries of an image for a platform.
    pub(crate) fn of(&self, resolved: &ResolvedImage, platform: &Platform) -> Vec<Executable> {
        let Some(code) = &resolved.code else {
            return Vec::new();
        };
        let Some(output) = self.output(code, platform) else {
            return Vec::new();
        };
        let executable = |name: &String| {
            Some(Executable {
                name: name.clone(),
                path: output.executables.get(name)?.clone(),
            })
        };
        code.binaries.iter().filter_map(executable).collect()
    }
}
