//! Simulates how the dynamic loaders of glibc and musl search for libraries (ld.so(8)).
//!
//! No loader is executed; the search uses only the file index of an image. Only `$ORIGIN` is expanded, because `$LIB`
//! and `$PLATFORM` are not used in practice. Variants for newer processors (glibc-hwcaps) are ignored, because the
//! baseline library is always present.

mod conf;

use super::elf::Elf;
use super::index::{FileIndex, FsEntry, IndexedFile};
use super::machine::MachineType;

/// A loaded library, or the program itself.
#[derive(Clone, Debug)]
pub(crate) struct Object {
    /// The names under which it was needed.
    pub(crate) names: Vec<String>,
    /// The path by which it was found, which `$ORIGIN` refers to.
    pub(crate) path: String,
    /// The path with resolved links, without a leading slash.
    pub(crate) place: String,
    pub(crate) elf: Elf,
}

impl Object {
    /// Whether it satisfies a `DT_NEEDED` entry.
    pub(crate) fn has_name(&self, name: &str) -> bool {
        self.elf.soname.as_deref() == Some(name) || self.names.iter().any(|other| other == name)
    }
}

/// A loader with its search configuration.
#[derive(Debug)]
pub(crate) struct Loader<'a> {
    files: &'a FileIndex,
    machine: MachineType,
    /// The path of the loader in `PT_INTERP` of programs.
    interpreter: &'a str,
    /// `LD_LIBRARY_PATH`.
    library_path: &'a str,
    /// The default directories.
    system: Vec<String>,
    is_musl: bool,
}

impl<'a> Loader<'a> {
    /// The loader of a program, with the settings of the image; `None` if it is missing.
    pub(crate) fn of(
        program: &'a Elf,
        files: &'a FileIndex,
        library_path: &'a str,
    ) -> Option<Self> {
        let interpreter = program.interpreter.as_deref()?;
        let mut loader = Self {
            files,
            machine: program.machine,
            interpreter,
            library_path,
            system: Vec::new(),
            is_musl: is_musl(interpreter),
        };
        let object = loader
            .open(interpreter.to_owned())
            .filter(|object| object.elf.machine == program.machine)?;
        loader.system = if loader.is_musl {
            loader.musl_directories()
        } else {
            glibc_directories(program.machine, &object.place)
        };
        Some(loader)
    }

    /// The loader as a library, which it is as well.
    pub(crate) fn as_object(&self) -> Option<Object> {
        self.open(self.interpreter.to_owned())
    }

    /// Whether symbol versions are checked.
    pub(crate) fn checks_versions(&self) -> bool {
        !self.is_musl
    }

    /// Whether a name refers to the loader: musl's loader is also the C library with all its parts.
    pub(crate) fn is_itself(&self, name: &str) -> bool {
        const PARTS: [&str; 7] = [
            "libc.",
            "libpthread.",
            "librt.",
            "libm.",
            "libdl.",
            "libutil.",
            "libxnet.",
        ];
        self.is_musl && PARTS.iter().any(|part| name.starts_with(part))
    }

