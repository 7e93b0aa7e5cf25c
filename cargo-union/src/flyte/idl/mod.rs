//! The backend's messages, made from `proto/`: what of Flyte's protocol is used here, and no more.
//!
//! Names and numbers are the protocol's. Fields that nobody reads are left out; the wire skips them, so
//! that nothing may be sent back that was read.

#![allow(missing_docs, reason = "the protocol's own documentation says what they mean")]

mod json;

include!(concat!(env!("OUT_DIR"), "/idl.rs"));

pub use flyteidl2::{actions, auth, cluster, common, core, dataproxy, imagebuilder, logs, project, task, unread, workflow};
pub use json::to_json;
pub use prost::Message;
pub use prost_types::{Duration, ListValue, Struct, Timestamp, Value, value};
