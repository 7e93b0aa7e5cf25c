//! What to write into the manifest when programs cannot start, in the order of what it costs.

use std::cmp::Ordering;

use super::debian::{self, NEWEST};
use super::{Elsewhere, StartFailure, StartFailureKind};
use crate::image::index::FileIndex;
use crate::image::loader::is_musl;
use crate::image::platform::Platform;
use crate::image::release::Release;
use crate::sys::words::list;

/// The image that programs cannot start in.
#[derive(Clone, Copy, Debug)]
pub struct StartCheckContext<'a> {
    /// Its name in the manifest.
    pub image: &'a str,
    /// Its base, as typed.
    pub base: &'a str,
    /// Its platform.
    pub platform: &'a Platform,
    /// Its files.
    pub files: &'a FileIndex,
    /// Whether it has `apt-packages` already.
    pub has_packages: bool,
}

/// One sentence for each thing that puts something right; empty when the code's own cure says it all.
pub(super) fn cures(obstacles: &[StartFailure], scene: StartCheckContext<'_>, release: Option<&Release>) -> Vec<String> {
    let about = SuggestionContext { scene, release };
    let mut cures = Vec::new();
    let mut packages = Vec::new();
    for obstacle in obstacles {
        let cure = match &obstacle.what {
            StartFailureKind::NotExecutable(_) | StartFailureKind::OtherMachine(_) => None,
            StartFailureKind::NoLoader(path) => Some(about.loader(path)),
            StartFailureKind::NoLibrary { elsewhere: Some(elsewhere), .. } => Some(known_to_the_loader(elsewhere)),
            StartFailureKind::NoLibrary { name, .. } => match about.library(name) {
                StartSuggestion::Package(package) => {
                    packages.push(package);
                    None
                }
                StartSuggestion::Sentence(sentence) => Some(sentence),
            },
            StartFailureKind::NoVersion { name, needed_by, missing, .. } => Some(about.version(name, needed_by.is_some(), missing)),
        };
        cures.extend(cure.filter(|cure| !cures.contains(cure)));
    }
    packages.sort_unstable();
    packages.dedup();
    if !packages.is_empty() {
        cures.insert(0, about.packages(&packages));
    }
    cures
}

/// CUDA's own libraries, which a driver does not bring and Debian does not have.
const CUDA: [&str; 9] =
    ["libcudart.so", "libcublas", "libcudnn", "libcufft", "libcurand.so", "libcusolver", "libcusparse", "libnccl.so", "libnvrtc"];

enum StartSuggestion {
    Package(String),
    Sentence(String),
}

struct SuggestionContext<'a> {
    scene: StartCheckContext<'a>,
    release: Option<&'a Release>,
}

impl SuggestionContext<'_> {
    fn loader(&self, path: &str) -> String {
        let files = self.scene.files;
        let other = files.paths().any(|path| path.starts_with("lib/ld-musl-") || path.starts_with("usr/lib/ld-musl-"));
        if is_musl(path) {
            return "Compile for a target with `gnu` in its name, set `link = \"static\"`, or choose a base image of Alpine.".to_owned();
        }
        let base = if other { "uses musl: set `link = \"static\"`" } else { "has no C library: set `link = \"static\"`" };
        format!("The base image {base}, or choose one with glibc, such as `gcr.io/distroless/cc-debian13`.")
    }

    fn library(&self, name: &str) -> StartSuggestion {
        let codename = self.release.and_then(|release| release.codename.as_deref()).unwrap_or_default();
        if CUDA.iter().any(|start| name.starts_with(start)) {
            let sentence = "CUDA's own libraries come with a base image of `nvidia/cuda` whose tag has `runtime`; `cudnn` in it for cuDNN.";
            return StartSuggestion::Sentence(sentence.to_owned());
        }
        if let Some(python) = debian::python(name).filter(|python| !(has_apt(self.scene.files) && debian::has_python(codename, python))) {
            return StartSuggestion::Sentence(format!(
                "Choose a base image with Python {python}, such as `python:{python}-slim`, or set `compile = \"container\"`, which links the Python of the base image."
            ));
        }
        match debian::package(name) {
            Some(package) => StartSuggestion::Package(package),
            None => StartSuggestion::Sentence(format!(
                "Bring `{name}` with `copy`, into a folder that `env = {{ LD_LIBRARY_PATH = \"…\" }}` names; list it under `runtime-libs` if something else brings it."
            )),
        }
    }

    fn packages(&self, packages: &[String]) -> String {
        let quoted: Vec<String> = packages.iter().map(|package| format!("\"{package}\"")).collect();
        let key = format!("`apt-packages = [{}]`", quoted.join(", "));
        if self.scene.has_packages {
            return format!("To have what is missing, add {} to the image's `apt-packages`.", list(packages));
        }
        if has_apt(self.scene.files) {
            return format!("To have what is missing, add {} to the image: {key}.", list(packages));
        }
        format!("To have what is missing, add {} to an image of Debian: `base-image = \"{}\"` and {key}.", list(packages), self.debian())
    }

    /// A base image with `apt`, of the same release when that is Debian's.
    fn debian(&self) -> String {
        let same = self.release.filter(|release| release.id == "debian").and_then(|release| release.codename.as_ref());
        same.map_or(NEWEST.0.to_owned(), |codename| format!("debian:{codename}-slim"))
    }

    fn version(&self, library: &str, needed_by_library: bool, missing: &[String]) -> String {
        if needed_by_library {
            return format!("Choose a newer base image, or libraries that do with its `{library}`.");
        }
        let is_libc = missing.iter().all(|version| version.starts_with("GLIBC_"));
        let is_enough = |version: &String| by_number(version, NEWEST.1) != Ordering::Greater;
        let such_as = if is_libc && missing.iter().all(is_enough) { format!(", such as `{}`", NEWEST.0) } else { String::new() };
        let zig = if is_libc { "set `compile = \"zig\"`, which links against an older C library; " } else { "" };
        format!(
            "Choose a newer base image{such_as}; {zig}set `compile = \"container\"`, which links against the libraries of the base image; or set `link = \"static\"`."
        )
    }
}

fn known_to_the_loader(Elsewhere { path, is_configured }: &Elsewhere) -> String {
    let folder = path.rsplit_once('/').map_or("/", |(folder, _)| folder);
    let ldconfig = if *is_configured { ", or run `commands = [\"ldconfig\"]`" } else { "" };
    format!("Tell the loader of the folder: `env = {{ LD_LIBRARY_PATH = \"{folder}\" }}`{ldconfig}.")
}

fn has_apt(files: &FileIndex) -> bool {
    ["usr/bin/apt-get", "var/lib/dpkg/status"].iter().all(|path| files.find(path).is_some())
}

/// Compares versions of one family part by part, as numbers.
pub(super) fn by_number(one: &str, other: &str) -> Ordering {
    let numbers = |version: &str| -> Vec<u64> {
        let number = version.rsplit('_').next().unwrap_or(version);
        number.split('.').map(|part| part.parse().unwrap_or(0)).collect()
    };
    numbers(one).cmp(&numbers(other))
}
