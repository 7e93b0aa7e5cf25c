//! The native builder and the publishers that need no server, read with other tools.

#![allow(clippy::unwrap_used, missing_docs)]

mod builder;
mod fixture;
mod inputs;
mod inventory;
mod publishers;
mod start_check;
