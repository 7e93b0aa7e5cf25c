//! What the tests of cargo-union share.

pub mod base;
pub mod engine;
