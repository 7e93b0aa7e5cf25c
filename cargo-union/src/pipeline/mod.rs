//! The image pipeline as a library: from what a workspace declares to images that are at their places.
//!
//! `plan::BuildPlan::compute` resolves each image (bases, inputs, key, tag) and asks whether it is there;
//! `execute::execute` compiles, packs and publishes what is not, and records it.

pub(crate) mod backend;
pub(crate) mod build;
pub(crate) mod clients;
pub(crate) mod compile;
pub(crate) mod context;
pub(crate) mod environment;
pub(crate) mod execute;
pub(crate) mod interfaces;
pub mod options;
pub(crate) mod outcome;
pub(crate) mod package;
pub(crate) mod plan;
pub(crate) mod problems;
pub(crate) mod record;
mod reporter;
pub(crate) mod resolve;
pub(crate) mod route;
pub(crate) mod state;
pub(crate) mod target;

pub use reporter::{Guard, Reporter};
