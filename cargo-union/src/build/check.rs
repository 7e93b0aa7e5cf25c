//! Start check: an image in which a binary could not start is an error, before the image reaches a publisher.

use object::read::ReadCache;
use union_build::spec::Base;

use super::BINARIES;
use super::{BuildRequest, PlatformBuildRequest, variables};
use crate::image::config::BaseConfig;
use crate::image::elf::{Elf, ElfError};
use crate::image::index::FileIndex;
use crate::image::start::{
    ProgramFile, RuntimeConfig, StartCheckContext, StartFailure, StartFailureKind, refusal,
    start_failures,
};
use crate::sys::error::Result;
use crate::sys::fs;

/// The variable with additional search directories of the dynamic loader (ld.so(8)).
const LIBRARY_PATH: &str = "LD_LIBRARY_PATH";

/// The parsed binaries of an image for one platform.
pub(super) struct StartCheck {
    programs: Vec<(String, Result<Elf, ElfError>)>,
    library_path: String,
}

impl StartCheck {
    /// Parses the ELF headers of the binaries; none if the request disables the check.
    pub(super) fn of(
        request: &BuildRequest,
        platform_request: &PlatformBuildRequest,
        base: Option<&BaseConfig>,
    ) -> Result<Self> {
        let checked = platform_request
            .executables
            .iter()
            .filter(|_| request.check);
        let programs = checked.map(|executable| {
            let file = std::fs::File::open(&executable.path)
                .map_err(|cause| fs::unreadable(&executable.path, cause))?;
            Ok((executable.name.clone(), Elf::read(&ReadCache::new(file))))
        });
        let mut variables = variables::of_base(base);
        variables.extend(variables::expanded(request.chain.iter(), &variables)?);
        let library_path = variables.remove(LIBRARY_PATH).unwrap_or_default();
        Ok(Self {
            programs: programs.collect::<Result<_>>()?,
            library_path,
        })
    }

    /// Whether the check depends on the files of the image, which it does not for static binaries.
    pub(super) fn needs_files(&self) -> bool {
        self.programs
            .iter()
            .any(|(_, elf)| elf.as_ref().is_ok_and(|elf| !elf.is_static()))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.programs.is_empty()
    }

    /// Fails if a binary could not start in an image with these files.
    pub(super) fn refuse(
        &self,
        request: &BuildRequest,
        platform_request: &PlatformBuildRequest,
        files: &FileIndex,
    ) -> Result<()> {
        let runtime_libs: Vec<&str> = request
            .chain
            .iter()
            .flat_map(|spec| &spec.runtime_libs)
            .map(|library| library.value.as_str())
            .collect();
        let runtime = RuntimeConfig {
            platform: &platform_request.platform,
            library_path: &self.library_path,
            runtime_libs: &runtime_libs,
        };
        let failures = self.programs.iter().flat_map(|(name, elf)| match elf {
            Ok(elf) => start_failures(
                ProgramFile {
                    name,
                    path: &format!("{BINARIES}/{name}"),
                    elf,
                },
                files,
                runtime,
            ),
            Err(why) => vec![StartFailure {
                program: name.clone(),
                kind: StartFailureKind::NotExecutable(why.to_string()),
            }],
        });
        let failures: Vec<StartFailure> = failures.collect();
        if failures.is_empty() {
            return Ok(());
        }
        let base = match request.chain.base() {
            Base::Reference(typed) => typed.value.as_str(),
            _ => "scratch",
        };
        Err(refusal(
            &failures,
            StartCheckContext {
                image: request.image(),
                base,
                platform: &platform_request.platform,
                files,
                has_packages: request
                    .chain
                    .iter()
                    .any(|spec| !spec.apt_packages.is_empty()),
            },
        ))
    }
}
