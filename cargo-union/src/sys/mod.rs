//! Access to the operating system: files, processes, signals, randomness, secrets, the cache; and errors.
//!
//! Every module may use it, and it uses none of them.

pub mod cache;
pub(crate) mod copy;
pub mod digest;
pub mod error;
pub mod fs;
pub mod log;
pub mod process;
pub mod random;
pub mod secret;
pub mod signal;
pub mod stat_cache;
pub mod words;
