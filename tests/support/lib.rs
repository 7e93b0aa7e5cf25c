//! What the tests share: projects in temporary folders, the language in which their runs are judged,
//! and the servers that they talk to.
//!
//! ```no_run
//! use union_tests::Project;
//!
//! let project = Project::package("hello").union("[package.metadata.union.images.default]\nbase-image = 7\n");
//! project.run(["check"]).fails_with("U0103").stderr_has("expected a string");
//! ```
//!
//! Nothing here knows how the tool works inside: tests see what a user sees. Everything that is
//! started is stopped, stays on loopback and lives in a temporary folder; nothing is ever skipped.

pub mod arbitrary;
pub mod backend;
pub mod base;
pub mod c;
pub mod engine;
pub mod front;
pub mod hostile;
pub mod http;
mod namespaces;
pub mod project;
pub mod proxy;
pub mod registry;
pub mod run;
pub mod stub;
pub mod text;
pub mod tls;
pub mod token;
pub mod tools;

pub use project::Project;
pub use run::{Outcome, Running};
pub use snapbox::{file, str};
