//! The backend's protobuf messages, generated from `proto/`, which contains the parts of Flyte's protocol in use.
//!
//! Names and numbers are those of the protocol. Unused fields are omitted and skipped when decoding, so a decoded
//! message must never be sent back.

#![allow(
    missing_docs,
    reason = "the protocol's own documentation says what they mean"
)]

mod json;

include!(concat!(env!("OUT_DIR"), "/idl.rs"));

/// The messages of Flyte 1.
pub use flyteidl as v1;
pub use flyteidl2::{
    actions, auth, cluster, common, core, dataproxy, imagebuilder, logs, project, secret, task,
    trigger, unread, workflow,
};
pub use json::to_json;
pub use prost::Message;
pub use prost_types::{Duration, ListValue, Struct, Timestamp, Value, value};
