//! Test support: projects in temporary directories, assertions on the outcome of their runs, and the servers that they
//! connect to.
//!
//! ```no_run
//! use union_tests::Project;
//!
//! let project = Project::package("hello").union("[package.metadata.union.images.default]\nbase-image = 7\n");
//! project.run(["check"]).fails_with("U0103").stderr_has("expected a string");
//! ```
//!
//! Nothing here depends on the tool's internals: tests observe what a user observes. Everything that is started is
//! stopped, uses loopback only and has its files in a temporary directory. No test is skipped.

pub mod arbitrary;
pub mod backend;
pub mod base;
pub mod browser;
pub mod c;
pub mod engine;
pub mod faulty_registry;
pub mod flyte1;
pub mod front_end;
pub mod http;
pub mod keys;
mod namespaces;
pub mod permissions;
pub mod project;
pub mod proxy;
pub mod registry;
pub mod run;
pub mod stub;
pub mod terminal;
pub mod text;
pub mod tls;
pub mod token;
pub mod tools;

pub use project::Project;
pub use run::{Outcome, Running};
pub use snapbox::{file, str};
