//! The backend's client against a backend in memory, good and bad, and the commands that log in to it.

#![allow(clippy::unwrap_used)]

mod any_answers;
mod bad_answers;
mod clusters;
mod commands;
mod encryption;
mod flows;
mod official;
mod protocol;
mod world;
