//! `union_build::emit()` as its users meet it: in real packages, built by the real cargo.
#![allow(clippy::unwrap_used)]

mod packages;
mod project;
mod scripts;
