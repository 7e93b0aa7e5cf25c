//! The native builder and the publishers that need no server, looked at with tools of other people.

#![allow(clippy::unwrap_used, missing_docs)]

mod builder;
mod inputs;
mod publishers;
mod scene;
mod starting;
