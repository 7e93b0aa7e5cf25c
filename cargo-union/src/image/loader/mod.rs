//! The loaders of glibc and of musl: where they look for a library that a program needs.
//!
//! Neither runs here. What they find is told from the files of an image alone, in the order in which
//! they look. Only `$ORIGIN` is expanded: nothing in the field writes `$LIB` or `$PLATFORM`. Variants
//! for newer processors are left out, for they stand beside the library that serves every one.

pub mod cache;
mod conf;

use super::elf::Elf;
use super::index::{FileIndex, FsEntry, IndexedFile};
use super::machine::MachineType;

/// A library or the program itself, as the loader has it.
#[derive(Clone, Debug)]
pub(crate) struct Object {
    /// The names under which it was asked for.
    pub(crate) names: Vec<String>,
    /// The path by which it was found, which is what `$ORIGIN` goes by.
    pub(crate) path: String,
    /// Where that leads.
    pub(crate) place: String,
    /// Its facts.
    pub(crate) elf: Elf,
}

impl Object {
    /// Whether it is what a name asks for.
    pub(crate) fn answers_to(&self, name: &str) -> bool {
        self.elf.soname.as_deref() == Some(name) || self.names.iter().any(|own| own == name)
    }
}

/// A loader and all that decides where it looks.
#[derive(Debug)]
pub(crate) struct Loader<'a> {
    files: &'a FileIndex,
    machine: MachineType,
    /// The path that programs have of it.
    interpreter: &'a str,
    /// `LD_LIBRARY_PATH`.
    library_path: &'a str,
    /// The folders that need not be named.
    system: Vec<String>,
    is_musl: bool,
}

impl<'a> Loader<'a> {
    /// The loader that a program asks for, with what the image sets for it; `None` when it is not there.
    pub(crate) fn of(program: &'a Elf, files: &'a FileIndex, library_path: &'a str) -> Option<Self> {
        let interpreter = program.interpreter.as_deref()?;
        let mut loader =
            Self { files, machine: program.machine, interpreter, library_path, system: Vec::new(), is_musl: is_musl(interpreter) };
        let own = loader.open(interpreter.to_owned()).filter(|own| own.elf.machine == program.machine)?;
        loader.system = if loader.is_musl { loader.musl_folders() } else { glibc_folders(program.machine, &own.place) };
        Some(loader)
    }

    /// The loader as one of the libraries, which it is.
    pub(crate) fn itself(&self) -> Option<Object> {
        self.open(self.interpreter.to_owned())
    }

    /// Whether symbol versions are looked at.
    pub(crate) fn knows_versions(&self) -> bool {
        !self.is_musl
    }

    /// Whether a name stands for the loader: musl's is the C library and all its parts as well.
    pub(crate) fn is_itself(&self, name: &str) -> bool {
        const PARTS: [&str; 7] = ["libc.", "libpthread.", "librt.", "libm.", "libdl.", "libutil.", "libxnet."];
        self.is_musl && PARTS.iter().any(|part| name.starts_with(part))
    }

