//! Whether programs can start in an image: a verdict on its files, before anybody publishes it.
//!
//! What a program opens later, by `dlopen`, nobody can know. Everything here is a function of values;
//! who has the files of an image and the programs is in `build`.

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
pub struct Program<'a> {
    /// The binary's name.
    pub name: &'a str,
    /// Its absolute path in the image.
    pub path: &'a str,
    /// Its facts.
    pub elf: &'a Elf,
}

/// What an image sets for its programs, apart from its files.
#[derive(Clone, Copy, Debug)]
pub struct RuntimeConfig<'a> {
    /// The platform that it is for.
    pub platform: &'a Platform,
    /// `LD_LIBRARY_PATH`; empty when it is not set.
    pub library_path: &'a str,
    /// Libraries that may be absent: sonames of `runtime-libs`.
    pub runtime_libs: &'a [&'a str],
}

/// Why a program cannot start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartFailure {
    /// The program's name.
    pub program: String,
    /// What stands in its way.
    pub what: StartFailureKind,
}

/// What stands in a program's way, from what decides all to what decides one library. Whoever needs a
/// library is named when that is not the program itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StartFailureKind {
    /// It is no program; why.
    NotExecutable(String),
    /// It is made for another machine than the image.
    OtherMachine(MachineType),
    /// Its loader is not there, or is one for another machine.
    NoLoader(String),
    /// A library is not where the loader looks.
    NoLibrary {
        /// Its soname.
        name: String,
        /// Who needs it.
        needed_by: Option<String>,
        /// Where there is one all the same.
        elsewhere: Option<Elsewhere>,
    },
    /// A library has not the symbol versions that are needed.
    NoVersion {
        /// Its soname.
        name: String,
        /// Who needs them.
        needed_by: Option<String>,
        /// Those that it has not.
        missing: Vec<String>,
        /// Those that it has.
        has: Vec<String>,
    },
}

/// A place where the loader does not look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Elsewhere {
    /// The library's absolute path.
    pub path: String,
    /// Whether `ldconfig` would tell the loader.
    pub is_configured: bool,
}

/// What stands in the way of a program. No file of the image is looked at for a static one.
pub fn obstacles(program: Program<'_>, files: &FileIndex, setting: RuntimeConfig<'_>) -> Vec<StartFailure> {
    let obstacle = |what| StartFailure { program: program.name.to_owned(), what };
    let elf = program.elf;
    if MachineType::of(setting.platform).is_some_and(|machine| machine != elf.machine) {
        return vec![obstacle(StartFailureKind::OtherMachine(elf.machine))];
    }
    let Some(interpreter) = &elf.interpreter else {
        let library = || StartFailureKind::NotExecutable("it is a shared library: it needs others and names no loader".to_owned());
        return if elf.is_static() { Vec::new() } else { vec![obstacle(library())] };
    };
    let Some(loader) = Loader::of(elf, files, setting.library_path) else {
        return vec![obstacle(StartFailureKind::NoLoader(interpreter.clone()))];
    };
    let mut loading = Loading { loader, setting, objects: Vec::new(), obstacles: Vec::new() };
    loading.load(program);
    loading.compare_versions();
    loading.obstacles.into_iter().map(obstacle).collect()
}

/// Whether a node brings a library: the driver of its graphics cards, whose parts fit only one another.
fn comes_with_the_node(name: &str) -> bool {
    const DRIVER: [&str; 5] = ["libcuda.so", "libcudadebugger.so", "libnvidia-", "libnvcuvid.so", "libnvoptix.so"];
    DRIVER.iter().any(|part| name.starts_with(part))
}

/// A program and what the loader adds to it, as far as it gets.
struct Loading<'a> {
    loader: Loader<'a>,
    setting: RuntimeConfig<'a>,
    /// In the order of loading, each with who needed it first; the program is the first.
    objects: Vec<(Object, usize)>,
    obstacles: Vec<StartFailureKind>,
}

impl<'a> Loading<'a> {
    /// Loads breadth first, as loaders do: a name that is loaded is not looked for again, wherever
    /// another one would be.
    fn load(&mut self, program: Program<'_>) {
        let place = program.path.trim_start_matches('/').to_owned();
        self.objects.push((Object { names: Vec::new(), path: program.path.to_owned(), place, elf: program.elf.clone() }, 0));
        self.objects.extend(self.loader.itself().map(|itself| (itself, 0)));
        let mut todo = VecDeque::from([0]);
        let mut missing = Vec::new();
        while let Some(needing) = todo.pop_front() {
            for name in self.objects[needing].0.elf.needed.clone() {
                if self.loader.is_itself(&name) || self.position(&name).is_some() || missing.contains(&name) {
                    continue;
                }
                match self.loader.find(&name, self.upwards(needing)) {
                    Some(object) => todo.extend(self.add(object, &name, needing)),
                    None => {
                        self.miss(&name, needing);
                        missing.push(name);
                    }
                }
            }
        }
    }

    /// Takes a library up, unless it is one that is there under another name.
    fn add(&mut self, mut object: Object, name: &str, needing: usize) -> Option<usize> {
        if let Some((there, _)) = self.objects.iter_mut().find(|(there, _)| there.place == object.place) {
            there.names.push(name.to_owned());
            return None;
        }
        object.names.push(name.to_owned());
        self.objects.push((object, needing));
        Some(self.objects.len() - 1)
    }

    fn miss(&mut self, name: &str, needing: usize) {
        if comes_with_the_node(name) || self.setting.runtime_libs.contains(&name) {
            return;
        }
        let elsewhere = self.loader.elsewhere(name).map(|path| {
            let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
            let is_configured = self.loader.configured().iter().any(|named| named.trim_end_matches('/') == folder);
            Elsewhere { is_configured, path }
        });
        self.obstacles.push(StartFailureKind::NoLibrary { name: name.to_owned(), needed_by: self.name_of(needing), elsewhere });
    }

    fn compare_versions(&mut self) {
        if !self.loader.knows_versions() {
            return;
        }
        for (needing, (object, _)) in self.objects.iter().enumerate() {
            for (name, wanted) in &object.elf.versions_needed {
                let Some(library) = self.position(name).map(|at| &self.objects[at].0.elf) else { continue };
                // A library without any version only makes the loader grumble, which then fails at the first symbol.
                let missing: Vec<String> = wanted.iter().filter(|version| !library.versions.contains(version)).cloned().collect();
                if !missing.is_empty() {
                    let (needed_by, has) = (self.name_of(needing), library.versions.clone());
                    self.obstacles.push(StartFailureKind::NoVersion { name: name.clone(), needed_by, missing, has });
                }
            }
        }
    }

    fn position(&self, name: &str) -> Option<usize> {
        self.objects.iter().position(|(object, _)| object.answers_to(name))
    }

    /// An object, who needed it, and so on up to the program.
    fn upwards(&self, from: usize) -> impl Iterator<Item = &Object> + Clone {
        let next = |at: &usize| (*at > 0).then(|| self.objects[*at].1);
        std::iter::successors(Some(from), next).map(|at| &self.objects[at].0)
    }

    /// What a library is called; `None` for the program.
    fn name_of(&self, at: usize) -> Option<String> {
        let object = &self.objects[at].0;
        let own = || object.elf.soname.clone().unwrap_or_else(|| object.path.clone());
        (at > 0).then(|| object.names.first().cloned().unwrap_or_else(own))
    }
}
