//! `cargo union`: container images for Rust tasks on Flyte and Union, declared in `Cargo.toml`.

pub mod base;
pub mod build;
pub mod image;
pub mod publish;
pub mod workspace;
