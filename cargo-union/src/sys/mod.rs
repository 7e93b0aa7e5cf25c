//! Access to the operating system: files, processes, signals, randomness, secrets and the cache; and the error type.
//!
//! Every module may use this one; it uses no other module.

pub mod cache;
pub(crate) mod cleanup;
pub(crate) mod copy;
pub mod digest;
pub mod disk;
pub mod error;
pub mod fs;
pub mod log;
pub mod parallel;
pub mod process;
pub mod random;
pub mod secret;
pub mod signal;
pub mod stat_cache;
pub mod terminal;
pub mod words;
