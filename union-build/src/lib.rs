//! Resolved image references as constants, at compile time.

#[cfg(feature = "cli")]
pub mod diag;
#[cfg(feature = "cli")]
pub mod key;
#[cfg(feature = "cli")]
pub mod spec;
