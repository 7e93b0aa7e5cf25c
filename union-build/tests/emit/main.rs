//! `union_build::emit()` in real packages, built by a real cargo.
#![allow(clippy::unwrap_used)]

mod packages;
mod project;
mod scripts;
