//! The workspace room with real cargo, on tiny projects in temporary folders.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod building;
mod coverage;
mod inputs;
mod loading;
mod project;
mod reproducible;
