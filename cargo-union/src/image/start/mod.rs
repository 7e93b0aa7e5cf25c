//! The start check: whether programs can start in an image, decided from its files before it is published.
//!
//! Libraries that a program opens at run time with `dlopen` are not checked. This module only has pure functions;
//! `build` provides the files and programs.

mod debian;
mod report;
mod suggestions;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use super::elf::Elf;
use super::index::FileIndex;
use super::loader::{Loader, Object};
use super::machine::MachineType;
use super::platform::Platform;
pub use report::refusal;
pub use suggestions::StartCheckContext;

/// A program of an image.
#[derive(Clone, Copy, Debug)]
pub struct ProgramFile<'a> {
    /// The name of the binary, for error messages.
    pub name: &'a str,
    /// The absolute path in the image.
    pub path: &'a str,
    /// The parsed ELF headers.
    pub elf: &'a Elf,
}

/// The settings of an image that affect the start of programs, apart from its files.
#[derive(Clone, Copy, Debug)]
pub struct RuntimeConfig<'a> {
    /// The platform of the image.
    pub platform: &'a Platform,
    /// `LD_LIBRARY_PATH`; empty if it is not set.
    pub library_path: &'a str,
    /// Libraries that may be missing: sonames of `runtime-libs`.
    pub runtime_libs: &'a [&'a str],
}

/// Why a program cannot start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartFailure {
    /// The name of the program.
    pub program: String,
    /// The reason.
    pub kind: StartFailureKind,
}

/// The reasons why a program cannot start, the most fundamental first. `needed_by` is the library that needs another
/// one, or `None` for the program itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StartFailureKind {
    /// It is not a program, for this reason.
    NotExecutable(String),
    /// It is built for a different machine than the image.
    OtherMachine(MachineType),
    /// The loader at this path is missing or for a different machine.
    NoLoader(String),
    /// The loader does not find a library.
    NoLibrary {
        /// The soname of the library.
        name: String,
        /// The soname of the library that needs it.
        needed_by: Option<String>,
        /// A library of this name in a directory that the loader does not search.
        elsewhere: Option<UnsearchedLibrary>,
    },
    /// A library does not have the required symbol versions.
    NoVersion {
        /// The soname of the library.
        name: String,
        /// The soname of the library that requires them.
        needed_by: Option<String>,
        /// The missing versions.
        missing: Vec<String>,
        /// The versions of the library.
        has: Vec<String>,
    },
}

/// A library in a directory that the loader does not search.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnsearchedLibrary {
    /// The absolute path of the library.
    pub path: String,
    /// Whether running `ldconfig` would add it to the loader's cache.
    pub is_configured: bool,
}

/// The reasons why a program cannot start; empty if it can. Does not read `files` for a static program.
pub fn start_failures(
    program: ProgramFile<'_>,
    files: &FileIndex,
    runtime: RuntimeConfig<'_>,
) -> Vec<StartFailure> {
    let failure = |kind| StartFailure {
        program: program.name.to_owned(),
        kind,
    };
    let elf = program.elf;
    if MachineType::of(runtime.platform).is_some_and(|machine| machine != elf.machine) {
        return vec![failure(StartFailureKind::OtherMachine(elf.machine))];
    }
    let Some(interpreter) = &elf.interpreter else {
        let library = || {
            StartFailureKind::NotExecutable(
                "it is a shared library: it needs other libraries, but has no loader".to_owned(),
            )
        };
        return if elf.is_static() {
            Vec::new()
        } else {
            vec![failure(library())]
        };
    };
    let Some(loader) = Loader::of(elf, files, runtime.library_path) else {
        return vec![failure(StartFailureKind::NoLoader(interpreter.clone()))];
    };
    let mut sequence = LoadSequence {
        loader,
        runtime,
        objects: Vec::new(),
        failures: Vec::new(),
    };
    sequence.load(program);
    sequence.check_versions();
    sequence.failures.into_iter().map(failure).collect()
}

/// Whether the node provides a library: those of the GPU driver, which must match the kernel module.
fn is_provided_by_node(name: &str) -> bool {
    const DRIVER: [&str; 5] = [
        "libcuda.so",
        "libcudadebugger.so",
        "libnvidia-",
        "libnvcuvid.so",
        "libnvoptix.so",
    ];
    DRIVER.iter().any(|part| name.starts_with(part))
}