    /// Looks for a library; `needing` is who needs it, who needs that, and so on up to the program.
    pub(crate) fn find<'o>(&self, name: &str, needing: impl Iterator<Item = &'o Object> + Clone) -> Option<Object> {
        let own = needing.clone().next()?;
        if name.contains('/') {
            let path = expanded(name, own);
            return if path.starts_with('/') { self.first([path].into_iter()) } else { None };
        }
        let below = |folder: &str| format!("{}/{name}", folder.trim_end_matches('/'));
        let library_path = self.library_path.split([':', ';']).filter(|folder| folder.starts_with('/')).map(below);
        let system = self.system.iter().map(|folder| below(folder));
        if self.is_musl {
            let own = needing.flat_map(|object| folders(object, object.elf.runpath.as_ref().or(object.elf.rpath.as_ref())));
            return self.first(library_path.chain(own.map(|folder| below(&folder))).chain(system));
        }
        // Who has a RUNPATH wants nobody's RPATH.
        let is_old = own.elf.runpath.is_none();
        let rpaths = needing.filter(|_| is_old).flat_map(|object| folders(object, object.elf.rpath.as_ref()));
        let runpath = folders(own, own.elf.runpath.as_ref());
        let cached = self.cached(name).into_iter().map(str::to_owned);
        let named = rpaths.map(|folder| below(&folder)).chain(library_path).chain(runpath.map(|folder| below(&folder)));
        self.first(named.chain(cached).chain(system))
    }

    /// A library of that name that is in the image, where the loader does not look.
    pub(crate) fn elsewhere(&self, name: &str) -> Option<String> {
        let mut paths = self.files.paths().filter(|path| path.rsplit('/').next() == Some(name));
        paths.find_map(|path| self.open(format!("/{path}")).filter(|object| object.elf.machine == self.machine)).map(|object| object.path)
    }

    /// The folders that `ldconfig` would make known.
    pub(crate) fn configured(&self) -> Vec<&'a str> {
        conf::folders(self.files)
    }

    /// The first path that will do. glibc goes on when a file is for another machine, musl stops.
    fn first(&self, paths: impl Iterator<Item = String>) -> Option<Object> {
        let fits = |object: &Object| object.elf.machine == self.machine;
        let mut there = paths.filter_map(|path| self.open(path));
        if self.is_musl { there.next().filter(fits) } else { there.find(fits) }
    }

    fn open(&self, path: String) -> Option<Object> {
        match self.files.find(&path)? {
            (place, FsEntry::File(Some(IndexedFile::Library(facts)))) => {
                Some(Object { names: Vec::new(), path, place, elf: facts.read()? })
            }
            _ => None,
        }
    }

    fn cached(&self, name: &str) -> Vec<&'a str> {
        match self.files.find("etc/ld.so.cache") {
            Some((_, FsEntry::File(Some(IndexedFile::LoaderCache(cache))))) => cache.paths(name).collect(),
            _ => Vec::new(),
        }
    }

    /// What `/etc/ld-musl-ARCH.path` says, one folder a line or with colons between them.
    fn musl_folders(&self) -> Vec<String> {
        let name = self.interpreter.rsplit('/').next().unwrap_or_default().split('.').next().unwrap_or_default();
        let text = self.files.text(&format!("etc/{name}.path")).unwrap_or("/lib:/usr/local/lib:/usr/lib");
        text.split([':', '\n']).map(str::trim).filter(|folder| !folder.is_empty()).map(str::to_owned).collect()
    }
}

/// Whether a loader is musl's.
pub(crate) fn is_musl(interpreter: &str) -> bool {
    interpreter.rsplit('/').next().is_some_and(|name| name.starts_with("ld-musl-"))
}

/// The folders that were compiled into a loader of glibc: Debian's, and the one that it is in itself,
/// which is `/usr/lib64` elsewhere. `/usr` may be merged or not.
fn glibc_folders(machine: MachineType, place: &str) -> Vec<String> {
    let own = place.rsplit_once('/').map_or("", |(folder, _)| folder);
    let own = own.strip_prefix("usr/").unwrap_or(own);
    let debian = machine.multiarch().map(|folder| format!("lib/{folder}"));
    let mut folders = Vec::new();
    for folder in debian.into_iter().chain([own.to_owned(), "lib".to_owned()]) {
        folders.extend([format!("/{folder}"), format!("/usr/{folder}")]);
    }
    folders
}

/// A row of folders with `$ORIGIN` expanded, those that are absolute.
fn folders<'o>(object: &'o Object, row: Option<&'o String>) -> impl Iterator<Item = String> + use<'o> {
    let folders = row.into_iter().flat_map(|row| row.split(':')).map(|folder| expanded(folder, object));
    folders.filter(|folder| folder.starts_with('/'))
}

fn expanded(path: &str, object: &Object) -> String {
    let origin = object.path.rsplit_once('/').map_or("", |(folder, _)| folder);
    path.replace("${ORIGIN}", origin).replace("$ORIGIN", origin)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(crate) mod tests;
