//! Flyte 2 and Union, the backend: which one, who the user is to it, and how it is spoken to.
//!
//! Nothing here knows of manifests, builders or registries: images come in as pinned references. What
//! the backend's messages are is said in `proto/`, and nowhere else.

pub mod actions;
mod auth;
pub mod backend;
pub mod client;
pub mod config;
pub mod console;
pub mod convert;
pub mod files;
pub mod idl;
pub mod images;
pub mod interface;
pub mod project;
pub mod register;
pub mod rpc;
pub mod runs;
pub mod tasks;
pub mod version;
pub mod worker;

use std::time::Duration;

/// What this room tells while it works; the user interface listens.
pub trait Reporter: Send + Sync {
    /// Something failed and is tried again.
    fn retrying(&self, what: &str, why: &str, after: Duration) {
        let _ = (what, why, after);
    }

    /// The user has to visit an address in order to log in.
    fn visit(&self, visit: &LoginPrompt<'_>) {
        let _ = visit;
    }

    /// A login is kept for the next time; `place` says where.
    fn kept(&self, place: &str) {
        let _ = place;
    }

    /// A worker on this machine has done a traced step.
    fn traced(&self, step: &str, took: Duration) {
        let _ = (step, took);
    }
}

/// A visit that the user has to make.
#[derive(Clone, Debug)]
pub struct LoginPrompt<'a> {
    /// The address.
    pub address: &'a str,
    /// What the user may be asked for there.
    pub code: Option<&'a str>,
    /// Whether a browser was opened with it.
    pub opened: bool,
}

/// Tells nobody.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Reporter for Silent {}
