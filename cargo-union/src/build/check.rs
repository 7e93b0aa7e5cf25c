//! The start check: an image in which a binary could not start is never handed to a publisher.

use object::read::ReadCache;
use union_build::spec::Base;

use super::BINARIES;
use super::{BuildRequest, PlatformBuildRequest, variables};
use crate::image::config::BaseConfig;
use crate::image::elf::{Elf, ElfError};
use crate::image::index::FileIndex;
use crate::image::start::{Program, RuntimeConfig, StartCheckContext, StartFailure, StartFailureKind, obstacles, refusal};
use crate::sys::error::Result;
use crate::sys::fs;

/// The variable that makes a loader look in more folders.
const LIBRARY_PATH: &str = "LD_LIBRARY_PATH";

/// The binaries of an image for one platform, looked into.
pub(super) struct StartCheck {
    programs: Vec<(String, Result<Elf, ElfError>)>,
    library_path: String,
}

impl StartCheck {
    /// Looks into the binaries, of which little is read. There are none to check when the recipe says so.
    pub(super) fn of(recipe: &BuildRequest, wanted: &PlatformBuildRequest, base: Option<&BaseConfig>) -> Result<Self> {
        let checked = wanted.executables.iter().filter(|_| recipe.check);
        let programs = checked.map(|executable| {
            let file = std::fs::File::open(&executable.path).map_err(|cause| fs::unreadable(&executable.path, cause))?;
            Ok((executable.name.clone(), Elf::read(&ReadCache::new(file))))
        });
        let mut variables = variables::of_base(base);
        variables.extend(variables::expanded(recipe.chain.iter(), &variables)?);
        let library_path = variables.remove(LIBRARY_PATH).unwrap_or_default();
        Ok(Self { programs: programs.collect::<Result<_>>()?, library_path })
    }

    /// Whether the files of the image decide; for static binaries they do not.
    pub(super) fn needs_files(&self) -> bool {
        self.programs.iter().any(|(_, elf)| elf.as_ref().is_ok_and(|elf| !elf.is_static()))
    }

    /// Whether there is nothing to check.
    pub(super) fn is_empty(&self) -> bool {
        self.programs.is_empty()
    }

    /// Refuses what could not start among these files.
    pub(super) fn refuse(&self, recipe: &BuildRequest, wanted: &PlatformBuildRequest, files: &FileIndex) -> Result<()> {
        let runtime_libs: Vec<&str> =
            recipe.chain.iter().flat_map(|spec| &spec.runtime_libs).map(|library| library.value.as_str()).collect();
        let setting = RuntimeConfig { platform: &wanted.platform, library_path: &self.library_path, runtime_libs: &runtime_libs };
        let found = self.programs.iter().flat_map(|(name, elf)| match elf {
            Ok(elf) => obstacles(Program { name, path: &format!("{BINARIES}/{name}"), elf }, files, setting),
            Err(why) => vec![StartFailure { program: name.clone(), what: StartFailureKind::NotExecutable(why.to_string()) }],
        });
        let found: Vec<StartFailure> = found.collect();
        if found.is_empty() {
            return Ok(());
        }
        let base = match recipe.chain.base() {
            Base::Reference(typed) => typed.value.as_str(),
            _ => "scratch",
        };
        Err(refusal(
            &found,
            StartCheckContext {
                image: recipe.image(),
                base,
                platform: &wanted.platform,
                files,
                has_packages: recipe.chain.iter().any(|spec| !spec.apt_packages.is_empty()),
            },
        ))
    }
}
