//! Suggested changes of the manifest when programs cannot start, the simplest first.

use std::cmp::Ordering;

use super::debian::{self, NEWEST};
use super::{StartFailure, StartFailureKind, UnsearchedLibrary};
use crate::image::index::FileIndex;
use crate::image::loader::is_musl;
use crate::image::platform::Platform;
use crate::image::release::Release;
use crate::sys::words::list;

/// The image that programs cannot start in.
#[derive(Clone, Copy, Debug)]
pub struct StartCheckContext<'a> {
    /// The name of the image in the manifest.
    pub image: &'a str,
    /// The base as written in the manifest, or `scratch`.
    pub base: &'a str,
    /// The platform of the image.
    pub platform: &'a Platform,
    /// The files of the image, possibly [reduced](FileIndex::reduced).
    pub files: &'a FileIndex,
    /// Whether the image has `apt-packages` already.
    pub has_packages: bool,
}

/// One sentence for each suggestion; empty if the help of the error code suffices.
pub(super) fn suggestions(
    failures: &[StartFailure],
    check: StartCheckContext<'_>,
    release: Option<&Release>,
) -> Vec<String> {
    let context = SuggestionContext { check, release };
    let mut suggestions = Vec::new();
    let mut packages = Vec::new();
    for failure in failures {
        let suggestion = match &failure.kind {
            StartFailureKind::NotExecutable(_) | StartFailureKind::OtherMachine(_) => None,
            StartFailureKind::NoLoader(path) => Some(context.loader(path)),
            StartFailureKind::NoLibrary {
                elsewhere: Some(elsewhere),
                ..
            } => Some(extend_search_path(elsewhere)),
            StartFailureKind::NoLibrary { name, .. } => match context.library(name) {
                StartSuggestion::Package(package) => {
                    packages.push(package);
                    None
                }
                StartSuggestion::Sentence(sentence) => Some(sentence),
            },
            StartFailureKind::NoVersion {
                name,
                needed_by,
                missing,
                ..
            } => Some(context.version(name, needed_by.is_some(), missing)),
        };
        suggestions.extend(suggestion.filter(|suggestion| !suggestions.contains(suggestion)));
    }
    packages.sort_unstable();
    packages.dedup();
    if !packages.is_empty() {
        suggestions.insert(0, context.packages(&packages));
    }
    suggestions
}

/// Libraries of CUDA, which are part of neither the GPU driver nor Debian.
const CUDA: [&str; 9] = [
    "libcudart.so",
    "libcublas",
    "libcudnn",
    "libcufft",
    "libcurand.so",
    "libcusolver",
    "libcusparse",
    "libnccl.so",
    "libnvrtc",
];

enum StartSuggestion {
    Package(String),
    Sentence(String),
}

struct SuggestionContext<'a> {
    check: StartCheckContext<'a>,
    release: Option<&'a Release>,
}

impl SuggestionContext<'_> {
    fn loader(&self, path: &str) -> String {
        let files = self.check.files;
        let uses_musl = files
            .paths()
            .any(|path| path.starts_with("lib/ld-musl-") || path.starts_with("usr/lib/ld-musl-"));
        if is_musl(path) {
            return "Compile for a target with `gnu` in its name, set `link = \"static\"`, or choose an Alpine base image.".to_owned();
        }
        let base = if uses_musl {
            "uses musl: set `link = \"static\"`"
        } else {
            "has no C library: set `link = \"static\"`"
        };
        format!(
            "The base image {base}, or choose one with glibc, such as `gcr.io/distroless/cc-debian13`."
        )
    }

    fn library(&self, name: &str) -> StartSuggestion {
        let codename = self
            .release
            .and_then(|release| release.codename.as_deref())
            .unwrap_or_default();
        if CUDA.iter().any(|start| name.starts_with(start)) {
            let sentence = "CUDA libraries are part of `nvidia/cuda` base images with `runtime` in their tag, cuDNN of those with `cudnn`.";
            return StartSuggestion::Sentence(sentence.to_owned());
        }
        if let Some(python) = debian::python(name)
            .filter(|python| !(has_apt(self.check.files) && debian::has_python(codename, python)))
        {
            return StartSuggestion::Sentence(format!(
                "Choose a base image with Python {python}, such as `python:{python}-slim`, or set `compile = \"container\"`, which links the Python of the base image."
            ));
        }
        match debian::package(name) {
            Some(package) => StartSuggestion::Package(package),
            None => StartSuggestion::Sentence(format!(
                "Add `{name}` with `copy`, in a directory that is in `env = {{ LD_LIBRARY_PATH = \"…\" }}`; list it under `runtime-libs` if something else provides it."
            )),
        }
    }

    fn packages(&self, packages: &[String]) -> String {
        let quoted: Vec<String> = packages
            .iter()
            .map(|package| format!("\"{package}\""))
            .collect();
        let key = format!("`apt-packages = [{}]`", quoted.join(", "));
        if self.check.has_packages {
            return format!("Add {} to the image's `apt-packages`.", list(packages));
        }
        if has_apt(self.check.files) {
            return format!("Add {} to the image: {key}.", list(packages));
        }
        format!(
            "Add {} to a Debian image: `base-image = \"{}\"` and {key}.",
            list(packages),
            self.debian()
        )
    }

    /// A base image with `apt`, of the same release if that is Debian.
    fn debian(&self) -> String {
        let same = self
            .release
            .filter(|release| release.id == "debian")
            .and_then(|release| release.codename.as_ref());
        same.map_or(NEWEST.0.to_owned(), |codename| {
            format!("debian:{codename}-slim")
        })
    }

    fn version(&self, library: &str, needed_by_library: bool, missing: &[String]) -> String {
        if needed_by_library {
            return format!(
                "Choose a newer base image, or libraries that work with its `{library}`."
            );
        }
        let is_libc = missing.iter().all(|version| version.starts_with("GLIBC_"));
        let newest_suffices =
            |version: &String| compare_versions(version, NEWEST.1) != Ordering::Greater;
        let such_as = if is_libc && missing.iter().all(newest_suffices) {
            format!(", such as `{}`", NEWEST.0)
        } else {
            String::new()
        };
        let zig = if is_libc {
            "set `compile = \"zig\"`, which links against an older C library; "
        } else {
            ""
        };
        format!(
            "Choose a newer base image{such_as}; {zig}set `compile = \"container\"`, which links against the libraries of the base image; or set `link = \"static\"`."
        )
    }
}

fn extend_search_path(
    UnsearchedLibrary {
        path,
        is_configured,
    }: &UnsearchedLibrary,
) -> String {
    let directory = path
        .rsplit_once('/')
        .map_or("/", |(directory, _)| directory);
    let ldconfig = if *is_configured {
        ", or run `commands = [\"ldconfig\"]`"
    } else {
        ""
    };
    format!(
        "Add the directory to the search path of the loader: `env = {{ LD_LIBRARY_PATH = \"{directory}\" }}`{ldconfig}."
    )
}

fn has_apt(files: &FileIndex) -> bool {
    ["usr/bin/apt-get", "var/lib/dpkg/status"]
        .iter()
        .all(|path| files.find(path).is_some())
}

/// Compares versions of the same family numerically.
pub(super) fn compare_versions(one: &str, other: &str) -> Ordering {
    let numbers = |version: &str| -> Vec<u64> {
        let number = version.rsplit('_').next().unwrap_or(version);
        number
            .split('.')
            .map(|part| part.parse().unwrap_or(0))
            .collect()
    };
    numbers(one).cmp(&numbers(other))
}
