//! The whole way as a user goes it: a crate, a real registry, a real engine.
#![allow(clippy::unwrap_used)]

mod bases;
mod failures;
mod images;
mod logins;
mod world;
