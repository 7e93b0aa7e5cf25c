//! The `workspace` module with a real cargo, on small projects in temporary directories.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod build;
mod coverage;
mod inputs;
mod load;
mod project;
mod reproducible;
