//! The backend's messages, made from `proto/`: what of Flyte's protocol is used here, and no more.
//!
//! Names and numbers are the protocol's. Fields that nobody reads are left out; the wire skips them.

#![allow(missing_docs, reason = "the protocol's own documentation says what they mean")]

include!(concat!(env!("OUT_DIR"), "/idl.rs"));

pub use flyteidl2::{auth, cluster, common};
