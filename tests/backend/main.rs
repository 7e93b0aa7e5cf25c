//! The client of the backend against an in-memory backend, and the commands that log in.

#![allow(clippy::unwrap_used)]

mod clusters;
mod commands;
mod flows;
mod invalid_responses;
mod official;
mod properties;
mod protocol;
mod setup;
mod tls;
