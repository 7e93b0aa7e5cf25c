//! Tasks registered with a backend that others have made, and read back with its own command line.
#![allow(clippy::unwrap_used)]

mod bad_days;
mod bad_input;
mod building;
mod config;
mod daily;
mod dry;
mod figures;
mod folders;
mod following;
mod interfaces;
mod local_inputs;
mod looking;
mod names;
mod registering;
mod rules;
mod running;
mod saving;
mod secrets;
mod triggers;
mod workers;
mod world;
