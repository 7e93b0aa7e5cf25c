//! The ground floor: one door for each effect, known to every room and knowing none.

pub mod cache;
pub mod error;
pub mod fs;
pub mod log;
pub mod process;
pub mod random;
pub mod secret;
pub mod signal;
pub mod stat_cache;
