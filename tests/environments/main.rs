//! Environments in which something has to run, made by real engines: Docker with its BuildKit, and podman.

#![allow(clippy::unwrap_used, missing_docs)]

mod bad_days;
mod commands;
mod compiling;
mod contexts;
mod dockerfile;
mod moved;
mod packages;
mod podman;
mod private;
mod python;
mod secrets;
mod shared;
mod starting;
mod variables;
mod weights;
mod world;
