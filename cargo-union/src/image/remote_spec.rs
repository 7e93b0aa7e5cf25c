//! An image that somebody else makes: what they are told, as plain values.
//!
//! Paths of files are those in the order's context, an archive that goes along with it.

use std::collections::BTreeMap;

use super::platform::Platform;

/// What somebody else is to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteImageSpec {
    /// The base, pinned by digest.
    pub base: String,
    /// Version of the Python that packages are installed for, `3.12`.
    pub python: String,
    /// What is made upon the base, in order.
    pub steps: Vec<RemoteStep>,
    /// For which platforms.
    pub platforms: Vec<Platform>,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RemoteStep {
    /// Debian packages are installed.
    Apt(Vec<String>),
    /// Python packages are installed.
    Pip {
        /// The packages.
        packages: Vec<String>,
        /// Where they come from, and how.
        options: PipOptions,
    },
    /// What a `requirements.txt` lists is installed.
    Requirements {
        /// The file.
        file: String,
        /// Where packages come from, and how.
        options: PipOptions,
    },
    /// What a `uv.lock` pins is installed.
    UvProject {
        /// The folder of the `pyproject.toml`.
        folder: String,
        /// The lock file.
        lock: String,
        /// Where packages come from, and how.
        options: PipOptions,
    },
    /// A file, or what is in a folder, is copied.
    Copy {
        /// In the context.
        from: String,
        /// In the image, absolute.
        to: String,
    },
    /// A shell command is run as root.
    Command {
        /// One line.
        line: String,
        /// What it finds in variables.
        secrets: Vec<BuildSecret>,
    },
    /// The environment of the image.
    Env(BTreeMap<String, String>),
    /// The working folder of the image.
    Workdir(String),
}

/// How Python packages are installed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PipOptions {
    /// The index, when it is not the usual one.
    pub index: Option<String>,
    /// Further indexes.
    pub extra_indexes: Vec<String>,
    /// Further arguments.
    pub arguments: Option<String>,
}

/// A secret that whoever makes the image has already.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BuildSecret {
    /// Its name there.
    pub key: String,
    /// The variable that a command finds it in.
    pub variable: String,
}
