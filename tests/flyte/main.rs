//! Tasks registered with a backend that uses the official messages, and read with the official command line.
#![allow(clippy::unwrap_used)]

mod config;
mod directories;
mod doctor;
mod dry_run;
mod failures;
mod follow;
mod image_backends;
mod interfaces;
mod invalid_input;
mod local_inputs;
mod logs_and_runs;
mod names;
mod register;
mod remote_build;
mod request_counts;
mod rerun_and_lists;
mod rules;
mod run;
mod save_outputs;
mod secrets;
mod setup;
mod triggers;
mod workers;