/// A program and the libraries that the loader adds to it.
struct LoadSequence<'a> {
    loader: Loader<'a>,
    runtime: RuntimeConfig<'a>,
    /// In the order of loading, each with the position of the object that needed it first; the program is the first.
    objects: Vec<(Object, usize)>,
    failures: Vec<StartFailureKind>,
}

impl<'a> LoadSequence<'a> {
    /// Loads breadth-first, like loaders: a name that is already loaded is not searched again.
    fn load(&mut self, program: ProgramFile<'_>) {
        let place = program.path.trim_start_matches('/').to_owned();
        self.objects.push((
            Object {
                names: Vec::new(),
                path: program.path.to_owned(),
                place,
                elf: program.elf.clone(),
            },
            0,
        ));
        self.objects
            .extend(self.loader.as_object().map(|loader| (loader, 0)));
        let mut queue = VecDeque::from([0]);
        let mut missing = Vec::new();
        while let Some(needed_by) = queue.pop_front() {
            for name in self.objects[needed_by].0.elf.needed.clone() {
                if self.loader.is_itself(&name)
                    || self.position(&name).is_some()
                    || missing.contains(&name)
                {
                    continue;
                }
                match self.loader.find(&name, self.ancestors(needed_by)) {
                    Some(object) => queue.extend(self.add(object, &name, needed_by)),
                    None => {
                        self.add_missing(&name, needed_by);
                        missing.push(name);
                    }
                }
            }
        }
    }

    /// Adds a library and returns its position, unless it is already loaded under another name.
    fn add(&mut self, mut object: Object, name: &str, needed_by: usize) -> Option<usize> {
        if let Some((loaded, _)) = self
            .objects
            .iter_mut()
            .find(|(loaded, _)| loaded.place == object.place)
        {
            loaded.names.push(name.to_owned());
            return None;
        }
        object.names.push(name.to_owned());
        self.objects.push((object, needed_by));
        Some(self.objects.len() - 1)
    }

    fn add_missing(&mut self, name: &str, needed_by: usize) {
        if is_provided_by_node(name) || self.runtime.runtime_libs.contains(&name) {
            return;
        }
        let elsewhere = self.loader.find_elsewhere(name).map(|path| {
            let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
            let is_configured = self
                .loader
                .configured()
                .iter()
                .any(|configured| configured.trim_end_matches('/') == directory);
            UnsearchedLibrary {
                is_configured,
                path,
            }
        });
        self.failures.push(StartFailureKind::NoLibrary {
            name: name.to_owned(),
            needed_by: self.name_of(needed_by),
            elsewhere,
        });
    }

    fn check_versions(&mut self) {
        if !self.loader.checks_versions() {
            return;
        }
        for (position, (object, _)) in self.objects.iter().enumerate() {
            for (name, needed) in &object.elf.versions_needed {
                let Some(library) = self.position(name).map(|at| &self.objects[at].0.elf) else {
                    continue;
                };
                // For a library without any versions the loader only warns, but then fails at the first symbol.
                let missing: Vec<String> = needed
                    .iter()
                    .filter(|version| !library.versions.contains(version))
                    .cloned()
                    .collect();
                if !missing.is_empty() {
                    let needed_by = self.name_of(position);
                    let has = library.versions.clone();
                    self.failures.push(StartFailureKind::NoVersion {
                        name: name.clone(),
                        needed_by,
                        missing,
                        has,
                    });
                }
            }
        }
    }

    fn position(&self, name: &str) -> Option<usize> {
        self.objects
            .iter()
            .position(|(object, _)| object.has_name(name))
    }

    /// An object, the object that needed it, and so on up to the program.
    fn ancestors(&self, from: usize) -> impl Iterator<Item = &Object> + Clone {
        let next = |at: &usize| (*at > 0).then(|| self.objects[*at].1);
        std::iter::successors(Some(from), next).map(|at| &self.objects[at].0)
    }

    /// The name of a library; `None` for the program.
    fn name_of(&self, at: usize) -> Option<String> {
        let object = &self.objects[at].0;
        let soname_or_path = || {
            object
                .elf
                .soname
                .clone()
                .unwrap_or_else(|| object.path.clone())
        };
        (at > 0).then(|| object.names.first().cloned().unwrap_or_else(soname_or_path))
    }
}
