//! The launcher as a program: compiled once by the arguments that `cargo union` gives to rustc, then run with real programs, also
//! as process 1.

#![allow(clippy::unwrap_used, missing_docs)]

mod compile;
mod outputs;
mod setup;
mod signals;
mod start;
