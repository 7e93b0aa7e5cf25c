//! How a package is compiled.

use std::collections::{BTreeMap, BTreeSet};

/// How a package is compiled for an image. Images of a package with equal settings and targets share one compile.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CompileSettings {
    /// cargo's `--profile`.
    pub profile: String,
    /// cargo's `--features`, sorted.
    pub features: BTreeSet<String>,
    /// Whether default features are enabled.
    pub default_features: bool,
    /// Whether binaries are linked statically or dynamically.
    pub linkage: Linkage,
    /// Additional environment variables of the compile, from `build.env`.
    pub env: BTreeMap<String, String>,
    /// The compile mode that the user has set.
    pub compile_mode: CompileMode,
    /// The image with the toolchain of a container compile.
    pub rust_image: Option<String>,
    /// Debian packages to install for a container compile, from `build.apt-packages`.
    pub apt_packages: Vec<String>,
}

/// Where a package is compiled: the manifest's `compile`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CompileMode {
    /// The first backend that can compile for the target.
    #[default]
    Auto,
    /// The host's cargo.
    Host,
    /// cargo-zigbuild.
    Zig,
    /// cargo in a container.
    Container,
}

impl CompileMode {
    /// The value in a manifest.
    pub fn word(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Host => "host",
            Self::Zig => "zig",
            Self::Container => "container",
        }
    }
}

/// How a binary is linked, with `auto` resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Linkage {
    /// Without shared libraries.
    Static,
    /// Against the base image's C library.
    Dynamic,
}
