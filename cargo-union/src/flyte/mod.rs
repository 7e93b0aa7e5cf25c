//! Flyte 2 and Union, the backend: which one, who the user is to it, and how it is spoken to.
//!
//! Nothing here knows of manifests, builders or registries: images come in as pinned references. What
//! the backend's messages are is said in `proto/`, and nowhere else.

pub mod config;
pub mod idl;
