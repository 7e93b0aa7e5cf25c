//! Flyte 1: the services of [`Backend`](super::backend::Backend) and [`RunService`](super::runs::RunService) over REST.
//!
//! Requests and responses are converted from and to the messages of Flyte 2, so that code above the traits is the same
//! for both generations. A run has no stream: [`watch`] polls it, at first often.

mod files;
mod launch_plans;
mod phases;
mod runs;
mod schedules;
pub(in crate::flyte) mod task;
mod tasks;
mod watch;

#[cfg(test)]
mod tests;

pub(crate) use files::RequestFile;
pub(in crate::flyte) use files::request_files;

use super::client::Client;

/// A backend of Flyte 1.
#[derive(Clone, Debug)]
pub(in crate::flyte) struct Flyte1(pub(in crate::flyte) Client);
