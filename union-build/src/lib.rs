//! The `build.rs` half of `cargo union`: resolved image references as constants in the compiled crate.
//!
//! ```no_run
//! // build.rs
//! fn main() {
//!     union_build::emit();
//! }
//! ```
//!
//! ```text
//! // src/main.rs
//! mod images {
//!     include!(concat!(env!("OUT_DIR"), "/union_images.rs"));
//! }
//!
//! fn main() {
//!     if let Some(reference) = images::DEFAULT.reference() {
//!         println!("built for {reference}; running in it: {}", images::DEFAULT.is_current());
//!     }
//! }
//! ```
//!
//! The generated file has a constant per image, the list `ALL` of them, and `for_task("train")`. On a
//! fresh clone nothing is resolved: the constants have no tag, and a warning names the command that
//! resolves them. `emit().require_resolved()` makes that an error. The generated code has no
//! dependencies at run time.
//!
//! [`emit`] prints `rerun-if-changed` lines, and once a build script prints one, cargo no longer
//! watches the whole package: a `build.rs` that reads other files has to print a line for each.
//!
//! Without the feature `cli` this crate is small, because it is compiled in every user's build. The
//! feature adds what only `cargo-union` needs: the manifest's schema and types, diagnostics, content keys.
#![allow(
    clippy::needless_doctest_main,
    reason = "the example shows a whole build.rs"
)]

mod emit;
pub mod handover;

pub use emit::{EmitOutput, emit};

#[cfg(feature = "cli")]
pub mod diag;
#[cfg(feature = "cli")]
pub mod key;
#[cfg(feature = "cli")]
pub mod spec;
