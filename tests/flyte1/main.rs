//! Tasks registered with a control plane of Flyte 1 that has the official messages, and run there.
#![allow(clippy::unwrap_used)]

mod examples;
mod failures;
mod generations;
mod login;
mod register;
mod run;
mod schedules;
mod setup;
