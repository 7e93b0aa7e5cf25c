//! The crates of a program, and which of them need which.

use serde::{Deserialize, Serialize};

/// The crates that were compiled for a program, sorted by name, version and source.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CrateGraph {
    /// The crates; edges are positions in this list.
    pub crates: Vec<Crate>,
    /// The position of the package that declares the program.
    pub root: usize,
}

/// One crate of a program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Crate {
    /// The name of the package.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Where its sources come from.
    pub source: CrateSource,
    /// The SHA-256 of its archive in hexadecimal, as Cargo.lock has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checksum: Option<String>,
    /// The expression of `package.license`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub license: Option<String>,
    /// Whether it is linked into the program, or only runs while the program is compiled.
    pub kind: CrateKind,
    /// The positions of its direct dependencies, sorted; without dev-dependencies.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dependencies: Vec<usize>,
}

/// Where the sources of a crate come from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum CrateSource {
    /// The registry crates.io, or a mirror of it.
    CratesIo,
    /// Another registry, by the URL of its index.
    Registry(String),
    /// A git repository, by its URL with the commit as fragment.
    Git(String),
    /// A directory: a member of the workspace, or a path dependency.
    Local,
}

/// When the code of a crate runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum CrateKind {
    /// In the program.
    Runtime,
    /// In a build script or a procedural macro alone.
    Build,
}
