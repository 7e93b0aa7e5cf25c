//! The specification of an image that the backend builds, as plain values.
//!
//! Paths of files are relative to the build context, an archive that is sent along.

use std::collections::BTreeMap;

use super::platform::Platform;

/// The remote image spec of one image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteImageSpec {
    /// Reference of the base, pinned by digest.
    pub base: String,
    /// Version of the Python that packages are installed for, `3.12`.
    pub python: String,
    /// The steps on top of the base, in order.
    pub steps: Vec<RemoteStep>,
    /// The platforms to build for.
    pub platforms: Vec<Platform>,
}

/// One build step, which becomes a layer of the backend's `ImageSpec`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RemoteStep {
    /// Installs Debian packages.
    Apt(Vec<String>),
    /// Installs Python packages.
    Pip {
        /// PEP 508 requirements.
        packages: Vec<String>,
        /// Indexes and further arguments.
        options: PipOptions,
    },
    /// Installs the packages of a `requirements.txt`.
    Requirements {
        /// Path of the file in the context.
        file: String,
        /// Indexes and further arguments.
        options: PipOptions,
    },
    /// Installs the packages of a `uv.lock`.
    UvProject {
        /// Path of the directory with `pyproject.toml` in the context.
        directory: String,
        /// Path of the lock file in the context.
        lock: String,
        /// Indexes and further arguments.
        options: PipOptions,
    },
    /// Copies a file, or the contents of a directory.
    Copy {
        /// Path in the context.
        from: String,
        /// Absolute path in the image.
        to: String,
    },
    /// Runs a shell command as root.
    Command {
        /// The command, a single line.
        line: String,
        /// Secrets that the command reads from variables.
        secrets: Vec<BuildSecret>,
    },
    /// Sets environment variables of the image.
    Env(BTreeMap<String, String>),
    /// Sets the working directory of the image.
    Workdir(String),
}

/// How Python packages are installed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PipOptions {
    /// URL of the package index; `None` is PyPI.
    pub index: Option<String>,
    /// URLs of additional indexes.
    pub extra_indexes: Vec<String>,
    /// Additional command line arguments of pip, unparsed.
    pub arguments: Option<String>,
}

/// A secret that is stored in the backend.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BuildSecret {
    /// The name of the secret in the backend.
    pub key: String,
    /// The environment variable with its value.
    pub variable: String,
}
