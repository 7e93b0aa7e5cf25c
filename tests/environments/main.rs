//! Environments with steps that run in real engines: Docker with BuildKit, and podman.

#![allow(clippy::unwrap_used, missing_docs)]

mod changed_files;
mod commands;
mod container_compile;
mod contexts;
mod dockerfile;
mod failures;
mod packages;
mod podman;
mod private_bases;
mod python;
mod secrets;
mod setup;
mod sharing;
mod start_check;
mod stored_layers;
mod variables;
