//! The image pipeline as a library: resolve, plan, compile, pack, publish, record.
//!
//! `plan::BuildPlan::compute` resolves each image (bases, inputs, key, tag) and checks whether it exists;
//! `execute::execute` compiles, packs and publishes the missing ones, and records the results.

mod attachment;
mod audit;
pub(crate) mod backend;
pub(crate) mod build;
pub(crate) mod clients;
pub(crate) mod compile;
mod compile_plan;
pub(crate) mod context;
pub(crate) mod dockerfile;
pub(crate) mod environment;
mod executables;
pub(crate) mod execute;
pub(crate) mod interfaces;
mod inventory;
mod launcher;
pub(crate) mod names;
pub mod options;
pub(crate) mod outcome;
pub(crate) mod package;
pub(crate) mod plan;
pub(crate) mod problems;
pub(crate) mod promotion;
pub(crate) mod record;
mod reporter;
pub(crate) mod resolve;
pub(crate) mod route;
mod sbom;
pub(crate) mod signature;
pub(crate) mod state;
pub(crate) mod target;
pub(crate) mod update;
pub(crate) mod verify;
pub(crate) mod yaml_files;

pub use reporter::{Guard, Reporter};
