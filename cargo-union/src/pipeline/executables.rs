//! The executables of a package, and the runners that compiled them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use union_build::diag::Code;

use crate::build::Executable;
use crate::image::platform::Platform;
use crate::pipeline::resolve::{CodeSpec, ResolvedImage};
use crate::sys::error::{Error, Result};
use crate::sys::fs;
use crate::workspace::{CargoRunner, CompileSettings};

/// The executables of a package, by compile settings and target.
#[derive(Default)]
pub(crate) struct Executables(pub(super) BTreeMap<(CompileSettings, String), CompileOutput>);

/// The executables of one compile by name, and where it ran.
pub(super) struct CompileOutput {
    executables: BTreeMap<String, CompiledFile>,
    runner: Arc<dyn CargoRunner>,
}

/// An executable as the compile has left it.
struct CompiledFile {
    path: PathBuf,
    size_and_time: (u64, Option<SystemTime>),
}

impl CompileOutput {
    /// The executables of a compile that has just ended.
    ///
    /// # Errors
    /// `FileUnreadable`.
    pub(super) fn new(
        executables: BTreeMap<String, PathBuf>,
        runner: Arc<dyn CargoRunner>,
    ) -> Result<Self> {
        let file = |(name, path): (String, PathBuf)| {
            let size_and_time = size_and_time(&path)?;
            Ok((
                name,
                CompiledFile {
                    path,
                    size_and_time,
                },
            ))
        };
        let executables = executables.into_iter().map(file).collect::<Result<_>>()?;
        Ok(Self {
            executables,
            runner,
        })
    }
}

fn size_and_time(path: &Path) -> Result<(u64, Option<SystemTime>)> {
    let metadata = std::fs::metadata(path).map_err(|cause| fs::unreadable(path, cause))?;
    Ok((metadata.len(), metadata.modified().ok()))
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

    /// Checks that no other build has replaced an executable since its compile.
    ///
    /// # Errors
    /// `ArtifactStale`; `FileUnreadable`.
    pub(crate) fn check_unchanged(&self) -> Result<()> {
        let files = self
            .0
            .values()
            .flat_map(|output| output.executables.values());
        for file in files {
            if size_and_time(&file.path)? != file.size_and_time {
                let message = format!(
                    "`{}` changed after it was compiled, so that its key may not be the one of its sources",
                    file.path.display()
                );
                return Err(Error::new(Code::ArtifactStale, message).help(
                    "Run the command again while no other build uses this target directory.",
                ));
            }
        }
        Ok(())
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
                path: output.executables.get(name)?.path.clone(),
            })
        };
        code.binaries.iter().filter_map(executable).collect()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::workspace::{CompileMode, Host, Linkage};

    #[test]
    fn executable_that_another_build_replaces_is_noticed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("hello");
        std::fs::write(&path, "one").unwrap();
        let compiled =
            CompileOutput::new([("hello".to_owned(), path.clone())].into(), Arc::new(Host))
                .unwrap();
        let mut executables = Executables::default();
        let settings = CompileSettings {
            profile: "release".to_owned(),
            features: BTreeSet::new(),
            default_features: true,
            linkage: Linkage::Static,
            env: BTreeMap::new(),
            compile_mode: CompileMode::Host,
            rust_image: None,
            apt_packages: Vec::new(),
        };
        executables.0.insert((settings, String::new()), compiled);
        assert!(executables.check_unchanged().is_ok());
        std::fs::write(&path, "other").unwrap();
        let error = executables.check_unchanged().unwrap_err();
        assert_eq!(error.code(), Code::ArtifactStale);
        assert!(
            error
                .to_string()
                .contains("/hello` changed after it was compiled")
        );
    }
}
