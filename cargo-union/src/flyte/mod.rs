//! The client of Flyte 2 and Union backends: configuration, login, protocol, registration and runs.
//!
//! This module reads no manifests and does not depend on builders or registries: images are passed in as
//! pinned references. The backend's messages are declared in `proto/` only.

pub mod actions;
mod auth;
pub mod backend;
pub mod capabilities;
pub mod capability_page;
pub mod client;
pub mod config;
pub mod console;
pub mod convert;
mod dispatch;
pub mod files;
mod flyte1;
pub mod idl;
pub mod images;
pub mod interface;
mod pages;
pub mod project;
pub mod register;
pub mod rpc;
pub mod runs;
pub mod secrets;
pub mod task_details;
pub mod tasks;
mod trigger_summary;
pub mod triggers;
pub mod version;
pub mod worker;

use std::time::Duration;

/// Progress events of this module, which the user interface implements.
pub trait Reporter: Send + Sync {
    /// A call failed and will be retried after a pause.
    fn retrying(&self, what: &str, why: &str, after: Duration) {
        let _ = (what, why, after);
    }

    /// The user has to open an address in order to log in.
    fn login_required(&self, prompt: &LoginPrompt<'_>) {
        let _ = prompt;
    }

    /// The tokens of a login were stored; `place` is the keyring or the path of the file.
    fn login_stored(&self, place: &str) {
        let _ = place;
    }

    /// A worker in a local run has completed a traced step.
    fn traced(&self, step: &str, took: Duration) {
        let _ = (step, took);
    }
}

/// A login that the user has to complete in a browser.
#[derive(Clone, Debug)]
pub struct LoginPrompt<'a> {
    /// The address to open.
    pub address: &'a str,
    /// The code that the user may have to enter there.
    pub code: Option<&'a str>,
    /// Whether a browser was opened at the address.
    pub opened: bool,
}

/// A reporter that ignores all events.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Reporter for Silent {}