    /// Searches for a library. `needed_by` are the object that needs it, the object that needs that one, and so on up
    /// to the program.
    pub(crate) fn find<'o>(
        &self,
        name: &str,
        needed_by: impl Iterator<Item = &'o Object> + Clone,
    ) -> Option<Object> {
        let direct = needed_by.clone().next()?;
        if name.contains('/') {
            let path = expand_origin(name, direct);
            return if path.starts_with('/') {
                self.first([path].into_iter())
            } else {
                None
            };
        }
        let in_directory = |directory: &str| format!("{}/{name}", directory.trim_end_matches('/'));
        let library_path = self
            .library_path
            .split([':', ';'])
            .filter(|directory| directory.starts_with('/'))
            .map(in_directory);
        let system = self.system.iter().map(|directory| in_directory(directory));
        if self.is_musl {
            let rpaths = needed_by.flat_map(|object| {
                directories(
                    object,
                    object.elf.runpath.as_ref().or(object.elf.rpath.as_ref()),
                )
            });
            return self.first(
                library_path
                    .chain(rpaths.map(|directory| in_directory(&directory)))
                    .chain(system),
            );
        }
        // With a RUNPATH, the RPATHs of all objects are ignored.
        let uses_rpath = direct.elf.runpath.is_none();
        let rpaths = needed_by
            .filter(|_| uses_rpath)
            .flat_map(|object| directories(object, object.elf.rpath.as_ref()));
        let rpaths = rpaths.map(|directory| in_directory(&directory));
        let runpath = directories(direct, direct.elf.runpath.as_ref())
            .map(|directory| in_directory(&directory));
        let cached = self.cached(name).into_iter().map(str::to_owned);
        self.first(
            rpaths
                .chain(library_path)
                .chain(runpath)
                .chain(cached)
                .chain(system),
        )
    }

    /// The path of a library with this name in a directory that the loader does not search.
    pub(crate) fn find_elsewhere(&self, name: &str) -> Option<String> {
        let mut paths = self
            .files
            .paths()
            .filter(|path| path.rsplit('/').next() == Some(name));
        paths
            .find_map(|path| {
                self.open(format!("/{path}"))
                    .filter(|object| object.elf.machine == self.machine)
            })
            .map(|object| object.path)
    }

    /// The directories that `ldconfig` would add to the loader's cache.
    pub(crate) fn configured(&self) -> Vec<&'a str> {
        conf::directories(self.files)
    }

    /// The first suitable library. glibc skips a file for another machine, musl stops at it.
    fn first(&self, paths: impl Iterator<Item = String>) -> Option<Object> {
        let has_machine = |object: &Object| object.elf.machine == self.machine;
        let mut objects = paths.filter_map(|path| self.open(path));
        if self.is_musl {
            objects.next().filter(has_machine)
        } else {
            objects.find(has_machine)
        }
    }

    fn open(&self, path: String) -> Option<Object> {
        match self.files.find(&path)? {
            (place, FsEntry::File(Some(IndexedFile::Library(facts)))) => Some(Object {
                names: Vec::new(),
                path,
                place,
                elf: facts.read()?,
            }),
            _ => None,
        }
    }

    fn cached(&self, name: &str) -> Vec<&'a str> {
        match self.files.find("etc/ld.so.cache") {
            Some((_, FsEntry::File(Some(IndexedFile::LoaderCache(cache))))) => {
                cache.paths(name).collect()
            }
            _ => Vec::new(),
        }
    }

    /// The directories of `/etc/ld-musl-ARCH.path`, separated by newlines or colons, or musl's default.
    fn musl_directories(&self) -> Vec<String> {
        let name = self
            .interpreter
            .rsplit('/')
            .next()
            .unwrap_or_default()
            .split('.')
            .next()
            .unwrap_or_default();
        let text = self
            .files
            .text(&format!("etc/{name}.path"))
            .unwrap_or("/lib:/usr/local/lib:/usr/lib");
        text.split([':', '\n'])
            .map(str::trim)
            .filter(|directory| !directory.is_empty())
            .map(str::to_owned)
            .collect()
    }
}

/// Whether the path of a loader is that of musl.
pub(crate) fn is_musl(interpreter: &str) -> bool {
    interpreter
        .rsplit('/')
        .next()
        .is_some_and(|name| name.starts_with("ld-musl-"))
}

/// The directories that are compiled into glibc's loader: Debian's multiarch directory, and the loader's own directory,
/// `/usr/lib64` on other distributions. `/usr` may be merged or not.
fn glibc_directories(machine: MachineType, loader: &str) -> Vec<String> {
    let own = loader
        .rsplit_once('/')
        .map_or("", |(directory, _)| directory);
    let own = own.strip_prefix("usr/").unwrap_or(own);
    let debian = machine.multiarch().map(|tuple| format!("lib/{tuple}"));
    let mut directories = Vec::new();
    for directory in debian.into_iter().chain([own.to_owned(), "lib".to_owned()]) {
        directories.extend([format!("/{directory}"), format!("/usr/{directory}")]);
    }
    directories
}

/// The absolute directories of a search path, with `$ORIGIN` expanded.
fn directories<'o>(
    object: &'o Object,
    search_path: Option<&'o String>,
) -> impl Iterator<Item = String> + use<'o> {
    let directories = search_path
        .into_iter()
        .flat_map(|path| path.split(':'))
        .map(|directory| expand_origin(directory, object));
    directories.filter(|directory| directory.starts_with('/'))
}

fn expand_origin(path: &str, object: &Object) -> String {
    let origin = object
        .path
        .rsplit_once('/')
        .map_or("", |(directory, _)| directory);
    path.replace("${ORIGIN}", origin).replace("$ORIGIN", origin)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(crate) mod tests;
