//! The tool with a real registry and engine, also when these fail.
#![allow(clippy::unwrap_used)]

mod attached;
mod bases;
mod cuda;
mod default_build;
mod disk_errors;
mod engine_connections;
mod engines;
mod examples;
mod failures;
mod local_run;
mod lock;
mod login;
mod other_tools;
mod proxies;
mod setup;
mod signatures;
mod start_check;
mod third_party_bases;
mod workers;
mod yaml_files;
