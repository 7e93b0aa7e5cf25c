//! What compiles have made, and where.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use crate::build::Executable;
use crate::pipeline::resolve::{CodeSpec, ResolvedImage};
use crate::workspace::{CargoRunner, CompileSettings};

/// The executables of a package, by how they were compiled.
#[derive(Default)]
pub(crate) struct Executables(pub(super) BTreeMap<(CompileSettings, String), CompileOutput>);

/// What one compile has made, and where.
pub(super) struct CompileOutput {
    pub(super) executables: BTreeMap<String, PathBuf>,
    pub(super) workshop: Arc<dyn CargoRunner>,
}

impl Executables {
    fn made(&self, code: &CodeSpec, platform: usize) -> Option<&CompileOutput> {
        self.0.get(&(code.compile.clone(), code.targets.get(platform)?.clone()))
    }

    /// Where those of an image for its platform of that position were compiled.
    pub(crate) fn workshop(&self, resolved: &ResolvedImage, platform: usize) -> Option<Arc<dyn CargoRunner>> {
        Some(self.made(resolved.code.as_ref()?, platform)?.workshop.clone())
    }

    /// Those of an image for its platform of that position.
    pub(crate) fn of(&self, resolved: &ResolvedImage, platform: usize) -> Vec<Executable> {
        let Some(code) = &resolved.code else { return Vec::new() };
        let Some(made) = self.made(code, platform) else { return Vec::new() };
        let of = |name: &String| Some(Executable { name: name.clone(), path: made.executables.get(name)?.clone() });
        code.binaries.iter().filter_map(of).collect()
    }
}
